//! What a bearer token stands for, and who knows it.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use crate::clock::Timestamp;
use crate::endpoint::{ActiveToken, TokenKind};
use crate::event::Event;
use crate::id::{ClientId, Subject};
use crate::scope::Scope;
use crate::server::AuthorizationServer;

/// What an access token stands for, as a resource server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerToken {
    pub(super) client: Option<ClientId>,
    pub(super) subject: Option<Subject>,
    pub(super) sub: Option<String>,
    pub(super) scope: Scope,
    pub(super) issued_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
}

impl BearerToken {
    /// The client it was issued to.
    #[must_use]
    pub fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// The resource owner; `None` if the client acts for itself.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// The value of `sub`: the resource owner, or the client if it acts for itself.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        self.sub.as_deref()
    }

    /// What it may be used for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When it was issued.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// When it expires; `None`: never, or not told.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    fn of(token: &ActiveToken) -> Self {
        Self {
            client: Some(token.client().clone()),
            subject: token.subject().cloned(),
            sub: Some(token.sub().to_owned()),
            scope: token.scope().clone(),
            issued_at: Some(token.issued_at()),
            expires_at: token.expires_at(),
        }
    }
}

/// Who knows what an access token stands for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say what a token stands for",
    note = "use an `AuthorizationServer`, or a `RemoteServer` around your HTTP client"
)]
pub trait TokenSource: Send + Sync + 'static {
    /// What `token` stands for; `None` if it is no access token that is good at this time.
    fn token(&self, token: &str) -> impl Future<Output = Result<Option<BearerToken>, SourceError>> + Send;

    /// Is told of each request that was refused. Does nothing unless implemented.
    fn report(&self, event: &Event<'_>) {
        let _ = event;
    }
}

/// The server in the same process, whose event sink is told of refusals.
impl TokenSource for AuthorizationServer {
    async fn token(&self, token: &str) -> Result<Option<BearerToken>, SourceError> {
        let told = self.introspect(token).await.map_err(SourceError::new)?;
        let access = told.active().filter(|token| token.kind() == TokenKind::Access);
        Ok(access.map(BearerToken::of))
    }

    fn report(&self, event: &Event<'_>) {
        Self::report(self, event);
    }
}

/// Whether a token is good could not be found out.
#[derive(Debug)]
pub struct SourceError(Box<dyn StdError + Send + Sync>);

impl SourceError {
    /// Because of `error`.
    pub fn new(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token could not be checked")
    }
}

impl StdError for SourceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}
