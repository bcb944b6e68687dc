//! Where each flaw does its work.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::GrantId;
use crate::store::{
    Cursor, GrantQuery, Insert, PURGE_DELAY, Page, Read, Remove, Replace, StoreError, TokenStore,
};
use crate::testing::samples::Samples;
use crate::testing::yield_for;

use super::{Flaw, Flawed};

impl TokenStore for Flawed {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        match self.flaw {
            Flaw::InsertDoesNothing => Ok(Insert::Inserted),
            Flaw::InsertOverwrites => {
                self.put(grant);
                Ok(Insert::Inserted)
            }
            Flaw::InsertChecksThenWrites => {
                if self.current(grant.id()).is_some() {
                    return Ok(Insert::Occupied);
                }
                yield_for(1).await;
                self.put(grant);
                Ok(Insert::Inserted)
            }
            Flaw::InsertCopiesAcrossYield => {
                let mut copy = self.inner.grants.lock().clone();
                yield_for(1).await;
                let before = copy.insert(grant.id(), grant);
                *self.inner.grants.lock() = copy;
                Ok(if before.is_some() { Insert::Occupied } else { Insert::Inserted })
            }
            Flaw::InsertKeepsHalfIds if self.has_half(grant.id()) => Ok(Insert::Occupied),
            Flaw::RemoveLeavesTombstone if self.kept.lock().contains_key(&grant.id()) => Ok(Insert::Occupied),
            Flaw::PurgeRemembersExpiry => {
                self.kept.lock().insert(grant.id(), Some(Arc::clone(&grant)));
                self.inner.insert(grant).await
            }
            _ => self.inner.insert(grant).await,
        }
    }

    async fn load(&self, id: GrantId, read: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        let current = self.current(id);
        let remembers = match self.flaw {
            Flaw::LoadRemembers => current.is_some() || self.kept.lock().contains_key(&id),
            Flaw::LoadRemembersNothing => current.is_none() || self.kept.lock().contains_key(&id),
            Flaw::LoadRecentInvents if read == Read::Recent => {
                return Ok(self.inner.grants.lock().values().next_back().cloned().or_else(sample));
            }
            Flaw::LoadRemembersRemoved => {
                let mut kept = self.kept.lock();
                if current.is_some() {
                    kept.insert(id, current.clone());
                }
                return Ok(current.or_else(|| kept.get(&id).cloned().flatten()));
            }
            // The replica has caught up by the next read.
            Flaw::LoadIsLate => return Ok(self.kept.lock().remove(&id).flatten().or(current)),
            _ => false,
        };
        Ok(if remembers { self.kept.lock().entry(id).or_insert(current).clone() } else { current })
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        let current = self.current(grant.id());
        let at_expected = current.as_ref().is_some_and(|current| current.revision() == expected);
        let writes = match self.flaw {
            Flaw::ReplaceIgnoresRevision => current.is_some(),
            Flaw::ReplaceComparesOrder => {
                current.is_some_and(|current| current.revision().as_u64() <= expected.as_u64())
            }
            Flaw::ReplaceComparesHalf => {
                current.is_some_and(|current| current.revision().as_u64() << 32 == expected.as_u64() << 32)
            }
            Flaw::ReplaceDoesNothing if at_expected => return Ok(Replace::Replaced),
            Flaw::ReplaceSaysChanged if at_expected => {
                self.put(grant);
                return Ok(Replace::Changed);
            }
            Flaw::LoadIsLate | Flaw::PurgeForgetsReplaced if at_expected => {
                self.kept.lock().insert(grant.id(), current);
                true
            }
            Flaw::ReplaceRecreates => current.is_none() || at_expected,
            Flaw::ReplaceRecreatesAtNext => {
                at_expected || (current.is_none() && grant.revision() == expected)
            }
            Flaw::ReplaceChecksThenWrites => {
                yield_for(1).await;
                at_expected
            }
            Flaw::ReplaceDeletesFirst if at_expected => {
                self.delete(grant.id());
                yield_for(1).await;
                true
            }
            Flaw::ReplaceLocksAcrossYield => {
                if self.kept.lock().insert(grant.id(), None).is_some() {
                    return Ok(Replace::Changed);
                }
                yield_for(1).await;
                self.kept.lock().remove(&grant.id());
                return self.inner.replace(grant, expected).await;
            }
            _ => return self.inner.replace(grant, expected).await,
        };
        if writes {
            self.put(grant);
        }
        Ok(if writes { Replace::Replaced } else { Replace::Changed })
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        match self.flaw {
            Flaw::RemoveIgnoresExpected => self.inner.remove(id, None).await,
            Flaw::RemoveAnyReadsFirst => {
                let read = self.current(id).map(|grant| grant.revision());
                yield_for(1).await;
                self.inner.remove(id, expected.or(read)).await
            }
            Flaw::RemoveDoesNothing if self.current(id).is_some() => Ok(Remove::Removed),
            Flaw::RemoveLeavesTombstone => {
                self.kept.lock().insert(id, None);
                self.inner.remove(id, expected).await
            }
            Flaw::RemoveChecksThenDeletes => {
                let Some(current) = self.current(id) else { return Ok(Remove::Absent) };
                if expected.is_some_and(|expected| expected != current.revision()) {
                    return Ok(Remove::Changed);
                }
                yield_for(1).await;
                self.delete(id);
                Ok(Remove::Removed)
            }
            Flaw::RemoveSaysRemoved => {
                let answer = self.inner.remove(id, expected).await?;
                Ok(if answer == Remove::Absent { Remove::Removed } else { answer })
            }
            Flaw::FindShowsRemoved => {
                let current = self.current(id);
                let answer = self.inner.remove(id, expected).await?;
                if answer == Remove::Removed {
                    self.kept.lock().insert(id, current);
                }
                Ok(answer)
            }
            Flaw::LoadIsLate => {
                self.kept.lock().remove(&id);
                self.inner.remove(id, expected).await
            }
            _ => self.inner.remove(id, expected).await,
        }
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        match self.flaw {
            Flaw::FindLosesLastPage => {
                let page = self.inner.find(query).await?;
                let full = page.grants.len() == query.page_size();
                let grants = if full || query.start().is_none() { page.grants } else { Vec::new() };
                Ok(Page::new(grants, page.next))
            }
            Flaw::FindIgnoresPageSize => self.inner.find(&query.clone().limit(1000)).await,
            Flaw::FindIgnoresCase => {
                let lower = |text: &str| text.to_ascii_lowercase();
                let grants = self.inner.grants.lock();
                let found = grants.values().filter(|grant| {
                    let client =
                        query.client().is_none_or(|it| lower(it.as_str()) == lower(grant.client().as_str()));
                    let own = grant.subject().map(|it| lower(it.as_str()));
                    client && query.subject().is_none_or(|it| Some(lower(it.as_str())) == own)
                });
                Ok(Page::new(found.cloned().collect(), None))
            }
            Flaw::FindStartsAtCursor => {
                let page = self.inner.find(query).await?;
                let start = query.start().and_then(|start| self.current(start));
                let grants: Vec<_> = start.into_iter().chain(page.grants).take(query.page_size()).collect();
                let last = grants.last().map(|grant| Cursor::at(grant.id()));
                Ok(Page::new(grants, page.next.and(last)))
            }
            Flaw::FindSeeksCursor if query.start().is_some_and(|start| self.current(start).is_none()) => {
                Ok(Page::new(Vec::new(), None))
            }
            Flaw::FindShowsRemoved => {
                let mut page = self.inner.find(query).await?;
                let removed = self.kept.lock();
                page.grants.extend(removed.values().flatten().filter(|grant| query.matches(grant)).cloned());
                Ok(page)
            }
            Flaw::FindRemembers => {
                let page = self.inner.find(query).await?;
                let mut first = self.first_page.lock();
                Ok(if page.grants.is_empty() { page } else { first.get_or_insert(page).clone() })
            }
            _ => self.inner.find(query).await,
        }
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        match self.flaw {
            Flaw::PurgeDoesNothing => Ok(0),
            Flaw::PurgeForgetsReplaced => {
                let replaced = self.kept.lock();
                let expired = self.expired(now.minus(PURGE_DELAY), limit).into_iter();
                Ok(expired.filter(|id| !replaced.contains_key(id) && self.delete(*id)).count())
            }
            Flaw::PurgeIgnoresDelay => self.inner.purge_expired(now.plus(PURGE_DELAY), limit).await,
            Flaw::PurgeIgnoresLimit => self.inner.purge_expired(now, usize::MAX).await,
            Flaw::PurgeRemembersExpiry => {
                let kept = self.kept.lock();
                let first = kept.values().flatten().filter(|grant| grant.is_expired(now.minus(PURGE_DELAY)));
                Ok(first.take(limit).filter(|grant| self.delete(grant.id())).count())
            }
            Flaw::PurgeTakesNeverForZero => {
                let grants = self.inner.grants.lock().clone();
                let endless = grants.values().filter(|grant| grant.expires_at().is_none());
                Ok(endless.take(limit).filter(|grant| self.delete(grant.id())).count())
            }
            Flaw::PurgeChecksThenDeletes => {
                let expired = self.expired(now.minus(PURGE_DELAY), limit);
                yield_for(1).await;
                Ok(expired.into_iter().filter(|id| self.delete(*id)).count())
            }
            _ => self.inner.purge_expired(now, limit).await,
        }
    }
}

impl Flawed {
    fn has_half(&self, id: GrantId) -> bool {
        let half = |id: &GrantId| id.as_bytes().first_chunk::<8>().copied();
        self.inner.grants.lock().keys().any(|known| half(known) == half(&id))
    }
}

fn sample() -> Option<Arc<Grant>> {
    Samples::new().of("another", None).ok()
}
