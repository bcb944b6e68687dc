use std::sync::Arc;

use rusqlite::Connection;

use super::SqliteOpenError;
use super::failure::Failure;
use super::job::Job;
use super::queue::Queue;
use super::readers::Readers;

/// A thread that takes the log into the file, so that no request waits for it.
pub(super) struct Checkpoints(Readers);

/// After how many changed rows it is told to: each is in a handful of pages.
const ROWS: u64 = 128;

impl Checkpoints {
    pub(super) fn start(
        connect: impl Fn() -> Result<Connection, SqliteOpenError>,
    ) -> Result<Self, SqliteOpenError> {
        // One that waits is enough: it takes all there is by then.
        Readers::start("grantor-log", connect, 1, 1).map(Self)
    }

    pub(super) fn trigger(&self) -> Trigger {
        Trigger { queue: self.0.queue(), done: 0 }
    }

    /// Waits until what is in the log is in the file, unless others wait for that already.
    pub(super) async fn catch_up(&self) {
        // What was left undone is done the next time.
        let _ = self.0.run(checkpoint).await;
    }

    pub(super) fn readers(&mut self) -> &mut Readers {
        &mut self.0
    }
}

/// Says when there is enough in the log.
pub(super) struct Trigger {
    queue: Arc<Queue<Box<dyn Job>>>,
    done: u64,
}

impl Trigger {
    /// To be called after each commit.
    pub(super) fn committed(&mut self, connection: &Connection) {
        let changed = connection.total_changes();
        if changed.wrapping_sub(self.done) >= ROWS {
            self.done = changed;
            drop(self.queue.push(Box::new(Checkpoint)));
        }
    }
}

/// It waits for nobody, and does as much as can be done.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))
}

struct Checkpoint;

impl Job for Checkpoint {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        checkpoint(connection)
    }

    /// What was left undone is done the next time.
    fn answer(self: Box<Self>, _: Result<(), Failure>) {}

    fn is_abandoned(&self) -> bool {
        false
    }
}
