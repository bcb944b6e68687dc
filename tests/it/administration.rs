//! What administration does with grants, clients and users.

use std::sync::Arc;

use grantor::store::{GrantQuery, MemoryUserStore};
use grantor::testing::block_on;
use grantor::{Subject, User};

use crate::support::*;

#[test]
fn seed_e06_grants_are_listed_without_tokens_and_deleted() {
    let server = Harness::new();
    let (first, second) = (server.login(), server.login());
    let page = block_on(server.server.grants(&GrantQuery::new().of_subject(alice()))).unwrap();
    assert_eq!(page.grants.len(), 2);
    let shown = format!("{:?}", page.grants);
    for token in [first.access_token(), first.refresh_token(), second.access_token()] {
        assert!(!shown.contains(token) && !shown.contains(&token[22..]), "no token and no part of one");
    }
    let grant = server.introspect(first.access_token()).active().unwrap().grant();
    assert!(block_on(server.server.revoke_grant(grant)).unwrap());
    assert!(!block_on(server.server.revoke_grant(grant)).unwrap(), "it is gone");
    assert!(!server.is_active(first.access_token()) && server.is_active(second.access_token()));
    server.token(&refresh_form(first.refresh_token())).refused(400, "invalid_grant");
    assert!(server.events.saw("GrantRemoved"));
}

#[test]
fn deleting_a_child_ends_the_grant_it_hangs_on() {
    let server = Setup::default().clients([app().rotate_refresh_tokens(false)]).build();
    let login = server.login();
    let child = server.token(&refresh_form(login.refresh_token())).ok();
    let id = server.introspect(child.access_token()).active().unwrap().grant();
    assert!(block_on(server.server.revoke_grant(id)).unwrap());
    assert!(!server.is_active(login.access_token()) && !server.is_active(child.access_token()));
}

#[test]
fn all_grants_of_a_client_or_a_subject_end() {
    let server = Harness::new();
    let logins: Vec<_> = (0..250).map(|_| server.login()).collect();
    let other = server.send(Http::form("grant_type=client_credentials").basic("other", SECRET)).ok();
    let machine = server.token("grant_type=client_credentials").ok();
    assert_eq!(block_on(server.server.revoke_subject(&alice())).unwrap(), 250);
    assert!(logins.iter().all(|login| !server.is_active(login.access_token())));
    assert!(server.is_active(machine.access_token()));
    assert_eq!(block_on(server.server.revoke_client(&"app".parse().unwrap())).unwrap(), 1);
    assert!(!server.is_active(machine.access_token()) && server.is_active(other.access_token()));
    assert_eq!(block_on(server.server.revoke_client(&"nobody".parse().unwrap())).unwrap(), 0);
}

#[test]
fn seed_c08_deleting_a_client_deletes_its_tokens() {
    let server = Harness::new();
    let (login, code) = (server.login(), server.code());
    let other = server.send(Http::form("grant_type=client_credentials").basic("other", SECRET)).ok();
    let id = "app".parse().unwrap();
    assert!(block_on(server.server.remove_client(&server.clients, &id)).unwrap());
    assert!(!server.is_active(login.access_token()) && !server.is_active(login.refresh_token()));
    assert_eq!(server.grants(), 1, "that of the other client");
    assert!(server.is_active(other.access_token()));
    server.token(&refresh_form(login.refresh_token())).refused(401, "invalid_client");
    // It comes back with nothing of what it had.
    server.clients.insert(app().build().unwrap());
    assert!(!server.is_active(login.access_token()));
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
    server.token(&exchange_form(&code)).refused(400, "invalid_grant");
    assert!(!block_on(server.server.remove_client(&server.clients, &"nobody".parse().unwrap())).unwrap());
}

#[test]
fn deleting_a_user_deletes_what_the_user_allowed() {
    let users: Arc<MemoryUserStore> = users_with_alice();
    users.insert(User::new(Subject::new("bob").unwrap(), "bob"));
    let server = Setup::default().build_with_users(Arc::clone(&users));
    let login = server.login();
    assert!(block_on(server.server.remove_user(&users, &alice())).unwrap());
    assert!(!server.is_active(login.access_token()));
    assert_eq!(server.grants(), 0);
    assert!(!block_on(server.server.remove_user(&users, &alice())).unwrap());
}

#[test]
fn seed_c09_losing_a_scope_leaves_tokens_alone_and_narrows_the_next_refresh() {
    let server = Harness::new();
    let login = server.login();
    assert_eq!(login.scope(), "a b");
    server.change_client("app", |app| app.scopes("a c").default_scopes("a"));
    let introspection = server.introspect(login.access_token());
    assert_eq!(introspection.active().unwrap().scope().as_str(), "a b");
    assert_eq!(server.token(&refresh_form(login.refresh_token())).ok().scope(), "a");
}

#[test]
fn seed_e05_expired_records_are_removed_in_batches_of_the_size_asked_for() {
    let server = Harness::new();
    for _ in 0..5 {
        server.token("grant_type=client_credentials").ok();
    }
    server.advance(3600 + 61);
    assert_eq!(block_on(server.server.purge_expired(2)).unwrap(), 2);
    assert_eq!(server.grants(), 3);
    assert_eq!(block_on(server.server.purge_expired(100)).unwrap(), 3);
    assert_eq!(block_on(server.server.purge_expired(100)).unwrap(), 0);
}
