//! [`Cached`]: clients and users, remembered for a short time.

#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::sync::Mutex;
use lru::LruCache;

use crate::client::Client;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::id::{ClientId, Subject};
use crate::password::PasswordHash;
use crate::user::User;

use super::{ClientRegistry, ClientStore, StoreError, UserRegistry, UserStore};

/// A client or user store with a memory of what was last read.
///
/// An answer is used for less than `max_age`, so a change that was made elsewhere is seen
/// within that time. A change that is made through this value, or reported with one of the
/// `invalidate` methods, is seen at once. What does not exist is not remembered, and an
/// error of the store is passed on.
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
///
/// use grantor::store::Cached;
///
/// # let database = grantor::store::MemoryClientStore::new();
/// let capacity = NonZeroUsize::new(10_000).unwrap();
/// let clients = Cached::new(database, capacity, Duration::from_secs(10));
/// # clients.invalidate_all();
/// # }
/// ```
pub struct Cached<S> {
    store: S,
    max_age: Duration,
    clock: Arc<dyn Clock>,
    clients: Memory<ClientId, Arc<Client>>,
    valid_after: Memory<(), Timestamp>,
    users: Memory<Subject, Arc<User>>,
    usernames: Memory<str, Arc<User>>,
}

impl<S> Cached<S> {
    /// Remembers up to `capacity` clients, or users, for less than `max_age`. With a
    /// `max_age` of zero, it remembers nothing.
    #[must_use]
    pub fn new(store: S, capacity: NonZeroUsize, max_age: Duration) -> Self {
        Self {
            store,
            max_age,
            clock: Arc::new(SystemClock),
            clients: Memory::new(capacity),
            valid_after: Memory::new(capacity),
            users: Memory::new(capacity),
            usernames: Memory::new(capacity),
        }
    }

    /// Takes the time from `clock`, not from the system.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Forgets this client.
    pub fn invalidate_client(&self, id: &ClientId) {
        self.clients.forget(id);
    }

    /// Forgets this user, under each of its usernames.
    pub fn invalidate_user(&self, subject: &Subject) {
        self.users.forget(subject);
        self.usernames.forget_if(|_, user| user.subject() == subject);
    }

    /// Forgets everything.
    pub fn invalidate_all(&self) {
        self.clients.forget_if(|_, _| true);
        self.valid_after.forget(&());
        self.users.forget_if(|_, _| true);
        self.usernames.forget_if(|_, _| true);
    }

    fn age(&self) -> Age {
        Age { now: self.clock.now(), max: self.max_age }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ClientStore> ClientStore for Cached<S> {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        self.clients.read(id, self.age(), || self.store.client(id)).await
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        let ask = || async { self.store.valid_after().await.map(Some) };
        self.valid_after.read(&(), self.age(), ask).await.map(Option::unwrap_or_default)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: UserStore> UserStore for Cached<S> {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        self.usernames.read(username, self.age(), || self.store.user(username)).await
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        self.users.read(subject, self.age(), || self.store.subject(subject)).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ClientRegistry> ClientRegistry for Cached<S> {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        let id = client.id().clone();
        let _forget = Finally(|| self.invalidate_client(&id));
        self.store.put_client(client).await
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        let _forget = Finally(|| self.invalidate_client(id));
        self.store.remove_client(id).await
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        let _forget = Finally(|| self.valid_after.forget(&()));
        self.store.set_valid_after(moment).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: UserRegistry> UserRegistry for Cached<S> {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        let (subject, username) = (user.subject().clone(), user.username().to_owned());
        let _forget = Finally(|| {
            self.invalidate_user(&subject);
            // Whoever had it gives it up.
            self.usernames.forget(&username);
        });
        self.store.put_user(user).await
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        let _forget = Finally(|| self.invalidate_user(subject));
        self.store.remove_user(subject).await
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        let _forget = Finally(|| self.invalidate_user(subject));
        self.store.replace_password_hash(subject, expected, new).await
    }
}

impl<S: fmt::Debug> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, max_age, .. } = self;
        f.debug_struct("Cached").field("store", store).field("max_age", max_age).finish_non_exhaustive()
    }
}

/// What exists under some of the keys, as the store said.
struct Memory<K: ToOwned + ?Sized, V>(Mutex<Known<K::Owned, V>>);

struct Known<K, V> {
    answers: LruCache<K, Answer<V>>,
    /// Counts the invalidations. What the store was asked for in an earlier epoch may be
    /// what has been invalidated since, and is not kept.
    epoch: u64,
}

struct Answer<V> {
    value: V,
    /// From before the store was asked.
    read_at: Timestamp,
}

impl<K, V> Memory<K, V>
where
    K: ToOwned<Owned: Hash + Eq> + Hash + Eq + ?Sized,
    V: Clone,
{
    fn new(capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(Known { answers: LruCache::sparse(capacity), epoch: 0 }))
    }

    async fn read<F>(&self, key: &K, age: Age, ask: impl FnOnce() -> F) -> Result<Option<V>, StoreError>
    where
        F: Future<Output = Result<Option<V>, StoreError>>,
    {
        let epoch = {
            let mut known = self.0.lock();
            if let Some(answer) = known.answers.get(key).filter(|answer| age.allows(answer.read_at)) {
                return Ok(Some(answer.value.clone()));
            }
            known.epoch
        };
        let value = ask().await?;
        if let Some(value) = value.clone().filter(|_| age.allows(age.now)) {
            let mut known = self.0.lock();
            if known.epoch == epoch {
                known.answers.put(key.to_owned(), Answer { value, read_at: age.now });
            }
        }
        Ok(value)
    }

    fn forget(&self, key: &K) {
        let mut known = self.0.lock();
        known.epoch += 1;
        known.answers.pop(key);
    }

    fn forget_if(&self, stale: impl Fn(&K, &V) -> bool) {
        let mut known = self.0.lock();
        known.epoch += 1;
        known.answers.retain(|key, answer| !stale(key.borrow(), &answer.value));
    }
}

/// How old an answer may be.
#[derive(Clone, Copy)]
struct Age {
    now: Timestamp,
    max: Duration,
}

impl Age {
    /// An answer from the future is not trusted: the clock has been set back.
    fn allows(self, read_at: Timestamp) -> bool {
        read_at <= self.now && self.now.since(read_at) < self.max
    }
}

/// Does something when it is dropped: also if a write has failed or was given up, since it
/// may have been done all the same.
struct Finally<F: Fn()>(F);

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
