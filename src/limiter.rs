//! [`AttemptLimiter`]: how often a password or a secret may be guessed at.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::time::Duration;

use crate::sync::Mutex;
use lru::LruCache;

use crate::clock::Timestamp;
use crate::token::Digest;

/// What is being guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptKind {
    /// The password of a user.
    Password,
    /// The secret of a client that a person chose.
    ClientSecret,
    /// A secret that nobody can guess. It is only told of what was wrong already: whoever has the
    /// secret is never put off.
    GeneratedSecret,
}

/// One attempt at a password or a secret.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// What is being guessed at.
    pub kind: AttemptKind,
    /// The username or client id, as it was sent.
    pub name: &'a str,
    /// Who tries, if the host says so.
    pub peer: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
}

impl<'a> Attempt<'a> {
    /// An attempt, for hosts that use a limiter for logins of their own.
    #[must_use]
    pub const fn new(kind: AttemptKind, name: &'a str, peer: Option<IpAddr>, now: Timestamp) -> Self {
        Self { kind, name, peer, now }
    }
}

/// There were too many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyAttempts {
    /// When the next one may be made.
    pub retry_after: Duration,
}

/// Puts off whoever guesses too often.
///
/// It is asked before a password is checked, and told when one was right; what it is not told of
/// has failed, or hung up. Count by [`name`](Attempt::name) *and* [`peer`](Attempt::peer): by name
/// alone, a stranger could lock a user out. There is no error for a count that cannot be had just
/// now: let through or put off, whichever you would rather have.
///
/// `testing::contract::attempt_limiter` checks one of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot limit attempts",
    note = "use a `MemoryAttemptLimiter`, or implement `AttemptLimiter` for what your processes share"
)]
pub trait AttemptLimiter: Send + Sync + 'static {
    /// Counts an attempt that is about to be made.
    ///
    /// # Errors
    /// When there were too many; this one is not made.
    fn begin(&self, attempt: &Attempt<'_>) -> impl Future<Output = Result<(), TooManyAttempts>> + Send;

    /// The attempt was right, or could not be made after all: it does not count.
    fn forgive(&self, attempt: &Attempt<'_>) -> impl Future<Output = ()> + Send;
}

/// Limits nothing. For hosts that limit attempts in front of the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAttemptLimit;

impl AttemptLimiter for NoAttemptLimit {
    async fn begin(&self, _: &Attempt<'_>) -> Result<(), TooManyAttempts> {
        Ok(())
    }

    async fn forgive(&self, _: &Attempt<'_>) {}
}

/// Counts failed attempts in memory, which is bounded: for one process.
///
/// Each pair of a name and a peer may fail 20 times, and then once every 30 seconds; each peer a
/// hundred times over all names, and then once every 3 seconds. Wrong ones for secrets that cannot
/// be guessed are counted apart: 200 times, and then once a second. A peer with an IPv6 address
/// is its /64 network. Attempts without a peer are counted by their name.
///
/// ```
/// use std::time::Duration;
/// use grantor::limiter::MemoryAttemptLimiter;
///
/// let limiter = MemoryAttemptLimiter::new().per_name(5, Duration::from_secs(60));
/// # let _ = limiter;
/// ```
pub struct MemoryAttemptLimiter {
    per_name: Rate,
    per_peer: Rate,
    counts: Mutex<LruCache<[u8; 16], Timestamp>>,
}

/// So many at once, and then one after each interval.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: u32,
    interval: Duration,
}

/// Guessing is hopeless: this is against the noise.
const FOR_GENERATED: Rate = Rate { burst: 200, interval: Duration::from_secs(1) };

/// About 10 MB.
const DEFAULT_CAPACITY: NonZeroUsize = match NonZeroUsize::new(100_000) {
    Some(capacity) => capacity,
    None => NonZeroUsize::MIN,
};

impl MemoryAttemptLimiter {
    /// With room for 100,000 names and peers; those that are quiet for longest are forgotten.
    #[must_use]
    pub fn new() -> Self {
        Self {
            per_name: Rate { burst: 20, interval: Duration::from_secs(30) },
            per_peer: Rate { burst: 100, interval: Duration::from_secs(3) },
            counts: Mutex::new(LruCache::unbounded()),
        }
        .capacity(DEFAULT_CAPACITY)
    }

    /// How many names and peers are kept count of.
    #[must_use]
    pub fn capacity(self, capacity: NonZeroUsize) -> Self {
        Self { counts: Mutex::new(LruCache::new(capacity)), ..self }
    }

    /// A peer may fail `burst` times at one name, and then once each `interval`.
    #[must_use]
    pub fn per_name(mut self, burst: u32, interval: Duration) -> Self {
        self.per_name = Rate { burst, interval };
        self
    }

    /// A peer may fail `burst` times over all names, and then once each `interval`.
    #[must_use]
    pub fn per_peer(mut self, burst: u32, interval: Duration) -> Self {
        self.per_peer = Rate { burst, interval };
        self
    }

    /// What an attempt counts for.
    fn counted<'a>(&self, attempt: &Attempt<'a>) -> impl Iterator<Item = ([u8; 16], Rate)> + use<'a> {
        let peer = attempt.peer.map(network);
        let kind: &[u8] = match attempt.kind {
            AttemptKind::Password => b"password",
            AttemptKind::ClientSecret => b"client secret",
            AttemptKind::GeneratedSecret => b"generated secret",
        };
        let at = peer.as_ref().map_or(&[][..], |peer| peer.as_slice());
        let name = key(&[kind, attempt.name.as_bytes(), at]);
        let is_generated = attempt.kind == AttemptKind::GeneratedSecret;
        let over_all = peer.filter(|_| !is_generated).map(|peer| key(&[b"peer", &peer]));
        let per_name = if is_generated { FOR_GENERATED } else { self.per_name };
        let per_peer = self.per_peer;
        [Some((name, per_name)), over_all.map(|key| (key, per_peer))].into_iter().flatten()
    }
}

impl Default for MemoryAttemptLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl AttemptLimiter for MemoryAttemptLimiter {
    async fn begin(&self, attempt: &Attempt<'_>) -> Result<(), TooManyAttempts> {
        let mut counts = self.counts.lock();
        let mut next = Vec::with_capacity(2);
        for (key, rate) in self.counted(attempt) {
            let paid_until = counts.peek(&key).copied().unwrap_or(Timestamp::EPOCH);
            next.push((key, rate.count(paid_until, attempt.now)?));
        }
        for (key, paid_until) in next {
            counts.put(key, paid_until);
        }
        Ok(())
    }

    async fn forgive(&self, attempt: &Attempt<'_>) {
        let mut counts = self.counts.lock();
        for (key, rate) in self.counted(attempt) {
            if let Some(paid_until) = counts.peek_mut(&key) {
                *paid_until = paid_until.minus(rate.interval);
            }
        }
    }
}

impl Rate {
    /// Each attempt has to be paid for with an interval, and `burst` of them in advance: a
    /// moment is all that is kept.
    fn count(self, paid_until: Timestamp, now: Timestamp) -> Result<Timestamp, TooManyAttempts> {
        let credit = self.interval.saturating_mul(self.burst);
        // A clock that was set back must not put anyone off for longer than that.
        let next = paid_until.max(now).min(now.plus(credit)).plus(self.interval);
        let over = next.since(now.plus(credit));
        if over.is_zero() { Ok(next) } else { Err(TooManyAttempts { retry_after: over }) }
    }
}

/// Whoever has one address of an IPv6 network has them all.
fn network(peer: IpAddr) -> [u8; 8] {
    match peer.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => address.octets().first_chunk().copied().unwrap_or_default(),
    }
}

/// Names are kept as digests, of one size: some people type their password there.
fn key(parts: &[&[u8]]) -> [u8; 16] {
    let digest = Digest::of_parts("grantor/attempt/1", parts);
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

impl fmt::Debug for MemoryAttemptLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAttemptLimiter")
            .field("per_name", &self.per_name)
            .field("per_peer", &self.per_peer)
            .finish_non_exhaustive()
    }
}

/// [`AttemptLimiter`] once more, object-safe.
pub(crate) trait DynAttemptLimiter: Send + Sync {
    fn begin<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), TooManyAttempts>> + Send + 'a>>;
    fn forgive<'a>(&'a self, attempt: &'a Attempt<'_>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

impl<L: AttemptLimiter> DynAttemptLimiter for L {
    fn begin<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), TooManyAttempts>> + Send + 'a>> {
        Box::pin(AttemptLimiter::begin(self, attempt))
    }

    fn forgive<'a>(&'a self, attempt: &'a Attempt<'_>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(AttemptLimiter::forgive(self, attempt))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::block_on;
    use crate::testing::contract::attempt_limiter;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1000);

    fn attempt<'a>(name: &'a str, peer: &str, secs: u64) -> Attempt<'a> {
        let peer = (!peer.is_empty()).then(|| peer.parse().unwrap());
        Attempt { kind: AttemptKind::Password, name, peer, now: START.plus(Duration::from_secs(secs)) }
    }

    fn begin(limiter: &MemoryAttemptLimiter, attempt: &Attempt<'_>) -> Result<(), u64> {
        block_on(AttemptLimiter::begin(limiter, attempt)).map_err(|too_many| too_many.retry_after.as_secs())
    }

    #[test]
    fn a_name_and_peer_may_fail_some_times_and_then_now_and_again() {
        let limiter = MemoryAttemptLimiter::new().per_name(3, Duration::from_secs(10));
        for _ in 0..3 {
            assert_eq!(begin(&limiter, &attempt("alice", "10.0.0.1", 0)), Ok(()));
        }
        assert_eq!(begin(&limiter, &attempt("alice", "10.0.0.1", 0)), Err(10));
        assert_eq!(begin(&limiter, &attempt("alice", "10.0.0.1", 4)), Err(6), "asking costs nothing");
        assert_eq!(begin(&limiter, &attempt("alice", "10.0.0.2", 0)), Ok(()), "another peer");
        assert_eq!(begin(&limiter, &attempt("bob", "10.0.0.1", 0)), Ok(()), "another name");
        assert_eq!(begin(&limiter, &attempt("alice", "", 0)), Ok(()));
        assert_eq!(begin(&limiter, &attempt("alice", "10.0.0.1", 10)), Ok(()));
        assert_eq!(begin(&limiter, &attempt("alice", "10.0.0.1", 10)), Err(10));
        assert_eq!(begin(&limiter, &attempt("alice", "10.0.0.1", 1000)), Ok(()));
    }

    #[test]
    fn what_was_right_does_not_count() {
        let limiter = MemoryAttemptLimiter::new().per_name(2, Duration::from_secs(10));
        let alice = attempt("alice", "10.0.0.1", 0);
        for _ in 0..50 {
            assert_eq!(begin(&limiter, &alice), Ok(()));
            block_on(AttemptLimiter::forgive(&limiter, &alice));
        }
        assert_eq!((begin(&limiter, &alice), begin(&limiter, &alice)), (Ok(()), Ok(())));
        assert!(begin(&limiter, &alice).is_err());
    }

    #[test]
    fn a_peer_is_limited_over_all_names() {
        let limiter = MemoryAttemptLimiter::new().per_peer(20, Duration::from_secs(3));
        let names: Vec<String> = (0..30).map(|number| format!("user-{number}")).collect();
        let passed = names.iter().filter(|name| begin(&limiter, &attempt(name, "10.0.0.1", 0)).is_ok());
        assert_eq!(passed.count(), 20);
        assert_eq!(begin(&limiter, &attempt("alice", "10.0.0.2", 0)), Ok(()));
    }

    #[test]
    fn wrong_secrets_that_nobody_can_guess_are_counted_apart() {
        let limiter = MemoryAttemptLimiter::new().per_peer(20, Duration::from_secs(3));
        let generated = Attempt { kind: AttemptKind::GeneratedSecret, ..attempt("app", "10.0.0.1", 0) };
        let passed = (0..300).filter(|_| begin(&limiter, &generated).is_ok());
        assert_eq!(passed.count(), 200);
        assert_eq!(begin(&limiter, &attempt("app", "10.0.0.1", 0)), Ok(()), "a password of that name");
        let chosen = Attempt { kind: AttemptKind::ClientSecret, ..attempt("app", "10.0.0.1", 0) };
        assert_eq!(begin(&limiter, &chosen), Ok(()));
    }

    #[test]
    fn an_ipv6_network_is_one_peer_and_a_mapped_address_is_itself() {
        let limiter = MemoryAttemptLimiter::new().per_name(1, Duration::from_secs(10));
        assert_eq!(begin(&limiter, &attempt("alice", "2001:db8::1", 0)), Ok(()));
        assert!(begin(&limiter, &attempt("alice", "2001:db8::2", 0)).is_err());
        assert_eq!(begin(&limiter, &attempt("alice", "2001:db8:0:1::1", 0)), Ok(()));
        assert_eq!(begin(&limiter, &attempt("alice", "10.0.0.1", 0)), Ok(()));
        assert!(begin(&limiter, &attempt("alice", "::ffff:10.0.0.1", 0)).is_err());
    }

    #[test]
    fn it_keeps_the_contract_of_limiters() {
        block_on(async {
            attempt_limiter(async || MemoryAttemptLimiter::new()).await?;
            attempt_limiter(async || MemoryAttemptLimiter::new().per_name(1, Duration::from_millis(1)))
                .await?;
            attempt_limiter(async || MemoryAttemptLimiter::new().per_peer(7, Duration::from_secs(3600))).await
        })
        .unwrap();
    }

    #[test]
    fn the_bound_is_exact_when_threads_race() {
        let limiter = MemoryAttemptLimiter::new().per_name(500, Duration::from_secs(10));
        let limiter = limiter.per_peer(100_000, Duration::from_secs(10));
        let passed = std::thread::scope(|scope| {
            let guess = || {
                let alice = attempt("alice", "10.0.0.1", 0);
                let attempts = (0..1000).filter(|number| {
                    let is_right = number % 4 == 0;
                    let passed = begin(&limiter, &alice).is_ok();
                    if passed && is_right {
                        block_on(AttemptLimiter::forgive(&limiter, &alice));
                    }
                    passed && !is_right
                });
                attempts.count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(guess)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        // One that is about to be forgiven may keep a wrong one out, and lets none in.
        assert!((497..=500).contains(&passed), "{passed}");
        let left = (0..10).filter(|_| begin(&limiter, &attempt("alice", "10.0.0.1", 0)).is_ok());
        assert_eq!(passed + left.count(), 500);
    }

    #[test]
    fn memory_is_bounded_and_a_clock_that_is_set_back_locks_nobody_out() {
        let limiter = MemoryAttemptLimiter::new().capacity(NonZeroUsize::MIN);
        for number in 0..100 {
            let _ = begin(&limiter, &attempt(&format!("user-{number}"), "", 0));
        }
        assert_eq!(limiter.counts.lock().len(), 1);
        let limiter = MemoryAttemptLimiter::new().per_name(3, Duration::from_secs(10));
        assert_eq!(begin(&limiter, &attempt("alice", "", 500)), Ok(()));
        assert_eq!(begin(&limiter, &attempt("alice", "", 0)), Err(10), "for as long as a burst at most");
        assert_eq!(begin(&limiter, &attempt("alice", "", 530)), Ok(()));
    }
}
