//! The introspection endpoint (RFC 7662).

use std::sync::Arc;

use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{Fault, Faults, FaultyStore, Method, block_on};
use grantor::{Settings, TokenQuery};
use serde_json::{Value, json};

use crate::support::*;

const INACTIVE: &str = r#"{"active":false}"#;

fn introspect(server: &Harness, token: &str) -> Answer {
    by(server, "app", token)
}

fn by(server: &Harness, client: &str, token: &str) -> Answer {
    server.send(Http::to("introspect", format!("token={token}")).basic(client, SECRET))
}

/// With the resource server `api` beside the clients.
fn with_api() -> Harness {
    let mut setup = Setup::default();
    setup.clients.push(confidential("api").may_introspect(true).build().unwrap());
    setup.build()
}

#[test]
fn in_01_a_token_and_an_authorized_caller_are_required() {
    let server = Harness::new();
    let login = server.login();
    let form = format!("token={}", login.access_token());
    server.send(Http::to("introspect", form.as_str())).refused(401, "invalid_client");
    for body in ["", "token=", "token_type_hint=access_token"] {
        server.send(Http::to("introspect", body).basic("app", SECRET)).refused(400, "invalid_request");
    }
    let post = || Http::to("introspect", form.as_str()).basic("app", SECRET);
    let repeated = Http::to("introspect", format!("{form}&{form}")).basic("app", SECRET);
    server.send(repeated).refused(400, "invalid_request");
    for method in ["GET", "PUT", "HEAD"] {
        let answer = server.send(post().method(method)).refused(405, "invalid_request");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    server.send(post().without_header("content-type")).refused(400, "invalid_request");
    server.send(Http { secure: false, ..post() }).refused(400, "invalid_request");
    assert_eq!(server.send(post()).json.get("active"), Some(&Value::Bool(true)));
    // The query of a POST is not looked at.
    let in_query = Http::to("introspect", "").basic("app", SECRET).query(&form);
    server.send(in_query).refused(400, "invalid_request");
}

#[test]
fn in_02_wrong_credentials_are_challenged() {
    let server = Harness::new();
    let form = format!("token={}", server.login().access_token());
    let post = || Http::to("introspect", form.as_str());
    for wrong in [
        post().basic("app", "wrong"),
        post().basic("nobody", SECRET),
        post().header("authorization", "Bearer abc"),
        post().header("authorization", "Basic !"),
    ] {
        let answer = server.send(wrong).refused(401, "invalid_client");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm="));
    }
    assert!(server.events.saw("IntrospectionRefused"));
}

#[test]
fn in_03_and_in_04_inactive_is_all_that_is_said() {
    let server = with_api();
    let (revoked, expired, foreign) = (server.login(), server.login(), server.login());
    block_on(server.server.revoke(revoked.access_token())).unwrap();
    for token in ["garbage", "%01", revoked.access_token(), revoked.refresh_token(), &"A".repeat(64)] {
        let answer = by(&server, "api", token);
        assert_eq!((answer.status, answer.body.as_str()), (200, INACTIVE), "{token}");
    }
    assert_eq!(by(&server, "other", foreign.access_token()).body, INACTIVE);
    assert_eq!(by(&server, "other", foreign.refresh_token()).body, INACTIVE);
    server.advance(3600);
    assert_eq!(by(&server, "api", expired.access_token()).body, INACTIVE);
}

#[test]
fn in_04_an_inactive_answer_has_one_member() {
    let answer = introspect(&Harness::new(), "garbage");
    assert_eq!(answer.json, json!({ "active": false }));
}

#[test]
fn in_05_an_active_answer_has_integers_and_one_scope_text() {
    let server = with_api();
    let login = server.login();
    let answer = by(&server, "api", login.access_token());
    let began = START.as_millis() / 1000;
    assert_eq!(
        answer.json,
        json!({
            "active": true, "scope": "a b", "client_id": "app", "token_type": "Bearer", "exp": began + 3600,
            "iat": began, "sub": "alice", "iss": "https://as.example", "auth_time": began,
        })
    );
    let refresh = by(&server, "api", login.refresh_token()).json;
    assert_eq!(refresh["active"], json!(true));
    assert!(refresh.get("token_type").is_none(), "it is no bearer token: {refresh}");
    assert_eq!(refresh["exp"], json!(began + 14 * 24 * 3600), "it ends when it is idle for too long");
}

#[test]
fn in_05_a_client_of_its_own_is_its_subject_and_endless_tokens_have_no_exp() {
    let setup = Setup::default().settings(Settings::default().dangerous().access_tokens_never_expire());
    let server = setup.build();
    let token = server.token("grant_type=client_credentials&scope=a").ok();
    let answer = introspect(&server, token.access_token()).json;
    assert_eq!((&answer["sub"], &answer["scope"]), (&json!("app"), &json!("a")));
    assert!(answer.get("exp").is_none() && answer.get("auth_time").is_none(), "{answer}");
    assert!(!answer.to_string().contains("null"));
}

#[test]
fn seed_e03_the_answer_names_scope_client_owner_type_and_times_whatever_the_hint() {
    let server = Setup::default().build_with_users(users_with_alice());
    let login = server.login();
    let form = format!("token={}&token_type_hint=refresh_token", login.access_token());
    let answer = server.send(Http::to("introspect", form).basic("app", SECRET));
    for member in ["active", "scope", "client_id", "username", "sub", "token_type", "iat", "exp"] {
        assert!(answer.json.get(member).is_some(), "{member}: {answer:?}");
    }
    assert_eq!(answer.text("username"), Some("alice"));
}

#[test]
fn in_06_active_covers_expiry_revocation_and_the_client() {
    let server = with_api();
    let login = server.login();
    let active = |token: &str| by(&server, "api", token).json["active"] == json!(true);
    assert!(active(login.access_token()));
    server.change_client("app", |app| app.enabled(false));
    assert!(!active(login.access_token()) && !active(login.refresh_token()));
    server.change_client("app", |app| app.enabled(true));
    assert!(active(login.access_token()));
    server.advance(3600);
    assert!(!active(login.access_token()) && active(login.refresh_token()));
}

#[test]
fn in_07_a_hint_is_only_a_hint() {
    let server = Harness::new();
    let login = server.login();
    for token in [login.access_token(), login.refresh_token()] {
        for hint in ["access_token", "refresh_token", "foo", ""] {
            let form = format!("token={token}&token_type_hint={hint}");
            let answer = server.send(Http::to("introspect", form).basic("app", SECRET));
            assert_eq!(answer.json["active"], json!(true), "{hint}");
        }
    }
}

#[test]
fn in_08_a_code_is_inactive() {
    let server = Harness::new();
    let code = server.code();
    assert_eq!(introspect(&server, &code).body, INACTIVE);
    server.token(&exchange_form(&code)).ok();
    assert_eq!(introspect(&server, &code).body, INACTIVE);
}

#[test]
fn in_09_a_client_sees_its_own_tokens_and_a_resource_server_all() {
    let server = with_api();
    let login = server.login();
    let active = |client: &str| by(&server, client, login.access_token()).json["active"] == json!(true);
    assert!(active("app") && active("api") && !active("other"));
    assert_eq!(by(&server, "api", login.access_token()).text("client_id"), Some("app"));
}

#[test]
fn in_10_the_answer_is_json_that_is_not_kept() {
    let server = Harness::new();
    let login = server.login();
    for token in [login.access_token(), "garbage"] {
        let answer = introspect(&server, token);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn in_11_a_client_that_only_names_itself_is_refused() {
    let server = Harness::new();
    let code = server.code_for("spa", "a b");
    let login = server.send(Http::form(format!("{}&client_id=spa", exchange_form(&code)))).ok();
    let form = format!("token={}&client_id=spa", login.access_token());
    server.send(Http::to("introspect", form)).refused(401, "invalid_client");
}

#[test]
fn a_store_that_fails_is_no_inactive_token() {
    let faults = Faults::new();
    let setup = Setup::default();
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let tokens = FaultyStore::new(MemoryTokenStore::new(), &faults);
    let server = setup.build_with(Arc::clone(&clients), tokens, clients, |builder| builder);
    let login = server.login();
    faults.on(Method::Load, Fault::Fail);
    introspect(&server, login.access_token()).refused(500, "server_error");
    faults.on(Method::Load, Fault::FailUnavailable);
    introspect(&server, login.access_token()).refused(503, "temporarily_unavailable");
}

#[test]
fn without_http_an_introspection_is_written_down() {
    let server = with_api();
    let login = server.login();
    server.events.take();
    let query = TokenQuery::new(login.access_token()).basic("api", SECRET);
    assert!(block_on(server.server.introspection(&query)).unwrap().is_active());
    assert!(server.events.saw("Introspected { client: Some"));
    let query = TokenQuery::new("garbage").basic("api", SECRET);
    assert!(!block_on(server.server.introspection(&query)).unwrap().is_active());
    assert!(server.events.saw("grant: None"));
}
