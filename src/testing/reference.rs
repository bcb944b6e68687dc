use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::sync::Mutex;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::{ClientId, GrantId, Subject};
use crate::password::PasswordHash;
use crate::store::{
    ClientRegistry, ClientStore, Cursor, GrantQuery, Insert, PURGE_DELAY, Page, Read, Remove, Replace,
    StoreError, TokenStore, UserRegistry, UserStore,
};
use crate::user::{User, UserPassword};

/// A store that is as it should be, and nothing more.
#[derive(Default)]
pub(super) struct Reference {
    pub(super) grants: Mutex<BTreeMap<GrantId, Arc<Grant>>>,
    pub(super) clients: Mutex<BTreeMap<ClientId, Arc<Client>>>,
    pub(super) users: Mutex<Users>,
    valid_after: Mutex<Timestamp>,
}

#[derive(Clone, Default)]
pub(super) struct Users {
    pub(super) by_subject: BTreeMap<Subject, Arc<User>>,
    pub(super) by_username: BTreeMap<String, Subject>,
}

impl Reference {
    pub(super) fn with_clients(clients: Vec<Client>) -> Self {
        let clients = clients.into_iter().map(|client| (client.id().clone(), Arc::new(client)));
        Self { clients: Mutex::new(clients.collect()), ..Self::default() }
    }

    pub(super) fn with_users(users: Vec<User>) -> Self {
        let store = Self::default();
        users.into_iter().for_each(|user| store.users.lock().put(user));
        store
    }
}

impl TokenStore for Reference {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        Ok(match self.grants.lock().entry(grant.id()) {
            Entry::Occupied(_) => Insert::Occupied,
            Entry::Vacant(vacant) => {
                vacant.insert(grant);
                Insert::Inserted
            }
        })
    }

    async fn load(&self, id: GrantId, _: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        Ok(self.grants.lock().get(&id).cloned())
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        Ok(match self.grants.lock().get_mut(&grant.id()) {
            Some(current) if current.revision() == expected => {
                *current = grant;
                Replace::Replaced
            }
            _ => Replace::Changed,
        })
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        let mut grants = self.grants.lock();
        Ok(match grants.get(&id) {
            None => Remove::Absent,
            Some(current) if expected.is_some_and(|expected| current.revision() != expected) => {
                Remove::Changed
            }
            Some(_) => {
                grants.remove(&id);
                Remove::Removed
            }
        })
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        let grants = self.grants.lock();
        let after = |grant: &&Arc<Grant>| query.start().is_none_or(|start| grant.id() > start);
        let mut matching = grants.values().filter(after).filter(|grant| query.matches(grant)).cloned();
        let page: Vec<_> = matching.by_ref().take(query.page_size()).collect();
        let last = page.last().map(|grant| Cursor::at(grant.id()));
        Ok(Page::new(page, matching.next().and(last)))
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut grants = self.grants.lock();
        let before = now.minus(PURGE_DELAY);
        let expired = grants.values().filter(|grant| grant.is_expired(before)).take(limit);
        let expired: Vec<_> = expired.map(|grant| grant.id()).collect();
        expired.iter().for_each(|id| drop(grants.remove(id)));
        Ok(expired.len())
    }
}

impl ClientStore for Reference {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        Ok(self.clients.lock().get(id).cloned())
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        Ok(*self.valid_after.lock())
    }
}

impl ClientRegistry for Reference {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        self.clients.lock().insert(client.id().clone(), Arc::new(client));
        Ok(())
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        Ok(self.clients.lock().remove(id).is_some())
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        *self.valid_after.lock() = moment;
        Ok(())
    }
}

impl UserStore for Reference {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        let users = self.users.lock();
        Ok(users.by_username.get(username).and_then(|subject| users.by_subject.get(subject)).cloned())
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        Ok(self.users.lock().by_subject.get(subject).cloned())
    }
}

impl UserRegistry for Reference {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        self.users.lock().put(user);
        Ok(())
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        Ok(self.users.lock().remove(subject))
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        Ok(self.users.lock().replace_password_hash(subject, Some(expected), new))
    }
}

impl Users {
    pub(super) fn put(&mut self, user: User) {
        self.remove(user.subject());
        self.by_username.insert(user.username().to_owned(), user.subject().clone());
        self.by_subject.insert(user.subject().clone(), Arc::new(user));
    }

    /// Whatever the hash is, if none is expected.
    pub(super) fn replace_password_hash(
        &mut self,
        subject: &Subject,
        expected: Option<&PasswordHash>,
        new: PasswordHash,
    ) -> bool {
        let Some(user) = self.by_subject.get_mut(subject) else { return false };
        let Some(UserPassword::Phc(hash)) = user.has_password() else { return false };
        let replace = expected.is_none_or(|expected| expected == hash);
        if replace {
            *user = Arc::new(User::clone(user).password(UserPassword::Phc(new)));
        }
        replace
    }

    pub(super) fn remove(&mut self, subject: &Subject) -> bool {
        self.by_username.retain(|_, owner| owner != subject);
        self.by_subject.remove(subject).is_some()
    }
}
