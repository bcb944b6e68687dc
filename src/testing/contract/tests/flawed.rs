mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::grant::Grant;
use crate::id::GrantId;
use crate::store::Page;
use crate::testing::reference::Reference;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    InsertDoesNothing,
    InsertOverwrites,
    InsertChecksThenWrites,
    InsertCopiesAcrossYield,
    LoadRemembers,
    LoadRemembersNothing,
    LoadRecentInvents,
    ReplaceIgnoresRevision,
    ReplaceComparesOrder,
    ReplaceDoesNothing,
    ReplaceRecreates,
    ReplaceRecreatesAtNext,
    ReplaceChecksThenWrites,
    ReplaceDeletesFirst,
    ReplaceLocksAcrossYield,
    RemoveIgnoresExpected,
    RemoveAnyReadsFirst,
    RemoveDoesNothing,
    RemoveLeavesTombstone,
    RemoveChecksThenDeletes,
    RemoveSaysRemoved,
    FindLosesLastPage,
    FindIgnoresPageSize,
    FindIgnoresCase,
    FindStartsAtCursor,
    FindSeeksCursor,
    FindRemembers,
    PurgeIgnoresDelay,
    PurgeIgnoresLimit,
    PurgeRemembersExpiry,
    PurgeTakesNeverForZero,
    PurgeChecksThenDeletes,
}

/// Each flaw, and the rules it breaks at least.
pub(super) const FLAWS: &[(Flaw, &[&str])] = &[
    (Flaw::InsertDoesNothing, &["insert_load", "dropped_insert"]),
    (Flaw::InsertOverwrites, &["insert_occupied", "race_insert"]),
    (Flaw::InsertChecksThenWrites, &["race_insert", "race_insert_remove"]),
    (Flaw::InsertCopiesAcrossYield, &["race_apart", "race_insert"]),
    (Flaw::LoadRemembers, &["replace_visible", "replace_changed", "race_update"]),
    (Flaw::LoadRemembersNothing, &["load_unknown", "insert_after_remove"]),
    (Flaw::LoadRecentInvents, &["load_recent"]),
    (Flaw::ReplaceIgnoresRevision, &["replace_changed", "race_replace", "race_update"]),
    (Flaw::ReplaceComparesOrder, &["replace_changed"]),
    (Flaw::ReplaceDoesNothing, &["replace_visible", "purge_moved_expiry", "find_current", "race_apart"]),
    (
        Flaw::ReplaceRecreates,
        &["replace_missing", "replace_removed", "race_remove_replace", "race_remove_any"],
    ),
    (Flaw::ReplaceRecreatesAtNext, &["replace_removed"]),
    (
        Flaw::ReplaceChecksThenWrites,
        &["race_replace", "race_update", "race_remove_replace", "race_remove_any"],
    ),
    (Flaw::ReplaceDeletesFirst, &["race_load", "dropped_replace"]),
    (Flaw::ReplaceLocksAcrossYield, &["dropped_replace"]),
    (Flaw::RemoveIgnoresExpected, &["remove_changed", "race_remove_replace"]),
    (Flaw::RemoveAnyReadsFirst, &["race_remove_any"]),
    (Flaw::RemoveDoesNothing, &["remove_expected", "remove_any", "dropped_remove"]),
    (Flaw::RemoveLeavesTombstone, &["insert_after_remove"]),
    (Flaw::RemoveChecksThenDeletes, &["race_remove", "race_remove_replace"]),
    (Flaw::RemoveSaysRemoved, &["remove_absent", "race_remove"]),
    (Flaw::FindLosesLastPage, &["find_pages", "find_past_removed"]),
    (Flaw::FindIgnoresPageSize, &["find_pages"]),
    (Flaw::FindIgnoresCase, &["find_matching"]),
    (Flaw::FindStartsAtCursor, &["find_pages"]),
    (Flaw::FindSeeksCursor, &["find_past_removed"]),
    (Flaw::FindRemembers, &["find_current"]),
    (Flaw::PurgeIgnoresDelay, &["purge_delay"]),
    (Flaw::PurgeIgnoresLimit, &["purge_limit"]),
    (Flaw::PurgeRemembersExpiry, &["purge_moved_expiry", "purge_new_expiry"]),
    (Flaw::PurgeTakesNeverForZero, &["purge_never"]),
    (Flaw::PurgeChecksThenDeletes, &["race_purge_replace"]),
];

/// A correct store but for one thing.
pub(super) struct Flawed {
    flaw: Flaw,
    inner: Reference,
    /// What a flaw keeps beside the records: the first answer to each load, the first
    /// version of each record, what was removed, or what is locked.
    kept: Mutex<BTreeMap<GrantId, Option<Arc<Grant>>>>,
    first_page: Mutex<Option<Page>>,
}

impl Flawed {
    pub(super) fn new(flaw: Flaw) -> Self {
        Self { flaw, inner: Reference::default(), kept: Mutex::default(), first_page: Mutex::default() }
    }

    fn current(&self, id: GrantId) -> Option<Arc<Grant>> {
        self.inner.grants.lock().get(&id).cloned()
    }

    fn put(&self, grant: Arc<Grant>) {
        self.inner.grants.lock().insert(grant.id(), grant);
    }

    fn delete(&self, id: GrantId) -> bool {
        self.inner.grants.lock().remove(&id).is_some()
    }

    fn expired(&self, before: Timestamp, limit: usize) -> Vec<GrantId> {
        let grants = self.inner.grants.lock();
        let expired = grants.values().filter(|grant| grant.is_expired(before));
        expired.take(limit).map(|grant| grant.id()).collect()
    }
}
