use std::collections::HashMap;
use std::future::{Future, pending};
use std::sync::Arc;

use crate::sync::Mutex;

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

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Does nothing and answers [`StoreError::other`].
    Fail,
    /// Does nothing and answers [`StoreError::unavailable`].
    FailUnavailable,
    /// Does it, then answers [`StoreError::unavailable`].
    LoseAnswer,
    /// Does it twice and gives the second answer, as a driver that sends again.
    Twice,
    /// Does nothing and never answers.
    Hang,
    /// Does it, then never answers.
    HangAfter,
    /// Yields so many times, then does it.
    Delay(usize),
}

/// The plan of what goes wrong, and the record of what was called. Clones, and all the
/// stores that were made with it, share both.
///
/// A call counts from its first poll, failed ones included. One that is named both by
/// number and by method has the fault of its number.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    numbered: HashMap<usize, Fault>,
    named: HashMap<Method, Fault>,
    calls: Vec<Method>,
}

impl Faults {
    /// Nothing goes wrong yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Call number `call` has this fault, whichever method it is. The first one since
    /// the beginning or the last [`restart`](Self::restart) is number 0.
    pub fn at(&self, call: usize, fault: Fault) {
        self.plan.lock().numbered.insert(call, fault);
    }

    /// Each call of `method` has this fault.
    pub fn on(&self, method: Method, fault: Fault) {
        self.plan.lock().named.insert(method, fault);
    }

    /// Nothing goes wrong from here on. What was called is kept.
    pub fn clear(&self) {
        let mut plan = self.plan.lock();
        plan.numbered.clear();
        plan.named.clear();
    }

    /// Forgets faults and calls: the next call is number 0.
    pub fn restart(&self) {
        *self.plan.lock() = Plan::default();
    }

    /// The methods that were called, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Method> {
        self.plan.lock().calls.clone()
    }

    fn next(&self, method: Method) -> Option<Fault> {
        let mut plan = self.plan.lock();
        let number = plan.calls.len();
        plan.calls.push(method);
        plan.numbered.get(&number).or_else(|| plan.named.get(&method)).copied()
    }
}

/// A store whose calls go wrong as [`Faults`] says, and are recorded there.
///
/// ```
/// use grantor::store::TokenStore;
/// use grantor::testing::{Fault, Faults, FaultyStore, Method};
///
/// # fn example(store: impl TokenStore) {
/// let faults = Faults::new();
/// let store = FaultyStore::new(store, &faults);
/// faults.on(Method::Replace, Fault::LoseAnswer);
/// faults.at(0, Fault::FailUnavailable);
/// // … hand `store` to a server and send it a request …
/// println!("the request made {} calls", faults.calls().len());
/// # drop(store);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore<S> {
    inner: S,
    faults: Faults,
}

impl<S> FaultyStore<S> {
    /// Puts `faults` in front of `inner`.
    #[must_use]
    pub fn new(inner: S, faults: &Faults) -> Self {
        Self { inner, faults: faults.clone() }
    }

    async fn call<T, F>(&self, method: Method, send: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match self.faults.next(method) {
            None => send().await,
            Some(Fault::Fail) => Err(StoreError::other(format!("{method} was told to fail"))),
            Some(Fault::FailUnavailable) => {
                Err(StoreError::unavailable(format!("{method} was told to fail")))
            }
            Some(Fault::LoseAnswer) => {
                drop(send().await);
                Err(StoreError::unavailable(format!("the answer to {method} was lost")))
            }
            Some(Fault::Twice) => {
                drop(send().await);
                send().await
            }
            Some(Fault::Hang) => pending().await,
            Some(Fault::HangAfter) => {
                drop(send().await);
                pending().await
            }
            Some(Fault::Delay(polls)) => {
                yield_for(polls).await;
                send().await
            }
        }
    }
}

wrap_stores!(FaultyStore);

#[cfg(test)]
mod tests {
    use crate::store::StoreErrorKind;
    use crate::testing::reference::Reference;
    use crate::testing::samples::Samples;
    use crate::testing::{block_on, drop_after};

    use super::*;

    /// What `fault` makes of an insert: the answer if there is one after many polls, and
    /// whether the grant is there.
    fn insert_under(fault: Fault) -> (Option<Result<Insert, StoreErrorKind>>, bool) {
        let grant = Samples::new().grant().unwrap().grant;
        let faults = Faults::new();
        faults.on(Method::Insert, fault);
        let store = FaultyStore::new(Reference::default(), &faults);
        let answer = block_on(drop_after(10, store.insert(Arc::clone(&grant))));
        let there = block_on(store.load(grant.id(), Read::Latest)).unwrap().is_some();
        (answer.map(|answer| answer.map_err(|error| error.kind())), there)
    }

    #[test]
    fn each_fault_does_and_answers_what_it_says() {
        let other = Some(Err(StoreErrorKind::Other));
        let unavailable = Some(Err(StoreErrorKind::Unavailable));
        assert_eq!(insert_under(Fault::Fail), (other, false));
        assert_eq!(insert_under(Fault::FailUnavailable), (unavailable, false));
        assert_eq!(insert_under(Fault::LoseAnswer), (unavailable, true));
        assert_eq!(insert_under(Fault::Twice), (Some(Ok(Insert::Occupied)), true));
        assert_eq!(insert_under(Fault::Hang), (None, false));
        assert_eq!(insert_under(Fault::HangAfter), (None, true));
        assert_eq!(insert_under(Fault::Delay(9)), (Some(Ok(Insert::Inserted)), true));
        assert_eq!(insert_under(Fault::Delay(10)), (None, false));
    }

    #[test]
    fn calls_are_counted_over_all_stores_of_a_plan_from_the_last_restart() {
        let faults = Faults::new();
        let grants = FaultyStore::new(Reference::default(), &faults);
        let clients = FaultyStore::new(Reference::default(), &faults.clone());
        faults.on(Method::ValidAfter, Fault::FailUnavailable);
        faults.at(1, Fault::Fail);
        let id = Samples::new().grant().unwrap().grant.id();
        block_on(async {
            assert!(grants.load(id, Read::Latest).await.is_ok());
            assert_eq!(clients.valid_after().await.unwrap_err().kind(), StoreErrorKind::Other);
            assert_eq!(clients.valid_after().await.unwrap_err().kind(), StoreErrorKind::Unavailable);
            faults.clear();
            assert!(clients.valid_after().await.is_ok());
            drop(grants.load(id, Read::Latest));
        });
        assert_eq!(
            faults.calls(),
            [Method::Load, Method::ValidAfter, Method::ValidAfter, Method::ValidAfter]
        );
        faults.restart();
        faults.at(0, Fault::Fail);
        assert!(block_on(grants.load(id, Read::Latest)).is_err());
        assert_eq!(faults.calls(), [Method::Load]);
    }
}
