//! What clients see of servers whose stores are one Redis.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use grantor::store::{
    ClientRegistry as _, ClientStore as _, GrantQuery, MemoryClientStore, Read, RedisOpenError, RedisStore,
    StoreErrorKind, TokenStore as _,
};
use grantor::testing::{SeededEntropy, block_on};

use super::{Server, new_cluster_store, new_store, open, own_prefix, shared};
use crate::demo::shared_store;
use crate::on_runtime::OnRuntime;
use crate::support::*;

/// A server of its own on `store`. Two on one database need different seeds.
pub(super) fn server(store: &OnRuntime<RedisStore>, seed: u64) -> Harness {
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
fn tokens_are_issued_refreshed_and_revoked_by_servers_that_share_a_store() {
    for store in [new_store(), new_cluster_store()] {
        let (first, second) = (server(&store, 1), server(&store, 2));
        let code = first.code();
        let login = second.token(&exchange_form(&code)).ok();
        let next = first.token(&refresh_form(login.refresh_token())).ok();
        assert!(second.is_active(next.access_token()));
        assert!(block_on(second.server.revoke(next.refresh_token())).unwrap());
        assert!(!first.is_active(login.access_token()) && !first.is_active(next.access_token()));
        first.token(&refresh_form(next.refresh_token())).refused(400, "invalid_grant");
        assert_eq!(first.grants(), 0);
    }
}

#[test]
fn of_sixteen_redemptions_on_two_servers_one_succeeds() {
    let store = new_store();
    let servers = [server(&store, 1), server(&store, 2)];
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
    let server = server(&new_store(), 1);
    let login = server.login();
    let form = refresh_form(login.refresh_token());
    let answers = sixteen(|_| server.token(&form));
    let refreshed: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(!refreshed.is_empty());
    assert!(refreshed.iter().all(|answer| answer.refresh_token() == refreshed[0].refresh_token()));
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 503)), "{answers:?}");
}

#[test]
fn a_dump_holds_no_token_no_secret_and_no_password() {
    let redis = Server::start(&["--appendonly", "yes"]);
    let store = open(&redis, own_prefix()).unwrap();
    let server = server(&store, 1);
    let code = server.code();
    let login = server.login();
    let next = server.token(&refresh_form(login.refresh_token())).ok();
    let dump = redis.dump();
    assert!(dump.contains("alice"));
    let tokens = [login.access_token(), login.refresh_token(), next.access_token(), next.refresh_token()];
    for token in tokens.into_iter().chain([code.as_str()]) {
        assert!(!dump.contains(token) && !dump.contains(&token[22..]));
    }
    assert!(!dump.contains(SECRET));
}

#[test]
fn a_newer_record_is_neither_used_nor_written_over() {
    let store = open(shared(), RedisStore::builder().prefix("newer:")).unwrap();
    let server = server(&store, 1);
    drop(server.token("grant_type=client_credentials").ok());
    let grant = block_on(store.find(&GrantQuery::new())).unwrap().grants.remove(0);
    let (id, revision) = (grant.id(), grant.revision());
    let key = format!("newer:g:{id}");
    let value = shared().run(&["GET", &key]);
    let newer = format!("{}00000002{}{{\"format\":2}}", &value[..16], &value[24..40]);
    shared().run(&["SET", &key, &newer]);
    shared().run(&["HSET", "newer:{r}:clients", "app", "00000002{}"]);
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
    let long_after = server.clock_now().plus(Duration::from_secs(1 << 30));
    assert_eq!(block_on(store.purge_expired(long_after, 10)).unwrap(), 0);
    server.token("grant_type=client_credentials").refused(503, "temporarily_unavailable");
    assert_eq!(shared().run(&["GET", &key]), newer);
}

#[test]
fn a_server_that_does_not_keep_what_it_is_given_is_not_used() {
    let evicting = Server::start(&["--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"]);
    let refused = open(&evicting, own_prefix()).err().unwrap();
    assert!(matches!(&refused, RedisOpenError::Evicts { policy } if policy == "allkeys-lru"), "{refused}");
    assert!(open(&evicting, own_prefix().dangerously_accept_data_loss()).is_ok());

    let forgetful = Server::start(&["--appendonly", "no"]);
    let refused = open(&forgetful, own_prefix()).err().unwrap();
    assert!(matches!(refused, RedisOpenError::NotPersistent), "{refused}");
    forgetful.run(&["CONFIG", "SET", "save", "60 1"]);
    assert!(open(&forgetful, own_prefix()).is_ok());
}

#[test]
fn a_full_server_is_503_until_there_is_room_and_nothing_is_lost() {
    let redis = Server::start(&["--appendonly", "yes"]);
    let store = open(&redis, own_prefix()).unwrap();
    let server = server(&store, 1);
    let login = server.login();
    redis.run(&["CONFIG", "SET", "maxmemory", "1mb"]);
    server.token("grant_type=client_credentials").refused(503, "temporarily_unavailable");
    server.token(&refresh_form(login.refresh_token())).refused(503, "temporarily_unavailable");
    assert!(server.is_active(login.access_token()));
    redis.run(&["CONFIG", "SET", "maxmemory", "0"]);
    server.token("grant_type=client_credentials").ok();
    server.token(&refresh_form(login.refresh_token())).ok();
}

#[test]
fn records_end_by_themselves_and_the_sets_stay_in_proportion() {
    let redis = Server::start(&["--appendonly", "yes"]);
    let store = open(&redis, RedisStore::builder().prefix("")).unwrap();
    let server = server(&store, 1);
    let ask = || drop(server.token("grant_type=client_credentials").ok());
    ask();
    let first = block_on(store.find(&GrantQuery::new())).unwrap().grants.remove(0);
    let left: u64 = redis.run(&["PTTL", &format!("g:{}", first.id())]).parse().unwrap();
    assert!((3_600_000..=3_661_000).contains(&left), "an hour and a minute: {left}");

    // Records of a day that are gone, as if they had ended.
    let entries = || -> usize {
        let sets = (0..16).map(|shard| redis.run(&["ZCARD", &format!("a:{shard:x}")]));
        sets.map(|count| count.parse::<usize>().unwrap()).sum()
    };
    for _ in 0..10 {
        for _ in 0..200 {
            ask();
        }
        redis.run(&[
            "EVAL",
            "for _, k in ipairs(redis.call('KEYS', 'g:*')) do redis.call('DEL', k) end",
            "0",
        ]);
        server.advance(7200);
    }
    let before = entries();
    assert!(before < 1500, "of 2,000 there are {before}");
    // A sweep leaves none, in no set.
    assert_eq!(block_on(store.purge_expired(server.clock_now(), 10)).unwrap(), 0);
    assert_eq!(entries(), 0);
    assert_eq!(redis.run(&["KEYS", "c:*"]), "");
}

#[test]
fn a_grant_that_is_removed_is_in_no_set() {
    let redis = Server::start(&["--appendonly", "yes"]);
    let store = open(&redis, RedisStore::builder().prefix("")).unwrap();
    let server = server(&store, 1);
    let sets = || ["a:*", "c:*", "s:*"].map(|keys| redis.run(&["KEYS", keys]).lines().count());
    let login = server.login();
    assert_eq!(sets(), [1, 1, 1], "of all, of the client and of the subject");
    assert!(block_on(server.server.revoke(login.access_token())).unwrap());
    assert_eq!(sets(), [0, 0, 0]);
}

#[test]
fn the_examples_share_a_store() {
    let redis = Server::start(&["--appendonly", "yes"]);
    shared_store::processes_share(&redis.url());
}

#[test]
fn a_server_that_is_killed_has_kept_every_token_it_gave_and_every_revocation() {
    let redis = Server::start(&["--appendonly", "yes"]);
    shared_store::nothing_is_lost_with_a_process(&redis.url());
}

#[test]
fn a_store_that_cannot_be_used_ends_the_example_with_2() {
    shared_store::an_unreachable_store_ends_with_2("redis://127.0.0.1:1");
    let forgetful = Server::start(&["--appendonly", "no"]);
    shared_store::an_unreachable_store_ends_with_2(&forgetful.url());
}
