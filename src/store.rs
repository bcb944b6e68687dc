//! What the server keeps, and where: [`ClientStore`], [`UserStore`] and [`TokenStore`].
//!
//! Implement them with plain `async fn`; no macro and no runtime is needed. All rules of
//! the protocol live in the server. What a token store owes it is one thing: to replace a
//! record only if the record is still at the revision that was read. The checks in
//! `grantor::testing::contract` (feature `testing`) tell whether it does.

mod cached;
mod erased;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "memory")]
mod memory_registry;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod registration;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "tiered")]
mod tiered;

use std::future::Future;
use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::{ClientId, GrantId, Subject};
use crate::password::PasswordHash;
use crate::user::User;

pub use crate::error::{StoreError, StoreErrorKind};
pub use cached::Cached;
pub(crate) use erased::{DynClientStore, DynTokenStore, DynUserRegistry, DynUserStore};
#[cfg(feature = "memory")]
pub use memory::{InvalidMemoryBound, MemoryTokenStore, MemoryTokenStoreBuilder};
#[cfg(feature = "memory")]
pub use memory_registry::{MemoryClientStore, MemoryUserStore};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresSchemaError, PostgresStore};
#[cfg(feature = "redis")]
pub use redis::{RedisOpenError, RedisStore, RedisStoreBuilder};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOpenError, SqliteStore, SqliteStoreBuilder};
#[cfg(feature = "tiered")]
pub use tiered::{TierFigures, TieredStore, TieredStoreBuilder};

/// Where client registrations are looked up.
pub trait ClientStore: Send + Sync + 'static {
    /// The client with this id, disabled ones, too; `None` if there is none.
    fn client(&self, id: &ClientId) -> impl Future<Output = Result<Option<Arc<Client>>, StoreError>> + Send;

    /// Grants that began before this moment are dead, whoever they belong to; see
    /// [`ClientRegistry::set_valid_after`]. A store without such a setting leaves this
    /// method out.
    fn valid_after(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send {
        async { Ok(Timestamp::EPOCH) }
    }
}

/// Where users are looked up.
///
/// A server without one takes the host's word for the subjects it passes to
/// [`decide`](crate::AuthorizationServer::decide).
pub trait UserStore: Send + Sync + 'static {
    /// The user who logs in as `username`; compared exactly.
    fn user(&self, username: &str) -> impl Future<Output = Result<Option<Arc<User>>, StoreError>> + Send;

    /// The user with this subject.
    fn subject(
        &self,
        subject: &Subject,
    ) -> impl Future<Output = Result<Option<Arc<User>>, StoreError>> + Send;
}

/// What administration writes about clients.
pub trait ClientRegistry: ClientStore {
    /// Adds the client, or replaces the one with its id.
    fn put_client(&self, client: Client) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the client; false if there was none.
    fn remove_client(&self, id: &ClientId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Ends all grants of the whole server that began before `moment`, at once.
    fn set_valid_after(&self, moment: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What administration writes about users.
pub trait UserRegistry: UserStore {
    /// Adds the user, or replaces the one with its subject. Another user with the same
    /// username gives it up.
    fn put_user(&self, user: User) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the user; false if there was none.
    fn remove_user(&self, subject: &Subject) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Puts `new` in the place of the user's password hash, if that is `expected`, and leaves all
    /// else of the user as it is: one atomic step, so that it undoes no change that is made at
    /// the same time. False if the user has another password or is gone.
    ///
    /// A store that cannot do this leaves the method out: hashes then stay as they are.
    fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        let _ = (subject, expected, new);
        async { Ok(false) }
    }
}

/// Where grants are kept.
///
/// A call that answers with `Err`, or whose future is dropped, may or may not have
/// written: the server looks again. Any other answer says what is true, as far as a driver
/// that sends a write twice can tell. Once `insert`,
/// `replace` or `remove` has said that it did something, every later `load` with
/// [`Read::Latest`] sees it.
pub trait TokenStore: Send + Sync + 'static {
    /// Adds a record under its id, unless there is one already.
    fn insert(&self, grant: Arc<Grant>) -> impl Future<Output = Result<Insert, StoreError>> + Send;

    /// The record with this id. An expired one may be given; the server checks.
    fn load(
        &self,
        id: GrantId,
        read: Read,
    ) -> impl Future<Output = Result<Option<Arc<Grant>>, StoreError>> + Send;

    /// Puts `grant` in the place of the record with its id, if that is at `expected`: one
    /// atomic step.
    fn replace(
        &self,
        grant: Arc<Grant>,
        expected: Revision,
    ) -> impl Future<Output = Result<Replace, StoreError>> + Send;

    /// Removes the record with this id, if it is at `expected`, or whatever it is at for
    /// `None`: one atomic step.
    fn remove(
        &self,
        id: GrantId,
        expected: Option<Revision>,
    ) -> impl Future<Output = Result<Remove, StoreError>> + Send;

    /// A page of the grants that match, in the order of their ids; for administration.
    fn find(&self, query: &GrantQuery) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Deletes up to `limit` records that expired at least [`PURGE_DELAY`] before `now`, and
    /// says how many. Each must still be expired in the moment it is deleted.
    fn purge_expired(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

/// How long [`TokenStore::purge_expired`] keeps a record past its end, for servers whose
/// clocks differ.
pub const PURGE_DELAY: std::time::Duration = std::time::Duration::from_secs(60);

/// How fresh a record has to be. Exhaustive: a store has to mean one or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// All that was written before the call. What decisions are made on.
    Latest,
    /// May be late by a bounded time, which the store documents. For introspection.
    Recent,
}

/// What [`TokenStore::insert`] did. Exhaustive: the server acts on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Insert {
    /// The record is there.
    Inserted,
    /// There is a record with that id; nothing was written.
    Occupied,
    /// There is no room, and no live record is given up for it; nothing was written.
    Full,
}

/// What [`TokenStore::replace`] did. Exhaustive: the server acts on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Replace {
    /// The new record is there.
    Replaced,
    /// The record is at another revision or gone; nothing was written.
    Changed,
    /// There is no room for the larger record; nothing was written.
    Full,
}

/// What [`TokenStore::remove`] did. Exhaustive: the server acts on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Remove {
    /// The record is gone.
    Removed,
    /// The record is at another revision; nothing was removed.
    Changed,
    /// There is no such record.
    Absent,
}

/// Which grants [`TokenStore::find`] looks for: all, or those of a client, a subject or
/// both.
#[derive(Clone, Debug, Default)]
pub struct GrantQuery {
    client: Option<ClientId>,
    subject: Option<Subject>,
    after: Option<Cursor>,
    limit: Option<usize>,
}

impl GrantQuery {
    const DEFAULT_LIMIT: usize = 100;
    const LARGEST_LIMIT: usize = 1000;

    /// All grants.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those of `client`.
    #[must_use]
    pub fn of_client(mut self, client: ClientId) -> Self {
        self.client = Some(client);
        self
    }

    /// Only those of `subject`.
    #[must_use]
    pub fn of_subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Goes on where a page ended.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// At most `limit` grants a page: 1 to 1000, else the nearest of these; 100 unless set.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit.clamp(1, Self::LARGEST_LIMIT));
        self
    }

    /// The client asked for.
    #[must_use]
    pub fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// The subject asked for.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// The id after which the page begins.
    #[must_use]
    pub fn start(&self) -> Option<GrantId> {
        self.after.map(|Cursor(id)| id)
    }

    /// The size of a page.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.limit.unwrap_or(Self::DEFAULT_LIMIT)
    }

    /// True if `grant` is of the client and the subject asked for.
    #[must_use]
    pub fn matches(&self, grant: &Grant) -> bool {
        self.client.as_ref().is_none_or(|client| client == grant.client())
            && self.subject.as_ref().is_none_or(|subject| Some(subject) == grant.subject())
    }
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(GrantId);

impl Cursor {
    /// The page ended with this grant.
    #[must_use]
    pub const fn at(id: GrantId) -> Self {
        Self(id)
    }
}

/// Some of the grants that were asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The grants, in the order of their ids.
    pub grants: Vec<Arc<Grant>>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

impl Page {
    /// A page and where the next one begins.
    #[must_use]
    pub const fn new(grants: Vec<Arc<Grant>>, next: Option<Cursor>) -> Self {
        Self { grants, next }
    }
}

impl<S: ClientStore> ClientStore for Arc<S> {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        (**self).client(id).await
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        (**self).valid_after().await
    }
}

impl<S: ClientRegistry> ClientRegistry for Arc<S> {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        (**self).put_client(client).await
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        (**self).remove_client(id).await
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        (**self).set_valid_after(moment).await
    }
}

impl<S: UserStore> UserStore for Arc<S> {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        (**self).user(username).await
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        (**self).subject(subject).await
    }
}

impl<S: UserRegistry> UserRegistry for Arc<S> {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        (**self).put_user(user).await
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        (**self).remove_user(subject).await
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        (**self).replace_password_hash(subject, expected, new).await
    }
}

impl<S: TokenStore> TokenStore for Arc<S> {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        (**self).insert(grant).await
    }

    async fn load(&self, id: GrantId, read: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        (**self).load(id, read).await
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        (**self).replace(grant, expected).await
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        (**self).remove(id, expected).await
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        (**self).find(query).await
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        (**self).purge_expired(now, limit).await
    }
}
