//! The statements on clients and users.

use rusqlite::{Connection, OptionalExtension as _, Params, params};
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::id::{ClientId, Subject};
use crate::password::PasswordHash;
use crate::store::registration::{self, FORMAT, InvalidRegistration};
use crate::user::{User, UserPassword};

const PAGE: u32 = 1000;

type Answer<T> = rusqlite::Result<Result<T, InvalidRegistration>>;

pub(super) struct ClientRow {
    id: String,
    record: String,
}

impl ClientRow {
    pub(super) fn of(client: &Client) -> Result<Self, StoreError> {
        Ok(Self { id: client.id().to_string(), record: registration::write(client)? })
    }
}

pub(super) struct UserRow {
    subject: String,
    username: String,
    record: String,
}

impl UserRow {
    pub(super) fn of(user: &User) -> Result<Self, StoreError> {
        let (subject, username) = (user.subject().to_string(), user.username().to_owned());
        Ok(Self { subject, username, record: registration::write(user)? })
    }
}

pub(super) fn client(connection: &Connection, id: &ClientId) -> Answer<Option<Client>> {
    read(connection, "SELECT format, record FROM clients WHERE id = ?", [id.as_str()])
}

pub(super) fn user(connection: &Connection, username: &str) -> Answer<Option<User>> {
    read(connection, "SELECT format, record FROM users WHERE username = ?", [username])
}

pub(super) fn subject(connection: &Connection, subject: &Subject) -> Answer<Option<User>> {
    read(connection, "SELECT format, record FROM users WHERE subject = ?", [subject.as_str()])
}

fn read<T: DeserializeOwned>(connection: &Connection, sql: &str, values: impl Params) -> Answer<Option<T>> {
    let mut select = connection.prepare_cached(sql)?;
    let row = select.query_row(values, |row| Ok(registration::read(row.get(0)?, row.get_ref(1)?.as_str()?)));
    row.optional().map(Option::transpose)
}

pub(super) fn put_client(connection: &Connection, ClientRow { id, record }: &ClientRow) -> Answer<()> {
    if let Err(newer) = check(connection, "SELECT max(format) FROM clients WHERE id = ?", [id])? {
        return Ok(Err(newer));
    }
    let mut put = connection.prepare_cached("REPLACE INTO clients (id, format, record) VALUES (?, ?, ?)")?;
    put.execute(params![id, FORMAT, record])?;
    Ok(Ok(()))
}

pub(super) fn remove_client(connection: &Connection, id: &ClientId) -> Answer<bool> {
    let id = [id.as_str()];
    if let Err(newer) = check(connection, "SELECT max(format) FROM clients WHERE id = ?", id)? {
        return Ok(Err(newer));
    }
    Ok(Ok(connection.prepare_cached("DELETE FROM clients WHERE id = ?")?.execute(id)? == 1))
}

pub(super) fn put_user(connection: &Connection, row: &UserRow) -> Answer<()> {
    let UserRow { subject, username, record } = row;
    let both = "SELECT max(format) FROM users WHERE subject = ? OR username = ?";
    if let Err(newer) = check(connection, both, [subject, username])? {
        return Ok(Err(newer));
    }
    let mut release = connection.prepare_cached("UPDATE users SET username = NULL WHERE username = ?")?;
    release.execute([username])?;
    let mut put = connection
        .prepare_cached("REPLACE INTO users (subject, username, format, record) VALUES (?, ?, ?, ?)")?;
    put.execute(params![subject, username, FORMAT, record])?;
    Ok(Ok(()))
}

pub(super) fn remove_user(connection: &Connection, subject: &Subject) -> Answer<bool> {
    let subject = [subject.as_str()];
    if let Err(newer) = check(connection, "SELECT max(format) FROM users WHERE subject = ?", subject)? {
        return Ok(Err(newer));
    }
    Ok(Ok(connection.prepare_cached("DELETE FROM users WHERE subject = ?")?.execute(subject)? == 1))
}

/// The one thread that writes is the lock between reading and writing.
pub(super) fn replace_password_hash(
    connection: &Connection,
    subject: &Subject,
    expected: &PasswordHash,
    new: &PasswordHash,
) -> Answer<bool> {
    let user = match self::subject(connection, subject)? {
        Ok(Some(user)) => user,
        Ok(None) => return Ok(Ok(false)),
        Err(invalid) => return Ok(Err(invalid)),
    };
    if !matches!(user.has_password(), Some(UserPassword::Phc(hash)) if hash == expected) {
        return Ok(Ok(false));
    }
    let user = user.password(UserPassword::Phc(new.clone()));
    let record = match registration::write(&user) {
        Ok(record) => record,
        Err(error) => return Ok(Err(error)),
    };
    let mut update = connection.prepare_cached("UPDATE users SET record = ? WHERE subject = ?")?;
    Ok(Ok(update.execute([record.as_str(), subject.as_str()])? == 1))
}

/// Refuses to touch what a newer version of this library wrote.
fn check(connection: &Connection, sql: &str, values: impl Params) -> Answer<()> {
    let format: Option<u32> = connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    Ok(match format {
        Some(format) if format > FORMAT => Err(InvalidRegistration::Newer(format)),
        _ => Ok(()),
    })
}

pub(super) fn client_ids(connection: &Connection, after: &str) -> rusqlite::Result<Vec<String>> {
    names(connection, "SELECT id FROM clients WHERE id > ? ORDER BY id LIMIT ?", after)
}

pub(super) fn subjects(connection: &Connection, after: &str) -> rusqlite::Result<Vec<String>> {
    names(connection, "SELECT subject FROM users WHERE subject > ? ORDER BY subject LIMIT ?", after)
}

fn names(connection: &Connection, sql: &str, after: &str) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached(sql)?;
    select.query_map(params![after, PAGE], |row| row.get(0))?.collect()
}

pub(super) fn valid_after(connection: &Connection) -> rusqlite::Result<Timestamp> {
    let mut select = connection.prepare_cached("SELECT valid_after FROM server")?;
    let millis: Option<i64> = select.query_row([], |row| row.get(0)).optional()?;
    Ok(millis.map_or(Timestamp::EPOCH, |millis| Timestamp::from_millis(millis.cast_unsigned())))
}

pub(super) fn set_valid_after(connection: &Connection, moment: Timestamp) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("REPLACE INTO server (id, valid_after) VALUES (1, ?)")?;
    put.execute([moment.as_millis().cast_signed()]).map(drop)
}
