//! One process at a time: what another one writes would not be seen in memory.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::sqlite::SqliteOpenError;

/// Holds a lock beside the file, which ends with the process however that ends.
pub(super) fn lock(path: &Path) -> Result<Connection, SqliteOpenError> {
    let mut beside = std::path::absolute(path)?.into_os_string();
    beside.push("-owner");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(Path::new(&beside), flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    // Nothing is ever written there.
    connection.execute_batch("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")?;
    Ok(connection)
}
