//! What an adapter hands in.

use std::fmt;
use std::net::IpAddr;

/// One HTTP request, with its body read.
///
/// ```
/// # use grantor::http::Request;
/// let request = Request::new("POST", "/oauth/token")
///     .header("content-type", b"application/x-www-form-urlencoded")
///     .body(b"grant_type=client_credentials")
///     .secure(true);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    headers: [Value<'a>; Header::ALL.len()],
    pub(super) body: &'a [u8],
    pub(super) peer: Option<IpAddr>,
    pub(super) secure: bool,
}

/// A header that some endpoint looks at; others are not kept.
#[derive(Clone, Copy)]
pub(super) enum Header {
    Authorization,
    ContentType,
    Origin,
    RequestMethod,
    ForwardedProto,
    ForwardedFor,
}

impl Header {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Authorization, "authorization"),
        (Self::ContentType, "content-type"),
        (Self::Origin, "origin"),
        (Self::RequestMethod, "access-control-request-method"),
        (Self::ForwardedProto, "x-forwarded-proto"),
        (Self::ForwardedFor, "x-forwarded-for"),
    ];

    fn named(name: &str) -> Option<Self> {
        let same = |own: &str| own == name || own.eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(|(_, own)| same(own)).map(|(header, _)| header)
    }
}

/// One header of a request.
#[derive(Clone, Copy, Default)]
struct Value<'a> {
    last: Option<&'a [u8]>,
    is_repeated: bool,
}

impl<'a> Request<'a> {
    /// A request with this method and path (without the query), over a plain connection.
    pub fn new(method: &'a str, path: &'a str) -> Self {
        let headers = [Value::default(); Header::ALL.len()];
        Self { method, path, query: None, headers, body: &[], peer: None, secure: false }
    }

    /// With the query, without its `?`.
    pub fn query(mut self, query: Option<&'a str>) -> Self {
        self.query = query;
        self
    }

    /// With one more header. Names are compared without case.
    pub fn header(mut self, name: &'a str, value: &'a [u8]) -> Self {
        self.set(name, value);
        self
    }

    /// With all of these headers.
    pub fn headers(mut self, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        for (name, value) in headers {
            self.set(name, value);
        }
        self
    }

    fn set(&mut self, name: &str, value: &'a [u8]) {
        let slot = Header::named(name).and_then(|header| self.headers.get_mut(header as usize));
        if let Some(slot) = slot {
            *slot = Value { last: Some(value), is_repeated: slot.last.is_some() };
        }
    }

    /// With this body. Read no more than [`Router::body_limit`](super::Router::body_limit)
    /// bytes and answer with
    /// [`Router::body_too_large`](super::Router::body_too_large) if there are more.
    pub fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    /// The address at the other end of the connection, if it has one.
    pub fn peer(mut self, peer: Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// Is the connection itself encrypted?
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// The last value of a header.
    pub(super) fn last(&self, header: Header) -> Option<&'a [u8]> {
        self.headers.get(header as usize)?.last
    }

    /// The value of a header that occurs once.
    pub(super) fn only(&self, header: Header) -> Result<Option<&'a [u8]>, Repeated> {
        let Some(value) = self.headers.get(header as usize) else { return Ok(None) };
        if value.is_repeated { Err(Repeated) } else { Ok(value.last) }
    }
}

/// A header occurs more than once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeated;

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers, query and body may hold secrets.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
