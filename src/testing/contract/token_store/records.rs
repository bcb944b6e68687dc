//! One record, one call at a time.

use std::sync::Arc;

use crate::id::GrantId;
use crate::store::{Insert, Remove, Replace, TokenStore};
use crate::testing::samples::{LATER, Samples};

use super::super::{Checked, Probe};

pub(super) async fn insert_load(store: &Probe<impl TokenStore>) -> Checked {
    let shapes = Samples::new().every_shape()?;
    for grant in &shapes {
        store.inserts(grant).await?;
        store.holds(grant).await?;
    }
    for grant in &shapes {
        store.holds(grant).await?;
    }
    Ok(())
}

pub(super) async fn insert_occupied(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    let twins = samples.twins(2)?;
    let [first, second] = twins.as_slice() else { return Ok(()) };
    store.inserts(first).await?;
    for again in [first, second] {
        store.inserts_with(again, Insert::Occupied).await?;
        store.holds(first).await?;
    }
    let sample = samples.grant()?;
    let next = sample.next(LATER)?;
    store.inserts(&sample.grant).await?;
    store.inserts_with(&next, Insert::Occupied).await?;
    store.holds(&sample.grant).await
}

/// The whole id counts.
pub(super) async fn insert_near(store: &Probe<impl TokenStore>) -> Checked {
    let first = Samples::new().grant()?.grant;
    let near = (0..16).map(|at| {
        let mut id = *first.id().as_bytes();
        id.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x20);
        first.under(GrantId::from_bytes(id))
    });
    let near: Vec<_> = near.chain([Arc::clone(&first)]).collect();
    for grant in &near {
        store.inserts(grant).await?;
    }
    for grant in &near {
        store.holds(grant).await?;
    }
    store.removes_with(first.id(), None, Remove::Removed).await?;
    store.lacks(first.id()).await?;
    for grant in near.iter().filter(|grant| grant.id() != first.id()) {
        store.holds(grant).await?;
    }
    Ok(())
}

pub(super) async fn insert_after_remove(store: &Probe<impl TokenStore>) -> Checked {
    let sample = Samples::new().grant()?;
    for _ in 0..2 {
        store.lacks(sample.grant.id()).await?;
        store.inserts(&sample.grant).await?;
        store.holds(&sample.grant).await?;
        store.removes_with(sample.grant.id(), None, Remove::Removed).await?;
    }
    Ok(())
}

pub(super) async fn load_unknown(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    let unknown = samples.grant()?.grant;
    store.lacks(unknown.id()).await?;
    store.inserts(&samples.grant()?.grant).await?;
    store.lacks(unknown.id()).await?;
    // A store that remembers what it did not have has to forget that.
    store.inserts(&unknown).await?;
    store.holds(&unknown).await
}

/// A recent read may be late, but only gives what was there once.
pub(super) async fn load_recent(store: &Probe<impl TokenStore>) -> Checked {
    let sample = Samples::new().grant()?;
    let next = sample.next(LATER)?;
    let known = [None, Some(&sample.grant), Some(&next)];
    let check = async |step: usize| {
        let got = store.load_recent(sample.grant.id()).await?;
        let allowed = known.iter().take(step + 1).any(|version| *version == got.as_ref());
        store.rule.ensure(allowed, || format!("after {step} writes it gives what was never there: {got:?}"))
    };
    check(0).await?;
    store.inserts(&sample.grant).await?;
    check(1).await?;
    store.replaces(&next, sample.grant.revision()).await?;
    check(2).await
}

pub(super) async fn replace_visible(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    let sample = samples.grant()?;
    let mut current = Arc::clone(&sample.grant);
    store.inserts(&current).await?;
    for _ in 0..4 {
        store.holds(&current).await?;
        // A cache for recent reads has nothing to say in what follows.
        store.load_recent(current.id()).await?;
        let next = sample.after(&current, LATER)?;
        store.replaces(&next, current.revision()).await?;
        store.holds(&next).await?;
        current = next;
    }
    let [code, redeemed] = samples.code_and_redeemed()?.map(Arc::new);
    store.inserts(&code).await?;
    store.replaces(&redeemed, code.revision()).await?;
    store.holds(&redeemed).await
}

/// Revisions are compared for equality: later ones are as wrong as earlier ones.
pub(super) async fn replace_changed(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    let (sample, other) = (samples.grant()?, samples.grant()?);
    let [first, second] = [sample.next(LATER)?, sample.next(LATER)?];
    let third = sample.after(&first, LATER)?;
    store.inserts(&sample.grant).await?;
    store.inserts(&other.grant).await?;
    for (next, wrong) in [(&third, &first), (&first, &third), (&first, &other.grant)] {
        store.replaces_with(next, wrong.revision(), Replace::Changed).await?;
        store.holds(&sample.grant).await?;
    }
    store.replaces(&first, sample.grant.revision()).await?;
    // The loser, and the winner a second time.
    for late in [&second, &first] {
        store.replaces_with(late, sample.grant.revision(), Replace::Changed).await?;
        store.holds(&first).await?;
    }
    store.holds(&other.grant).await
}

/// The whole revision counts, the highest bit included.
pub(super) async fn replace_near(store: &Probe<impl TokenStore>) -> Checked {
    let sample = Samples::new().grant()?;
    let next = sample.next(LATER)?;
    store.inserts(&sample.grant).await?;
    for bit in [0, 15, 31, 32, 52, 53, 62, 63] {
        let near = sample.grant.revision().differing_in(bit);
        store.replaces_with(&next, near, Replace::Changed).await?;
        store.removes_with(next.id(), Some(near), Remove::Changed).await?;
        store.holds(&sample.grant).await?;
    }
    store.replaces(&next, sample.grant.revision()).await
}

pub(super) async fn replace_missing(store: &Probe<impl TokenStore>) -> Checked {
    let sample = Samples::new().grant()?;
    let next = sample.next(LATER)?;
    store.replaces_with(&next, sample.grant.revision(), Replace::Changed).await?;
    store.lacks(next.id()).await
}

/// A revoked grant stays revoked, whatever is still in flight.
pub(super) async fn replace_removed(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for conditional in [false, true] {
        let sample = samples.grant()?;
        let id = sample.grant.id();
        let next = sample.next(LATER)?;
        store.inserts(&sample.grant).await?;
        let expected = conditional.then_some(sample.grant.revision());
        store.removes_with(id, expected, Remove::Removed).await?;
        for revision in [sample.grant.revision(), next.revision()] {
            store.replaces_with(&next, revision, Replace::Changed).await?;
            store.lacks(id).await?;
        }
    }
    Ok(())
}

pub(super) async fn remove_expected(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    let (sample, other) = (samples.grant()?, samples.grant()?);
    store.inserts(&sample.grant).await?;
    store.inserts(&other.grant).await?;
    // What is kept of these reads has to go with the record.
    store.holds(&sample.grant).await?;
    store.load_recent(sample.grant.id()).await?;
    store.removes_with(sample.grant.id(), Some(sample.grant.revision()), Remove::Removed).await?;
    store.lacks(sample.grant.id()).await?;
    store.holds(&other.grant).await
}

pub(super) async fn remove_changed(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    let (sample, other) = (samples.grant()?, samples.grant()?);
    let id = sample.grant.id();
    let next = sample.next(LATER)?;
    let after_next = sample.after(&next, LATER)?;
    store.inserts(&sample.grant).await?;
    store.removes_with(id, Some(next.revision()), Remove::Changed).await?;
    store.holds(&sample.grant).await?;
    store.replaces(&next, sample.grant.revision()).await?;
    for wrong in [&sample.grant, &after_next, &other.grant] {
        store.removes_with(id, Some(wrong.revision()), Remove::Changed).await?;
        store.holds(&next).await?;
    }
    store.removes_with(id, Some(next.revision()), Remove::Removed).await?;
    store.lacks(id).await
}

pub(super) async fn remove_any(store: &Probe<impl TokenStore>) -> Checked {
    let sample = Samples::new().grant()?;
    let next = sample.next(LATER)?;
    store.inserts(&sample.grant).await?;
    store.replaces(&next, sample.grant.revision()).await?;
    store.holds(&next).await?;
    store.removes_with(next.id(), None, Remove::Removed).await?;
    store.lacks(next.id()).await
}

pub(super) async fn remove_absent(store: &Probe<impl TokenStore>) -> Checked {
    let sample = Samples::new().grant()?;
    let id = sample.grant.id();
    let either = [None, Some(sample.grant.revision())];
    for expected in either {
        store.removes_with(id, expected, Remove::Absent).await?;
    }
    store.inserts(&sample.grant).await?;
    store.removes_with(id, None, Remove::Removed).await?;
    for expected in either {
        store.removes_with(id, expected, Remove::Absent).await?;
    }
    store.lacks(id).await
}
