//! A map that is read without a lock.

use std::hash::BuildHasher;
use std::iter;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::{DefaultHashBuilder, HashTable};

/// A map from the name of a thing to the thing, in several parts.
pub(super) struct Snapshots<T> {
    name: fn(&T) -> &str,
    hasher: DefaultHashBuilder,
    parts: Box<[ArcSwap<HashTable<Arc<T>>>]>,
}

const PARTS: usize = 64;

impl<T> Snapshots<T> {
    pub(super) fn new(name: fn(&T) -> &str, things: impl Iterator<Item = Arc<T>>) -> Self {
        let parts = iter::repeat_with(ArcSwap::default).take(PARTS).collect();
        let map = Self { name, hasher: DefaultHashBuilder::default(), parts };
        let mut tables: Vec<_> = iter::repeat_with(HashTable::new).take(PARTS).collect();
        for thing in things {
            let hash = map.hash(name(&thing));
            if let Some(table) = tables.get_mut(part_of(hash)) {
                map.put(table, hash, thing);
            }
        }
        for (part, table) in map.parts.iter().zip(tables) {
            part.store(Arc::new(table));
        }
        map
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<T>> {
        let hash = self.hash(name);
        self.part(hash).load().find(hash, |thing| (self.name)(thing) == name).cloned()
    }

    pub(super) fn insert(&self, thing: &Arc<T>) -> Option<Arc<T>> {
        let hash = self.hash((self.name)(thing));
        let mut old = None;
        self.part(hash).rcu(|table| {
            let mut table = HashTable::clone(table);
            old = self.put(&mut table, hash, Arc::clone(thing));
            table
        });
        old
    }

    pub(super) fn remove(&self, name: &str) -> Option<Arc<T>> {
        let hash = self.hash(name);
        let mut old = None;
        self.part(hash).rcu(|table| {
            let mut table = HashTable::clone(table);
            let entry = table.find_entry(hash, |thing| (self.name)(thing) == name);
            old = entry.ok().map(|entry| entry.remove().0);
            table
        });
        old
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.load().len()).sum()
    }

    fn put(&self, table: &mut HashTable<Arc<T>>, hash: u64, thing: Arc<T>) -> Option<Arc<T>> {
        let name = (self.name)(&thing);
        if let Some(old) = table.find_mut(hash, |old| (self.name)(old) == name) {
            return Some(std::mem::replace(old, thing));
        }
        table.insert_unique(hash, thing, |thing| self.hash((self.name)(thing)));
        None
    }

    fn hash(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }

    #[expect(clippy::indexing_slicing, reason = "`part_of` is less than the number of parts")]
    fn part(&self, hash: u64) -> &ArcSwap<HashTable<Arc<T>>> {
        &self.parts[part_of(hash)]
    }
}

/// By bits that the tables make little use of.
fn part_of(hash: u64) -> usize {
    usize::from(hash.to_le_bytes()[5]) % PARTS
}
