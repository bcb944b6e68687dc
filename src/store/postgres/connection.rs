//! One statement at a time, within a time limit.

use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::error::StoreError;

/// A value and its type. Statements are not prepared under a name, which a proxy that hands out
/// connections by the transaction would not know.
pub(super) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

pub(super) struct Connections {
    pool: Pool,
    limit: Duration,
}

/// Why a statement did not get its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the database did not answer in time")]
    TimedOut,
    #[error("{0}")]
    Pool(#[from] PoolError),
    #[error("{0}")]
    Database(#[from] tokio_postgres::Error),
}

impl Connections {
    pub(super) fn new(pool: Pool, limit: Duration) -> Self {
        Self { pool, limit }
    }

    pub(super) async fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        let mut connection = None;
        let query = async {
            let connection = connection.insert(self.pool.get().await?);
            Ok(connection.query_typed(sql, values).await?)
        };
        let answer = timeout(self.limit, query).await.unwrap_or(Err(Failure::TimedOut));
        if matches!(answer, Err(Failure::TimedOut))
            && let Some(connection) = connection
        {
            // It may never answer again.
            drop(Object::take(connection));
        }
        answer
    }

    /// The one row of a statement that has one.
    pub(super) async fn row(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>, Failure> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }
}

impl Failure {
    /// There is no room on the disk.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Database(error) if error.code() == Some(&SqlState::DISK_FULL))
    }

    /// Trying again may help.
    fn is_passing(&self) -> bool {
        let Self::Database(error) = self else { return true };
        let Some(code) = error.code() else { return error.is_closed() || is_io(error) };
        // Connection, resources, limits, intervention, rollback; and a server that is a standby now.
        ["08", "53", "55", "57", "40"].iter().any(|class| code.code().starts_with(class))
            || *code == SqlState::READ_ONLY_SQL_TRANSACTION
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        if failure.is_passing() { Self::unavailable(failure) } else { Self::other(failure) }
    }
}
