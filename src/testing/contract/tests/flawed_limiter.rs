use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::limiter::{Attempt, AttemptKind, AttemptLimiter, NoAttemptLimit, TooManyAttempts};
use crate::sync::Mutex;
use crate::testing::{block_on, yield_for};

use super::super::{Violations, attempt_limiter};

/// What is wrong with a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LimiterFlaw {
    None,
    AsksForAnAddress,
    LimitsPasswordsAlone,
    SaysNoTime,
    SaysTooSoon,
    CountsWhatIsRefused,
    CountsByName,
    CountsAllWithoutAddress,
    ForgivesNothing,
    ForgivesAll,
    ReadsThenWrites,
}

/// Each flaw, what it is called in the guide, and the rules it breaks.
const FLAWS: &[(LimiterFlaw, &str, &[&str])] = &[
    (
        LimiterFlaw::AsksForAnAddress,
        "puts off whoever comes without an address",
        &["attempt_first", "attempt_retry", "attempt_apart"],
    ),
    (LimiterFlaw::LimitsPasswordsAlone, "limits passwords and nothing else", &["attempt_limited"]),
    (LimiterFlaw::SaysNoTime, "says that no time is to be waited", &["attempt_limited", "attempt_retry"]),
    (LimiterFlaw::SaysTooSoon, "says half of what is to be waited", &["attempt_retry"]),
    (LimiterFlaw::CountsWhatIsRefused, "counts attempts that it refuses", &["attempt_retry"]),
    (
        LimiterFlaw::CountsByName,
        "counts by name, not by address",
        &["attempt_apart", "attempt_forgiven", "attempt_at_once"],
    ),
    (
        LimiterFlaw::CountsAllWithoutAddress,
        "counts all together that come without an address",
        &["attempt_apart"],
    ),
    (LimiterFlaw::ForgivesNothing, "forgives nothing", &["attempt_forgiven"]),
    (LimiterFlaw::ForgivesAll, "lets whoever was right once guess for ever", &["attempt_forgiven"]),
    (LimiterFlaw::ReadsThenWrites, "reads the count, waits, then writes it", &["attempt_at_once"]),
];

const BURST: u32 = 5;
const WAIT: Duration = Duration::from_secs(60);

type Counted = (AttemptKind, String, Option<IpAddr>);

/// Lets five through in a row, and then the next one a minute after the last.
struct Limiter {
    flaw: LimiterFlaw,
    counts: Mutex<HashMap<Counted, Count>>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    attempts: u32,
    open_at: Timestamp,
    is_trusted: bool,
}

impl Limiter {
    fn new(flaw: LimiterFlaw) -> Self {
        Self { flaw, counts: Mutex::default() }
    }

    fn counted(&self, attempt: &Attempt<'_>) -> Counted {
        let all_are_one = self.flaw == LimiterFlaw::CountsAllWithoutAddress && attempt.peer.is_none();
        let name = if all_are_one { String::new() } else { attempt.name.into() };
        (attempt.kind, name, attempt.peer.filter(|_| self.flaw != LimiterFlaw::CountsByName))
    }

    fn refused(&self, open_at: Timestamp, now: Timestamp) -> TooManyAttempts {
        let left = open_at.since(now);
        TooManyAttempts {
            retry_after: match self.flaw {
                LimiterFlaw::SaysNoTime => Duration::ZERO,
                LimiterFlaw::SaysTooSoon => left / 2,
                _ => left,
            },
        }
    }
}

impl AttemptLimiter for Limiter {
    async fn begin(&self, attempt: &Attempt<'_>) -> Result<(), TooManyAttempts> {
        let is_limited = match self.flaw {
            LimiterFlaw::AsksForAnAddress if attempt.peer.is_none() => {
                return Err(TooManyAttempts { retry_after: WAIT });
            }
            LimiterFlaw::LimitsPasswordsAlone => attempt.kind == AttemptKind::Password,
            _ => true,
        };
        let key = self.counted(attempt);
        let mut count = self.counts.lock().get(&key).copied().unwrap_or_default();
        if self.flaw == LimiterFlaw::ReadsThenWrites {
            yield_for(1).await;
        } else {
            count = self.counts.lock().get(&key).copied().unwrap_or_default();
        }
        let is_over = count.attempts >= BURST && count.open_at > attempt.now;
        if is_over && is_limited && !count.is_trusted {
            let refused = self.refused(count.open_at, attempt.now);
            if self.flaw == LimiterFlaw::CountsWhatIsRefused {
                count.open_at = count.open_at.plus(WAIT);
                self.counts.lock().insert(key, count);
            }
            return Err(refused);
        }
        count.attempts += 1;
        count.open_at = attempt.now.plus(WAIT);
        self.counts.lock().insert(key, count);
        Ok(())
    }

    async fn forgive(&self, attempt: &Attempt<'_>) {
        if let Some(count) = self.counts.lock().get_mut(&self.counted(attempt)) {
            match self.flaw {
                LimiterFlaw::ForgivesNothing => {}
                LimiterFlaw::ForgivesAll => count.is_trusted = true,
                _ => count.attempts = count.attempts.saturating_sub(1),
            }
        }
    }
}

fn broken(flaw: LimiterFlaw) -> Vec<&'static str> {
    let found = block_on(attempt_limiter(async || Limiter::new(flaw)));
    found.err().iter().flat_map(Violations::rules).collect()
}

#[test]
fn a_limiter_breaks_the_rules_that_forbid_its_flaw_and_no_others() {
    assert!(broken(LimiterFlaw::None).is_empty(), "{:?}", broken(LimiterFlaw::None));
    for (flaw, _, rules) in FLAWS {
        assert_eq!(broken(*flaw), *rules, "{flaw:?}");
    }
}

#[test]
fn no_limit_is_no_limiter() {
    let violations = block_on(attempt_limiter(async || NoAttemptLimit)).unwrap_err();
    assert!(violations.rules().any(|rule| rule == "attempt_limited"), "{violations}");
}

#[test]
fn the_guide_lists_what_the_kit_catches_in_a_limiter() {
    let guide = include_str!("../../../guide/certified_store.md");
    for (_, text, rules) in FLAWS {
        let rules = rules.iter().map(|rule| format!("`{rule}`")).collect::<Vec<_>>().join(", ");
        let row = format!("| {text} | {rules} |");
        assert!(guide.contains(&row), "the guide lacks the row\n{row}");
    }
}
