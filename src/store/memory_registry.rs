//! [`MemoryClientStore`] and [`MemoryUserStore`]: registrations in memory.
//!
//! They are read at every request and seldom written, so readers take no lock: they look
//! into a snapshot, and a writer copies the small map it changes.

mod snapshots;

use std::fmt;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::Mutex;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::id::{ClientId, Subject};
use crate::password::PasswordHash;
use crate::user::{User, UserPassword};

use super::{ClientRegistry, ClientStore, StoreError, UserRegistry, UserStore};
use snapshots::Snapshots;

/// Clients in the memory of one process.
///
/// ```
/// use grantor::Client;
/// use grantor::store::MemoryClientStore;
///
/// let app = Client::public("phone-app").redirect_uri("com.example.phone:/signed-in").build()?;
/// let clients = MemoryClientStore::from_iter([app.clone()]);
/// assert_eq!(clients.get(app.id()).as_deref(), Some(&app));
///
/// clients.insert(app.to_builder().enabled(false).build()?);
/// assert_eq!(clients.len(), 1);
/// # Ok::<(), grantor::InvalidClient>(())
/// ```
pub struct MemoryClientStore {
    clients: Snapshots<Client>,
    valid_after: AtomicU64,
}

impl MemoryClientStore {
    /// A store without clients.
    #[must_use]
    pub fn new() -> Self {
        Self::from_iter([])
    }

    /// The client with this id.
    #[must_use]
    pub fn get(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.clients.get(id.as_str())
    }

    /// Adds the client, and returns the one with its id that it replaces.
    pub fn insert(&self, client: Client) -> Option<Arc<Client>> {
        self.clients.insert(&Arc::new(client))
    }

    /// Removes the client and returns it.
    pub fn remove(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.clients.remove(id.as_str())
    }

    /// How many clients there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// True if there are no clients.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientStore for MemoryClientStore {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        Ok(self.get(id))
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_millis(self.valid_after.load(Ordering::Acquire)))
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientRegistry for MemoryClientStore {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        self.insert(client);
        Ok(())
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        Ok(self.remove(id).is_some())
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        self.valid_after.store(moment.as_millis(), Ordering::Release);
        Ok(())
    }
}

impl FromIterator<Client> for MemoryClientStore {
    /// Of two clients with one id, the later one stays.
    fn from_iter<I: IntoIterator<Item = Client>>(clients: I) -> Self {
        let clients =
            Snapshots::new(|client: &Client| client.id().as_str(), clients.into_iter().map(Arc::new));
        Self { clients, valid_after: AtomicU64::new(0) }
    }
}

impl Default for MemoryClientStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryClientStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryClientStore").field("clients", &self.len()).finish_non_exhaustive()
    }
}

/// Users in the memory of one process.
///
/// ```
/// use grantor::store::MemoryUserStore;
/// use grantor::{Subject, User};
///
/// let users = MemoryUserStore::from_iter([User::new(Subject::new("u-4711")?, "alice")]);
/// users.insert(User::new(Subject::new("u-4711")?, "alice.smith"));
/// assert!(users.named("alice").is_none());
/// assert_eq!(users.len(), 1);
/// # Ok::<(), grantor::InvalidName>(())
/// ```
pub struct MemoryUserStore {
    by_subject: Snapshots<User>,
    by_username: Snapshots<User>,
    /// Held while both are changed.
    writer: Mutex<()>,
}

impl MemoryUserStore {
    /// A store without users.
    #[must_use]
    pub fn new() -> Self {
        Self {
            by_subject: Snapshots::new(|user: &User| user.subject().as_str(), iter::empty()),
            by_username: Snapshots::new(User::username, iter::empty()),
            writer: Mutex::default(),
        }
    }

    /// The user with this subject.
    #[must_use]
    pub fn get(&self, subject: &Subject) -> Option<Arc<User>> {
        self.by_subject.get(subject.as_str())
    }

    /// The user who logs in as `username`.
    #[must_use]
    pub fn named(&self, username: &str) -> Option<Arc<User>> {
        self.by_username.get(username)
    }

    /// Adds the user, and returns the one with its subject that it replaces. Another user
    /// with the same username stays, but can no longer be found by it.
    pub fn insert(&self, user: User) -> Option<Arc<User>> {
        let user = Arc::new(user);
        let _writer = self.writer.lock();
        let old = self.by_subject.insert(&user);
        self.by_username.insert(&user);
        if let Some(old) = old.as_ref().filter(|old| old.username() != user.username()) {
            self.release_username(old);
        }
        old
    }

    /// Removes the user and returns it.
    pub fn remove(&self, subject: &Subject) -> Option<Arc<User>> {
        let _writer = self.writer.lock();
        let old = self.by_subject.remove(subject.as_str())?;
        self.release_username(&old);
        Some(old)
    }

    /// How many users there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_subject.len()
    }

    /// True if there are no users.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Unless it has passed to another user.
    fn release_username(&self, user: &User) {
        if self.named(user.username()).is_some_and(|holder| holder.subject() == user.subject()) {
            self.by_username.remove(user.username());
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserStore for MemoryUserStore {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        Ok(self.named(username))
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        Ok(self.get(subject))
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserRegistry for MemoryUserStore {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        self.insert(user);
        Ok(())
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        Ok(self.remove(subject).is_some())
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        let _writer = self.writer.lock();
        let Some(user) = self.get(subject) else { return Ok(false) };
        if !matches!(user.has_password(), Some(UserPassword::Phc(hash)) if hash == expected) {
            return Ok(false);
        }
        let has_username = self.named(user.username()).is_some_and(|named| named == user);
        let user = Arc::new(User::clone(&user).password(UserPassword::Phc(new)));
        self.by_subject.insert(&user);
        // Unless it has passed to another user.
        if has_username {
            self.by_username.insert(&user);
        }
        Ok(true)
    }
}

impl FromIterator<User> for MemoryUserStore {
    fn from_iter<I: IntoIterator<Item = User>>(users: I) -> Self {
        let store = Self::new();
        for user in users {
            store.insert(user);
        }
        store
    }
}

impl Default for MemoryUserStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryUserStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryUserStore").field("users", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn client(id: &str) -> Client {
        Client::public(id).redirect_uri("https://app.example/back").build().unwrap()
    }

    fn user(subject: &str, username: &str) -> User {
        User::new(Subject::new(subject).unwrap(), username)
    }

    fn subject(text: &str) -> Subject {
        Subject::new(text).unwrap()
    }

    #[test]
    fn a_client_is_replaced_and_removed() {
        let clients = MemoryClientStore::from_iter([client("a"), client("b"), client("a")]);
        assert_eq!(clients.len(), 2);
        let disabled = client("a").to_builder().enabled(false).build().unwrap();
        assert_eq!(clients.insert(disabled.clone()).as_deref(), Some(&client("a")));
        assert_eq!(clients.get(disabled.id()).as_deref(), Some(&disabled));
        assert!(clients.remove(disabled.id()).is_some());
        assert!(clients.remove(disabled.id()).is_none());
        assert!(clients.get(disabled.id()).is_none());
        assert_eq!(clients.len(), 1);
    }

    #[test]
    fn no_client_is_lost_when_many_are_added_at_once() {
        let clients = MemoryClientStore::new();
        thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let clients = &clients;
                scope.spawn(move || {
                    for n in 0..500 {
                        assert!(clients.insert(client(&format!("{name}{n}"))).is_none());
                    }
                });
            }
        });
        assert_eq!(clients.len(), 2000);
        for n in 0..500 {
            assert!(clients.get(&ClientId::new(format!("d{n}")).unwrap()).is_some());
        }
    }

    #[test]
    fn a_user_who_changes_the_username_is_found_by_the_new_one_only() {
        let users = MemoryUserStore::from_iter([user("1", "alice")]);
        users.insert(user("1", "alice.smith"));
        assert!(users.named("alice").is_none());
        assert_eq!(users.named("alice.smith"), users.get(&subject("1")));
        assert_eq!(users.len(), 1);
    }

    #[test]
    fn a_username_passes_to_the_user_who_was_put_last() {
        let users = MemoryUserStore::from_iter([user("1", "alice"), user("2", "alice")]);
        assert_eq!(users.named("alice").as_deref(), Some(&user("2", "alice")));
        assert_eq!(users.get(&subject("1")).as_deref(), Some(&user("1", "alice")));
        assert!(users.remove(&subject("1")).is_some());
        assert!(users.named("alice").is_some(), "it is no longer the first user's to take away");
        assert!(users.remove(&subject("2")).is_some());
        assert!(users.named("alice").is_none());
        assert!(users.is_empty());
    }

    #[test]
    fn both_ways_to_a_user_agree_after_concurrent_changes() {
        let users = MemoryUserStore::new();
        let names = ["a", "b", "c", "d"];
        for _ in 0..1_000 {
            thread::scope(|scope| {
                for name in names {
                    let users = &users;
                    scope.spawn(move || users.insert(user("1", name)));
                }
            });
            let named: Vec<_> = names.iter().filter_map(|name| users.named(name)).collect();
            assert_eq!(named, [users.get(&subject("1")).unwrap()]);
        }
    }
}
