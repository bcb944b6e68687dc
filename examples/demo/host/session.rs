//! Who is logged in, in which browser.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::{Clock as _, Entropy as _, Subject, SystemClock, SystemEntropy, Timestamp};
use lru::LruCache;
use sha2::{Digest as _, Sha256};

pub(super) const COOKIE: &str = "session";

const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Those that were not used for longest have to log in again.
const MOST: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// Kept by the digest of its cookie.
pub(super) struct Sessions(Mutex<LruCache<[u8; 32], Session>>);

#[derive(Clone)]
pub(super) struct Session {
    pub(super) subject: Subject,
    pub(super) username: String,
    /// When the password was entered.
    pub(super) auth_time: Timestamp,
    /// In each form of the session's own pages.
    pub(super) csrf: String,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }

    pub(super) fn find(&self, cookie: &str) -> Option<Session> {
        let mut sessions = self.0.lock().ok()?;
        let session = sessions.get(&digest(cookie))?;
        let is_live = SystemClock.now() < session.auth_time.plus(LIFETIME);
        is_live.then(|| session.clone())
    }

    /// Begins a session, under a cookie that nobody has seen before. `None`: there is no randomness.
    pub(super) fn begin(&self, subject: Subject, username: &str) -> Option<String> {
        let cookie = random()?;
        let session =
            Session { subject, username: username.to_owned(), auth_time: SystemClock.now(), csrf: random()? };
        self.0.lock().ok()?.put(digest(&cookie), session);
        Some(cookie)
    }

    pub(super) fn end(&self, cookie: &str) {
        if let Ok(mut sessions) = self.0.lock() {
            sessions.pop(&digest(cookie));
        }
    }
}

/// A text that cannot be guessed.
pub(super) fn random() -> Option<String> {
    SystemEntropy.draw().ok().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

fn digest(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie).into()
}

/// `Set-Cookie`: not for scripts, and not for forms of other sites.
pub(super) fn set_cookie(name: &str, value: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    let end = if value.is_empty() { "; Max-Age=0" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{end}")
}
