//! Protected resources (RFC 6750).

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor::event::Event;
use grantor::http::Reply;
use grantor::resource::{
    AccessFailure, BearerToken, IntrospectionCall, Refused, RemoteServer, ResourceGuard, ResourceRequest,
    SourceError, TokenSource,
};
use grantor::testing::{ManualClock, block_on};
use grantor::{AuthorizationServer, ClientSecret, ScopeDefinition};

use crate::support::*;

type Guard = ResourceGuard<AuthorizationServer>;

fn scopes() -> [ScopeDefinition; 3] {
    let define = |name: &str| ScopeDefinition::new(name.parse().unwrap(), name);
    [
        define("a").resource("GET /orders").resource("GET /orders/*").resource("orders:list"),
        define("b").resource("POST /orders"),
        define("c").resource("POST /orders").resource("GET /c"),
    ]
}

fn guard(server: &Harness) -> Guard {
    ResourceGuard::builder(server.server.clone()).scopes(&scopes()).realm("api").build()
}

fn header(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

fn check(guard: &Guard, authorization: &[u8], resource: &str) -> Result<BearerToken, Refused> {
    block_on(guard.check(&ResourceRequest::new().authorization(authorization), resource))
}

/// A token of `app` for alice, with the scope `a`.
fn token(server: &Harness) -> String {
    server.token(&exchange_form(&server.code_for("app", "a"))).ok().access_token().to_owned()
}

#[test]
fn bt_01_the_scheme_is_read_in_any_case() {
    let server = Harness::new();
    let (guard, token) = (guard(&server), token(&server));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let known = check(&guard, format!("{scheme} {token}").as_bytes(), "GET /orders").unwrap();
        assert_eq!((known.sub(), known.client().unwrap().as_str()), (Some("alice"), "app"));
        assert_eq!(known.scope().as_str(), "a");
        assert_eq!(known.subject().unwrap().as_str(), "alice");
        assert!(known.issued_at().is_some() && known.expires_at().is_some());
    }
}

#[test]
fn bt_02_a_token_is_sent_in_one_place() {
    let server = Harness::new();
    let (guard, token) = (guard(&server), token(&server));
    let value = header(&token);
    let (query, form) = (format!("access_token={token}"), format!("x=1&access%5ftoken={token}"));
    let request = ResourceRequest::new().authorization(&value);
    for doubled in [request.query(Some(&query)), request.form(form.as_bytes()), request.authorization(&value)]
    {
        let refused = block_on(guard.check(&doubled, "GET /orders")).unwrap_err();
        assert_eq!((refused.status(), refused.error()), (400, Some("invalid_request")));
        assert_eq!(refused.reason(), AccessFailure::Transport);
    }
    let other = request.query(Some("token=x&my_access_token=y&access_token_hint")).form(b"a=access_token");
    block_on(guard.check(&other, "GET /orders")).unwrap();
}

#[test]
fn bt_03_and_04_a_token_in_the_form_or_the_query_is_not_used() {
    let server = Harness::new();
    let (guard, token) = (guard(&server), token(&server));
    let body = format!("access_token={token}");
    let form = ResourceRequest::new().form(body.as_bytes());
    let query = ResourceRequest::new().query(Some(&body));
    for request in [form, query] {
        let refused = block_on(guard.check(&request, "GET /orders")).unwrap_err();
        assert_eq!((refused.status(), refused.error()), (400, Some("invalid_request")));
    }
}

#[test]
fn bt_04_a_token_in_the_query_is_refused_however_it_is_spelled() {
    let server = Harness::new();
    let (guard, token) = (guard(&server), token(&server));
    for name in ["access_token", "%61ccess_token", "access%5Ftoken"] {
        let query = format!("page=1&{name}={token}");
        let refused = block_on(guard.check(&ResourceRequest::new().query(Some(&query)), "GET /orders"));
        assert_eq!(refused.unwrap_err().status(), 400, "{name}");
    }
}

#[test]
fn bt_05_without_a_token_there_is_a_challenge_and_no_error() {
    let server = Harness::new();
    let guard = guard(&server);
    for authorization in [None, Some(b"Basic YXBwOng=".as_slice()), Some(b""), Some(b"Digest x")] {
        let request = ResourceRequest::new();
        let request = authorization.map_or(request, |value| request.authorization(value));
        let refused = block_on(guard.check(&request, "GET /orders")).unwrap_err();
        assert_eq!((refused.status(), refused.error()), (401, None));
        assert_eq!(refused.challenge(), Some("Bearer realm=\"api\""));
        let reply = Answer::read(&Reply::from(&refused));
        assert_eq!((reply.status, reply.body.as_str()), (401, ""));
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"api\""));
    }
}

#[test]
fn bt_06_each_failure_has_its_status_and_code() {
    let server = Harness::new();
    let (guard, token) = (guard(&server), token(&server));
    for wrong in ["garbage", "", "a b", "\u{e9}", "\"x\"", &"A".repeat(64)] {
        let refused = check(&guard, &header(wrong), "GET /orders").unwrap_err();
        assert_eq!((refused.status(), refused.error()), (401, Some("invalid_token")), "{wrong}");
        assert!(refused.challenge().unwrap().contains("error=\"invalid_token\""));
    }
    let refused = check(&guard, &header(&token), "POST /orders").unwrap_err();
    assert_eq!((refused.status(), refused.error()), (403, Some("insufficient_scope")));
    assert!(refused.challenge().unwrap().ends_with("scope=\"b c\""), "{refused:?}");
    assert_eq!(refused.granted().unwrap().as_str(), "a");
    let reply = Answer::read(&Reply::from(&refused));
    assert_eq!((reply.status, reply.error()), (403, Some("insufficient_scope")));
    server.advance(3600);
    let refused = check(&guard, &header(&token), "GET /orders").unwrap_err();
    assert_eq!((refused.status(), refused.error()), (401, Some("invalid_token")));
}

#[test]
fn bt_07_attributes_occur_once_and_keep_to_their_characters() {
    let server = Harness::new();
    let guard =
        ResourceGuard::builder(server.server.clone()).scopes(&scopes()).realm("a\"b\\c\r\nd\u{e9}").build();
    let token = token(&server);
    for (value, resource) in [(header("x"), "GET /orders"), (header(&token), "POST /orders")] {
        let refused = check(&guard, &value, resource).unwrap_err();
        let challenge = refused.challenge().unwrap();
        assert!(challenge.starts_with("Bearer realm=\"abcd\", "), "{challenge}");
        assert!(challenge.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        for attribute in ["realm=", "error=", "error_description="] {
            assert_eq!(challenge.matches(attribute).count(), 1, "{challenge}");
        }
    }
}

#[test]
fn bt_08_expiry_revocation_and_kind_are_checked() {
    let server = Harness::new();
    let guard = guard(&server);
    let login = server.token(&exchange_form(&server.code_for("app", "a"))).ok();
    let refused = check(&guard, &header(login.refresh_token()), "GET /orders").unwrap_err();
    assert_eq!(refused.reason(), AccessFailure::Inactive, "a refresh token is no access token");
    check(&guard, &header(login.access_token()), "GET /orders").unwrap();
    server.change_client("app", |app| app.enabled(false));
    assert_eq!(check(&guard, &header(login.access_token()), "GET /orders").unwrap_err().status(), 401);
    server.change_client("app", |app| app.enabled(true));
    block_on(server.server.revoke(login.access_token())).unwrap();
    assert_eq!(check(&guard, &header(login.access_token()), "GET /orders").unwrap_err().status(), 401);
}

#[test]
fn bt_09_access_tokens_are_short_lived_unless_told_otherwise() {
    let server = Harness::new();
    assert!(server.login().json["expires_in"].as_u64().unwrap() <= 3600);
}

#[test]
fn seed_t14_a_token_reaches_what_its_scopes_cover() {
    let server = Harness::new();
    let (guard, token) = (guard(&server), token(&server));
    for covered in ["GET /orders", "GET /orders/7", "HEAD /orders/7", "orders:list"] {
        check(&guard, &header(&token), covered).unwrap();
    }
    for other in ["GET /c", "POST /orders", "GET /orders/../c", "GET /elsewhere", "orders:delete", ""] {
        let refused = check(&guard, &header(&token), other).unwrap_err();
        assert_eq!(refused.status(), 403, "{other}");
    }
    let request = header(&token);
    let request = ResourceRequest::new().authorization(&request);
    assert!(block_on(guard.check_for(&request, &scope("a c"))).is_ok(), "any of them does");
    assert!(block_on(guard.check_for(&request, &scope("b c"))).is_err());
    assert_eq!(block_on(guard.authenticate(&request)).unwrap().scope().as_str(), "a");
}

#[test]
fn seed_e07_a_refusal_says_which_scope_was_needed_and_which_granted() {
    let server = Harness::new();
    let (guard, token) = (guard(&server), token(&server));
    server.events.take();
    check(&guard, &header(&token), "POST /orders").unwrap_err();
    let event = server.events.take().join("\n");
    for part in ["AccessRefused", "\"app\"", "InsufficientScope", "needed: \"b c\"", "granted: Some(\"a\")"] {
        assert!(event.contains(part), "{part}: {event}");
    }
    assert!(!event.contains(&token));
    check(&guard, &header("garbage"), "POST /orders").unwrap_err();
    assert!(server.events.saw("AccessRefused { client: None, reason: Inactive"));
}

/// Counts what it is asked, and may fail.
#[derive(Clone)]
struct Counting {
    server: AuthorizationServer,
    asked: Arc<AtomicUsize>,
    reports: Arc<Mutex<usize>>,
}

impl TokenSource for Counting {
    async fn token(&self, token: &str) -> Result<Option<BearerToken>, SourceError> {
        if self.asked.fetch_add(1, Ordering::SeqCst) == 100 {
            return Err(SourceError::new("the network is down"));
        }
        TokenSource::token(&self.server, token).await
    }

    fn report(&self, _: &Event<'_>) {
        *self.reports.lock().unwrap() += 1;
    }
}

#[test]
fn answers_are_remembered_for_as_long_as_the_host_says_and_no_longer_than_they_hold() {
    let server = Harness::new();
    let source = Counting { server: server.server.clone(), asked: Arc::default(), reports: Arc::default() };
    let clock: ManualClock = server.clock.clone();
    let guard = ResourceGuard::builder(Arc::new(source.clone()))
        .scopes(&scopes())
        .clock(clock)
        .cache(NonZeroUsize::new(10).unwrap(), Duration::from_secs(30))
        .build();
    let token = token(&server);
    let check = |token: &str| {
        let value = header(token);
        block_on(guard.check(&ResourceRequest::new().authorization(&value), "GET /orders")).is_ok()
    };
    let asked = || source.asked.swap(0, Ordering::SeqCst);
    assert!(check(&token) && check(&token) && !check("garbage") && !check("garbage"));
    assert_eq!(asked(), 2);
    block_on(server.server.revoke(&token)).unwrap();
    server.advance(29);
    assert!(check(&token), "it is late by no more than was said");
    server.advance(1);
    assert!(!check(&token));
    assert_eq!(asked(), 1);
    // An answer ends with its token.
    let last = self::token(&server);
    server.advance(3590);
    assert!(check(&last));
    server.advance(10);
    assert!(!check(&last));
    assert_eq!(*source.reports.lock().unwrap(), 4);
    // A clock that is set back makes no answer good for longer.
    let long = self::token(&server);
    assert!(check(&long));
    asked();
    server.clock.set(server.clock_now().minus(Duration::from_secs(1000)));
    check(&long);
    assert_eq!(asked(), 1);
}

#[test]
fn a_source_that_fails_is_no_refused_token() {
    let server = Harness::new();
    let source = Counting { server: server.server.clone(), asked: Arc::default(), reports: Arc::default() };
    source.asked.store(100, Ordering::SeqCst);
    let guard = ResourceGuard::builder(source).scopes(&scopes()).build();
    let value = header(&token(&server));
    let refused =
        block_on(guard.check(&ResourceRequest::new().authorization(&value), "GET /orders")).unwrap_err();
    assert_eq!((refused.status(), refused.challenge()), (503, None));
    let reply = Answer::read(&Reply::from(&refused));
    assert_eq!((reply.header("retry-after"), reply.error()), (Some("1"), Some("temporarily_unavailable")));
    assert!(!reply.body.contains("network"));
}

/// The introspection endpoint of a harness, without a network.
struct Loop(Arc<Harness>);

impl IntrospectionCall for Loop {
    async fn post(&self, authorization: &str, body: String) -> Result<Vec<u8>, SourceError> {
        let http = Http::to("introspect", body).header("authorization", authorization);
        let answer = self.0.send_async(http).await;
        if answer.status == 200 { Ok(answer.body.into_bytes()) } else { Err(SourceError::new(answer.body)) }
    }
}

#[test]
fn a_server_elsewhere_is_asked_by_introspection() {
    let secret = "a:secret+with%signs \u{e9}";
    let mut setup = Setup::default();
    setup.clients.push(
        confidential("api").without_secrets().secret(hashed(secret)).may_introspect(true).build().unwrap(),
    );
    let server = Arc::new(setup.build());
    let call = Loop(Arc::clone(&server));
    let source = RemoteServer::new(call, &"api".parse().unwrap(), &ClientSecret::new(secret));
    let guard = ResourceGuard::builder(source).scopes(&scopes()).build();
    let login = server.token(&exchange_form(&server.code_for("app", "a"))).ok();
    let check = |token: &str, resource: &str| {
        let value = header(token);
        block_on(guard.check(&ResourceRequest::new().authorization(&value), resource))
    };
    let known = check(login.access_token(), "GET /orders").unwrap();
    assert_eq!((known.sub(), known.client().unwrap().as_str()), (Some("alice"), "app"));
    assert_eq!(known.subject().unwrap().as_str(), "alice");
    assert_eq!(check(login.access_token(), "GET /c").unwrap_err().status(), 403);
    assert_eq!(check(login.refresh_token(), "GET /orders").unwrap_err().status(), 401);
    assert_eq!(check("garbage", "GET /orders").unwrap_err().status(), 401);
    let own = server.token("grant_type=client_credentials&scope=a").ok();
    let known = check(own.access_token(), "GET /orders").unwrap();
    assert_eq!((known.sub(), known.subject()), (Some("app"), None));

    let call = Loop(Arc::clone(&server));
    let wrong = RemoteServer::new(call, &"api".parse().unwrap(), &ClientSecret::new("wrong"));
    let guard = ResourceGuard::builder(wrong).build();
    let value = header(login.access_token());
    let refused = block_on(guard.authenticate(&ResourceRequest::new().authorization(&value))).unwrap_err();
    assert_eq!(refused.status(), 503, "that is not the fault of whoever sent the token");
}

#[test]
fn what_a_remote_server_answers_is_not_taken_on_trust() {
    struct Says(&'static str);
    impl IntrospectionCall for Says {
        async fn post(&self, _: &str, _: String) -> Result<Vec<u8>, SourceError> {
            Ok(self.0.as_bytes().to_vec())
        }
    }
    let ask = |answer: &'static str| {
        let source = RemoteServer::new(Says(answer), &"api".parse().unwrap(), &ClientSecret::new("s"));
        let guard = ResourceGuard::builder(source).build();
        block_on(guard.authenticate(&ResourceRequest::new().authorization(b"Bearer x")))
    };
    assert!(ask(r#"{"active":true,"token_type":"bearer"}"#).is_ok());
    assert!(ask(r#"{"active":true,"token_type":"Bearer","exp":1}"#).is_err(), "it has expired by our clock");
    for inactive in
        [r#"{"active":false,"scope":"a"}"#, r#"{"active":true,"token_type":"DPoP"}"#, r#"{"active":true}"#]
    {
        assert_eq!(ask(inactive).unwrap_err().status(), 401, "{inactive}");
    }
    for broken in
        ["", "{}", "[]", r#"{"active":"true"}"#, r#"{"active":true,"token_type":"Bearer","scope":"a\"b"}"#]
    {
        assert_eq!(ask(broken).unwrap_err().status(), 503, "{broken}");
    }
}
