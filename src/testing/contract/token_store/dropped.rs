//! Calls whose future is dropped: by a client that hangs up, or a time limit.
//!
//! Such a call may still be under way in the engine, so what it did can come out late.

use std::sync::Arc;

use crate::grant::Grant;
use crate::store::{Insert, Read, Remove, Replace, TokenStore};
use crate::testing::drop_after;
use crate::testing::samples::{LATER, Samples};

use super::super::{Checked, Probe};

/// After how many polls a call is dropped.
const POLLS: std::ops::Range<usize> = 0..8;

pub(super) async fn dropped_insert(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for polls in POLLS {
        let sample = samples.grant()?;
        drop_after(polls, store.insert(&sample.grant)).await.transpose()?;
        store.holds_one_of(polls, &sample.grant, [None, Some(&sample.grant)]).await?;
        let again = store.insert(&sample.grant).await?;
        store.rule.ensure(again != Insert::Full, || "there is no room for it".into())?;
        store.holds(&sample.grant).await?;
    }
    Ok(())
}

pub(super) async fn dropped_replace(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for polls in POLLS {
        let sample = samples.grant()?;
        let next = sample.next(LATER)?;
        store.inserts(&sample.grant).await?;
        drop_after(polls, store.replace(&next, sample.grant.revision())).await.transpose()?;
        let mut replaced = false;
        // The dropped call can get in the way once.
        for _ in 0..2 {
            let either = [Some(&sample.grant), Some(&next)];
            let Some(current) = store.holds_one_of(polls, &sample.grant, either).await? else { break };
            let after = sample.after(&current, LATER)?;
            replaced = store.replace(&after, current.revision()).await? == Replace::Replaced;
            if replaced {
                store.holds(&after).await?;
                break;
            }
        }
        store.rule.ensure(replaced, || format!("dropped after {polls} polls, it blocks the record"))?;
    }
    Ok(())
}

pub(super) async fn dropped_remove(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for polls in POLLS {
        let grant = samples.grant()?.grant;
        store.inserts(&grant).await?;
        drop_after(polls, store.remove(grant.id(), Some(grant.revision()))).await.transpose()?;
        store.holds_one_of(polls, &grant, [None, Some(&grant)]).await?;
        let again = store.remove(grant.id(), None).await?;
        store.rule.ensure(again != Remove::Changed, || "removing at any revision answers Changed".into())?;
        store.lacks(grant.id()).await?;
    }
    Ok(())
}

impl<S: TokenStore> Probe<S> {
    async fn holds_one_of(
        &self,
        polls: usize,
        grant: &Arc<Grant>,
        allowed: [Option<&Arc<Grant>>; 2],
    ) -> Checked<Option<Arc<Grant>>> {
        let got = self.rule.answer("load", self.store.load(grant.id(), Read::Latest).await)?;
        self.rule.ensure(allowed.contains(&got.as_ref()), || {
            format!("dropped after {polls} polls, it left {got:?}")
        })?;
        Ok(got)
    }
}
