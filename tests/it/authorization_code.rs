//! The exchange of a code (RFC 6749 §4.1.3).

use std::sync::{Arc, Barrier};
use std::time::Duration;

use grantor::store::{ClientRegistry, MemoryTokenStore, MemoryUserStore};
use grantor::testing::{LatencyStore, block_on, join_all};
use grantor::{
    Client, ConsentDecision, Error, GrantTypeName, RefreshLimit, Settings, Subject, Timestamp, TokenRequest,
    User,
};

use crate::authorize::changed;
use crate::support::*;

const OTHER_URI: &str = "https://app.example/other";

/// Redeems `code` as the client `id`.
fn exchange_as(h: &Harness, id: &str, code: &str) -> Answer {
    h.send(Http::form(exchange_form(code)).basic(id, SECRET))
}

/// The body that redeems a code of a request that had no `redirect_uri`.
fn exchange_without_uri(code: &str) -> String {
    format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}")
}

#[test]
fn ac_01_code_is_required() {
    let h = Harness::new();
    let form = exchange_form(&h.code());
    let uri_and_verifier = form.split_once("&redirect_uri").unwrap().1;
    for code in ["", "&code=", "&code", "&Code=x"] {
        let answer = h.token(&format!("grant_type=authorization_code{code}&redirect_uri{uri_and_verifier}"));
        assert_eq!(answer.error(), Some("invalid_request"), "{code:?}");
        answer.refused(400, "invalid_request");
    }
    h.token(&form).ok();
}

#[test]
fn ac_02_a_code_that_is_unknown_is_refused() {
    let h = Harness::new();
    let code = h.code();
    let login = h.login();
    let cut = &code[..63];
    let damaged = format!("{cut}{}", if code.ends_with('A') { 'E' } else { 'A' });
    for (what, bad) in [
        ("garbage", "garbage"),
        ("an unknown code", &"A".repeat(64)),
        ("a code with another last character", &damaged),
        ("a shorter code", cut),
        ("a longer code", &format!("{code}A")),
        ("an access token", login.access_token()),
        ("a refresh token", login.refresh_token()),
    ] {
        let answer = h.token(&exchange_form(bad));
        assert_eq!(answer.error(), Some("invalid_grant"), "{what}");
        answer.refused(400, "invalid_grant");
    }
    h.token(&exchange_form(&code)).ok();
}

#[test]
fn ac_02_a_revoked_code_is_refused() {
    let (old, now) = (START, START.plus(Duration::from_secs(5)));
    let revoked = |revoke: &dyn Fn(&Harness, Timestamp)| {
        let h = Harness::new();
        let code = h.code();
        h.advance(5);
        revoke(&h, now);
        h.token(&exchange_form(&code)).refused(400, "invalid_grant");
        // What begins from here on is in force.
        let login = h.login();
        assert!(h.is_active(login.access_token()) && h.is_active(login.refresh_token()));
        h
    };
    let h = revoked(&|h, moment| h.change_client("app", |app| app.valid_after(moment)));
    assert_eq!(h.clock_now(), now);
    revoked(&|h, moment| block_on(h.clients.set_valid_after(moment)).unwrap());
    // The moment itself is included in what stays.
    let h = Harness::new();
    let code = h.code();
    h.change_client("app", |app| app.valid_after(old));
    block_on(h.clients.set_valid_after(old)).unwrap();
    h.token(&exchange_form(&code)).ok();
}

/// A grant begins when its user is asked, so that a request under way is caught, too.
#[test]
fn ac_02_a_code_is_revoked_though_the_decision_came_after() {
    let h = Harness::new();
    let request = authorization_request("app", "a");
    let consent = block_on(h.server.authorize(&request, SESSION)).unwrap();
    h.advance(5);
    h.change_client("app", |app| app.valid_after(START.plus(Duration::from_secs(3))));
    let approve = ConsentDecision::Approve(scope("a"));
    let decided = block_on(h.server.decide(consent.ticket(), SESSION, &alice(), h.clock_now(), approve));
    let code = query_value(decided.unwrap().location(), "code").unwrap();
    h.token(&exchange_form(&code)).refused(400, "invalid_grant");
    h.login();
}

#[test]
fn ac_03_codes_expire_after_their_lifetime() {
    for (settings, lifetime) in [
        (Settings::default(), 60),
        (Settings::default().authorization_code_lifetime(Duration::from_secs(1)), 1),
        (Settings::default().authorization_code_lifetime(Duration::from_secs(600)), 600),
    ] {
        let h = Setup::default().settings(settings).build();
        let (in_time, late) = (h.code(), h.code());
        h.clock.advance(Duration::from_millis(lifetime * 1000 - 1));
        h.token(&exchange_form(&in_time)).ok();
        h.clock.advance(Duration::from_millis(1));
        let answer = h.token(&exchange_form(&late));
        assert_eq!(answer.error(), Some("invalid_grant"), "after {lifetime} s");
        answer.refused(400, "invalid_grant");
    }
}

#[test]
fn ac_04_a_code_is_bound_to_its_client() {
    let h = Harness::new();
    let code = h.code();
    exchange_as(&h, "other", &code).refused(400, "invalid_grant");
    let as_public = format!("{}&client_id=spa", exchange_form(&code));
    h.send(Http::form(as_public)).refused(400, "invalid_grant");
    exchange_as(&h, "app", &code).ok();
    // Nor does a foreign client end what came of it.
    let login = h.login();
    exchange_as(&h, "other", &code).refused(400, "invalid_grant");
    assert!(h.is_active(login.access_token()));
}

#[test]
fn seed_c12_a_code_is_bound_to_its_client_in_process_too() {
    let h = Harness::new();
    let code = h.code();
    let request = |id: &'static str| {
        TokenRequest::new("authorization_code")
            .basic(id, SECRET)
            .parameter("code", code.clone())
            .parameter("redirect_uri", REDIRECT_URI)
            .parameter("code_verifier", VERIFIER)
    };
    let refused = block_on(h.server.token(&request("other"))).unwrap_err();
    assert!(matches!(refused, Error::InvalidGrant { .. }), "{refused}");
    let nameless = TokenRequest::new("authorization_code").parameter("code", code.clone());
    let refused = block_on(h.server.token(&nameless)).unwrap_err();
    assert!(matches!(refused, Error::InvalidClient { .. }), "{refused}");
    let response = block_on(h.server.token(&request("app"))).unwrap();
    assert!(h.is_active(response.access_token().expose()));
}

#[test]
fn ac_05_the_redirect_uri_of_the_request_is_compared_exactly() {
    let h = Setup::default().clients([app().redirect_uri(OTHER_URI)]).build();
    let code = h.code();
    let sent = "&redirect_uri=https%3A%2F%2Fapp.example%2Fcb";
    for other in [
        "",
        "&redirect_uri=",
        "&redirect_uri=https%3A%2F%2Fapp.example%2Fother",
        "&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%2F",
        "&redirect_uri=https%3A%2F%2Fapp.example%2FCB",
        "&redirect_uri=https%3A%2F%2Fapp.example%2F",
        "&redirect_uri=https%3A%2F%2Fapp.example%3A443%2Fcb",
        "&redirect_uri=HTTPS%3A%2F%2Fapp.example%2Fcb",
        "&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fx",
        "&redirect_uri=https%3A%2F%2Fevil.example%2Fcb",
    ] {
        let form = exchange_form(&code);
        let answer = h.token(&form.replace(sent, other));
        assert_eq!(answer.error(), Some("invalid_grant"), "{other:?}");
        answer.refused(400, "invalid_grant");
    }
    h.token(&exchange_form(&code)).ok();
}

#[test]
fn ac_05_the_port_of_a_loopback_uri_is_compared_at_the_exchange() {
    let h = Setup::default().clients([app().redirect_uri("http://127.0.0.1/cb")]).build();
    let request = changed("redirect_uri", Some("http://127.0.0.1:4000/cb"));
    let code = h.approve(&request, "a");
    let with_port =
        |port: &str| exchange_without_uri(&code) + "&redirect_uri=http%3A%2F%2F127.0.0.1" + port + "%2Fcb";
    h.token(&with_port("%3A4001")).refused(400, "invalid_grant");
    h.token(&with_port("")).refused(400, "invalid_grant");
    h.token(&with_port("%3A4000")).ok();
}

#[test]
fn ac_06_a_redirect_uri_that_was_not_sent_is_not_demanded() {
    let h = Harness::new();
    for empty in ["", "&redirect_uri=", "&redirect_uri"] {
        let code = h.approve(&changed("redirect_uri", None), "a");
        h.token(&(exchange_without_uri(&code) + empty)).ok();
    }
}

#[test]
fn seed_t06_redirect_uri_at_the_exchange() {
    // With more than one registered it has to be in both requests.
    let h = Setup::default().clients([app().redirect_uri(OTHER_URI)]).build();
    assert!(block_on(h.server.authorize(&changed("redirect_uri", None), SESSION)).is_err());
    let code = h.code();
    h.token(&exchange_without_uri(&code)).refused(400, "invalid_grant");
    h.token(&exchange_form(&code)).ok();
    // Sent though the authorization request had none.
    let h = Harness::new();
    let code = h.approve(&changed("redirect_uri", None), "a");
    h.token(&exchange_form(&code)).refused(400, "invalid_grant");
    h.token(&exchange_without_uri(&code)).ok();
    // Ignored for other grants.
    let ignored = "&redirect_uri=https%3A%2F%2Fevil.example";
    h.token(&format!("grant_type=client_credentials{ignored}")).ok();
    h.token(&(refresh_form(h.login().refresh_token()) + ignored)).ok();
}

#[test]
fn ac_08_a_code_works_once() {
    let h = Harness::new();
    let form = exchange_form(&h.code());
    h.token(&form).ok();
    for _ in 0..3 {
        h.token(&form).refused(400, "invalid_grant");
    }
}

#[test]
fn ac_09_one_of_fifty_exchanges_at_once_succeeds() {
    for yields in [1, 3] {
        let tokens = MemoryTokenStore::builder().capacity(1000).build().unwrap();
        let h = Setup::default().build_on(LatencyStore::new(tokens).yields(yields));
        let form = exchange_form(&h.code());
        let answers = block_on(join_all((0..50).map(|_| h.token_async(&form))));
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 49), "{yields}");
        for answer in lost {
            answer.refused(400, "invalid_grant");
        }
        assert_eq!(h.grants(), 1);
        assert!(h.is_active(won[0].access_token()) && h.is_active(won[0].refresh_token()));
    }
}

#[test]
fn ac_09_one_of_the_exchanges_on_many_threads_succeeds() {
    const THREADS: usize = 8;
    let h = Harness::new();
    for round in 0..200 {
        let form = exchange_form(&h.code());
        let start = Barrier::new(THREADS);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let exchange = || {
                start.wait();
                h.token(&form)
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(exchange)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!((won.len(), lost.len()), (1, THREADS - 1), "round {round}");
        for answer in lost {
            answer.refused(400, "invalid_grant");
        }
        // Who began after the first had ended was a replay, and ended the grant.
        assert!(h.grants() <= 1, "round {round}");
        block_on(h.server.revoke(won[0].access_token())).unwrap();
        assert_eq!(h.grants(), 0, "round {round}");
    }
}

#[test]
fn ac_10_a_replay_ends_what_came_of_the_code() {
    let h = Harness::new();
    let bystander = h.login();
    let form = exchange_form(&h.code());
    let first = h.token(&form).ok();
    let refreshed = h.token(&refresh_form(first.refresh_token())).ok();
    h.token(&form).refused(400, "invalid_grant");
    for token in [first.access_token(), refreshed.access_token(), refreshed.refresh_token()] {
        assert!(!h.is_active(token));
    }
    h.token(&refresh_form(refreshed.refresh_token())).refused(400, "invalid_grant");
    assert!(h.is_active(bystander.access_token()));
    // A code without challenge and redirect URI is replayed by itself.
    let h = Setup::default().clients([app().require_pkce(false)]).build();
    let code = h.approve(&bare_authorization_request("app", "a"), "a");
    let form = format!("grant_type=authorization_code&code={code}");
    let first = h.token(&form).ok();
    h.token(&form).refused(400, "invalid_grant");
    assert!(!h.is_active(first.access_token()) && !h.is_active(first.refresh_token()));
}

#[test]
fn ac_10_a_replay_ends_a_grant_that_has_no_refresh_token() {
    let h = Setup::default().clients([app().refresh_limit(RefreshLimit::None)]).build();
    let form = exchange_form(&h.code());
    let first = h.token(&form).ok();
    assert_eq!(first.text("refresh_token"), None);
    h.token(&form).refused(400, "invalid_grant");
    assert!(!h.is_active(first.access_token()));
    assert_eq!(h.grants(), 0);
}

#[test]
fn ac_11_a_replay_that_proves_nothing_ends_nothing() {
    let h = Harness::new();
    let code = h.code();
    let form = exchange_form(&code);
    let first = h.token(&form).ok();
    let wrong_verifier = form.replace(VERIFIER, &"x".repeat(43));
    let no_verifier = form.split_once("&code_verifier").unwrap().0.to_owned();
    let other_uri = form.replace("app.example", "evil.example");
    for (what, http, error) in [
        ("a wrong verifier", Http::form(wrong_verifier).basic("app", SECRET), "invalid_grant"),
        ("no verifier", Http::form(no_verifier).basic("app", SECRET), "invalid_grant"),
        ("another redirect URI", Http::form(other_uri).basic("app", SECRET), "invalid_grant"),
        ("no redirect URI", Http::form(exchange_without_uri(&code)).basic("app", SECRET), "invalid_grant"),
        ("another client", Http::form(form.as_str()).basic("other", SECRET), "invalid_grant"),
        ("a wrong secret", Http::form(form.as_str()).basic("app", "wrong"), "invalid_client"),
        ("no authentication", Http::form(form.as_str()), "invalid_client"),
        ("just the name", Http::form(format!("{form}&client_id=app")), "invalid_client"),
    ] {
        let answer = h.send(http);
        assert_eq!(answer.error(), Some(error), "{what}");
        assert!(h.is_active(first.access_token()) && h.is_active(first.refresh_token()), "{what}");
    }
}

#[test]
fn ac_12_a_failed_attempt_leaves_the_code_usable() {
    let h = Harness::new();
    let form = |code: &str| exchange_form(code);
    for (what, spoil) in [
        ("a wrong verifier", (VERIFIER, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")),
        ("a malformed verifier", (VERIFIER, "x")),
        ("another redirect URI", ("app.example", "evil.example")),
        ("another parameter name", ("code_verifier", "verifier")),
        ("another grant type", ("authorization_code", "refresh_token")),
        ("a repeated parameter", ("&code=", "&redirect_uri=x&code=")),
    ] {
        let code = h.code();
        let (right, wrong) = spoil;
        let answer = h.token(&form(&code).replacen(right, wrong, 1));
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        exchange_as(&h, "other", &code).refused(400, "invalid_grant");
        let answer = h.token(&form(&code));
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
    }
}

#[test]
fn ac_13_scope_at_the_exchange_is_ignored() {
    let h = Harness::new();
    for scope in ["admin", "c", "a", "a+b+c", "%22", ""] {
        let answer = h.token(&format!("{}&scope={scope}", exchange_form(&h.code())));
        assert_eq!(answer.status, 200, "{scope}: {answer:?}");
        assert_eq!(answer.scope(), "a b", "{scope}");
        let introspected = h.introspect(answer.access_token());
        assert_eq!(introspected.active().unwrap().scope().as_str(), "a b", "{scope}");
    }
}

#[test]
fn ac_14_the_token_stands_for_what_was_approved() {
    let h = Harness::new();
    let request = authorization_request("app", "a b");
    let consent = block_on(h.server.authorize(&request, SESSION)).unwrap();
    let bob = Subject::new("bob").unwrap();
    let approve = ConsentDecision::Approve(scope("a"));
    let auth_time = START.minus(Duration::from_secs(900));
    let decided = block_on(h.server.decide(consent.ticket(), SESSION, &bob, auth_time, approve)).unwrap();
    let code = query_value(decided.location(), "code").unwrap();
    let answer = h.token(&exchange_form(&code)).ok();
    assert_eq!(answer.scope(), "a");
    for token in [answer.access_token(), answer.refresh_token()] {
        let introspected = h.introspect(token);
        let token = introspected.active().unwrap();
        assert_eq!((token.scope().as_str(), token.sub(), token.client().as_str()), ("a", "bob", "app"));
        assert_eq!((token.grant(), token.auth_time()), (decided.grant().unwrap(), Some(auth_time)));
    }
    // A refresh does not bring back what was not approved.
    h.token(&format!("{}&scope=a+b", refresh_form(answer.refresh_token()))).refused(400, "invalid_scope");
}

#[test]
fn ac_15_a_refresh_token_is_issued_to_clients_registered_for_it() {
    let without_grant = app().without_grant_types().grant_type(GrantTypeName::AUTHORIZATION_CODE);
    for (what, client, expected) in [
        ("registered", app(), true),
        ("not registered for the grant", without_grant, false),
        ("limit none", app().refresh_limit(RefreshLimit::None), false),
        ("limit once", app().refresh_limit(RefreshLimit::Times(1)), true),
        ("without rotation", app().rotate_refresh_tokens(false), true),
    ] {
        let h = Setup::default().clients([client]).build();
        assert_eq!(h.login().json.get("refresh_token").is_some(), expected, "{what}");
    }
}

fn with_users() -> (Harness, Arc<MemoryUserStore>) {
    let users = users_with_alice();
    (Setup::default().build_with_users(Arc::clone(&users)), users)
}

#[test]
fn ac_16_a_grant_of_a_user_who_is_gone_cannot_be_redeemed() {
    let user = || User::new(alice(), "alice");
    let later = START.plus(Duration::from_millis(1));
    type Change = fn(&MemoryUserStore, User, Timestamp);
    let changes: [(&str, Change); 3] = [
        ("disabled", |users, user, _| drop(users.insert(user.enabled(false)))),
        ("removed", |users, user, _| drop(users.remove(user.subject()))),
        ("revoked", |users, user, moment| drop(users.insert(user.valid_after(moment)))),
    ];
    for (what, change) in changes {
        let (h, users) = with_users();
        let (code, login) = (h.code(), h.login());
        assert!(h.is_active(login.access_token()), "{what}");
        change(&users, user(), later);
        h.token(&exchange_form(&code)).refused(400, "invalid_grant");
        h.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
        assert!(!h.is_active(login.access_token()) && !h.is_active(login.refresh_token()), "{what}");
        // It was put off, not ended.
        users.insert(user());
        assert!(h.is_active(login.access_token()), "{what}");
        h.token(&exchange_form(&code)).ok();
    }
}

#[test]
fn ac_16_what_a_user_grants_after_valid_after_is_in_force() {
    let (h, users) = with_users();
    let old = h.login();
    h.advance(10);
    users.insert(User::new(alice(), "alice").valid_after(h.clock_now()));
    let new = h.login();
    assert!(!h.is_active(old.access_token()) && h.is_active(new.access_token()));
    h.token(&refresh_form(new.refresh_token())).ok();
    // A client that acts for itself has no user to lose.
    h.token("grant_type=client_credentials").ok();
}

#[test]
fn ac_17_a_public_client_redeems_its_own_codes_only() {
    let other = Client::public("other-public")
        .grant_type(GrantTypeName::AUTHORIZATION_CODE)
        .redirect_uri(REDIRECT_URI)
        .scopes("a");
    let h = Setup::default().clients([spa(), other, app()]).build();
    let form = exchange_form(&h.code_for("spa", "a"));
    h.send(Http::form(format!("{form}&client_id=other-public"))).refused(400, "invalid_grant");
    h.send(Http::form(form.as_str()).basic("app", SECRET)).refused(400, "invalid_grant");
    h.send(Http::form(format!("{form}&client_id=Spa"))).refused(401, "invalid_client");
    h.send(Http::form(form.as_str())).refused(401, "invalid_client");
    let answer = h.send(Http::form(format!("{form}&client_id=spa"))).ok();
    assert_eq!(h.introspect(answer.access_token()).active().unwrap().client().as_str(), "spa");
}
