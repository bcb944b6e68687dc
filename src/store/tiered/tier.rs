//! The tier in memory: what was used last, and codes that are not on the disk.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::sync::Mutex;
use lru::LruCache;

use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::GrantId;
use crate::store::{GrantQuery, Remove};

pub(super) struct Tier {
    state: Mutex<State>,
    pub(super) volatile_codes: bool,
    memory: NonZeroUsize,
    disk: usize,
    /// Records on the disk, those of the open transaction included.
    on_disk: AtomicUsize,
    /// A transaction was undone, and the number with it.
    is_uncertain: AtomicBool,
    hits: AtomicU64,
    misses: AtomicU64,
}

struct State {
    /// As they are on the disk. A record that is being written is not among them.
    recent: LruCache<GrantId, Arc<Grant>>,
    /// Codes that are kept here alone. A record on the disk takes precedence.
    codes: HashMap<GrantId, Arc<Grant>>,
    /// How many writes are under way, by record.
    writing: HashMap<GrantId, usize>,
    reading: HashMap<GrantId, Readers>,
}

#[derive(Default)]
struct Readers {
    count: usize,
    /// A write has begun meanwhile: what they read may be old.
    are_late: bool,
}

impl State {
    fn outdate_readers(&mut self, id: GrantId) {
        if let Some(readers) = self.reading.get_mut(&id) {
            readers.are_late = true;
        }
    }
}

/// What became of a record when its write ended.
pub(super) enum Effect {
    /// Nothing, or nobody knows.
    Unknown,
    OnDisk(Arc<Grant>),
    Gone,
}

impl Tier {
    pub(super) fn new(memory: NonZeroUsize, disk: usize, volatile_codes: bool, on_disk: usize) -> Self {
        let state = State {
            recent: LruCache::new(memory),
            codes: HashMap::new(),
            writing: HashMap::new(),
            reading: HashMap::new(),
        };
        Self {
            state: Mutex::new(state),
            volatile_codes,
            memory,
            disk,
            on_disk: AtomicUsize::new(on_disk),
            is_uncertain: AtomicBool::new(false),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The record, if it is here.
    pub(super) fn get(&self, id: GrantId) -> Option<Arc<Grant>> {
        let mut state = self.state.lock();
        let known = state.codes.get(&id).cloned().or_else(|| state.recent.get(&id).cloned());
        let count = if known.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Relaxed);
        known
    }

    pub(super) fn code(&self, id: GrantId) -> Option<Arc<Grant>> {
        self.state.lock().codes.get(&id).cloned()
    }

    /// False if there is one already, other than this.
    pub(super) fn put_code(&self, code: &Arc<Grant>) -> bool {
        let mut state = self.state.lock();
        let own = state.codes.entry(code.id()).or_insert_with(|| Arc::clone(code));
        Arc::ptr_eq(own, code)
    }

    pub(super) fn take_code(&self, id: GrantId, expected: Option<Revision>) -> Remove {
        let mut state = self.state.lock();
        match state.codes.get(&id) {
            None => Remove::Absent,
            Some(code) if expected.is_some_and(|expected| expected != code.revision()) => Remove::Changed,
            Some(_) => {
                state.codes.remove(&id);
                Remove::Removed
            }
        }
    }

    /// The codes that match, in the order of their ids.
    pub(super) fn codes(&self, query: &GrantQuery) -> Vec<Arc<Grant>> {
        let is_wanted =
            |code: &&Arc<Grant>| query.start().is_none_or(|start| code.id() > start) && query.matches(code);
        let mut codes: Vec<_> = self.state.lock().codes.values().filter(is_wanted).cloned().collect();
        codes.sort_unstable_by_key(|code| code.id());
        codes
    }

    /// Drops up to `limit` codes that have expired at `cutoff`, and all else that has from memory;
    /// says how many codes.
    pub(super) fn purge(&self, cutoff: Timestamp, limit: usize) -> usize {
        let mut state = self.state.lock();
        let before = state.codes.len();
        let mut left = limit;
        state.codes.retain(|_, code| {
            let goes = left > 0 && code.is_expired(cutoff);
            left -= usize::from(goes);
            !goes
        });
        let codes = before - state.codes.len();
        let expired: Vec<_> =
            state.recent.iter().filter(|(_, grant)| grant.is_expired(cutoff)).map(|(id, _)| *id).collect();
        for id in expired {
            state.recent.pop(&id);
        }
        codes
    }

    pub(super) fn has_room(&self) -> bool {
        self.on_disk.load(Relaxed).saturating_add(self.state.lock().codes.len()) < self.disk
    }

    pub(super) fn is_uncertain(&self) -> bool {
        self.is_uncertain.load(Relaxed)
    }

    pub(super) fn counted(&self, on_disk: usize) {
        self.on_disk.store(on_disk, Relaxed);
        self.is_uncertain.store(false, Relaxed);
    }

    pub(super) fn added(&self) {
        self.on_disk.fetch_add(1, Relaxed);
    }

    pub(super) fn removed(&self, count: usize) {
        let _ = self.on_disk.fetch_update(Relaxed, Relaxed, |own| Some(own.saturating_sub(count)));
    }

    pub(super) fn lost_count(&self) {
        self.is_uncertain.store(true, Relaxed);
    }

    pub(super) fn figures(&self) -> TierFigures {
        let state = self.state.lock();
        TierFigures {
            in_memory: state.recent.len(),
            memory: self.memory.get(),
            codes_in_memory: state.codes.len(),
            on_disk: self.on_disk.load(Relaxed),
            disk: self.disk,
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
        }
    }
}

/// How full the tiers of a [`TieredStore`](super::TieredStore) are, and how useful the upper one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TierFigures {
    /// Records that are in memory, too.
    pub in_memory: usize,
    /// How many may be.
    pub memory: usize,
    /// Codes that are in memory alone. They count as if they were on the disk.
    pub codes_in_memory: usize,
    /// Records on the disk.
    pub on_disk: usize,
    /// How many may be, codes in memory included.
    pub disk: usize,
    /// How many reads were answered from memory since the store was opened.
    pub hits: u64,
    /// How many were not.
    pub misses: u64,
}

/// A record is being read from the disk.
pub(super) struct Reading<'a> {
    tier: &'a Tier,
    id: GrantId,
}

impl<'a> Reading<'a> {
    pub(super) fn begin(tier: &'a Tier, id: GrantId) -> Self {
        tier.state.lock().reading.entry(id).or_default().count += 1;
        Self { tier, id }
    }

    /// Keeps what was read, unless it may be old.
    pub(super) fn keep(self, grant: &Arc<Grant>) {
        let mut state = self.tier.state.lock();
        let is_late = state.reading.get(&self.id).is_none_or(|readers| readers.are_late);
        if !is_late && !state.writing.contains_key(&self.id) {
            state.recent.put(self.id, Arc::clone(grant));
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut state = self.tier.state.lock();
        if let Some(readers) = state.reading.get_mut(&self.id) {
            readers.count -= 1;
            if readers.count == 0 {
                state.reading.remove(&self.id);
            }
        }
    }
}

/// A record is being written. It is not in memory until that has ended.
pub(super) struct Writing {
    tier: Arc<Tier>,
    id: GrantId,
    effect: Effect,
}

impl Writing {
    pub(super) fn begin(tier: &Arc<Tier>, id: GrantId) -> Self {
        let mut state = tier.state.lock();
        state.recent.pop(&id);
        *state.writing.entry(id).or_default() += 1;
        state.outdate_readers(id);
        drop(state);
        Self { tier: Arc::clone(tier), id, effect: Effect::Unknown }
    }

    pub(super) fn end(mut self, effect: Effect) {
        self.effect = effect;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut state = self.tier.state.lock();
        // Those that began while it was written may have read either.
        state.outdate_readers(self.id);
        let others = state.writing.get(&self.id).map_or(0, |count| count - 1);
        if others == 0 {
            state.writing.remove(&self.id);
        } else {
            state.writing.insert(self.id, others);
        }
        match std::mem::replace(&mut self.effect, Effect::Unknown) {
            Effect::Unknown => {}
            Effect::Gone => drop(state.codes.remove(&self.id)),
            Effect::OnDisk(grant) => {
                state.codes.remove(&self.id);
                // Who writes after this one knows better.
                if others == 0 {
                    state.recent.put(self.id, grant);
                }
            }
        }
    }
}
