//! The refresh token grant (RFC 6749 §6, RFC 9700 §4.14.2).

use std::time::Duration;

use grantor::testing::block_on;
use grantor::{GrantTypeName, RefreshLimit, ServerKey, Settings};

use crate::refresh_without_rotation::keeping;
use crate::support::*;

const DAY: u64 = 24 * 3600;

fn strict() -> Harness {
    Setup::default().settings(Settings::default().refresh_retry_window(Duration::ZERO)).build()
}

fn with_limit(limit: RefreshLimit, rotate: bool) -> Harness {
    Setup::default().clients([app().refresh_limit(limit).rotate_refresh_tokens(rotate)]).build()
}

/// The token with one character of the part at `byte` of its 48 bytes changed.
fn damaged(token: &str, byte: usize) -> String {
    let at = byte / 3 * 4;
    let other = if token.as_bytes()[at] == b'A' { 'B' } else { 'A' };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

#[test]
fn rt_01_refresh_token_is_required() {
    let server = Harness::new();
    server.token("grant_type=refresh_token").refused(400, "invalid_request");
    server.token("grant_type=refresh_token&refresh_token=").refused(400, "invalid_request");
}

#[test]
fn rt_02_unknown_expired_and_revoked_tokens_are_refused() {
    let server = Harness::new();
    server.token(&refresh_form("garbage")).refused(400, "invalid_grant");
    server.token(&refresh_form(&"A".repeat(64))).refused(400, "invalid_grant");

    let login = server.login();
    server.token(&refresh_form(login.access_token())).refused(400, "invalid_grant");
    assert!(server.is_active(login.access_token()), "an access token that is misused is not lost");

    assert!(block_on(server.server.revoke(login.refresh_token())).unwrap());
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");

    let expired = server.login();
    server.advance(31 * DAY);
    server.token(&refresh_form(expired.refresh_token())).refused(400, "invalid_grant");
}

/// A grant is as old as the request that began it, however often it is refreshed.
#[test]
fn rt_02_a_refresh_does_not_make_a_grant_younger() {
    for rotate in [true, false] {
        let server = Setup::default().clients([app().rotate_refresh_tokens(rotate)]).build();
        let login = server.login();
        server.advance(60);
        let moment = server.clock_now();
        server.advance(60);
        let refreshed = server.token(&refresh_form(login.refresh_token())).ok();
        assert!(server.is_active(refreshed.access_token()));
        server.change_client("app", |app| app.valid_after(moment));
        assert!(!server.is_active(refreshed.access_token()));
        server.token(&refresh_form(refreshed.refresh_token())).refused(400, "invalid_grant");
    }
}

#[test]
fn rt_03_a_token_is_bound_to_its_client() {
    let server = Harness::new();
    let login = server.login();
    let form = refresh_form(login.refresh_token());
    server.send(Http::form(form.clone()).basic("other", SECRET)).refused(400, "invalid_grant");
    assert!(server.events.saw("Foreign"));
    server.token(&form).ok();
}

#[test]
fn rt_04_a_confidential_client_authenticates() {
    let server = Harness::new();
    let login = server.login();
    let form = format!("{}&client_id=app", refresh_form(login.refresh_token()));
    server.send(Http::form(form)).refused(401, "invalid_client");
    server
        .send(Http::form(refresh_form(login.refresh_token())).basic("app", "wrong"))
        .refused(401, "invalid_client");
    server.token(&refresh_form(login.refresh_token())).ok();
}

#[test]
fn rt_05_scope_cannot_grow() {
    let server = Harness::new();
    let login = server.login();
    let form = refresh_form(login.refresh_token());
    server.token(&format!("{form}&scope=a+b+c")).refused(400, "invalid_scope");
    server.token(&format!("{form}&scope=c")).refused(400, "invalid_scope");
    server.token(&format!("{form}&scope=a++b")).refused(400, "invalid_scope");
    assert_eq!(server.token(&form).ok().scope(), "a b", "a refused request uses nothing up");
}

#[test]
fn rt_06_no_scope_means_all_that_was_granted() {
    let server = Harness::new();
    let login = server.login();
    let narrowed = server.token(&format!("{}&scope=a", refresh_form(login.refresh_token()))).ok();
    assert_eq!(narrowed.scope(), "a");
    let introspected = server.introspect(narrowed.access_token());
    assert_eq!(introspected.active().unwrap().scope().as_str(), "a");
    let full = server.token(&refresh_form(narrowed.refresh_token())).ok();
    assert_eq!(full.scope(), "a b");
}

#[test]
fn rt_07_a_narrowed_refresh_does_not_narrow_the_next() {
    let server = Harness::new();
    let login = server.login();
    let narrowed = server.token(&format!("{}&scope=a", refresh_form(login.refresh_token()))).ok();
    let other = server.token(&format!("{}&scope=b", refresh_form(narrowed.refresh_token()))).ok();
    assert_eq!(other.scope(), "b");
}

#[test]
fn rt_08_tokens_of_public_clients_rotate() {
    let server = strict();
    let code = server.code_for("spa", "a");
    let login = server.send(Http::form(format!("{}&client_id=spa", exchange_form(&code)))).ok();
    let refresh = |token: &str| server.send(Http::form(format!("{}&client_id=spa", refresh_form(token))));
    let second = refresh(login.refresh_token()).ok();
    assert_ne!(second.refresh_token(), login.refresh_token());
    assert_ne!(second.access_token(), login.access_token());
    refresh(login.refresh_token()).refused(400, "invalid_grant");
}

#[test]
fn rt_09_reuse_removes_the_grant() {
    for (server, wait) in [(strict(), 0), (Harness::new(), 35)] {
        let first = server.login();
        let second = server.token(&refresh_form(first.refresh_token())).ok();
        server.advance(wait);
        server.events.take();
        server.token(&refresh_form(first.refresh_token())).refused(400, "invalid_grant");
        let events = server.events.take().join("\n");
        assert!(events.contains("GrantRemoved") && events.contains("RefreshReused"), "{events}");
        for token in [first.access_token(), second.access_token(), second.refresh_token()] {
            assert!(!server.is_active(token), "after {wait} s");
        }
        server.token(&refresh_form(second.refresh_token())).refused(400, "invalid_grant");
        assert_eq!(server.grants(), 0);
    }
}

#[test]
fn rt_09_a_token_older_than_the_last_is_reuse_even_in_the_window() {
    let server = Harness::new();
    let first = server.login();
    let second = server.token(&refresh_form(first.refresh_token())).ok();
    let third = server.token(&refresh_form(second.refresh_token())).ok();
    server.token(&refresh_form(first.refresh_token())).refused(400, "invalid_grant");
    server.token(&refresh_form(third.refresh_token())).refused(400, "invalid_grant");
    assert_eq!(server.grants(), 0);
}

#[test]
fn rt_09_what_is_no_proof_of_reuse_removes_nothing() {
    let server = strict();
    let first = server.login();
    let second = server.token(&refresh_form(first.refresh_token())).ok();
    // Bytes 16 to 27 are the family, 28 to 31 the generation, 32 to 47 the rotating part.
    for (what, token) in [
        ("another family", damaged(second.refresh_token(), 17)),
        ("a damaged current token", damaged(second.refresh_token(), 40)),
        ("a damaged previous token", damaged(first.refresh_token(), 40)),
        ("a token from the future", damaged(second.refresh_token(), 28)),
    ] {
        server.token(&refresh_form(&token)).refused(400, "invalid_grant");
        assert_eq!(server.grants(), 1, "{what}");
    }
    server.token(&refresh_form(second.refresh_token())).ok();
}

#[test]
fn rt_09_a_thief_and_a_victim_cannot_both_go_on() {
    let server = Harness::new();
    let stolen = server.login();
    let thief = server.token(&refresh_form(stolen.refresh_token())).ok();
    let thief = server.token(&refresh_form(thief.refresh_token())).ok();
    server.token(&refresh_form(stolen.refresh_token())).refused(400, "invalid_grant");
    server.token(&refresh_form(thief.refresh_token())).refused(400, "invalid_grant");
}

#[test]
fn rt_11_a_lost_answer_is_given_again_inside_the_window() {
    let server = Harness::new();
    let first = server.login();
    let lost = server.token(&refresh_form(first.refresh_token())).ok();
    server.advance(29);
    let again = server.token(&refresh_form(first.refresh_token())).ok();
    assert_eq!(again.refresh_token(), lost.refresh_token());
    assert_eq!(again.access_token(), lost.access_token());
    assert_eq!((&lost.json["expires_in"], &again.json["expires_in"]), (&3600.into(), &3571.into()));
    // The window began at the rotation and is not renewed.
    server.advance(2);
    server.token(&refresh_form(first.refresh_token())).refused(400, "invalid_grant");
    server.token(&refresh_form(again.refresh_token())).ok();
}

#[test]
fn rt_11_just_past_the_window_nothing_is_removed() {
    let server = Harness::new();
    let first = server.login();
    let second = server.token(&refresh_form(first.refresh_token())).ok();
    for wait in [30, 4] {
        server.advance(wait);
        server.events.take();
        server.token(&refresh_form(first.refresh_token())).refused(400, "invalid_grant");
        assert!(server.events.saw("RefreshLate"));
    }
    server.token(&refresh_form(second.refresh_token())).ok();
}

#[test]
fn rt_11_a_rotation_in_the_future_is_a_clock_and_no_thief() {
    let server = Harness::new();
    server.advance(100);
    let first = server.login();
    let second = server.token(&refresh_form(first.refresh_token())).ok();
    // Another node, whose clock is behind.
    server.clock.set(START.plus(Duration::from_secs(94)));
    server.events.take();
    server.token(&refresh_form(first.refresh_token())).refused(400, "invalid_grant");
    assert!(server.events.saw("RefreshClockSkew"));
    server.clock.set(START.plus(Duration::from_secs(95)));
    let again = server.token(&refresh_form(first.refresh_token())).ok();
    assert_eq!(again.refresh_token(), second.refresh_token());
}

#[test]
fn rt_11_a_repetition_for_another_scope_gets_another_access_token() {
    let server = Harness::new();
    let first = server.login();
    let full = server.token(&refresh_form(first.refresh_token())).ok();
    let narrow = server.token(&format!("{}&scope=a", refresh_form(first.refresh_token()))).ok();
    assert_eq!(narrow.refresh_token(), full.refresh_token());
    assert_ne!(narrow.access_token(), full.access_token());
    assert_eq!(narrow.scope(), "a");
    for (token, scope) in [(&full, "a b"), (&narrow, "a")] {
        let introspected = server.introspect(token.access_token());
        assert_eq!(introspected.active().unwrap().scope().as_str(), scope);
    }
    let once_more = server.token(&format!("{}&scope=a", refresh_form(first.refresh_token()))).ok();
    assert_eq!(once_more.access_token(), narrow.access_token());
}

#[test]
fn rt_11_an_access_token_that_has_expired_in_the_window_gets_a_new_life() {
    let settings = Settings::default().access_token_lifetime(Duration::from_secs(10));
    let server = Setup::default().settings(settings).build();
    let first = server.login();
    let second = server.token(&refresh_form(first.refresh_token())).ok();
    server.advance(20);
    assert!(!server.is_active(second.access_token()));
    let again = server.token(&refresh_form(first.refresh_token())).ok();
    assert_eq!(again.json["expires_in"], 10);
    assert!(server.is_active(again.access_token()));
    assert_eq!(again.refresh_token(), second.refresh_token());
}

#[test]
fn rt_11_without_the_server_key_an_answer_is_not_repeated_and_nothing_is_lost() {
    let tokens = std::sync::Arc::new(grantor::store::MemoryTokenStore::new());
    let server = Setup::default().build_on(std::sync::Arc::clone(&tokens));
    let first = server.login();
    let second = server.token(&refresh_form(first.refresh_token())).ok();

    let with_key = |key: ServerKey| {
        let setup = Setup::default();
        setup.clock.set(server.clock_now());
        let clients = std::sync::Arc::clone(&server.clients);
        let registry = std::sync::Arc::clone(&clients);
        setup.build_with(clients, std::sync::Arc::clone(&tokens), registry, |builder| builder.server_key(key))
    };
    let rotated = with_key(ServerKey::from_bytes([8; 32]).with_previous([7; 32]));
    let again = rotated.token(&refresh_form(first.refresh_token())).ok();
    assert_eq!(again.refresh_token(), second.refresh_token());
    assert_eq!(again.access_token(), second.access_token());

    let lost = with_key(ServerKey::from_bytes([8; 32]));
    lost.token(&refresh_form(first.refresh_token())).refused(400, "invalid_grant");
    assert!(lost.events.saw("RefreshKeyChanged"));
    lost.token(&refresh_form(second.refresh_token())).ok();
}

#[test]
fn rt_12_an_idle_token_expires() {
    let server = Harness::new();
    let first = server.login();
    server.advance(14 * DAY - 1);
    let second = server.token(&refresh_form(first.refresh_token())).ok();
    server.advance(14 * DAY);
    server.events.take();
    server.token(&refresh_form(second.refresh_token())).refused(400, "invalid_grant");
    assert!(server.events.saw("RefreshIdle"));
}

#[test]
fn rt_13_rotation_never_moves_the_absolute_end() {
    for server in [Harness::new(), keeping()] {
        let mut token = server.login().refresh_token().to_owned();
        for day in 1..30 {
            server.advance(DAY);
            token = server.token(&refresh_form(&token)).ok().refresh_token().to_owned();
            assert!(day < 30);
        }
        server.advance(DAY);
        server.events.take();
        server.token(&refresh_form(&token)).refused(400, "invalid_grant");
        assert!(server.events.saw("RefreshExpired"));
    }
}

#[test]
fn rt_16_a_client_without_the_grant_is_refused() {
    let server = Harness::new();
    let login = server.login();
    server.change_client("app", |client| {
        client.without_grant_types().grant_type(GrantTypeName::AUTHORIZATION_CODE)
    });
    server.token(&refresh_form(login.refresh_token())).refused(400, "unauthorized_client");
}

#[test]
fn rt_17_moving_valid_after_ends_refresh_tokens() {
    for what in ["client", "user", "server"] {
        let users = users_with_alice();
        let setup = Setup::default();
        let server = setup.build_with_users(std::sync::Arc::clone(&users));
        let login = server.login();
        let moment = server.clock_now().plus(Duration::from_millis(1));
        match what {
            "client" => server.change_client("app", |client| client.valid_after(moment)),
            "user" => drop(users.insert(grantor::User::new(alice(), "alice").valid_after(moment))),
            _ => {
                use grantor::store::ClientRegistry;
                block_on(server.clients.set_valid_after(moment)).unwrap();
            }
        }
        assert!(!server.is_active(login.access_token()), "{what}");
        server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
        server.advance(1);
        server.token(&refresh_form(server.login().refresh_token())).ok();
    }
}

#[test]
fn rt_17_a_user_who_is_gone_or_disabled_cannot_refresh() {
    let users = users_with_alice();
    let server = Setup::default().build_with_users(std::sync::Arc::clone(&users));
    let login = server.login();
    users.insert(grantor::User::new(alice(), "alice").enabled(false));
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
    assert!(!server.is_active(login.access_token()));
    users.insert(grantor::User::new(alice(), "alice"));
    let again = server.token(&refresh_form(login.refresh_token())).ok();
    users.remove(&alice());
    server.token(&refresh_form(again.refresh_token())).refused(400, "invalid_grant");
}

#[test]
fn rt_18_no_bit_of_a_token_can_be_changed() {
    let server = Harness::new();
    let login = server.login();
    for byte in (0..48).step_by(3) {
        server.token(&refresh_form(&damaged(login.refresh_token(), byte))).refused(400, "invalid_grant");
    }
    assert_eq!(server.grants(), 1);
    server.token(&refresh_form(login.refresh_token())).ok();
}

#[test]
fn seed_t09_the_refresh_limit_is_counted_and_a_used_up_token_removes_nothing() {
    let none = with_limit(RefreshLimit::None, true).login();
    assert!(none.json.get("refresh_token").is_none());

    for rotate in [true, false] {
        let server = with_limit(RefreshLimit::Times(2), rotate);
        let login = server.login();
        let once = server.token(&refresh_form(login.refresh_token())).ok();
        let twice = server.token(&refresh_form(once.refresh_token())).ok();
        server.events.take();
        server.token(&refresh_form(twice.refresh_token())).refused(400, "invalid_grant");
        assert!(server.events.saw("RefreshLimitReached"));
        for answer in [&login, &once, &twice] {
            assert!(server.is_active(answer.access_token()), "rotate: {rotate}");
        }
        assert!(!server.is_active(twice.refresh_token()), "a used-up token is not active");
        // The answer of the last one can still be had again.
        if rotate {
            let again = server.token(&refresh_form(once.refresh_token())).ok();
            assert_eq!(again.refresh_token(), twice.refresh_token());
        }
    }

    let server = with_limit(RefreshLimit::Unlimited, true);
    let mut token = server.login().refresh_token().to_owned();
    for _ in 0..50 {
        token = server.token(&refresh_form(&token)).ok().refresh_token().to_owned();
    }
    let cc = server.token("grant_type=client_credentials").ok();
    assert!(cc.json.get("refresh_token").is_none());
}

#[test]
fn seed_c03_there_is_an_absolute_and_an_idle_lifetime() {
    let hour = Duration::from_secs(3600);
    let settings = Settings::default().refresh_token_lifetime(3 * hour).refresh_token_idle_lifetime(hour);
    let server = Setup::default().settings(settings).build();
    let idle = server.login();
    server.advance(3600);
    server.token(&refresh_form(idle.refresh_token())).refused(400, "invalid_grant");

    let mut token = server.login().refresh_token().to_owned();
    for _ in 0..5 {
        server.advance(1900);
        token = server.token(&refresh_form(&token)).ok().refresh_token().to_owned();
    }
    server.advance(1300);
    server.token(&refresh_form(&token)).refused(400, "invalid_grant");
}

#[test]
fn seed_c09_refresh_looks_at_the_scopes_that_the_client_has_now() {
    let server = Harness::new();
    let login = server.login();
    server.change_client("app", |client| client.scopes("a c").default_scopes("a"));
    assert!(server.is_active(login.access_token()), "what was issued stays");
    let form = refresh_form(login.refresh_token());
    server.token(&format!("{form}&scope=b")).refused(400, "invalid_scope");
    let narrowed = server.token(&form).ok();
    assert_eq!(narrowed.scope(), "a");
    server.change_client("app", |client| client.scopes("c").default_scopes("c"));
    server.token(&refresh_form(narrowed.refresh_token())).refused(400, "invalid_scope");
    server.change_client("app", |client| client.scopes("a b c").default_scopes("a"));
    assert_eq!(server.token(&refresh_form(narrowed.refresh_token())).ok().scope(), "a b");
}

#[test]
fn a_grant_keeps_at_most_sixteen_live_access_tokens() {
    let server = Harness::new();
    let login = server.login();
    let mut token = login.refresh_token().to_owned();
    let mut issued = vec![login.access_token().to_owned()];
    server.events.take();
    for _ in 0..16 {
        let answer = server.token(&refresh_form(&token)).ok();
        token = answer.refresh_token().to_owned();
        issued.push(answer.access_token().to_owned());
    }
    assert!(server.events.saw("AccessTokensDisplaced"));
    assert!(!server.is_active(&issued[0]), "the oldest had to go");
    assert!(issued[1..].iter().all(|token| server.is_active(token)));
}

#[test]
fn the_record_stays_small_over_ten_thousand_refreshes() {
    for server in [Harness::new(), with_limit(RefreshLimit::Times(20_000), false)] {
        let mut token = server.login().refresh_token().to_owned();
        let size = || {
            let page = block_on(server.server.grants(&grantor::store::GrantQuery::new())).unwrap();
            (page.grants.len(), page.grants[0].size())
        };
        for _ in 0..17 {
            token = server.token(&refresh_form(&token)).ok().refresh_token().to_owned();
        }
        let early = size();
        for _ in 0..10_000 {
            token = server.token(&refresh_form(&token)).ok().refresh_token().to_owned();
        }
        assert_eq!(size(), early);
        assert_eq!(early.0, 1);
    }
}
