//! Whole requests, at a server that has grants of every kind. Each input gets a server of its own.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use grantor::http::{Reply, Request, Router};
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{ManualClock, SeededEntropy, block_on};
use grantor::{
    AuthMethod, AuthorizationRefused, AuthorizationRequest, AuthorizationServer, Client, ClientSecret,
    CodeVerifier, ConsentDecision, GrantTypeName, HashedSecret, ServerKey, Subject, Timestamp,
};
use serde_json::Value;

const SECRET: &str = "a-secret-of-the-app";
const REDIRECT_URI: &str = "https://app.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

const ERRORS: [&str; 9] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
    "access_denied",
    "temporarily_unavailable",
];

struct Setup {
    router: Router,
    code: String,
    access: String,
    refresh: String,
}

fn server() -> AuthorizationServer {
    let with_all = |client: grantor::ClientBuilder| {
        client
            .grant_type(GrantTypeName::AUTHORIZATION_CODE)
            .grant_type(GrantTypeName::REFRESH_TOKEN)
            .redirect_uri(REDIRECT_URI)
            .redirect_uri("http://127.0.0.1/cb")
            .scopes("a b c")
            .default_scopes("a b")
    };
    let app = with_all(Client::confidential("app"))
        .secret(HashedSecret::sha256(&ClientSecret::new(SECRET)))
        .auth_methods([AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost])
        .grant_type(GrantTypeName::CLIENT_CREDENTIALS)
        .may_introspect(true)
        .build()
        .expect("it is complete");
    let spa = with_all(Client::public("spa")).build().expect("it is complete");
    let tokens = MemoryTokenStore::builder().capacity(64).build().expect("it is some room");
    AuthorizationServer::builder("https://id.example")
        .clients(MemoryClientStore::from_iter([app, spa]))
        .tokens(tokens)
        .clock(ManualClock::new(START))
        .entropy(SeededEntropy::new(1))
        .server_key(ServerKey::from_bytes([7; 32]))
        .build()
        .expect("it is complete")
}

fn code(server: &AuthorizationServer) -> String {
    let challenge = CodeVerifier::new(VERIFIER).expect("it is one").challenge();
    let request = AuthorizationRequest::new()
        .parameter("response_type", "code")
        .parameter("client_id", "app")
        .parameter("redirect_uri", REDIRECT_URI)
        .parameter("code_challenge", challenge.as_str())
        .parameter("code_challenge_method", "S256");
    let consent = block_on(server.authorize(&request, b"session")).expect("it is valid");
    let decision = ConsentDecision::Approve(consent.scope().clone());
    let alice: Subject = "alice".parse().expect("it is a name");
    let response = block_on(server.decide(consent.ticket(), b"session", &alice, START, decision));
    code_of(response.expect("it is decided").location()).expect("it was allowed").to_owned()
}

fn code_of(location: &str) -> Option<&str> {
    let (_, query) = location.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("code="))
}

impl Setup {
    fn new() -> Self {
        let router = Router::builder(server()).require_https(false).legacy_paths(true).build();
        let router = router.expect("it is complete");
        let spent = code(router.server());
        let body = format!(
            "grant_type=authorization_code&code={spent}&code_verifier={VERIFIER}\
             &redirect_uri=https%3A%2F%2Fapp.example%2Fcb&client_id=app&client_secret={SECRET}"
        );
        let request = Request::new("POST", "/oauth/token")
            .header("content-type", b"application/x-www-form-urlencoded")
            .body(body.as_bytes());
        let reply = block_on(router.handle(&request)).expect("it is a path");
        assert_eq!(reply.status(), 200);
        let token: Value = serde_json::from_slice(reply.body()).expect("it is JSON");
        let text = |name: &str| token[name].as_str().expect("it is there").to_owned();
        let code = code(router.server());
        Self { access: text("access_token"), refresh: text("refresh_token"), code, router }
    }

    /// What no fuzzer can guess.
    fn fill<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let Ok(text) = std::str::from_utf8(text) else { return text.into() };
        if !text.contains('{') {
            return text.as_bytes().into();
        }
        let basic = BASE64_STANDARD.encode(format!("app:{SECRET}"));
        let known = [
            ("{code}", self.code.as_str()),
            ("{access}", &self.access),
            ("{refresh}", &self.refresh),
            ("{basic}", &basic),
            ("{secret}", SECRET),
            ("{verifier}", VERIFIER),
        ];
        let filled = known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        filled.into_bytes().into()
    }
}

/// Requests, separated by NUL, each written as in HTTP: a line with method and path, headers, an
/// empty line, the body.
pub fn router(data: &[u8]) {
    let setup = Setup::new();
    for one in data.split(|byte| *byte == 0).take(16) {
        let one = setup.fill(one);
        let (head, body) = match one.windows(2).position(|two| two == b"\n\n") {
            Some(end) => (&one[..end], &one[end + 2..]),
            None => (&*one, &[][..]),
        };
        let Ok(head) = std::str::from_utf8(head) else { continue };
        let mut lines = head.lines();
        let Some((method, target)) = lines.next().and_then(|line| line.split_once(' ')) else { continue };
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let headers = lines.filter_map(|line| line.split_once(": "));
        let request = Request::new(method, path)
            .query(query)
            .headers(headers.map(|(name, value)| (name, value.as_bytes())))
            .body(body);
        if let Some(reply) = block_on(setup.router.handle(&request)) {
            check(path, &reply);
        }
    }
}

fn check(path: &str, reply: &Reply) {
    for (name, value) in reply.headers() {
        assert!(
            !name.contains(|byte: char| byte.is_ascii_uppercase()) && !value.contains(['\r', '\n', '\0'])
        );
    }
    let status = reply.status();
    assert!(matches!(status, 200 | 204 | 400 | 401 | 405 | 413 | 429 | 503), "{path}: {status}");
    assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
    assert_eq!(reply.header("allow").is_some(), status == 405);
    if reply.body().is_empty() {
        assert!(matches!(status, 200 | 204), "{path}: {status}");
        return;
    }
    assert_eq!(reply.header("content-type"), Some("application/json"));
    if !path.starts_with("/.well-known/") {
        assert_eq!(
            (reply.header("cache-control"), reply.header("pragma")),
            (Some("no-store"), Some("no-cache"))
        );
    }
    let body: Value = serde_json::from_slice(reply.body()).expect("it is JSON");
    assert!(!body.to_string().contains(SECRET), "a secret comes back");
    assert!(body.as_object().expect("it is an object").values().all(|value| !value.is_null()));
    if status == 200 {
        assert!(body.get("error").is_none());
        assert!(body.get("access_token").is_none() || body["token_type"] == "Bearer");
    } else {
        let error = body["error"].as_str().expect("it says which");
        assert!(ERRORS.contains(&error), "{error}");
        assert!(body.get("access_token").is_none());
    }
}

/// A token at introspection and revocation.
pub fn token(data: &[u8]) {
    let setup = Setup::new();
    let text = setup.fill(data);
    let Ok(text) = std::str::from_utf8(&text) else { return };
    let server = setup.router.server();
    let is_ours = [&setup.access, &setup.refresh].into_iter().any(|own| own == text);
    let told = block_on(server.introspect(text)).expect("nothing fails");
    assert_eq!(told.is_active(), is_ours, "{text}");
    let is_revoked = block_on(server.revoke(text)).expect("nothing fails");
    assert!(is_revoked || !is_ours);
    for own in [&setup.access, &setup.refresh] {
        let told = block_on(server.introspect(own)).expect("nothing fails");
        assert_eq!(
            told.is_active(),
            !is_revoked,
            "what was not presented ends with what was, and with nothing else"
        );
    }
}

/// The query of a request to the authorization endpoint, and what comes after.
pub fn authorize(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let Ok(request) = AuthorizationRequest::from_query(query) else { return };
    let server = server();
    let goes_back = |location: &str| {
        let is_ours = location.starts_with(REDIRECT_URI) || location.starts_with("http://127.0.0.1");
        assert!(is_ours, "{location}");
        assert!(!location.contains(['\r', '\n', ' ', '"', '<', '>']), "{location}");
        let read = url::Url::parse(location).expect("a browser can go there");
        let names: Vec<_> = read.query_pairs().map(|(name, _)| name.into_owned()).collect();
        let count = |name: &str| names.iter().filter(|own| *own == name).count();
        assert!(
            count("code") + count("error") <= 1 && count("state") <= 1 && count("iss") <= 1,
            "{location}"
        );
        assert!(count("access_token") == 0, "{location}");
    };
    match block_on(server.authorize(&request, b"session")) {
        Ok(consent) => {
            let alice: Subject = "alice".parse().expect("it is a name");
            let decide = |session: &[u8], decision| {
                block_on(server.decide(consent.ticket(), session, &alice, START, decision))
            };
            let approve = || ConsentDecision::Approve(consent.scope().clone());
            assert!(decide(b"another", approve()).is_err(), "the ticket is bound to its session");
            let allowed = decide(b"session", approve()).expect("it is decided");
            goes_back(allowed.location());
            goes_back(decide(b"session", ConsentDecision::Deny).expect("it is decided").location());
        }
        Err(AuthorizationRefused::Redirect { response, .. }) => goes_back(response.location()),
        Err(AuthorizationRefused::Page { .. }) => {}
    }
}
