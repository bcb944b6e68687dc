//! What may still be added, in records and in bytes: to the whole store, and of one client.

use std::ops::Add;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use crate::grant::Grant;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Amount {
    pub(super) fn of(grant: &Grant) -> Self {
        Self { records: 1, bytes: grant.size() }
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { records: self.records + other.records, bytes: self.bytes + other.bytes }
    }
}

/// Every writer changes it, so it has its cache lines for itself.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Budget {
    records: Bound,
    bytes: Bound,
    shards: usize,
}

impl Budget {
    pub(super) fn new(limit: Amount, client_share: f64, shards: usize) -> Self {
        let bound = |limit| Bound { limit, share: part(limit, client_share), used: AtomicUsize::new(0) };
        Self { records: bound(limit.records), bytes: bound(limit.bytes), shards }
    }

    pub(super) fn used(&self) -> Amount {
        Amount { records: self.records.used.load(Relaxed), bytes: self.bytes.used.load(Relaxed) }
    }

    /// Is there so little room that it matters what one client holds?
    pub(super) fn is_short(&self) -> bool {
        self.records.is_short() || self.bytes.is_short()
    }

    /// Is there so much room that it will not matter soon?
    pub(super) fn has_plenty(&self) -> bool {
        self.records.has_plenty() && self.bytes.has_plenty()
    }

    /// Takes `more` for a client that holds `held` in this one of the shards; false, and
    /// nothing is taken, if there is no room.
    ///
    /// Ids are random, so what a client holds in one shard tells what it holds in all.
    pub(super) fn reserve(&self, more: Amount, held: Amount) -> bool {
        let everywhere = |held: usize| held.saturating_mul(self.shards);
        if !self.records.reserve(more.records, everywhere(held.records)) {
            return false;
        }
        let reserved = self.bytes.reserve(more.bytes, everywhere(held.bytes));
        if !reserved {
            self.records.release(more.records);
        }
        reserved
    }

    pub(super) fn release(&self, less: Amount) {
        self.records.release(less.records);
        self.bytes.release(less.bytes);
    }
}

#[derive(Debug)]
struct Bound {
    limit: usize,
    /// What one client may hold. It binds only while less than this is free.
    share: usize,
    used: AtomicUsize,
}

impl Bound {
    /// Without a limit for one client, the estimate of what it holds must not bind.
    fn is_short(&self) -> bool {
        self.share < self.limit && self.free() < self.share
    }

    fn has_plenty(&self) -> bool {
        self.share == self.limit || self.free() >= self.share.saturating_mul(2)
    }

    fn free(&self) -> usize {
        self.limit.saturating_sub(self.used.load(Relaxed))
    }

    fn reserve(&self, more: usize, held: usize) -> bool {
        if more == 0 {
            return true;
        }
        let within_share = self.share == self.limit || held.saturating_add(more) <= self.share;
        let take = |used| {
            let free = self.limit.saturating_sub(used);
            (more <= free && (within_share || free >= self.share)).then(|| used + more)
        };
        self.used.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    fn release(&self, less: usize) {
        if less > 0 {
            self.used.fetch_sub(less, Relaxed);
        }
    }
}

/// At least one, so that no client is shut out.
#[expect(clippy::cast_possible_truncation, reason = "no more than `whole`, since `share` is at most 1")]
fn part(whole: usize, share: f64) -> usize {
    ((whole as f64 * share) as usize).clamp(1, whole.max(1))
}
