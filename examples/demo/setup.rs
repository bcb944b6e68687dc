//! From the configuration to a server, and to another configuration while it runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use grantor::event::{EventSink, NoEvents, TracingEvents};
use grantor::http::Router;
use grantor::password::{HashPool, VerifierError};
use grantor::store::StoreError;
use grantor::{AuthorizationServer, InvalidServer, User, UserPassword};

use super::config::{Config, InvalidConfig, KeyBytes, PasswordEntry, StoreChoice, UserEntry};
use super::host::Site;
use super::signals::{Signals, Told};
use super::stores::{self, Names, Registrations, Stores};
use super::{Failure, Flags, key_file};

/// A server and what it is made of.
pub(crate) struct Demo {
    pub(crate) site: Site,
    pool: HashPool,
    /// The issuer of a configuration that names none.
    default_issuer: String,
    stores: Stores,
    /// Whom the file had when it was last read.
    names: Names,
}

impl Demo {
    /// The server that is reached at `address`.
    pub(crate) async fn new(config: Config, address: SocketAddr) -> Result<Self, InvalidConfig> {
        let default_issuer = local_url(address);
        let pool = config.settings.passwords.pool()?;
        check(&config, &default_issuer, &pool)?;
        let stores = Stores::open(&config).await?;
        let key = server_key(&config)?;
        let router = router(&config, &default_issuer, &stores, key, &pool, TracingEvents)?;
        let clients = stores.client_names();
        let site = Site::new(router, clients, &config);
        let mut demo = Self { site, pool, default_issuer, stores, names: Names::default() };
        demo.take_over(config).await.map_err(|error| stores::failed(&error))?;
        Ok(demo)
    }

    /// Does what the signals say, until they say to stop.
    pub(crate) async fn follow(mut self, mut signals: Signals, flags: &Flags) {
        while let Told::Reload = signals.next().await {
            match self.reload(flags).await {
                Ok(()) => tracing::info!(
                    clients = self.names.clients.len(),
                    users = self.names.subjects.len(),
                    "the configuration was read again"
                ),
                Err(failure) => tracing::error!("the configuration was not read again: {failure}"),
            }
        }
    }

    /// Takes over the clients and users of the file. Everything else stays as it is until
    /// the next start, but must be right.
    async fn reload(&mut self, flags: &Flags) -> Result<(), Failure> {
        let config = flags.load_config()?;
        check(&config, &self.default_issuer, &self.pool).map_err(|error| flags.invalid_config(error))?;
        self.take_over(config).await.map_err(|error| flags.invalid_config(stores::failed(&error)))
    }

    async fn take_over(&mut self, config: Config) -> Result<(), StoreError> {
        let users = hashed(&self.pool, config.users).await.map_err(StoreError::other)?;
        let file = Registrations { clients: config.clients, users };
        let names = Names::of(&file);
        self.stores.write(file, &self.names).await?;
        self.names = names;
        Ok(())
    }
}

/// The users, with hashes in the place of passwords.
async fn hashed(pool: &HashPool, entries: Vec<UserEntry>) -> Result<Vec<User>, VerifierError> {
    let mut users = Vec::with_capacity(entries.len());
    for UserEntry { user, password } in entries {
        let hash = match password {
            PasswordEntry::Plain(password) => pool.hash_password(password.expose()).await?,
            PasswordEntry::Hash(hash) => hash,
        };
        users.push(user.password(UserPassword::Phc(hash)));
    }
    Ok(users)
}

/// The key that the file gives, or the one that is kept beside a durable store. `None`: one
/// for this run.
fn server_key(config: &Config) -> Result<Option<KeyBytes>, InvalidConfig> {
    match (config.server_key, &config.store) {
        (Some(key), _) => Ok(Some(key)),
        (None, StoreChoice::Sqlite(path) | StoreChoice::Tiered(path)) => {
            key_file::read_or_make(path).map(Some)
        }
        (None, StoreChoice::Memory | StoreChoice::Postgres(_) | StoreChoice::Redis(_)) => Ok(None),
    }
}

/// Builds everything once and throws it away: what is wrong shows before anything is logged
/// or changed.
fn check(config: &Config, default_issuer: &str, pool: &HashPool) -> Result<(), InvalidConfig> {
    if config.server_key.is_none() && matches!(config.store, StoreChoice::Postgres(_) | StoreChoice::Redis(_))
    {
        let problem = "it is missing: all servers that share a store need the same";
        return Err(InvalidConfig::new("server_key", problem));
    }
    let stores = Stores::memory(config.settings.token_store()?);
    router(config, default_issuer, &stores, config.server_key, pool, NoEvents)?;
    Ok(())
}

fn router(
    config: &Config,
    default_issuer: &str,
    stores: &Stores,
    key: Option<KeyBytes>,
    pool: &HashPool,
    events: impl EventSink,
) -> Result<Router, InvalidConfig> {
    let issuer = config.issuer.as_deref().unwrap_or(default_issuer);
    let mut server = stores
        .attach(AuthorizationServer::builder(issuer))
        .settings(config.settings.server.clone())
        .password_verifier(pool.clone())
        .events(events);
    if config.settings.passwords.allow_grant {
        server = server.dangerous().password_grant();
    }
    if let Some(key) = key {
        server = server.server_key(key.to_key());
    }
    for scope in &config.scopes {
        server = server.scope(scope.clone());
    }
    let server = server.build().map_err(|error| match error {
        InvalidServer::Setting(error) => InvalidConfig::from_library("settings.", &error),
        // The library names the method, which is the key.
        other => InvalidConfig::from_library("", &other),
    })?;
    let router = config.settings.http.apply(Router::builder(server).legacy_paths(true));
    router.build().map_err(|error| InvalidConfig::from_library("settings.", &error))
}

/// The URL by which this machine reaches a server that listens on `address`.
pub(super) fn local_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}
