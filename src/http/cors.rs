//! Cross-origin requests: which origins may read an answer.

use super::reply::Reply;
use super::request::{Header, Request};

/// The origins whose pages may call an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Origins {
    #[default]
    None,
    Any,
    These(Vec<String>),
}

impl Origins {
    /// The value of `Access-Control-Allow-Origin` for `request`.
    fn allow(&self, request: &Request<'_>) -> Option<String> {
        let origin = request.only(Header::Origin).ok()??;
        match self {
            Self::None => None,
            Self::Any => Some("*".to_owned()),
            Self::These(origins) => origins.iter().find(|own| own.as_bytes() == origin).cloned(),
        }
    }

    /// Lets the page that sent `request` read `reply`, if it may.
    pub(super) fn apply(&self, request: &Request<'_>, reply: Reply) -> Reply {
        let reply = match self {
            // The answer depends on who asks: a cache must know.
            Self::These(_) => reply.with("vary", "Origin"),
            Self::None | Self::Any => reply,
        };
        match self.allow(request) {
            Some(origin) => reply
                .with("access-control-allow-origin", origin)
                .with("access-control-expose-headers", "WWW-Authenticate, Retry-After"),
            None => reply,
        }
    }

    /// The answer to a preflight request, if `request` is one that may go on.
    pub(super) fn preflight(
        &self,
        request: &Request<'_>,
        methods: &'static str,
        headers: &'static str,
    ) -> Option<Reply> {
        if request.method != "OPTIONS" || request.last(Header::RequestMethod).is_none() {
            return None;
        }
        let origin = self.allow(request)?;
        let reply = match self {
            Self::These(_) => Reply::empty(204).with("vary", "Origin"),
            Self::None | Self::Any => Reply::empty(204),
        };
        Some(
            reply
                .with("access-control-allow-origin", origin)
                .with("access-control-allow-methods", methods)
                .with("access-control-allow-headers", headers)
                .with("access-control-max-age", "600"),
        )
    }
}
