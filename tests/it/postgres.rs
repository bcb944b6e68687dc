//! The store on `PostgreSQL`: the contract, the protocol on it, and what outages do.

mod contract;
mod outage;
mod protocol;
mod server;

use grantor::store::PostgresStore;

use crate::on_runtime::{OnRuntime, runtime};
pub(crate) use server::{Server, pool, shared};

/// A store in an empty database of its own.
fn new_store() -> OnRuntime<PostgresStore> {
    store_at(&shared().database())
}

fn store_at(url: &str) -> OnRuntime<PostgresStore> {
    let store = PostgresStore::new(pool(url));
    runtime().block_on(store.migrate()).unwrap();
    OnRuntime(store)
}
