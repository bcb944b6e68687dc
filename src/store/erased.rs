//! The store traits once more, object-safe, so that the server needs no type parameters.

use std::sync::Arc;

use stackfuture::StackFuture;

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

/// Futures of a store in memory fit in, and need no allocation; larger ones are boxed.
type Answer<'a, T> = StackFuture<'a, Result<T, StoreError>, 64>;

pub(crate) trait DynClientStore: Send + Sync {
    fn client<'a>(&'a self, id: &'a ClientId) -> Answer<'a, Option<Arc<Client>>>;
    fn valid_after(&self) -> Answer<'_, Timestamp>;
}

impl<S: ClientStore> DynClientStore for S {
    fn client<'a>(&'a self, id: &'a ClientId) -> Answer<'a, Option<Arc<Client>>> {
        Answer::from_or_box(ClientStore::client(self, id))
    }

    fn valid_after(&self) -> Answer<'_, Timestamp> {
        Answer::from_or_box(ClientStore::valid_after(self))
    }
}

pub(crate) trait DynUserStore: Send + Sync {
    fn user<'a>(&'a self, username: &'a str) -> Answer<'a, Option<Arc<User>>>;
    fn subject<'a>(&'a self, subject: &'a Subject) -> Answer<'a, Option<Arc<User>>>;
}

impl<S: UserStore> DynUserStore for S {
    fn user<'a>(&'a self, username: &'a str) -> Answer<'a, Option<Arc<User>>> {
        Answer::from_or_box(UserStore::user(self, username))
    }

    fn subject<'a>(&'a self, subject: &'a Subject) -> Answer<'a, Option<Arc<User>>> {
        Answer::from_or_box(UserStore::subject(self, subject))
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
        Answer::from_or_box(UserRegistry::replace_password_hash(self, subject, expected, new))
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
        Answer::from_or_box(TokenStore::insert(self, grant))
    }

    fn load(&self, id: GrantId, read: Read) -> Answer<'_, Option<Arc<Grant>>> {
        Answer::from_or_box(TokenStore::load(self, id, read))
    }

    fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Answer<'_, Replace> {
        Answer::from_or_box(TokenStore::replace(self, grant, expected))
    }

    fn remove(&self, id: GrantId, expected: Option<Revision>) -> Answer<'_, Remove> {
        Answer::from_or_box(TokenStore::remove(self, id, expected))
    }

    fn find<'a>(&'a self, query: &'a GrantQuery) -> Answer<'a, Page> {
        Answer::from_or_box(TokenStore::find(self, query))
    }

    fn purge_expired(&self, now: Timestamp, limit: usize) -> Answer<'_, usize> {
        Answer::from_or_box(TokenStore::purge_expired(self, now, limit))
    }
}
