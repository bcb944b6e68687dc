//! An answer for the framework to send.

use std::borrow::Cow;

use grantor::http::Reply;
use http::{HeaderName, HeaderValue, StatusCode};

/// One of the host's own answers, or one of the authorization server's.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, Cow<'static, str>)>,
    pub(crate) body: Vec<u8>,
}

impl Page {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.into()), ("cache-control", "no-store".into())];
        Self { status, headers, body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    pub(crate) fn health() -> Self {
        Self::new(200, "text/plain; charset=utf-8", "ok")
    }

    pub(crate) fn not_found() -> Self {
        Self::refusal(404, "not_found", "There is nothing at this path.")
    }

    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::refusal(405, "invalid_request", "The method is not allowed here.").with("allow", allowed)
    }

    /// The body did not arrive in time.
    pub(crate) fn body_too_slow() -> Self {
        // What is left of the body is not waited for.
        Self::refusal(408, "invalid_request", "The body took too long to arrive.").with("connection", "close")
    }

    /// The body could not be read.
    pub(crate) fn body_broken() -> Self {
        Self::refusal(400, "invalid_request", "The body could not be read.").with("connection", "close")
    }

    /// As the authorization server's refusals look (RFC 6749 §5.2).
    pub(crate) fn refusal(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, &serde_json::json!({ "error": error, "error_description": description }))
    }
}

/// For frameworks that take the types of the `http` crate.
impl<B: From<Vec<u8>>> From<Page> for http::Response<B> {
    fn from(page: Page) -> Self {
        let mut response = Self::new(B::from(page.body));
        *response.status_mut() =
            StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in page.headers {
            // What is the same in all answers is not copied into each.
            let value = match value {
                Cow::Borrowed(value) => HeaderValue::from_static(value),
                Cow::Owned(value) => match HeaderValue::try_from(value) {
                    Ok(value) => value,
                    Err(_) => continue,
                },
            };
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
        response
    }
}

impl From<Reply> for Page {
    fn from(reply: Reply) -> Self {
        let (status, headers, body) = reply.into_parts();
        Self { status, headers, body }
    }
}
