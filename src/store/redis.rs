//! [`RedisStore`]: grants, clients and users in Redis.

mod connection;
mod grants;
mod index;
mod record;
mod registrations;
mod safety;
mod scripts;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::cluster_async::ClusterConnection;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::{ClientId, GrantId, Subject};
use crate::password::PasswordHash;
use crate::user::User;

use super::{
    ClientRegistry, ClientStore, GrantQuery, Insert, Page, Read, Remove, Replace, StoreError, TokenStore,
    UserRegistry, UserStore,
};
use connection::{Connection, Connections};
use index::Keys;
pub use safety::RedisOpenError;
use scripts::Scripts;

/// Grants, clients and users in Redis, one server or a cluster, for any number of processes on any
/// number of machines.
///
/// A record is one key, which ends by itself; replacing it is a script on that key. Redis tells of a
/// write before it is on the disk: how much can be lost is what `appendfsync` says. A call that is
/// not answered within the [`time_limit`](RedisStoreBuilder::time_limit) fails as unavailable.
///
/// Runs on tokio. A clone is another handle to the same store.
///
/// ```no_run
/// use grantor::store::RedisStore;
/// use grantor::{AuthorizationServer, ServerKey, SystemEntropy};
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let client = redis::Client::open("redis://cache.internal")?;
/// let store = RedisStore::builder().open(client.get_connection_manager().await?).await?;
///
/// let server = AuthorizationServer::builder("https://id.example.com")
///     .clients(store.clone())
///     .users(store.clone())
///     .tokens(store)
///     .server_key(ServerKey::generate(&SystemEntropy)?) // the same on all machines
///     .build()?;
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    connections: Connections,
    keys: Keys,
    scripts: Scripts,
    inserts: AtomicUsize,
    /// Where the next sweep begins.
    sweep: AtomicU8,
}

/// Settings of a [`RedisStore`] that is yet to be opened.
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisStoreBuilder {
    prefix: String,
    limit: Duration,
    may_lose_data: bool,
}

const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(2);
/// After how many inserts entries of records that have expired are cleared away, and how many are
/// looked at: twice as many as come.
const INSERTS_PER_TIDYING: usize = 32;
const LOOKS_PER_TIDYING: usize = 64;

impl RedisStoreBuilder {
    /// What all keys begin with; `grantor:` unless set.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a call may take, connecting again included; 2 seconds unless set. A request makes two
    /// calls to find out that the server is gone.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Takes a server that evicts keys or is not persistent, and one that does not say. Tokens,
    /// **and revocations**, are then lost without notice.
    pub fn dangerously_accept_data_loss(mut self) -> Self {
        self.may_lose_data = true;
        self
    }

    /// Opens the store on one server.
    ///
    /// # Errors
    /// When the server does not keep what it is given, or cannot be asked: see [`RedisOpenError`].
    pub async fn open(self, connection: ConnectionManager) -> Result<RedisStore, RedisOpenError> {
        self.on(Connection::Single(connection)).await
    }

    /// Opens the store on a cluster.
    ///
    /// # Errors
    /// As [`open`](Self::open), for any of its primaries.
    pub async fn open_cluster(self, connection: ClusterConnection) -> Result<RedisStore, RedisOpenError> {
        self.on(Connection::Cluster(connection)).await
    }

    async fn on(self, connection: Connection) -> Result<RedisStore, RedisOpenError> {
        let connections = Connections::new(connection, self.limit);
        if !self.may_lose_data {
            safety::check(&connections).await?;
        }
        Ok(RedisStore(Arc::new(Inner {
            connections,
            keys: Keys::new(self.prefix),
            scripts: Scripts::new(),
            inserts: AtomicUsize::new(0),
            sweep: AtomicU8::new(0),
        })))
    }
}

impl RedisStore {
    /// Begins a store.
    pub fn builder() -> RedisStoreBuilder {
        RedisStoreBuilder { prefix: "grantor:".to_owned(), limit: DEFAULT_TIME_LIMIT, may_lose_data: false }
    }

    /// The ids of registered clients, in their order: up to 1000 of those that come after `after`.
    ///
    /// # Errors
    /// When the server does not answer, or holds an id that is none.
    pub async fn client_ids(&self, after: Option<&ClientId>) -> Result<Vec<ClientId>, StoreError> {
        let ids = registrations::client_ids(&self.0, after.map(ClientId::as_str)).await?;
        ids.into_iter().map(ClientId::new).collect::<Result<_, _>>().map_err(StoreError::other)
    }

    /// The subjects of registered users, in their order: up to 1000 of those that come after
    /// `after`.
    ///
    /// # Errors
    /// When the server does not answer, or holds a subject that is none.
    pub async fn subjects(&self, after: Option<&Subject>) -> Result<Vec<Subject>, StoreError> {
        let subjects = registrations::subjects(&self.0, after.map(Subject::as_str)).await?;
        subjects.into_iter().map(Subject::new).collect::<Result<_, _>>().map_err(StoreError::other)
    }

    /// True at every so many calls: one for each insert.
    fn is_tidying_due(&self) -> bool {
        (self.0.inserts.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(INSERTS_PER_TIDYING)
    }
}

#[deny(clippy::missing_trait_methods)]
impl TokenStore for RedisStore {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        if self.is_tidying_due() {
            grants::tidy(&self.0, &grant, LOOKS_PER_TIDYING).await?;
        }
        match grants::insert(&self.0, &grant).await {
            Ok(true) => Ok(Insert::Inserted),
            Ok(false) => Ok(Insert::Occupied),
            Err(failure) if failure.is_full() => Ok(Insert::Full),
            Err(failure) => Err(failure.into()),
        }
    }

    /// [`Read::Recent`] is no older than [`Read::Latest`].
    async fn load(&self, id: GrantId, _: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        Ok(grants::load(&self.0, id).await?.map(Arc::new))
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        match grants::replace(&self.0, &grant, expected).await {
            Ok(replaced) => replaced,
            Err(failure) if failure.is_full() => Ok(Replace::Full),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        grants::remove(&self.0, id, expected).await
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        grants::find(&self.0, query).await
    }

    /// Records end by themselves; this looks at each of them, and is for those that want it sooner.
    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        grants::purge(&self.0, now, limit).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientStore for RedisStore {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        Ok(registrations::client(&self.0, id).await?.map(Arc::new))
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        registrations::valid_after(&self.0).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientRegistry for RedisStore {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        registrations::put_client(&self.0, &client).await
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        registrations::remove_client(&self.0, id).await
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        registrations::set_valid_after(&self.0, moment).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserStore for RedisStore {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        Ok(registrations::user(&self.0, username).await?.map(Arc::new))
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        Ok(registrations::subject(&self.0, subject).await?.map(Arc::new))
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserRegistry for RedisStore {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        registrations::put_user(&self.0, &user).await
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        registrations::remove_user(&self.0, subject).await
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        registrations::replace_password_hash(&self.0, subject, expected, &new).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}
