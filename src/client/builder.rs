//! Building a registration, and refusing those that make no sense.

use std::time::Duration;

use crate::clock::{Lifetime, Timestamp};
use crate::id::{ClientId, GrantTypeName, InvalidName};
use crate::redirect_uri::{InvalidRedirectUri, RedirectUri, RedirectUriRules};
use crate::scope::{InvalidScope, Scope};

use super::{AuthMethod, Client, HashedSecret, RefreshLimit};

/// A registration that makes no sense. Names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("client {client:?}: {field}: {problem}")]
pub struct InvalidClient {
    client: String,
    field: &'static str,
    problem: ClientProblem,
}

impl InvalidClient {
    /// The field of the registration, such as `redirect_uris`.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &ClientProblem {
        &self.problem
    }
}

/// What is wrong with a field of a registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientProblem {
    /// The client identifier breaks its grammar.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A scope breaks its grammar.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    /// A redirect URI is not acceptable.
    #[error("{uri:?}: {reason}")]
    RedirectUri {
        /// The URI.
        uri: String,
        /// Why not.
        reason: InvalidRedirectUri,
    },
    /// The fields contradict each other.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// More secrets than rotation needs would let one request cost many comparisons.
const MOST_SECRETS: usize = 8;

/// Builds a [`Client`]. [`build`](Self::build) checks everything and names the field that
/// is wrong.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    id: String,
    client: Draft,
    redirect_uri_rules: RedirectUriRules,
    /// The first thing that could not be read.
    failed: Option<(&'static str, ClientProblem)>,
}

/// A [`Client`] without its id.
#[derive(Clone, Debug)]
struct Draft {
    name: Option<String>,
    version: Option<String>,
    description: Option<String>,
    auth_methods: Vec<AuthMethod>,
    secrets: Vec<HashedSecret>,
    grant_types: Vec<GrantTypeName>,
    redirect_uris: Vec<String>,
    scopes: Scope,
    default_scopes: Scope,
    access_token_lifetime: Option<Result<Lifetime, Duration>>,
    refresh_limit: RefreshLimit,
    rotate_refresh_tokens: bool,
    require_pkce: Option<bool>,
    may_introspect: bool,
    enabled: bool,
    valid_after: Timestamp,
}

impl ClientBuilder {
    pub(super) fn new(id: String, auth_methods: Vec<AuthMethod>) -> Self {
        let client = Draft {
            name: None,
            version: None,
            description: None,
            auth_methods,
            secrets: Vec::new(),
            grant_types: Vec::new(),
            redirect_uris: Vec::new(),
            scopes: Scope::empty(),
            default_scopes: Scope::empty(),
            access_token_lifetime: None,
            refresh_limit: RefreshLimit::default(),
            rotate_refresh_tokens: true,
            require_pkce: None,
            may_introspect: false,
            enabled: true,
            valid_after: Timestamp::EPOCH,
        };
        Self { id, client, redirect_uri_rules: RedirectUriRules::default(), failed: None }
    }

    pub(super) fn from_client(client: Client) -> Self {
        let draft = Draft {
            name: client.name,
            version: client.version,
            description: client.description,
            auth_methods: client.auth_methods,
            secrets: client.secrets,
            grant_types: client.grant_types,
            redirect_uris: client.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
            scopes: client.scopes,
            default_scopes: client.default_scopes,
            access_token_lifetime: client.access_token_lifetime.map(Ok),
            refresh_limit: client.refresh_limit,
            rotate_refresh_tokens: client.rotate_refresh_tokens,
            require_pkce: client.require_pkce,
            may_introspect: client.may_introspect,
            enabled: client.enabled,
            valid_after: client.valid_after,
        };
        // What was registered before is not refused now.
        let rules = RedirectUriRules::default().any_private_scheme(true);
        Self { id: client.id.as_str().to_owned(), client: draft, redirect_uri_rules: rules, failed: None }
    }

    /// The name to show to people.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.client.name = Some(name.into());
        self
    }

    /// The version of the application.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.client.version = Some(version.into());
        self
    }

    /// What the application does.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.client.description = Some(description.into());
        self
    }

    /// The ways in which a confidential client may authenticate, in place of
    /// `client_secret_basic`.
    pub fn auth_methods(mut self, methods: impl IntoIterator<Item = AuthMethod>) -> Self {
        self.client.auth_methods = methods.into_iter().collect();
        self
    }

    /// Accepts one more secret: up to eight at once, so that they can be rotated.
    pub fn secret(mut self, secret: HashedSecret) -> Self {
        self.client.secrets.push(secret);
        self
    }

    /// Accepts no secret but those that are added from here on.
    pub fn without_secrets(mut self) -> Self {
        self.client.secrets.clear();
        self
    }

    /// Allows one more grant type.
    pub fn grant_type(mut self, grant_type: GrantTypeName) -> Self {
        if !self.client.grant_types.contains(&grant_type) {
            self.client.grant_types.push(grant_type);
        }
        self
    }

    /// Allows no grant type but those that are added from here on.
    pub fn without_grant_types(mut self) -> Self {
        self.client.grant_types.clear();
        self
    }

    /// Registers one more redirect URI; see [`RedirectUri`] for what is acceptable.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.client.redirect_uris.push(uri.into());
        self
    }

    /// Registers no redirect URI but those that are added from here on.
    pub fn without_redirect_uris(mut self) -> Self {
        self.client.redirect_uris.clear();
        self
    }

    /// Accepts redirect URIs by other rules than the default.
    pub fn redirect_uri_rules(mut self, rules: RedirectUriRules) -> Self {
        self.redirect_uri_rules = rules;
        self
    }

    /// All that the client may ask for, as tokens separated by spaces.
    pub fn scopes(mut self, scopes: impl AsRef<str>) -> Self {
        self.client.scopes = self.read_scope("scopes", scopes.as_ref());
        self
    }

    /// What the client gets if it does not say, as tokens separated by spaces.
    pub fn default_scopes(mut self, scopes: impl AsRef<str>) -> Self {
        self.client.default_scopes = self.read_scope("default_scopes", scopes.as_ref());
        self
    }

    /// How long access tokens of this client live, in place of the server's setting.
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.client.access_token_lifetime = Some(Lifetime::from_duration(lifetime).ok_or(lifetime));
        self
    }

    /// Access tokens of this client live as long as the server's setting says.
    pub fn inherit_access_token_lifetime(mut self) -> Self {
        self.client.access_token_lifetime = None;
        self
    }

    /// How often refresh tokens of this client may be used.
    pub fn refresh_limit(mut self, limit: RefreshLimit) -> Self {
        self.client.refresh_limit = limit;
        self
    }

    /// Does each refresh bring a new refresh token? Only a confidential client may do
    /// without.
    pub fn rotate_refresh_tokens(mut self, rotate: bool) -> Self {
        self.client.rotate_refresh_tokens = rotate;
        self
    }

    /// Must the client use PKCE, whatever the server's setting says? A public client always
    /// must.
    pub fn require_pkce(mut self, require: bool) -> Self {
        self.client.require_pkce = Some(require);
        self
    }

    /// May the client look at tokens of other clients? For resource servers.
    pub fn may_introspect(mut self, may: bool) -> Self {
        self.client.may_introspect = may;
        self
    }

    /// Enables or disables the client.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.client.enabled = enabled;
        self
    }

    /// Ends all grants of this client that began before `moment`.
    pub fn valid_after(mut self, moment: Timestamp) -> Self {
        self.client.valid_after = moment;
        self
    }

    /// Settings that weaken security.
    pub fn dangerous(self) -> DangerousClientBuilder {
        DangerousClientBuilder(self)
    }

    /// The registration.
    ///
    /// # Errors
    /// When a field breaks its grammar or contradicts another; the error names the field.
    pub fn build(self) -> Result<Client, InvalidClient> {
        let Self { id, client: draft, redirect_uri_rules, failed } = self;
        let error = |(field, problem)| InvalidClient { client: id.clone(), field, problem };
        failed.map_or(Ok(()), |failed| Err(error(failed)))?;
        let client_id = ClientId::new(id.as_str()).map_err(|problem| error(("id", problem.into())))?;
        let redirect_uris = draft.redirect_uris.iter().map(|uri| {
            RedirectUri::parse_with(uri, redirect_uri_rules).map_err(|reason| {
                error(("redirect_uris", ClientProblem::RedirectUri { uri: uri.clone(), reason }))
            })
        });
        let redirect_uris = redirect_uris.collect::<Result<Vec<_>, _>>()?;
        let contradiction = |(field, text)| error((field, ClientProblem::Contradiction(text)));
        draft.check().map_err(contradiction)?;
        Ok(Client {
            id: client_id,
            name: draft.name,
            version: draft.version,
            description: draft.description,
            auth_methods: draft.auth_methods,
            secrets: draft.secrets,
            grant_types: draft.grant_types,
            redirect_uris,
            scopes: draft.scopes,
            default_scopes: draft.default_scopes,
            access_token_lifetime: draft.access_token_lifetime.and_then(Result::ok),
            refresh_limit: draft.refresh_limit,
            rotate_refresh_tokens: draft.rotate_refresh_tokens,
            require_pkce: draft.require_pkce,
            may_introspect: draft.may_introspect,
            enabled: draft.enabled,
            valid_after: draft.valid_after,
        })
    }

    fn read_scope(&mut self, field: &'static str, text: &str) -> Scope {
        if text.is_empty() {
            return Scope::empty();
        }
        Scope::parse(text).unwrap_or_else(|problem| {
            self.failed.get_or_insert((field, problem.into()));
            Scope::empty()
        })
    }
}

impl Draft {
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let public = self.auth_methods == [AuthMethod::None];
        let uses = |grant_type| self.grant_types.contains(&grant_type);
        if self.auth_methods.is_empty() {
            return Err(("auth_methods", "there is none"));
        }
        if !public && self.auth_methods.contains(&AuthMethod::None) {
            return Err(("auth_methods", "none cannot be combined with another method"));
        }
        if public && !self.secrets.is_empty() {
            return Err(("secrets", "a public client has no secret"));
        }
        if !public && self.secrets.is_empty() {
            return Err(("secrets", "a confidential client needs one"));
        }
        if self.secrets.len() > MOST_SECRETS {
            return Err(("secrets", "there are more than eight"));
        }
        if public && uses(GrantTypeName::CLIENT_CREDENTIALS) {
            return Err(("grant_types", "a public client cannot use client_credentials"));
        }
        if uses(GrantTypeName::AUTHORIZATION_CODE) && self.redirect_uris.is_empty() {
            return Err(("redirect_uris", "authorization_code needs one"));
        }
        if !self.default_scopes.is_subset(&self.scopes) {
            return Err(("default_scopes", "they are not all in scopes"));
        }
        if public && !self.rotate_refresh_tokens {
            return Err(("rotate_refresh_tokens", "a public client must rotate its refresh tokens"));
        }
        if public && self.require_pkce == Some(false) {
            return Err(("require_pkce", "a public client must use PKCE"));
        }
        if matches!(self.access_token_lifetime, Some(Err(_))) {
            return Err((
                "access_token_lifetime",
                "it is not a whole number of seconds from 1 to 4294967295",
            ));
        }
        Ok(())
    }
}

/// What weakens the security of one client.
#[derive(Clone, Debug)]
#[must_use]
pub struct DangerousClientBuilder(ClientBuilder);

impl DangerousClientBuilder {
    /// Access tokens of this client never expire: a leaked one works until its grant is
    /// revoked.
    pub fn access_tokens_never_expire(mut self) -> ClientBuilder {
        self.0.client.access_token_lifetime = Some(Ok(Lifetime::NEVER_ENDS));
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ClientSecret;

    fn secret() -> HashedSecret {
        HashedSecret::sha256(&ClientSecret::new("s"))
    }

    #[test]
    fn errors_name_the_field() {
        let confidential = || Client::confidential("c").secret(secret());
        let cases = [
            (Client::confidential("").secret(secret()), "id"),
            (Client::confidential("c"), "secrets"),
            (Client::public("c").secret(secret()), "secrets"),
            ((0..9).fold(Client::confidential("c"), |builder, _| builder.secret(secret())), "secrets"),
            (confidential().auth_methods([]), "auth_methods"),
            (confidential().auth_methods([AuthMethod::None, AuthMethod::ClientSecretPost]), "auth_methods"),
            (Client::public("c").grant_type(GrantTypeName::CLIENT_CREDENTIALS), "grant_types"),
            (confidential().grant_type(GrantTypeName::AUTHORIZATION_CODE), "redirect_uris"),
            (confidential().redirect_uri("https://c.example/#f"), "redirect_uris"),
            (confidential().redirect_uri("JavaScript:alert(1)"), "redirect_uris"),
            (confidential().scopes("a  b"), "scopes"),
            (confidential().default_scopes("a\"b"), "default_scopes"),
            (confidential().scopes("a").default_scopes("a b"), "default_scopes"),
            (Client::public("c").rotate_refresh_tokens(false), "rotate_refresh_tokens"),
            (Client::public("c").require_pkce(false), "require_pkce"),
            (confidential().access_token_lifetime(Duration::ZERO), "access_token_lifetime"),
            (confidential().access_token_lifetime(Duration::from_millis(1500)), "access_token_lifetime"),
        ];
        for (builder, field) in cases {
            let error = builder.clone().build().expect_err(field);
            assert_eq!(error.field(), field, "{builder:?}");
        }
    }

    #[test]
    fn a_client_is_the_same_after_a_round_through_its_builder() {
        let client = Client::confidential("c")
            .name("C")
            .version("1.0")
            .description("d")
            .secret(secret())
            .auth_methods([AuthMethod::ClientSecretPost])
            .grant_type(GrantTypeName::AUTHORIZATION_CODE)
            .redirect_uri("https://c.example/cb")
            .scopes("a b")
            .default_scopes("a")
            .refresh_limit(RefreshLimit::Times(3))
            .rotate_refresh_tokens(false)
            .require_pkce(false)
            .may_introspect(true)
            .enabled(false)
            .valid_after(Timestamp::from_secs(7))
            .dangerous()
            .access_tokens_never_expire()
            .build()
            .unwrap();
        assert_eq!(client.to_builder().build().unwrap(), client);
    }
}
