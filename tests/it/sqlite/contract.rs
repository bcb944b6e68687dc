//! The contract suites, bare and behind each wrapper.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use grantor::store::{Cached, ClientRegistry as _, UserRegistry as _};
use grantor::testing::contract::Exploration;
use grantor::testing::{Faults, FaultyStore, LatencyStore, block_on, contract, erased};

use super::Directory;

fn cached<S>(store: S) -> Cached<S> {
    Cached::new(store, NonZeroUsize::MIN.saturating_add(99), Duration::from_secs(60))
}

#[test]
fn the_token_store_keeps_its_contract() {
    let directory = Directory::new();
    block_on(contract::token_store(async || directory.new_store())).unwrap();
}

#[test]
fn the_token_store_keeps_its_contract_behind_wrappers() {
    let (directory, faults) = (Directory::new(), Faults::new());
    block_on(contract::token_store(async || LatencyStore::new(Arc::new(directory.new_store())))).unwrap();
    block_on(contract::token_store(async || FaultyStore::new(directory.new_store(), &faults))).unwrap();
    block_on(contract::token_store(async || erased::token_store(directory.new_store()))).unwrap();
}

#[test]
fn threads_race_for_a_record() {
    let directory = Directory::new();
    contract::on_threads(&directory.new_store(), 50).unwrap();
}

/// How many runs by lot; more by the environment variable.
fn sample() -> usize {
    std::env::var("GRANTOR_EXPLORE").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1000)
}

#[test]
fn requests_at_once_keep_the_protocol() {
    let directory = Directory::new();
    let store = directory.new_store();
    let exploration = Exploration::pairs().sample(sample(), 1);
    let explored = block_on(exploration.run(async || store.clone())).unwrap();
    assert!(explored.runs > 2000, "{explored:?}");
}

#[test]
fn a_grant_does_not_grow() {
    let directory = Directory::new();
    let store = directory.new_store();
    block_on(contract::growth(async || store.clone(), 500)).unwrap();
}

#[test]
fn the_client_store_keeps_its_contract() {
    let directory = Directory::new();
    let with = async |clients| {
        let store = directory.new_store();
        for client in clients {
            store.put_client(client).await.unwrap();
        }
        store
    };
    block_on(contract::client_store(with)).unwrap();
    block_on(contract::client_store(async |clients| {
        LatencyStore::new(Arc::new(cached(with(clients).await)))
    }))
    .unwrap();
    block_on(contract::client_store(async |clients| erased::client_store(with(clients).await))).unwrap();
    block_on(contract::client_registry(async || directory.new_store())).unwrap();
    block_on(contract::client_registry(async || cached(Arc::new(directory.new_store())))).unwrap();
}

#[test]
fn the_user_store_keeps_its_contract() {
    let directory = Directory::new();
    let with = async |users| {
        let store = directory.new_store();
        for user in users {
            store.put_user(user).await.unwrap();
        }
        store
    };
    block_on(contract::user_store(with)).unwrap();
    block_on(contract::user_store(async |users| cached(with(users).await))).unwrap();
    block_on(contract::user_store(async |users| erased::user_store(with(users).await))).unwrap();
    block_on(contract::user_registry(async || directory.new_store())).unwrap();
    block_on(contract::user_registry(async || cached(LatencyStore::new(directory.new_store())))).unwrap();
}
