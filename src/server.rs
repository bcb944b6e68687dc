//! [`AuthorizationServer`]: how it is built, and one short method per endpoint.

mod builder;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::client::Client;
use crate::clock::{Clock, Timestamp};
use crate::endpoint::{
    AuthorizationRefused, AuthorizationRequest, AuthorizationResponse, ConsentDecision, ConsentRequest,
    Introspection, TokenQuery, TokenRequest, TokenResponse,
};
use crate::endpoint::{authorize, introspect, login, manage, revoke, token};
use crate::entropy::{Entropy, Seed};
use crate::error::Error;
use crate::event::{Event, EventSink};
use crate::grant_type::GrantTypes;
use crate::id::{ClientId, GrantId, GrantTypeName, Subject};
use crate::limiter::DynAttemptLimiter;
use crate::password::DynPasswordVerifier;
use crate::policy::{DynTokenPolicy, Limits, PolicyRequest};
use crate::scope::ScopeDefinition;
use crate::secret::{ClientSecret, Password};
use crate::server_key::Subkeys;
use crate::settings::Settings;
use crate::store::{
    ClientRegistry, DynClientStore, DynTokenStore, DynUserRegistry, DynUserStore, GrantQuery, Page,
    UserRegistry,
};
use crate::token::TokenFormat;
use crate::user::User;

pub use builder::{Builder, DangerousBuilder, InvalidServer};

/// An OAuth 2.0 authorization server (RFC 6749 §1.1).
///
/// It knows no transport: each method takes a parsed request and returns an answer or a
/// typed error. Cloning it is cheap and gives the same server.
///
/// ```
/// use grantor::store::{MemoryClientStore, MemoryTokenStore};
/// use grantor::{AuthorizationServer, Client, GrantTypeName, TokenRequest};
///
/// let (secret, hashed) = Client::generate_secret()?;
/// let reports = Client::confidential("reports")
///     .secret(hashed)
///     .grant_type(GrantTypeName::CLIENT_CREDENTIALS)
///     .scopes("orders.read")
///     .default_scopes("orders.read")
///     .build()?;
/// let server = AuthorizationServer::builder("https://id.example.com")
///     .clients(MemoryClientStore::from_iter([reports]))
///     .tokens(MemoryTokenStore::new())
///     .build()?;
///
/// let request = TokenRequest::new("client_credentials").basic("reports", secret.expose());
/// let response = grantor::testing::block_on(server.token(&request))?;
/// assert_eq!(response.scope().as_str(), "orders.read");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AuthorizationServer(Arc<Core>);

/// What all endpoints work with.
pub(crate) struct Core {
    pub(crate) issuer: String,
    pub(crate) clients: Box<dyn DynClientStore>,
    /// Stands in for a client that there is not.
    pub(crate) nobody: Arc<Client>,
    pub(crate) users: Option<Box<dyn DynUserStore>>,
    pub(crate) tokens: Box<dyn DynTokenStore>,
    pub(crate) grant_types: GrantTypes,
    pub(crate) settings: Settings,
    pub(crate) scopes: Vec<ScopeDefinition>,
    pub(crate) format: TokenFormat,
    pub(crate) ticket_keys: Subkeys,
    pub(crate) retry_keys: Subkeys,
    pub(crate) verifier: Option<Box<dyn DynPasswordVerifier>>,
    pub(crate) user_registry: Option<Box<dyn DynUserRegistry>>,
    pub(crate) limiter: Box<dyn DynAttemptLimiter>,
    pub(crate) policy: Option<Box<dyn DynTokenPolicy>>,
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
    events: Box<dyn EventSink>,
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the host's own rules limit tokens to.
    pub(crate) async fn limits(&self, request: PolicyRequest<'_>) -> Result<Limits, Error> {
        match &self.policy {
            Some(policy) => policy.limits(&request).await,
            None => Ok(Limits::none()),
        }
    }

    pub(crate) fn seed(&self) -> Result<Seed, Error> {
        Ok(Seed::draw(&*self.entropy)?)
    }

    pub(crate) fn report(&self, event: &Event<'_>) {
        self.events.event(event);
    }
}

impl AuthorizationServer {
    /// Begins to build a server that calls itself `issuer` (RFC 8414 §2): an `https` URL
    /// without query or fragment, or an `http` one on loopback.
    pub fn builder(issuer: impl Into<String>) -> Builder {
        Builder::new(issuer.into())
    }

    /// Answers a token request (RFC 6749 §3.2).
    ///
    /// The future may be dropped at any time: the grant is then in its old or its new
    /// state.
    ///
    /// # Errors
    /// Whatever is wrong with the request, its client, its grant or its scope; or a store
    /// that failed. [`Error::wire`] is what the client is to be told.
    pub async fn token(&self, request: &TokenRequest<'_>) -> Result<TokenResponse, Error> {
        token::token(&self.0, request).await
    }

    /// Checks an authorization request (RFC 6749 §4.1.1) and returns what a consent page
    /// needs. Nothing is stored.
    ///
    /// `session_binding` is anything that only this browser session knows, such as the
    /// value of its cookie; [`decide`](Self::decide) must be given the same.
    ///
    /// # Errors
    /// Says whether to show a page or to redirect, and how.
    pub async fn authorize(
        &self,
        request: &AuthorizationRequest<'_>,
        session_binding: &[u8],
    ) -> Result<ConsentRequest, AuthorizationRefused> {
        authorize::authorize(&self.0, request, session_binding).await
    }

    /// Takes the decision of the resource owner, and makes the code: the only way to one.
    ///
    /// `ticket` is that of the [`ConsentRequest`], at most ten minutes old; `subject` is who
    /// is logged in, and `auth_time` when that happened.
    ///
    /// # Errors
    /// Says whether to show a page or to redirect, and how. A denial is a response, no
    /// error.
    pub async fn decide(
        &self,
        ticket: &str,
        session_binding: &[u8],
        subject: &Subject,
        auth_time: Timestamp,
        decision: ConsentDecision,
    ) -> Result<AuthorizationResponse, AuthorizationRefused> {
        let consent = authorize::Consent { ticket, session_binding, subject, auth_time, decision };
        authorize::decide(&self.0, consent).await
    }

    /// The user with this name and password, for the host's own login form: by the same user
    /// store, password verifier and attempt limiter as the password grant. `peer` is where the
    /// request came from.
    ///
    /// # Errors
    /// [`Error::InvalidGrant`] when there is no such user, the password is wrong or the user is
    /// disabled, which whoever logs in must not be able to tell apart; [`Error::Unavailable`] when
    /// there were too many attempts, or too many passwords are being checked; or when the server has
    /// no user store or no verifier.
    pub async fn log_in(
        &self,
        username: &str,
        password: &Password,
        peer: Option<IpAddr>,
    ) -> Result<Arc<User>, Error> {
        let outcome = login::log_in(&self.0, username, password.expose(), peer, self.0.now()).await;
        if let Err(error) = &outcome {
            self.0.report(&Event::LoginRefused { error });
        }
        outcome
    }

    /// What `token`, an access or a refresh token, stands for at this time (RFC 7662). The
    /// answer may be late by what the store allows for [`Read::Recent`](crate::store::Read).
    ///
    /// The caller is trusted: who may ask is for the host to say.
    ///
    /// # Errors
    /// When a store failed.
    pub async fn introspect(&self, token: &str) -> Result<Introspection, Error> {
        introspect::introspect(&self.0, token).await
    }

    /// Ends the grant of `token`, an access or a refresh token, and all its tokens with it
    /// (RFC 7009). True if it was good until now: false for one that has expired, and for a code
    /// that is yet to be redeemed.
    ///
    /// The caller is trusted: who may ask is for the host to say.
    ///
    /// # Errors
    /// When a store failed; the token may then still be valid.
    pub async fn revoke(&self, token: &str) -> Result<bool, Error> {
        revoke::revoke(&self.0, token, None).await
    }

    /// Answers an introspection request (RFC 7662 §2). A client is told of its own tokens, and of
    /// all with [`may_introspect`](crate::ClientBuilder::may_introspect); of others, that they are
    /// inactive.
    ///
    /// # Errors
    /// Whatever is wrong with the request or its client, which must not be a public one; or a
    /// store that failed.
    pub async fn introspection(&self, query: &TokenQuery<'_>) -> Result<Introspection, Error> {
        introspect::answer(&self.0, query).await
    }

    /// Answers a revocation request (RFC 7009 §2): ends the grant of a token of the client that
    /// asks. That the token is unknown, or another client's, is no error.
    ///
    /// # Errors
    /// Whatever is wrong with the request or its client; or a store that failed, and then the
    /// token may still be valid.
    pub async fn revocation(&self, query: &TokenQuery<'_>) -> Result<(), Error> {
        revoke::answer(&self.0, query).await
    }

    /// A page of the grants that match, for administration. Tokens never show.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn grants(&self, query: &GrantQuery) -> Result<Page, Error> {
        Ok(self.0.tokens.find(query).await?)
    }

    /// Ends a grant and all its tokens, for administration; a grant that hangs on another ends
    /// that one, too. False if there was none.
    ///
    /// # Errors
    /// When the store failed; the grant may then still stand.
    pub async fn revoke_grant(&self, id: GrantId) -> Result<bool, Error> {
        manage::revoke_grant(&self.0, id).await
    }

    /// Ends all grants of a client, one after the other, and says how many records that were.
    ///
    /// At once, and also for requests under way, they end when the client is given
    /// [`valid_after`](crate::ClientBuilder::valid_after); this gives their room back.
    ///
    /// # Errors
    /// When the store failed; some grants may then still stand.
    pub async fn revoke_client(&self, client: &ClientId) -> Result<usize, Error> {
        manage::revoke_all(&self.0, GrantQuery::new().of_client(client.clone())).await
    }

    /// Ends all grants of a resource owner, one after the other, and says how many records that
    /// were.
    ///
    /// At once, and also for requests under way, they end when the user is given
    /// [`valid_after`](crate::User::valid_after); this gives their room back.
    ///
    /// # Errors
    /// When the store failed; some grants may then still stand.
    pub async fn revoke_subject(&self, subject: &Subject) -> Result<usize, Error> {
        manage::revoke_all(&self.0, GrantQuery::new().of_subject(subject.clone())).await
    }

    /// Gives a client one more secret, in `registry`, which is the server's client store or what is
    /// behind it. The secret is shown this once. `None` if there is no such client.
    ///
    /// The secrets that it has go on to be accepted until `others_until`, so that the client can
    /// change over; one that ends sooner still does.
    ///
    /// # Errors
    /// When the registry failed, there is no randomness, or the client has as many secrets as it
    /// may: [`InvalidClient`](crate::InvalidClient) is the source then.
    pub async fn rotate_client_secret(
        &self,
        registry: &impl ClientRegistry,
        client: &ClientId,
        others_until: Option<Timestamp>,
    ) -> Result<Option<ClientSecret>, Error> {
        manage::rotate_client_secret(&self.0, registry, client, others_until).await
    }

    /// Removes a client from `registry`, which is the server's client store or what is behind it,
    /// and all its grants from the token store. False if there was no such client.
    ///
    /// A request under way can leave a grant behind, which is dead without its client. Should the
    /// same id ever be registered again, give it
    /// [`valid_after`](crate::ClientBuilder::valid_after) that moment.
    ///
    /// # Errors
    /// When a store failed. The client may then be gone, and with it all use of its tokens; call
    /// this again to remove what is left.
    pub async fn remove_client(&self, registry: &impl ClientRegistry, id: &ClientId) -> Result<bool, Error> {
        manage::remove_client(&self.0, registry, id).await
    }

    /// Removes a user from `registry`, and all grants of that subject from the token store, as
    /// [`remove_client`](Self::remove_client) does. False if there was no such user.
    ///
    /// # Errors
    /// When a store failed; call this again to remove what is left.
    pub async fn remove_user(&self, registry: &impl UserRegistry, subject: &Subject) -> Result<bool, Error> {
        manage::remove_user(&self.0, registry, subject).await
    }

    /// Deletes up to `limit` records that expired a while ago, and says how many. Stores
    /// reclaim room as they go; this is for those that want it sooner.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn purge_expired(&self, limit: usize) -> Result<usize, Error> {
        Ok(self.0.tokens.purge_expired(self.0.now(), limit).await?)
    }

    /// The issuer identifier, as it was given.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The grant types that are on.
    pub fn grant_types(&self) -> impl Iterator<Item = &GrantTypeName> {
        self.0.grant_types.names()
    }

    /// What the settings say.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn core(&self) -> &Core {
        &self.0
    }

    /// Descriptions of scopes, as they were given to the builder.
    #[must_use]
    pub fn scopes(&self) -> &[ScopeDefinition] {
        &self.0.scopes
    }

    /// What the user with this subject logs in as, if there is a user store that knows.
    pub(crate) async fn username(&self, subject: &Subject) -> Result<Option<String>, Error> {
        let Some(users) = &self.0.users else { return Ok(None) };
        Ok(users.subject(subject).await?.map(|user| user.username().to_owned()))
    }

    pub(crate) fn report(&self, event: &Event<'_>) {
        self.0.report(event);
    }
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}
