//! The shipped stores keep the contract, bare and behind each wrapper.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use grantor::store::{Cached, MemoryClientStore, MemoryTokenStore, MemoryUserStore};
use grantor::testing::{Faults, FaultyStore, LatencyStore, block_on, contract};

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
}

#[test]
fn the_memory_client_store_keeps_its_contract() {
    block_on(contract::client_store(async |clients| MemoryClientStore::from_iter(clients))).unwrap();
    block_on(contract::client_store(async |clients| cached(MemoryClientStore::from_iter(clients)))).unwrap();
    block_on(contract::client_store(async |clients| {
        LatencyStore::new(Arc::new(cached(MemoryClientStore::from_iter(clients))))
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
    block_on(contract::user_registry(async || MemoryUserStore::new())).unwrap();
    block_on(contract::user_registry(async || Arc::new(MemoryUserStore::new()))).unwrap();
    block_on(contract::user_registry(async || cached(LatencyStore::new(MemoryUserStore::new())))).unwrap();
}
