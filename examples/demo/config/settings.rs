//! `[settings]`.

use std::net::IpAddr;
use std::time::Duration;

use grantor::Settings;
use grantor::http::RouterBuilder;
use grantor::password::HashPool;
use grantor::store::{MemoryTokenStore, TieredStoreBuilder};
use serde::Deserialize;

use super::section::{InvalidConfig, Section};

/// What `[settings]` says, for whom it is meant.
pub(crate) struct ServerSettings {
    pub(crate) server: Settings,
    pub(crate) http: HttpSettings,
    pub(crate) passwords: PasswordSettings,
    pub(crate) tiers: TierSettings,
    memory_capacity: Option<usize>,
    client_share: Option<f64>,
}

/// What the router is told.
pub(crate) struct HttpSettings {
    require_https: bool,
    require_post: bool,
    cors_origins: Vec<String>,
    trusted_proxies: Vec<IpAddr>,
}

/// How passwords are checked, and whether clients may send them.
pub(crate) struct PasswordSettings {
    pub(crate) allow_grant: bool,
    threads: Option<usize>,
    queue: Option<usize>,
}

/// What the tiered store holds, and where.
pub(crate) struct TierSettings {
    memory: Option<usize>,
    disk: Option<usize>,
    volatile_codes: bool,
}

impl PasswordSettings {
    fn read(section: &mut Section) -> Result<Self, InvalidConfig> {
        Ok(Self {
            allow_grant: section.take("allow_password_grant")?.unwrap_or(false),
            threads: positive(section, "password_threads")?,
            queue: positive(section, "password_queue")?,
        })
    }

    pub(crate) fn pool(&self) -> Result<HashPool, InvalidConfig> {
        let mut pool = HashPool::builder();
        if let Some(threads) = self.threads {
            pool = pool.threads(threads);
        }
        if let Some(queue) = self.queue {
            pool = pool.queue(queue);
        }
        pool.build().map_err(|error| InvalidConfig::new("settings.password_threads", error))
    }
}

impl TierSettings {
    fn read(section: &mut Section) -> Result<Self, InvalidConfig> {
        Ok(Self {
            memory: positive(section, "tier_memory")?,
            disk: positive(section, "tier_disk")?,
            volatile_codes: section.take("volatile_codes")?.unwrap_or(false),
        })
    }

    pub(crate) fn apply(&self, mut store: TieredStoreBuilder) -> TieredStoreBuilder {
        if let Some(records) = self.memory {
            store = store.memory(records);
        }
        if let Some(records) = self.disk {
            store = store.disk(records);
        }
        store.volatile_codes(self.volatile_codes)
    }
}

fn positive(section: &mut Section, key: &str) -> Result<Option<usize>, InvalidConfig> {
    match section.take::<usize>(key)? {
        Some(0) => Err(section.error(key, "it is zero")),
        other => Ok(other),
    }
}

impl ServerSettings {
    pub(super) fn read(mut section: Section) -> Result<Self, InvalidConfig> {
        let http = HttpSettings {
            require_https: section.take("require_https")?.unwrap_or(true),
            require_post: section.take("require_post")?.unwrap_or(true),
            cors_origins: section.take("cors_origins")?.unwrap_or_default(),
            trusted_proxies: section.take("trusted_proxies")?.unwrap_or_default(),
        };
        let server = read_server(&mut section)?;
        let memory_capacity = section.take("memory_capacity")?;
        let client_share = section.take("client_share")?;
        let passwords = PasswordSettings::read(&mut section)?;
        let tiers = TierSettings::read(&mut section)?;
        section.finish()?;
        Ok(Self { server, http, passwords, tiers, memory_capacity, client_share })
    }

    pub(crate) fn token_store(&self) -> Result<MemoryTokenStore, InvalidConfig> {
        let mut store = MemoryTokenStore::builder();
        if let Some(capacity) = self.memory_capacity {
            store = store.capacity(capacity);
        }
        if let Some(share) = self.client_share {
            store = store.client_share(share);
        }
        store.build().map_err(|error| match error.field() {
            "capacity" => InvalidConfig::new("settings.memory_capacity", "it is zero"),
            field => InvalidConfig::new(format_args!("settings.{field}"), error),
        })
    }
}

fn read_server(section: &mut Section) -> Result<Settings, InvalidConfig> {
    let mut settings = Settings::default();
    for (key, set) in [
        ("authorization_code_lifetime", Settings::authorization_code_lifetime as fn(_, _) -> _),
        ("refresh_token_lifetime", Settings::refresh_token_lifetime),
        ("refresh_token_idle_lifetime", Settings::refresh_token_idle_lifetime),
        ("refresh_retry_window", Settings::refresh_retry_window),
    ] {
        settings =
            section.apply(settings, key, |settings, seconds| set(settings, Duration::from_secs(seconds)))?;
    }
    settings = section.apply(settings, "access_token_lifetime", |settings, lifetime| match lifetime {
        AccessTokenLifetime::Seconds(seconds) => settings.access_token_lifetime(Duration::from_secs(seconds)),
        AccessTokenLifetime::Word(Word::Never) => settings.dangerous().access_tokens_never_expire(),
    })?;
    settings = section.apply(settings, "require_pkce", Settings::require_pkce)?;
    settings = section.apply(settings, "require_scope", Settings::require_scope)?;
    section.apply(settings, "allow_plain_pkce", |settings, allow| {
        if allow { settings.dangerous().allow_plain_pkce() } else { settings }
    })
}

impl HttpSettings {
    pub(crate) fn proxies(&self) -> Vec<IpAddr> {
        self.trusted_proxies.clone()
    }

    pub(crate) fn apply(&self, router: RouterBuilder) -> RouterBuilder {
        let router = router
            .require_https(self.require_https)
            .cors_origins(self.cors_origins.iter().cloned())
            .trusted_proxies(self.trusted_proxies.iter().copied());
        if self.require_post { router } else { router.dangerous().allow_get() }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "it is neither a number of seconds nor \"never\"")]
enum AccessTokenLifetime {
    Seconds(u64),
    Word(Word),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Never,
}
