//! [`TieredStore`]: records in memory in front of a file, both bounded.

mod owner;
mod tier;
mod write;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::grant::{Grant, InvalidRecord, Revision};
use crate::id::{ClientId, GrantId, Subject};
use crate::password::PasswordHash;
use crate::user::User;

use super::sqlite::{Failure, SqliteOpenError, SqliteStore, grants};
use super::{
    ClientRegistry, ClientStore, Cursor, GrantQuery, Insert, PURGE_DELAY, Page, Read, Remove, Replace,
    StoreError, TokenStore, UserRegistry, UserStore,
};
pub use tier::TierFigures;
use tier::{Reading, Tier};
use write::{Call, Inserting, Operation, Removing, Replacing};

/// Grants in two tiers, both of a bounded number: the ones that were used last in memory, all of
/// them on the disk. Clients and users are on the disk, too.
///
/// A [`SqliteStore`] with a memory. What was answered is on the disk, whether it is in memory or
/// not; memory spares reads and nothing else. When the disk tier is full of live records, new ones
/// are refused with [`Insert::Full`], for which clients are answered 503, until some expire or are
/// removed: what has been issued goes on to work.
///
/// The file belongs to one process at a time.
///
/// ```
/// use grantor::store::TieredStore;
///
/// # let directory = std::env::temp_dir().join(format!("grantor-tiered-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("grants.db");
/// let store = TieredStore::builder(path).memory(1_000).disk(20_000).open()?;
/// assert_eq!(store.figures().on_disk, 0);
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TieredStore {
    disk: SqliteStore,
    tier: Arc<Tier>,
}

/// Settings of a [`TieredStore`] that is yet to be opened.
#[derive(Clone, Debug)]
#[must_use]
pub struct TieredStoreBuilder {
    path: PathBuf,
    memory: NonZeroUsize,
    disk: usize,
    volatile_codes: bool,
}

const DEFAULT_MEMORY: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();
const DEFAULT_DISK: usize = 20_000;

impl TieredStoreBuilder {
    /// How many records are kept in memory, at least 1; 1,000 unless set.
    pub fn memory(mut self, records: usize) -> Self {
        self.memory = NonZeroUsize::new(records).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// How many records there may be, at least 1; 20,000 unless set.
    pub fn disk(mut self, records: usize) -> Self {
        self.disk = records.max(1);
        self
    }

    /// Keeps codes that are not yet redeemed in memory alone: they are not written to the disk, and
    /// gone after a restart. Off unless set.
    pub fn volatile_codes(mut self, on: bool) -> Self {
        self.volatile_codes = on;
        self
    }

    /// Opens the store, on the calling thread: call it at start.
    ///
    /// # Errors
    /// When the file cannot be used as it is; [`SqliteOpenError::Busy`] if another process, or
    /// another store of this one, has it.
    pub fn open(self) -> Result<TieredStore, SqliteOpenError> {
        let owner = owner::lock(&self.path)?;
        let disk = SqliteStore::builder(&self.path).open_holding(Some(owner))?;
        let on_disk = disk.count_now()?;
        let tier = Arc::new(Tier::new(self.memory, self.disk, self.volatile_codes, on_disk));
        Ok(TieredStore { disk, tier })
    }
}

impl TieredStore {
    /// Opens the store at `path` with the defaults of [`builder`](Self::builder).
    ///
    /// # Errors
    /// As [`TieredStoreBuilder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        Self::builder(path).open()
    }

    /// Begins a store with other settings.
    pub fn builder(path: impl AsRef<Path>) -> TieredStoreBuilder {
        TieredStoreBuilder {
            path: path.as_ref().to_owned(),
            memory: DEFAULT_MEMORY,
            disk: DEFAULT_DISK,
            volatile_codes: false,
        }
    }

    /// How full the tiers are, and how often the upper one has helped.
    #[must_use]
    pub fn figures(&self) -> TierFigures {
        self.tier.figures()
    }

    /// As [`SqliteStore::client_ids`].
    ///
    /// # Errors
    /// When the database does not answer, or holds an id that is none.
    pub async fn client_ids(&self, after: Option<&ClientId>) -> Result<Vec<ClientId>, StoreError> {
        self.disk.client_ids(after).await
    }

    /// As [`SqliteStore::subjects`].
    ///
    /// # Errors
    /// When the database does not answer, or holds a subject that is none.
    pub async fn subjects(&self, after: Option<&Subject>) -> Result<Vec<Subject>, StoreError> {
        self.disk.subjects(after).await
    }

    async fn write<O: Operation + 'static>(
        &self,
        operation: O,
    ) -> Result<Result<O::Output, InvalidRecord>, Failure> {
        let (call, answer) = Call::new(&self.tier, operation);
        self.disk.submit(Box::new(call));
        answer.await.unwrap_or(Err(Failure::Abandoned))
    }
}

#[deny(clippy::missing_trait_methods)]
impl TokenStore for TieredStore {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        let is_purge_due = self.disk.is_purge_due();
        match self.write(Inserting::new(grant, &self.tier, is_purge_due)).await {
            Ok(inserted) => Ok(inserted?),
            Err(failure) if failure.is_full() => Ok(Insert::Full),
            Err(failure) => Err(failure.into()),
        }
    }

    /// [`Read::Recent`] is no older than [`Read::Latest`].
    async fn load(&self, id: GrantId, _: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        if let Some(known) = self.tier.get(id) {
            return Ok(Some(known));
        }
        let tier = Arc::clone(&self.tier);
        let read = self.disk.read(move |connection| {
            let reading = Reading::begin(&tier, id);
            let grant = grants::load(connection, id)?;
            Ok(grant.map(|grant| {
                let grant = grant.map(Arc::new);
                if let Some(grant) = &grant {
                    reading.keep(grant);
                }
                grant
            }))
        });
        Ok(read.await??)
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        match self.write(Replacing::new(grant, expected)).await {
            Ok(replaced) => Ok(replaced?),
            Err(failure) if failure.is_full() => Ok(Replace::Full),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        Ok(self.write(Removing::new(id, expected)).await??)
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        // First those in memory: one that goes to the disk meanwhile is seen there.
        let codes = self.tier.codes(query);
        let mut page = self.disk.find(query).await?;
        if codes.is_empty() {
            return Ok(page);
        }
        let end = page.next.and_then(|_| page.grants.last().map(|last| last.id()));
        let on_disk: Vec<_> = page.grants.iter().map(|grant| grant.id()).collect();
        let fits = |code: &Arc<Grant>| {
            end.is_none_or(|end| code.id() < end) && on_disk.binary_search(&code.id()).is_err()
        };
        page.grants.extend(codes.into_iter().filter(fits));
        page.grants.sort_unstable_by_key(|grant| grant.id());
        let has_more = page.next.is_some() || page.grants.len() > query.page_size();
        page.grants.truncate(query.page_size());
        page.next = page.grants.last().map(|last| Cursor::at(last.id())).filter(|_| has_more);
        Ok(page)
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let purged = self.disk.purge_expired(now, limit).await?;
        self.tier.removed(purged);
        Ok(purged + self.tier.purge(now.minus(PURGE_DELAY), limit - purged))
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientStore for TieredStore {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        self.disk.client(id).await
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        self.disk.valid_after().await
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientRegistry for TieredStore {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        self.disk.put_client(client).await
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        self.disk.remove_client(id).await
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        self.disk.set_valid_after(moment).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserStore for TieredStore {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        self.disk.user(username).await
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        self.disk.subject(subject).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserRegistry for TieredStore {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        self.disk.put_user(user).await
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        self.disk.remove_user(subject).await
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        self.disk.replace_password_hash(subject, expected, new).await
    }
}

impl fmt::Debug for TieredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieredStore").field("disk", &self.disk).field("figures", &self.figures()).finish()
    }
}
