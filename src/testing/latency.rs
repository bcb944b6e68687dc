use std::future::Future;
use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::{ClientId, GrantId, Subject};
use crate::password::PasswordHash;
use crate::store::{
    ClientRegistry, ClientStore, GrantQuery, Insert, Page, Read, Remove, Replace, StoreError, TokenStore,
    UserRegistry, UserStore,
};
use crate::user::User;

use super::wrapper::{Method, wrap_stores};
use super::yield_for;

/// A store that takes its time, as one behind a network does: each call yields before it
/// does its work, and again before it answers.
///
/// Around a store in memory it makes visible the races that every other engine has.
/// Without runtime or timer: a yield is one `Pending` that wakes itself.
///
/// ```
/// use std::sync::Arc;
/// use grantor::testing::LatencyStore;
/// # struct MyStore;
///
/// let store = LatencyStore::new(Arc::new(MyStore)).yields(3);
/// # let _ = store;
/// ```
#[derive(Clone, Debug)]
pub struct LatencyStore<S> {
    inner: S,
    yields: usize,
}

impl<S> LatencyStore<S> {
    /// Yields once before and once after each call of `inner`.
    #[must_use]
    pub const fn new(inner: S) -> Self {
        Self { inner, yields: 1 }
    }

    /// Yields so many times on either side of a call.
    #[must_use]
    pub fn yields(mut self, times: usize) -> Self {
        self.yields = times;
        self
    }

    async fn call<T, F>(&self, _: Method, send: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        yield_for(self.yields).await;
        let answer = send().await;
        yield_for(self.yields).await;
        answer
    }
}

wrap_stores!(LatencyStore);

#[cfg(test)]
mod tests {
    use crate::testing::reference::Reference;
    use crate::testing::samples::Samples;
    use crate::testing::{block_on, drop_after};

    use super::*;

    #[test]
    fn a_call_yields_before_and_after_its_work() {
        let store = LatencyStore::new(Reference::default()).yields(2);
        let grant = Samples::new().grant().unwrap().grant;
        let there = || store.inner.grants.lock().contains_key(&grant.id());
        for (polls, done, answered) in
            [(2, false, false), (3, true, false), (4, true, false), (5, true, true)]
        {
            store.inner.grants.lock().clear();
            let answer = block_on(drop_after(polls, store.insert(Arc::clone(&grant))));
            assert_eq!((there(), answer.is_some()), (done, answered), "{polls}");
        }
    }
}
