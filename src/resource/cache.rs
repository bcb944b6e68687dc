//! Answers of a token source, remembered for a short time.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::sync::Mutex;
use lru::LruCache;

use crate::clock::Timestamp;
use crate::token::Digest;

use super::token::BearerToken;

/// Keyed by digests: it holds nothing that could be presented.
pub(super) struct Cache {
    max_age: Duration,
    answers: Mutex<LruCache<[u8; 32], Known>>,
}

struct Known {
    token: Option<BearerToken>,
    until: Timestamp,
}

impl Cache {
    pub(super) fn new(capacity: NonZeroUsize, max_age: Duration) -> Self {
        Self { max_age, answers: Mutex::new(LruCache::new(capacity)) }
    }

    pub(super) fn get(&self, token: &str, now: Timestamp) -> Option<Option<BearerToken>> {
        let mut answers = self.answers.lock();
        let known = answers.get(&key(token))?;
        // A clock that was set back must not make an answer older than it may get.
        let fresh = now < known.until && known.until <= now.plus(self.max_age);
        fresh.then(|| known.token.clone())
    }

    pub(super) fn put(&self, token: &str, answer: Option<BearerToken>, now: Timestamp) {
        let end = answer.as_ref().and_then(BearerToken::expires_at);
        let until = now.plus(self.max_age);
        let until = end.map_or(until, |end| end.min(until));
        self.answers.lock().put(key(token), Known { token: answer, until });
    }
}

fn key(token: &str) -> [u8; 32] {
    *Digest::of(token.as_bytes()).as_bytes()
}
