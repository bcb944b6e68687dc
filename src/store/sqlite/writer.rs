#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::checkpoint::Trigger;
use super::failure::Failure;
use super::job::{self, Job};
use super::queue::Queue;
use super::{SqliteOpenError, SqliteStoreBuilder, schema};

/// The one thread that writes. What waits while it commits goes into the next transaction
/// together, so that many callers share the one wait for the disk.
pub(super) struct Writer {
    queue: Arc<Queue<Box<dyn Job>>>,
    inserts: AtomicUsize,
}

/// How many calls share a transaction at most.
const LARGEST_GROUP: usize = 256;
/// How long the writer waits for callers that it has just answered: far less than a disk
/// takes, and only if there were several.
const PATIENCE: Duration = Duration::from_micros(200);
/// After how many inserts expired records are deleted, twice as many at most.
const INSERTS_PER_PURGE: usize = 32;

impl Writer {
    pub(super) fn start(
        connection: Connection,
        readers: Vec<JoinHandle<()>>,
        held: Option<Connection>,
        mut checkpoints: Option<Trigger>,
        options: &SqliteStoreBuilder,
    ) -> Result<Self, SqliteOpenError> {
        let queue = Arc::new(Queue::new(options.queue));
        let writer = Self { queue: Arc::clone(&queue), inserts: AtomicUsize::new(0) };
        thread::Builder::new().name("grantor-write".to_owned()).spawn(move || {
            serve(&queue, &connection, checkpoints.as_mut());
            // The last connection takes the log into the file, and of two that are closed at
            // once neither may be the last.
            readers.into_iter().for_each(|reader| drop(reader.join()));
            drop(held);
        })?;
        Ok(writer)
    }

    /// Does `work` in a transaction, and answers when it is on the disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        job::run(&self.queue, work).await
    }

    #[cfg(feature = "tiered")]
    pub(super) fn submit(&self, job: Box<dyn Job>) {
        if let Err(refused) = self.queue.push(job) {
            refused.answer(Err(Failure::Overloaded));
        }
    }

    /// True at every so many calls: one for each insert.
    pub(super) fn is_purge_due(&self) -> bool {
        (self.inserts.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(INSERTS_PER_PURGE)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn serve(queue: &Queue<Box<dyn Job>>, connection: &Connection, mut checkpoints: Option<&mut Trigger>) {
    let mut hoped = 1;
    loop {
        let group = queue.take_many(hoped, PATIENCE, LARGEST_GROUP);
        if group.is_empty() {
            return;
        }
        hoped = group.len();
        // A panic drops the group, which tells its callers, and is no reason to stop.
        let _ = catch_unwind(AssertUnwindSafe(|| commit(connection, group)));
        if let Some(checkpoints) = &mut checkpoints {
            checkpoints.committed(connection);
        }
    }
}

/// Writes the group in one transaction and answers its callers.
fn commit(connection: &Connection, mut group: Vec<Box<dyn Job>>) {
    match write(connection, &mut group) {
        Ok(()) => group.into_iter().for_each(|job| job.answer(Ok(()))),
        // One of them is at fault, and nothing is written: each for itself.
        Err(Unwritten::Statement(_)) if group.len() > 1 => {
            group.into_iter().for_each(|job| commit(connection, vec![job]));
        }
        Err(Unwritten::Statement(failure) | Unwritten::Transaction(failure)) => {
            group.into_iter().for_each(|job| job.answer(Err(failure.clone())));
        }
    }
}

enum Unwritten {
    /// A statement failed.
    Statement(Failure),
    /// It could not be begun or committed.
    Transaction(Failure),
}

fn write(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), Unwritten> {
    let transaction = |error: rusqlite::Error| Unwritten::Transaction(error.into());
    let transaction_of = Undo::begin(connection).map_err(transaction)?;
    let version = schema::version(connection).map_err(transaction)?;
    if version > schema::VERSION {
        return Err(Unwritten::Transaction(Failure::Newer(version)));
    }
    for job in group {
        job.run(connection).map_err(|error| Unwritten::Statement(error.into()))?;
    }
    transaction_of.commit().map_err(transaction)
}

/// A transaction that is undone when it is dropped: after an error, and after a panic.
struct Undo<'a>(&'a Connection);

impl<'a> Undo<'a> {
    /// With the lock on writing, so that no statement after it waits or fails for want of it.
    fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self(connection))
    }

    fn commit(self) -> rusqlite::Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        // After some errors the engine has done so itself.
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}
