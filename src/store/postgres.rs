//! [`PostgresStore`]: grants, clients and users in `PostgreSQL`.

mod connection;
mod grants;
mod registrations;
mod schema;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Pool;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::{ClientId, GrantId, Subject};
use crate::password::PasswordHash;
use crate::user::User;

use super::{
    ClientRegistry, ClientStore, GrantQuery, Insert, PURGE_DELAY, Page, Read, Remove, Replace, StoreError,
    TokenStore, UserRegistry, UserStore,
};
use connection::Connections;
pub use schema::PostgresSchemaError;

/// Grants, clients and users in a `PostgreSQL` database, for any number of processes on any number
/// of machines.
///
/// The pool is yours, and with it addresses, TLS and the number of connections. Each call is one
/// statement, and one round trip, that is not prepared under a name: a `pgbouncer` in
/// transaction mode may stand in between. A call that is not answered within the
/// [`time_limit`](Self::time_limit) fails as unavailable; nothing is sent twice.
///
/// Runs on tokio, as the pool does. A clone is another handle to the same store.
///
/// ```no_run
/// use deadpool_postgres::{Manager, Pool};
/// use grantor::AuthorizationServer;
/// use grantor::store::PostgresStore;
/// use grantor::{ServerKey, SystemEntropy};
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let config = "host=db.internal user=grantor dbname=grantor connect_timeout=3".parse()?;
/// let pool = Pool::builder(Manager::new(config, tokio_postgres::NoTls)).max_size(16).build()?;
/// let store = PostgresStore::new(pool);
/// store.migrate().await?;
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
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    connections: Connections,
    inserts: AtomicUsize,
}

const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(2);
/// After how many inserts expired records are deleted, and how many.
const INSERTS_PER_PURGE: usize = 32;
const PURGED_BY_INSERT: usize = 64;
/// How many are deleted in one statement: few, so that none holds its locks for long.
const PURGE_BATCH: usize = 500;

impl PostgresStore {
    /// The statements that take an empty database to the present schema, for those who have a way of
    /// their own to bring databases up to date. The table `grantor_schema`, with the number of
    /// them in its one column `version`, says how many have been done.
    pub const MIGRATIONS: &[&str] = schema::MIGRATIONS;

    /// A store on these connections. Nothing is sent yet.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self::with(pool, DEFAULT_TIME_LIMIT)
    }

    /// How long a call may take, connecting included; 2 seconds unless set. A request makes two
    /// calls to find out that the database is gone. For a store that has no other handle yet: a
    /// clone keeps its own.
    #[must_use]
    pub fn time_limit(self, limit: Duration) -> Self {
        Self::with(self.0.connections.pool().clone(), limit)
    }

    fn with(pool: Pool, limit: Duration) -> Self {
        let connections = Connections::new(pool, limit);
        Self(Arc::new(Inner { connections, inserts: AtomicUsize::new(0) }))
    }

    /// Makes the tables, or brings them up to date. Several processes may do so at once.
    ///
    /// # Errors
    /// When the database cannot be reached, does not allow it, or has been migrated by a newer
    /// version of this library.
    pub async fn migrate(&self) -> Result<(), PostgresSchemaError> {
        schema::migrate(self.connections()).await
    }

    /// The ids of registered clients, in their order: up to 1000 of those that come after `after`.
    ///
    /// # Errors
    /// When the database does not answer, or holds an id that is none.
    pub async fn client_ids(&self, after: Option<&ClientId>) -> Result<Vec<ClientId>, StoreError> {
        let after = after.map_or("", ClientId::as_str);
        let ids = registrations::client_ids(self.connections(), after).await?;
        ids.into_iter().map(ClientId::new).collect::<Result<_, _>>().map_err(StoreError::other)
    }

    /// The subjects of registered users, in their order: up to 1000 of those that come after
    /// `after`.
    ///
    /// # Errors
    /// When the database does not answer, or holds a subject that is none.
    pub async fn subjects(&self, after: Option<&Subject>) -> Result<Vec<Subject>, StoreError> {
        let after = after.map_or("", Subject::as_str);
        let subjects = registrations::subjects(self.connections(), after).await?;
        subjects.into_iter().map(Subject::new).collect::<Result<_, _>>().map_err(StoreError::other)
    }

    fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// True at every so many calls: one for each insert.
    fn is_purge_due(&self) -> bool {
        (self.0.inserts.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(INSERTS_PER_PURGE)
    }
}

#[deny(clippy::missing_trait_methods)]
impl TokenStore for PostgresStore {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        if self.is_purge_due() {
            let cutoff = grant.updated_at().minus(PURGE_DELAY);
            grants::purge(self.connections(), cutoff, PURGED_BY_INSERT).await?;
        }
        match grants::insert(self.connections(), &grant).await {
            Ok(true) => Ok(Insert::Inserted),
            Ok(false) => Ok(Insert::Occupied),
            Err(failure) if failure.is_full() => Ok(Insert::Full),
            Err(failure) => Err(failure.into()),
        }
    }

    /// [`Read::Recent`] is no older than [`Read::Latest`].
    async fn load(&self, id: GrantId, _: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        Ok(grants::load(self.connections(), id).await?.map(Arc::new))
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        match grants::replace(self.connections(), &grant, expected).await {
            Ok(replaced) => replaced,
            Err(failure) if failure.is_full() => Ok(Replace::Full),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        grants::remove(self.connections(), id, expected).await
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        grants::find(self.connections(), query).await
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let before = now.minus(PURGE_DELAY);
        let mut purged = 0;
        while purged < limit {
            let batch = PURGE_BATCH.min(limit - purged);
            let deleted = grants::purge(self.connections(), before, batch).await?;
            purged += deleted;
            if deleted < batch {
                break;
            }
        }
        Ok(purged)
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientStore for PostgresStore {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        Ok(registrations::client(self.connections(), id).await?.map(Arc::new))
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        registrations::valid_after(self.connections()).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientRegistry for PostgresStore {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        registrations::put_client(self.connections(), &client).await
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        registrations::remove_client(self.connections(), id).await
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        Ok(registrations::set_valid_after(self.connections(), moment).await?)
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserStore for PostgresStore {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        Ok(registrations::user(self.connections(), username).await?.map(Arc::new))
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        Ok(registrations::subject(self.connections(), subject).await?.map(Arc::new))
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserRegistry for PostgresStore {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        registrations::put_user(self.connections(), &user).await
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        registrations::remove_user(self.connections(), subject).await
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        registrations::replace_password_hash(self.connections(), subject, expected, &new).await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool knows a password.
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
