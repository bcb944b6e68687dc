//! The store on Redis: the contract, on one server and on a cluster, the protocol on it, and what
//! outages do.

mod contract;
mod outage;
mod protocol;
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};

use grantor::store::{RedisOpenError, RedisStore, RedisStoreBuilder};
use redis::aio::ConnectionManagerConfig;

use crate::on_runtime::{OnRuntime, runtime};
pub(crate) use server::{Server, cluster, shared};

/// A store whose keys begin as no others do.
fn new_store() -> OnRuntime<RedisStore> {
    open(shared(), patient()).unwrap()
}

fn own_prefix() -> RedisStoreBuilder {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    RedisStore::builder().prefix(format!("t{}:", COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// What is no test of outages waits for as long as a busy machine takes.
fn patient() -> RedisStoreBuilder {
    own_prefix().time_limit(std::time::Duration::from_secs(60))
}

fn open(server: &Server, builder: RedisStoreBuilder) -> Result<OnRuntime<RedisStore>, RedisOpenError> {
    let url = server.url();
    runtime().block_on(async move {
        let client = redis::Client::open(url).unwrap();
        let config = ConnectionManagerConfig::new().set_max_delay(std::time::Duration::from_millis(200));
        let connection = client.get_connection_manager_with_config(config).await.unwrap();
        builder.open(connection).await.map(OnRuntime)
    })
}

/// The same on the cluster.
fn new_cluster_store() -> OnRuntime<RedisStore> {
    let nodes: Vec<String> = cluster().iter().map(Server::url).collect();
    runtime().block_on(async move {
        let client = redis::cluster::ClusterClient::new(nodes).unwrap();
        let connection = client.get_async_connection().await.unwrap();
        OnRuntime(patient().open_cluster(connection).await.unwrap())
    })
}
