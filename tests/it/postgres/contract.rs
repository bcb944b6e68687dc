//! The contract suites, bare and behind each wrapper.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use grantor::store::{Cached, ClientRegistry as _, UserRegistry as _};
use grantor::testing::contract::Exploration;
use grantor::testing::{Faults, FaultyStore, LatencyStore, block_on, contract, erased};

use super::server::Proxy;
use super::{new_store, shared, store_at};
use crate::on_runtime::runtime;

fn cached<S>(store: S) -> Cached<S> {
    Cached::new(store, NonZeroUsize::MIN.saturating_add(99), Duration::from_secs(60))
}

#[test]
fn the_token_store_keeps_its_contract() {
    // On the runtime, without a task for each call.
    runtime().block_on(contract::token_store(async || fresh().await)).unwrap();
}

async fn fresh() -> grantor::store::PostgresStore {
    let url = tokio::task::spawn_blocking(|| super::shared().database()).await.unwrap();
    let store = grantor::store::PostgresStore::new(super::pool(&url));
    store.migrate().await.unwrap();
    store
}

#[test]
fn the_token_store_keeps_its_contract_behind_wrappers() {
    let faults = Faults::new();
    block_on(contract::token_store(async || LatencyStore::new(Arc::new(new_store())))).unwrap();
    block_on(contract::token_store(async || FaultyStore::new(new_store(), &faults))).unwrap();
    block_on(contract::token_store(async || erased::token_store(new_store()))).unwrap();
}

#[test]
fn a_proxy_that_hands_out_connections_by_the_transaction_makes_no_difference() {
    let Some(proxy) = Proxy::start(shared()) else { return println!("skipped: there is no pgbouncer") };
    let store = || store_at(&proxy.url(&shared().database()));
    block_on(contract::token_store(async || store())).unwrap();
    block_on(contract::client_registry(async || store())).unwrap();
    block_on(contract::user_registry(async || store())).unwrap();
    contract::on_threads(&store(), 25).unwrap();
}

#[test]
fn threads_race_for_a_record() {
    contract::on_threads(&new_store(), 25).unwrap();
}

#[test]
fn requests_at_once_keep_the_protocol() {
    let store = new_store();
    let explored = block_on(Exploration::pairs().sample(200, 1).run(async || store.clone())).unwrap();
    assert!(explored.runs > 400, "{explored:?}");
}

#[test]
fn a_grant_does_not_grow() {
    let store = new_store();
    block_on(contract::growth(async || store.clone(), 300)).unwrap();
}

#[test]
fn the_client_store_keeps_its_contract() {
    let with = async |clients| {
        let store = new_store();
        for client in clients {
            store.put_client(client).await.unwrap();
        }
        store
    };
    block_on(contract::client_store(with)).unwrap();
    block_on(contract::client_store(async |clients| cached(Arc::new(with(clients).await)))).unwrap();
    block_on(contract::client_store(async |clients| erased::client_store(with(clients).await))).unwrap();
    block_on(contract::client_registry(async || new_store())).unwrap();
    block_on(contract::client_registry(async || cached(new_store()))).unwrap();
}

#[test]
fn the_user_store_keeps_its_contract() {
    let with = async |users| {
        let store = new_store();
        for user in users {
            store.put_user(user).await.unwrap();
        }
        store
    };
    block_on(contract::user_store(with)).unwrap();
    block_on(contract::user_store(async |users| cached(with(users).await))).unwrap();
    block_on(contract::user_store(async |users| erased::user_store(with(users).await))).unwrap();
    block_on(contract::user_registry(async || new_store())).unwrap();
    block_on(contract::user_registry(async || cached(LatencyStore::new(new_store())))).unwrap();
}
