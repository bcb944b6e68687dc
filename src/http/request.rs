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
    pub(super) headers: Vec<(&'a str, &'a [u8])>,
    pub(super) body: &'a [u8],
    pub(super) peer: Option<IpAddr>,
    pub(super) secure: bool,
}

/// The headers that any endpoint looks at; others are not kept.
const USED: [&str; 7] = [
    "authorization",
    "content-type",
    "origin",
    "access-control-request-method",
    "access-control-request-headers",
    "x-forwarded-proto",
    "x-forwarded-for",
];

impl<'a> Request<'a> {
    /// A request with this method and path (without the query), over a plain connection.
    pub fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, query: None, headers: Vec::new(), body: &[], peer: None, secure: false }
    }

    /// With the query, without its `?`.
    pub fn query(mut self, query: Option<&'a str>) -> Self {
        self.query = query;
        self
    }

    /// With one more header. Names are compared without case.
    pub fn header(mut self, name: &'a str, value: &'a [u8]) -> Self {
        if USED.iter().any(|used| used.eq_ignore_ascii_case(name)) {
            if self.headers.is_empty() {
                self.headers.reserve_exact(USED.len());
            }
            self.headers.push((name, value));
        }
        self
    }

    /// With all of these headers.
    pub fn headers(self, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        headers.into_iter().fold(self, |request, (name, value)| request.header(name, value))
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

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The value of a header that occurs once.
    pub(super) fn only(&self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(value) }
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
