//! What a request is told that is not let through (RFC 6750 §3).

use std::fmt::Write as _;

use crate::id::ClientId;
use crate::scope::Scope;

use super::token::{BearerToken, SourceError};

/// Why a request to a protected resource was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessFailure {
    /// It has no bearer token.
    #[error("there is no bearer token")]
    Missing,
    /// A token is in the query or the form, or there are several.
    #[error("a token is in another place than one Authorization header")]
    Transport,
    /// It cannot be a token.
    #[error("the bearer token is malformed")]
    Malformed,
    /// Nobody knows the token, or it has expired or was revoked.
    #[error("the bearer token is unknown, expired or revoked")]
    Inactive,
    /// The token has none of the scopes that are needed.
    #[error("the scope of the bearer token is insufficient")]
    InsufficientScope,
    /// Whether the token is good could not be found out.
    #[error("the bearer token could not be checked")]
    Unavailable,
}

/// A request that is not let through, and what to answer.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    reason: AccessFailure,
    challenge: Option<String>,
    token: Option<Box<BearerToken>>,
    #[source]
    source: Option<SourceError>,
}

impl Refused {
    pub(super) fn new(realm: &str, reason: AccessFailure) -> Self {
        Self { reason, challenge: challenge(realm, reason, None), token: None, source: None }
    }

    pub(super) fn unavailable(realm: &str, error: SourceError) -> Self {
        Self { source: Some(error), ..Self::new(realm, AccessFailure::Unavailable) }
    }

    pub(super) fn insufficient(realm: &str, token: BearerToken, needed: &Scope) -> Self {
        let reason = AccessFailure::InsufficientScope;
        let challenge = challenge(realm, reason, Some(needed));
        Self { reason, challenge, token: Some(Box::new(token)), source: None }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> AccessFailure {
        self.reason
    }

    /// The HTTP status: 400, 401, 403 or 503.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.reason {
            AccessFailure::Transport => 400,
            AccessFailure::Missing | AccessFailure::Malformed | AccessFailure::Inactive => 401,
            AccessFailure::InsufficientScope => 403,
            AccessFailure::Unavailable => 503,
        }
    }

    /// The value of `WWW-Authenticate`; `None` for 503.
    #[must_use]
    pub fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// The value of `error` (RFC 6750 §3.1); `None` if there was no token in the first place.
    #[must_use]
    pub fn error(&self) -> Option<&'static str> {
        error_code(self.reason)
    }

    /// Whose token it is, if that is known.
    #[must_use]
    pub fn client(&self) -> Option<&ClientId> {
        self.token.as_ref()?.client()
    }

    /// The scope of the token, if that is known.
    #[must_use]
    pub fn granted(&self) -> Option<&Scope> {
        self.token.as_ref().map(|token| token.scope())
    }
}

const fn error_code(reason: AccessFailure) -> Option<&'static str> {
    match reason {
        AccessFailure::Missing => None,
        AccessFailure::Transport => Some("invalid_request"),
        AccessFailure::Malformed | AccessFailure::Inactive => Some("invalid_token"),
        AccessFailure::InsufficientScope => Some("insufficient_scope"),
        AccessFailure::Unavailable => Some("temporarily_unavailable"),
    }
}

/// Each attribute once, with characters that need no escape (RFC 6750 §3).
fn challenge(realm: &str, reason: AccessFailure, needed: Option<&Scope>) -> Option<String> {
    if reason == AccessFailure::Unavailable {
        return None;
    }
    let realm: String =
        realm.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
    let mut text = format!("Bearer realm=\"{realm}\"");
    if let Some(error) = error_code(reason) {
        // Writing into a text cannot fail.
        let _ = write!(text, ", error=\"{error}\", error_description=\"{reason}\"");
    }
    if let Some(needed) = needed.filter(|needed| !needed.is_empty()) {
        let _ = write!(text, ", scope=\"{needed}\"");
    }
    Some(text)
}
