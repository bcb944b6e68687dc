//! What clients see of servers whose stores are one database.

use std::sync::{Arc, Barrier};
use std::thread;

use grantor::store::{
    ClientRegistry as _, ClientStore as _, GrantQuery, MemoryClientStore, PostgresStore, Read,
    StoreErrorKind, TokenStore as _, UserStore as _,
};
use grantor::testing::{SeededEntropy, block_on};

use super::{new_store, shared, store_at};
use crate::demo::shared_store;
use crate::on_runtime::OnRuntime;
use crate::support::*;

/// A server of its own on `store`. Two on one database need different seeds.
pub(super) fn server(store: &OnRuntime<PostgresStore>, seed: u64) -> Harness {
    let setup = Setup::default();
    for client in &setup.clients {
        block_on(store.put_client(client.clone())).unwrap();
    }
    let unused = Arc::new(MemoryClientStore::new());
    setup.build_with(store.clone(), store.clone(), unused, |builder| {
        builder.users(users_with_alice()).entropy(SeededEntropy::new(seed))
    })
}

/// Does `work` sixteen times at once.
fn sixteen<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(16);
    thread::scope(|scope| {
        let each = |index| {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(index)
            })
        };
        let threads: Vec<_> = (0..16).map(each).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn tokens_are_issued_refreshed_and_revoked_by_servers_that_share_a_database() {
    let url = shared().database();
    let (first, second) = (server(&store_at(&url), 1), server(&store_at(&url), 2));
    let code = first.code();
    let login = second.token(&exchange_form(&code)).ok();
    let next = first.token(&refresh_form(login.refresh_token())).ok();
    assert!(second.is_active(next.access_token()));
    assert!(block_on(second.server.revoke(next.refresh_token())).unwrap());
    assert!(!first.is_active(login.access_token()) && !first.is_active(next.access_token()));
    first.token(&refresh_form(next.refresh_token())).refused(400, "invalid_grant");
    assert_eq!(first.grants(), 0);
}

#[test]
fn of_sixteen_redemptions_on_two_servers_one_succeeds() {
    let url = shared().database();
    let servers = [server(&store_at(&url), 1), server(&store_at(&url), 2)];
    for _ in 0..5 {
        let form = exchange_form(&servers[0].code());
        let answers = sixteen(|index| servers[index % 2].token(&form));
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        for answer in answers.into_iter().filter(|answer| answer.status != 200) {
            answer.refused(400, "invalid_grant");
        }
    }
}

#[test]
fn sixteen_uses_of_one_refresh_token_have_one_successor() {
    let url = shared().database();
    // What a successor is derived with is the same on both.
    let servers = [server(&store_at(&url), 1), server(&store_at(&url), 2)];
    let login = servers[0].login();
    let form = refresh_form(login.refresh_token());
    let answers = sixteen(|_| servers[0].token(&form));
    let refreshed: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(!refreshed.is_empty());
    assert!(refreshed.iter().all(|answer| answer.refresh_token() == refreshed[0].refresh_token()));
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    servers[1].token(&refresh_form(refreshed[0].refresh_token())).ok();
}

#[test]
fn a_dump_holds_no_token_no_secret_and_no_password() {
    let url = shared().database();
    let store = store_at(&url);
    let server = server(&store, 1);
    let code = server.code();
    let login = server.login();
    let next = server.token(&refresh_form(login.refresh_token())).ok();
    let dump = shared().dump(&url);
    assert!(dump.contains("grantor_grants") && dump.contains("alice"));
    let tokens = [login.access_token(), login.refresh_token(), next.access_token(), next.refresh_token()];
    for token in tokens.into_iter().chain([code.as_str()]) {
        // The id is there, as a number; the secret half is not.
        assert!(!dump.contains(token) && !dump.contains(&token[22..]));
    }
    assert!(!dump.contains(SECRET));
}

#[test]
fn a_newer_record_is_neither_used_nor_written_over() {
    let url = shared().database();
    let store = store_at(&url);
    let server = server(&store, 1);
    let token = server.token("grant_type=client_credentials").ok();
    let grant = block_on(store.find(&GrantQuery::new())).unwrap().grants.remove(0);
    let database = url.rsplit('/').next().unwrap();
    shared().run(
        "UPDATE grantor_grants SET format = 2, record = '{\"format\":2}';
         UPDATE grantor_clients SET format = 2",
        database,
    );
    let (id, revision) = (grant.id(), grant.revision());
    let kinds = [
        block_on(store.load(id, Read::Latest)).unwrap_err().kind(),
        block_on(store.replace(grant.clone(), revision)).unwrap_err().kind(),
        block_on(store.remove(id, Some(revision))).unwrap_err().kind(),
        block_on(store.remove(id, None)).unwrap_err().kind(),
        block_on(store.find(&GrantQuery::new())).unwrap_err().kind(),
        block_on(store.client(&"app".parse().unwrap())).unwrap_err().kind(),
        block_on(store.put_client(app().build().unwrap())).unwrap_err().kind(),
        block_on(store.remove_client(&"app".parse().unwrap())).unwrap_err().kind(),
    ];
    assert!(kinds.iter().all(|kind| *kind == StoreErrorKind::Unavailable), "{kinds:?}");
    server.token("grant_type=client_credentials").refused(503, "temporarily_unavailable");
    let kept = shared().run("SELECT count(*) FROM grantor_grants WHERE format = 2", database);
    assert_eq!(kept.trim(), "1");
    drop(token);
}

#[test]
fn nodes_that_start_at_once_make_the_tables_once() {
    let url = shared().database();
    sixteen(|_| drop(store_at(&url)));
    let database = url.rsplit('/').next().unwrap();
    assert_eq!(shared().run("SELECT version FROM grantor_schema", database).trim(), "1");
    shared().run("UPDATE grantor_schema SET version = 99", database);
    let store = PostgresStore::new(super::pool(&url));
    let refused = crate::on_runtime::runtime().block_on(store.migrate()).unwrap_err();
    assert!(refused.to_string().contains("99"), "{refused}");
}

#[test]
fn names_that_a_text_cannot_have_are_unknown() {
    let store = new_store();
    assert!(block_on(store.user("al\0ice")).unwrap().is_none());
    assert!(block_on(store.user("'; DROP TABLE grantor_users; --")).unwrap().is_none());
}

#[test]
fn the_examples_share_a_database() {
    shared_store::processes_share(&shared().database());
}

#[test]
fn a_server_that_is_killed_has_kept_every_token_it_gave_and_every_revocation() {
    shared_store::nothing_is_lost_with_a_process(&shared().database());
}

#[test]
fn a_database_that_cannot_be_reached_ends_the_example_with_2() {
    shared_store::an_unreachable_store_ends_with_2("postgres://nobody@127.0.0.1:1/none");
}
