//! Building a server, and refusing what makes no sense.

use std::sync::Arc;

use crate::client::Client;
use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, EntropyError, SystemEntropy};
use crate::event::{Event, EventSink, NoEvents};
use crate::grant_type::{
    AuthorizationCodeGrant, ClientCredentialsGrant, GrantType, GrantTypes, PasswordGrant, RefreshTokenGrant,
};
use crate::id::GrantTypeName;
use crate::limiter::{AttemptLimiter, DynAttemptLimiter, MemoryAttemptLimiter};
use crate::password::{DynPasswordVerifier, PasswordVerifier};
use crate::policy::{DynTokenPolicy, TokenPolicy};
use crate::redirect_uri::web_host;
use crate::scope::ScopeDefinition;
use crate::server_key::ServerKey;
use crate::settings::{InvalidSetting, Settings};
use crate::store::{
    ClientStore, DynClientStore, DynTokenStore, DynUserRegistry, DynUserStore, TokenStore, UserRegistry,
    UserStore,
};
use crate::token::TokenFormat;

use super::{AuthorizationServer, Core};

/// A server that makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidServer {
    /// The issuer is not a URL that RFC 8414 §2 allows.
    #[error("issuer: {0}")]
    Issuer(&'static str),
    /// A store is missing.
    #[error("{0}: no store is given")]
    NoStore(&'static str),
    /// There is nobody to check passwords.
    #[error("password_verifier: the password grant needs one")]
    NoVerifier,
    /// A setting is out of range.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// No server key could be made.
    #[error("server_key: {0}")]
    Entropy(#[from] EntropyError),
}

/// Builds an [`AuthorizationServer`].
#[must_use]
pub struct Builder {
    issuer: String,
    clients: Option<Box<dyn DynClientStore>>,
    users: Option<Box<dyn DynUserStore>>,
    tokens: Option<Box<dyn DynTokenStore>>,
    grant_types: GrantTypes,
    settings: Settings,
    scopes: Vec<ScopeDefinition>,
    server_key: Option<ServerKey>,
    verifier: Option<Box<dyn DynPasswordVerifier>>,
    user_registry: Option<Box<dyn DynUserRegistry>>,
    limiter: Box<dyn DynAttemptLimiter>,
    policy: Option<Box<dyn DynTokenPolicy>>,
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
    events: Box<dyn EventSink>,
}

impl Builder {
    pub(super) fn new(issuer: String) -> Self {
        let mut grant_types = GrantTypes::default();
        grant_types.add(AuthorizationCodeGrant);
        grant_types.add(ClientCredentialsGrant);
        grant_types.add(RefreshTokenGrant);
        Self {
            issuer,
            clients: None,
            users: None,
            tokens: None,
            grant_types,
            settings: Settings::default(),
            scopes: Vec::new(),
            server_key: None,
            verifier: None,
            user_registry: None,
            limiter: Box::new(MemoryAttemptLimiter::new()),
            policy: None,
            clock: Box::new(SystemClock),
            entropy: Box::new(SystemEntropy),
            events: Box::new(NoEvents),
        }
    }

    /// Where clients are looked up. Required.
    pub fn clients(mut self, store: impl ClientStore) -> Self {
        self.clients = Some(Box::new(store));
        self
    }

    /// Where grants are kept. Required.
    pub fn tokens(mut self, store: impl TokenStore) -> Self {
        self.tokens = Some(Box::new(store));
        self
    }

    /// Where users are looked up. With it, grants of users that are unknown or disabled are
    /// dead; without it, the host's word is taken for subjects.
    pub fn users(mut self, store: impl UserStore) -> Self {
        self.users = Some(Box::new(store));
        self
    }

    /// What holds unless a client overrides it.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Adds an extension grant, or replaces a built-in one.
    pub fn grant_type(mut self, grant_type: impl GrantType) -> Self {
        self.grant_types.add(grant_type);
        self
    }

    /// Who checks passwords, and secrets of clients that people chose, such as a
    /// [`HashPool`](crate::password). Without one, nobody can log in with a password.
    pub fn password_verifier(mut self, verifier: impl PasswordVerifier) -> Self {
        self.verifier = Some(Box::new(verifier));
        self
    }

    /// Where a user is written whose password was right and is hashed anew, since hashes have
    /// become stronger: the user store, or what is behind it. Without it, old hashes stay.
    pub fn rehash_into(mut self, registry: impl UserRegistry) -> Self {
        self.user_registry = Some(Box::new(registry));
        self
    }

    /// How often passwords and secrets may be guessed at; a
    /// [`MemoryAttemptLimiter`] unless set.
    pub fn attempt_limiter(mut self, limiter: impl AttemptLimiter) -> Self {
        self.limiter = Box::new(limiter);
        self
    }

    /// Rules of the host's own that make tokens narrower.
    pub fn token_policy(mut self, policy: impl TokenPolicy) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }

    /// What weakens security; each use is reported as an event.
    pub fn dangerous(self) -> DangerousBuilder {
        DangerousBuilder(self)
    }

    /// Describes a scope token to the people who are asked for consent.
    pub fn scope(mut self, definition: ScopeDefinition) -> Self {
        self.scopes.push(definition);
        self
    }

    /// The key that seals consent tickets and with which the answer to a repeated refresh
    /// request is derived. Processes that serve the same clients must share
    /// one. A new one is made unless it is given, which suits one process.
    pub fn server_key(mut self, key: ServerKey) -> Self {
        self.server_key = Some(key);
        self
    }

    /// Where the time comes from, in place of the operating system.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Where randomness comes from, in place of the operating system.
    pub fn entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Box::new(entropy);
        self
    }

    /// What is told of each decision.
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.events = Box::new(sink);
        self
    }

    /// The server.
    ///
    /// # Errors
    /// When the issuer or a setting makes no sense, or a store is missing.
    pub fn build(self) -> Result<AuthorizationServer, InvalidServer> {
        check_issuer(&self.issuer).map_err(InvalidServer::Issuer)?;
        self.settings.check()?;
        let server_key = match self.server_key {
            Some(key) => key,
            None => ServerKey::draw(&*self.entropy)?,
        };
        let core = Core {
            issuer: self.issuer,
            clients: self.clients.ok_or(InvalidServer::NoStore("clients"))?,
            nobody: Arc::new(Client::nobody()),
            users: self.users,
            tokens: self.tokens.ok_or(InvalidServer::NoStore("tokens"))?,
            grant_types: self.grant_types,
            format: TokenFormat::new(&self.settings.token_prefix),
            settings: self.settings,
            scopes: self.scopes,
            verifier: self.verifier,
            user_registry: self.user_registry,
            limiter: self.limiter,
            policy: self.policy,
            ticket_keys: server_key.subkeys("grantor/ticket/1"),
            retry_keys: server_key.subkeys("grantor/retry/1"),
            clock: self.clock,
            entropy: self.entropy,
            events: self.events,
        };
        if core.grant_types.get(GrantTypeName::PASSWORD.as_str()).is_some() {
            if core.users.is_none() {
                return Err(InvalidServer::NoStore("users"));
            }
            if core.verifier.is_none() {
                return Err(InvalidServer::NoVerifier);
            }
            core.report(&Event::SecurityWeakened { setting: "password_grant" });
        }
        for setting in core.settings.weakened() {
            core.report(&Event::SecurityWeakened { setting });
        }
        Ok(AuthorizationServer(Arc::new(core)))
    }
}

/// What weakens security; see [`Builder::dangerous`].
#[must_use]
pub struct DangerousBuilder(Builder);

impl DangerousBuilder {
    /// Turns on the grant type `password` (RFC 6749 §4.3), by which clients get to see the passwords
    /// of people, for those that are registered for it. RFC 9700 §2.4 says not to use it.
    ///
    /// It needs a user store and a password verifier.
    pub fn password_grant(mut self) -> Builder {
        self.0.grant_types.add(PasswordGrant);
        self.0
    }
}

impl std::fmt::Debug for DangerousBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DangerousBuilder").field(&self.0).finish()
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// RFC 8414 §2, with plain `http` for loopback only (RFC 6749 §3.1, §3.2).
fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let (secure, rest) = match (issuer.strip_prefix("https://"), issuer.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err("it is not an https URL"),
    };
    if issuer.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    if !issuer.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        return Err("it has a character that a URL cannot have");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err("it has user information");
    }
    let authority = authority.to_ascii_lowercase();
    let host = web_host(&authority).ok_or("its host or port is malformed")?;
    if !secure && !matches!(host, "127.0.0.1" | "[::1]" | "localhost") {
        return Err("plain http is for loopback only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_issuer;

    #[test]
    fn issuers_are_https_or_on_loopback() {
        for good in [
            "https://as.example",
            "https://as.example/t1",
            "https://as.example:8443/",
            "http://127.0.0.1:1",
            "http://[::1]:8080",
            "http://localhost",
        ] {
            assert_eq!(check_issuer(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "as.example",
            "http://as.example",
            "http://127.0.0.1.evil",
            "http://localhost@evil",
            "https://",
            "https://:1",
            "https://as.example?x",
            "https://as.example#x",
            "https://as.example/a b",
            "https://as.example:x",
            "https://as.example:",
            "https://as.example:70000",
            "ftp://as.example",
        ] {
            assert!(check_issuer(bad).is_err(), "{bad}");
        }
    }
}
