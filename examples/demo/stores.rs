//! Where the server keeps clients, users and grants.

use std::collections::HashSet;
use std::error::Error as StdError;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use grantor::store::{
    Cached, ClientRegistry, ClientStore as _, GrantQuery, MemoryClientStore, MemoryTokenStore,
    MemoryUserStore, PostgresStore, RedisStore, SqliteOpenError, SqliteStore, StoreError, TieredStore,
    TokenStore, UserRegistry,
};
use grantor::{Builder, Client, ClientId, Subject, User};
use redis::aio::ConnectionManagerConfig;
use tokio::task::JoinSet;

use super::config::{Config, InvalidConfig, StoreChoice};

/// How late a change by another process that has the same file open is seen.
const REGISTRATION_AGE: Duration = Duration::from_secs(5);
/// To a database.
const CONNECTIONS: usize = 16;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RECONNECT_DELAY: Duration = Duration::from_millis(500);
const REGISTRATIONS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

#[derive(Clone)]
pub(super) enum Stores {
    Memory { clients: Arc<MemoryClientStore>, users: Arc<MemoryUserStore>, tokens: Arc<MemoryTokenStore> },
    Sqlite(Durable<SqliteStore>),
    Tiered(Durable<TieredStore>),
    Postgres(Durable<PostgresStore>),
    Redis(Durable<RedisStore>),
}

/// A store that outlives the process. What it has of clients and users is in memory for a while.
#[derive(Clone)]
pub(crate) struct Durable<S> {
    store: S,
    registrations: Arc<Cached<S>>,
}

impl Stores {
    /// As the configuration says, with what has been in there before.
    pub(super) async fn open(config: &Config) -> Result<Self, InvalidConfig> {
        let wrong = |path: &Path, error: SqliteOpenError| {
            InvalidConfig::new("store", format_args!("{}: {error}", path.display()))
        };
        match &config.store {
            StoreChoice::Memory => Ok(Self::memory(config.settings.token_store()?)),
            StoreChoice::Sqlite(path) => {
                let store = SqliteStore::open(path).map_err(|error| wrong(path, error))?;
                Ok(Self::Sqlite(Durable::new(store)))
            }
            StoreChoice::Tiered(path) => {
                let store = config.settings.tiers.apply(TieredStore::builder(path)).open();
                Ok(Self::Tiered(Durable::new(store.map_err(|error| wrong(path, error))?)))
            }
            StoreChoice::Postgres(address) => Ok(Self::Postgres(Durable::new(postgres(address).await?))),
            StoreChoice::Redis(address) => Ok(Self::Redis(Durable::new(redis(address).await?))),
        }
    }

    pub(super) fn memory(tokens: MemoryTokenStore) -> Self {
        Self::Memory { clients: Arc::default(), users: Arc::default(), tokens: Arc::new(tokens) }
    }

    /// Looks clients up for the host's own pages.
    pub(super) fn client_names(&self) -> ClientNames {
        match self {
            Self::Memory { clients, .. } => ClientNames::Memory(clients.clone()),
            Self::Sqlite(durable) => ClientNames::Sqlite(durable.registrations.clone()),
            Self::Tiered(durable) => ClientNames::Tiered(durable.registrations.clone()),
            Self::Postgres(durable) => ClientNames::Postgres(durable.registrations.clone()),
            Self::Redis(durable) => ClientNames::Redis(durable.registrations.clone()),
        }
    }

    pub(super) fn attach(&self, server: Builder) -> Builder {
        match self {
            Self::Memory { clients, users, tokens } => {
                server.clients(clients.clone()).users(users.clone()).tokens(tokens.clone())
            }
            Self::Sqlite(durable) => durable.attach(server),
            Self::Tiered(durable) => durable.attach(server),
            Self::Postgres(durable) => durable.attach(server),
            Self::Redis(durable) => durable.attach(server),
        }
    }

    /// Writes the clients and users of the file, and removes those that it does not have:
    /// of `before`, and of what a durable store has kept.
    pub(super) async fn write(&self, file: Registrations, before: &Names) -> Result<(), StoreError> {
        match self {
            Self::Memory { clients, users, tokens } => write(clients, users, tokens, file, before).await,
            Self::Sqlite(durable) => durable.write(file).await,
            Self::Tiered(durable) => durable.write(file).await,
            Self::Postgres(durable) => durable.write(file).await,
            Self::Redis(durable) => durable.write(file).await,
        }
    }
}

/// Connects, and brings the tables up to date.
async fn postgres(address: &str) -> Result<PostgresStore, InvalidConfig> {
    let wrong = |error: &dyn StdError| InvalidConfig::new("store", with_causes(error));
    let mut config: tokio_postgres::Config = address.parse().map_err(|error| wrong(&error))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    let manager = deadpool_postgres::Manager::new(config, tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(CONNECTIONS).build();
    let store = PostgresStore::new(pool.map_err(|error| wrong(&error))?);
    store.migrate().await.map_err(|error| wrong(&error))?;
    Ok(store)
}

/// Connects, and makes sure that the server keeps what it is given.
async fn redis(address: &str) -> Result<RedisStore, InvalidConfig> {
    let wrong = |error: &dyn StdError| InvalidConfig::new("store", with_causes(error));
    let client = redis::Client::open(address).map_err(|error| wrong(&error))?;
    let settings = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_max_delay(RECONNECT_DELAY)
        .set_number_of_retries(1);
    let connection = client.get_connection_manager_with_config(settings).await;
    let store = RedisStore::builder().open(connection.map_err(|error| wrong(&error))?).await;
    store.map_err(|error| wrong(&error))
}

impl<S> Durable<S>
where
    S: ClientRegistry + UserRegistry + TokenStore + Listing + Clone,
{
    fn new(store: S) -> Self {
        let registrations = Arc::new(Cached::new(store.clone(), REGISTRATIONS, REGISTRATION_AGE));
        Self { store, registrations }
    }

    fn attach(&self, server: Builder) -> Builder {
        let Self { store, registrations } = self;
        server.clients(registrations.clone()).users(registrations.clone()).tokens(store.clone())
    }

    async fn write(&self, file: Registrations) -> Result<(), StoreError> {
        let Self { store, registrations } = self;
        write(registrations, registrations, store, file, &Names::of_store(store).await?).await
    }
}

/// Who is registered, a page at a time.
pub(super) trait Listing {
    async fn client_ids(&self, after: Option<&ClientId>) -> Result<Vec<ClientId>, StoreError>;
    async fn subjects(&self, after: Option<&Subject>) -> Result<Vec<Subject>, StoreError>;
}

macro_rules! listing {
    ($($store:ty),*) => {$(
        impl Listing for $store {
            async fn client_ids(&self, after: Option<&ClientId>) -> Result<Vec<ClientId>, StoreError> {
                self.client_ids(after).await
            }

            async fn subjects(&self, after: Option<&Subject>) -> Result<Vec<Subject>, StoreError> {
                self.subjects(after).await
            }
        }
    )*};
}
listing!(PostgresStore, RedisStore, SqliteStore, TieredStore);

/// What the host's pages call a client.
#[derive(Clone)]
pub(crate) enum ClientNames {
    Memory(Arc<MemoryClientStore>),
    Sqlite(Arc<Cached<SqliteStore>>),
    Tiered(Arc<Cached<TieredStore>>),
    Postgres(Arc<Cached<PostgresStore>>),
    Redis(Arc<Cached<RedisStore>>),
}

impl ClientNames {
    pub(super) async fn name(&self, id: &ClientId) -> String {
        let client = match self {
            Self::Memory(clients) => clients.client(id).await,
            Self::Sqlite(clients) => clients.client(id).await,
            Self::Tiered(clients) => clients.client(id).await,
            Self::Postgres(clients) => clients.client(id).await,
            Self::Redis(clients) => clients.client(id).await,
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

    async fn of_store(store: &impl Listing) -> Result<Self, StoreError> {
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
    InvalidConfig::new("store", with_causes(error))
}

fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some repeat what they have been caused by.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
