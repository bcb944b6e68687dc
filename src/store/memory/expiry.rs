//! When to look at which record of a shard.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::clock::Timestamp;

/// Of what has no end.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

type Entry = (Timestamp, u64);

pub(super) struct Expiry {
    /// When the first entry is due, here beside the lock: most writes need not look further.
    first: Timestamp,
    /// In order. Most records live equally long, so that the newest ends last.
    queue: VecDeque<Entry>,
    /// What ends before something that was there already.
    others: BinaryHeap<Reverse<Entry>>,
}

impl Default for Expiry {
    fn default() -> Self {
        Self { first: NEVER, queue: VecDeque::new(), others: BinaryHeap::new() }
    }
}

impl Expiry {
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.others.len()
    }

    pub(super) fn enter(&mut self, due: Timestamp, key: u64) {
        if due == NEVER {
            return;
        }
        let entry = (due, key);
        if self.queue.back().is_none_or(|last| last.0 <= due) {
            self.make_room();
            self.queue.push_back(entry);
        } else {
            self.others.push(Reverse(entry));
        }
        self.first = self.first.min(due);
    }

    /// Takes the first entry out if it is due at `now`.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<u64> {
        if self.first > now {
            return None;
        }
        let in_queue = self.queue.front().is_some_and(|entry| entry.0 == self.first);
        let taken =
            if in_queue { self.queue.pop_front() } else { self.others.pop().map(|Reverse(entry)| entry) };
        self.first = self.soonest();
        taken.map(|(_, key)| key)
    }

    /// A queue that doubles would be half empty.
    fn make_room(&mut self) {
        if self.queue.len() == self.queue.capacity() {
            self.queue.reserve_exact(self.queue.len() / 4 + 4);
        }
    }

    fn soonest(&self) -> Timestamp {
        let in_queue = self.queue.front().map_or(NEVER, |entry| entry.0);
        self.others.peek().map_or(in_queue, |Reverse(entry)| in_queue.min(entry.0))
    }
}

impl FromIterator<Entry> for Expiry {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let others = entries.into_iter().filter(|entry| entry.0 != NEVER).map(Reverse).collect();
        let mut expiry = Self { others, ..Self::default() };
        expiry.first = expiry.soonest();
        expiry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Expiry {
        /// Is there an entry for `key` that is due at `end` or before?
        pub(in super::super) fn contains(&self, key: u64, end: Timestamp) -> bool {
            let others = self.others.iter().map(|Reverse(entry)| entry);
            self.queue.iter().chain(others).any(|entry| entry.1 == key && entry.0 <= end)
        }

        pub(in super::super) fn is_in_order(&self) -> bool {
            self.first == self.soonest() && self.queue.iter().is_sorted_by_key(|entry| entry.0)
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_long_queue_is_never_half_empty() {
        let mut expiry = Expiry::default();
        for key in 0..10_000 {
            expiry.enter(at(key), key);
            let spare = expiry.queue.capacity() - expiry.queue.len();
            assert!(spare <= expiry.queue.len() / 4 + 4, "{spare} of {}", expiry.queue.len());
        }
    }

    #[test]
    fn what_is_due_comes_first_however_it_was_entered() {
        let dues = [50, 20, 60, 60, 10, 70, 55, u64::MAX, 20];
        let mut entered = Expiry::default();
        for (key, due) in (0..).zip(dues) {
            entered.enter(at(due), key);
            assert!(entered.is_in_order());
        }
        let collected: Expiry = dues.into_iter().map(at).zip(0..).collect();
        for mut expiry in [entered, collected] {
            assert_eq!(expiry.len(), 8);
            assert_eq!(expiry.take_due(at(9)), None);
            let mut taken = Vec::new();
            for now in [10, 59, 70] {
                while let Some(key) = expiry.take_due(at(now)) {
                    taken.push(dues[usize::try_from(key).unwrap()]);
                    assert!(expiry.is_in_order());
                }
            }
            assert_eq!(taken, [10, 20, 20, 50, 55, 60, 60, 70]);
            assert_eq!((expiry.len(), expiry.take_due(NEVER)), (0, None));
        }
    }
}
