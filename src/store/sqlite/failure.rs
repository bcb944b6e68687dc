use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::error::StoreError;

/// Why a call did not get its answer. Everyone in a transaction that failed gets the same.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::store) enum Failure {
    #[error("too many calls wait for the database")]
    Overloaded,
    #[error("the database has schema {0}: a newer version of this library has migrated it")]
    Newer(i64),
    #[error("the database gave up the call")]
    Abandoned,
    #[error("{0}")]
    Engine(#[source] Arc<rusqlite::Error>),
}

impl Failure {
    /// There is no room on the disk, or no more is allowed.
    pub(in crate::store) fn is_full(&self) -> bool {
        self.code() == Some(ErrorCode::DiskFull)
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Engine(error) => error.sqlite_error_code(),
            Self::Overloaded | Self::Newer(_) | Self::Abandoned => None,
        }
    }

    fn is_passing(&self) -> bool {
        match self {
            Self::Overloaded | Self::Newer(_) => true,
            Self::Abandoned => false,
            Self::Engine(_) => matches!(
                self.code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::DiskFull
                        | ErrorCode::OutOfMemory
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::CannotOpen
                        | ErrorCode::FileLockingProtocolFailed
                )
            ),
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(Arc::new(error))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        if failure.is_passing() { Self::unavailable(failure) } else { Self::other(failure) }
    }
}
