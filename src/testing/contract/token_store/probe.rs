use std::sync::Arc;

use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::GrantId;
use crate::store::{GrantQuery, Insert, Page, Read, Remove, Replace, TokenStore};

use super::super::{Checked, Probe};

/// One call each, with what it has to answer.
impl<S: TokenStore> Probe<S> {
    pub(super) async fn inserts(&self, grant: &Arc<Grant>) -> Checked {
        self.inserts_with(grant, Insert::Inserted).await
    }

    pub(super) async fn inserts_with(&self, grant: &Arc<Grant>, wanted: Insert) -> Checked {
        self.rule.same("insert", &self.insert(grant).await?, &wanted)
    }

    pub(super) async fn replaces(&self, next: &Arc<Grant>, expected: Revision) -> Checked {
        self.replaces_with(next, expected, Replace::Replaced).await
    }

    pub(super) async fn replaces_with(
        &self,
        next: &Arc<Grant>,
        expected: Revision,
        wanted: Replace,
    ) -> Checked {
        self.rule.same("replace", &self.replace(next, expected).await?, &wanted)
    }

    pub(super) async fn removes_with(
        &self,
        id: GrantId,
        expected: Option<Revision>,
        wanted: Remove,
    ) -> Checked {
        let what = if expected.is_some() { "remove at a revision" } else { "remove at any revision" };
        self.rule.same(what, &self.remove(id, expected).await?, &wanted)
    }

    pub(super) async fn purges(&self, now: Timestamp, limit: usize, wanted: usize) -> Checked {
        self.rule.same("purge_expired", &self.purge(now, limit).await?, &wanted)
    }

    /// The record with the id of `wanted` is `wanted`.
    pub(super) async fn holds(&self, wanted: &Grant) -> Checked {
        self.is_the_same("load", self.load(wanted.id()).await?.as_deref(), Some(wanted))
    }

    pub(super) async fn lacks(&self, id: GrantId) -> Checked {
        self.is_the_same("load", self.load(id).await?.as_deref(), None)
    }

    /// Says no more than is needed of two grants that differ.
    pub(super) fn is_the_same(&self, what: &str, got: Option<&Grant>, wanted: Option<&Grant>) -> Checked {
        let revision = |grant: Option<&Grant>| {
            grant.map_or_else(|| "no record".into(), |grant| format!("revision {:?}", grant.revision()))
        };
        self.rule.ensure(got == wanted, || match (got, wanted) {
            (Some(got), Some(wanted)) if got.revision() == wanted.revision() => {
                format!("{what}: the right revision with other content: got {got:#?}, not {wanted:#?}")
            }
            _ => format!("{what}: got {}, not {}", revision(got), revision(wanted)),
        })
    }
}

/// One call each.
impl<S: TokenStore> Probe<S> {
    pub(super) async fn insert(&self, grant: &Arc<Grant>) -> Checked<Insert> {
        self.rule.answer("insert", self.store.insert(Arc::clone(grant)).await)
    }

    pub(super) async fn load(&self, id: GrantId) -> Checked<Option<Arc<Grant>>> {
        self.rule.answer("load", self.store.load(id, Read::Latest).await)
    }

    pub(super) async fn load_recent(&self, id: GrantId) -> Checked<Option<Arc<Grant>>> {
        self.rule.answer("load", self.store.load(id, Read::Recent).await)
    }

    pub(super) async fn replace(&self, next: &Arc<Grant>, expected: Revision) -> Checked<Replace> {
        self.rule.answer("replace", self.store.replace(Arc::clone(next), expected).await)
    }

    pub(super) async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Checked<Remove> {
        self.rule.answer("remove", self.store.remove(id, expected).await)
    }

    pub(super) async fn find(&self, query: &GrantQuery) -> Checked<Page> {
        self.rule.answer("find", self.store.find(query).await)
    }

    pub(super) async fn purge(&self, now: Timestamp, limit: usize) -> Checked<usize> {
        self.rule.answer("purge_expired", self.store.purge_expired(now, limit).await)
    }
}
