//! Time: [`Timestamp`], [`Lifetime`] and the [`Clock`] that is asked for the former.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A moment, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// Milliseconds, and one: records have many that may be missing.
    NonZeroU64,
);

impl Timestamp {
    /// The Unix epoch. As a `valid_after`, it revokes nothing.
    pub const EPOCH: Self = Self(NonZeroU64::MIN);

    /// The moment `millis` milliseconds after the Unix epoch; the last one there is for
    /// `u64::MAX`.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(millis))
    }

    /// The moment `secs` seconds after the Unix epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0.get() - 1
    }

    /// Whole seconds since the Unix epoch, rounded down: what `iat` and `exp` carry.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.as_millis() / 1000
    }

    /// This moment and `duration` more; the end of time if that is past it.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This moment less `duration`; the epoch if that is before it.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(self.as_millis().saturating_sub(millis(duration)))
    }

    /// How much later this is than `earlier`; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.as_millis().saturating_sub(earlier.as_millis()))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::EPOCH
    }
}

/// Milliseconds since the Unix epoch.
#[cfg(feature = "serde")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.as_millis())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_millis)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.as_secs(), self.as_millis() % 1000)
    }
}

/// How long a token lives: whole seconds, or for ever.
///
/// A lifetime without end weakens security and is made only by the
/// `dangerous()` builders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Lifetime(Option<NonZeroU32>);

impl Lifetime {
    pub(crate) const NEVER_ENDS: Self = Self(None);

    /// A lifetime of `secs` seconds; `None` for zero.
    #[must_use]
    pub const fn from_secs(secs: u32) -> Option<Self> {
        match NonZeroU32::new(secs) {
            Some(secs) => Some(Self(Some(secs))),
            None => None,
        }
    }

    /// `None` unless `duration` is a whole number of seconds between 1 and `u32::MAX`.
    #[must_use]
    pub fn from_duration(duration: Duration) -> Option<Self> {
        if duration.subsec_nanos() != 0 {
            return None;
        }
        Self::from_secs(u32::try_from(duration.as_secs()).ok()?)
    }

    /// The length; `None` if it never ends.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        self.0.map(|secs| Duration::from_secs(u64::from(secs.get())))
    }

    /// When something that begins at `begin` ends; `None` if it never does.
    #[must_use]
    pub fn end(self, begin: Timestamp) -> Option<Timestamp> {
        self.duration().map(|duration| begin.plus(duration))
    }
}

/// Tells the time. The server asks once per request.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one home of the system's time")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH.plus(since_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_whole_seconds_and_never_zero() {
        assert!(Lifetime::from_secs(0).is_none());
        assert!(Lifetime::from_duration(Duration::from_millis(1500)).is_none());
        assert!(Lifetime::from_duration(Duration::from_secs(1 << 33)).is_none());
        let hour = Lifetime::from_duration(Duration::from_secs(3600)).unwrap();
        assert_eq!(hour.end(Timestamp::from_secs(5)), Some(Timestamp::from_secs(3605)));
        assert_eq!(Lifetime::NEVER_ENDS.end(Timestamp::from_secs(5)), None);
    }

    #[test]
    fn arithmetic_stops_at_both_ends_of_time() {
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::EPOCH.minus(Duration::from_secs(1)), Timestamp::EPOCH);
        assert_eq!(Timestamp::EPOCH.since(end), Duration::ZERO);
    }
}
