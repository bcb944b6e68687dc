//! Why a request was refused, in types; [`Wire`] is what the client is told of it.

mod reason;
mod store;
mod wire;

use crate::entropy::EntropyError;
use crate::id::{ClientId, GrantTypeName};
use crate::limiter::TooManyAttempts;
use crate::parameter::Parameter;
use crate::password::VerifierError;
use crate::scope::Scope;

pub use store::{StoreError, StoreErrorKind};
pub use wire::Wire;

/// Why a request was refused.
///
/// It is for the operator: it says more than the client is told. What goes over the wire
/// is [`Error::wire`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is malformed (`invalid_request`).
    #[error("invalid_request: {reason}")]
    InvalidRequest {
        /// What is wrong with it.
        reason: RequestFailure,
    },
    /// The client could not be authenticated (`invalid_client`).
    #[error("invalid_client: {reason}")]
    InvalidClient {
        /// Why not.
        reason: ClientFailure,
    },
    /// The code or refresh token does not do (`invalid_grant`).
    #[error("invalid_grant: {reason}")]
    InvalidGrant {
        /// Why not.
        reason: GrantFailure,
    },
    /// The client is not registered for this grant type (`unauthorized_client`).
    #[error("unauthorized_client: {client} may not use {grant_type}")]
    UnauthorizedClient {
        /// The client.
        client: ClientId,
        /// The grant type.
        grant_type: GrantTypeName,
    },
    /// The grant type is unknown here or switched off (`unsupported_grant_type`).
    #[error("unsupported_grant_type")]
    UnsupportedGrantType,
    /// The scope is malformed, unknown or too wide (`invalid_scope`).
    #[error("invalid_scope: {reason}")]
    InvalidScope {
        /// What is wrong with it.
        reason: ScopeFailure,
    },
    /// The resource owner or the server said no (`access_denied`).
    #[error("access_denied")]
    AccessDenied,
    /// The response type is not supported (`unsupported_response_type`).
    #[error("unsupported_response_type")]
    UnsupportedResponseType,
    /// The same request may succeed a little later (`temporarily_unavailable`).
    #[error("temporarily_unavailable: {reason}")]
    Unavailable {
        /// What is in the way.
        #[source]
        reason: Unavailable,
    },
    /// Something is broken on this side (`server_error`).
    #[error("server_error")]
    Server {
        /// What is broken.
        #[source]
        source: ServerFailure,
    },
}

/// What is wrong with a malformed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFailure {
    /// A required parameter is missing or empty.
    #[error("{0} is missing")]
    Missing(Parameter),
    /// A parameter occurs more than once.
    #[error("{0} is repeated")]
    Repeated(Parameter),
    /// A parameter breaks its grammar.
    #[error("{0} is malformed")]
    Malformed(Parameter),
    /// The body or query is not well-formed `application/x-www-form-urlencoded`.
    #[error("the form is malformed")]
    Form,
    /// There are more parameters than a request can need.
    #[error("there are too many parameters")]
    TooManyParameters,
    /// A parameter is longer than any can be.
    #[error("a parameter is too long")]
    TooLong,
    /// The body is larger than any request can be.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The `Content-Type` is not `application/x-www-form-urlencoded`.
    #[error("the media type is not application/x-www-form-urlencoded")]
    MediaType,
    /// The method is not one that the endpoint takes.
    #[error("the method is not allowed")]
    Method,
    /// The request did not come over TLS.
    #[error("the connection is not secure")]
    Insecure,
    /// More than one way of authenticating the client was used.
    #[error("several client authentication methods are used")]
    SeveralCredentials,
    /// The `client_id` names another client than the credentials do.
    #[error("client_id differs from the authenticated client")]
    ClientIdMismatch,
    /// A `code_verifier` came with a code that was asked for without a challenge.
    #[error("a code_verifier was sent, but no code_challenge")]
    VerifierWithoutChallenge,
    /// PKCE is required, and there is no `code_challenge`.
    #[error("a code_challenge is required")]
    ChallengeRequired,
    /// The `code_challenge_method` is unknown, missing (which means `plain`) or off.
    #[error("the code_challenge_method is not supported")]
    ChallengeMethod,
    /// A `code_challenge_method` came without a `code_challenge`.
    #[error("a code_challenge_method was sent, but no code_challenge")]
    MethodWithoutChallenge,
    /// The client is unknown or disabled.
    #[error("the client is unknown or disabled")]
    Client,
    /// The redirect URI is not registered for the client.
    #[error("the redirect URI is not registered for the client")]
    RedirectUri,
    /// The consent ticket is forged, too old, or belongs to another session.
    #[error("the consent ticket is not valid")]
    Ticket,
}

/// Why a client could not be authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientFailure {
    /// The request has no credentials.
    #[error("no client credentials")]
    Missing,
    /// The `Authorization` header is of an unknown scheme or malformed, or the way of
    /// authenticating is not supported.
    #[error("client credentials of an unknown kind")]
    Unsupported,
    /// No such client.
    #[error("client {0} is unknown")]
    Unknown(ClientId),
    /// The client is disabled.
    #[error("client {0} is disabled")]
    Disabled(ClientId),
    /// The secret is none of the client's.
    #[error("wrong secret for client {0}")]
    WrongSecret(ClientId),
    /// The secret was right once.
    #[error("expired secret for client {0}")]
    ExpiredSecret(ClientId),
    /// The client is registered for other methods.
    #[error("client {0} may not authenticate this way")]
    MethodNotAllowed(ClientId),
}

impl ClientFailure {
    /// The client that the request named, if it named one.
    #[must_use]
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::Missing | Self::Unsupported => None,
            Self::Unknown(client)
            | Self::Disabled(client)
            | Self::WrongSecret(client)
            | Self::ExpiredSecret(client)
            | Self::MethodNotAllowed(client) => Some(client),
        }
    }
}

/// Why a code or refresh token does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantFailure {
    /// No token of this server looks like it.
    #[error("it is not a token of this server")]
    Malformed,
    /// There is no such grant, or it holds no such code or token.
    #[error("it is unknown, or its grant is gone")]
    Unknown,
    /// It belongs to another client.
    #[error("it belongs to another client")]
    Foreign,
    /// The grant began before its client, its user or the server was told to forget it.
    #[error("it was revoked")]
    Revoked,
    /// The user is unknown to the user store.
    #[error("its user is unknown")]
    UserUnknown,
    /// The user is disabled.
    #[error("its user is disabled")]
    UserDisabled,
    /// Nobody logs in with that username.
    #[error("there is no user with that username")]
    UnknownUsername,
    /// The password is not the user's, or the user has none.
    #[error("the password is wrong")]
    WrongPassword,
    /// The password is right, and the user is disabled.
    #[error("the user is disabled")]
    LoginDisabled,
    /// The code is older than codes get.
    #[error("the code has expired")]
    CodeExpired,
    /// Another request redeemed the code while this one was under way; nothing is revoked.
    #[error("the code was redeemed by a request at the same time")]
    CodeRaced,
    /// The code was redeemed before; the grant is removed.
    #[error("the code was redeemed before")]
    CodeReplayed,
    /// `redirect_uri` was in the authorization request and is not in this one.
    #[error("redirect_uri is missing")]
    RedirectUriMissing,
    /// `redirect_uri` is not what it was in the authorization request.
    #[error("redirect_uri differs from the authorization request")]
    RedirectUriMismatch,
    /// There was a challenge, and there is no verifier.
    #[error("code_verifier is missing")]
    VerifierMissing,
    /// The verifier is not that of the challenge.
    #[error("code_verifier does not match")]
    VerifierMismatch,
    /// The refresh token has reached its absolute end.
    #[error("the refresh token has expired")]
    RefreshExpired,
    /// The refresh token was not used for too long.
    #[error("the refresh token was idle for too long")]
    RefreshIdle,
    /// The refresh token was used as often as it may be; nothing is removed.
    #[error("the refresh token was used as often as it may be")]
    RefreshLimitReached,
    /// The refresh token is of a known family and cut or mistyped; nothing is removed.
    #[error("the refresh token is damaged")]
    RefreshDamaged,
    /// The refresh token was replaced long ago; the grant is removed.
    #[error("the refresh token was used before")]
    RefreshReused,
    /// The refresh token was replaced, and the retry window has just closed; nothing is
    /// removed, since clocks differ.
    #[error("the refresh token was replaced just outside the retry window")]
    RefreshLate,
    /// The refresh token was replaced, as it seems, in the future; nothing is removed.
    #[error("the refresh token was replaced at a time that has not come")]
    RefreshClockSkew,
    /// The refresh token is newer than the record: the store has gone back in time.
    /// Nothing is removed.
    #[error("the refresh token is newer than the store")]
    RefreshAhead,
    /// The answer to a repeated refresh cannot be derived: the server key changed.
    /// Nothing is removed.
    #[error("the answer cannot be repeated because the server key changed")]
    RefreshKeyChanged,
}

/// What is wrong with a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeFailure {
    /// It breaks the grammar.
    #[error("the scope is malformed")]
    Malformed,
    /// None was asked for, and the client has no default.
    #[error("a scope is required")]
    Required,
    /// It asks for more than can be granted.
    #[error("asked for {asked:?}, allowed is {allowed:?}")]
    TooWide {
        /// What was asked for.
        asked: Scope,
        /// What could have been granted.
        allowed: Scope,
    },
}

/// What is in the way for the moment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// A store cannot be reached.
    #[error("a store is unavailable")]
    Store(#[source] StoreError),
    /// The token store is full.
    #[error("the token store is full")]
    Full,
    /// Too many requests change the same grant at once.
    #[error("too many requests for the same grant")]
    Contention,
    /// Too many passwords are being checked.
    #[error("too many passwords are being checked")]
    Passwords,
    /// A password or secret was guessed at too often.
    #[error("a password or secret was guessed at too often")]
    Attempts {
        /// When to try again, in seconds.
        retry_after: u32,
    },
}

/// What is broken on this side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerFailure {
    /// A store failed.
    #[error(transparent)]
    Store(StoreError),
    /// The source of randomness failed.
    #[error(transparent)]
    Entropy(EntropyError),
    /// A password could not be checked.
    #[error(transparent)]
    Password(VerifierError),
    /// There is nobody to check passwords, or no user store to ask for users.
    #[error("the server has no password verifier or no user store")]
    NoVerifier,
    /// A new grant's id is taken: the source of randomness repeats itself.
    #[error("a new grant id is taken")]
    IdTaken,
}

impl Error {
    pub(crate) const fn missing(parameter: Parameter) -> Self {
        Self::InvalidRequest { reason: RequestFailure::Missing(parameter) }
    }

    pub(crate) const fn malformed(parameter: Parameter) -> Self {
        Self::InvalidRequest { reason: RequestFailure::Malformed(parameter) }
    }

    /// The client that the error names, if it names one.
    #[must_use]
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::InvalidClient { reason } => reason.client(),
            Self::UnauthorizedClient { client, .. } => Some(client),
            _ => None,
        }
    }
}

impl From<RequestFailure> for Error {
    fn from(reason: RequestFailure) -> Self {
        Self::InvalidRequest { reason }
    }
}

impl From<ClientFailure> for Error {
    fn from(reason: ClientFailure) -> Self {
        Self::InvalidClient { reason }
    }
}

impl From<GrantFailure> for Error {
    fn from(reason: GrantFailure) -> Self {
        Self::InvalidGrant { reason }
    }
}

impl From<ScopeFailure> for Error {
    fn from(reason: ScopeFailure) -> Self {
        Self::InvalidScope { reason }
    }
}

impl From<Unavailable> for Error {
    fn from(reason: Unavailable) -> Self {
        Self::Unavailable { reason }
    }
}

impl From<ServerFailure> for Error {
    fn from(source: ServerFailure) -> Self {
        Self::Server { source }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::Unavailable => Unavailable::Store(error).into(),
            StoreErrorKind::Other => ServerFailure::Store(error).into(),
        }
    }
}

impl From<VerifierError> for Error {
    fn from(error: VerifierError) -> Self {
        match error {
            VerifierError::Busy => Unavailable::Passwords.into(),
            failed => ServerFailure::Password(failed).into(),
        }
    }
}

impl From<TooManyAttempts> for Error {
    fn from(too_many: TooManyAttempts) -> Self {
        let seconds = too_many.retry_after.as_millis().div_ceil(1000).clamp(1, 86_400);
        Unavailable::Attempts { retry_after: u32::try_from(seconds).unwrap_or(86_400) }.into()
    }
}

impl From<EntropyError> for Error {
    fn from(error: EntropyError) -> Self {
        ServerFailure::Entropy(error).into()
    }
}
