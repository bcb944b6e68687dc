//! A store in front of which requests wait until it is their turn.

use std::collections::HashMap;
use std::future::{Future, pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use crate::sync::Mutex;

use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::GrantId;
use crate::store::{GrantQuery, Insert, Page, Read, Remove, Replace, StoreError, TokenStore};
use crate::testing::Method;

use super::schedule::Trouble;

/// Who waits where, and what was written. Shared by a run and the stores of its servers.
#[derive(Default)]
pub(super) struct Stage(Mutex<Backstage>);

#[derive(Default)]
struct Backstage {
    is_closed: bool,
    /// The request that is being polled.
    speaking: usize,
    requests: Vec<Request>,
    turn: Option<Option<Trouble>>,
    records: HashMap<GrantId, Arc<Grant>>,
    /// The last acknowledged write is the last.
    writes: Vec<Write>,
}

#[derive(Default)]
struct Request {
    waits_for: Option<Call>,
    is_dropped: bool,
    first_seen: Option<Arc<Grant>>,
}

/// A call that waits for its turn.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) method: Method,
    /// For a load that need not be of the latest version: which record.
    pub(super) recent: Option<GrantId>,
}

struct Write {
    id: GrantId,
    /// The record that it replaced or removed.
    before: Option<Arc<Grant>>,
}

impl Stage {
    /// The calls of so many requests wait from here on, until [`open`](Self::open).
    pub(super) fn close(&self, requests: usize) {
        let mut backstage = self.0.lock();
        backstage.is_closed = true;
        backstage.requests = (0..requests).map(|_| Request::default()).collect();
        backstage.writes.clear();
    }

    /// Calls go through as they come.
    pub(super) fn open(&self) {
        self.0.lock().is_closed = false;
    }

    /// `request` is about to be polled.
    pub(super) fn speaks(&self, request: usize) {
        self.0.lock().speaking = request;
    }

    /// What the request waits for.
    pub(super) fn waits_for(&self, request: usize) -> Option<Call> {
        self.0.lock().requests.get(request)?.waits_for
    }

    /// The next request that is polled may make its call.
    pub(super) fn give_turn(&self, trouble: Option<Trouble>) {
        self.0.lock().turn = Some(trouble);
    }

    /// Is the request to be dropped?
    pub(super) fn is_dropped(&self, request: usize) -> bool {
        self.0.lock().requests.get(request).is_some_and(|request| request.is_dropped)
    }

    /// The request is gone.
    pub(super) fn leaves(&self, request: usize) {
        self.with(request, |request| request.waits_for = None);
    }

    /// Is there a write to be undone?
    pub(super) fn has_written(&self) -> bool {
        !self.0.lock().writes.is_empty()
    }

    /// Is there a version before the last that a late read could give?
    pub(super) fn has_version_before(&self, id: GrantId) -> bool {
        self.version_before(id).is_some()
    }

    /// The record that the request saw first.
    pub(super) fn first_seen(&self, request: usize) -> Option<Arc<Grant>> {
        self.0.lock().requests.get(request)?.first_seen.clone()
    }

    /// Undoes the last write, as a failover to a replica that had not heard of it.
    pub(super) async fn go_back(&self, store: &impl TokenStore) -> Result<(), StoreError> {
        let Some(Write { id, before }) = self.0.lock().writes.pop() else { return Ok(()) };
        let _ = store.remove(id, None).await?;
        match before {
            Some(before) => {
                self.0.lock().records.insert(id, Arc::clone(&before));
                let _ = store.insert(before).await?;
            }
            None => drop(self.0.lock().records.remove(&id)),
        }
        Ok(())
    }

    fn with(&self, request: usize, change: impl FnOnce(&mut Request)) {
        if let Some(request) = self.0.lock().requests.get_mut(request) {
            change(request);
        }
    }

    /// Until it is the turn of the request that calls.
    async fn turn(&self, call: Call) -> Option<Trouble> {
        let speaking = {
            let backstage = self.0.lock();
            if !backstage.is_closed {
                return None;
            }
            backstage.speaking
        };
        self.with(speaking, |request| request.waits_for = Some(call));
        let trouble = poll_fn(|_| self.0.lock().turn.take().map_or(Poll::Pending, Poll::Ready)).await;
        self.leaves(speaking);
        trouble
    }

    async fn drop_request<T>(&self) -> T {
        let speaking = self.0.lock().speaking;
        self.with(speaking, |request| request.is_dropped = true);
        pending().await
    }

    fn note_load(&self, grant: Option<&Arc<Grant>>) {
        let speaking = self.0.lock().speaking;
        self.with(speaking, |request| {
            if let (None, Some(grant)) = (&request.first_seen, grant) {
                request.first_seen = Some(Arc::clone(grant));
            }
        });
    }

    fn note_write(&self, id: GrantId, after: Option<&Arc<Grant>>) {
        let mut backstage = self.0.lock();
        let before = match after {
            Some(after) => backstage.records.insert(id, Arc::clone(after)),
            None => backstage.records.remove(&id),
        };
        backstage.writes.push(Write { id, before });
    }

    /// The version before the last write of this record, if it had one.
    fn version_before(&self, id: GrantId) -> Option<Arc<Grant>> {
        self.0.lock().writes.iter().rev().find(|write| write.id == id)?.before.clone()
    }
}

/// `store` behind `stage`.
pub(super) struct Staged<S> {
    pub(super) store: Arc<S>,
    pub(super) stage: Arc<Stage>,
}

impl<S: TokenStore> Staged<S> {
    async fn call<T, F>(&self, method: Method, send: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let trouble = self.stage.turn(Call { method, recent: None }).await;
        self.make(method, trouble, send).await
    }

    async fn make<T, F>(
        &self,
        method: Method,
        trouble: Option<Trouble>,
        send: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match trouble {
            Some(Trouble::Failed) => Err(StoreError::unavailable(format!("{method} was told to fail"))),
            Some(Trouble::AnswerLost) => {
                drop(send().await);
                Err(StoreError::unavailable(format!("the answer to {method} was lost")))
            }
            Some(Trouble::SentTwice) => {
                drop(send().await);
                send().await
            }
            Some(Trouble::DroppedAfter) => {
                drop(send().await);
                self.stage.drop_request().await
            }
            _ => send().await,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: TokenStore> TokenStore for Staged<S> {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        let grant = &grant;
        let send = || async move {
            let answer = self.store.insert(Arc::clone(grant)).await;
            if matches!(answer, Ok(Insert::Inserted)) {
                self.stage.note_write(grant.id(), Some(grant));
            }
            answer
        };
        self.call(Method::Insert, send).await
    }

    async fn load(&self, id: GrantId, read: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        let method = Method::Load;
        let trouble = self.stage.turn(Call { method, recent: (read == Read::Recent).then_some(id) }).await;
        if trouble == Some(Trouble::Late) {
            return Ok(self.stage.version_before(id));
        }
        let send = || async move {
            let answer = self.store.load(id, read).await;
            self.stage.note_load(answer.as_ref().ok().and_then(Option::as_ref));
            answer
        };
        self.make(method, trouble, send).await
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        let grant = &grant;
        let send = || async move {
            let answer = self.store.replace(Arc::clone(grant), expected).await;
            if matches!(answer, Ok(Replace::Replaced)) {
                self.stage.note_write(grant.id(), Some(grant));
            }
            answer
        };
        self.call(Method::Replace, send).await
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        let send = || async move {
            let answer = self.store.remove(id, expected).await;
            if matches!(answer, Ok(Remove::Removed)) {
                self.stage.note_write(id, None);
            }
            answer
        };
        self.call(Method::Remove, send).await
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        self.call(Method::Find, || self.store.find(query)).await
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.call(Method::PurgeExpired, || self.store.purge_expired(now, limit)).await
    }
}
