//! Room to grow. A shard says what it is short of, the memory is had while its lock is not held,
//! since an allocator may take its time, and what was in the old place is moved under the lock.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::MutexGuard;

use hashbrown::HashTable;

use crate::sync::Mutex;

use super::expiry::Entry;
use super::shard::{Record, Shard};

/// How many entries are wanted of each part; none where there is enough.
pub(super) struct Wanted {
    pub(super) records: usize,
    pub(super) queue: usize,
    pub(super) others: usize,
}

/// New and empty before a shard takes it, old and empty after that.
#[derive(Default)]
pub(super) struct Room {
    pub(super) records: HashTable<Record>,
    pub(super) queue: VecDeque<Entry>,
    pub(super) others: Vec<Reverse<Entry>>,
}

impl Room {
    fn of(wanted: &Wanted) -> Self {
        Self {
            records: HashTable::with_capacity(wanted.records),
            queue: VecDeque::with_capacity(wanted.queue),
            others: Vec::with_capacity(wanted.others),
        }
    }
}

/// The shard, with room for one more record. What it gave up for that goes to `given_up`, to be
/// dropped once the lock is released.
#[inline]
pub(super) fn lock_to_add<'a>(shard: &'a Mutex<Shard>, given_up: &mut Option<Room>) -> MutexGuard<'a, Shard> {
    let guard = shard.lock();
    if guard.has_room() && !guard.has_left_overs() { guard } else { move_out(shard, guard, given_up) }
}

/// The shard, with an index that is as small as it should be.
#[inline]
pub(super) fn lock_to_change<'a>(
    shard: &'a Mutex<Shard>,
    given_up: &mut Option<Room>,
) -> MutexGuard<'a, Shard> {
    let guard = shard.lock();
    if guard.has_left_overs() { move_out(shard, guard, given_up) } else { guard }
}

#[cold]
fn move_out<'a>(
    shard: &'a Mutex<Shard>,
    guard: MutexGuard<'a, Shard>,
    given_up: &mut Option<Room>,
) -> MutexGuard<'a, Shard> {
    let wanted = guard.wanted();
    drop(guard);
    let room = given_up.insert(Room::of(&wanted));
    let mut guard = shard.lock();
    guard.take(room);
    guard
}
