//! One shard: some of the records, and when they expire.

use std::sync::Arc;

use hashbrown::{HashMap, HashTable};

use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::{ClientId, GrantId};

use super::super::{GrantQuery, Insert, Remove};
use super::budget::{Amount, Budget};
use super::expiry::{Expiry, NEVER};
use super::room::{Room, Wanted};

/// A grant with its key, so that a table is searched and moved without a look at its grants, which
/// are all over the memory.
pub(super) struct Record {
    key: u64,
    grant: Arc<Grant>,
}

impl Record {
    fn is(&self, key: u64, id: GrantId) -> bool {
        self.key == key && self.grant.id() == id
    }
}

#[derive(Default)]
pub(super) struct Shard {
    records: HashTable<Record>,
    /// When to look at which record, the soonest first: each is looked at no later than it ends.
    /// An end that moves away, which most do, leaves an entry as it is, and there are left-over
    /// ones that mean nothing.
    expiry: Expiry,
    /// What each client holds here; counted only while room is short, and out of the way else.
    clients: Option<Box<Held>>,
}

type Held = HashMap<ClientId, Amount>;

/// How many entries that mean nothing the index of an empty shard may have.
const LEFT_OVERS: usize = 64;

/// What became of the record whose turn it was.
pub(super) enum Due {
    /// None is due.
    Nothing,
    /// It is still live, or gone already.
    Later,
    /// For the caller to drop when the lock is released.
    Removed(#[expect(dead_code, reason = "it is there to be dropped")] Arc<Grant>),
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&self, id: GrantId) -> Option<&Arc<Grant>> {
        let key = key(id);
        self.records.find(key, |record| record.is(key, id)).map(|record| &record.grant)
    }

    /// Gives `grant` back if there is no room for it.
    pub(super) fn insert(&mut self, grant: Arc<Grant>, budget: &Budget) -> Result<Insert, Arc<Grant>> {
        if self.get(grant.id()).is_some() {
            return Ok(Insert::Occupied);
        }
        if !self.reserve(grant.client(), Amount::of(&grant), budget) {
            return Err(grant);
        }
        let key = key(grant.id());
        self.expiry.enter(due_of(&grant), key);
        self.records.insert_unique(key, Record { key, grant }, |record| record.key);
        Ok(Insert::Inserted)
    }

    /// The record that was replaced; `None` if none is at `expected`. Gives `grant` back if
    /// there is no room for it.
    pub(super) fn replace(
        &mut self,
        grant: Arc<Grant>,
        expected: Revision,
        budget: &Budget,
    ) -> Result<Option<Arc<Grant>>, Arc<Grant>> {
        let Some(old) = self.get(grant.id()).filter(|old| old.revision() == expected) else {
            return Ok(None);
        };
        let (old_size, size) = (old.size(), grant.size());
        if !self.resize(grant.client(), old_size, size, budget) {
            return Err(grant);
        }
        let (key, id) = (key(grant.id()), grant.id());
        let Some(record) = self.records.find_mut(key, |record| record.is(key, id)) else { return Ok(None) };
        if due_of(&grant) < due_of(&record.grant) {
            self.expiry.enter(due_of(&grant), key);
        }
        Ok(Some(std::mem::replace(&mut record.grant, grant)))
    }

    /// The record that was removed.
    pub(super) fn remove(
        &mut self,
        id: GrantId,
        expected: Option<Revision>,
        budget: &Budget,
    ) -> Result<Arc<Grant>, Remove> {
        let key = key(id);
        let Ok(entry) = self.records.find_entry(key, |record| record.is(key, id)) else {
            return Err(Remove::Absent);
        };
        if expected.is_some_and(|expected| expected != entry.get().grant.revision()) {
            return Err(Remove::Changed);
        }
        let (Record { grant, .. }, _) = entry.remove();
        self.release(grant.client(), Amount::of(&grant), budget);
        Ok(grant)
    }

    /// Looks at the record whose turn it is, and removes it if it has expired at `now`.
    pub(super) fn look_at_due(&mut self, now: Timestamp, budget: &Budget) -> Due {
        let Some(key) = self.expiry.take_due(now) else { return Due::Nothing };
        let is_over = |record: &Record| record.key == key && record.grant.is_expired(now);
        if let Ok(entry) = self.records.find_entry(key, is_over) {
            let (Record { grant, .. }, _) = entry.remove();
            self.release(grant.client(), Amount::of(&grant), budget);
            return Due::Removed(grant);
        }
        // Its end has moved away, or it is gone.
        if let Some(record) = self.records.find(key, |record| record.key == key) {
            self.expiry.enter(due_of(&record.grant), key);
        }
        Due::Later
    }

    /// Up to `most` grants that the query asks for, those with the lowest ids, in no order.
    pub(super) fn matching(&self, query: &GrantQuery, most: usize) -> Vec<Arc<Grant>> {
        let in_page = |grant: &&Arc<Grant>| query.start().is_none_or(|start| grant.id() > start);
        let mut found: Vec<(GrantId, &Arc<Grant>)> = self
            .records
            .iter()
            .map(|record| &record.grant)
            .filter(in_page)
            .filter(|grant| query.matches(grant))
            .map(|grant| (grant.id(), grant))
            .collect();
        if found.len() > most {
            found.select_nth_unstable_by_key(most, |(id, _)| *id);
            found.truncate(most);
        }
        found.into_iter().map(|(_, grant)| Arc::clone(grant)).collect()
    }

    /// Is there room for one more record?
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.records.len() < self.records.capacity() && self.expiry.has_room()
    }

    /// What the next write may be short of.
    pub(super) fn wanted(&self) -> Wanted {
        let records = if self.records.len() == self.records.capacity() { self.more_places() } else { 0 };
        if self.has_left_overs() {
            return Wanted { records, queue: 0, others: self.records.len() + LEFT_OVERS };
        }
        let (queue, others) = self.expiry.wanted();
        Wanted { records, queue, others }
    }

    /// A table is full when places that were given up cannot be used again, too. It is made anew then,
    /// and larger if it is well filled.
    fn more_places(&self) -> usize {
        let places = match self.records.num_buckets() {
            buckets @ ..8 => buckets.saturating_sub(1),
            buckets => buckets / 8 * 7,
        };
        if places == 0 || self.records.len() > places / 4 * 3 { places + 1 } else { places }
    }

    /// Goes on in what `room` has more of, and leaves what it had there.
    pub(super) fn take(&mut self, room: &mut Room) {
        if room.records.capacity() > self.records.len() {
            for record in self.records.drain() {
                room.records.insert_unique(record.key, record, |record| record.key);
            }
            std::mem::swap(&mut self.records, &mut room.records);
        }
        // Others may have done it, or added records, while the lock was not held.
        if self.has_left_overs() && room.others.capacity() >= self.records.len() {
            let entries = self.records.iter().map(|record| (due_of(&record.grant), record.key));
            self.expiry.renew(entries, &mut room.queue, &mut room.others);
        } else {
            self.expiry.take(&mut room.queue, &mut room.others);
        }
    }

    /// Does most of the index mean nothing?
    #[inline]
    pub(super) fn has_left_overs(&self) -> bool {
        self.expiry.len() > 2 * self.records.len() + LEFT_OVERS
    }

    fn resize(&mut self, client: &ClientId, from: usize, to: usize, budget: &Budget) -> bool {
        let change = Amount { records: 0, bytes: from.abs_diff(to) };
        if to > from {
            return self.reserve(client, change, budget);
        }
        if to < from {
            self.release(client, change, budget);
        }
        true
    }

    fn reserve(&mut self, client: &ClientId, more: Amount, budget: &Budget) -> bool {
        let held = self.held_by(client, budget);
        if !budget.reserve(more, held) {
            return false;
        }
        if let Some(clients) = &mut self.clients {
            let held = clients.entry_ref(client).or_default();
            *held = *held + more;
        }
        true
    }

    /// What the client holds here, if it matters.
    fn held_by(&mut self, client: &ClientId, budget: &Budget) -> Amount {
        if budget.is_short() {
            let clients = self.clients.get_or_insert_with(|| Box::new(count(&self.records)));
            return clients.get(client).copied().unwrap_or_default();
        }
        if self.clients.is_some() && budget.has_plenty() {
            self.clients = None;
        }
        Amount::default()
    }

    fn release(&mut self, client: &ClientId, less: Amount, budget: &Budget) {
        budget.release(less);
        let Some(clients) = &mut self.clients else { return };
        let Some(held) = clients.get_mut(client) else { return };
        held.records = held.records.saturating_sub(less.records);
        held.bytes = held.bytes.saturating_sub(less.bytes);
        if held.records == 0 {
            clients.remove(client);
        }
    }
}

fn count(records: &HashTable<Record>) -> Held {
    let mut clients = Held::new();
    for Record { grant, .. } in records {
        let held = clients.entry_ref(grant.client()).or_default();
        *held = *held + Amount::of(grant);
    }
    clients
}

#[cfg(test)]
impl Shard {
    /// Will each record be looked at in time, and is the index as small as it should be?
    pub(super) fn is_index_right(&self) -> bool {
        let in_time = |record: &Record| {
            let due = due_of(&record.grant);
            due == NEVER || self.expiry.contains(key(record.grant.id()), due)
        };
        self.expiry.is_in_order()
            && self.records.iter().all(in_time)
            // One write may go beyond it, by its own record and by those it looked at.
            && self.expiry.len() <= 2 * self.records.len() + LEFT_OVERS + 3
    }

    /// What it can hold without more memory.
    pub(super) fn capacities(&self) -> (usize, (usize, usize)) {
        (self.records.num_buckets(), self.expiry.capacities())
    }

    pub(super) fn clients(&self) -> Option<&Held> {
        self.clients.as_deref()
    }
}

fn due_of(grant: &Grant) -> Timestamp {
    grant.expires_at().unwrap_or(NEVER)
}

/// Ids are random: eight bytes of one, other than those that choose the shard, are a hash.
fn key(id: GrantId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *id.as_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}
