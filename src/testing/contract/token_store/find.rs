//! What administration looks through.

use std::sync::Arc;
use std::time::Duration;

use crate::grant::Grant;
use crate::id::{ClientId, Subject};
use crate::store::{Cursor, GrantQuery, Remove, TokenStore};
use crate::testing::samples::{BEGIN, CLIENT, LATER, SUBJECT, Samples};

use super::super::{Checked, Probe};

/// Names that differ by case alone are different names.
const CLIENTS: [&str; 3] = ["app", "App", "api"];
const SUBJECTS: [Option<&str>; 4] = [None, Some("ann"), Some("ANN"), Some("bob")];

pub(super) async fn find_matching(store: &Probe<impl TokenStore>) -> Checked {
    store.finds(&GrantQuery::new(), &[]).await?;
    let grants = store.filled().await?;
    for client in [None].into_iter().chain(CLIENTS.map(Some)).chain([Some("ap")]) {
        for subject in SUBJECTS.into_iter().chain([Some("an")]) {
            let mut query = GrantQuery::new();
            if let Some(client) = client.and_then(|client| ClientId::new(client).ok()) {
                query = query.of_client(client);
            }
            if let Some(subject) = subject.and_then(|subject| Subject::new(subject).ok()) {
                query = query.of_subject(subject);
            }
            store.finds(&query, &grants).await?;
        }
    }
    Ok(())
}

pub(super) async fn find_pages(store: &Probe<impl TokenStore>) -> Checked {
    let grants = store.filled().await?;
    for limit in [1, 2, 5, grants.len() - 1, grants.len(), grants.len() + 1, 1000] {
        store.finds(&GrantQuery::new().limit(limit), &grants).await?;
    }
    for client in CLIENTS.into_iter().filter_map(|client| ClientId::new(client).ok()) {
        store.finds(&GrantQuery::new().of_client(client).limit(3), &grants).await?;
    }
    Ok(())
}

/// Each write is seen, however the grant is looked for.
pub(super) async fn find_current(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    let kept = samples.grant()?;
    let ending = samples.ending(Some(BEGIN.plus(Duration::from_secs(10))))?;
    let sample = samples.grant()?;
    for sample in [&kept, &ending, &sample] {
        store.inserts(&sample.grant).await?;
    }
    let queries = [
        Some(GrantQuery::new()),
        ClientId::new(CLIENT).ok().map(|client| GrantQuery::new().of_client(client)),
        Subject::new(SUBJECT).ok().map(|subject| GrantQuery::new().of_subject(subject)),
    ];
    let finds = async |wanted: &[&Arc<Grant>]| {
        let wanted: Vec<_> = wanted.iter().map(|grant| Arc::clone(grant)).collect();
        for query in queries.iter().flatten() {
            store.finds(query, &wanted).await?;
        }
        Ok(())
    };
    finds(&[&kept.grant, &ending.grant, &sample.grant]).await?;
    let next = sample.next(LATER)?;
    store.replaces(&next, sample.grant.revision()).await?;
    finds(&[&kept.grant, &ending.grant, &next]).await?;
    store.removes_with(next.id(), None, Remove::Removed).await?;
    finds(&[&kept.grant, &ending.grant]).await?;
    store.purges(BEGIN.plus(Duration::from_secs(100)), 10, 1).await?;
    finds(&[&kept.grant]).await
}

/// A page may begin after a grant that has been removed since: whoever revokes page by
/// page does that.
pub(super) async fn find_past_removed(store: &Probe<impl TokenStore>) -> Checked {
    let mut grants = store.filled().await?;
    grants.sort_unstable_by_key(|grant| grant.id());
    let (removed, rest) = grants.split_at(3);
    for grant in removed {
        store.removes_with(grant.id(), None, Remove::Removed).await?;
    }
    let Some(last) = removed.last() else { return Ok(()) };
    store.finds(&GrantQuery::new().after(Cursor::at(last.id())).limit(4), rest).await
}

impl<S: TokenStore> Probe<S> {
    async fn filled(&self) -> Checked<Vec<Arc<Grant>>> {
        let samples = Samples::new();
        let mut grants = Vec::new();
        for _ in 0..3 {
            for client in CLIENTS {
                for subject in SUBJECTS {
                    let grant = samples.of(client, subject)?;
                    self.inserts(&grant).await?;
                    grants.push(grant);
                }
            }
        }
        Ok(grants)
    }

    /// From page to page, `query` finds those of `grants` that match it.
    async fn finds(&self, query: &GrantQuery, grants: &[Arc<Grant>]) -> Checked {
        let mut wanted: Vec<_> = grants.iter().filter(|grant| query.matches(grant)).collect();
        wanted.sort_unstable_by_key(|grant| grant.id());
        let mut found = Vec::new();
        let mut next = query.clone();
        loop {
            let page = self.find(&next).await?;
            let (count, most) = (page.grants.len(), query.page_size());
            self.rule.ensure(count <= most, || format!("{query:?}: a page has {count} grants"))?;
            found.extend(page.grants);
            let Some(cursor) = page.next else { break };
            self.rule.ensure(count > 0, || format!("{query:?}: an empty page is followed by another"))?;
            let done = found.len() > wanted.len();
            self.rule
                .ensure(!done, || format!("{query:?}: found more than the {} there are", wanted.len()))?;
            next = query.clone().after(cursor);
        }
        let ids = |grants: &[Arc<Grant>]| grants.iter().map(|grant| grant.id()).collect::<Vec<_>>();
        let wanted_ids: Vec<_> = wanted.iter().map(|grant| grant.id()).collect();
        self.rule.same(format_args!("{query:?}"), &ids(&found), &wanted_ids)?;
        for (got, wanted) in found.iter().zip(wanted) {
            self.is_the_same("find", Some(got.as_ref()), Some(wanted.as_ref()))?;
        }
        Ok(())
    }
}
