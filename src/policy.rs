//! [`TokenPolicy`]: rules of the host's own that make tokens narrower.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::client::Client;
use crate::clock::{Lifetime, Timestamp};
use crate::error::Error;
use crate::id::{GrantTypeName, Subject};
use crate::scope::Scope;

/// Makes tokens narrower than clients and users are registered for: a shorter life, fewer scopes.
/// It cannot make them wider.
///
/// It is asked once for each token request whose client, and whose code or refresh token if it has
/// one, are good so far; and once when a resource owner has decided.
///
/// ```
/// use std::time::Duration;
///
/// use grantor::policy::{Limits, PolicyRequest, TokenPolicy};
/// use grantor::{Error, Lifetime};
///
/// /// What can write lives for five minutes.
/// struct ShortWrites;
///
/// impl TokenPolicy for ShortWrites {
///     async fn limits(&self, request: &PolicyRequest<'_>) -> Result<Limits, Error> {
///         let writes = request.client().scopes().tokens().any(|scope| scope.ends_with(".write"));
///         let five_minutes = Lifetime::from_duration(Duration::from_secs(300));
///         Ok(match five_minutes {
///             Some(lifetime) if writes => Limits::none().access_token_lifetime(lifetime),
///             _ => Limits::none(),
///         })
///     }
/// }
/// # use grantor::store::{MemoryClientStore, MemoryTokenStore};
///
/// let server = grantor::AuthorizationServer::builder("https://id.example.com")
/// #   .clients(MemoryClientStore::new()).tokens(MemoryTokenStore::new())
///     .token_policy(ShortWrites)
///     .build()?;
/// # drop(server);
/// # Ok::<(), grantor::InvalidServer>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a token policy",
    note = "implement `TokenPolicy`: what a token is limited to"
)]
pub trait TokenPolicy: Send + Sync + 'static {
    /// What the tokens of a request are limited to.
    ///
    /// # Errors
    /// Whatever the client is to be told instead, such as [`Error::AccessDenied`].
    fn limits(&self, request: &PolicyRequest<'_>) -> impl Future<Output = Result<Limits, Error>> + Send;
}

/// What a [`TokenPolicy`] is asked about.
pub struct PolicyRequest<'a> {
    pub(crate) client: &'a Client,
    pub(crate) grant_type: &'a GrantTypeName,
    pub(crate) subject: Option<&'a Subject>,
    pub(crate) granted: Option<&'a Scope>,
    pub(crate) now: Timestamp,
}

impl PolicyRequest<'_> {
    /// The client that the token is for.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.client
    }

    /// The grant type of the request; `authorization_code` also when a resource owner has decided.
    #[must_use]
    pub fn grant_type(&self) -> &GrantTypeName {
        self.grant_type
    }

    /// The resource owner; `None` if the client acts for itself.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.subject
    }

    /// What was allowed before: with a code or a refresh token, the scope of its grant. `None` where
    /// a grant begins.
    #[must_use]
    pub fn granted(&self) -> Option<&Scope> {
        self.granted
    }

    /// When the request began.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

impl fmt::Debug for PolicyRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyRequest")
            .field("client", self.client.id())
            .field("grant_type", self.grant_type)
            .finish_non_exhaustive()
    }
}

/// What tokens are limited to.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Limits {
    pub(crate) scope: Option<Scope>,
    pub(crate) access_token_lifetime: Option<Lifetime>,
}

impl Limits {
    /// To nothing in particular.
    pub const fn none() -> Self {
        Self { scope: None, access_token_lifetime: None }
    }

    /// No more than `scope`: what is asked for beyond it is `invalid_scope`, and a refresh or a
    /// default gets what is left. A code stands for what was allowed when it was made.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Access tokens live no longer than this.
    pub fn access_token_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.access_token_lifetime = Some(lifetime);
        self
    }

    pub(crate) fn shorten(&self, lifetime: Lifetime) -> Lifetime {
        match (self.access_token_lifetime.and_then(Lifetime::duration), lifetime.duration()) {
            (Some(most), None) => Lifetime::from_duration(most).unwrap_or(lifetime),
            (Some(most), Some(own)) if most < own => Lifetime::from_duration(most).unwrap_or(lifetime),
            _ => lifetime,
        }
    }

    /// As far as both allow.
    pub(crate) fn within(&self, most: Option<Scope>) -> Option<Scope> {
        match (&self.scope, most) {
            (Some(own), Some(most)) => Some(own.intersection(&most)),
            (Some(own), None) => Some(own.clone()),
            (None, most) => most,
        }
    }
}

/// [`TokenPolicy`] once more, object-safe.
pub(crate) trait DynTokenPolicy: Send + Sync {
    fn limits<'a>(
        &'a self,
        request: &'a PolicyRequest<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<Limits, Error>> + Send + 'a>>;
}

impl<P: TokenPolicy> DynTokenPolicy for P {
    fn limits<'a>(
        &'a self,
        request: &'a PolicyRequest<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<Limits, Error>> + Send + 'a>> {
        Box::pin(TokenPolicy::limits(self, request))
    }
}
