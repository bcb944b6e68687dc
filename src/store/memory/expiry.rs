//! When to look at which record of a shard.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::clock::Timestamp;

/// Of what has no end.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

pub(super) type Entry = (Timestamp, u64);

/// By how many entries what is full becomes longer at least.
const STEP: usize = 4;

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

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < self.queue.capacity()
            && (self.others.is_empty() || self.others.len() < self.others.capacity())
    }

    /// How long the queue and the others should be made; 0 where there is room. What a write looks at
    /// gives up the place that it takes again.
    pub(super) fn wanted(&self) -> (usize, usize) {
        // What doubles would be half empty.
        let longer = |length: usize, capacity: usize| {
            if length == capacity { length + length / 4 + STEP } else { 0 }
        };
        // Most shards have no others.
        let others =
            if self.others.is_empty() { 0 } else { longer(self.others.len(), self.others.capacity()) };
        (longer(self.queue.len(), self.queue.capacity()), others)
    }

    /// Goes on in these where they have more room, and leaves what it had.
    pub(super) fn take(&mut self, queue: &mut VecDeque<Entry>, others: &mut Vec<Reverse<Entry>>) {
        if queue.capacity() > self.queue.len() {
            queue.extend(self.queue.drain(..));
            std::mem::swap(&mut self.queue, queue);
        }
        if others.capacity() > self.others.len() {
            let mut old = std::mem::take(&mut self.others).into_vec();
            others.append(&mut old);
            self.others = std::mem::replace(others, old).into();
        }
    }

    /// All entries anew, in `others`, which has room for them; leaves what it had.
    pub(super) fn renew(
        &mut self,
        entries: impl Iterator<Item = Entry>,
        queue: &mut VecDeque<Entry>,
        others: &mut Vec<Reverse<Entry>>,
    ) {
        std::mem::swap(&mut self.queue, queue);
        others.extend(entries.filter(|entry| entry.0 != NEVER).map(Reverse));
        let old = std::mem::take(&mut self.others).into_vec();
        self.others = std::mem::replace(others, old).into();
        self.first = self.soonest();
    }

    fn soonest(&self) -> Timestamp {
        let in_queue = self.queue.front().map_or(NEVER, |entry| entry.0);
        self.others.peek().map_or(in_queue, |Reverse(entry)| in_queue.min(entry.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Expiry {
        /// What it can hold without more memory.
        pub(in super::super) fn capacities(&self) -> (usize, usize) {
            (self.queue.capacity(), self.others.capacity())
        }

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

    fn make_room(expiry: &mut Expiry) {
        let (queue, others) = expiry.wanted();
        expiry.take(&mut VecDeque::with_capacity(queue), &mut Vec::with_capacity(others));
    }

    #[test]
    fn a_long_queue_is_never_half_empty() {
        let mut expiry = Expiry::default();
        for key in 0..10_000 {
            make_room(&mut expiry);
            expiry.enter(at(key), key);
            let spare = expiry.queue.capacity() - expiry.queue.len();
            assert!(
                (0..=expiry.queue.len() / 4 + STEP).contains(&spare),
                "{spare} of {}",
                expiry.queue.len()
            );
        }
    }

    #[test]
    fn what_is_due_comes_first_however_it_was_entered() {
        let dues = [50, 20, 60, 60, 10, 70, 55, u64::MAX, 20];
        let mut entered = Expiry::default();
        for (key, due) in (0..).zip(dues) {
            make_room(&mut entered);
            entered.enter(at(due), key);
            assert!(entered.is_in_order());
        }
        let mut renewed = Expiry::default();
        renewed.enter(at(1), 100);
        renewed.renew(dues.into_iter().map(at).zip(0..), &mut VecDeque::new(), &mut Vec::new());
        for mut expiry in [entered, renewed] {
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
