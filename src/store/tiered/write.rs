//! What the thread that writes does for a tiered store. It sees one record at a time, in the
//! order of the transactions, and tells the tier in memory before it answers.

use std::sync::Arc;

use futures_channel::oneshot;
use rusqlite::Connection;

use crate::clock::Timestamp;
use crate::grant::{Grant, InvalidRecord, Revision};
use crate::id::GrantId;
use crate::store::sqlite::{Failure, Job, PURGED_BY_INSERT, Row, grants};
use crate::store::{Insert, PURGE_DELAY, Remove, Replace};

use super::tier::{Effect, Tier, Writing};

/// A write on one record.
pub(super) trait Operation: Send {
    type Output: Copy + Send;

    fn id(&self) -> GrantId;

    /// In a transaction. May be called again when that was undone.
    fn run(&mut self, connection: &Connection, tier: &Tier) -> Done<Self::Output>;

    /// The transaction is on the disk.
    fn effect(&self, output: Self::Output) -> Effect;
}

type Done<T> = rusqlite::Result<Result<T, InvalidRecord>>;
type Answer<T> = Result<Result<T, InvalidRecord>, Failure>;

pub(super) struct Call<O: Operation> {
    operation: O,
    tier: Arc<Tier>,
    writing: Option<Writing>,
    output: Option<Result<O::Output, InvalidRecord>>,
    reply: oneshot::Sender<Answer<O::Output>>,
}

impl<O: Operation> Call<O> {
    pub(super) fn new(tier: &Arc<Tier>, operation: O) -> (Self, oneshot::Receiver<Answer<O::Output>>) {
        let (reply, answer) = oneshot::channel();
        (Self { operation, tier: Arc::clone(tier), writing: None, output: None, reply }, answer)
    }
}

impl<O: Operation> Job for Call<O> {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.writing.is_none() {
            self.writing = Some(Writing::begin(&self.tier, self.operation.id()));
        }
        if self.tier.is_uncertain() {
            self.tier.counted(grants::count(connection)?);
        }
        self.output = Some(self.operation.run(connection, &self.tier)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Failure>) {
        let Self { operation, tier, writing, output, reply } = *self;
        let answer = outcome.and_then(|()| output.ok_or(Failure::Abandoned));
        match (&answer, writing) {
            (Ok(Ok(output)), Some(writing)) => writing.end(operation.effect(*output)),
            (Err(_), _) => tier.lost_count(),
            _ => {}
        }
        // The caller may have given up.
        let _ = reply.send(answer);
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_canceled()
    }
}

pub(super) struct Inserting {
    grant: Arc<Grant>,
    row: Row,
    /// A code that is not written to the disk.
    stays_in_memory: bool,
    is_purge_due: bool,
}

impl Inserting {
    pub(super) fn new(grant: Arc<Grant>, tier: &Tier, is_purge_due: bool) -> Self {
        let stays_in_memory = tier.volatile_codes && grant.awaits_code();
        Self { row: Row::of(&grant), grant, stays_in_memory, is_purge_due }
    }

    fn purge(&self, connection: &Connection, tier: &Tier, cutoff: Timestamp) -> rusqlite::Result<()> {
        tier.removed(grants::purge(connection, cutoff, PURGED_BY_INSERT)?);
        tier.purge(cutoff, usize::MAX);
        Ok(())
    }
}

impl Operation for Inserting {
    type Output = Insert;

    fn id(&self) -> GrantId {
        self.grant.id()
    }

    fn run(&mut self, connection: &Connection, tier: &Tier) -> Done<Insert> {
        let now = self.grant.updated_at();
        if self.is_purge_due {
            self.purge(connection, tier, now.minus(PURGE_DELAY))?;
        }
        let known = tier.code(self.id());
        let is_own = known.as_ref().is_some_and(|code| Arc::ptr_eq(code, &self.grant));
        if !is_own && (known.is_some() || grants::is_there(connection, self.id())?) {
            return Ok(Ok(Insert::Occupied));
        }
        if !is_own && !tier.has_room() {
            // No other process reads the file: there is no clock to wait for.
            self.purge(connection, tier, now)?;
            if !tier.has_room() {
                return Ok(Ok(Insert::Full));
            }
        }
        if self.stays_in_memory {
            return Ok(Ok(if tier.put_code(&self.grant) { Insert::Inserted } else { Insert::Occupied }));
        }
        if !grants::insert(connection, &self.row)? {
            return Ok(Ok(Insert::Occupied));
        }
        tier.added();
        Ok(Ok(Insert::Inserted))
    }

    fn effect(&self, output: Insert) -> Effect {
        match output {
            Insert::Inserted if !self.stays_in_memory => Effect::OnDisk(Arc::clone(&self.grant)),
            Insert::Inserted | Insert::Occupied | Insert::Full => Effect::Unknown,
        }
    }
}

pub(super) struct Replacing {
    grant: Arc<Grant>,
    row: Row,
    expected: Revision,
}

impl Replacing {
    pub(super) fn new(grant: Arc<Grant>, expected: Revision) -> Self {
        Self { row: Row::of(&grant), grant, expected }
    }
}

impl Operation for Replacing {
    type Output = Replace;

    fn id(&self) -> GrantId {
        self.grant.id()
    }

    fn run(&mut self, connection: &Connection, tier: &Tier) -> Done<Replace> {
        let replaced = grants::replace(connection, &self.row, self.expected)?;
        let Ok(Replace::Changed) = replaced else { return Ok(replaced) };
        // A code goes to the disk when it is redeemed, unless another request was faster.
        let is_here = tier.code(self.id()).is_some_and(|code| code.revision() == self.expected);
        if is_here && grants::insert(connection, &self.row)? {
            tier.added();
            return Ok(Ok(Replace::Replaced));
        }
        Ok(Ok(Replace::Changed))
    }

    fn effect(&self, output: Replace) -> Effect {
        match output {
            Replace::Replaced => Effect::OnDisk(Arc::clone(&self.grant)),
            Replace::Changed | Replace::Full => Effect::Unknown,
        }
    }
}

pub(super) struct Removing {
    id: GrantId,
    expected: Option<Revision>,
    /// It was in memory alone, and has been taken out.
    has_taken: bool,
}

impl Removing {
    pub(super) fn new(id: GrantId, expected: Option<Revision>) -> Self {
        Self { id, expected, has_taken: false }
    }
}

impl Operation for Removing {
    type Output = Remove;

    fn id(&self) -> GrantId {
        self.id
    }

    fn run(&mut self, connection: &Connection, tier: &Tier) -> Done<Remove> {
        let removed = grants::remove(connection, self.id, self.expected)?;
        match removed {
            Ok(Remove::Removed) => tier.removed(1),
            Ok(Remove::Absent) if self.has_taken => return Ok(Ok(Remove::Removed)),
            Ok(Remove::Absent) => {
                let taken = tier.take_code(self.id, self.expected);
                self.has_taken = taken == Remove::Removed;
                return Ok(Ok(taken));
            }
            _ => {}
        }
        Ok(removed)
    }

    fn effect(&self, output: Remove) -> Effect {
        match output {
            Remove::Removed => Effect::Gone,
            Remove::Changed | Remove::Absent => Effect::Unknown,
        }
    }
}
