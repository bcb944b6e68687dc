//! One shard: some of the records, and when they expire.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::{HashMap, HashTable};

use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::{ClientId, GrantId};

use super::super::{GrantQuery, Insert, Remove};
use super::budget::{Amount, Budget};

#[derive(Default)]
pub(super) struct Shard {
    records: HashTable<Record>,
    /// Exactly one entry for each record that expires, the soonest first.
    expiry: BTreeSet<(Timestamp, u64)>,
    clients: HashMap<ClientId, Amount>,
}

struct Record {
    /// Beside the grant, so that a growing table need not touch every grant.
    key: u64,
    grant: Arc<Grant>,
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
        let amount = Amount::of(&grant);
        if !self.reserve(grant.client(), amount, budget) {
            return Err(grant);
        }
        let key = key(grant.id());
        if let Some(end) = grant.expires_at() {
            self.expiry.insert((end, key));
        }
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
        let (old_end, end) = (old.expires_at(), grant.expires_at());
        if !self.resize(grant.client(), old_size, size, budget) {
            return Err(grant);
        }
        let (key, id) = (key(grant.id()), grant.id());
        if old_end != end {
            old_end.map(|end| self.expiry.remove(&(end, key)));
            end.map(|end| self.expiry.insert((end, key)));
        }
        let record = self.records.find_mut(key, |record| record.is(key, id));
        Ok(record.map(|record| std::mem::replace(&mut record.grant, grant)))
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
        grant.expires_at().map(|end| self.expiry.remove(&(end, key)));
        self.release(grant.client(), Amount::of(&grant), budget);
        Ok(grant)
    }

    /// Removes one record that has expired at `now`.
    pub(super) fn pop_expired(&mut self, now: Timestamp, budget: &Budget) -> Option<Arc<Grant>> {
        let (end, key) = *self.expiry.first()?;
        if now < end {
            return None;
        }
        self.expiry.pop_first();
        let due = |record: &Record| record.key == key && record.grant.expires_at() == Some(end);
        let (Record { grant, .. }, _) = self.records.find_entry(key, due).ok()?.remove();
        self.release(grant.client(), Amount::of(&grant), budget);
        Some(grant)
    }

    /// Up to `most` grants that the query asks for, those with the lowest ids, in no order.
    pub(super) fn matching(&self, query: &GrantQuery, most: usize) -> Vec<Arc<Grant>> {
        let in_page = |grant: &&Arc<Grant>| query.start().is_none_or(|start| grant.id() > start);
        let grants = self.records.iter().map(|record| &record.grant);
        let mut found: Vec<(GrantId, &Arc<Grant>)> = grants
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
        let held = self.clients.get_mut(client);
        if !budget.reserve(more, held.as_deref().copied().unwrap_or_default()) {
            return false;
        }
        match held {
            Some(held) => *held = *held + more,
            None => {
                self.clients.insert(client.clone(), more);
            }
        }
        true
    }

    fn release(&mut self, client: &ClientId, less: Amount, budget: &Budget) {
        budget.release(less);
        let Some(held) = self.clients.get_mut(client) else { return };
        held.records = held.records.saturating_sub(less.records);
        held.bytes = held.bytes.saturating_sub(less.bytes);
        if held.records == 0 {
            self.clients.remove(client);
        }
    }
}

#[cfg(test)]
impl Shard {
    pub(super) fn expiring(&self) -> usize {
        self.expiry.len()
    }

    pub(super) fn clients(&self) -> &HashMap<ClientId, Amount> {
        &self.clients
    }
}

impl Record {
    fn is(&self, key: u64, id: GrantId) -> bool {
        self.key == key && self.grant.id() == id
    }
}

/// Ids are random: eight bytes of one, other than those that choose the shard, are a hash.
fn key(id: GrantId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *id.as_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}
