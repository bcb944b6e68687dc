//! What the tests share: a server with a manual clock, its clients, and requests to it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use grantor::event::{Event, EventSink};
use grantor::http::{Reply, Request, Router, RouterBuilder};
use grantor::store::{
    ClientStore, MemoryClientStore, MemoryTokenStore, MemoryUserStore, TokenStore, UserStore,
};
use grantor::testing::{ManualClock, SeededEntropy, block_on};
use grantor::{
    AuthMethod, AuthorizationRequest, AuthorizationServer, Builder, Client, ClientBuilder, ClientSecret,
    CodeVerifier, ConsentDecision, GrantTypeName, HashedSecret, Introspection, Scope, ServerKey, Settings,
    Subject, Timestamp,
};
use serde_json::Value;

pub const SECRET: &str = "a-secret-of-the-app";
pub const REDIRECT_URI: &str = "https://app.example/cb";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const SESSION: &[u8] = b"the session of alice";
pub const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A confidential client that may do everything, with the scopes `a b c` and the default
/// `a b`.
pub fn app() -> ClientBuilder {
    confidential("app")
}

pub fn confidential(id: &str) -> ClientBuilder {
    Client::confidential(id)
        .secret(hashed(SECRET))
        .auth_methods([AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost])
        .grant_type(GrantTypeName::AUTHORIZATION_CODE)
        .grant_type(GrantTypeName::CLIENT_CREDENTIALS)
        .grant_type(GrantTypeName::REFRESH_TOKEN)
        .redirect_uri(REDIRECT_URI)
        .scopes("a b c")
        .default_scopes("a b")
}

/// A public client with code and refresh.
pub fn spa() -> ClientBuilder {
    Client::public("spa")
        .grant_type(GrantTypeName::AUTHORIZATION_CODE)
        .grant_type(GrantTypeName::REFRESH_TOKEN)
        .redirect_uri(REDIRECT_URI)
        .scopes("a b c")
        .default_scopes("a b")
}

pub fn hashed(secret: &str) -> HashedSecret {
    HashedSecret::sha256(&ClientSecret::new(secret))
}

pub fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

pub fn alice() -> Subject {
    Subject::new("alice").unwrap()
}

/// Keeps the events that it is told of, as text.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    /// All events since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// True if an event since the last `take` contains `part`; forgets them.
    pub fn saw(&self, part: &str) -> bool {
        self.take().iter().any(|event| event.contains(part))
    }
}

impl EventSink for Events {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// How a test server is built. Fields are public: a test changes what it is about.
pub struct Setup {
    pub clients: Vec<Client>,
    pub settings: Settings,
    pub clock: ManualClock,
    pub capacity: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clients: vec![
                app().build().unwrap(),
                confidential("other").build().unwrap(),
                spa().build().unwrap(),
            ],
            settings: Settings::default(),
            clock: ManualClock::new(START),
            capacity: 100_000,
        }
    }
}

impl Setup {
    pub fn clients(mut self, clients: impl IntoIterator<Item = ClientBuilder>) -> Self {
        self.clients = clients.into_iter().map(|builder| builder.build().unwrap()).collect();
        self
    }

    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// On the memory stores.
    pub fn build(self) -> Harness {
        let tokens = MemoryTokenStore::builder().capacity(self.capacity).build().unwrap();
        self.build_on(tokens)
    }

    /// On the given token store.
    pub fn build_on(self, tokens: impl TokenStore) -> Harness {
        let clients = Arc::new(MemoryClientStore::from_iter(self.clients.clone()));
        self.build_with(Arc::clone(&clients), tokens, clients, |builder| builder)
    }

    /// With users.
    pub fn build_with_users(self, users: impl UserStore) -> Harness {
        let clients = Arc::new(MemoryClientStore::from_iter(self.clients.clone()));
        let tokens = MemoryTokenStore::builder().capacity(self.capacity).build().unwrap();
        self.build_with(Arc::clone(&clients), tokens, clients, |builder| builder.users(users))
    }

    /// On the given stores, and with `more` done to the builder. `registry` is where
    /// [`Harness::clients`] changes registrations.
    pub fn build_with(
        self,
        clients: impl ClientStore,
        tokens: impl TokenStore,
        registry: Arc<MemoryClientStore>,
        more: impl FnOnce(Builder) -> Builder,
    ) -> Harness {
        let events = Events::default();
        let builder = AuthorizationServer::builder("https://as.example")
            .clients(clients)
            .tokens(tokens)
            .settings(self.settings)
            .clock(self.clock.clone())
            .entropy(SeededEntropy::new(1))
            .server_key(ServerKey::from_bytes([7; 32]))
            .events(events.clone());
        let server = more(builder).build().unwrap();
        let router = Router::builder(server.clone()).legacy_paths(true).build().unwrap();
        Harness { server, router, clock: self.clock, events, clients: registry }
    }
}

/// A running server.
pub struct Harness {
    pub server: AuthorizationServer,
    pub router: Router,
    pub clock: ManualClock,
    pub events: Events,
    pub clients: Arc<MemoryClientStore>,
}

impl Harness {
    pub fn new() -> Self {
        Setup::default().build()
    }

    /// With another router on the same server.
    pub fn route(mut self, more: impl FnOnce(RouterBuilder) -> RouterBuilder) -> Self {
        self.router = more(Router::builder(self.server.clone())).build().unwrap();
        self
    }

    pub fn advance(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    /// A token request by `app`, authenticated with Basic.
    pub fn token(&self, form: &str) -> Answer {
        block_on(self.token_async(form))
    }

    pub async fn token_async(&self, form: &str) -> Answer {
        self.send_async(Http::form(form).basic("app", SECRET)).await
    }

    pub fn send(&self, http: Http) -> Answer {
        block_on(self.send_async(http))
    }

    pub async fn send_async(&self, http: Http) -> Answer {
        let reply = self.router.handle(&http.request()).await;
        Answer::read(&reply.expect("the path is one of the router's"))
    }

    /// A code for `client`, as alice gives it for `scope`.
    pub fn code_for(&self, client: &str, scope_text: &str) -> String {
        let request = authorization_request(client, scope_text);
        self.approve(&request, scope_text)
    }

    /// A code for `app`, for `a b`.
    pub fn code(&self) -> String {
        self.code_for("app", "a b")
    }

    /// The code that comes of a request when alice approves `scope`.
    pub fn approve(&self, request: &AuthorizationRequest<'_>, scope_text: &str) -> String {
        let location = self.decide(request, ConsentDecision::Approve(scope(scope_text)));
        query_value(&location, "code").unwrap_or_else(|| panic!("no code in {location}"))
    }

    /// Where the browser is sent when alice has decided.
    pub fn decide(&self, request: &AuthorizationRequest<'_>, decision: ConsentDecision) -> String {
        let consent = block_on(self.server.authorize(request, SESSION)).expect("the request is in order");
        let alice = alice();
        let decided = self.server.decide(consent.ticket(), SESSION, &alice, self.clock_now(), decision);
        block_on(decided).expect("the decision is in order").location().to_owned()
    }

    pub fn clock_now(&self) -> Timestamp {
        grantor::Clock::now(&self.clock)
    }

    /// Redeems a fresh code of `app`: a grant with access and refresh token.
    pub fn login(&self) -> Answer {
        self.token(&exchange_form(&self.code())).ok()
    }

    pub fn introspect(&self, token: &str) -> Introspection {
        block_on(self.server.introspect(token)).unwrap()
    }

    pub fn is_active(&self, token: &str) -> bool {
        self.introspect(token).is_active()
    }

    /// Changes the registration of `id`.
    pub fn change_client(&self, id: &str, change: impl FnOnce(ClientBuilder) -> ClientBuilder) {
        let id = id.parse().unwrap();
        let client = block_on(self.clients.client(&id)).unwrap().unwrap();
        self.clients.insert(change(client.to_builder()).build().unwrap());
    }

    /// How many grants there are.
    pub fn grants(&self) -> usize {
        let query = grantor::store::GrantQuery::new().limit(1000);
        block_on(self.server.grants(&query)).unwrap().grants.len()
    }
}

/// An authorization request with PKCE, a redirect URI and a state.
pub fn authorization_request<'a>(client: &'a str, scope: &'a str) -> AuthorizationRequest<'a> {
    bare_authorization_request(client, scope)
        .parameter("redirect_uri", REDIRECT_URI)
        .parameter("code_challenge", CodeVerifier::new(VERIFIER).unwrap().challenge().as_str().to_owned())
        .parameter("code_challenge_method", "S256")
}

/// An authorization request without PKCE and redirect URI.
pub fn bare_authorization_request<'a>(client: &'a str, scope: &'a str) -> AuthorizationRequest<'a> {
    AuthorizationRequest::new()
        .parameter("response_type", "code")
        .parameter("client_id", client)
        .parameter("scope", scope)
        .parameter("state", "xyz")
}

/// The body that redeems a code from [`authorization_request`].
pub fn exchange_form(code: &str) -> String {
    format!(
        "grant_type=authorization_code&code={code}&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&code_verifier={VERIFIER}"
    )
}

pub fn refresh_form(token: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}")
}

/// The decoded value of a query parameter.
pub fn query_value(location: &str, name: &str) -> Option<String> {
    let (_, query) = location.split_once('?')?;
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut bytes = Vec::new();
    let mut rest = pair.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    Some(String::from_utf8(bytes).unwrap())
}

/// An HTTP request that is written down.
#[derive(Clone)]
pub struct Http {
    pub method: &'static str,
    pub path: String,
    pub query: Option<String>,
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub body: Vec<u8>,
    pub peer: Option<IpAddr>,
    pub secure: bool,
}

impl Http {
    /// A form posted to the token endpoint over TLS.
    pub fn form(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST",
            path: "/oauth/token".to_owned(),
            query: None,
            headers: vec![("content-type", b"application/x-www-form-urlencoded".to_vec())],
            body: body.into(),
            peer: None,
            secure: true,
        }
    }

    /// A form posted to another endpoint below `/oauth`.
    pub fn to(endpoint: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::form(body).path(&format!("/oauth/{endpoint}"))
    }

    pub fn basic(self, id: &str, secret: &str) -> Self {
        self.raw_basic(&format!("{id}:{secret}"))
    }

    /// `payload` is sent as it is.
    pub fn raw_basic(self, payload: &str) -> Self {
        let encoded = base64::engine::general_purpose::STANDARD.encode(payload);
        self.header("authorization", format!("Basic {encoded}"))
    }

    pub fn header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self
    }

    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    pub fn query(mut self, query: &str) -> Self {
        self.query = Some(query.to_owned());
        self
    }

    pub fn request(&self) -> Request<'_> {
        Request::new(self.method, &self.path)
            .query(self.query.as_deref())
            .headers(self.headers.iter().map(|(name, value)| (*name, value.as_slice())))
            .body(&self.body)
            .peer(self.peer)
            .secure(self.secure)
    }
}

/// An HTTP answer, read.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub json: Value,
    pub body: String,
}

impl Answer {
    pub fn read(reply: &Reply) -> Self {
        let body = String::from_utf8(reply.body().to_vec()).unwrap();
        Self {
            status: reply.status(),
            headers: reply.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            json: serde_json::from_str(&body).unwrap_or(Value::Null),
            body,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self, member: &str) -> Option<&str> {
        self.json.get(member)?.as_str()
    }

    pub fn error(&self) -> Option<&str> {
        self.text("error")
    }

    pub fn access_token(&self) -> &str {
        self.text("access_token").unwrap_or_else(|| panic!("no access token in {self:?}"))
    }

    pub fn refresh_token(&self) -> &str {
        self.text("refresh_token").unwrap_or_else(|| panic!("no refresh token in {self:?}"))
    }

    pub fn scope(&self) -> &str {
        self.text("scope").unwrap_or_else(|| panic!("no scope in {self:?}"))
    }

    /// A 200 with a token.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(self.text("access_token").is_some_and(|token| !token.is_empty()), "{self:?}");
        self
    }

    /// This error, with all that belongs to an error answer.
    #[track_caller]
    pub fn refused(self, status: u16, error: &str) -> Self {
        assert_eq!((self.status, self.error()), (status, Some(error)), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(self.header("www-authenticate").is_some(), status == 401, "{self:?}");
        assert_eq!(self.header("retry-after").is_some(), status == 503, "{self:?}");
        assert!(self.text("access_token").is_none(), "{self:?}");
        self
    }
}

/// A user store with alice, who may grant everything.
pub fn users_with_alice() -> Arc<MemoryUserStore> {
    let users = MemoryUserStore::new();
    users.insert(grantor::User::new(alice(), "alice"));
    Arc::new(users)
}
