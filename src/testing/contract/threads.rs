//! Several threads at once, for what one thread that takes turns cannot bring about.

use std::sync::{Arc, Barrier};
use std::thread;

use crate::grant::{Grant, Revision};
use crate::store::{Insert, Read, Remove, Replace, StoreError, TokenStore};
use crate::testing::block_on;
use crate::testing::samples::{LATER, Samples};

use super::{Checked, Rule, Violations};

const THREADS: usize = 4;
const INSERT: Rule = Rule("threads_insert");
const REPLACE: Rule = Rule("threads_replace");
const REMOVE: Rule = Rule("threads_remove");

/// Races four threads for one record, so many times each with `insert`, `replace` and a
/// `replace` against a `remove`: one wins, and what is there afterwards is its work.
///
/// The threads are this function's own and end with it; calls run in [`block_on`], so a store
/// that needs a runtime brings it along. It finds a store that checks and then writes without
/// waiting in between, which [`token_store`](super::token_store) cannot see. How many times
/// that takes is a matter of luck: ten thousand is a good number for a store in memory.
///
/// ```
/// use grantor::store::MemoryTokenStore;
/// use grantor::testing::contract;
///
/// contract::on_threads(&MemoryTokenStore::new(), 100)?;
/// # Ok::<(), contract::Violations>(())
/// ```
///
/// # Errors
/// The first race of each kind that had none or several winners.
pub fn on_threads(store: &impl TokenStore, times: usize) -> Result<(), Violations> {
    let samples = Samples::new();
    let checks =
        [insert(store, &samples, times), replace(store, &samples, times), remove(store, &samples, times)];
    Violations::or_none(checks.into_iter().filter_map(Checked::err).collect())
}

fn insert(store: &impl TokenStore, samples: &Samples, times: usize) -> Checked {
    for _ in 0..times {
        let twins = samples.twins(THREADS)?;
        let answers = race(&twins, |twin| block_on(store.insert(Arc::clone(twin))));
        let answers = answers.into_iter().map(|answer| INSERT.answer("insert", answer));
        let answers = answers.collect::<Checked<Vec<_>>>()?;
        one_wins(INSERT, &answers, &Insert::Inserted)?;
        if let Some(twin) = twins.first() {
            is_the_work_of_the_winner(INSERT, store, &twins, &answers, &Insert::Inserted)?;
            clean_up(INSERT, store, twin)?;
        }
    }
    Ok(())
}

fn replace(store: &impl TokenStore, samples: &Samples, times: usize) -> Checked {
    for _ in 0..times {
        let sample = samples.grant()?;
        INSERT.answer("insert", block_on(store.insert(Arc::clone(&sample.grant)))).map(drop)?;
        let nexts = (0..THREADS).map(|_| sample.next(LATER)).collect::<Checked<Vec<_>>>()?;
        let expected = sample.grant.revision();
        let answers = race(&nexts, |next| block_on(store.replace(Arc::clone(next), expected)));
        let answers = answers.into_iter().map(|answer| REPLACE.answer("replace", answer));
        let answers = answers.collect::<Checked<Vec<_>>>()?;
        one_wins(REPLACE, &answers, &Replace::Replaced)?;
        is_the_work_of_the_winner(REPLACE, store, &nexts, &answers, &Replace::Replaced)?;
        clean_up(REPLACE, store, &sample.grant)?;
    }
    Ok(())
}

/// The removal is of any revision: it succeeds, and nothing comes back.
fn remove(store: &impl TokenStore, samples: &Samples, times: usize) -> Checked {
    for _ in 0..times {
        let sample = samples.grant()?;
        INSERT.answer("insert", block_on(store.insert(Arc::clone(&sample.grant)))).map(drop)?;
        let mut calls = (1..THREADS).map(|_| sample.next(LATER).map(Some)).collect::<Checked<Vec<_>>>()?;
        calls.push(None);
        let expected: Revision = sample.grant.revision();
        let answers: Vec<Result<bool, StoreError>> = race(&calls, |call| match call {
            Some(next) => {
                block_on(store.replace(Arc::clone(next), expected)).map(|it| it == Replace::Replaced)
            }
            None => block_on(store.remove(sample.grant.id(), None)).map(|it| it == Remove::Removed),
        });
        let mut answers =
            answers.into_iter().map(|answer| REMOVE.answer("a call", answer)).collect::<Checked<Vec<_>>>()?;
        let removed = answers.pop().unwrap_or_default();
        REMOVE.ensure(removed, || "removing at any revision does not remove".into())?;
        let replaced = answers.into_iter().filter(|replaced| *replaced).count();
        REMOVE.ensure(replaced <= 1, || format!("one version is replaced {replaced} times"))?;
        let left = REMOVE.answer("load", block_on(store.load(sample.grant.id(), Read::Latest)))?;
        REMOVE.ensure(left.is_none(), || "a removed record is there".into())?;
    }
    Ok(())
}

/// What `call` answers for each of `inputs`, all at once.
fn race<T: Sync, R: Send>(inputs: &[T], call: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let barrier = Barrier::new(inputs.len());
    thread::scope(|scope| {
        let run = |input| {
            let (barrier, call) = (&barrier, &call);
            scope.spawn(move || {
                barrier.wait();
                call(input)
            })
        };
        let threads: Vec<_> = inputs.iter().map(run).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

fn one_wins<T: PartialEq>(rule: Rule, answers: &[T], win: &T) -> Checked {
    let winners = answers.iter().filter(|answer| *answer == win).count();
    rule.ensure(winners == 1, || format!("{winners} of {THREADS} threads win"))
}

fn is_the_work_of_the_winner<T: PartialEq>(
    rule: Rule,
    store: &impl TokenStore,
    tried: &[Arc<Grant>],
    answers: &[T],
    win: &T,
) -> Checked {
    let winner = answers.iter().position(|answer| answer == win).and_then(|at| tried.get(at));
    let Some(winner) = winner else { return Ok(()) };
    let there = rule.answer("load", block_on(store.load(winner.id(), Read::Latest)))?;
    rule.ensure(there.as_ref() == Some(winner), || "what is there is not the work of the winner".into())
}

fn clean_up(rule: Rule, store: &impl TokenStore, grant: &Grant) -> Checked {
    rule.answer("remove", block_on(store.remove(grant.id(), None))).map(drop)
}
