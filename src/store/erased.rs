//! The store traits once more, object-safe, so that the server needs no type parameters.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::{ClientId, GrantId, Subject};
use crate::password::PasswordHash;
use crate::user::User;

use super::{
    ClientStore, GrantQuery, Insert, Page, Read, Remove, Replace, StoreError, TokenStore, UserRegistry,
    UserStore,
};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

pub(crate) trait DynClientStore: Send + Sync {
    fn client<'a>(&'a self, id: &'a ClientId) -> Answer<'a, Option<Arc<Client>>>;
    fn valid_after(&self) -> Answer<'_, Timestamp>;
}

impl<S: ClientStore> DynClientStore for S {
    fn client<'a>(&'a self, id: &'a ClientId) -> Answer<'a, Option<Arc<Client>>> {
        Box::pin(ClientStore::client(self, id))
    }

    fn valid_after(&self) -> Answer<'_, Timestamp> {
        Box::pin(ClientStore::valid_after(self))
    }
}

pub(crate) trait DynUserStore: Send + Sync {
    fn user<'a>(&'a self, username: &'a str) -> Answer<'a, Option<Arc<User>>>;
    fn subject<'a>(&'a self, subject: &'a Subject) -> Answer<'a, Option<Arc<User>>>;
}

impl<S: UserStore> DynUserStore for S {
    fn user<'a>(&'a self, username: &'a str) -> Answer<'a, Option<Arc<User>>> {
        Box::pin(UserStore::user(self, username))
    }

    fn subject<'a>(&'a self, subject: &'a Subject) -> Answer<'a, Option<Arc<User>>> {
        Box::pin(UserStore::subject(self, subject))
    }
}

/// What is written of a user when a password is hashed anew.
pub(crate) trait DynUserRegistry: Send + Sync {
    fn replace_password_hash<'a>(
        &'a self,
        subject: &'a Subject,
        expected: &'a PasswordHash,
        new: PasswordHash,
    ) -> Answer<'a, bool>;
}

impl<S: UserRegistry> DynUserRegistry for S {
    fn replace_password_hash<'a>(
        &'a self,
        subject: &'a Subject,
        expected: &'a PasswordHash,
        new: PasswordHash,
    ) -> Answer<'a, bool> {
        Box::pin(UserRegistry::replace_password_hash(self, subject, expected, new))
    }
}

pub(crate) trait DynTokenStore: Send + Sync {
    fn insert(&self, grant: Arc<Grant>) -> Answer<'_, Insert>;
    fn load(&self, id: GrantId, read: Read) -> Answer<'_, Option<Arc<Grant>>>;
    fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Answer<'_, Replace>;
    fn remove(&self, id: GrantId, expected: Option<Revision>) -> Answer<'_, Remove>;
    fn find<'a>(&'a self, query: &'a GrantQuery) -> Answer<'a, Page>;
    fn purge_expired(&self, now: Timestamp, limit: usize) -> Answer<'_, usize>;
}

impl<S: TokenStore> DynTokenStore for S {
    fn insert(&self, grant: Arc<Grant>) -> Answer<'_, Insert> {
        Box::pin(TokenStore::insert(self, grant))
    }

    fn load(&self, id: GrantId, read: Read) -> Answer<'_, Option<Arc<Grant>>> {
        Box::pin(TokenStore::load(self, id, read))
    }

    fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Answer<'_, Replace> {
        Box::pin(TokenStore::replace(self, grant, expected))
    }

    fn remove(&self, id: GrantId, expected: Option<Revision>) -> Answer<'_, Remove> {
        Box::pin(TokenStore::remove(self, id, expected))
    }

    fn find<'a>(&'a self, query: &'a GrantQuery) -> Answer<'a, Page> {
        Box::pin(TokenStore::find(self, query))
    }

    fn purge_expired(&self, now: Timestamp, limit: usize) -> Answer<'_, usize> {
        Box::pin(TokenStore::purge_expired(self, now, limit))
    }
}
