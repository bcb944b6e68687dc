//! [`Client`]: the registration of an application (RFC 6749 §2).

pub(crate) mod authentication;
mod builder;
mod secret;
#[cfg(feature = "serde")]
mod stored;

use crate::clock::{Lifetime, Timestamp};
use crate::entropy::{Entropy, EntropyError, SystemEntropy};
use crate::id::{ClientId, GrantTypeName};
use crate::redirect_uri::RedirectUri;
use crate::scope::Scope;
use crate::secret::ClientSecret;

pub use builder::{ClientBuilder, ClientProblem, DangerousClientBuilder, InvalidClient};
pub use secret::HashedSecret;

/// How a client proves who it is (RFC 7591 §2, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AuthMethod {
    /// HTTP Basic.
    ClientSecretBasic,
    /// `client_id` and `client_secret` in the body.
    ClientSecretPost,
    /// It does not: a public client names itself by `client_id`.
    None,
}

impl AuthMethod {
    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
        }
    }
}

/// How often a refresh token may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum RefreshLimit {
    /// There is none: the client gets no refresh token.
    None,
    /// So many times, counted over all rotations.
    Times(u32),
    /// As often as it likes.
    #[default]
    Unlimited,
}

/// An application that is registered with this server.
///
/// Made with [`Client::confidential`] or [`Client::public`] and changed with
/// [`to_builder`](Self::to_builder); a store keeps it as it is.
///
/// ```
/// use grantor::{Client, GrantTypeName};
///
/// let (secret, hashed) = Client::generate_secret()?;
/// let reports = Client::confidential("nightly-reports")
///     .name("Nightly reports")
///     .secret(hashed)
///     .grant_type(GrantTypeName::CLIENT_CREDENTIALS)
///     .scopes("orders.read orders.write")
///     .default_scopes("orders.read")
///     .build()?;
/// println!("give this to the application: {}", secret.expose());
/// # assert_eq!(reports.default_scopes().as_str(), "orders.read");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    id: ClientId,
    name: Option<String>,
    version: Option<String>,
    description: Option<String>,
    auth_methods: Vec<AuthMethod>,
    secrets: Vec<HashedSecret>,
    grant_types: Vec<GrantTypeName>,
    redirect_uris: Vec<RedirectUri>,
    scopes: Scope,
    default_scopes: Scope,
    access_token_lifetime: Option<Lifetime>,
    refresh_limit: RefreshLimit,
    rotate_refresh_tokens: bool,
    require_pkce: Option<bool>,
    may_introspect: bool,
    enabled: bool,
    valid_after: Timestamp,
}

impl Client {
    /// Begins the registration of a client that can keep a secret.
    pub fn confidential(id: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(id.into(), vec![AuthMethod::ClientSecretBasic])
    }

    /// Begins the registration of a client that cannot keep a secret, such as a native or
    /// browser application.
    pub fn public(id: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(id.into(), vec![AuthMethod::None])
    }

    /// A client that no secret is known for and that may do nothing.
    pub(crate) fn nobody() -> Self {
        Self {
            id: ClientId::NOBODY,
            name: None,
            version: None,
            description: None,
            auth_methods: Vec::new(),
            secrets: vec![HashedSecret::from_sha256([0; 32])],
            grant_types: Vec::new(),
            redirect_uris: Vec::new(),
            scopes: Scope::empty(),
            default_scopes: Scope::empty(),
            access_token_lifetime: None,
            refresh_limit: RefreshLimit::None,
            rotate_refresh_tokens: true,
            require_pkce: None,
            may_introspect: false,
            enabled: false,
            valid_after: Timestamp::EPOCH,
        }
    }

    /// Begins a changed registration under the same id.
    pub fn to_builder(&self) -> ClientBuilder {
        ClientBuilder::from_client(self.clone())
    }

    /// A new secret of 256 bits, to be shown once, and what to register of it.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate_secret() -> Result<(ClientSecret, HashedSecret), EntropyError> {
        Self::generate_secret_from(&SystemEntropy)
    }

    /// [`generate_secret`](Self::generate_secret) with the given source.
    ///
    /// # Errors
    /// When `entropy` has nothing to give.
    pub fn generate_secret_from(
        entropy: &impl Entropy,
    ) -> Result<(ClientSecret, HashedSecret), EntropyError> {
        secret::generate(entropy)
    }

    /// The identifier.
    #[must_use]
    pub fn id(&self) -> &ClientId {
        &self.id
    }

    /// The name to show to people; the id if none is set.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }

    /// The version of the application.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What the application does.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// True if it cannot keep a secret (RFC 6749 §2.1).
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.auth_methods == [AuthMethod::None]
    }

    /// The ways in which it may authenticate.
    #[must_use]
    pub fn auth_methods(&self) -> &[AuthMethod] {
        &self.auth_methods
    }

    /// The secrets that are accepted.
    #[must_use]
    pub fn secrets(&self) -> &[HashedSecret] {
        &self.secrets
    }

    /// The grant types it may use.
    #[must_use]
    pub fn grant_types(&self) -> &[GrantTypeName] {
        &self.grant_types
    }

    /// True if it may use `grant_type`.
    #[must_use]
    pub fn may_use(&self, grant_type: &GrantTypeName) -> bool {
        self.grant_types.contains(grant_type)
    }

    /// Where authorization responses may be sent.
    #[must_use]
    pub fn redirect_uris(&self) -> &[RedirectUri] {
        &self.redirect_uris
    }

    /// All it may ask for.
    #[must_use]
    pub fn scopes(&self) -> &Scope {
        &self.scopes
    }

    /// What it gets if it does not say.
    #[must_use]
    pub fn default_scopes(&self) -> &Scope {
        &self.default_scopes
    }

    /// How long its access tokens live; `None`: as the server says.
    #[must_use]
    pub fn access_token_lifetime(&self) -> Option<Lifetime> {
        self.access_token_lifetime
    }

    /// How often its refresh tokens may be used.
    #[must_use]
    pub fn refresh_limit(&self) -> RefreshLimit {
        self.refresh_limit
    }

    /// True if each refresh brings a new refresh token.
    #[must_use]
    pub fn rotates_refresh_tokens(&self) -> bool {
        self.rotate_refresh_tokens
    }

    /// Must it use PKCE? `None`: as the server says.
    #[must_use]
    pub fn requires_pkce(&self) -> Option<bool> {
        self.require_pkce
    }

    /// True if it may look at tokens of other clients.
    #[must_use]
    pub fn may_introspect(&self) -> bool {
        self.may_introspect
    }

    /// False if the client is disabled: its requests fail and its tokens are inactive
    /// until it is enabled again.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Grants that began before this moment are dead.
    #[must_use]
    pub fn valid_after(&self) -> Timestamp {
        self.valid_after
    }
}
