//! The shipped stores keep the contract, bare and behind each wrapper.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use grantor::store::{Cached, MemoryClientStore, MemoryTokenStore, MemoryUserStore};
use grantor::testing::contract::Exploration;
use grantor::testing::{Faults, FaultyStore, LatencyStore, block_on, contract, erased};

fn cached<S>(store: S) -> Cached<S> {
    Cached::new(store, NonZeroUsize::MIN.saturating_add(99), Duration::from_secs(60))
}

#[test]
fn the_memory_token_store_keeps_its_contract() {
    let faults = Faults::new();
    block_on(contract::token_store(async || MemoryTokenStore::new())).unwrap();
    block_on(contract::token_store(async || Arc::new(MemoryTokenStore::new()))).unwrap();
    block_on(contract::token_store(async || LatencyStore::new(MemoryTokenStore::new()))).unwrap();
    block_on(contract::token_store(async || FaultyStore::new(MemoryTokenStore::new(), &faults))).unwrap();
    let everything = async || Arc::new(LatencyStore::new(Arc::new(MemoryTokenStore::new())).yields(3));
    block_on(contract::token_store(everything)).unwrap();
    block_on(contract::token_store(async || erased::token_store(MemoryTokenStore::new()))).unwrap();
    contract::on_threads(&MemoryTokenStore::new(), 2000).unwrap();
}

fn small() -> MemoryTokenStore {
    MemoryTokenStore::builder().capacity(1000).build().unwrap()
}

#[test]
fn requests_at_once_keep_the_protocol_on_the_memory_store() {
    let explored = block_on(Exploration::exhaustive().run(async || small())).unwrap();
    assert!(explored.runs > 100_000, "{explored:?}");
}

#[test]
fn requests_at_once_keep_the_protocol_behind_each_wrapper() {
    let faults = Faults::new();
    let pairs = Exploration::pairs();
    block_on(pairs.run(async || Arc::new(small()))).unwrap();
    block_on(pairs.run(async || erased::token_store(small()))).unwrap();
    block_on(pairs.run(async || LatencyStore::new(small()))).unwrap();
    block_on(pairs.run(async || FaultyStore::new(small(), &faults))).unwrap();
    // Each run leaves a shared store as it found it.
    let shared = Arc::new(MemoryTokenStore::new());
    block_on(pairs.sample(500, 1).run(async || Arc::clone(&shared))).unwrap();
}

/// Every trouble at every call of three requests: some minutes with `--release`.
#[test]
#[ignore = "millions of runs"]
fn requests_at_once_keep_the_protocol_with_trouble_in_triples() {
    let explored = block_on(Exploration::exhaustive().trouble_in_triples().run(async || small())).unwrap();
    println!("{explored:?}");
}

#[test]
fn a_grant_in_the_memory_store_does_not_grow() {
    block_on(contract::growth(async || MemoryTokenStore::new(), 10_000)).unwrap();
}

#[test]
fn the_memory_client_store_keeps_its_contract() {
    block_on(contract::client_store(async |clients| MemoryClientStore::from_iter(clients))).unwrap();
    block_on(contract::client_store(async |clients| cached(MemoryClientStore::from_iter(clients)))).unwrap();
    block_on(contract::client_store(async |clients| {
        LatencyStore::new(Arc::new(cached(MemoryClientStore::from_iter(clients))))
    }))
    .unwrap();
    block_on(contract::client_store(async |clients| {
        erased::client_store(MemoryClientStore::from_iter(clients))
    }))
    .unwrap();
    block_on(contract::client_registry(async || MemoryClientStore::new())).unwrap();
    block_on(contract::client_registry(async || Arc::new(MemoryClientStore::new()))).unwrap();
    block_on(contract::client_registry(async || cached(MemoryClientStore::new()))).unwrap();
    block_on(contract::client_registry(async || cached(LatencyStore::new(MemoryClientStore::new()))))
        .unwrap();
}

#[test]
fn the_memory_user_store_keeps_its_contract() {
    block_on(contract::user_store(async |users| MemoryUserStore::from_iter(users))).unwrap();
    block_on(contract::user_store(async |users| cached(MemoryUserStore::from_iter(users)))).unwrap();
    block_on(contract::user_store(async |users| erased::user_store(MemoryUserStore::from_iter(users))))
        .unwrap();
    block_on(contract::user_registry(async || MemoryUserStore::new())).unwrap();
    block_on(contract::user_registry(async || Arc::new(MemoryUserStore::new()))).unwrap();
    block_on(contract::user_registry(async || cached(LatencyStore::new(MemoryUserStore::new())))).unwrap();
}
