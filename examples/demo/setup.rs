//! From the configuration to a server, and to another configuration while it runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use grantor::event::{EventSink, NoEvents, TracingEvents};
use grantor::http::Router;
use grantor::store::{
    ClientRegistry, GrantQuery, MemoryClientStore, MemoryTokenStore, MemoryUserStore, StoreError, TokenStore,
    UserRegistry,
};
use grantor::{AuthorizationServer, Client, ClientId, InvalidServer, Subject, User};

use super::config::{Config, InvalidConfig};
use super::signals::{Signals, Told};
use super::{Failure, Flags};

/// A server and what it is made of.
pub(crate) struct Demo {
    pub(crate) router: Router,
    /// The issuer of a configuration that names none.
    default_issuer: String,
    stores: Stores,
    client_ids: Vec<ClientId>,
    subjects: Vec<Subject>,
}

#[derive(Clone, Default)]
struct Stores {
    clients: Arc<MemoryClientStore>,
    users: Arc<MemoryUserStore>,
    tokens: Arc<MemoryTokenStore>,
}

impl Demo {
    /// The server that is reached at `address`.
    pub(crate) fn new(config: &Config, address: SocketAddr) -> Result<Self, InvalidConfig> {
        let default_issuer = local_url(address);
        check(config, &default_issuer)?;
        let stores = Stores {
            clients: Arc::new(config.clients.iter().cloned().collect()),
            users: Arc::new(config.users.iter().cloned().collect()),
            tokens: Arc::new(config.settings.token_store()?),
        };
        Ok(Self {
            router: router(config, &default_issuer, &stores, TracingEvents)?,
            default_issuer,
            stores,
            client_ids: ids(&config.clients),
            subjects: subjects(&config.users),
        })
    }

    /// Does what the signals say, until they say to stop.
    pub(crate) async fn follow(mut self, mut signals: Signals, flags: &Flags) {
        while let Told::Reload = signals.next().await {
            match self.reload(flags).await {
                Ok(()) => tracing::info!(
                    clients = self.client_ids.len(),
                    users = self.subjects.len(),
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
        check(&config, &self.default_issuer).map_err(|error| flags.invalid_config(error))?;
        self.replace(config).await.map_err(std::io::Error::other)?;
        Ok(())
    }

    async fn replace(&mut self, config: Config) -> Result<(), StoreError> {
        let Stores { clients, users, tokens } = &self.stores;
        let client_ids = ids(&config.clients);
        let subjects = subjects(&config.users);
        for client in config.clients {
            clients.put_client(client).await?;
        }
        for user in config.users {
            users.put_user(user).await?;
        }
        // Whoever comes back under the same name must not find the old grants.
        for gone in self.client_ids.iter().filter(|id| !client_ids.contains(id)) {
            clients.remove_client(gone).await?;
            remove_grants(&**tokens, GrantQuery::new().of_client(gone.clone())).await?;
        }
        for gone in self.subjects.iter().filter(|subject| !subjects.contains(subject)) {
            users.remove_user(gone).await?;
            remove_grants(&**tokens, GrantQuery::new().of_subject(gone.clone())).await?;
        }
        self.client_ids = client_ids;
        self.subjects = subjects;
        Ok(())
    }
}

fn ids(clients: &[Client]) -> Vec<ClientId> {
    clients.iter().map(|client| client.id().clone()).collect()
}

fn subjects(users: &[User]) -> Vec<Subject> {
    users.iter().map(|user| user.subject().clone()).collect()
}

async fn remove_grants(tokens: &impl TokenStore, query: GrantQuery) -> Result<(), StoreError> {
    let mut next = Some(query.clone());
    while let Some(query_page) = next {
        let page = tokens.find(&query_page).await?;
        for grant in page.grants {
            // Gone or not, it is no longer there.
            let _ = tokens.remove(grant.id(), None).await?;
        }
        next = page.next.map(|cursor| query.clone().after(cursor));
    }
    Ok(())
}

/// Builds everything once and throws it away: what is wrong shows before anything is logged
/// or changed.
fn check(config: &Config, default_issuer: &str) -> Result<(), InvalidConfig> {
    config.settings.token_store()?;
    router(config, default_issuer, &Stores::default(), NoEvents)?;
    Ok(())
}

fn router(
    config: &Config,
    default_issuer: &str,
    stores: &Stores,
    events: impl EventSink,
) -> Result<Router, InvalidConfig> {
    let issuer = config.issuer.as_deref().unwrap_or(default_issuer);
    let mut server = AuthorizationServer::builder(issuer)
        .clients(stores.clients.clone())
        .users(stores.users.clone())
        .tokens(stores.tokens.clone())
        .settings(config.settings.server.clone())
        .events(events);
    if let Some(key) = &config.server_key {
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
