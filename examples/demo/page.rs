//! The host's own answers, beside those of the authorization server.

/// An answer for the framework to send.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: String,
}

impl Page {
    /// The page at `path`, if it is one of the host's.
    pub(crate) fn at(method: &str, path: &str) -> Option<Self> {
        match (method, path) {
            ("GET" | "HEAD", "/healthz") => Some(Self::health()),
            _ => None,
        }
    }

    fn health() -> Self {
        let headers = vec![("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")];
        Self { status: 200, headers, body: "ok".to_owned() }
    }

    pub(crate) fn not_found() -> Self {
        Self::refusal(404, "not_found", "There is nothing at this path.")
    }

    /// The body did not arrive in time.
    pub(crate) fn body_too_slow() -> Self {
        Self::refusal(408, "invalid_request", "The body took too long to arrive.").and_close()
    }

    /// The body could not be read.
    pub(crate) fn body_broken() -> Self {
        Self::refusal(400, "invalid_request", "The body could not be read.").and_close()
    }

    /// As the authorization server's refusals look (RFC 6749 §5.2).
    fn refusal(status: u16, error: &str, description: &str) -> Self {
        let headers = vec![("content-type", "application/json"), ("cache-control", "no-store")];
        let body = format!(r#"{{"error":"{error}","error_description":"{description}"}}"#);
        Self { status, headers, body }
    }

    /// What is left of the body is not waited for.
    fn and_close(mut self) -> Self {
        self.headers.push(("connection", "close"));
        self
    }
}
