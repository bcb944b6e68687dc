use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};

/// A clock that stands still until it is moved. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use grantor::testing::ManualClock;
/// use grantor::{Clock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_secs(1_000));
/// let of_the_server = clock.clone();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(of_the_server.now(), Timestamp::from_secs(1_060));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    millis: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { millis: Arc::new(AtomicU64::new(now.as_millis())) }
    }

    /// Shows `now` from here on, which may be earlier than before.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Moves on by `duration`, in whole milliseconds.
    pub fn advance(&self, duration: Duration) {
        let moved = |millis| Some(Timestamp::from_millis(millis).plus(duration).as_millis());
        // The closure never declines, so there is no failure to look at.
        let _ = self.millis.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_show_the_same_time_and_it_stops_at_its_end() {
        let clock = ManualClock::new(Timestamp::from_secs(5));
        let clone = clock.clone();
        clone.set(Timestamp::from_secs(3));
        assert_eq!(clock.now(), Timestamp::from_secs(3));
        clock.advance(Duration::MAX);
        assert_eq!(clone.now(), Timestamp::from_millis(u64::MAX));
    }
}
