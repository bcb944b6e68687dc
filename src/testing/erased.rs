//! Stores as the server sees them: behind the private, object-safe twins of the traits.
//!
//! A store that keeps its contract bare and breaks it in here has found a defect in grantor.

use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::{ClientId, GrantId, Subject};
use crate::store::{
    ClientStore, DynClientStore, DynTokenStore, DynUserStore, GrantQuery, Insert, Page, Read, Remove,
    Replace, StoreError, TokenStore, UserStore,
};
use crate::user::User;

/// `store`, erased.
///
/// ```
/// use grantor::store::MemoryTokenStore;
/// use grantor::testing::{block_on, contract, erased};
///
/// block_on(contract::token_store(async || erased::token_store(MemoryTokenStore::new())))?;
/// # Ok::<(), contract::Violations>(())
/// ```
pub fn token_store(store: impl TokenStore) -> impl TokenStore {
    Erased::<dyn DynTokenStore>(Box::new(store))
}

/// `store`, erased.
pub fn client_store(store: impl ClientStore) -> impl ClientStore {
    Erased::<dyn DynClientStore>(Box::new(store))
}

/// `store`, erased.
pub fn user_store(store: impl UserStore) -> impl UserStore {
    Erased::<dyn DynUserStore>(Box::new(store))
}

struct Erased<S: ?Sized>(Box<S>);

#[deny(clippy::missing_trait_methods)]
impl TokenStore for Erased<dyn DynTokenStore> {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        self.0.insert(grant).await
    }

    async fn load(&self, id: GrantId, read: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        self.0.load(id, read).await
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        self.0.replace(grant, expected).await
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        self.0.remove(id, expected).await
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        self.0.find(query).await
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0.purge_expired(now, limit).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl UserStore for Erased<dyn DynUserStore> {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        self.0.user(username).await
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        self.0.subject(subject).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl ClientStore for Erased<dyn DynClientStore> {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        self.0.client(id).await
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        self.0.valid_after().await
    }
}
