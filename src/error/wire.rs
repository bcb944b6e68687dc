//! The one place that turns an [`Error`] into what a client is told.

use super::{Error, GrantFailure, RequestFailure, ScopeFailure, ServerFailure, Unavailable};

/// What a client is told of an [`Error`] (RFC 6749 §5.2).
///
/// The texts are fixed: nothing of a request, a record or an inner error gets into them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wire {
    /// The HTTP status.
    pub status: u16,
    /// The value of `error`.
    pub error: &'static str,
    /// The value of `error_description`.
    pub description: &'static str,
    /// The value of `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// True if the answer needs a `WWW-Authenticate` challenge.
    pub challenge: bool,
}

impl Wire {
    const fn new(status: u16, error: &'static str, description: &'static str) -> Self {
        Self { status, error, description, retry_after: None, challenge: false }
    }
}

/// How long a client should wait before it asks again, in seconds.
const RETRY_AFTER: u32 = 1;

impl Error {
    /// What the client is told.
    #[must_use]
    pub fn wire(&self) -> Wire {
        match self {
            Self::InvalidRequest { reason } => {
                Wire::new(request_status(*reason), "invalid_request", request_description(*reason))
            }
            // One text for all reasons: unknown clients and wrong secrets look alike.
            Self::InvalidClient { reason: _ } => {
                Wire { challenge: true, ..Wire::new(401, "invalid_client", "Client authentication failed.") }
            }
            Self::InvalidGrant { reason } => Wire::new(400, "invalid_grant", grant_description(*reason)),
            Self::UnauthorizedClient { client: _, grant_type: _ } => {
                Wire::new(400, "unauthorized_client", "The client may not use this grant type.")
            }
            Self::UnsupportedGrantType => {
                Wire::new(400, "unsupported_grant_type", "The grant type is not supported.")
            }
            Self::InvalidScope { reason } => Wire::new(400, "invalid_scope", scope_description(reason)),
            Self::AccessDenied => Wire::new(400, "access_denied", "The request was denied."),
            Self::UnsupportedResponseType => {
                Wire::new(400, "unsupported_response_type", "The response type is not supported.")
            }
            Self::Unavailable {
                reason:
                    Unavailable::Store(_) | Unavailable::Full | Unavailable::Contention | Unavailable::Passwords,
            } => Wire {
                retry_after: Some(RETRY_AFTER),
                ..Wire::new(503, "temporarily_unavailable", "The server is busy; please try again.")
            },
            Self::Unavailable { reason: Unavailable::Attempts { retry_after } } => Wire {
                retry_after: Some(*retry_after),
                ..Wire::new(429, "temporarily_unavailable", "There were too many attempts; please wait.")
            },
            Self::Server {
                source:
                    ServerFailure::Store(_)
                    | ServerFailure::Entropy(_)
                    | ServerFailure::IdTaken
                    | ServerFailure::Password(_)
                    | ServerFailure::NoVerifier,
            } => Wire::new(500, "server_error", "The server could not answer the request."),
        }
    }
}

const fn request_status(reason: RequestFailure) -> u16 {
    match reason {
        RequestFailure::Method => 405,
        RequestFailure::BodyTooLarge => 413,
        RequestFailure::Missing(_)
        | RequestFailure::Repeated(_)
        | RequestFailure::Malformed(_)
        | RequestFailure::Form
        | RequestFailure::TooManyParameters
        | RequestFailure::TooLong
        | RequestFailure::MediaType
        | RequestFailure::Insecure
        | RequestFailure::SeveralCredentials
        | RequestFailure::ClientIdMismatch
        | RequestFailure::VerifierWithoutChallenge
        | RequestFailure::ChallengeRequired
        | RequestFailure::ChallengeMethod
        | RequestFailure::MethodWithoutChallenge
        | RequestFailure::Client
        | RequestFailure::RedirectUri
        | RequestFailure::Ticket => 400,
    }
}

const fn request_description(reason: RequestFailure) -> &'static str {
    match reason {
        RequestFailure::Missing(parameter) => parameter.missing(),
        RequestFailure::Repeated(parameter) => parameter.repeated(),
        RequestFailure::Malformed(parameter) => parameter.malformed(),
        RequestFailure::Form => "The request is not well-formed form data.",
        RequestFailure::TooManyParameters => "The request has too many parameters.",
        RequestFailure::TooLong => "A parameter is too long.",
        RequestFailure::BodyTooLarge => "The request body is too large.",
        RequestFailure::MediaType => "The media type must be application/x-www-form-urlencoded.",
        RequestFailure::Method => "The method is not allowed here.",
        RequestFailure::Insecure => "HTTPS is required.",
        RequestFailure::SeveralCredentials => "Only one way of client authentication may be used.",
        RequestFailure::ClientIdMismatch => "client_id is not that of the authenticated client.",
        RequestFailure::VerifierWithoutChallenge => {
            "code_verifier was sent, but the authorization request had no code_challenge."
        }
        RequestFailure::ChallengeRequired => "code_challenge is required.",
        RequestFailure::ChallengeMethod => "code_challenge_method is not supported; use S256.",
        RequestFailure::MethodWithoutChallenge => "code_challenge_method needs a code_challenge.",
        RequestFailure::Client => "client_id is not known.",
        RequestFailure::RedirectUri => "redirect_uri is not registered for this client.",
        RequestFailure::Ticket => "The consent has expired; please start again.",
    }
}

/// Those who hold a code of their own are helped with what they sent along with it; all
/// else looks the same, so that nobody learns whose a code or token is.
const fn grant_description(reason: GrantFailure) -> &'static str {
    match reason {
        GrantFailure::RedirectUriMissing => "redirect_uri is required with this code.",
        GrantFailure::RedirectUriMismatch => "redirect_uri differs from the authorization request.",
        GrantFailure::VerifierMissing => "code_verifier is required with this code.",
        GrantFailure::VerifierMismatch => "code_verifier does not match the code_challenge.",
        GrantFailure::UnknownUsername | GrantFailure::WrongPassword | GrantFailure::LoginDisabled => {
            "The username or the password is wrong."
        }
        GrantFailure::Malformed
        | GrantFailure::Unknown
        | GrantFailure::Foreign
        | GrantFailure::Revoked
        | GrantFailure::UserUnknown
        | GrantFailure::UserDisabled
        | GrantFailure::CodeExpired
        | GrantFailure::CodeRaced
        | GrantFailure::CodeReplayed
        | GrantFailure::RefreshExpired
        | GrantFailure::RefreshIdle
        | GrantFailure::RefreshLimitReached
        | GrantFailure::RefreshDamaged
        | GrantFailure::RefreshReused
        | GrantFailure::RefreshLate
        | GrantFailure::RefreshClockSkew
        | GrantFailure::RefreshAhead
        | GrantFailure::RefreshKeyChanged => "The code or token is invalid, expired, revoked or used up.",
    }
}

const fn scope_description(reason: &ScopeFailure) -> &'static str {
    match reason {
        ScopeFailure::Malformed => "The scope is malformed.",
        ScopeFailure::Required => "A scope is required.",
        ScopeFailure::TooWide { asked: _, allowed: _ } => {
            "The scope is unknown or exceeds what may be granted."
        }
    }
}
