//! The contract holds for a plain correct store, and is broken by each store that is
//! broken on purpose.

pub(in crate::testing::contract) mod flawed;
mod flawed_limiter;
mod flawed_registry;

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::GrantId;
use crate::store::{GrantQuery, Insert, Page, Read, Remove, Replace, TokenStore};
use crate::testing::reference::Reference;
use crate::testing::{Fault, Faults, FaultyStore, LatencyStore, Method, block_on};

use super::*;
use flawed::{Flawed, Known};

#[test]
fn a_correct_store_passes_bare_and_behind_each_wrapper() {
    block_on(async {
        token_store(async || Reference::default()).await?;
        token_store(async || Arc::new(Reference::default())).await?;
        token_store(async || LatencyStore::new(Reference::default())).await?;
        token_store(async || LatencyStore::new(Reference::default()).yields(3)).await?;
        token_store(async || FaultyStore::new(Reference::default(), &Faults::new())).await
    })
    .unwrap();
}

#[test]
fn correct_registries_pass_bare_and_behind_each_wrapper() {
    block_on(async {
        client_store(async |clients| Reference::with_clients(clients)).await?;
        client_registry(async || Reference::default()).await?;
        client_registry(async || Arc::new(LatencyStore::new(Reference::default()))).await?;
        client_registry(async || FaultyStore::new(Reference::default(), &Faults::new())).await?;
        user_store(async |users| Reference::with_users(users)).await?;
        user_registry(async || Reference::default()).await?;
        user_registry(async || Arc::new(LatencyStore::new(Reference::default()))).await?;
        user_registry(async || FaultyStore::new(Reference::default(), &Faults::new())).await
    })
    .unwrap();
}

#[test]
fn each_flaw_breaks_the_rules_that_forbid_it() {
    let broken_rules = |found: Result<(), Violations>| -> Vec<_> {
        found.err().iter().flat_map(Violations::rules).collect()
    };
    for Known { flaw, contract, .. } in flawed::FLAWS {
        let mut broken = broken_rules(block_on(token_store(async || Flawed::new(*flaw))));
        // Some races need a store that takes its time, as real ones do.
        if contract.iter().any(|rule| !broken.contains(rule)) {
            let slow = async || LatencyStore::new(Flawed::new(*flaw));
            broken.extend(broken_rules(block_on(token_store(slow))));
        }
        for rule in *contract {
            assert!(broken.contains(rule), "{flaw:?} should break {rule}, and breaks {broken:?}");
        }
    }
}

#[test]
fn each_rule_is_broken_by_a_flaw() {
    let faults = Faults::new();
    for method in [Method::Insert, Method::Load, Method::Replace, Method::Remove, Method::Find] {
        faults.on(method, Fault::Fail);
    }
    let store = async || FaultyStore::new(Reference::default(), &faults);
    let violations = block_on(token_store(store)).unwrap_err();
    assert!(violations.iter().all(|violation| violation.detail.contains("told to fail")), "{violations}");
    for rule in violations.rules() {
        assert!(flawed::FLAWS.iter().any(|known| known.contract.contains(&rule)), "{rule}");
    }
}

#[test]
fn each_flaw_of_a_registry_breaks_the_rules_that_forbid_it() {
    for (flaw, _, rules) in flawed_registry::FLAWS {
        let broken = block_on(flawed_registry::broken_rules(*flaw));
        for rule in *rules {
            assert!(broken.contains(rule), "{flaw:?}, {rule}: {broken:?}");
        }
    }
}

#[test]
fn a_failure_of_the_store_is_a_violation_with_its_cause() {
    let faults = Faults::new();
    faults.on(Method::Find, Fault::Fail);
    let store = async || FaultyStore::new(Reference::default(), &faults);
    let violations = block_on(token_store(store)).unwrap_err();
    let expected = ["find_matching", "find_pages", "find_current", "find_past_removed"];
    assert!(violations.rules().eq(expected), "{violations}");
    let shown = violations.to_string();
    assert!(shown.starts_with("4 rules of the contract are broken\n"), "{shown}");
    assert!(shown.contains("find failed: the store failed: find was told to fail"), "{shown}");
}

#[test]
fn the_checks_can_run_in_a_spawned_task() {
    fn is_send(_: &impl Send) {}
    is_send(&token_store(async || Reference::default()));
    is_send(&client_registry(async || Reference::default()));
    is_send(&user_registry(async || Reference::default()));
}

#[test]
fn the_guide_lists_what_the_kit_catches() {
    let guide = include_str!("../../guide/certified_store.md");
    let rules = |rules: &[&str]| rules.iter().map(|rule| format!("`{rule}`")).collect::<Vec<_>>().join(", ");
    let stores = flawed::FLAWS.iter().map(|Known { text, contract, protocol, .. }| {
        format!("| {text} | {} | {} |", rules(contract), rules(protocol))
    });
    let registries =
        flawed_registry::FLAWS.iter().map(|(_, text, broken)| format!("| {text} | {} |", rules(broken)));
    let rows: Vec<_> = stores.chain(registries).collect();
    for row in &rows {
        assert!(guide.contains(row), "the guide lacks the row\n{row}");
    }
}

/// Checks and then writes without waiting in between: no task sees that, and a thread does.
struct ChecksThenWrites(Reference);

impl TokenStore for ChecksThenWrites {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        self.0.insert(grant).await
    }

    async fn load(&self, id: GrantId, read: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        self.0.load(id, read).await
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        let current = self.0.load(grant.id(), Read::Latest).await?;
        if current.is_none_or(|current| current.revision() != expected) {
            return Ok(Replace::Changed);
        }
        std::thread::yield_now();
        self.0.grants.lock().insert(grant.id(), grant);
        Ok(Replace::Replaced)
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        self.0.remove(id, expected).await
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        self.0.find(query).await
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0.purge_expired(now, limit).await
    }
}

#[test]
fn threads_find_what_tasks_do_not() {
    on_threads(&Reference::default(), 1000).unwrap();
    block_on(token_store(async || ChecksThenWrites(Reference::default()))).unwrap();
    // It takes luck, so it is tried until it is found: a thousand times as often as is needed.
    let found = (0..10_000).find_map(|_| on_threads(&ChecksThenWrites(Reference::default()), 100).err());
    let found = found.expect("a race between the check and the write");
    assert!(found.rules().any(|rule| rule.starts_with("threads_re")), "{found}");
}
