//! [`SqliteStore`]: grants, clients and users in one file.

mod checkpoint;
mod error;
mod failure;
mod file;
pub(super) mod grants;
mod job;
mod options;
mod queue;
mod readers;
mod registrations;
mod schema;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

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
use checkpoint::Checkpoints;
pub use error::SqliteOpenError;
pub(super) use failure::Failure;
pub(super) use grants::Row;
#[cfg(feature = "tiered")]
pub(super) use job::Job;
pub use options::SqliteStoreBuilder;
use readers::Readers;
use registrations::{ClientRow, UserRow};
use writer::Writer;

/// Grants, clients and users in one `SQLite` file, which several processes of one machine
/// may have open.
///
/// What a write has answered is on the disk. Writes that come at the same time share one
/// transaction; reads go on beside them. All work is done on threads of the store's own,
/// so a call never blocks the executor that polls it, and it needs no particular one.
///
/// A clone is another handle to the same store. The threads end after the last handle is
/// dropped, when what they have accepted is done.
///
/// ```
/// use grantor::store::{ClientRegistry, SqliteStore};
/// use grantor::testing::block_on;
/// use grantor::{AuthorizationServer, Client};
///
/// # let directory = std::env::temp_dir().join(format!("grantor-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let store = SqliteStore::open(directory.join("grants.db"))?;
/// block_on(store.put_client(Client::public("phone-app").build()?))?;
///
/// let server = AuthorizationServer::builder("https://id.example.com")
///     .clients(store.clone())
///     .users(store.clone())
///     .tokens(store)
///     .build()?;
/// # drop(server);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore(Arc<Handle>);

struct Handle {
    path: PathBuf,
    writer: Writer,
    readers: Readers,
    /// Pages of grants are read here, so that they never keep requests waiting.
    administration: Readers,
    /// The writer tells it what to do.
    checkpoints: Checkpoints,
}

/// How many expired records an insert deletes, when it is its turn.
pub(super) const PURGED_BY_INSERT: usize = 64;
/// How many are deleted in one go when one batch follows the other: few, since requests that
/// come meanwhile wait for two of them.
const PURGE_BATCH: usize = 16;

impl SqliteStore {
    /// Opens the store at `path`, with the defaults of [`builder`](Self::builder). It is made
    /// if there is none, readable and writable for its owner only.
    ///
    /// Opening reads and writes the file on the calling thread: call it at start.
    ///
    /// # Errors
    /// When the file cannot be used as it is; see [`SqliteOpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        Self::builder(path).open()
    }

    /// Begins a store with other settings.
    pub fn builder(path: impl AsRef<Path>) -> SqliteStoreBuilder {
        SqliteStoreBuilder::new(path.as_ref())
    }

    /// The ids of registered clients, in their order: up to 1000 of those that come after
    /// `after`.
    ///
    /// # Errors
    /// When the database does not answer, or holds an id that is none.
    pub async fn client_ids(&self, after: Option<&ClientId>) -> Result<Vec<ClientId>, StoreError> {
        let after = after.map_or_else(String::new, ToString::to_string);
        let ids = self.administrate(move |connection| registrations::client_ids(connection, &after)).await?;
        ids.into_iter().map(ClientId::new).collect::<Result<_, _>>().map_err(StoreError::other)
    }

    /// The subjects of registered users, in their order: up to 1000 of those that come after
    /// `after`.
    ///
    /// # Errors
    /// When the database does not answer, or holds a subject that is none.
    pub async fn subjects(&self, after: Option<&Subject>) -> Result<Vec<Subject>, StoreError> {
        let after = after.map_or_else(String::new, ToString::to_string);
        let subjects =
            self.administrate(move |connection| registrations::subjects(connection, &after)).await?;
        subjects.into_iter().map(Subject::new).collect::<Result<_, _>>().map_err(StoreError::other)
    }

    fn start(
        path: PathBuf,
        options: &SqliteStoreBuilder,
        held: Option<Connection>,
    ) -> Result<Self, SqliteOpenError> {
        let connect = || schema::connect(&path, options);
        let mut readers = Readers::start("grantor-read", connect, options.readers, options.queue)?;
        let mut administration = Readers::start("grantor-admin", connect, 1, options.queue)?;
        let mut checkpoints = Checkpoints::start(connect)?;
        let all = [&mut readers, &mut administration, checkpoints.readers()];
        let threads = all.into_iter().flat_map(Readers::take_threads).collect();
        let writer = Writer::start(connect()?, threads, held, Some(checkpoints.trigger()), options)?;
        Ok(Self(Arc::new(Handle { path, writer, readers, administration, checkpoints })))
    }

    /// How many grants there are, counted on the calling thread.
    #[cfg(feature = "tiered")]
    pub(super) fn count_now(&self) -> Result<usize, SqliteOpenError> {
        let connection = schema::connect(&self.0.path, &Self::builder(&self.0.path))?;
        Ok(grants::count(&connection)?)
    }

    /// Has the thread that writes do this, too.
    #[cfg(feature = "tiered")]
    pub(super) fn submit(&self, job: Box<dyn Job>) {
        self.0.writer.submit(job);
    }

    #[cfg(feature = "tiered")]
    pub(super) fn is_purge_due(&self) -> bool {
        self.0.writer.is_purge_due()
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        self.0.writer.run(work).await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        self.0.readers.run(work).await
    }

    async fn administrate<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        self.0.administration.run(work).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl TokenStore for SqliteStore {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        let (row, now) = (Row::of(&grant), grant.updated_at());
        let is_purge_due = self.0.writer.is_purge_due();
        let inserted = self.write(move |connection| {
            let inserted = grants::insert(connection, &row)?;
            if is_purge_due {
                // A failure is no reason to refuse the grant; one that ends the transaction
                // shows when it is committed.
                let _ = grants::purge(connection, now.minus(PURGE_DELAY), PURGED_BY_INSERT);
            }
            Ok(inserted)
        });
        match inserted.await {
            Ok(true) => Ok(Insert::Inserted),
            Ok(false) => Ok(Insert::Occupied),
            Err(failure) if failure.is_full() => Ok(Insert::Full),
            Err(failure) => Err(failure.into()),
        }
    }

    /// [`Read::Recent`] is no older than [`Read::Latest`].
    async fn load(&self, id: GrantId, _: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        let grant = self.read(move |connection| grants::load(connection, id)).await??;
        Ok(grant.map(Arc::new))
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        let row = Row::of(&grant);
        match self.write(move |connection| grants::replace(connection, &row, expected)).await {
            Ok(replaced) => Ok(replaced?),
            Err(failure) if failure.is_full() => Ok(Replace::Full),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        Ok(self.write(move |connection| grants::remove(connection, id, expected)).await??)
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        let query = query.clone();
        Ok(self.administrate(move |connection| grants::find(connection, &query)).await??)
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let before = now.minus(PURGE_DELAY);
        let mut purged = 0;
        while purged < limit {
            let batch = PURGE_BATCH.min(limit - purged);
            let deleted = self.write(move |connection| grants::purge(connection, before, batch)).await?;
            purged += deleted;
            if deleted < batch {
                break;
            }
            // Deleted rows are all over the file: many at a time keep the disk from the log, and so
            // requests from their answers.
            self.0.checkpoints.catch_up().await;
        }
        Ok(purged)
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientStore for SqliteStore {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        let id = id.clone();
        let client = self.read(move |connection| registrations::client(connection, &id)).await??;
        Ok(client.map(Arc::new))
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        Ok(self.read(registrations::valid_after).await?)
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientRegistry for SqliteStore {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        let row = ClientRow::of(&client)?;
        Ok(self.write(move |connection| registrations::put_client(connection, &row)).await??)
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        let id = id.clone();
        Ok(self.write(move |connection| registrations::remove_client(connection, &id)).await??)
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        Ok(self.write(move |connection| registrations::set_valid_after(connection, moment)).await?)
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserStore for SqliteStore {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        let username = username.to_owned();
        let user = self.read(move |connection| registrations::user(connection, &username)).await??;
        Ok(user.map(Arc::new))
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        let subject = subject.clone();
        let user = self.read(move |connection| registrations::subject(connection, &subject)).await??;
        Ok(user.map(Arc::new))
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserRegistry for SqliteStore {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        let row = UserRow::of(&user)?;
        Ok(self.write(move |connection| registrations::put_user(connection, &row)).await??)
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        let subject = subject.clone();
        Ok(self.write(move |connection| registrations::remove_user(connection, &subject)).await??)
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        let (subject, expected) = (subject.clone(), expected.clone());
        let replace = move |connection: &Connection| {
            registrations::replace_password_hash(connection, &subject, &expected, &new)
        };
        Ok(self.write(replace).await??)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.0.path).finish_non_exhaustive()
    }
}
