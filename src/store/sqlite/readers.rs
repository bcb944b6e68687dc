use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::SqliteOpenError;
use super::failure::Failure;
use super::job::{self, Job};
use super::queue::Queue;

/// Threads beside the writer, each with a connection of its own.
pub(super) struct Readers {
    queue: Arc<Queue<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(
        name: &str,
        connect: impl Fn() -> Result<Connection, SqliteOpenError>,
        count: usize,
        capacity: usize,
    ) -> Result<Self, SqliteOpenError> {
        let mut readers = Self { queue: Arc::new(Queue::new(capacity)), threads: Vec::new() };
        for _ in 0..count {
            let connection = connect()?;
            connection.pragma_update(None, "query_only", true)?;
            let queue = Arc::clone(&readers.queue);
            let thread = thread::Builder::new().name(name.to_owned());
            readers.threads.push(thread.spawn(move || serve(&queue, &connection))?);
        }
        Ok(readers)
    }

    pub(super) fn queue(&self) -> Arc<Queue<Box<dyn Job>>> {
        Arc::clone(&self.queue)
    }

    /// Whoever closes the file waits for them.
    pub(super) fn take_threads(&mut self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.threads)
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        job::run(&self.queue, work).await
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn serve(queue: &Queue<Box<dyn Job>>, connection: &Connection) {
    while let Some(mut job) = queue.take() {
        if job.is_abandoned() {
            continue;
        }
        // A panic drops the job, which tells its caller, and is no reason to stop.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let outcome = job.run(connection).map_err(Failure::from);
            job.answer(outcome);
        }));
    }
}
