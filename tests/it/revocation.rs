//! The revocation endpoint (RFC 7009).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::TokenQuery;
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{Fault, Faults, FaultyStore, Method, block_on};

use crate::support::*;

fn revoke(server: &Harness, form: &str) -> Answer {
    server.send(Http::to("revoke", form).basic("app", SECRET))
}

/// RFC 7009 §2.2: nothing but the status.
#[track_caller]
fn done(answer: &Answer) {
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn rv_01_a_token_is_required_and_posted_as_a_form() {
    let server = Harness::new();
    let login = server.login();
    let form = format!("token={}", login.access_token());
    for body in ["", "token=", "token_type_hint=access_token"] {
        revoke(&server, body).refused(400, "invalid_request");
    }
    revoke(&server, &format!("{form}&{form}")).refused(400, "invalid_request");
    let post = || Http::to("revoke", form.as_str()).basic("app", SECRET);
    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        let answer = server.send(post().method(method)).refused(405, "invalid_request");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    // Not even where the token endpoint takes `GET`.
    let lenient = Harness::new().route(|builder| builder.dangerous().allow_get());
    lenient.send(post().method("GET").query(&form)).refused(405, "invalid_request");
    server.send(post().without_header("content-type")).refused(400, "invalid_request");
    let plain = Http { secure: false, ..post() };
    server.send(plain).refused(400, "invalid_request");
    server.send(post().path("/oauth/revoke").query(&form).header("x", "y"));
    assert!(!server.is_active(login.access_token()), "the last one was in order");
}

#[test]
fn rv_02_a_confidential_client_is_authenticated_first() {
    let server = Harness::new();
    let login = server.login();
    let form = format!("token={}", login.access_token());
    let post = || Http::to("revoke", form.as_str());
    server.send(post()).refused(401, "invalid_client");
    server.send(post().basic("app", "wrong")).refused(401, "invalid_client");
    server.send(post().basic("nobody", SECRET)).refused(401, "invalid_client");
    server.send(Http::to("revoke", format!("{form}&client_id=app"))).refused(401, "invalid_client");
    assert!(server.is_active(login.access_token()));
    done(&server.send(Http::to("revoke", format!("{form}&client_id=app&client_secret={SECRET}"))));
    assert!(!server.is_active(login.access_token()));
    // Also for a token that is dead, and for none at all.
    server.send(post().basic("app", "wrong")).refused(401, "invalid_client");
    server.send(Http::to("revoke", "").basic("app", "wrong")).refused(401, "invalid_client");
    assert!(server.events.saw("RevocationRefused { client: Some"));
}

#[test]
fn rv_03_a_public_client_revokes_with_its_id() {
    let server = Harness::new();
    let code = server.code_for("spa", "a b");
    let login = server.send(Http::form(format!("{}&client_id=spa", exchange_form(&code)))).ok();
    server.send(Http::to("revoke", format!("token={}", login.access_token()))).refused(401, "invalid_client");
    done(&server.send(Http::to("revoke", format!("token={}&client_id=spa", login.access_token()))));
    assert!(!server.is_active(login.access_token()));
}

#[test]
fn rv_04_the_token_of_another_client_is_left_alone() {
    let server = Harness::new();
    let login = server.login();
    for token in [login.access_token(), login.refresh_token()] {
        done(&server.send(Http::to("revoke", format!("token={token}")).basic("other", SECRET)));
        done(&server.send(Http::to("revoke", format!("token={token}&client_id=spa"))));
    }
    assert!(server.is_active(login.access_token()));
    server.token(&refresh_form(login.refresh_token())).ok();
}

#[test]
fn rv_05_what_is_no_token_is_no_error() {
    let server = Harness::new();
    let expired = server.login();
    server.advance(3600);
    let code = server.code();
    let long = "x".repeat(10_000);
    for token in ["garbage", "%00", expired.access_token(), &"A".repeat(64), &long] {
        done(&revoke(&server, &format!("token={token}")));
    }
    // A code is no token: it goes on to be good.
    done(&revoke(&server, &format!("token={code}")));
    server.token(&exchange_form(&code)).ok();
}

#[test]
fn rv_06_refresh_and_access_tokens_are_revoked() {
    let server = Harness::new();
    let login = server.login();
    done(&revoke(&server, &format!("token={}", login.refresh_token())));
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
    let login = server.login();
    done(&revoke(&server, &format!("token={}", login.access_token())));
    assert!(!server.is_active(login.access_token()));
}

#[test]
fn rv_07_seed_e04_either_token_of_the_pair_ends_both() {
    for by_refresh in [true, false] {
        let server = Harness::new();
        let login = server.login();
        let token = if by_refresh { login.refresh_token() } else { login.access_token() };
        done(&revoke(&server, &format!("token={token}")));
        assert!(!server.is_active(login.access_token()));
        assert!(!server.is_active(login.refresh_token()));
        server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
        assert_eq!(server.grants(), 0);
        assert!(server.events.saw("GrantRemoved"));
    }
}

#[test]
fn seed_e04_either_token_kills_both_an_unknown_one_is_a_no_op_and_each_client_has_its_own() {
    let server = Harness::new();
    let (first, second) = (server.login(), server.login());
    done(&revoke(&server, "token=unknown"));
    done(&revoke(&server, &format!("token={}", first.refresh_token())));
    assert!(!server.is_active(first.access_token()));
    assert!(server.is_active(second.access_token()), "another grant of the same client and user");
    // An administrator may end any.
    assert!(block_on(server.server.revoke(second.access_token())).unwrap());
    assert!(!server.is_active(second.access_token()));
}

#[test]
fn a_refresh_token_put_together_from_others_revokes_nothing() {
    let server = Harness::new();
    // Id, family, generation and the part that rotates.
    let parts = |token: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        [0..16, 16..28, 28..32, 32..48].map(|part| bytes[part].to_vec())
    };
    let other = parts(server.login().refresh_token());
    let first = server.login();
    let second = server.token(&refresh_form(first.refresh_token()));
    let third = server.token(&refresh_form(second.refresh_token()));
    let rotated = [first.refresh_token(), second.refresh_token(), third.refresh_token()].map(parts);
    let [id, own, ..] = &rotated[2];
    for family in [own, &other[1]] {
        for (generation, from) in rotated.iter().enumerate() {
            for (rotating, part) in rotated.iter().chain([&other]).enumerate() {
                if family == own && generation == rotating && generation > 0 {
                    continue;
                }
                let token =
                    URL_SAFE_NO_PAD.encode([id, family, &from[2], &part[3]].map(Vec::as_slice).concat());
                done(&revoke(&server, &format!("token={token}")));
                assert!(server.is_active(third.access_token()), "{generation} with the part of {rotating}");
            }
        }
    }
    // Whoever holds the one before may have lost the answer that had the last.
    done(&revoke(&server, &format!("token={}", second.refresh_token())));
    assert!(!server.is_active(third.access_token()));
}

#[test]
fn rv_08_a_hint_is_only_a_hint() {
    let server = Harness::new();
    for hint in ["access_token", "refresh_token", "foo", ""] {
        let login = server.login();
        done(&revoke(&server, &format!("token={}&token_type_hint={hint}", login.access_token())));
        assert!(!server.is_active(login.access_token()), "{hint}");
        let login = server.login();
        done(&revoke(&server, &format!("token={}&token_type_hint={hint}", login.refresh_token())));
        assert!(!server.is_active(login.refresh_token()), "{hint}");
    }
}

/// On a token store that has faults.
fn faulty() -> (Harness, Faults) {
    let faults = Faults::new();
    let setup = Setup::default();
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let tokens = FaultyStore::new(MemoryTokenStore::new(), &faults);
    (setup.build_with(Arc::clone(&clients), tokens, clients, |builder| builder), faults)
}

#[test]
fn rv_10_a_store_that_fails_is_told_and_the_token_stays() {
    for (fault, status, error) in
        [(Fault::Fail, 500, "server_error"), (Fault::FailUnavailable, 503, "temporarily_unavailable")]
    {
        for method in [Method::Load, Method::Remove] {
            let (server, faults) = faulty();
            let login = server.login();
            faults.on(method, fault);
            let form = format!("token={}", login.access_token());
            revoke(&server, &form).refused(status, error);
            faults.clear();
            assert!(server.is_active(login.access_token()));
            done(&revoke(&server, &form));
            assert!(!server.is_active(login.access_token()));
        }
    }
}

#[test]
fn rv_11_it_takes_effect_at_once() {
    let server = Harness::new();
    let login = server.login();
    done(&revoke(&server, &format!("token={}", login.refresh_token())));
    let form = format!("token={}", login.access_token());
    let answer = server.send(Http::to("introspect", form).basic("app", SECRET));
    assert_eq!(answer.body, r#"{"active":false}"#);
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
}

#[test]
fn rv_12_a_page_of_an_allowed_origin_may_revoke() {
    let server = Harness::new().route(|builder| builder.cors_origins(["https://app.example"]));
    let preflight = Http::to("revoke", "")
        .method("OPTIONS")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST");
    let answer = server.send(preflight.clone());
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, Some("POST")));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    let foreign = preflight.without_header("origin").header("origin", "https://evil.example");
    assert!(server.send(foreign).header("access-control-allow-origin").is_none());
}

#[test]
fn revoking_a_child_ends_its_parent() {
    let server = Setup::default().clients([app().rotate_refresh_tokens(false)]).build();
    let login = server.login();
    let child = server.token(&refresh_form(login.refresh_token())).ok();
    done(&revoke(&server, &format!("token={}", child.access_token())));
    assert!(!server.is_active(child.access_token()) && !server.is_active(login.access_token()));
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
}

#[test]
fn without_http_a_revocation_is_written_down() {
    let server = Harness::new();
    let login = server.login();
    let query = TokenQuery::new(login.access_token()).basic("app", SECRET);
    block_on(server.server.revocation(&query)).unwrap();
    assert!(!server.is_active(login.access_token()));
    assert!(!format!("{query:?}").contains(login.access_token()));
    assert!(block_on(server.server.revocation(&TokenQuery::new("x"))).is_err());
}
