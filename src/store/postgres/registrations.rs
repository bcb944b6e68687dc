//! The statements on clients and users.

use tokio_postgres::types::Type;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::id::{ClientId, Subject};
use crate::password::PasswordHash;
use crate::store::registration::{self, InvalidRegistration};
use crate::user::{User, UserPassword};

use super::connection::{Connections, Failure};

const FORMAT: i32 = registration::FORMAT.cast_signed();

const PAGE: i64 = 1000;

/// How often a hash that is replaced meets another change of the same user.
const ATTEMPTS: usize = 4;

pub(super) async fn client(connections: &Connections, id: &ClientId) -> Result<Option<Client>, StoreError> {
    read(connections, "SELECT format, record FROM grantor_clients WHERE id = $1", id.as_str()).await
}

pub(super) async fn user(connections: &Connections, username: &str) -> Result<Option<User>, StoreError> {
    read(connections, "SELECT format, record FROM grantor_users WHERE username = $1", username).await
}

pub(super) async fn subject(
    connections: &Connections,
    subject: &Subject,
) -> Result<Option<User>, StoreError> {
    read(connections, "SELECT format, record FROM grantor_users WHERE subject = $1", subject.as_str()).await
}

async fn read<T: serde::de::DeserializeOwned>(
    connections: &Connections,
    sql: &str,
    name: &str,
) -> Result<Option<T>, StoreError> {
    // A text of PostgreSQL cannot have it.
    if name.contains('\0') {
        return Ok(None);
    }
    let Some(row) = connections.row(sql, &[(&name, Type::TEXT)]).await? else { return Ok(None) };
    let format: i32 = row.try_get(0).map_err(StoreError::other)?;
    let record = row.try_get(1).map_err(StoreError::other)?;
    Ok(Some(registration::read(format.cast_unsigned(), record)?))
}

pub(super) async fn put_client(connections: &Connections, client: &Client) -> Result<(), StoreError> {
    let (id, record) = (client.id().as_str(), registration::write(client)?);
    let put = connections
        .row(
            "INSERT INTO grantor_clients AS own (id, format, record) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET format = $2, record = $3 WHERE own.format <= $2 RETURNING 1",
            &[(&id, Type::TEXT), (&FORMAT, Type::INT4), (&record, Type::TEXT)],
        )
        .await?;
    put.map(drop).ok_or_else(newer)
}

pub(super) async fn remove_client(connections: &Connections, id: &ClientId) -> Result<bool, StoreError> {
    let sql = "WITH gone AS (DELETE FROM grantor_clients WHERE id = $1 AND format <= $2 RETURNING 1)
               SELECT EXISTS (SELECT FROM gone), (SELECT format FROM grantor_clients WHERE id = $1)";
    remove(connections, sql, id.as_str()).await
}

pub(super) async fn remove_user(connections: &Connections, subject: &Subject) -> Result<bool, StoreError> {
    let sql = "WITH gone AS (DELETE FROM grantor_users WHERE subject = $1 AND format <= $2 RETURNING 1)
               SELECT EXISTS (SELECT FROM gone), (SELECT format FROM grantor_users WHERE subject = $1)";
    remove(connections, sql, subject.as_str()).await
}

async fn remove(connections: &Connections, sql: &str, name: &str) -> Result<bool, StoreError> {
    let row = connections.row(sql, &[(&name, Type::TEXT), (&FORMAT, Type::INT4)]).await?;
    let Some(row) = row else { return Ok(false) };
    let is_gone: bool = row.try_get(0).map_err(StoreError::other)?;
    let format: Option<i32> = row.try_get(1).map_err(StoreError::other)?;
    match format {
        Some(format) if !is_gone && format > FORMAT => Err(newer()),
        _ => Ok(is_gone),
    }
}

/// Takes the username away from whoever has it, and writes the user: one step for all who look.
pub(super) async fn put_user(connections: &Connections, user: &User) -> Result<(), StoreError> {
    let (subject, username, record) = (user.subject().as_str(), user.username(), registration::write(user)?);
    // The update is done before the insert, which asks for its number.
    let put = connections
        .row(
            "WITH taken AS (
                 UPDATE grantor_users SET username = NULL
                 WHERE username = $2 AND subject <> $1 AND format <= $3 RETURNING 1
             ), newer AS (
                 SELECT FROM grantor_users WHERE (subject = $1 OR username = $2) AND format > $3
             )
             INSERT INTO grantor_users (subject, username, format, record)
             SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM newer) AND (SELECT count(*) FROM taken) >= 0
             ON CONFLICT (subject) DO UPDATE SET username = $2, format = $3, record = $4 RETURNING 1",
            &[(&subject, Type::TEXT), (&username, Type::TEXT), (&FORMAT, Type::INT4), (&record, Type::TEXT)],
        )
        .await?;
    put.map(drop).ok_or_else(newer)
}

fn newer() -> StoreError {
    InvalidRegistration::Newer(registration::FORMAT + 1).into()
}

pub(super) async fn replace_password_hash(
    connections: &Connections,
    subject: &Subject,
    expected: &PasswordHash,
    new: &PasswordHash,
) -> Result<bool, StoreError> {
    let name = subject.as_str();
    for _ in 0..ATTEMPTS {
        let sql = "SELECT format, record FROM grantor_users WHERE subject = $1";
        let Some(row) = connections.row(sql, &[(&name, Type::TEXT)]).await? else { return Ok(false) };
        let format: i32 = row.try_get(0).map_err(StoreError::other)?;
        let old: &str = row.try_get(1).map_err(StoreError::other)?;
        let user: User = registration::read(format.cast_unsigned(), old)?;
        if !matches!(user.has_password(), Some(UserPassword::Phc(hash)) if hash == expected) {
            return Ok(false);
        }
        let record = registration::write(&user.password(UserPassword::Phc(new.clone())))?;
        // Whatever else has changed of the user meanwhile is looked at again.
        let replaced = connections
            .row(
                "UPDATE grantor_users SET record = $3 WHERE subject = $1 AND record = $2 RETURNING 1",
                &[(&name, Type::TEXT), (&old, Type::TEXT), (&record, Type::TEXT)],
            )
            .await?;
        if replaced.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) async fn client_ids(connections: &Connections, after: &str) -> Result<Vec<String>, StoreError> {
    names(connections, "SELECT id FROM grantor_clients WHERE id > $1 ORDER BY id LIMIT $2", after).await
}

pub(super) async fn subjects(connections: &Connections, after: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT subject FROM grantor_users WHERE subject > $1 ORDER BY subject LIMIT $2";
    names(connections, sql, after).await
}

async fn names(connections: &Connections, sql: &str, after: &str) -> Result<Vec<String>, StoreError> {
    let rows = connections.query(sql, &[(&after, Type::TEXT), (&PAGE, Type::INT8)]).await?;
    rows.iter().map(|row| row.try_get(0).map_err(StoreError::other)).collect()
}

pub(super) async fn valid_after(connections: &Connections) -> Result<Timestamp, StoreError> {
    let row = connections.row("SELECT valid_after FROM grantor_server", &[]).await?;
    let millis: Option<i64> = row.map(|row| row.try_get(0)).transpose().map_err(StoreError::other)?;
    Ok(millis.map_or(Timestamp::EPOCH, |millis| Timestamp::from_millis(millis.cast_unsigned())))
}

pub(super) async fn set_valid_after(connections: &Connections, moment: Timestamp) -> Result<(), Failure> {
    let millis = moment.as_millis().cast_signed();
    let sql = "INSERT INTO grantor_server (id, valid_after) VALUES (1, $1)
               ON CONFLICT (id) DO UPDATE SET valid_after = $1";
    connections.query(sql, &[(&millis, Type::INT8)]).await.map(drop)
}
