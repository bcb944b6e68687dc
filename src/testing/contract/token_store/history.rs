//! Several tasks at once, each of which makes one call after the other.

use std::sync::Arc;

use crate::store::{Remove, Replace, TokenStore};
use crate::testing::samples::{LATER, REFRESHES, Samples};
use crate::testing::{join_all, yield_for};

use super::super::{Checked, Probe};
use super::race::{delay, rounds};

/// While a record is replaced, readers see one version or the next, never none and never
/// an earlier one again.
pub(super) async fn race_load(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for (count, pattern) in rounds() {
        let sample = samples.grant()?;
        store.inserts(&sample.grant).await?;
        let mut versions = vec![Arc::clone(&sample.grant)];
        for version in 0..4 {
            versions.extend(versions.get(version).map(|last| sample.after(last, LATER)).transpose()?);
        }
        let write = async || {
            for (before, next) in versions.iter().zip(versions.iter().skip(1)) {
                store.replaces(next, before.revision()).await?;
            }
            Ok(())
        };
        let read = async || {
            let mut seen = 0;
            for _ in 0..10 {
                let got = store.load(sample.grant.id()).await?;
                let version = versions.iter().position(|version| Some(version) == got.as_ref());
                let at = version.ok_or_else(|| store.rule.broken(format!("a reader sees {got:?}")))?;
                store.rule.ensure(at >= seen, || format!("a reader sees version {seen}, then {at}"))?;
                seen = at;
            }
            Ok(())
        };
        let take_part = async |at| {
            yield_for(delay(pattern, count, at)).await;
            if at == 0 { write().await } else { read().await }
        };
        join_all((0..count).map(take_part)).await.into_iter().collect::<Checked>()?;
    }
    Ok(())
}

/// No update is lost, and none is refused without another having been made.
pub(super) async fn race_update(store: &Probe<impl TokenStore>) -> Checked {
    const UPDATES: usize = 3;
    let samples = Samples::new();
    for (count, pattern) in rounds() {
        let sample = samples.grant()?;
        store.inserts(&sample.grant).await?;
        let update = async |at| {
            yield_for(delay(pattern, count, at)).await;
            let mut made = 0;
            for _ in 0..count * UPDATES {
                let Some(current) = store.load(sample.grant.id()).await? else { break };
                let next = sample.after(&current, LATER)?;
                made += usize::from(store.replace(&next, current.revision()).await? == Replace::Replaced);
                if made == UPDATES {
                    return Ok(());
                }
            }
            Err(store.rule.broken("a replace is refused although nothing changed".into()))
        };
        join_all((0..count).map(update)).await.into_iter().collect::<Checked>()?;
        let left = store.load(sample.grant.id()).await?.and_then(|grant| grant.refreshes_left());
        let made = left.map(|left| u64::from(REFRESHES - left));
        store.rule.same("updates kept", &made, &u64::try_from(count * UPDATES).ok())?;
    }
    Ok(())
}

/// Records have nothing to do with each other.
pub(super) async fn race_apart(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for (count, pattern) in rounds() {
        let live = async |at| {
            yield_for(delay(pattern, count, at)).await;
            let sample = samples.grant()?;
            store.inserts(&sample.grant).await?;
            let mut current = Arc::clone(&sample.grant);
            for _ in 0..3 {
                let next = sample.after(&current, LATER)?;
                store.replaces(&next, current.revision()).await?;
                current = next;
            }
            if at % 2 == 0 {
                store.removes_with(current.id(), Some(current.revision()), Remove::Removed).await?;
                return store.lacks(current.id()).await;
            }
            store.holds(&current).await
        };
        join_all((0..count).map(live)).await.into_iter().collect::<Checked>()?;
    }
    Ok(())
}
