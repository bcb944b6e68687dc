//! Rules of the host's own, and client secrets that change.

use std::sync::Arc;
use std::time::Duration;

use grantor::policy::{Limits, PolicyRequest, TokenPolicy};
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::block_on;
use grantor::{ConsentDecision, Error, Lifetime};

use crate::support::*;

/// Nobody gets `b`, nothing lives for longer than a minute, and mallory gets nothing.
struct Strict;

impl TokenPolicy for Strict {
    async fn limits(&self, request: &PolicyRequest<'_>) -> Result<Limits, Error> {
        if request.subject().is_some_and(|subject| subject.as_str() == "mallory") {
            return Err(Error::AccessDenied);
        }
        assert_eq!(request.client().id().as_str(), "app");
        let minute = Lifetime::from_secs(60).unwrap();
        Ok(Limits::none().scope(scope("a c")).access_token_lifetime(minute))
    }
}

fn server(policy: impl TokenPolicy) -> Harness {
    let setup = Setup::default();
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    setup.build_with(Arc::clone(&clients), MemoryTokenStore::new(), clients, |it| it.token_policy(policy))
}

#[test]
fn a_policy_makes_tokens_narrower() {
    let server = server(Strict);
    let own = server.token("grant_type=client_credentials").ok();
    assert_eq!((own.scope(), &own.json["expires_in"]), ("a", &60.into()), "of the default, what is left");
    server.token("grant_type=client_credentials&scope=b").refused(400, "invalid_scope");
    // A consent: no more than the policy allows.
    let request = authorization_request("app", "a b");
    let location = server.server_decides(&request, "a b");
    assert_eq!(query_value(&location, "error").as_deref(), Some("invalid_scope"));
    let code = server.code_for("app", "a");
    let login = server.token(&exchange_form(&code)).ok();
    assert_eq!((login.scope(), &login.json["expires_in"]), ("a", &60.into()));
    server.advance(61);
    assert!(!server.is_active(login.access_token()));
    let refreshed = server.token(&refresh_form(login.refresh_token())).ok();
    assert_eq!(refreshed.json["expires_in"], 60);
}

impl Harness {
    fn server_decides(&self, request: &grantor::AuthorizationRequest<'_>, allowed: &str) -> String {
        let consent = block_on(self.server.authorize(request, SESSION)).unwrap();
        let decision = ConsentDecision::Approve(scope(allowed));
        let alice = alice();
        match block_on(self.server.decide(consent.ticket(), SESSION, &alice, self.clock_now(), decision)) {
            Ok(response) => response.location().to_owned(),
            Err(grantor::AuthorizationRefused::Redirect { response, .. }) => response.location().to_owned(),
            Err(refused) => panic!("{refused:?}"),
        }
    }
}

/// Takes `b` away later.
struct Later(Arc<std::sync::atomic::AtomicBool>);

impl TokenPolicy for Later {
    async fn limits(&self, _: &PolicyRequest<'_>) -> Result<Limits, Error> {
        let narrow = self.0.load(std::sync::atomic::Ordering::SeqCst);
        Ok(if narrow { Limits::none().scope(scope("a")) } else { Limits::none() })
    }
}

#[test]
fn a_policy_that_changes_narrows_the_next_refresh() {
    let narrow = Arc::default();
    let server = server(Later(Arc::clone(&narrow)));
    let login = server.login();
    assert_eq!(login.scope(), "a b");
    narrow.store(true, std::sync::atomic::Ordering::SeqCst);
    let form = refresh_form(login.refresh_token());
    let refreshed = server.token(&form).ok();
    assert_eq!(refreshed.scope(), "a");
    server
        .token(&format!("{}&scope=b", refresh_form(refreshed.refresh_token())))
        .refused(400, "invalid_scope");
}

/// Alice reads for a minute, and what was allowed is known.
struct ByPerson;

impl TokenPolicy for ByPerson {
    async fn limits(&self, request: &PolicyRequest<'_>) -> Result<Limits, Error> {
        let known = request.granted().map(grantor::Scope::as_str);
        let alice = request.subject().is_some_and(|subject| subject.as_str() == "alice");
        match request.grant_type().as_str() {
            "client_credentials" => assert_eq!((known, alice), (None, false)),
            "refresh_token" => {
                assert_eq!((known, alice), (Some("a b"), true));
                return Ok(Limits::none().scope(scope("a")));
            }
            _ => assert!(alice && matches!(known, None | Some("a b"))),
        }
        let minute = Lifetime::from_secs(60).unwrap();
        Ok(if alice { Limits::none().access_token_lifetime(minute) } else { Limits::none() })
    }
}

#[test]
fn a_policy_knows_whose_code_or_refresh_token_it_is() {
    let server = server(ByPerson);
    assert_eq!(server.token("grant_type=client_credentials").ok().json["expires_in"], 3600);
    let login = server.login();
    assert_eq!((login.scope(), &login.json["expires_in"]), ("a b", &60.into()));
    let refreshed = server.token(&refresh_form(login.refresh_token())).ok();
    assert_eq!((refreshed.scope(), &refreshed.json["expires_in"]), ("a", &3600.into()));
}

#[test]
fn a_policy_does_not_make_tokens_wider() {
    struct Generous;
    impl TokenPolicy for Generous {
        async fn limits(&self, _: &PolicyRequest<'_>) -> Result<Limits, Error> {
            let year = Lifetime::from_duration(Duration::from_secs(365 * 24 * 3600)).unwrap();
            Ok(Limits::none().scope(scope("a b c d e")).access_token_lifetime(year))
        }
    }
    let server = server(Generous);
    let own = server.token("grant_type=client_credentials").ok();
    assert_eq!((own.scope(), &own.json["expires_in"]), ("a b", &3600.into()));
    server.token("grant_type=client_credentials&scope=d").refused(400, "invalid_scope");
}

#[test]
fn seed_c06_a_secret_is_added_shown_once_and_the_others_end() {
    let server = Harness::new();
    let app = "app".parse().unwrap();
    let until = server.clock_now().plus(Duration::from_secs(60));
    let rotate =
        |until| block_on(server.server.rotate_client_secret(&server.clients, &app, until)).unwrap().unwrap();
    let new = rotate(Some(until));
    let with = |secret: &str| server.send(Http::form("grant_type=client_credentials").basic("app", secret));
    with(SECRET).ok();
    with(new.expose()).ok();
    server.advance(60);
    with(SECRET).refused(401, "invalid_client");
    with(new.expose()).ok();
    // Those that have ended make room: it can go on for ever.
    let mut last = new;
    for _ in 0..20 {
        last = rotate(Some(server.clock_now()));
        with(last.expose()).ok();
    }
    // One that ends sooner is not given more time.
    let soon = server.clock_now().plus(Duration::from_secs(10));
    let ending = hashed("ends-soon").expires_at(soon);
    server.change_client("app", |app| app.secret(ending));
    rotate(Some(server.clock_now().plus(Duration::from_secs(100))));
    with("ends-soon").ok();
    server.advance(10);
    with("ends-soon").refused(401, "invalid_client");
    with(last.expose()).ok();
    server.advance(100);
    last = rotate(None);
    let nobody = "nobody".parse().unwrap();
    let none = block_on(server.server.rotate_client_secret(&server.clients, &nobody, None)).unwrap();
    assert!(none.is_none());
    // Eight that live are the most.
    for _ in 0..6 {
        rotate(None);
    }
    with(last.expose()).ok();
    assert!(block_on(server.server.rotate_client_secret(&server.clients, &app, None)).is_err());
}
