use std::fmt;

/// A method of a store, to name it to [`Faults`](super::Faults).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// [`ClientStore::client`](crate::store::ClientStore::client)
    Client,
    /// [`ClientStore::valid_after`](crate::store::ClientStore::valid_after)
    ValidAfter,
    /// [`ClientRegistry::put_client`](crate::store::ClientRegistry::put_client)
    PutClient,
    /// [`ClientRegistry::remove_client`](crate::store::ClientRegistry::remove_client)
    RemoveClient,
    /// [`ClientRegistry::set_valid_after`](crate::store::ClientRegistry::set_valid_after)
    SetValidAfter,
    /// [`UserStore::user`](crate::store::UserStore::user)
    User,
    /// [`UserStore::subject`](crate::store::UserStore::subject)
    Subject,
    /// [`UserRegistry::put_user`](crate::store::UserRegistry::put_user)
    PutUser,
    /// [`UserRegistry::remove_user`](crate::store::UserRegistry::remove_user)
    RemoveUser,
    /// [`UserRegistry::replace_password_hash`](crate::store::UserRegistry::replace_password_hash)
    ReplacePasswordHash,
    /// [`TokenStore::insert`](crate::store::TokenStore::insert)
    Insert,
    /// [`TokenStore::load`](crate::store::TokenStore::load)
    Load,
    /// [`TokenStore::replace`](crate::store::TokenStore::replace)
    Replace,
    /// [`TokenStore::remove`](crate::store::TokenStore::remove)
    Remove,
    /// [`TokenStore::find`](crate::store::TokenStore::find)
    Find,
    /// [`TokenStore::purge_expired`](crate::store::TokenStore::purge_expired)
    PurgeExpired,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::ValidAfter => "valid_after",
            Self::PutClient => "put_client",
            Self::RemoveClient => "remove_client",
            Self::SetValidAfter => "set_valid_after",
            Self::User => "user",
            Self::Subject => "subject",
            Self::PutUser => "put_user",
            Self::RemoveUser => "remove_user",
            Self::ReplacePasswordHash => "replace_password_hash",
            Self::Insert => "insert",
            Self::Load => "load",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Find => "find",
            Self::PurgeExpired => "purge_expired",
        })
    }
}

/// Implements each store trait for a wrapper of `inner`. Every method goes through the
/// wrapper's `call(method, send)`, which may call `send` any number of times.
macro_rules! wrap_stores {
    ($wrapper:ident) => {
        #[deny(clippy::missing_trait_methods)]
        impl<S: ClientStore> ClientStore for $wrapper<S> {
            async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
                self.call(Method::Client, || self.inner.client(id)).await
            }

            async fn valid_after(&self) -> Result<Timestamp, StoreError> {
                self.call(Method::ValidAfter, || self.inner.valid_after()).await
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<S: ClientRegistry> ClientRegistry for $wrapper<S> {
            async fn put_client(&self, client: Client) -> Result<(), StoreError> {
                self.call(Method::PutClient, || self.inner.put_client(client.clone())).await
            }

            async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
                self.call(Method::RemoveClient, || self.inner.remove_client(id)).await
            }

            async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
                self.call(Method::SetValidAfter, || self.inner.set_valid_after(moment)).await
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<S: UserStore> UserStore for $wrapper<S> {
            async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
                self.call(Method::User, || self.inner.user(username)).await
            }

            async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
                self.call(Method::Subject, || self.inner.subject(subject)).await
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<S: UserRegistry> UserRegistry for $wrapper<S> {
            async fn put_user(&self, user: User) -> Result<(), StoreError> {
                self.call(Method::PutUser, || self.inner.put_user(user.clone())).await
            }

            async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
                self.call(Method::RemoveUser, || self.inner.remove_user(subject)).await
            }

            async fn replace_password_hash(
                &self,
                subject: &Subject,
                expected: &PasswordHash,
                new: PasswordHash,
            ) -> Result<bool, StoreError> {
                let replace = || self.inner.replace_password_hash(subject, expected, new.clone());
                self.call(Method::ReplacePasswordHash, replace).await
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<S: TokenStore> TokenStore for $wrapper<S> {
            async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
                self.call(Method::Insert, || self.inner.insert(Arc::clone(&grant))).await
            }

            async fn load(&self, id: GrantId, read: Read) -> Result<Option<Arc<Grant>>, StoreError> {
                self.call(Method::Load, || self.inner.load(id, read)).await
            }

            async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
                self.call(Method::Replace, || self.inner.replace(Arc::clone(&grant), expected)).await
            }

            async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
                self.call(Method::Remove, || self.inner.remove(id, expected)).await
            }

            async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
                self.call(Method::Find, || self.inner.find(query)).await
            }

            async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
                self.call(Method::PurgeExpired, || self.inner.purge_expired(now, limit)).await
            }
        }
    };
}

pub(super) use wrap_stores;
