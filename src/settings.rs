//! [`Settings`] of the server, and how a client inherits or overrides them.

mod dangerous;

use std::time::Duration;

use crate::client::{Client, RefreshLimit};
use crate::clock::Lifetime;
use crate::grant::{RefreshTerms, Terms};
use crate::id::GrantTypeName;
use crate::redirect_uri::LoopbackPort;

pub use dangerous::DangerousSettings;

/// What holds for all clients unless they override it.
///
/// Values are checked when the server is built. The defaults are safe; what weakens
/// security is under [`dangerous`](Self::dangerous).
///
/// ```
/// # use grantor::Settings;
/// # use std::time::Duration;
/// let settings = Settings::default()
///     .access_token_lifetime(Duration::from_secs(600))
///     .refresh_retry_window(Duration::ZERO);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    pub(crate) authorization_code_lifetime: Duration,
    access_token_lifetime: Result<Lifetime, Duration>,
    refresh_token_lifetime: Duration,
    refresh_token_idle_lifetime: Duration,
    refresh_retry_window: Duration,
    access_tokens_per_grant: usize,
    require_pkce: bool,
    pub(crate) allow_plain_pkce: bool,
    pub(crate) require_scope: bool,
    pub(crate) scope_policy: ScopePolicy,
    pub(crate) loopback_port: LoopbackPort,
    pub(crate) token_prefix: String,
}

/// What happens to a request for more scope than may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ScopePolicy {
    /// It is refused with `invalid_scope`.
    #[default]
    Strict,
    /// The part that may be granted is granted, and the answer says so; a request of which
    /// nothing is left is refused.
    Narrow,
}

/// A setting with a value that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct InvalidSetting {
    setting: &'static str,
    problem: &'static str,
}

impl InvalidSetting {
    pub(crate) const fn new(setting: &'static str, problem: &'static str) -> Self {
        Self { setting, problem }
    }

    /// The name of the setting.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const SHORTEST_CODE_LIFETIME: Duration = Duration::from_secs(1);
/// RFC 6749 §4.1.2 recommends at most ten minutes.
const LONGEST_CODE_LIFETIME: Duration = Duration::from_secs(600);
const LONGEST_RETRY_WINDOW: Duration = Duration::from_secs(600);
const MOST_ACCESS_TOKENS: usize = 256;
const LONGEST_PREFIX: usize = 32;

impl Default for Settings {
    fn default() -> Self {
        Self {
            authorization_code_lifetime: Duration::from_secs(60),
            access_token_lifetime: Lifetime::from_duration(HOUR).ok_or(HOUR),
            refresh_token_lifetime: 30 * DAY,
            refresh_token_idle_lifetime: 14 * DAY,
            refresh_retry_window: Duration::from_secs(30),
            access_tokens_per_grant: 16,
            require_pkce: true,
            allow_plain_pkce: false,
            require_scope: false,
            scope_policy: ScopePolicy::default(),
            loopback_port: LoopbackPort::default(),
            token_prefix: String::new(),
        }
    }
}

impl Settings {
    /// How long a code can be redeemed: from 1 s to 10 minutes; 60 s unless set.
    pub fn authorization_code_lifetime(mut self, lifetime: Duration) -> Self {
        self.authorization_code_lifetime = lifetime;
        self
    }

    /// How long an access token lives, in whole seconds; one hour unless set.
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_token_lifetime = Lifetime::from_duration(lifetime).ok_or(lifetime);
        self
    }

    /// When refresh tokens end however they are used, counted from the first one; 30 days
    /// unless set.
    pub fn refresh_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_token_lifetime = lifetime;
        self
    }

    /// When refresh tokens end if they are not used; 14 days unless set.
    pub fn refresh_token_idle_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_token_idle_lifetime = lifetime;
        self
    }

    /// For how long after a rotation the replaced refresh token gets the same answer again,
    /// so that a lost answer does not log anyone out: up to 10 minutes; 30 s unless set.
    /// Zero treats each repetition as reuse.
    pub fn refresh_retry_window(mut self, window: Duration) -> Self {
        self.refresh_retry_window = window;
        self
    }

    /// How many live access tokens one grant may have: 1 to 256; 16 unless set. One more
    /// displaces the oldest.
    pub fn access_tokens_per_grant(mut self, most: usize) -> Self {
        self.access_tokens_per_grant = most;
        self
    }

    /// Must confidential clients use PKCE? True unless set. Public clients always must.
    pub fn require_pkce(mut self, require: bool) -> Self {
        self.require_pkce = require;
        self
    }

    /// Must each request that begins a grant name a scope? False unless set: a client may
    /// have default scopes.
    pub fn require_scope(mut self, require: bool) -> Self {
        self.require_scope = require;
        self
    }

    /// What happens to a request for more scope than may be granted; `Strict` unless set.
    pub fn scope_policy(mut self, policy: ScopePolicy) -> Self {
        self.scope_policy = policy;
        self
    }

    /// For which redirect URIs the port is free (RFC 8252 §7.3); `Any` loopback unless set.
    pub fn loopback_port(mut self, rule: LoopbackPort) -> Self {
        self.loopback_port = rule;
        self
    }

    /// What all codes and tokens begin with, so that scanners recognize leaked ones: up to
    /// 32 letters, digits, `-`, `.`, `_` or `~`. Tokens with another prefix are not
    /// accepted.
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.token_prefix = prefix.into();
        self
    }

    /// Settings that weaken security.
    pub fn dangerous(self) -> DangerousSettings {
        DangerousSettings(self)
    }

    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        let error = |setting, problem| Err(InvalidSetting::new(setting, problem));
        if self.authorization_code_lifetime < SHORTEST_CODE_LIFETIME
            || self.authorization_code_lifetime > LONGEST_CODE_LIFETIME
        {
            return error("authorization_code_lifetime", "it is not from 1 to 600 seconds");
        }
        if self.access_token_lifetime.is_err() {
            return error(
                "access_token_lifetime",
                "it is not a whole number of seconds from 1 to 4294967295",
            );
        }
        if self.refresh_token_lifetime.is_zero() {
            return error("refresh_token_lifetime", "it is zero");
        }
        if self.refresh_token_idle_lifetime.is_zero() {
            return error("refresh_token_idle_lifetime", "it is zero");
        }
        if self.refresh_retry_window > LONGEST_RETRY_WINDOW {
            return error("refresh_retry_window", "it is longer than 600 seconds");
        }
        if !(1..=MOST_ACCESS_TOKENS).contains(&self.access_tokens_per_grant) {
            return error("access_tokens_per_grant", "it is not from 1 to 256");
        }
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if self.token_prefix.len() > LONGEST_PREFIX || !self.token_prefix.bytes().all(unreserved) {
            return error("token_prefix", "it is not up to 32 unreserved characters");
        }
        Ok(())
    }

    /// The dangerous settings that are on, by name.
    pub(crate) fn weakened(&self) -> impl Iterator<Item = &'static str> {
        let never = matches!(self.access_token_lifetime, Ok(Lifetime::NEVER_ENDS));
        [(never, "access_tokens_never_expire"), (self.allow_plain_pkce, "allow_plain_pkce")]
            .into_iter()
            .filter_map(|(on, name)| on.then_some(name))
    }

    pub(crate) fn requires_pkce(&self, client: &Client) -> bool {
        client.is_public() || client.requires_pkce().unwrap_or(self.require_pkce)
    }

    /// What holds for the tokens of `client`. A refresh token is issued if the grant type
    /// allows it (`refreshable`) and the client may use it.
    pub(crate) fn terms(&self, client: &Client, refreshable: bool) -> Terms {
        let own = client.access_token_lifetime();
        let limit = match client.refresh_limit() {
            RefreshLimit::None => Some(0),
            RefreshLimit::Times(times) => Some(times),
            RefreshLimit::Unlimited => None,
        };
        Terms {
            access_lifetime: own.or(self.access_token_lifetime.ok()).unwrap_or(Lifetime::NEVER_ENDS),
            issue_refresh: refreshable && limit != Some(0) && client.may_use(&GrantTypeName::REFRESH_TOKEN),
            refresh: RefreshTerms {
                rotate: client.rotates_refresh_tokens(),
                limit,
                lifetime: Some(self.refresh_token_lifetime),
                idle_lifetime: Some(self.refresh_token_idle_lifetime),
                retry_window: self.refresh_retry_window,
            },
            access_tokens_per_grant: self.access_tokens_per_grant,
        }
    }
}
