//! Conversions for the types of the `http` crate.

use std::borrow::Cow;

use super::reply::Reply;
use super::request::Request;

impl<'a> Request<'a> {
    /// The request with these parts and this body. The caller adds
    /// [`peer`](Self::peer) and [`secure`](Self::secure), which the parts do not know.
    pub fn from_parts(parts: &'a http::request::Parts, body: &'a [u8]) -> Self {
        Self::new(parts.method.as_str(), parts.uri.path())
            .query(parts.uri.query())
            .headers(parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
            .body(body)
    }
}

impl<B: From<Vec<u8>>> From<Reply> for http::Response<B> {
    fn from(reply: Reply) -> Self {
        let (status, headers, body) = reply.into_parts();
        let status = http::StatusCode::from_u16(status);
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let value = match value {
                Cow::Borrowed(value) => http::HeaderValue::from_static(value),
                Cow::Owned(value) => http::HeaderValue::try_from(value).ok()?,
            };
            Some((http::HeaderName::from_static(name), value))
        });
        let mut response = Self::new(B::from(body));
        *response.status_mut() = status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers.collect();
        response
    }
}
