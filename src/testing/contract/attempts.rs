use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::limiter::{Attempt, AttemptKind, AttemptLimiter, TooManyAttempts};
use crate::testing::join_all;

use super::{Checked, Probe, Rule, Violations, check_each};

/// Whoever lets so many wrong passwords through limits nothing.
const MANY: usize = 10_000;

const KINDS: [AttemptKind; 3] =
    [AttemptKind::Password, AttemptKind::ClientSecret, AttemptKind::GeneratedSecret];

/// Checks an [`AttemptLimiter`]: a guesser is put off, and nobody else.
///
/// `new_limiter` gives one that has counted nothing yet. Time is what attempts say it is. As many
/// as 10,000 attempts are made one after the other.
///
/// | rule | what it says |
/// |---|---|
/// | `attempt_first` | whoever has not tried yet is let through, with an address and without, whatever is tried |
/// | `attempt_limited` | whoever goes on guessing is put off, and told for how long |
/// | `attempt_retry` | that long after, one more is let through, however often it was asked for in between |
/// | `attempt_apart` | while a guesser is put off, the same name is let through from another address, and another name that comes without one |
/// | `attempt_forgiven` | what was right does not count, however often |
/// | `attempt_at_once` | of attempts that are made at once no more are let through than one after the other |
///
/// # Errors
/// All the rules that the limiter broke.
pub async fn attempt_limiter<L: AttemptLimiter>(new_limiter: impl AsyncFn() -> L) -> Result<(), Violations> {
    check_each!(
        new_limiter();
        self: attempt_first attempt_limited attempt_retry attempt_apart attempt_forgiven attempt_at_once;
    )
}

async fn attempt_first(limiter: &Probe<impl AttemptLimiter>) -> Checked {
    for (kind, peer) in KINDS.into_iter().flat_map(|kind| [(kind, None), (kind, Some(1)), (kind, Some(2))]) {
        limiter.lets_through("the first attempt", &attempt(kind, "ann", peer)).await?;
    }
    Ok(())
}

async fn attempt_limited(limiter: &Probe<impl AttemptLimiter>) -> Checked {
    for (number, kind) in (1..).zip(KINDS) {
        for peer in [None, Some(number)] {
            let (_, put_off) = limiter.exhaust(&attempt(kind, "ann", peer)).await?;
            limiter.rule.ensure(!put_off.retry_after.is_zero(), || "put off for no time at all".into())?;
        }
    }
    Ok(())
}

async fn attempt_retry(limiter: &Probe<impl AttemptLimiter>) -> Checked {
    for peer in [None, Some(1)] {
        let mut ann = attempt(AttemptKind::Password, "ann", peer);
        let (_, put_off) = limiter.exhaust(&ann).await?;
        let end = ann.now.plus(put_off.retry_after);
        for _ in 0..100 {
            // Whether somebody is put off does not matter here, nor for how long.
            let _ = limiter.store.begin(&ann).await;
        }
        ann.now = end;
        limiter.lets_through("an attempt at the time that was told", &ann).await?;
    }
    Ok(())
}

async fn attempt_apart(limiter: &Probe<impl AttemptLimiter>) -> Checked {
    let kind = AttemptKind::Password;
    limiter.exhaust(&attempt(kind, "ann", Some(1))).await?;
    limiter.lets_through("an attempt from another address", &attempt(kind, "ann", Some(2))).await?;
    limiter.lets_through("another name from elsewhere", &attempt(kind, "ben", Some(2))).await?;
    limiter.lets_through("the name without an address", &attempt(kind, "ann", None)).await?;
    limiter.exhaust(&attempt(kind, "ann", None)).await?;
    limiter.lets_through("another name without an address", &attempt(kind, "ben", None)).await
}

async fn attempt_forgiven(limiter: &Probe<impl AttemptLimiter>) -> Checked {
    let (kind, name) = (AttemptKind::Password, "ann");
    let (often, _) = limiter.exhaust(&attempt(kind, name, Some(1))).await?;
    let ann = attempt(kind, name, Some(2));
    for _ in 0..often.saturating_mul(2).saturating_add(10) {
        limiter.lets_through("an attempt after others that were right", &ann).await?;
        limiter.store.forgive(&ann).await;
    }
    let (left, _) = limiter.exhaust(&ann).await?;
    limiter.rule.same("wrong attempts after right ones", &left, &often)
}

async fn attempt_at_once(limiter: &Probe<impl AttemptLimiter>) -> Checked {
    let (kind, name) = (AttemptKind::Password, "ann");
    let (often, _) = limiter.exhaust(&attempt(kind, name, Some(1))).await?;
    let ann = attempt(kind, name, Some(2));
    let answers = join_all((0..often.saturating_add(20)).map(|_| limiter.store.begin(&ann))).await;
    let passed = answers.iter().filter(|answer| answer.is_ok()).count();
    limiter.rule.same("of attempts at once, let through", &passed, &often)
}

fn attempt(kind: AttemptKind, name: &'static str, peer: Option<u8>) -> Attempt<'static> {
    let peer = peer.map(|host| IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)));
    Attempt::new(kind, name, peer, Timestamp::EPOCH.plus(Duration::from_secs(1_000_000)))
}

impl<L: AttemptLimiter> Probe<L> {
    async fn lets_through(&self, what: &str, attempt: &Attempt<'_>) -> Checked {
        let Err(TooManyAttempts { retry_after }) = self.store.begin(attempt).await else { return Ok(()) };
        let Attempt { kind, name, peer, .. } = attempt;
        let who = format!("{kind:?} of {name:?} from {peer:?}");
        Err(self.rule.broken(format!("{what} was put off for {retry_after:?}: {who}")))
    }

    /// How many pass until one is put off, and for how long that is.
    async fn exhaust(&self, attempt: &Attempt<'_>) -> Checked<(usize, TooManyAttempts)> {
        for passed in 0..MANY {
            if let Err(put_off) = self.store.begin(attempt).await {
                return Ok((passed, put_off));
            }
        }
        let Attempt { kind, peer, .. } = attempt;
        let who = format!("{kind:?} from {peer:?}");
        Err(self.rule.broken(format!("{MANY} attempts were let through at once: {who}")))
    }
}
