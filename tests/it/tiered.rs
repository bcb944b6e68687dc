//! The store in two tiers: the contract, a full tier, codes in memory, and that memory is never old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use grantor::store::{
    ClientRegistry as _, GrantQuery, MemoryClientStore, Read, SqliteOpenError, TieredStore, TokenStore,
    UserRegistry as _,
};
use grantor::testing::contract::Exploration;
use grantor::testing::{Faults, FaultyStore, LatencyStore, SeededEntropy, block_on, contract, erased};

use crate::demo::process::{Demo, Files, refused, token};
use crate::sqlite::Directory;
use crate::support::*;

/// A store in a file of its own, with so many records in memory.
fn new_store(directory: &Directory, memory: usize, volatile_codes: bool) -> TieredStore {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let path = directory.beside(&format!("-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    TieredStore::builder(path).memory(memory).volatile_codes(volatile_codes).open().unwrap()
}

/// A server with clients and grants in `store`.
fn server(store: &TieredStore) -> Harness {
    server_on(store, store.clone())
}

fn server_on(store: &TieredStore, tokens: impl TokenStore) -> Harness {
    let setup = Setup::default();
    for client in &setup.clients {
        block_on(store.put_client(client.clone())).unwrap();
    }
    let unused = Arc::new(MemoryClientStore::new());
    setup.build_with(store.clone(), tokens, unused, |builder| {
        builder.users(users_with_alice()).entropy(SeededEntropy::new(7))
    })
}

const KINDS: [(usize, bool); 4] = [(1, false), (1, true), (1000, false), (1000, true)];

#[test]
fn the_token_store_keeps_its_contract() {
    let directory = Directory::new();
    for (memory, volatile) in KINDS {
        block_on(contract::token_store(async || new_store(&directory, memory, volatile))).unwrap();
    }
}

#[test]
fn the_token_store_keeps_its_contract_behind_wrappers() {
    let (directory, faults) = (Directory::new(), Faults::new());
    let store = || new_store(&directory, 10, true);
    block_on(contract::token_store(async || LatencyStore::new(Arc::new(store())))).unwrap();
    block_on(contract::token_store(async || FaultyStore::new(store(), &faults))).unwrap();
    block_on(contract::token_store(async || erased::token_store(store()))).unwrap();
}

#[test]
fn clients_and_users_keep_their_contracts() {
    let directory = Directory::new();
    let store = || new_store(&directory, 10, false);
    block_on(contract::client_store(async |clients| {
        let store = store();
        for client in clients {
            store.put_client(client).await.unwrap();
        }
        store
    }))
    .unwrap();
    block_on(contract::user_store(async |users| {
        let store = store();
        for user in users {
            store.put_user(user).await.unwrap();
        }
        store
    }))
    .unwrap();
    block_on(contract::client_registry(async || store())).unwrap();
    block_on(contract::user_registry(async || store())).unwrap();
}

#[test]
fn threads_race_for_a_record() {
    let directory = Directory::new();
    for (memory, volatile) in KINDS {
        contract::on_threads(&new_store(&directory, memory, volatile), 25).unwrap();
    }
}

#[test]
fn requests_at_once_keep_the_protocol() {
    let directory = Directory::new();
    for (memory, volatile) in [(1, true), (1000, true)] {
        let store = new_store(&directory, memory, volatile);
        let explored = block_on(Exploration::pairs().sample(100, 1).run(async || store.clone())).unwrap();
        assert!(explored.runs > 200, "{explored:?}");
    }
}

#[test]
fn a_grant_does_not_grow() {
    let directory = Directory::new();
    let store = new_store(&directory, 10, false);
    block_on(contract::growth(async || store.clone(), 300)).unwrap();
}

#[test]
fn seed_t15_a_full_tier_is_503_until_there_is_room_and_nothing_is_lost() {
    let directory = Directory::new();
    let store = TieredStore::builder(directory.file()).memory(3).disk(10).open().unwrap();
    let server = server(&store);
    let login = server.login();
    let code = server.code();
    let issued: Vec<_> = (0..8).map(|_| server.token("grant_type=client_credentials").ok()).collect();
    for _ in 0..3 {
        server.token("grant_type=client_credentials").refused(503, "temporarily_unavailable");
    }
    assert!(issued.iter().chain([&login]).all(|answer| server.is_active(answer.access_token())));
    // What needs no new room goes on.
    let next = server.token(&refresh_form(login.refresh_token())).ok();
    let second = server.token(&exchange_form(&code)).ok();
    let figures = store.figures();
    assert_eq!((figures.on_disk, figures.disk, figures.in_memory), (10, 10, 3));
    // Room comes back when something is revoked, and when something expires.
    assert!(block_on(server.server.revoke(second.access_token())).unwrap());
    server.token("grant_type=client_credentials").ok();
    server.token("grant_type=client_credentials").refused(503, "temporarily_unavailable");
    server.advance(3600);
    for _ in 0..9 {
        server.token("grant_type=client_credentials").ok();
    }
    server.token("grant_type=client_credentials").refused(503, "temporarily_unavailable");
    assert!(server.is_active(next.refresh_token()), "it has not expired");
}

#[test]
fn codes_in_memory_count_as_records() {
    let directory = Directory::new();
    let store = TieredStore::builder(directory.file()).disk(4).volatile_codes(true).open().unwrap();
    let server = server(&store);
    let codes = [server.code(), server.code(), server.code()];
    let own = server.token("grant_type=client_credentials").ok();
    server.token("grant_type=client_credentials").refused(503, "temporarily_unavailable");
    let figures = store.figures();
    assert_eq!((figures.on_disk, figures.codes_in_memory), (1, 3));
    for code in &codes {
        server.token(&exchange_form(code)).ok();
    }
    let figures = store.figures();
    assert_eq!((figures.on_disk, figures.codes_in_memory), (4, 0));
    assert!(server.is_active(own.access_token()));
}

#[test]
fn seed_t13_codes_in_memory_do_not_outlive_the_process_and_all_else_does() {
    let directory = Directory::new();
    let open = || {
        // The threads of the last one end a little after it.
        (0..500)
            .find_map(|_| match TieredStore::builder(directory.file()).volatile_codes(true).open() {
                Err(SqliteOpenError::Busy) => {
                    thread::sleep(Duration::from_millis(10));
                    None
                }
                opened => Some(opened.unwrap()),
            })
            .unwrap()
    };
    let (code, login) = {
        let store = open();
        let server = server(&store);
        let login = server.login();
        let code = server.code();
        let page = block_on(server.server.grants(&GrantQuery::new())).unwrap();
        assert_eq!(page.grants.len(), 2, "administration sees both");
        (code, login)
    };
    let store = open();
    let server = server(&store);
    server.token(&exchange_form(&code)).refused(400, "invalid_grant");
    assert!(server.is_active(login.access_token()));
    assert_eq!(store.figures().on_disk, 1);
}

#[test]
fn a_code_in_memory_is_redeemed_once_and_can_be_revoked() {
    let directory = Directory::new();
    let store = new_store(&directory, 2, true);
    let server = server(&store);
    for _ in 0..20 {
        let form = exchange_form(&server.code());
        let answers: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| server.token(&form))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let redeemed = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(redeemed, 1, "{answers:?}");
    }
    let code = server.code();
    assert!(block_on(server.server.revoke_subject(&alice())).unwrap() > 0);
    assert_eq!(store.figures().codes_in_memory, 0);
    server.token(&exchange_form(&code)).refused(400, "invalid_grant");
}

#[test]
fn pages_have_codes_in_memory_in_their_place() {
    let directory = Directory::new();
    let store = new_store(&directory, 2, true);
    let server = server(&store);
    for round in 0..40 {
        if round % 3 == 0 { drop(server.code()) } else { drop(server.login()) }
    }
    for size in [1, 7, 40, 100] {
        let query = GrantQuery::new().of_subject(alice()).limit(size);
        let (mut seen, mut next) = (Vec::new(), Some(query.clone()));
        while let Some(wanted) = next {
            let page = block_on(store.find(&wanted)).unwrap();
            assert!(page.grants.len() <= size);
            seen.extend(page.grants.iter().map(|grant| grant.id()));
            next = page.next.map(|cursor| query.clone().after(cursor));
        }
        assert_eq!(seen.len(), 40);
        assert!(seen.is_sorted());
    }
}

#[test]
fn memory_is_never_older_than_what_was_answered() {
    let directory = Directory::new();
    let (mut hits, mut misses) = (0, 0);
    for memory in [1, 100] {
        let store = new_store(&directory, memory, false);
        let server = server(&store);
        let mut login = server.login();
        let id = server.introspect(login.access_token()).active().unwrap().grant();
        let others: Vec<_> = (0..4)
            .map(|_| server.introspect(server.login().access_token()).active().unwrap().grant())
            .collect();
        let revision = || block_on(store.load(id, Read::Latest)).unwrap().unwrap().revision().as_u64();
        let (first, acknowledged) = (revision(), AtomicU64::new(0));
        thread::scope(|scope| {
            for reader in 0..3_usize {
                let (others, store, acknowledged) = (&others, &store, &acknowledged);
                scope.spawn(move || {
                    for count in reader..reader + 2000 {
                        let least = acknowledged.load(Ordering::SeqCst);
                        let seen = revision().wrapping_sub(first);
                        assert!(seen >= least && seen < 10_000, "{seen} after {least}");
                        block_on(store.load(others[count % 4], Read::Recent)).unwrap().unwrap();
                    }
                });
            }
            for count in 1..=200 {
                login = server.token(&refresh_form(login.refresh_token())).ok();
                acknowledged.store(count, Ordering::SeqCst);
            }
        });
        hits += store.figures().hits;
        misses += store.figures().misses;
    }
    assert!(hits > 0 && misses > 0, "{hits} hits, {misses} misses");
}

#[test]
fn what_is_in_memory_is_read_from_there() {
    let directory = Directory::new();
    let store = new_store(&directory, 5, false);
    let server = server(&store);
    let tokens: Vec<_> = (0..6).map(|_| server.token("grant_type=client_credentials").ok()).collect();
    let before = store.figures();
    for token in &tokens[1..] {
        assert!(server.is_active(token.access_token()));
    }
    let after = store.figures();
    assert_eq!((after.hits - before.hits, after.misses - before.misses), (5, 0));
    assert!(server.is_active(tokens[0].access_token()));
    assert_eq!((store.figures().misses - before.misses, store.figures().in_memory), (1, 5));
}

#[test]
fn the_file_has_one_owner() {
    let directory = Directory::new();
    let store = TieredStore::open(directory.file()).unwrap();
    let refused = TieredStore::open(directory.file()).unwrap_err();
    assert!(matches!(refused, SqliteOpenError::Busy), "{refused}");
    drop(store);
    assert!((0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        TieredStore::open(directory.file()).is_ok()
    }));
}

fn demo_config(path: &std::path::Path, settings: &str) -> String {
    format!(
        "store = \"tiered:{}\"\n[settings]\nrequire_https = false\n{settings}\n\
         [[client]]\nid = \"app\"\nsecret = \"app-secret\"\ngrants = [\"client_credentials\"]\n\
         scopes = [\"a\"]\ndefault_scopes = [\"a\"]\n[[scope]]\nname = \"a\"\ndescription = \"A\"\n",
        path.display()
    )
}

#[test]
fn the_example_keeps_tokens_in_two_tiers() {
    let files = Files::new();
    let path = files.path().join("grants.db");
    let config = demo_config(&path, "tier_memory = 2\ntier_disk = 3");
    let issue = |demo: &Demo| {
        let response = demo.send(&token("/oauth/token", "app:app-secret", "grant_type=client_credentials"));
        (response.status, response.json())
    };
    let mut demo = Demo::start(&config);
    let issued: Vec<_> = (0..3).map(|_| issue(&demo)).collect();
    assert!(issued.iter().all(|(status, _)| *status == 200), "{issued:?}");
    let (status, answer) = issue(&demo);
    assert_eq!((status, &answer["error"]), (503, &"temporarily_unavailable".into()));
    let active = |demo: &Demo| {
        issued.iter().all(|(_, answer)| {
            let form = format!("token={}", answer["access_token"].as_str().unwrap());
            demo.send(&token("/oauth/introspect", "app:app-secret", &form)).json()["active"] == true
        })
    };
    assert!(active(&demo));
    assert!(refused(&config).contains("store"), "another process has the file");
    demo.signal("KILL");
    demo.child.wait().unwrap();
    let demo = Demo::start(&config);
    assert!(active(&demo));
    assert_eq!(issue(&demo).0, 503);
}
