//! A request about a token, by a client: for introspection (RFC 7662 §2.1) and revocation
//! (RFC 7009 §2.1).

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::client::authentication::{Credentials, HeaderCredentials};
use crate::parameter::Parameter;
use crate::parameters::Parameters;

/// A token, and the credentials of the client that asks about it or wants it revoked.
///
/// HTTP requests are turned into one by [`crate::http`]; a test writes it down.
///
/// ```
/// # use grantor::TokenQuery;
/// let query = TokenQuery::new("the token").basic("orders-api", "s3cr3t");
/// ```
#[derive(Clone)]
#[must_use]
pub struct TokenQuery<'a> {
    pub(super) header: HeaderCredentials<'a>,
    pub(crate) parameters: Parameters<'a>,
    pub(super) peer: Option<IpAddr>,
}

impl<'a> TokenQuery<'a> {
    /// About this token.
    pub fn new(token: impl Into<Cow<'a, str>>) -> Self {
        let mut query = Self::empty(HeaderCredentials::Absent, None);
        query.parameters.set(Parameter::Token, token.into());
        query
    }

    /// Without any parameter yet.
    pub(crate) fn empty(header: HeaderCredentials<'a>, peer: Option<IpAddr>) -> Self {
        Self { header, parameters: Parameters::default(), peer }
    }

    /// From this address, for the [`AttemptLimiter`](crate::limiter::AttemptLimiter).
    pub fn peer(mut self, peer: Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// With the client's credentials as in HTTP Basic, already decoded.
    pub fn basic(mut self, id: &'a str, secret: &'a str) -> Self {
        self.header = HeaderCredentials::Basic { decoded: Some(Credentials { id, secret }), raw: None };
        self
    }

    /// With one more parameter, decoded, such as `client_id` of a public client. A parameter
    /// that a specification defines must not be added twice.
    pub fn parameter(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.parameters.push(name.into(), value.into());
        self
    }
}

impl fmt::Debug for TokenQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenQuery").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}
