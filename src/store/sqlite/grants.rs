//! The statements on grants.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::clock::Timestamp;
use crate::grant::{Grant, InvalidRecord, Revision};
use crate::id::GrantId;
use crate::store::{Cursor, GrantQuery, Page, Remove, Replace};

/// A grant as it is written.
pub(in crate::store) struct Row {
    id: [u8; 16],
    revision: i64,
    expires_at: Option<i64>,
    client: String,
    subject: Option<String>,
    parent: Option<[u8; 16]>,
    record: String,
}

impl Row {
    pub(in crate::store) fn of(grant: &Grant) -> Self {
        Self {
            id: *grant.id().as_bytes(),
            revision: number(grant.revision()),
            expires_at: grant.expires_at().map(millis),
            client: grant.client().as_str().to_owned(),
            subject: grant.subject().map(|subject| subject.as_str().to_owned()),
            parent: grant.parent().map(|parent| *parent.as_bytes()),
            record: grant.to_stored(),
        }
    }
}

/// The moment after all others is too large a number for a column.
fn millis(moment: Timestamp) -> i64 {
    i64::try_from(moment.as_millis()).unwrap_or(i64::MAX)
}

fn number(revision: Revision) -> i64 {
    revision.as_u64().cast_signed()
}

/// False if there is a record with that id.
pub(in crate::store) fn insert(connection: &Connection, row: &Row) -> rusqlite::Result<bool> {
    let Row { id, revision, expires_at, client, subject, parent, record } = row;
    let mut insert = connection.prepare_cached(
        "INSERT INTO grants (id, revision, format, expires_at, client, subject, parent, record)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
    )?;
    let values = params![id, revision, Grant::FORMAT, expires_at, client, subject, parent, record];
    Ok(insert.execute(values)? == 1)
}

pub(in crate::store) fn load(
    connection: &Connection,
    id: GrantId,
) -> rusqlite::Result<Result<Option<Grant>, InvalidRecord>> {
    let mut select = connection.prepare_cached("SELECT id, revision, record FROM grants WHERE id = ?")?;
    Ok(select.query_row([id.as_bytes()], read).optional()?.transpose())
}

pub(in crate::store) fn replace(
    connection: &Connection,
    row: &Row,
    expected: Revision,
) -> rusqlite::Result<Result<Replace, InvalidRecord>> {
    let Row { id, revision, expires_at, client, subject, parent, record } = row;
    let expected = number(expected);
    // Who a grant belongs to does not change, and columns that are not named need no look at
    // their indexes.
    let mut update = connection.prepare_cached(
        "UPDATE grants SET revision = ?3, expires_at = ?4, record = ?5, format = ?6
         WHERE id = ?1 AND revision = ?2 AND format <= ?6
         AND client = ?7 AND subject IS ?8 AND parent IS ?9",
    )?;
    let values = params![id, expected, revision, expires_at, record, Grant::FORMAT, client, subject, parent];
    if update.execute(values)? == 1 {
        return Ok(Ok(Replace::Replaced));
    }
    let mut update = connection.prepare_cached(
        "UPDATE grants SET revision = ?3, expires_at = ?4, record = ?5, format = ?6,
         client = ?7, subject = ?8, parent = ?9
         WHERE id = ?1 AND revision = ?2 AND format <= ?6",
    )?;
    if update.execute(values)? == 1 {
        return Ok(Ok(Replace::Replaced));
    }
    Ok(present(connection, id)?.map(|_| Replace::Changed))
}

pub(in crate::store) fn remove(
    connection: &Connection,
    id: GrantId,
    expected: Option<Revision>,
) -> rusqlite::Result<Result<Remove, InvalidRecord>> {
    let id = id.as_bytes();
    let mut delete = connection.prepare_cached(
        "DELETE FROM grants WHERE id = ?1 AND (?2 IS NULL OR revision = ?2) AND format <= ?3",
    )?;
    if delete.execute(params![id, expected.map(number), Grant::FORMAT])? == 1 {
        return Ok(Ok(Remove::Removed));
    }
    let is_there = present(connection, id)?;
    Ok(is_there.map(|is_there| if is_there { Remove::Changed } else { Remove::Absent }))
}

/// True if there is a record that is not too new to be touched.
fn present(connection: &Connection, id: &[u8; 16]) -> rusqlite::Result<Result<bool, InvalidRecord>> {
    let mut select = connection.prepare_cached("SELECT format FROM grants WHERE id = ?")?;
    let format: Option<u32> = select.query_row([id], |row| row.get(0)).optional()?;
    Ok(match format {
        Some(format) if format > Grant::FORMAT => Err(InvalidRecord::Newer { format }),
        other => Ok(other.is_some()),
    })
}

#[cfg(feature = "tiered")]
pub(in crate::store) fn is_there(connection: &Connection, id: GrantId) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM grants WHERE id = ?")?.exists([id.as_bytes()])
}

#[cfg(feature = "tiered")]
pub(in crate::store) fn count(connection: &Connection) -> rusqlite::Result<usize> {
    let count: i64 =
        connection.prepare_cached("SELECT count(*) FROM grants")?.query_row([], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Deletes up to `limit` records that have expired at `before`.
pub(in crate::store) fn purge(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    // What never ends within the numbers of a column has not ended.
    let before = millis(before).min(i64::MAX - 1);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut delete = connection.prepare_cached(
        "DELETE FROM grants WHERE rowid IN (
             SELECT rowid FROM grants INDEXED BY grants_by_expiry
             WHERE expires_at <= ?1 AND format <= ?2 ORDER BY expires_at LIMIT ?3
         )",
    )?;
    delete.execute(params![before, Grant::FORMAT, limit])
}

pub(super) fn find(
    connection: &Connection,
    query: &GrantQuery,
) -> rusqlite::Result<Result<Page, InvalidRecord>> {
    let sql = match (query.client(), query.subject()) {
        (None, None) => {
            "SELECT id, revision, record FROM grants
             WHERE id > ?1 ORDER BY id LIMIT ?2"
        }
        (Some(_), None) => {
            "SELECT id, revision, record FROM grants INDEXED BY grants_by_client
             WHERE client = ?3 AND id > ?1 ORDER BY id LIMIT ?2"
        }
        (None, Some(_)) => {
            "SELECT id, revision, record FROM grants INDEXED BY grants_by_subject
             WHERE subject = ?3 AND id > ?1 ORDER BY id LIMIT ?2"
        }
        (Some(_), Some(_)) => {
            "SELECT id, revision, record FROM grants INDEXED BY grants_by_subject
             WHERE client = ?3 AND subject = ?4 AND id > ?1 ORDER BY id LIMIT ?2"
        }
    };
    let limit = query.page_size();
    let start = query.start().map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let mut values = vec![Value::Blob(start), Value::Integer(i64::try_from(limit + 1).unwrap_or(i64::MAX))];
    values.extend(query.client().map(|client| Value::Text(client.to_string())));
    values.extend(query.subject().map(|subject| Value::Text(subject.to_string())));
    let mut select = connection.prepare_cached(sql)?;
    let found = select.query_map(rusqlite::params_from_iter(values), read)?;
    let found: Result<Vec<_>, _> = found.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().collect();
    Ok(found.map(|mut grants| {
        let has_more = grants.len() > limit;
        grants.truncate(limit);
        let last = grants.last().map(|last| Cursor::at(last.id()));
        Page::new(grants.into_iter().map(Arc::new).collect(), last.filter(|_| has_more))
    }))
}

/// Reads `id, revision, record`.
fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Grant, InvalidRecord>> {
    let (id, revision): ([u8; 16], i64) = (row.get(0)?, row.get(1)?);
    let text = row.get_ref(2)?.as_str()?;
    Ok(Grant::from_stored(text).and_then(|grant| {
        if *grant.id().as_bytes() == id && number(grant.revision()) == revision {
            Ok(grant)
        } else {
            Err(InvalidRecord::Damaged("it is not the record that its columns name".into()))
        }
    }))
}
