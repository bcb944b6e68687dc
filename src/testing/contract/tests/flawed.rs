mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sync::Mutex;

use crate::clock::Timestamp;
use crate::grant::Grant;
use crate::id::GrantId;
use crate::store::Page;
use crate::testing::reference::Reference;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::testing::contract) enum Flaw {
    InsertDoesNothing,
    InsertOverwrites,
    InsertChecksThenWrites,
    InsertCopiesAcrossYield,
    InsertKeepsHalfIds,
    LoadRemembers,
    LoadRemembersNothing,
    LoadRemembersRemoved,
    LoadIsLate,
    LoadRecentInvents,
    ReplaceIgnoresRevision,
    ReplaceComparesOrder,
    ReplaceComparesHalf,
    ReplaceDoesNothing,
    ReplaceSaysChanged,
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
    FindShowsRemoved,
    PurgeDoesNothing,
    PurgeForgetsReplaced,
    PurgeIgnoresDelay,
    PurgeIgnoresLimit,
    PurgeRemembersExpiry,
    PurgeTakesNeverForZero,
    PurgeChecksThenDeletes,
}

/// A flaw, and what shows it.
pub(in crate::testing::contract) struct Known {
    pub(in crate::testing::contract) flaw: Flaw,
    /// For the guide.
    pub(in crate::testing::contract) text: &'static str,
    /// The rules of the contract that it breaks at least.
    pub(in crate::testing::contract) contract: &'static [&'static str],
    /// The rules that pairs of requests break at least, where calls overlap.
    pub(in crate::testing::contract) protocol: &'static [&'static str],
}

pub(in crate::testing::contract) const FLAWS: &[Known] = &[
    Known {
        flaw: Flaw::InsertDoesNothing,
        text: "says `Inserted` and writes nothing",
        contract: &["insert_load", "dropped_insert"],
        protocol: &["protocol_stays", "protocol_records"],
    },
    Known {
        flaw: Flaw::InsertOverwrites,
        text: "inserts over a record that is there",
        contract: &["insert_occupied", "race_insert"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::InsertChecksThenWrites,
        text: "looks whether the id is free, waits, then writes",
        contract: &["race_insert", "race_insert_remove"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::InsertCopiesAcrossYield,
        text: "copies the table, waits, and puts the copy back",
        contract: &["race_apart", "race_insert"],
        protocol: &["protocol_stays", "protocol_records"],
    },
    Known {
        flaw: Flaw::InsertKeepsHalfIds,
        text: "takes two ids for one if their first halves agree",
        contract: &["insert_near"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::LoadRemembers,
        text: "a cache that no write clears",
        contract: &["replace_visible", "replace_changed", "race_update"],
        protocol: &["protocol_stays", "protocol_login"],
    },
    Known {
        flaw: Flaw::LoadRemembersNothing,
        text: "a cache that keeps that a record was not there",
        contract: &["load_unknown", "insert_after_remove"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::LoadRemembersRemoved,
        text: "a cache that a removal does not clear",
        contract: &["remove_expected", "remove_any", "insert_after_remove"],
        protocol: &["protocol_ends", "protocol_records"],
    },
    Known {
        flaw: Flaw::LoadIsLate,
        text: "reads from a replica that is one write behind",
        contract: &["replace_visible", "race_update"],
        protocol: &["protocol_stays"],
    },
    Known {
        flaw: Flaw::LoadRecentInvents,
        text: "gives another record for `Recent`",
        contract: &["load_recent"],
        protocol: &["protocol_stays", "protocol_ends"],
    },
    Known {
        flaw: Flaw::ReplaceIgnoresRevision,
        text: "forgets to compare the revision",
        contract: &["replace_changed", "race_replace", "race_update"],
        protocol: &["protocol_single_use", "protocol_one_successor", "protocol_limit"],
    },
    Known {
        flaw: Flaw::ReplaceComparesOrder,
        text: "writes over any earlier revision",
        contract: &["replace_changed"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::ReplaceComparesHalf,
        text: "compares 32 of 64 bits of the revision",
        contract: &["replace_near"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::ReplaceDoesNothing,
        text: "says `Replaced` and writes nothing",
        contract: &["replace_visible", "purge_moved_expiry", "find_current", "race_apart"],
        protocol: &["protocol_single_use", "protocol_stays", "protocol_login"],
    },
    Known {
        flaw: Flaw::ReplaceSaysChanged,
        text: "writes and says `Changed`",
        contract: &["replace_visible", "race_replace"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::ReplaceRecreates,
        text: "writes a record that is gone",
        contract: &["replace_missing", "replace_removed", "race_remove_replace", "race_remove_any"],
        protocol: &["protocol_records"],
    },
    Known {
        flaw: Flaw::ReplaceRecreatesAtNext,
        text: "takes a write that was sent twice for the first of its record",
        contract: &["replace_removed"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::ReplaceChecksThenWrites,
        text: "compares, waits, then writes",
        contract: &["race_replace", "race_update", "race_remove_replace", "race_remove_any"],
        protocol: &["protocol_single_use", "protocol_one_successor", "protocol_limit"],
    },
    Known {
        flaw: Flaw::ReplaceDeletesFirst,
        text: "deletes, waits, then inserts",
        contract: &["race_load", "dropped_replace"],
        protocol: &["protocol_records"],
    },
    Known {
        flaw: Flaw::ReplaceLocksAcrossYield,
        text: "takes a lock, waits, and keeps it if the caller goes",
        contract: &["dropped_replace"],
        protocol: &["protocol_answers"],
    },
    Known {
        flaw: Flaw::RemoveIgnoresExpected,
        text: "removes at any revision",
        contract: &["remove_changed", "race_remove_replace"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::RemoveAnyReadsFirst,
        text: "removes at the revision it read before",
        contract: &["race_remove_any"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::RemoveDoesNothing,
        text: "says `Removed` and removes nothing",
        contract: &["remove_expected", "remove_any", "dropped_remove"],
        protocol: &["protocol_records"],
    },
    Known {
        flaw: Flaw::RemoveLeavesTombstone,
        text: "an id that was removed is taken for ever",
        contract: &["insert_after_remove"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::RemoveChecksThenDeletes,
        text: "compares, waits, then deletes",
        contract: &["race_remove", "race_remove_replace"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::RemoveSaysRemoved,
        text: "says `Removed` of what is not there",
        contract: &["remove_absent", "race_remove"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::FindLosesLastPage,
        text: "the last page is empty",
        contract: &["find_pages", "find_past_removed"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::FindIgnoresPageSize,
        text: "all grants are one page",
        contract: &["find_pages"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::FindIgnoresCase,
        text: "takes names for one that differ by case",
        contract: &["find_matching"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::FindStartsAtCursor,
        text: "a page begins with the last of the one before",
        contract: &["find_pages"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::FindSeeksCursor,
        text: "there is nothing after a cursor whose grant is gone",
        contract: &["find_past_removed"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::FindRemembers,
        text: "a page that no write clears",
        contract: &["find_current"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::FindShowsRemoved,
        text: "an index that a removal leaves alone",
        contract: &["find_current"],
        protocol: &["protocol_records"],
    },
    Known {
        flaw: Flaw::PurgeDoesNothing,
        text: "never deletes",
        contract: &["purge_delay", "purge_limit"],
        protocol: &["protocol_records"],
    },
    Known {
        flaw: Flaw::PurgeForgetsReplaced,
        text: "loses the end of a record when it is replaced",
        contract: &["purge_moved_expiry", "purge_new_expiry"],
        protocol: &["protocol_records"],
    },
    Known {
        flaw: Flaw::PurgeIgnoresDelay,
        text: "deletes at the end, not a minute later",
        contract: &["purge_delay"],
        protocol: &["protocol_answers"],
    },
    Known {
        flaw: Flaw::PurgeIgnoresLimit,
        text: "deletes all at once",
        contract: &["purge_limit"],
        protocol: &[],
    },
    Known {
        flaw: Flaw::PurgeRemembersExpiry,
        text: "deletes by the end that a record had first",
        contract: &["purge_moved_expiry", "purge_new_expiry"],
        protocol: &["protocol_answers"],
    },
    Known {
        flaw: Flaw::PurgeTakesNeverForZero,
        text: "deletes what never ends",
        contract: &["purge_never"],
        protocol: &["protocol_records"],
    },
    Known {
        flaw: Flaw::PurgeChecksThenDeletes,
        text: "finds what has expired, waits, then deletes",
        contract: &["race_purge_replace"],
        protocol: &[],
    },
];

/// A correct store but for one thing.
pub(in crate::testing::contract) struct Flawed {
    flaw: Flaw,
    inner: Reference,
    /// What a flaw keeps beside the records: what it read or wrote before, what was removed,
    /// or what is locked.
    kept: Mutex<BTreeMap<GrantId, Option<Arc<Grant>>>>,
    first_page: Mutex<Option<Page>>,
}

impl Flawed {
    pub(in crate::testing::contract) fn new(flaw: Flaw) -> Self {
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
