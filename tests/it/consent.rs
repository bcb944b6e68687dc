//! The decision of the resource owner, and the ticket that leads to it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{Fault, Faults, FaultyStore, Method, SeededEntropy, block_on};
use grantor::{
    AuthorizationRefused, AuthorizationResponse, ConsentDecision, ConsentRequest, GrantTypeName,
    ScopeDefinition, ServerKey, Subject, User,
};

use crate::authorize::{Redirect, accepted, authorize, failed_with_page, page, redirected};
use crate::support::*;

type Decided = Result<AuthorizationResponse, AuthorizationRefused>;

fn ask(h: &Harness, scope: &str) -> ConsentRequest {
    accepted(scope, authorize(h, &authorization_request("app", scope)))
}

fn decide(h: &Harness, ticket: &str, session: &[u8], decision: ConsentDecision) -> Decided {
    block_on(h.server.decide(ticket, session, &alice(), h.clock_now(), decision))
}

fn approve(h: &Harness, consent: &ConsentRequest, scope_text: &str) -> Decided {
    decide(h, consent.ticket(), SESSION, ConsentDecision::Approve(scope(scope_text)))
}

/// The code of a response that has one.
#[track_caller]
fn code_of(decided: &Decided) -> String {
    let response = decided.as_ref().unwrap();
    Redirect::read(response.location(), REDIRECT_URI).get("code").unwrap().to_owned()
}

#[test]
fn ae_15_a_refusal_is_access_denied() {
    let h = Harness::new();
    let consent = ask(&h, "a b");
    let response = decide(&h, consent.ticket(), SESSION, ConsentDecision::Deny).unwrap();
    let redirect = Redirect::read(response.location(), REDIRECT_URI);
    assert_eq!((redirect.get("error"), redirect.get("state")), (Some("access_denied"), Some("xyz")));
    assert_eq!((response.grant(), h.grants()), (None, 0));
    assert!(h.events.saw("AccessDenied"));
    // To allow nothing is to refuse.
    let nothing = ConsentDecision::Approve(grantor::Scope::empty());
    let outcome = decide(&h, consent.ticket(), SESSION, nothing);
    assert_eq!(redirected("nothing", outcome, "access_denied").get("state"), Some("xyz"));
    assert_eq!(h.grants(), 0);
}

#[test]
fn ae_16_a_store_that_fails_is_told_by_redirect() {
    for (what, fault, error) in [
        ("failed", Fault::Fail, "server_error"),
        ("unavailable", Fault::FailUnavailable, "temporarily_unavailable"),
    ] {
        let faults = Faults::new();
        let tokens = MemoryTokenStore::builder().capacity(100).build().unwrap();
        let users = FaultyStore::new(users_with_alice(), &faults);
        let clients = Arc::new(MemoryClientStore::from_iter([app().build().unwrap()]));
        let h = Setup::default().build_with(
            FaultyStore::new(Arc::clone(&clients), &faults),
            FaultyStore::new(tokens, &faults),
            clients,
            |builder| builder.users(users),
        );
        let consent = ask(&h, "a");
        for method in [Method::Insert, Method::Subject] {
            faults.on(method, fault);
            let redirect = redirected(what, approve(&h, &consent, "a"), error);
            assert_eq!(redirect.get("state"), Some("xyz"), "{what}: {method}");
            faults.clear();
        }
        // Before the client is known there is nowhere to redirect to.
        faults.on(Method::Client, fault);
        for outcome in [
            authorize(&h, &authorization_request("app", "a")).map(drop),
            approve(&h, &consent, "a").map(drop),
        ] {
            assert_eq!(failed_with_page(what, outcome).wire().error, error, "{what}");
        }
        faults.clear();
        assert_eq!(h.grants(), 0, "{what}");
        h.token(&exchange_form(&code_of(&approve(&h, &consent, "a")))).ok();
    }
}

#[test]
fn ae_16_a_full_store_and_a_lack_of_randomness_are_told_by_redirect() {
    let h = Setup { capacity: 1, ..Setup::default() }.build();
    let consent = ask(&h, "a");
    let code = code_of(&approve(&h, &consent, "a"));
    let redirect = redirected("full", approve(&h, &consent, "a"), "temporarily_unavailable");
    assert_eq!(redirect.get("state"), Some("xyz"));
    h.token(&exchange_form(&code)).ok();

    let setup = Setup::default();
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let tokens = MemoryTokenStore::new();
    let h = setup.build_with(Arc::clone(&clients), tokens, clients, |builder| {
        builder.entropy(SeededEntropy::new(1).failing_at(0))
    });
    let consent = ask(&h, "a");
    redirected("no randomness", approve(&h, &consent, "a"), "server_error");
    code_of(&approve(&h, &consent, "a"));
}

/// `decide` takes a subject, which cannot be empty, and a ticket; and there is no other way.
#[test]
fn ae_17_no_code_without_a_ticket_and_a_subject() {
    let h = Harness::new();
    let consent = ask(&h, "a b");
    assert_eq!(h.grants(), 0, "to ask is not to allow");
    h.token(&exchange_form(consent.ticket())).refused(400, "invalid_grant");
    assert!(Subject::new("").is_err());
    let json = r#"{"client":"app","redirect_uri":"https://app.example/cb","redirect_uri_sent":true,"scope":"a","state":null,"challenge":null,"began_at":1800000000000}"#;
    let forged = |tag: &[u8]| URL_SAFE_NO_PAD.encode([json.as_bytes(), tag].concat());
    for (what, ticket) in [
        ("nothing", String::new()),
        ("garbage", "garbage".to_owned()),
        ("no tag", forged(&[])),
        ("a tag of zeros", forged(&[0; 32])),
        ("a code", h.code()),
    ] {
        let grants = h.grants();
        for decision in [ConsentDecision::Approve(scope("a")), ConsentDecision::Deny] {
            page(what, decide(&h, &ticket, SESSION, decision));
        }
        assert_eq!(h.grants(), grants, "{what}");
    }
}

#[test]
fn ae_18_a_ticket_is_bound_to_its_session() {
    let h = Harness::new();
    let consent = ask(&h, "a b");
    let longer = [SESSION, b"x"].concat();
    for (what, session) in [
        ("another session", b"the session of mallory".as_slice()),
        ("no session", b""),
        ("a longer session", &longer),
        ("a shorter session", &SESSION[1..]),
    ] {
        for decision in [ConsentDecision::Approve(scope("a")), ConsentDecision::Deny] {
            page(what, decide(&h, consent.ticket(), session, decision));
        }
        assert_eq!(h.grants(), 0, "{what}");
    }
    // A host without sessions binds to nothing, and that is not this session either.
    let request = authorization_request("app", "a");
    let unbound = block_on(h.server.authorize(&request, b"")).unwrap();
    page("an unbound ticket", approve(&h, &unbound, "a"));
    code_of(&approve(&h, &consent, "a b"));
}

#[test]
fn ae_18_a_changed_ticket_is_refused() {
    let h = Harness::new();
    let consent = ask(&h, "a b");
    let ticket = consent.ticket();
    let bytes = URL_SAFE_NO_PAD.decode(ticket).unwrap();
    // What it says can be read, but not written.
    let replaced = |from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("{from} is not in the ticket"));
        let mut changed = bytes.clone();
        changed.splice(at..at + from.len(), to.bytes());
        URL_SAFE_NO_PAD.encode(changed)
    };
    assert_eq!(replaced("a b", "a b"), ticket);
    let flipped = |at: usize| {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        URL_SAFE_NO_PAD.encode(changed)
    };
    for (what, changed) in [
        ("more scope", replaced("a b", "a b c")),
        ("another scope", replaced("a b", "a c")),
        ("another client", replaced("app", "spa")),
        ("another redirect URI", replaced("app.example/cb", "app.example/xx")),
        ("another state", replaced("xyz", "abc")),
        ("another challenge", replaced("E9Mel", "F9Mel")),
        ("another method", replaced("S256", "plain")),
        ("another time", replaced("18000000", "18000001")),
        ("the first bit", flipped(0)),
        ("the last bit", flipped(bytes.len() - 1)),
        ("the end cut off", ticket[..ticket.len() - 4].to_owned()),
        ("something added", format!("{ticket}AAAA")),
        ("something before", format!("AAAA{ticket}")),
    ] {
        for scope_text in ["a", "a b", "a c"] {
            page(what, decide(&h, &changed, SESSION, ConsentDecision::Approve(scope(scope_text))));
        }
        page(what, decide(&h, &changed, SESSION, ConsentDecision::Deny));
    }
    assert_eq!(h.grants(), 0);
    code_of(&approve(&h, &consent, "a b"));
}

#[test]
fn ae_18_a_ticket_lives_for_ten_minutes() {
    let h = Harness::new();
    let consent = ask(&h, "a");
    h.clock.advance(Duration::from_millis(599_999));
    // The code's own time begins with the decision.
    let code = code_of(&approve(&h, &consent, "a"));
    h.clock.advance(Duration::from_millis(1));
    page("ten minutes old", approve(&h, &consent, "a"));
    page("ten minutes old", decide(&h, consent.ticket(), SESSION, ConsentDecision::Deny));
    h.token(&exchange_form(&code)).ok();
}

#[test]
fn ae_18_a_ticket_is_sealed_with_the_server_key() {
    let with_key = |key: ServerKey| {
        let setup = Setup::default();
        let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
        let tokens = MemoryTokenStore::new();
        setup.build_with(Arc::clone(&clients), tokens, clients, |builder| builder.server_key(key))
    };
    let consent = ask(&with_key(ServerKey::from_bytes([1; 32])), "a");
    page("another key", approve(&with_key(ServerKey::from_bytes([2; 32])), &consent, "a"));
    let unrelated = ServerKey::from_bytes([2; 32]).with_previous([3; 32]);
    page("other keys", approve(&with_key(unrelated), &consent, "a"));
    code_of(&approve(&with_key(ServerKey::from_bytes([1; 32])), &consent, "a"));
    let rotated = ServerKey::from_bytes([2; 32]).with_previous([1; 32]);
    code_of(&approve(&with_key(rotated), &consent, "a"));
}

#[test]
fn ae_18_a_form_that_is_submitted_twice_makes_two_grants_and_no_more() {
    let h = Harness::new();
    let consent = ask(&h, "a b");
    let (one, other) = (approve(&h, &consent, "a"), approve(&h, &consent, "a b"));
    assert_ne!(one.as_ref().unwrap().grant(), other.as_ref().unwrap().grant());
    assert_eq!(h.grants(), 2);
    let (one, other) =
        (h.token(&exchange_form(&code_of(&one))).ok(), h.token(&exchange_form(&code_of(&other))).ok());
    assert_eq!((one.scope(), other.scope()), ("a", "a b"));
    // They do not hang together.
    block_on(h.server.revoke(other.access_token())).unwrap();
    assert!(h.is_active(one.access_token()));
}

#[test]
fn ae_18_a_client_is_looked_at_again_when_the_decision_comes() {
    type Change = fn(grantor::ClientBuilder) -> grantor::ClientBuilder;
    let disable: Change = |app| app.enabled(false);
    let move_away: Change = |app| app.without_redirect_uris().redirect_uri("https://app.example/new");
    for (what, change) in [("disabled", disable), ("another redirect URI", move_away)] {
        let h = Harness::new();
        let consent = ask(&h, "a");
        h.change_client("app", change);
        page(what, approve(&h, &consent, "a"));
        page(what, decide(&h, consent.ticket(), SESSION, ConsentDecision::Deny));
        assert_eq!(h.grants(), 0, "{what}");
    }
    let h = Harness::new();
    let consent = ask(&h, "a");
    h.clients.remove(&"app".parse().unwrap());
    page("removed", approve(&h, &consent, "a"));

    let h = Harness::new();
    let consent = ask(&h, "a b");
    h.change_client("app", |app| app.scopes("a").default_scopes("a"));
    redirected("a scope less", approve(&h, &consent, "a b"), "invalid_scope");
    h.change_client("app", |app| app.without_grant_types().grant_type(GrantTypeName::REFRESH_TOKEN));
    redirected("no code flow", approve(&h, &consent, "a"), "unauthorized_client");
    assert_eq!(h.grants(), 0);
    h.change_client("app", |app| app.grant_type(GrantTypeName::AUTHORIZATION_CODE));
    code_of(&approve(&h, &consent, "a"));
}

#[test]
fn no_more_can_be_approved_than_was_asked_for() {
    let h = Harness::new();
    let consent = ask(&h, "a b");
    for more in ["a b c", "c", "a c", "nope", "A", "a b nope"] {
        let redirect = redirected(more, approve(&h, &consent, more), "invalid_scope");
        assert_eq!(redirect.get("state"), Some("xyz"), "{more}");
    }
    assert_eq!(h.grants(), 0);
    for as_much in ["a", "b", "a b", "b a"] {
        let code = code_of(&approve(&h, &consent, as_much));
        assert_eq!(h.token(&exchange_form(&code)).ok().scope(), scope(as_much).as_str());
    }
}

#[test]
fn a_user_approves_no_more_than_the_user_may_grant() {
    let users = users_with_alice();
    let h = Setup::default().build_with_users(Arc::clone(&users));
    let limited = User::new(alice(), "alice").scopes(scope("a x"));
    let consent = ask(&h, "a b");
    assert_eq!(consent.scope_for(&limited).as_str(), "a");
    assert_eq!(consent.scope_for(&User::new(alice(), "alice")).as_str(), "a b");
    users.insert(limited);
    for more in ["a b", "b", "a x", "x"] {
        redirected(more, approve(&h, &consent, more), "invalid_scope");
    }
    let code = code_of(&approve(&h, &consent, "a"));
    assert_eq!(h.token(&exchange_form(&code)).ok().scope(), "a");
    users.insert(User::new(alice(), "alice").scopes(grantor::Scope::empty()));
    redirected("nothing to grant", approve(&h, &consent, "a"), "invalid_scope");
    assert_eq!(h.grants(), 1);
}

#[test]
fn a_user_who_is_gone_approves_nothing() {
    let users = users_with_alice();
    let h = Setup::default().build_with_users(Arc::clone(&users));
    let consent = ask(&h, "a");
    let user = || User::new(alice(), "alice");
    users.insert(user().enabled(false));
    redirected("disabled", approve(&h, &consent, "a"), "access_denied");
    users.insert(user().valid_after(START.plus(Duration::from_millis(1))));
    redirected("revoked", approve(&h, &consent, "a"), "access_denied");
    users.remove(&alice());
    redirected("unknown", approve(&h, &consent, "a"), "access_denied");
    assert_eq!(h.grants(), 0);
    users.insert(user().valid_after(START));
    code_of(&approve(&h, &consent, "a"));
}

#[test]
fn ae_30_a_consent_request_names_client_host_and_scopes() {
    let named = app().name("The App").version("2.1").description("Sorts your mail");
    let setup = Setup::default().clients([named, confidential("nameless")]);
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let define = |token: &str, text: &str| ScopeDefinition::new(token.parse().unwrap(), text);
    let h = setup.build_with(Arc::clone(&clients), MemoryTokenStore::new(), clients, |builder| {
        let builder = builder.scope(define("a", "Read your mail")).scope(define("c", "Delete your mail"));
        builder.scope(define("ab", "Another one"))
    });
    let consent = ask(&h, "b a");
    let client = consent.client();
    assert_eq!((client.id().as_str(), client.name()), ("app", "The App"));
    assert_eq!((client.version(), client.description()), (Some("2.1"), Some("Sorts your mail")));
    assert_eq!((consent.redirect_uri(), consent.redirect_host().as_str()), (REDIRECT_URI, "app.example"));
    assert_eq!(consent.scope().as_str(), "a b");
    let described: Vec<_> =
        consent.definitions().iter().map(|own| (own.token().as_str(), own.description())).collect();
    assert_eq!(described, [("a", "Read your mail")], "of what is asked for, what the server can describe");
    let nameless = accepted("nameless", authorize(&h, &authorization_request("nameless", "c")));
    assert_eq!(nameless.client().name(), "nameless");
    assert_eq!(nameless.definitions().len(), 1);
}

#[test]
fn ae_30_a_consent_request_names_the_host_of_any_redirect_uri() {
    for (uri, host) in [
        ("https://app.example:8443/cb?x=https://evil.example/", "app.example"),
        ("http://127.0.0.1/cb", "127.0.0.1"),
        ("http://[::1]/cb", "[::1]"),
        ("http://localhost/cb", "localhost"),
        ("com.example.app:/cb", "com.example.app"),
        ("myapp:/cb", "myapp"),
    ] {
        let rules = grantor::RedirectUriRules::default().any_private_scheme(true);
        let client = app().without_redirect_uris().redirect_uri_rules(rules).redirect_uri(uri);
        let h = Setup::default().clients([client]).build();
        let request = crate::authorize::changed("redirect_uri", Some(uri));
        let consent = accepted(uri, authorize(&h, &request));
        assert_eq!((consent.redirect_uri(), consent.redirect_host().as_str()), (uri, host));
    }
}
