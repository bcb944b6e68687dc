//! [`MemoryTokenStore`]: grants in the memory of one process.

mod bounds;
mod budget;
mod expiry;
mod room;
mod shard;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use crate::sync::Mutex;

use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::GrantId;

use super::{Cursor, GrantQuery, Insert, PURGE_DELAY, Page, Read, Remove, Replace, StoreError, TokenStore};
pub use bounds::{InvalidMemoryBound, MemoryTokenStoreBuilder};
use budget::{Amount, Budget};
use shard::{Due, Shard};

/// Grants in the memory of one process; they end with it.
///
/// It is bounded and never gives up a live record: when it is full, an
/// [`insert`](TokenStore::insert) answers [`Insert::Full`] until records expire or are
/// removed, and so does a [`replace`](TokenStore::replace) that needs more room. Expired
/// records are reclaimed by the writes that follow, at their end and not
/// [`PURGE_DELAY`] later; there is no background task and no need to call
/// [`purge_expired`](TokenStore::purge_expired). It asks no clock: the time is that of the
/// record being written.
///
/// ```
/// use grantor::store::MemoryTokenStore;
///
/// let tokens = MemoryTokenStore::builder().capacity(50_000).client_share(0.5).build()?;
/// assert!(tokens.is_empty());
/// # Ok::<(), grantor::store::InvalidMemoryBound>(())
/// ```
pub struct MemoryTokenStore {
    shards: Box<[Padded]>,
    budget: Budget,
    /// The shard where expired records were last found.
    cursor: AtomicUsize,
}

/// Keeps the locks of two shards out of one cache line.
#[derive(Default)]
#[repr(align(128))]
struct Padded(Mutex<Shard>);

/// Each is memory that a write needs at hand, and more of them would not stay in a processor's cache.
const MOST_SHARDS: usize = 512;

/// How many records that are due a write looks at: more than it adds.
const LOOKS_PER_WRITE: usize = 2;
/// How many are looked at under one lock.
const BATCH: usize = 64;
/// How often room is made for one record that others may take.
const ATTEMPTS: usize = 4;
/// After how many records an administrative call lets other tasks run.
const BREATH: usize = 4096;

impl MemoryTokenStore {
    /// A store of a million records and 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&Self::builder())
    }

    /// Begins a store with other bounds.
    pub fn builder() -> MemoryTokenStoreBuilder {
        MemoryTokenStoreBuilder::default()
    }

    /// How many records there are, expired ones that are yet to be reclaimed among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.budget.used().records
    }

    /// True if there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The [sizes](Grant::size) of all records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.budget.used().bytes
    }

    fn with(bounds: &MemoryTokenStoreBuilder) -> Self {
        let shards = shards_for(bounds.capacity);
        let limit = Amount { records: bounds.capacity, bytes: bounds.bytes };
        Self {
            shards: iter::repeat_with(Padded::default).take(shards).collect(),
            budget: Budget::new(limit, bounds.client_share, shards),
            cursor: AtomicUsize::new(0),
        }
    }

    #[expect(clippy::indexing_slicing, reason = "`index_of` is less than the number of shards")]
    fn shard(&self, id: GrantId) -> &Mutex<Shard> {
        &self.shards[self.index_of(id)].0
    }

    /// By the leading bits, so that the order of shards is the order of ids.
    fn index_of(&self, id: GrantId) -> usize {
        let [a, b, c, d, ..] = *id.as_bytes();
        let leading = u64::from(u32::from_be_bytes([a, b, c, d]));
        // Less than the number of shards, since it is a part of it.
        usize::try_from((leading * self.shards.len() as u64) >> 32).unwrap_or_default()
    }

    /// True if it made some.
    fn make_room(&self, own: &Mutex<Shard>, now: Timestamp) -> bool {
        if self.reclaim(own, now, BATCH) > 0 {
            return true;
        }
        let round = self.shards.iter().enumerate().cycle().skip(self.cursor.load(Relaxed));
        for (index, shard) in round.take(self.shards.len()) {
            if self.reclaim(&shard.0, now, BATCH) > 0 {
                self.cursor.store(index, Relaxed);
                return true;
            }
        }
        false
    }

    /// Removes up to `most` records, or a batch, that have expired at `now`.
    fn reclaim(&self, shard: &Mutex<Shard>, now: Timestamp, most: usize) -> usize {
        loop {
            let looks: Vec<_> = {
                let mut shard = shard.lock();
                let looks = iter::repeat_with(|| shard.look_at_due(now, &self.budget));
                looks.take(most.min(BATCH)).take_while(|due| !matches!(due, Due::Nothing)).collect()
            };
            let removed = looks.iter().filter(|due| matches!(due, Due::Removed(_))).count();
            if removed > 0 || looks.is_empty() {
                return removed;
            }
        }
    }

    /// A few, for the caller to drop when the lock is released.
    fn look_at_due(&self, shard: &mut Shard, now: Timestamp) -> [Due; LOOKS_PER_WRITE] {
        std::array::from_fn(|_| shard.look_at_due(now, &self.budget))
    }
}

#[deny(clippy::missing_trait_methods)]
impl TokenStore for MemoryTokenStore {
    async fn insert(&self, mut grant: Arc<Grant>) -> Result<Insert, StoreError> {
        let now = grant.updated_at();
        let shard = self.shard(grant.id());
        for _ in 0..ATTEMPTS {
            let mut given_up = None;
            let (answer, _looks) = {
                let mut shard = room::lock_to_add(shard, &mut given_up);
                let looks = self.look_at_due(&mut shard, now);
                (shard.insert(grant, &self.budget), looks)
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(refused) if self.make_room(shard, now) => grant = refused,
                Err(_) => break,
            }
        }
        Ok(Insert::Full)
    }

    async fn load(&self, id: GrantId, _: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        Ok(self.shard(id).lock().get(id).cloned())
    }

    async fn replace(&self, mut grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        let now = grant.updated_at();
        let shard = self.shard(grant.id());
        for _ in 0..ATTEMPTS {
            let mut given_up = None;
            let (answer, looks) = {
                let mut shard = room::lock_to_change(shard, &mut given_up);
                let answer = shard.replace(grant, expected, &self.budget);
                (answer, self.look_at_due(&mut shard, now))
            };
            let has_made_room = looks.iter().any(|due| matches!(due, Due::Removed(_)));
            match answer {
                Ok(Some(_)) => return Ok(Replace::Replaced),
                Ok(None) => return Ok(Replace::Changed),
                Err(refused) if has_made_room || self.make_room(shard, now) => grant = refused,
                Err(_) => break,
            }
        }
        Ok(Replace::Full)
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        let mut given_up = None;
        let removed = room::lock_to_change(self.shard(id), &mut given_up).remove(id, expected, &self.budget);
        Ok(removed.map_or_else(|answer| answer, |_| Remove::Removed))
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        let limit = query.page_size();
        let first = query.start().map_or(0, |start| self.index_of(start));
        let (mut grants, mut searched) = (Vec::new(), 0);
        for Padded(shard) in self.shards.iter().skip(first) {
            let mut found = {
                let shard = shard.lock();
                searched += shard.len();
                shard.matching(query, limit + 1 - grants.len())
            };
            found.sort_unstable_by_key(|grant| grant.id());
            grants.append(&mut found);
            if grants.len() > limit {
                grants.truncate(limit);
                let next = grants.last().map(|last| Cursor::at(last.id()));
                return Ok(Page::new(grants, next));
            }
            breathe(&mut searched).await;
        }
        Ok(Page::new(grants, None))
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let cutoff = now.minus(PURGE_DELAY);
        let (mut purged, mut since_breath) = (0, 0);
        for Padded(shard) in &self.shards {
            while purged < limit {
                let some = self.reclaim(shard, cutoff, limit - purged);
                if some == 0 {
                    break;
                }
                purged += some;
                since_breath += some;
                breathe(&mut since_breath).await;
            }
        }
        Ok(purged)
    }
}

impl Default for MemoryTokenStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTokenStore").field("budget", &self.budget).finish_non_exhaustive()
    }
}

/// So many that a full store fills the tables of its shards, which have a power of two of
/// places, well but seldom over; and few enough that the client share can be estimated from one.
fn shards_for(capacity: usize) -> usize {
    let small = (capacity / 800).max(1);
    // Each then has a table that is as many times as large, and as well filled.
    small / small.div_ceil(MOST_SHARDS).next_power_of_two()
}

/// Lets other tasks of the executor run after so much work.
async fn breathe(work: &mut usize) {
    if *work < BREATH {
        return;
    }
    *work = 0;
    let mut rested = false;
    poll_fn(|context| {
        if std::mem::replace(&mut rested, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
