//! A client that acts for itself (RFC 6749 §4.4).

use grantor::{AuthMethod, ScopePolicy, Settings, TokenKind};

use crate::support::*;

const CREDENTIALS: &str = "grant_type=client_credentials";

#[test]
fn cc_01_only_an_authenticated_confidential_client_may_use_it() {
    let h = Harness::new();
    h.send(Http::form(format!("{CREDENTIALS}&client_id=spa"))).refused(400, "unauthorized_client");
    h.send(Http::form(format!("{CREDENTIALS}&client_id=spa&scope=a"))).refused(400, "unauthorized_client");
    for (what, http) in [
        ("no credentials", Http::form(CREDENTIALS)),
        ("just the name", Http::form(format!("{CREDENTIALS}&client_id=app"))),
        ("an empty secret", Http::form(format!("{CREDENTIALS}&client_id=app&client_secret="))),
        ("a wrong secret", Http::form(CREDENTIALS).basic("app", "wrong")),
        ("a secret for a public client", Http::form(CREDENTIALS).basic("spa", SECRET)),
        (
            "a secret of another client",
            Http::form(format!("{CREDENTIALS}&client_id=spa&client_secret={SECRET}")),
        ),
    ] {
        let answer = h.send(http);
        assert_eq!(answer.error(), Some("invalid_client"), "{what}");
        answer.refused(401, "invalid_client");
    }
    assert_eq!(h.grants(), 0);
    let registered = spa().grant_type(grantor::GrantTypeName::CLIENT_CREDENTIALS).build().unwrap_err();
    assert_eq!(registered.field(), "grant_types");
    for http in [
        Http::form(CREDENTIALS).basic("app", SECRET),
        Http::form(format!("{CREDENTIALS}&client_id=app&client_secret={SECRET}")),
    ] {
        assert!(h.is_active(h.send(http).ok().access_token()));
    }
    let basic_only = app().auth_methods([AuthMethod::ClientSecretBasic]);
    let h = Setup::default().clients([basic_only]).build();
    h.send(Http::form(format!("{CREDENTIALS}&client_id=app&client_secret={SECRET}")))
        .refused(401, "invalid_client");
}

#[test]
fn cc_02_there_is_no_refresh_token() {
    let fixed = confidential("fixed").rotate_refresh_tokens(false);
    let h = Setup::default().clients([app(), fixed]).build();
    for client in ["app", "fixed"] {
        // Registered for the refresh grant, and gets one from a code.
        let code = Http::form(exchange_form(&h.code_for(client, "a"))).basic(client, SECRET);
        assert!(h.send(code).ok().text("refresh_token").is_some());
        let answer = h.send(Http::form(CREDENTIALS).basic(client, SECRET)).ok();
        assert!(answer.json.get("refresh_token").is_none(), "{answer:?}");
        let form = refresh_form(answer.access_token());
        h.send(Http::form(form).basic(client, SECRET)).refused(400, "invalid_grant");
    }
}

#[test]
fn cc_03_the_scope_is_limited_to_what_the_client_is_registered_for() {
    let limited = confidential("limited").scopes("a").default_scopes("");
    for (settings, narrowed) in
        [(Settings::default(), None), (Settings::default().scope_policy(ScopePolicy::Narrow), Some("a"))]
    {
        let h = Setup::default().clients([app(), limited.clone()]).settings(settings).build();
        let ask =
            |scope: &str| h.send(Http::form(format!("{CREDENTIALS}&scope={scope}")).basic("limited", SECRET));
        assert_eq!(ask("a").ok().scope(), "a");
        ask("b").refused(400, "invalid_scope");
        ask("unregistered").refused(400, "invalid_scope");
        ask("").refused(400, "invalid_scope");
        match narrowed {
            Some(narrowed) => assert_eq!(ask("a+b").ok().scope(), narrowed),
            None => drop(ask("a+b").refused(400, "invalid_scope")),
        }
        assert_eq!(h.token(&format!("{CREDENTIALS}&scope=a+b+c")).ok().scope(), "a b c");
    }
}

#[test]
fn cc_04_the_token_stands_for_the_client_and_for_no_user() {
    // Even where there is a user of the same name.
    let users = users_with_alice();
    let h = Setup::default().clients([confidential("alice")]).build_with_users(users);
    let own = h.send(Http::form(CREDENTIALS).basic("alice", SECRET)).ok();
    let own = h.introspect(own.access_token());
    let own = own.active().unwrap();
    assert_eq!((own.kind(), own.client().as_str(), own.sub()), (TokenKind::Access, "alice", "alice"));
    assert_eq!((own.subject(), own.auth_time()), (None, None));
    let code = h.code_for("alice", "a");
    let users_own = h.send(Http::form(exchange_form(&code)).basic("alice", SECRET)).ok();
    let users_own = h.introspect(users_own.access_token());
    assert_eq!(users_own.active().unwrap().subject(), Some(&alice()));
    // `username` and `subject` in the request change nothing.
    let form = format!("{CREDENTIALS}&username=alice&subject=alice&sub=alice");
    let answer = h.send(Http::form(form).basic("alice", SECRET)).ok();
    assert_eq!(h.introspect(answer.access_token()).active().unwrap().subject(), None);
}

#[test]
fn cc_05_parameters_of_other_grants_are_ignored() {
    let h = Harness::new();
    for other in [
        "code=x",
        "username=y&password=z",
        "redirect_uri=https%3A%2F%2Fevil.example%2F",
        "refresh_token=garbage",
        "code_verifier=short",
        "code_challenge=x&code_challenge_method=plain",
        "state=x&response_type=code&nonce=n",
        "device_code=x&assertion=y",
        "code=x&username=y",
    ] {
        let answer = h.token(&format!("{CREDENTIALS}&{other}"));
        assert_eq!(answer.status, 200, "{other}: {answer:?}");
        assert_eq!(answer.ok().scope(), "a b", "{other}");
    }
}

#[test]
fn seed_t05_code_is_ignored_for_all_other_grants() {
    let h = Harness::new();
    let code = h.code();
    let refresh = h.login().refresh_token().to_owned();
    for code in ["garbage", &code] {
        h.token(&format!("{CREDENTIALS}&code={code}")).ok();
    }
    h.token(&format!("{}&code={code}", refresh_form(&refresh))).ok();
    // It was not spent either.
    h.token(&exchange_form(&code)).ok();
    h.token("grant_type=authorization_code").refused(400, "invalid_request");
}
