//! Deleting what has expired.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::{PURGE_DELAY, Replace, TokenStore};
use crate::testing::samples::{BEGIN, Samples};

use super::super::{Checked, Probe};

const SECOND: Duration = Duration::from_secs(1);

fn in_secs(secs: u64) -> Timestamp {
    BEGIN.plus(Duration::from_secs(secs))
}

/// The first moment at which every store has to delete what ends at `end`.
fn due(end: Timestamp) -> Timestamp {
    end.plus(PURGE_DELAY).plus(SECOND)
}

/// The last moment at which no store may.
fn early(end: Timestamp) -> Timestamp {
    end.plus(PURGE_DELAY).minus(SECOND)
}

pub(super) async fn purge_delay(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    let (first, second) = (samples.ending(Some(in_secs(10)))?, samples.ending(Some(in_secs(20)))?);
    store.inserts(&first.grant).await?;
    store.inserts(&second.grant).await?;
    for now in [BEGIN, in_secs(11), early(in_secs(10))] {
        store.purges(now, 10, 0).await?;
        store.holds(&first.grant).await?;
    }
    store.purges(due(in_secs(10)), 10, 1).await?;
    store.lacks(first.grant.id()).await?;
    store.holds(&second.grant).await?;
    let next = first.next(Some(in_secs(100)))?;
    store.replaces_with(&next, first.grant.revision(), Replace::Changed).await?;
    store.lacks(first.grant.id()).await?;
    // No limit is too large for the engine behind the store.
    store.purges(due(in_secs(20)), usize::MAX, 1).await?;
    store.lacks(second.grant.id()).await?;
    store.purges(due(in_secs(20)), usize::MAX, 0).await
}

/// A call may delete fewer than it is allowed to, but none only if there is none left.
pub(super) async fn purge_limit(store: &Probe<impl TokenStore>) -> Checked {
    const LIMIT: usize = 4;
    let samples = Samples::new();
    let mut ids = Vec::new();
    for at in 0..10 {
        let sample = samples.ending(Some(in_secs(10 + at)))?;
        store.inserts(&sample.grant).await?;
        ids.push(sample.grant.id());
    }
    let now = due(in_secs(20));
    store.purges(now, 0, 0).await?;
    let mut deleted = 0;
    while deleted < ids.len() {
        let count = store.purge(now, LIMIT).await?;
        store.rule.ensure((1..=LIMIT).contains(&count), || {
            format!("{count} deleted, with a limit of {LIMIT} and {} left", ids.len() - deleted)
        })?;
        deleted += count;
        let mut gone = 0;
        for id in &ids {
            gone += usize::from(store.load(*id).await?.is_none());
        }
        store.rule.same("records gone", &gone, &deleted)?;
    }
    store.purges(now, LIMIT, 0).await
}

pub(super) async fn purge_moved_expiry(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for moved in [Some(in_secs(1000)), None] {
        let sample = samples.ending(Some(in_secs(10)))?;
        let next = sample.next(moved)?;
        store.inserts(&sample.grant).await?;
        store.replaces(&next, sample.grant.revision()).await?;
        store.purges(due(in_secs(10)), 10, 0).await?;
        store.holds(&next).await?;
        if let Some(end) = moved {
            store.purges(early(end), 10, 0).await?;
            store.holds(&next).await?;
            store.purges(due(end), 10, 1).await?;
            store.lacks(next.id()).await?;
        }
    }
    Ok(())
}

/// The end of a record may also come nearer, or be set for the first time.
pub(super) async fn purge_new_expiry(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for before in [Some(in_secs(1000)), None] {
        let sample = samples.ending(before)?;
        let next = sample.next(Some(in_secs(10)))?;
        store.inserts(&sample.grant).await?;
        store.purges(due(in_secs(10)), 10, 0).await?;
        store.replaces(&next, sample.grant.revision()).await?;
        store.purges(early(in_secs(10)), 10, 0).await?;
        store.holds(&next).await?;
        store.purges(due(in_secs(10)), 10, 1).await?;
        store.lacks(next.id()).await?;
    }
    Ok(())
}

pub(super) async fn purge_never(store: &Probe<impl TokenStore>) -> Checked {
    const IN_A_THOUSAND_YEARS: u64 = 1000 * 365 * 24 * 3600;
    let sample = Samples::new().ending(None)?;
    store.inserts(&sample.grant).await?;
    store.purges(in_secs(IN_A_THOUSAND_YEARS), 10, 0).await?;
    store.holds(&sample.grant).await
}
