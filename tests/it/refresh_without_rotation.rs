//! Refresh tokens that do not rotate: what each refresh gets is a record of its own, and the shared one
//! is written seldom.

use std::sync::Arc;
use std::time::Duration;

use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{SeededEntropy, block_on};
use grantor::{RefreshLimit, Settings};

use crate::support::*;

const DAY: u64 = 24 * 3600;

/// `app` without rotation.
pub(crate) fn keeping() -> Harness {
    Setup::default().clients([app().rotate_refresh_tokens(false)]).build()
}

/// As [`keeping`], on a store that has been there under other settings.
fn keeping_on(tokens: &Arc<MemoryTokenStore>, access: u64, idle: u64) -> Harness {
    let settings = Settings::default()
        .access_token_lifetime(Duration::from_secs(access))
        .refresh_token_idle_lifetime(Duration::from_secs(idle));
    let setup = Setup::default().clients([app().rotate_refresh_tokens(false)]).settings(settings);
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let entropy = SeededEntropy::new(access + idle);
    setup.build_with(Arc::clone(&clients), Arc::clone(tokens), clients, |builder| builder.entropy(entropy))
}

/// Good until then, whatever is purged before.
fn assert_ends_in(server: &Harness, token: &str, seconds: u64) {
    server.advance(seconds - 1);
    block_on(server.server.purge_expired(1000)).unwrap();
    assert!(server.is_active(token));
    server.advance(1);
    assert!(!server.is_active(token));
}

#[test]
fn rt_12_the_idle_time_of_a_kept_token_is_written_once_it_has_moved_by_a_sixteenth() {
    let tokens = Arc::new(MemoryTokenStore::new());
    let server = keeping_on(&tokens, 10, 1600);
    let login = server.login();
    let end = |server: &Harness| {
        server.token(&refresh_form(login.refresh_token())).ok();
        let told = server.introspect(login.refresh_token());
        told.active().unwrap().expires_at().unwrap().since(START).as_secs()
    };
    server.advance(100);
    assert_eq!(end(&server), 1600);
    server.advance(1);
    assert_eq!(end(&server), 1701);
    // Since then, less was allowed: by a sixteenth of it, and by more.
    for (idle, expected) in [(1504, 1701), (1500, 1603)] {
        let server = keeping_on(&tokens, 10, idle);
        server.advance(103);
        assert_eq!(end(&server), expected, "{idle}");
    }
}

#[test]
fn rt_15_without_rotation_the_token_stays_in_force() {
    let server = keeping();
    let login = server.login();
    for _ in 0..3 {
        server.advance(7 * DAY);
        let refreshed = server.token(&refresh_form(login.refresh_token())).ok();
        assert_eq!(refreshed.refresh_token(), login.refresh_token());
        assert!(server.is_active(refreshed.access_token()));
        assert_ends_in(&server, refreshed.access_token(), 3600);
    }
}

#[test]
fn rt_15_tokens_of_one_grant_do_not_displace_each_other_without_rotation() {
    let server = keeping();
    let login = server.login();
    let all: Vec<Answer> = (0..40).map(|_| server.token(&refresh_form(login.refresh_token())).ok()).collect();
    for answer in &all {
        assert!(server.is_active(answer.access_token()));
    }
    assert!(block_on(server.server.revoke(all[7].access_token())).unwrap(), "a child ends its parent");
    for answer in &all {
        assert!(!server.is_active(answer.access_token()));
    }
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
}

#[test]
fn rt_15_a_child_lives_as_long_as_it_was_said_to() {
    let server = keeping();
    let login = server.login();
    server.advance(14 * DAY - 1);
    let refreshed = server.token(&refresh_form(login.refresh_token())).ok();
    assert_eq!(refreshed.json["expires_in"], 3600);
    server.advance(14 * DAY - 1);
    server.token(&refresh_form(login.refresh_token())).ok();
    // A token from the last second of the absolute lifetime outlives the refresh token.
    server.advance(2 * DAY + 1);
    let last = server.token(&refresh_form(login.refresh_token())).ok();
    server.advance(1);
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
    server.advance(3598);
    // Room is reclaimed as others come; what is promised stays.
    for _ in 0..100 {
        server.login();
    }
    assert_ends_in(&server, last.access_token(), 1);
}

#[test]
fn rt_15_a_child_under_a_longer_lifetime_than_its_parent_knew_lives_it_out() {
    let tokens = Arc::new(MemoryTokenStore::new());
    let login = keeping_on(&tokens, 10, 1600).login();
    let server = keeping_on(&tokens, 3600, 1600);
    server.advance(1);
    let child = server.token(&refresh_form(login.refresh_token())).ok();
    assert_ends_in(&server, child.access_token(), 3600);
}

#[test]
fn a_client_that_stops_rotating_and_starts_again_loses_nobody() {
    let server = Harness::new();
    let rotated = server.token(&refresh_form(server.login().refresh_token())).ok();
    server.change_client("app", |client| client.rotate_refresh_tokens(false));
    let kept = server.token(&refresh_form(rotated.refresh_token())).ok();
    assert_eq!(kept.refresh_token(), rotated.refresh_token());
    server.change_client("app", |client| client.rotate_refresh_tokens(true));
    let again = server.token(&refresh_form(kept.refresh_token())).ok();
    assert_ne!(again.refresh_token(), kept.refresh_token());
    for answer in [&rotated, &kept, &again] {
        assert!(server.is_active(answer.access_token()));
    }
}

#[test]
fn seed_e02_a_client_of_old_gets_the_same_token_back_and_the_count_goes_down() {
    let old = app().rotate_refresh_tokens(false).refresh_limit(RefreshLimit::Times(2));
    let server = Setup::default().clients([old]).build();
    let login = server.login();
    for scope in ["a b", "a"] {
        let again = server
            .token(&format!("{}&scope={}", refresh_form(login.refresh_token()), scope.replace(' ', "+")))
            .ok();
        assert_eq!((again.refresh_token(), again.scope()), (login.refresh_token(), scope));
    }
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
    assert!(server.is_active(login.access_token()), "a limit that is reached ends nothing");
}
