use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::id::{ClientId, Subject};
use crate::password::PasswordHash;
use crate::store::{ClientRegistry, ClientStore, StoreError, UserRegistry, UserStore};
use crate::testing::reference::{Reference, Users};
use crate::testing::yield_for;
use crate::user::User;

use super::super::{Violations, client_registry, client_store, user_registry, user_store};

/// What is wrong with a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegistryFlaw {
    LosesField,
    HidesDisabled,
    IgnoresCase,
    TrimsSpaces,
    FindsAnybody,
    KeepsTen,
    PutDoesNotReplace,
    PutCopiesAcrossYield,
    RemoveDoesNothing,
    RemoveSaysTrue,
    ForgetsValidAfter,
    UsernameStays,
    UsernameIsForTheFirst,
    UsernameGoesWithLoser,
    UsernameFallsBack,
    LoserOfUsernameIsRemoved,
    RehashesAnyPassword,
    RehashDoesNothing,
}

/// Each flaw, what it is called in the guide, and the rules it breaks at least.
pub(super) const FLAWS: &[(RegistryFlaw, &str, &[&str])] = &[
    (RegistryFlaw::LosesField, "keeps some of the fields", &["client_complete", "user_complete"]),
    (RegistryFlaw::HidesDisabled, "hides what is disabled", &["client_complete", "user_complete"]),
    (RegistryFlaw::IgnoresCase, "takes ids for one that differ by case", &["client_exact", "user_exact"]),
    (RegistryFlaw::TrimsSpaces, "trims spaces", &["client_exact", "user_exact"]),
    (RegistryFlaw::FindsAnybody, "gives another one for an unknown id", &["client_unknown", "user_unknown"]),
    (RegistryFlaw::KeepsTen, "keeps the last ten", &["client_many", "user_many"]),
    (RegistryFlaw::PutDoesNotReplace, "keeps what was there first", &["client_put", "user_put"]),
    (
        RegistryFlaw::PutCopiesAcrossYield,
        "copies the table, waits, and puts the copy back",
        &["client_race", "user_race"],
    ),
    (RegistryFlaw::RemoveDoesNothing, "removes nothing", &["client_remove", "user_remove"]),
    (
        RegistryFlaw::RemoveSaysTrue,
        "says that it removed what was not there",
        &["client_remove", "user_remove"],
    ),
    (RegistryFlaw::ForgetsValidAfter, "forgets the server-wide `valid_after`", &["client_valid_after"]),
    (RegistryFlaw::UsernameStays, "still finds a user under the name before", &["user_renamed"]),
    (RegistryFlaw::UsernameIsForTheFirst, "leaves a name to whoever had it first", &["user_name_taken"]),
    (
        RegistryFlaw::UsernameGoesWithLoser,
        "forgets a name together with the user who lost it",
        &["user_name_taken"],
    ),
    (RegistryFlaw::UsernameFallsBack, "gives a name back to whoever lost it", &["user_name_taken"]),
    (RegistryFlaw::LoserOfUsernameIsRemoved, "removes the user who loses a name", &["user_name_taken"]),
    (RegistryFlaw::RehashesAnyPassword, "replaces a hash that it was not to", &["user_rehash"]),
    (RegistryFlaw::RehashDoesNothing, "says that it replaced a hash, and did not", &["user_rehash"]),
];

/// All that a registry with this flaw breaks.
pub(super) async fn broken_rules(flaw: RegistryFlaw) -> Vec<&'static str> {
    let flawed = |inner| FlawedRegistry { flaw, inner };
    let outcomes = [
        client_store(async |clients| flawed(Reference::with_clients(clients))).await,
        client_registry(async || flawed(Reference::default())).await,
        user_store(async |users| flawed(Reference::with_users(users))).await,
        user_registry(async || flawed(Reference::default())).await,
    ];
    outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).flat_map(Violations::rules).collect()
}

struct FlawedRegistry {
    flaw: RegistryFlaw,
    inner: Reference,
}

trait Registered: PartialEq {
    fn enabled(&self) -> bool;
    fn without_moment(&self) -> Self;
}

impl Registered for Client {
    fn enabled(&self) -> bool {
        self.is_enabled()
    }

    fn without_moment(&self) -> Self {
        self.to_builder().valid_after(Timestamp::EPOCH).build().unwrap()
    }
}

impl Registered for User {
    fn enabled(&self) -> bool {
        self.is_enabled()
    }

    fn without_moment(&self) -> Self {
        self.clone().valid_after(Timestamp::EPOCH)
    }
}

impl FlawedRegistry {
    /// What is found under `wanted`, of all that is there under its name.
    fn found<T: Registered>(&self, all: &[(&str, &Arc<T>)], wanted: &str) -> Option<Arc<T>> {
        let like =
            |is: &dyn Fn(&str) -> bool| all.iter().find(|(name, _)| is(name)).map(|(_, one)| Arc::clone(one));
        let exact = like(&|name| name == wanted);
        match self.flaw {
            RegistryFlaw::LosesField => exact.map(|one| Arc::new(one.without_moment())),
            RegistryFlaw::HidesDisabled => exact.filter(|one| one.enabled()),
            RegistryFlaw::IgnoresCase => exact.or_else(|| like(&|name| name.eq_ignore_ascii_case(wanted))),
            RegistryFlaw::TrimsSpaces => exact.or_else(|| like(&|name| name.trim_end() == wanted.trim_end())),
            RegistryFlaw::FindsAnybody => exact.or_else(|| like(&|_| true)),
            RegistryFlaw::KeepsTen => exact.filter(|one| all.iter().take(10).any(|(_, kept)| *kept == one)),
            _ => exact,
        }
    }
}

impl ClientStore for FlawedRegistry {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        let clients = self.inner.clients.lock();
        let all: Vec<_> = clients.iter().map(|(id, client)| (id.as_str(), client)).collect();
        Ok(self.found(&all, id.as_str()))
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        let forgets = self.flaw == RegistryFlaw::ForgetsValidAfter;
        if forgets { Ok(Timestamp::EPOCH) } else { self.inner.valid_after().await }
    }
}

impl ClientRegistry for FlawedRegistry {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        match self.flaw {
            RegistryFlaw::PutDoesNotReplace if self.inner.clients.lock().contains_key(client.id()) => Ok(()),
            RegistryFlaw::PutCopiesAcrossYield => {
                let mut copy = self.inner.clients.lock().clone();
                yield_for(1).await;
                copy.insert(client.id().clone(), Arc::new(client));
                *self.inner.clients.lock() = copy;
                Ok(())
            }
            _ => self.inner.put_client(client).await,
        }
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        match self.flaw {
            RegistryFlaw::RemoveDoesNothing => Ok(self.inner.clients.lock().contains_key(id)),
            RegistryFlaw::RemoveSaysTrue => self.inner.remove_client(id).await.map(|_| true),
            _ => self.inner.remove_client(id).await,
        }
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        self.inner.set_valid_after(moment).await
    }
}

impl UserStore for FlawedRegistry {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        let users = self.inner.users.lock();
        let named = |(name, subject): (_, &_)| Some((String::as_str(name), users.by_subject.get(subject)?));
        let all: Vec<_> = users.by_username.iter().filter_map(named).collect();
        Ok(self.found(&all, username))
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        let users = self.inner.users.lock();
        let all: Vec<_> = users.by_subject.iter().map(|(subject, user)| (subject.as_str(), user)).collect();
        Ok(self.found(&all, subject.as_str()))
    }
}

impl UserRegistry for FlawedRegistry {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        let (subject, name) = (user.subject().clone(), user.username().to_owned());
        if self.flaw == RegistryFlaw::PutCopiesAcrossYield {
            let mut copy = self.inner.users.lock().clone();
            yield_for(1).await;
            copy.put(user);
            *self.inner.users.lock() = copy;
            return Ok(());
        }
        let mut users = self.inner.users.lock();
        let holder = users.by_username.get(&name).filter(|holder| **holder != subject).cloned();
        match self.flaw {
            RegistryFlaw::PutDoesNotReplace if users.by_subject.contains_key(&subject) => return Ok(()),
            RegistryFlaw::UsernameStays => {
                users.by_username.insert(name, subject.clone());
                users.by_subject.insert(subject, Arc::new(user));
            }
            RegistryFlaw::LoserOfUsernameIsRemoved => {
                if let Some(holder) = holder {
                    users.remove(&holder);
                }
                users.put(user);
            }
            RegistryFlaw::UsernameIsForTheFirst => {
                users.put(user);
                users.by_username.extend(holder.map(|holder| (name, holder)));
            }
            _ => users.put(user),
        }
        Ok(())
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        let mut users = self.inner.users.lock();
        let name = users.by_subject.get(subject).map(|user| user.username().to_owned());
        Ok(match self.flaw {
            RegistryFlaw::RemoveDoesNothing => name.is_some(),
            RegistryFlaw::RemoveSaysTrue => {
                users.remove(subject);
                true
            }
            RegistryFlaw::UsernameGoesWithLoser => {
                name.and_then(|name| users.by_username.remove(&name));
                users.by_subject.remove(subject).is_some()
            }
            RegistryFlaw::UsernameFallsBack => {
                let removed = users.remove(subject);
                let Users { by_subject, by_username } = &mut *users;
                for user in by_subject.values() {
                    by_username.entry(user.username().to_owned()).or_insert_with(|| user.subject().clone());
                }
                removed
            }
            _ => users.remove(subject),
        })
    }

    async fn replace_password_hash(
        &self,
        subject: &Subject,
        expected: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, StoreError> {
        let expected = Some(expected).filter(|_| self.flaw != RegistryFlaw::RehashesAnyPassword);
        if self.flaw == RegistryFlaw::RehashDoesNothing {
            return Ok(true);
        }
        Ok(self.inner.users.lock().replace_password_hash(subject, expected, new))
    }
}
