//! Stores that need tokio, for tests that have no runtime of their own.

use std::sync::{Arc, OnceLock};

use grantor::grant::{Grant, Revision};
use grantor::password::PasswordHash;
use grantor::store::{
    ClientRegistry, ClientStore, GrantQuery, Insert, Page, Read, Remove, Replace, StoreError, TokenStore,
    UserRegistry, UserStore,
};
use grantor::{Client, ClientId, GrantId, Subject, Timestamp, User};
use tokio::runtime::Runtime;

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// Each call is a task of its own, which goes on when nobody waits for it any more.
#[derive(Clone)]
pub(crate) struct OnRuntime<S>(pub(crate) S);

macro_rules! spawned {
    ($store:expr, |$own:ident| $call:expr) => {{
        let $own = $store.0.clone();
        runtime().spawn(async move { $call.await }).await.map_err(StoreError::other)?
    }};
}

impl<S: TokenStore + Clone> TokenStore for OnRuntime<S> {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        spawned!(self, |store| store.insert(grant))
    }

    async fn load(&self, id: GrantId, read: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        spawned!(self, |store| store.load(id, read))
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        spawned!(self, |store| store.replace(grant, expected))
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        spawned!(self, |store| store.remove(id, expected))
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        let query = query.clone();
        spawned!(self, |store| store.find(&query))
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        spawned!(self, |store| store.purge_expired(now, limit))
    }
}

impl<S: ClientStore + Clone> ClientStore for OnRuntime<S> {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        let id = id.clone();
        spawned!(self, |store| store.client(&id))
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        spawned!(self, |store| store.valid_after())
    }
}

impl<S: ClientRegistry + Clone> ClientRegistry for OnRuntime<S> {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        spawned!(self, |store| store.put_client(client))
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        let id = id.clone();
        spawned!(self, |store| store.remove_client(&id))
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        spawned!(self, |store| store.set_valid_after(moment))
    }
}

impl<S: UserStore + Clone> UserStore for OnRuntime<S> {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        let username = username.to_owned();
        spawned!(self, |store| store.user(&username))
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        let subject = subject.clone();
        spawned!(self, |store| store.subject(&subject))
    }
}

impl<S: UserRegistry + Clone> UserRegistry for OnRuntime<S> {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        spawned!(self, |store| store.put_user(user))
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        let subject = subject.clone();
        spawned!(self, |store| store.remove_user(&subject))
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        let (subject, expected) = (subject.clone(), expected.clone());
        spawned!(self, |store| store.replace_password_hash(&subject, &expected, new))
    }
}
