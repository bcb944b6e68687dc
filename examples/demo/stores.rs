//! Where the server keeps clients, users and grants.

use std::collections::HashSet;
use std::error::Error as StdError;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use grantor::store::{
    Cached, ClientRegistry, ClientStore as _, GrantQuery, MemoryClientStore, MemoryTokenStore,
    MemoryUserStore, SqliteStore, StoreError, TokenStore, UserRegistry,
};
use grantor::{Builder, Client, ClientId, Subject, User};
use tokio::task::JoinSet;

use super::config::{Config, InvalidConfig, StoreChoice};

/// How late a change by another process that has the same file open is seen.
const REGISTRATION_AGE: Duration = Duration::from_secs(5);
const REGISTRATIONS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

#[derive(Clone)]
pub(super) enum Stores {
    Memory { clients: Arc<MemoryClientStore>, users: Arc<MemoryUserStore>, tokens: Arc<MemoryTokenStore> },
    Sqlite { store: SqliteStore, registrations: Arc<Cached<SqliteStore>> },
}

impl Stores {
    /// As the configuration says, with what has been in there before.
    pub(super) fn open(config: &Config) -> Result<Self, InvalidConfig> {
        match &config.store {
            StoreChoice::Memory => Ok(Self::memory(config.settings.token_store()?)),
            StoreChoice::Sqlite(path) => {
                let store = SqliteStore::open(path).map_err(|error| {
                    InvalidConfig::new("store", format_args!("{}: {error}", path.display()))
                })?;
                let registrations = Arc::new(Cached::new(store.clone(), REGISTRATIONS, REGISTRATION_AGE));
                Ok(Self::Sqlite { store, registrations })
            }
        }
    }

    pub(super) fn memory(tokens: MemoryTokenStore) -> Self {
        Self::Memory { clients: Arc::default(), users: Arc::default(), tokens: Arc::new(tokens) }
    }

    /// Looks clients up for the host's own pages.
    pub(super) fn client_names(&self) -> ClientNames {
        match self {
            Self::Memory { clients, .. } => ClientNames::Memory(clients.clone()),
            Self::Sqlite { registrations, .. } => ClientNames::Sqlite(registrations.clone()),
        }
    }

    pub(super) fn attach(&self, server: Builder) -> Builder {
        match self {
            Self::Memory { clients, users, tokens } => {
                server.clients(clients.clone()).users(users.clone()).tokens(tokens.clone())
            }
            Self::Sqlite { store, registrations } => {
                server.clients(registrations.clone()).users(registrations.clone()).tokens(store.clone())
            }
        }
    }

    /// Writes the clients and users of the file, and removes those that it does not have:
    /// of `before`, and of what a durable store has kept.
    pub(super) async fn write(&self, file: Registrations, before: &Names) -> Result<(), StoreError> {
        match self {
            Self::Memory { clients, users, tokens } => write(clients, users, tokens, file, before).await,
            Self::Sqlite { store, registrations } => {
                write(registrations, registrations, store, file, &Names::of_store(store).await?).await
            }
        }
    }
}

/// What the host's pages call a client.
#[derive(Clone)]
pub(crate) enum ClientNames {
    Memory(Arc<MemoryClientStore>),
    Sqlite(Arc<Cached<SqliteStore>>),
}

impl ClientNames {
    pub(super) async fn name(&self, id: &ClientId) -> String {
        let client = match self {
            Self::Memory(clients) => clients.client(id).await,
            Self::Sqlite(clients) => clients.client(id).await,
        };
        let named = client.ok().flatten();
        named.map_or_else(|| id.to_string(), |client| client.name().to_owned())
    }
}

/// The clients and users of a file.
pub(super) struct Registrations {
    pub(super) clients: Vec<Client>,
    pub(super) users: Vec<User>,
}

/// What clients and users are known by.
#[derive(Default)]
pub(super) struct Names {
    pub(super) clients: HashSet<ClientId>,
    pub(super) subjects: HashSet<Subject>,
}

impl Names {
    pub(super) fn of(file: &Registrations) -> Self {
        Self {
            clients: file.clients.iter().map(|client| client.id().clone()).collect(),
            subjects: file.users.iter().map(|user| user.subject().clone()).collect(),
        }
    }

    async fn of_store(store: &SqliteStore) -> Result<Self, StoreError> {
        let mut names = Self::default();
        let mut page = store.client_ids(None).await?;
        while let Some(last) = page.last().cloned() {
            names.clients.extend(page);
            page = store.client_ids(Some(&last)).await?;
        }
        let mut page = store.subjects(None).await?;
        while let Some(last) = page.last().cloned() {
            names.subjects.extend(page);
            page = store.subjects(Some(&last)).await?;
        }
        Ok(names)
    }
}

async fn write<T: TokenStore + Clone>(
    clients: &impl ClientRegistry,
    users: &impl UserRegistry,
    tokens: &T,
    file: Registrations,
    before: &Names,
) -> Result<(), StoreError> {
    let names = Names::of(&file);
    for client in file.clients {
        clients.put_client(client).await?;
    }
    for user in file.users {
        users.put_user(user).await?;
    }
    // Whoever comes back under the same name must not find the old grants. They go first, so
    // that an end in between leaves a name to go on with, and once more for requests that
    // were under way.
    for gone in before.clients.difference(&names.clients) {
        let grants = GrantQuery::new().of_client(gone.clone()).limit(1000);
        remove_grants(tokens, &grants).await?;
        clients.remove_client(gone).await?;
        remove_grants(tokens, &grants).await?;
    }
    for gone in before.subjects.difference(&names.subjects) {
        let grants = GrantQuery::new().of_subject(gone.clone()).limit(1000);
        remove_grants(tokens, &grants).await?;
        users.remove_user(gone).await?;
        remove_grants(tokens, &grants).await?;
    }
    Ok(())
}

/// Removes a page at a time, all at once: a store may write them together.
async fn remove_grants<T: TokenStore + Clone>(tokens: &T, query: &GrantQuery) -> Result<(), StoreError> {
    let mut next = Some(query.clone());
    while let Some(query_page) = next {
        let page = tokens.find(&query_page).await?;
        let mut removals = JoinSet::new();
        for grant in page.grants {
            let tokens = tokens.clone();
            // Gone or not, it is no longer there.
            removals.spawn(async move { tokens.remove(grant.id(), None).await.map(|_| ()) });
        }
        removals.join_all().await.into_iter().collect::<Result<(), _>>()?;
        next = page.next.map(|cursor| query.clone().after(cursor));
    }
    Ok(())
}

/// A failed store, in one line that has the cause.
pub(super) fn failed(error: &StoreError) -> InvalidConfig {
    let cause = error.source().map_or_else(String::new, |source| format!(": {source}"));
    InvalidConfig::new("store", format_args!("{error}{cause}"))
}
