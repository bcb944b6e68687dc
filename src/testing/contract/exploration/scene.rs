//! What there is before the requests of a run, and which requests make sense then.

use std::sync::Arc;
use std::time::Duration;

use crate::client::{Client, ClientBuilder, HashedSecret, RefreshLimit};
use crate::clock::{Clock as _, Timestamp};
use crate::grant::{Allowed, CodeTerms, Grant};
use crate::id::{ClientId, GrantId, GrantTypeName, Subject};
use crate::pkce::CodeVerifier;
use crate::scope::Scope;
use crate::secret::ClientSecret;
use crate::store::{ClientStore, Insert, StoreError, TokenStore};
use crate::testing::ManualClock;
use crate::testing::contract::{Rule, Violation, unmade};
use crate::testing::samples::BEGIN;
use crate::{AuthorizationServer, ServerKey, Settings, TokenRequest};

use super::Skew;
use super::stage::{Stage, Staged};

const OPENING: Rule = Rule("protocol_opening");

const REDIRECT_URI: &str = "https://app.example/callback";
const SECRET: &str = "the secret of a client of the exploration";
const VERIFIER: &str = "a-verifier-of-the-exploration-a-verifier-of";
/// Between the rotation of an opening and the requests.
const A_WHILE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(14 * 24 * 3600);

/// What there is before the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Nothing,
    CodeIssued,
    LoggedIn,
    Rotated,
    RotatedAtTheEdge,
    RotatedLongAgo,
    WithChildren,
    Counted,
    Ending,
}

/// A request, about the one grant that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Issue,
    Exchange,
    ExchangeWithWrongVerifier,
    ExchangeByStranger,
    Refresh,
    RefreshNarrowed,
    RefreshByStranger,
    RefreshPrevious,
    RevokeAccess,
    RevokeRefresh,
    Introspect,
    Purge,
}

impl Opening {
    pub(super) const ALL: [Self; 9] = [
        Self::Nothing,
        Self::CodeIssued,
        Self::LoggedIn,
        Self::Rotated,
        Self::RotatedAtTheEdge,
        Self::RotatedLongAgo,
        Self::WithChildren,
        Self::Counted,
        Self::Ending,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::CodeIssued => "a code that is yet to be redeemed",
            Self::LoggedIn => "a code that was redeemed, and the tokens it gave",
            Self::Rotated => "a refresh token that has just been replaced, and its successor",
            Self::RotatedAtTheEdge => "a refresh token that was replaced as long ago as the retry window is",
            Self::RotatedLongAgo => "a refresh token that was replaced long ago, and its successor",
            Self::WithChildren => "a refresh token that does not rotate, and a child record",
            Self::Counted => "a refresh token that may be used once",
            Self::Ending => "a refresh token that is about to end",
        }
    }

    /// What may be asked at once.
    pub(super) const fn asks(self) -> &'static [Ask] {
        match self {
            Self::Nothing => &[Ask::Issue],
            Self::CodeIssued => {
                &[Ask::Exchange, Ask::ExchangeWithWrongVerifier, Ask::ExchangeByStranger, Ask::Purge]
            }
            Self::LoggedIn => &[
                Ask::Refresh,
                Ask::RefreshNarrowed,
                Ask::Exchange,
                Ask::RevokeAccess,
                Ask::RevokeRefresh,
                Ask::Introspect,
                Ask::Purge,
            ],
            Self::Rotated => &[
                Ask::Refresh,
                Ask::RefreshPrevious,
                Ask::RefreshByStranger,
                Ask::RevokeRefresh,
                Ask::Introspect,
            ],
            Self::RotatedAtTheEdge | Self::RotatedLongAgo => {
                &[Ask::Refresh, Ask::RefreshPrevious, Ask::Introspect]
            }
            Self::WithChildren => {
                &[Ask::Refresh, Ask::Exchange, Ask::RevokeAccess, Ask::Introspect, Ask::Purge]
            }
            Self::Counted => &[Ask::Refresh, Ask::RevokeRefresh],
            Self::Ending => &[Ask::Refresh, Ask::Purge],
        }
    }

    const fn client(self) -> &'static str {
        match self {
            Self::Nothing => "machine",
            Self::WithChildren => "steady",
            Self::Counted => "counted",
            _ => "app",
        }
    }
}

impl Ask {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Issue => "client credentials",
            Self::Exchange => "exchange",
            Self::ExchangeWithWrongVerifier => "exchange with a wrong verifier",
            Self::ExchangeByStranger => "exchange by another client",
            Self::Refresh => "refresh",
            Self::RefreshNarrowed => "refresh with less scope",
            Self::RefreshByStranger => "refresh by another client",
            Self::RefreshPrevious => "refresh with the token before",
            Self::RevokeAccess => "revoke the access token",
            Self::RevokeRefresh => "revoke the refresh token",
            Self::Introspect => "introspect the access token",
            Self::Purge => "purge",
        }
    }

    /// Does it present the refresh token that is in force?
    pub(super) const fn is_refresh(self) -> bool {
        matches!(self, Self::Refresh | Self::RefreshNarrowed)
    }

    /// Is the grant to end by it?
    pub(super) fn ends(self, opening: Opening) -> bool {
        match self {
            Self::RevokeAccess | Self::RevokeRefresh => true,
            Self::Exchange => opening != Opening::CodeIssued,
            Self::RefreshPrevious => opening == Opening::RotatedLongAgo,
            _ => false,
        }
    }

    /// Can no grant end and no token be had by it?
    pub(super) const fn is_hostile(self) -> bool {
        matches!(self, Self::ExchangeWithWrongVerifier | Self::ExchangeByStranger | Self::RefreshByStranger)
    }
}

/// Two servers on one store, and the one grant that the requests are about.
pub(super) struct Scene<S> {
    pub(super) opening: Opening,
    pub(super) nodes: [AuthorizationServer; 2],
    /// Of the first node.
    pub(super) clock: ManualClock,
    pub(super) stage: Arc<Stage>,
    pub(super) store: Arc<S>,
    pub(super) subject: Option<Subject>,
    pub(super) grant: Option<GrantId>,
    /// Access tokens that are live.
    pub(super) access: Vec<String>,
    pub(super) refresh: Option<String>,
    code: Option<String>,
    previous: Option<String>,
}

/// What all scenes of an exploration share.
pub(super) struct Company {
    clients: Arc<Clients>,
    entropy: crate::testing::SeededEntropy,
    scenes: std::sync::atomic::AtomicUsize,
}

impl Company {
    pub(super) fn new() -> Result<Self, Violation> {
        Ok(Self {
            clients: Arc::new(Clients::new()?),
            entropy: crate::testing::SeededEntropy::new(3),
            scenes: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    /// The scene at which the requests are made.
    pub(super) async fn open<S: TokenStore>(
        &self,
        opening: Opening,
        skew: Skew,
        store: S,
    ) -> Result<Scene<S>, Violation> {
        let store = Arc::new(store);
        let stage = Arc::new(Stage::default());
        let clocks = [ManualClock::new(BEGIN), ManualClock::new(BEGIN)];
        let node = |clock: &ManualClock| {
            AuthorizationServer::builder("https://id.example")
                .clients(Arc::clone(&self.clients))
                .tokens(Staged { store: Arc::clone(&store), stage: Arc::clone(&stage) })
                .settings(Settings::default().refresh_token_idle_lifetime(IDLE))
                .clock(clock.clone())
                .entropy(self.entropy.clone())
                .server_key(ServerKey::from_bytes([5; 32]))
                .build()
                .map_err(unmade)
        };
        let [first, second] = &clocks;
        let mut scene = Scene {
            opening,
            nodes: [node(first)?, node(second)?],
            clock: first.clone(),
            stage,
            store,
            subject: None,
            grant: None,
            access: Vec::new(),
            refresh: None,
            code: None,
            previous: None,
        };
        let number = self.scenes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        scene.prepare(number).await?;
        second.set(skew.apply(first.now()));
        Ok(scene)
    }
}

impl<S: TokenStore> Scene<S> {
    async fn prepare(&mut self, number: usize) -> Result<(), Violation> {
        if self.opening == Opening::Nothing {
            return Ok(());
        }
        self.issue_code(number).await.map_err(|why| OPENING.broken(why.to_string()))?;
        if self.opening == Opening::CodeIssued {
            return Ok(());
        }
        self.tokens_by(Ask::Exchange).await?;
        match self.opening {
            Opening::Rotated => self.tokens_by(Ask::Refresh).await?,
            Opening::RotatedAtTheEdge => {
                self.tokens_by(Ask::Refresh).await?;
                self.clock.advance(Duration::from_secs(31));
            }
            Opening::RotatedLongAgo => {
                self.tokens_by(Ask::Refresh).await?;
                self.clock.advance(A_WHILE);
            }
            Opening::WithChildren => self.tokens_by(Ask::Refresh).await?,
            Opening::Ending => {
                self.clock.advance(IDLE.saturating_sub(Duration::from_secs(2)));
                self.access.clear();
            }
            _ => {}
        }
        Ok(())
    }

    async fn issue_code(&mut self, number: usize) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let [node, _] = &self.nodes;
        let core = node.core();
        let subject = Subject::new(format!("explored-{number}"))?;
        let allowed = Allowed {
            client: ClientId::new(self.opening.client())?,
            subject: Some(subject.clone()),
            grant_type: GrantTypeName::AUTHORIZATION_CODE,
            scope: Scope::parse("a b")?,
            began_at: core.now(),
            auth_time: None,
        };
        let terms = CodeTerms {
            lifetime: Duration::from_secs(60),
            redirect_uri: Some(REDIRECT_URI.into()),
            challenge: Some(CodeVerifier::new(VERIFIER)?.challenge()),
        };
        let (grant, secret) = Grant::with_code(allowed, terms, &core.seed()?, core.now());
        self.subject = Some(subject);
        self.grant = Some(grant.id());
        self.code = Some(core.format.write(grant.id(), &secret));
        match core.tokens.insert(grant).await? {
            Insert::Inserted => Ok(()),
            other => Err(format!("insert into an empty store: {other:?}").into()),
        }
    }

    /// Makes the request and keeps what it gives.
    pub(super) async fn tokens_by(&mut self, ask: Ask) -> Result<(), Violation> {
        let [node, _] = &self.nodes;
        let tokens = node
            .token(&self.token_request(ask))
            .await
            .map_err(|error| OPENING.broken(format!("{}, alone and without trouble: {error}", ask.name())))?;
        self.access.push(tokens.access_token().expose().to_owned());
        if let Some(refresh) = tokens.refresh_token() {
            self.previous = self.refresh.replace(refresh.expose().to_owned());
        }
        Ok(())
    }

    pub(super) fn node(&self, number: usize) -> &AuthorizationServer {
        let [first, second] = &self.nodes;
        if number.is_multiple_of(2) { first } else { second }
    }

    /// An access token that stands for the grant.
    pub(super) fn access(&self) -> &str {
        self.access.last().map_or("", String::as_str)
    }

    pub(super) fn refresh_token(&self) -> &str {
        self.refresh.as_deref().unwrap_or_default()
    }

    /// A request to the token endpoint.
    pub(super) fn token_request(&self, ask: Ask) -> TokenRequest<'_> {
        let current = self.refresh_token();
        match ask {
            Ask::Refresh => self.refresh_request(current),
            Ask::RefreshNarrowed => self.refresh_request(current).parameter("scope", "a"),
            Ask::RefreshPrevious => self.refresh_request(self.previous.as_deref().unwrap_or_default()),
            Ask::RefreshByStranger => TokenRequest::new("refresh_token")
                .parameter("refresh_token", current)
                .parameter("client_id", "stranger"),
            Ask::ExchangeWithWrongVerifier => self.exchange().parameter("code_verifier", "w".repeat(43)),
            Ask::ExchangeByStranger => {
                self.code_request().parameter("code_verifier", VERIFIER).parameter("client_id", "stranger")
            }
            Ask::Exchange => self.exchange().parameter("code_verifier", VERIFIER),
            _ => TokenRequest::new("client_credentials").basic("machine", SECRET),
        }
    }

    pub(super) fn refresh_request<'a>(&'a self, token: &'a str) -> TokenRequest<'a> {
        self.authenticated(TokenRequest::new("refresh_token").parameter("refresh_token", token))
    }

    fn exchange(&self) -> TokenRequest<'_> {
        self.authenticated(self.code_request())
    }

    fn code_request(&self) -> TokenRequest<'_> {
        TokenRequest::new("authorization_code")
            .parameter("code", self.code.as_deref().unwrap_or_default())
            .parameter("redirect_uri", REDIRECT_URI)
    }

    fn authenticated<'a>(&self, request: TokenRequest<'a>) -> TokenRequest<'a> {
        match self.opening.client() {
            "app" => request.parameter("client_id", "app"),
            confidential => request.basic(confidential, SECRET),
        }
    }
}

/// The clients of all scenes.
struct Clients(Vec<Arc<Client>>);

impl Clients {
    fn new() -> Result<Self, Violation> {
        let secret = || HashedSecret::sha256(&ClientSecret::new(SECRET));
        let user_agent = |builder: ClientBuilder| {
            builder
                .grant_type(GrantTypeName::AUTHORIZATION_CODE)
                .grant_type(GrantTypeName::REFRESH_TOKEN)
                .redirect_uri(REDIRECT_URI)
        };
        let steady = |id| user_agent(Client::confidential(id).secret(secret())).rotate_refresh_tokens(false);
        let builders = [
            user_agent(Client::public("app")),
            user_agent(Client::public("stranger")),
            steady("steady"),
            steady("counted").refresh_limit(RefreshLimit::Times(1)),
            Client::confidential("machine").secret(secret()).grant_type(GrantTypeName::CLIENT_CREDENTIALS),
        ];
        let build = |builder: ClientBuilder| {
            builder.scopes("a b").default_scopes("a b").build().map(Arc::new).map_err(unmade)
        };
        Ok(Self(builders.into_iter().map(build).collect::<Result<_, _>>()?))
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientStore for Clients {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        Ok(self.0.iter().find(|client| client.id() == id).cloned())
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::EPOCH)
    }
}
