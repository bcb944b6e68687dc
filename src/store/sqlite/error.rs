use std::error::Error as StdError;
use std::io;

use rusqlite::ErrorCode;

use super::schema;

/// Why a file cannot be opened as a store. It has not been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteOpenError {
    /// A newer version of this library made it, or has migrated it.
    #[error("the database has schema {version}, which is newer than {}", schema::VERSION)]
    Newer {
        /// The version of its schema.
        version: i64,
    },
    /// It is a database of something else.
    #[error("the file is the database of another application")]
    Foreign,
    /// It is damaged, or no database at all.
    #[error("the database is damaged: {0}")]
    Damaged(#[source] Box<dyn StdError + Send + Sync>),
    /// It can be read but not written.
    #[error("the database is read-only")]
    ReadOnly,
    /// Another process held it for longer than the busy timeout.
    #[error("the database is in use by another process")]
    Busy,
    /// The file, or a thread, could not be made.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Anything else that `SQLite` reports.
    #[error("the database cannot be opened: {0}")]
    Engine(#[source] Box<dyn StdError + Send + Sync>),
}

impl From<rusqlite::Error> for SqliteOpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged(error.into()),
            _ => Self::Engine(error.into()),
        }
    }
}
