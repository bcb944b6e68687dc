//! The tables, and how they come to be.

use deadpool_postgres::Transaction;
use tokio::time::timeout;
use tokio_postgres::types::Type;

use crate::error::StoreError;

use super::connection::{Connections, Failure};

/// Each takes the schema one version further.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql")];

/// Whoever migrates holds it: "grantor" as a number.
const LOCK: i64 = 0x0067_7261_6e74_6f72;

/// Why the tables could not be made or brought up to date. They have not been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresSchemaError {
    /// A newer version of this library has migrated them.
    #[error("the database has schema {version}, which is newer than {}", MIGRATIONS.len())]
    Newer {
        /// The version of the schema.
        version: i32,
    },
    /// The database did not do it.
    #[error("the schema could not be brought up to date")]
    Failed(#[source] StoreError),
}

impl From<Failure> for PostgresSchemaError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.into())
    }
}

pub(super) async fn migrate(connections: &Connections) -> Result<(), PostgresSchemaError> {
    // Another node may be at it: its turn may come first.
    let work = async {
        let mut connection = connections.pool().get().await.map_err(Failure::from)?;
        let transaction = connection.transaction().await.map_err(Failure::from)?;
        in_order(&transaction).await?;
        Ok(transaction.commit().await.map_err(Failure::from)?)
    };
    timeout(connections.limit() * 10, work).await.unwrap_or(Err(Failure::TimedOut.into()))
}

async fn in_order(transaction: &Transaction<'_>) -> Result<(), PostgresSchemaError> {
    let latest = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    transaction
        .query_typed("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)])
        .await
        .map_err(Failure::from)?;
    // A table that is there is no news.
    let known = transaction
        .query_typed("SELECT to_regclass('grantor_schema') IS NOT NULL", &[])
        .await
        .map_err(Failure::from)?;
    let is_known = known.first().map(|row| row.try_get(0)).transpose().map_err(Failure::from)?;
    if is_known != Some(true) {
        transaction
            .batch_execute("CREATE TABLE grantor_schema (version integer NOT NULL)")
            .await
            .map_err(Failure::from)?;
    }
    let rows = transaction
        .query_typed("SELECT coalesce(max(version), 0) FROM grantor_schema", &[])
        .await
        .map_err(Failure::from)?;
    let present = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(Failure::from)?;
    if present > latest {
        return Err(PostgresSchemaError::Newer { version: present });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(present).unwrap_or(0)) {
        transaction.batch_execute(migration).await.map_err(Failure::from)?;
    }
    if present < latest {
        transaction
            .query_typed("INSERT INTO grantor_schema (version) VALUES ($1)", &[(&latest, Type::INT4)])
            .await
            .map_err(Failure::from)?;
    }
    Ok(())
}
