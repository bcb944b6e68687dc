//! Several calls at once.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::grant::{Grant, Revision};
use crate::id::GrantId;
use crate::store::{Insert, PURGE_DELAY, Remove, Replace, TokenStore};
use crate::testing::samples::{BEGIN, LATER, Sample, Samples};
use crate::testing::{join_all, yield_for};

use super::super::{Checked, Probe, Rule};

/// How many calls there are at once, and which of the patterns of [`delay`] they have.
pub(super) fn rounds() -> impl Iterator<Item = (usize, usize)> {
    [2, 4, 8].into_iter().flat_map(|calls| (0..4).map(move |pattern| (calls, pattern)))
}

/// How many polls late each call begins: together, in order, in reverse, and two by two.
pub(super) fn delay(pattern: usize, calls: usize, at: usize) -> usize {
    match pattern {
        0 => 0,
        1 => at,
        2 => calls - at,
        _ => at / 2 * 3,
    }
}

#[derive(Clone)]
enum Call {
    Insert(Arc<Grant>),
    Replace(Arc<Grant>, Revision),
    Remove(GrantId, Option<Revision>),
    Purge(Timestamp),
}

#[derive(Debug)]
enum Answer {
    Insert(Insert),
    Replace(Replace),
    Remove(Remove),
    Purge(usize),
}

impl Answer {
    /// How many records the call wrote or removed.
    fn writes(&self) -> usize {
        match self {
            Self::Purge(count) => *count,
            Self::Insert(Insert::Inserted)
            | Self::Replace(Replace::Replaced)
            | Self::Remove(Remove::Removed) => 1,
            Self::Insert(_) | Self::Replace(_) | Self::Remove(_) => 0,
        }
    }

    fn ended_it(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::Purge(_)) && self.writes() > 0
    }
}

/// What several calls at once came to.
struct Race {
    rule: Rule,
    calls: Vec<(Call, Answer)>,
}

impl<S: TokenStore> Probe<S> {
    async fn race(&self, pattern: usize, calls: Vec<Call>) -> Checked<Race> {
        let count = calls.len();
        let run = async |(at, call): (usize, Call)| {
            yield_for(delay(pattern, count, at)).await;
            let answer = match &call {
                Call::Insert(grant) => Answer::Insert(self.insert(grant).await?),
                Call::Replace(next, expected) => Answer::Replace(self.replace(next, *expected).await?),
                Call::Remove(id, expected) => Answer::Remove(self.remove(*id, *expected).await?),
                Call::Purge(now) => Answer::Purge(self.purge(*now, 10).await?),
            };
            Ok((call, answer))
        };
        let answered = join_all(calls.into_iter().enumerate().map(run)).await;
        Ok(Race { rule: self.rule, calls: answered.into_iter().collect::<Result<_, _>>()? })
    }
}

impl Race {
    fn count(&self, counts: impl Fn(&Answer) -> bool) -> usize {
        self.calls.iter().filter(|(_, answer)| counts(answer)).count()
    }

    fn ensure(&self, held: bool, what: &str) -> Checked {
        self.rule.ensure(held, || {
            let answers: Vec<_> = self.calls.iter().map(|(_, answer)| answer).collect();
            format!("{what}; {} calls at once answered {answers:?}", answers.len())
        })
    }

    fn one_wins(&self) -> Checked {
        let writes: usize = self.calls.iter().map(|(_, answer)| answer.writes()).sum();
        self.ensure(writes == 1, "exactly one has to win")
    }

    /// What the one that won wrote; `None` if it ended the record.
    fn written(&self) -> Option<&Arc<Grant>> {
        self.calls.iter().find_map(|(call, answer)| match call {
            Call::Insert(grant) | Call::Replace(grant, _) => (answer.writes() > 0).then_some(grant),
            Call::Remove(..) | Call::Purge(_) => None,
        })
    }

    /// The record is as the answers say.
    async fn is_left_in(&self, store: &Probe<impl TokenStore>, id: GrantId) -> Checked {
        let left = store.load(id).await?;
        self.ensure(left.as_ref() == self.written(), "what is there afterwards does not agree")
    }
}

fn replacing(sample: &Sample, count: usize) -> Checked<Vec<Call>> {
    let expected = sample.grant.revision();
    (0..count).map(|_| Ok(Call::Replace(sample.next(LATER)?, expected))).collect()
}

pub(super) async fn race_insert(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for (count, pattern) in rounds() {
        let twins = samples.twins(count)?;
        let Some(id) = twins.first().map(|grant| grant.id()) else { continue };
        let race = store.race(pattern, twins.into_iter().map(Call::Insert).collect()).await?;
        race.one_wins()?;
        let occupied = race.count(|answer| matches!(answer, Answer::Insert(Insert::Occupied)));
        race.ensure(occupied == count - 1, "the others find the id occupied")?;
        race.is_left_in(store, id).await?;
    }
    Ok(())
}

pub(super) async fn race_replace(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for (count, pattern) in rounds() {
        let sample = samples.grant()?;
        store.inserts(&sample.grant).await?;
        let race = store.race(pattern, replacing(&sample, count)?).await?;
        race.one_wins()?;
        let changed = race.count(|answer| matches!(answer, Answer::Replace(Replace::Changed)));
        race.ensure(changed == count - 1, "the others find the record changed")?;
        race.is_left_in(store, sample.grant.id()).await?;
    }
    Ok(())
}

pub(super) async fn race_remove(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for (count, pattern) in rounds() {
        let grant = samples.grant()?.grant;
        store.inserts(&grant).await?;
        let expected = |at| (at % 2 == 0).then_some(grant.revision());
        let calls = (0..count).map(|at| Call::Remove(grant.id(), expected(at))).collect();
        let race = store.race(pattern, calls).await?;
        race.one_wins()?;
        let absent = race.count(|answer| matches!(answer, Answer::Remove(Remove::Absent)));
        race.ensure(absent == count - 1, "the others find it absent")?;
        race.is_left_in(store, grant.id()).await?;
    }
    Ok(())
}

pub(super) async fn race_remove_replace(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for (count, pattern) in rounds() {
        let sample = samples.grant()?;
        let id = sample.grant.id();
        store.inserts(&sample.grant).await?;
        let mut calls = replacing(&sample, count - 1)?;
        calls.insert(pattern % count, Call::Remove(id, Some(sample.grant.revision())));
        let race = store.race(pattern, calls).await?;
        race.one_wins()?;
        let absent = race.count(|answer| matches!(answer, Answer::Remove(Remove::Absent)));
        race.ensure(absent == 0, "the record was never absent before its removal")?;
        race.is_left_in(store, id).await?;
    }
    Ok(())
}

/// Removing at any revision always succeeds, and whatever else was written goes with it.
pub(super) async fn race_remove_any(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for (count, pattern) in rounds() {
        let sample = samples.grant()?;
        let id = sample.grant.id();
        store.inserts(&sample.grant).await?;
        let mut calls = replacing(&sample, count - 1)?;
        calls.insert(pattern % count, Call::Remove(id, None));
        let race = store.race(pattern, calls).await?;
        race.ensure(race.count(Answer::ended_it) == 1, "the removal succeeds")?;
        let replaced = race.count(|answer| matches!(answer, Answer::Replace(Replace::Replaced)));
        race.ensure(replaced <= 1, "at most one replaces it before that")?;
        let left = store.load(id).await?;
        race.ensure(left.is_none(), "a removed record is there")?;
    }
    Ok(())
}

/// A removal may come before, between or after the inserts.
pub(super) async fn race_insert_remove(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    for (count, pattern) in rounds() {
        let twins = samples.twins(count - 1)?;
        let Some(id) = twins.first().map(|grant| grant.id()) else { continue };
        let mut calls: Vec<_> = twins.into_iter().map(Call::Insert).collect();
        calls.insert(pattern % count, Call::Remove(id, None));
        let race = store.race(pattern, calls).await?;
        let inserted = race.count(|answer| matches!(answer, Answer::Insert(Insert::Inserted)));
        let removed = race.count(Answer::ended_it);
        let left = store.load(id).await?;
        let is_inserted = |grant| {
            race.calls.iter().any(|(call, answer)| {
                matches!(call, Call::Insert(twin) if twin == grant) && answer.writes() > 0
            })
        };
        race.ensure(left.as_ref().is_none_or(is_inserted), "a grant is there that was not inserted")?;
        let agrees = inserted >= 1 && inserted == removed + usize::from(left.is_some());
        race.ensure(agrees, "what is there afterwards does not agree")?;
    }
    Ok(())
}

/// A record whose end is moved on while it is purged is deleted or has its new end.
pub(super) async fn race_purge_replace(store: &Probe<impl TokenStore>) -> Checked {
    let samples = Samples::new();
    let end = BEGIN.plus(Duration::from_secs(10));
    let due = end.plus(PURGE_DELAY).plus(Duration::from_secs(1));
    for (count, pattern) in rounds() {
        let sample = samples.ending(Some(end))?;
        store.inserts(&sample.grant).await?;
        let mut calls = replacing(&sample, count / 2)?;
        calls.extend((0..count / 2).map(|_| Call::Purge(due)));
        calls.rotate_left(pattern % count);
        let race = store.race(pattern, calls).await?;
        race.one_wins()?;
        race.is_left_in(store, sample.grant.id()).await?;
    }
    Ok(())
}
