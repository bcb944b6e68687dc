//! What is measured: [`Server`], and grantor as one.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::http::{Reply, Request, Router};
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::{
    AuthorizationRequest, AuthorizationServer, Builder, Client, Clock, CodeVerifier, ConsentDecision,
    GrantTypeName, Introspection, Settings, Subject, SystemClock, Timestamp,
};

pub(crate) const SCOPE: &str = "orders.read orders.write";
/// What requests ask for: the first of [`SCOPE`].
pub(crate) const ASKED: &str = "orders.read";
pub(crate) const REDIRECT_URI: &str = "https://shop.example.com/signed-in";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

const HOUR: Duration = Duration::from_secs(3600);

/// A client that both sides know.
pub(crate) struct Registration {
    pub(crate) id: String,
    pub(crate) secret: String,
    client: Client,
}

impl Registration {
    pub(crate) fn new(number: usize) -> Self {
        let (secret, hashed) = Client::generate_secret().unwrap();
        let id = format!("shop-{number:04}");
        let client = Client::confidential(id.as_str())
            .secret(hashed)
            .grant_type(GrantTypeName::CLIENT_CREDENTIALS)
            .grant_type(GrantTypeName::AUTHORIZATION_CODE)
            .grant_type(GrantTypeName::REFRESH_TOKEN)
            .redirect_uri(REDIRECT_URI)
            .scopes(SCOPE)
            .default_scopes(ASKED)
            .build()
            .unwrap();
        Self { id, secret: secret.expose().to_owned(), client }
    }

    pub(crate) fn post(&self, body: String) -> Post {
        let credentials = STANDARD.encode(format!("{}:{}", self.id, self.secret));
        Post { authorization: format!("Basic {credentials}").into_bytes(), body: body.into_bytes() }
    }
}

/// A request to the token endpoint, as it comes from the network.
pub(crate) struct Post {
    pub(crate) authorization: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// One side of the comparison. Whatever fails panics: a benchmark of refusals says nothing.
pub(crate) trait Server {
    type Reply;
    type Introspection;

    fn token(&self, post: &Post) -> Self::Reply;
    fn body(reply: &Self::Reply) -> &[u8];
    fn introspect(&self, token: &str) -> Option<Self::Introspection>;

    /// A code that waits to be redeemed with [`REDIRECT_URI`] and [`VERIFIER`].
    fn code(&self, client: &Registration) -> String;
    fn revoke(&self, token: &str);
    fn pass_an_hour(&self);
}

impl<S: Server> Server for &S {
    type Reply = S::Reply;
    type Introspection = S::Introspection;

    fn token(&self, post: &Post) -> S::Reply {
        S::token(self, post)
    }

    fn body(reply: &S::Reply) -> &[u8] {
        S::body(reply)
    }

    fn introspect(&self, token: &str) -> Option<S::Introspection> {
        S::introspect(self, token)
    }

    fn code(&self, client: &Registration) -> String {
        S::code(self, client)
    }

    fn revoke(&self, token: &str) {
        S::revoke(self, token);
    }

    fn pass_an_hour(&self) {
        S::pass_an_hour(self);
    }
}

pub(crate) struct Grantor {
    router: Router,
    ahead: Arc<AtomicU64>,
    subjects: AtomicU64,
}

/// The system's clock, some hours ahead.
struct Ahead(Arc<AtomicU64>);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }
}

impl Grantor {
    pub(crate) fn new(registrations: &[Registration]) -> Self {
        Self::with(registrations, |builder| builder)
    }

    /// One that is not built as the others are.
    pub(crate) fn with(registrations: &[Registration], change: impl FnOnce(Builder) -> Builder) -> Self {
        let ahead = Arc::new(AtomicU64::new(0));
        let tokens = MemoryTokenStore::builder().capacity(20_000_000).bytes(16 << 30).build().unwrap();
        let server = AuthorizationServer::builder("https://id.example.com")
            .clients(registrations.iter().map(|own| own.client.clone()).collect::<MemoryClientStore>())
            .tokens(tokens)
            .settings(Settings::default().refresh_token_lifetime(10_000 * 24 * HOUR))
            .clock(Ahead(Arc::clone(&ahead)));
        let server = change(server).build().unwrap();
        Self { router: Router::builder(server).build().unwrap(), ahead, subjects: AtomicU64::new(0) }
    }

    #[allow(dead_code, reason = "not all that share this need it")]
    pub(crate) fn router(&self) -> &Router {
        &self.router
    }

    pub(crate) fn server(&self) -> &AuthorizationServer {
        self.router.server()
    }
}

impl Server for Grantor {
    type Reply = Reply;
    type Introspection = Introspection;

    fn token(&self, post: &Post) -> Reply {
        let request = Request::new("POST", "/oauth/token")
            .secure(true)
            .header("content-type", b"application/x-www-form-urlencoded")
            .header("authorization", &post.authorization)
            .body(&post.body);
        let reply = ready(self.router.handle(&request)).unwrap();
        assert_eq!(reply.status(), 200, "{}", String::from_utf8_lossy(reply.body()));
        reply
    }

    fn body(reply: &Reply) -> &[u8] {
        reply.body()
    }

    fn introspect(&self, token: &str) -> Option<Introspection> {
        Some(ready(self.server().introspect(token)).unwrap()).filter(Introspection::is_active)
    }

    fn code(&self, client: &Registration) -> String {
        let challenge = CodeVerifier::new(VERIFIER).unwrap().challenge();
        let request = AuthorizationRequest::new()
            .parameter("response_type", "code")
            .parameter("client_id", client.id.as_str())
            .parameter("redirect_uri", REDIRECT_URI)
            .parameter("scope", ASKED)
            .parameter("code_challenge_method", "S256")
            .parameter("code_challenge", challenge.as_str());
        let consent = ready(self.server().authorize(&request, b"session")).unwrap();
        let subject = format!("user-{:08}", self.subjects.fetch_add(1, Ordering::Relaxed));
        let subject = Subject::new(subject).unwrap();
        let decision = ConsentDecision::Approve(consent.scope().clone());
        let now = Clock::now(&Ahead(Arc::clone(&self.ahead)));
        let decided = self.server().decide(consent.ticket(), b"session", &subject, now, decision);
        let response = ready(decided).unwrap();
        let (_, code) = response.location().split_once("code=").unwrap();
        code.split('&').next().unwrap().to_owned()
    }

    fn revoke(&self, token: &str) {
        assert!(ready(self.server().revoke(token)).unwrap());
    }

    fn pass_an_hour(&self) {
        self.ahead.fetch_add(HOUR.as_secs(), Ordering::Relaxed);
    }
}

/// With stores in memory every future is ready at once.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}
