//! Conversions for the types of the `http` crate.

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
        let status = http::StatusCode::from_u16(reply.status());
        let headers: http::HeaderMap = reply
            .headers()
            .filter_map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                Some((name, http::HeaderValue::from_str(value).ok()?))
            })
            .collect();
        let mut response = Self::new(B::from(reply.into_body()));
        *response.status_mut() = status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers;
        response
    }
}
