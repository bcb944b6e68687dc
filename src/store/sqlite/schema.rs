//! Connections, and the tables behind them.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{SqliteOpenError, SqliteStoreBuilder};

/// The version of the schema that this library works with.
pub(super) const VERSION: i64 = 1;

/// Each takes the schema one version further.
const MIGRATIONS: [&str; 1] = [include_str!("schema/1.sql")];

/// "grnt": tells the file from the databases of others.
const APPLICATION_ID: i64 = 0x6772_6e74;

const PAGE_SIZE: u64 = 4096;

/// A connection to a file that has the present schema.
pub(super) fn connect(path: &Path, options: &SqliteStoreBuilder) -> Result<Connection, SqliteOpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(64);
    prepare(&mut connection, options.busy_timeout)?;
    if let Some(bytes) = options.largest_file {
        let pages = i64::try_from(bytes / PAGE_SIZE).unwrap_or(i64::MAX);
        connection.pragma_update_and_check(None, "max_page_count", pages.max(1), |_| Ok(()))?;
    }
    Ok(connection)
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))
}

fn prepare(connection: &mut Connection, busy_timeout: Duration) -> Result<(), SqliteOpenError> {
    if connection.is_readonly("main")? {
        return Err(SqliteOpenError::ReadOnly);
    }
    check_owner(connection)?;
    write_ahead(connection, busy_timeout)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // In KiB.
    connection.pragma_update(None, "cache_size", -16_384)?;
    // The log is taken into the file beside the writer, which only has to do it itself when
    // there is never a moment at which all of it has been taken. In pages.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 8_192, |_| Ok(()))?;
    // A log that has once become long does not stay so.
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    migrate(connection, &MIGRATIONS)
}

/// Refuses what is not ours before anything is written.
fn check_owner(connection: &Connection) -> Result<(), SqliteOpenError> {
    // Another process may be making the tables: all of it is of one moment.
    let moment = connection.unchecked_transaction()?;
    let tables: i64 = moment.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i64 = moment.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = version(&moment)?;
    drop(moment);
    if application == APPLICATION_ID {
        return check_version(version);
    }
    if application == 0 && tables == 0 { Ok(()) } else { Err(SqliteOpenError::Foreign) }
}

fn check_version(version: i64) -> Result<(), SqliteOpenError> {
    if version > VERSION { Err(SqliteOpenError::Newer { version }) } else { Ok(()) }
}

/// The journal cannot be changed while another process looks at the file, and `SQLite` does
/// not wait for it by itself.
fn write_ahead(connection: &Connection, busy_timeout: Duration) -> Result<(), SqliteOpenError> {
    const PAUSE: Duration = Duration::from_millis(5);
    let mut left = busy_timeout;
    loop {
        let mode: rusqlite::Result<String> =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0));
        match mode.map_err(SqliteOpenError::from) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) | Err(SqliteOpenError::Busy) if !left.is_zero() => {
                thread::sleep(PAUSE);
                left = left.saturating_sub(PAUSE);
            }
            Ok(_) => return Err(SqliteOpenError::Busy),
            Err(error) => return Err(error),
        }
    }
}

fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), SqliteOpenError> {
    let latest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if version(connection)? == latest {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let present = version(&transaction)?;
    if present > latest {
        return Err(SqliteOpenError::Newer { version: present });
    }
    for migration in migrations.iter().skip(usize::try_from(present).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", latest)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_migration_runs_once_and_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        let first = ["CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"];
        let more = [first.as_slice(), &["INSERT INTO t VALUES (2)"]].concat();
        migrate(&mut connection, &first).unwrap();
        for _ in 0..2 {
            migrate(&mut connection, &more).unwrap();
        }
        let rows: String =
            connection.query_row("SELECT group_concat(a) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!((rows.as_str(), version(&connection).unwrap()), ("1,2", 3));
    }

    #[test]
    fn a_migration_that_fails_leaves_everything_as_it_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &["CREATE TABLE t (a)"]).unwrap();
        let broken = ["CREATE TABLE t (a)", "DROP TABLE t; SELECT nothing"];
        assert!(migrate(&mut connection, &broken).is_err());
        assert_eq!(version(&connection).unwrap(), 1);
        connection.execute_batch("SELECT a FROM t").unwrap();
    }

    #[test]
    fn the_version_is_the_number_of_migrations() {
        assert_eq!(usize::try_from(VERSION), Ok(MIGRATIONS.len()));
    }

    #[test]
    fn a_commit_waits_for_the_disk() {
        let path = std::env::temp_dir().join(format!("grantor-schema-{}.db", std::process::id()));
        std::fs::write(&path, "").unwrap();
        let connection = connect(&path, &SqliteStoreBuilder::new(&path)).unwrap();
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(pragma("synchronous"), Ok(2), "FULL");
        assert_eq!(
            connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)),
            Ok("wal".to_owned())
        );
        drop(connection);
        std::fs::remove_file(&path).unwrap();
    }
}
