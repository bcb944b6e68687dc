use std::path::Path;
use std::sync::mpsc;

use futures_channel::oneshot::Receiver;

use crate::store::StoreErrorKind;
use crate::testing::block_on;

use super::*;

type Answer = Receiver<Result<(), Failure>>;

/// A writer whose next calls wait for `open`, so that they become one group.
struct Gate {
    writer: Writer,
    release: mpsc::Sender<()>,
}

impl Gate {
    fn new() -> Self {
        Self::on(Connection::open_in_memory().unwrap())
    }

    fn on(connection: Connection) -> Self {
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON;
                 CREATE TABLE t (a UNIQUE, b REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED);",
            )
            .unwrap();
        let writer =
            Writer::start(connection, Vec::new(), None, None, &SqliteStoreBuilder::new(Path::new("unused")))
                .unwrap();
        let (release, wait) = mpsc::channel();
        let (waits, is_waiting) = mpsc::channel();
        drop(job::submit(&writer.queue, move |_| {
            let _ = waits.send(());
            let _ = wait.recv();
            Ok(())
        }));
        is_waiting.recv().unwrap();
        Self { writer, release }
    }

    fn execute(&self, sql: &'static str) -> Answer {
        job::submit(&self.writer.queue, move |connection| connection.execute_batch(sql))
    }

    fn panic(&self) -> Answer {
        job::submit(&self.writer.queue, |_| panic!("the test says so"))
    }

    fn open(&self) {
        self.release.send(()).unwrap();
    }

    fn rows(&self) -> i64 {
        let count = |connection: &Connection| {
            connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
        };
        block_on(self.writer.run(count)).unwrap()
    }
}

fn wait(answer: Answer) -> Result<(), Failure> {
    block_on(answer).unwrap_or(Err(Failure::Abandoned))
}

#[test]
fn a_call_that_fails_does_not_take_the_others_with_it() {
    let gate = Gate::new();
    let first = gate.execute("INSERT INTO t (a) VALUES (1)");
    let wrong = gate.execute("INSERT INTO t (a) VALUES (2); INSERT INTO nowhere VALUES (1)");
    let last = gate.execute("INSERT INTO t (a) VALUES (3)");
    gate.open();
    assert!(wait(first).is_ok() && wait(last).is_ok());
    assert!(matches!(wait(wrong), Err(Failure::Engine(_))));
    assert_eq!(gate.rows(), 2, "and leaves nothing of its own");
}

#[test]
fn a_group_that_is_not_committed_is_told_so_and_not_written() {
    let gate = Gate::new();
    let first = gate.execute("INSERT INTO t (a) VALUES (1)");
    let dangling = gate.execute("INSERT INTO t (a, b) VALUES (2, 'missing')");
    let last = gate.execute("INSERT INTO t (a) VALUES (3)");
    gate.open();
    for answer in [first, dangling, last] {
        assert!(matches!(wait(answer), Err(Failure::Engine(_))));
    }
    assert_eq!(gate.rows(), 0);
    assert!(wait(gate.execute("INSERT INTO t (a) VALUES (1)")).is_ok(), "it goes on");
    assert_eq!(gate.rows(), 1);
}

#[test]
fn a_panic_is_answered_and_the_writer_goes_on() {
    let gate = Gate::new();
    let first = gate.execute("INSERT INTO t (a) VALUES (1)");
    let panics = gate.panic();
    let last = gate.execute("INSERT INTO t (a) VALUES (3)");
    gate.open();
    for answer in [first, panics, last] {
        let error = crate::error::StoreError::from(wait(answer).unwrap_err());
        assert_eq!(error.kind(), StoreErrorKind::Other);
    }
    assert_eq!(gate.rows(), 0, "nobody was told that it was written");
    assert!(wait(gate.execute("INSERT INTO t (a) VALUES (1)")).is_ok());
}

#[test]
fn what_was_accepted_is_done_when_the_handle_is_gone() {
    let gate = Gate::new();
    let answers: Vec<_> = (0..300).map(|_| gate.execute("INSERT INTO t (a) VALUES (NULL)")).collect();
    let Gate { writer, release } = gate;
    drop(writer);
    release.send(()).unwrap();
    assert!(answers.into_iter().all(|answer| wait(answer).is_ok()));
}

#[test]
fn calls_beyond_the_length_of_the_queue_are_unavailable() {
    let options = SqliteStoreBuilder::new(Path::new("unused")).queue(2);
    let writer =
        Writer::start(Connection::open_in_memory().unwrap(), Vec::new(), None, None, &options).unwrap();
    let (release, blocked) = mpsc::channel::<()>();
    let (waits, is_waiting) = mpsc::channel();
    drop(job::submit(&writer.queue, move |_| {
        let _ = waits.send(());
        let _ = blocked.recv();
        Ok(())
    }));
    is_waiting.recv().unwrap();
    let answers: Vec<_> = (0..3).map(|_| job::submit(&writer.queue, |_| Ok(()))).collect();
    release.send(()).unwrap();
    let outcomes: Vec<_> = answers.into_iter().map(wait).collect();
    assert!(matches!(outcomes.as_slice(), [Ok(()), Ok(()), Err(Failure::Overloaded)]));
    let error = crate::error::StoreError::from(Failure::Overloaded);
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[test]
fn a_file_that_a_newer_version_has_migrated_is_not_written() {
    let gate = Gate::new();
    gate.open();
    assert!(wait(gate.execute("PRAGMA user_version = 2")).is_ok());
    let failure = wait(gate.execute("INSERT INTO t (a) VALUES (1)")).unwrap_err();
    assert!(matches!(failure, Failure::Newer(2)));
    assert_eq!(crate::error::StoreError::from(failure).kind(), StoreErrorKind::Unavailable);
}
