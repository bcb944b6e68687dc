//! The statements on grants. Each is one round trip, and one step.

use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::grant::{Grant, InvalidRecord, Revision};
use crate::id::GrantId;
use crate::store::{Cursor, GrantQuery, Page, Remove, Replace};

use super::connection::{Connections, Failure, Value};

/// The number of the format, as the column has it.
const FORMAT: i32 = Grant::FORMAT.cast_signed();

/// A grant as it is written.
struct Columns<'a> {
    id: Vec<u8>,
    revision: i64,
    expires_at: Option<i64>,
    client: &'a str,
    subject: Option<&'a str>,
    parent: Option<Vec<u8>>,
    record: String,
}

impl<'a> Columns<'a> {
    fn of(grant: &'a Grant) -> Self {
        Self {
            id: grant.id().as_bytes().to_vec(),
            revision: number(grant.revision()),
            expires_at: grant.expires_at().map(millis),
            client: grant.client().as_str(),
            subject: grant.subject().map(crate::id::Subject::as_str),
            parent: grant.parent().map(|parent| parent.as_bytes().to_vec()),
            record: grant.to_stored(),
        }
    }

    fn values(&self) -> [Value<'_>; 8] {
        [
            (&self.id, Type::BYTEA),
            (&self.revision, Type::INT8),
            (&FORMAT, Type::INT4),
            (&self.expires_at, Type::INT8),
            (&self.client, Type::TEXT),
            (&self.subject, Type::TEXT),
            (&self.parent, Type::BYTEA),
            (&self.record, Type::TEXT),
        ]
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
pub(super) async fn insert(connections: &Connections, grant: &Grant) -> Result<bool, Failure> {
    let columns = Columns::of(grant);
    let inserted = connections
        .row(
            "INSERT INTO grantor_grants (id, revision, format, expires_at, client, subject, parent, record)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING RETURNING 1",
            &columns.values(),
        )
        .await?;
    Ok(inserted.is_some())
}

pub(super) async fn load(connections: &Connections, id: GrantId) -> Result<Option<Grant>, StoreError> {
    let bytes = id.as_bytes().as_slice();
    let row = connections
        .row("SELECT id, revision, record FROM grantor_grants WHERE id = $1", &[(&bytes, Type::BYTEA)])
        .await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn replace(
    connections: &Connections,
    grant: &Grant,
    expected: Revision,
) -> Result<Result<Replace, StoreError>, Failure> {
    let expected = number(expected);
    let columns = Columns::of(grant);
    let mut values = columns.values().to_vec();
    values.push((&expected, Type::INT8));
    // What is there besides is of the moment before.
    let row = connections
        .row(
            "WITH written AS (
                 UPDATE grantor_grants SET revision = $2, format = $3, expires_at = $4, client = $5,
                     subject = $6, parent = $7, record = $8
                 WHERE id = $1 AND revision = $9 AND format <= $3 RETURNING 1
             )
             SELECT EXISTS (SELECT FROM written),
                    (SELECT format FROM grantor_grants WHERE id = $1)",
            &values,
        )
        .await?;
    Ok(outcome(row.as_ref()).map(|(is_done, _)| if is_done { Replace::Replaced } else { Replace::Changed }))
}

pub(super) async fn remove(
    connections: &Connections,
    id: GrantId,
    expected: Option<Revision>,
) -> Result<Remove, StoreError> {
    let (bytes, expected) = (id.as_bytes().as_slice(), expected.map(number));
    let row = connections
        .row(
            "WITH removed AS (
                 DELETE FROM grantor_grants
                 WHERE id = $1 AND ($2 IS NULL OR revision = $2) AND format <= $3 RETURNING 1
             )
             SELECT EXISTS (SELECT FROM removed),
                    (SELECT format FROM grantor_grants WHERE id = $1)",
            &[(&bytes, Type::BYTEA), (&expected, Type::INT8), (&FORMAT, Type::INT4)],
        )
        .await?;
    Ok(match outcome(row.as_ref())? {
        (true, _) => Remove::Removed,
        (false, false) => Remove::Absent,
        // The second look of the statement is of the moment before the first one.
        (false, true) if is_there(connections, id).await? => Remove::Changed,
        (false, true) => Remove::Absent,
    })
}

async fn is_there(connections: &Connections, id: GrantId) -> Result<bool, StoreError> {
    let bytes = id.as_bytes().as_slice();
    let sql = "SELECT 1 FROM grantor_grants WHERE id = $1";
    Ok(connections.row(sql, &[(&bytes, Type::BYTEA)]).await?.is_some())
}

/// Was it done, and was there a record before?
fn outcome(row: Option<&Row>) -> Result<(bool, bool), StoreError> {
    let Some(row) = row else { return Err(StoreError::other("a statement without an answer")) };
    let is_done: bool = column(row, 0)?;
    let format: Option<i32> = column(row, 1)?;
    match format {
        Some(format) if format > FORMAT && !is_done => {
            Err(InvalidRecord::Newer { format: format.cast_unsigned() }.into())
        }
        format => Ok((is_done, format.is_some())),
    }
}

/// Deletes up to `limit` records that have expired at `before`. What another node is about to
/// write or delete is passed over.
pub(super) async fn purge(
    connections: &Connections,
    before: Timestamp,
    limit: usize,
) -> Result<usize, Failure> {
    // What never ends within the numbers of a column has not ended.
    let before = millis(before).min(i64::MAX - 1);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let row = connections
        .row(
            "WITH expired AS (
                 SELECT id FROM grantor_grants WHERE expires_at <= $1 AND format <= $2
                 ORDER BY expires_at LIMIT $3 FOR UPDATE SKIP LOCKED
             ), gone AS (
                 DELETE FROM grantor_grants WHERE id IN (SELECT id FROM expired) AND expires_at <= $1
                 RETURNING 1
             )
             SELECT count(*) FROM gone",
            &[(&before, Type::INT8), (&FORMAT, Type::INT4), (&limit, Type::INT8)],
        )
        .await?;
    let count: i64 = row.as_ref().map_or(Ok(0), |row| row.try_get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

pub(super) async fn find(connections: &Connections, query: &GrantQuery) -> Result<Page, StoreError> {
    let limit = query.page_size();
    let most = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let start = query.start().map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let client = query.client().map(crate::id::ClientId::as_str);
    let subject = query.subject().map(crate::id::Subject::as_str);
    let mut values: Vec<Value<'_>> = vec![(&start, Type::BYTEA), (&most, Type::INT8)];
    let sql = match (&client, &subject) {
        (None, None) => {
            "SELECT id, revision, record FROM grantor_grants
             WHERE id > $1 ORDER BY id LIMIT $2"
        }
        (Some(client), None) => {
            values.push((client, Type::TEXT));
            "SELECT id, revision, record FROM grantor_grants
             WHERE client = $3 AND id > $1 ORDER BY client, id LIMIT $2"
        }
        (None, Some(subject)) => {
            values.push((subject, Type::TEXT));
            "SELECT id, revision, record FROM grantor_grants
             WHERE subject = $3 AND id > $1 ORDER BY subject, id LIMIT $2"
        }
        (Some(client), Some(subject)) => {
            values.extend([(client as _, Type::TEXT), (subject as _, Type::TEXT)]);
            "SELECT id, revision, record FROM grantor_grants
             WHERE client = $3 AND subject = $4 AND id > $1 ORDER BY subject, id LIMIT $2"
        }
    };
    let rows = connections.query(sql, &values).await?;
    let mut grants = rows.iter().map(|row| read(row).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    let has_more = grants.len() > limit;
    grants.truncate(limit);
    let last = grants.last().map(|last| Cursor::at(last.id()));
    Ok(Page::new(grants, last.filter(|_| has_more)))
}

/// Reads `id, revision, record`.
fn read(row: &Row) -> Result<Grant, StoreError> {
    let (id, revision): (&[u8], i64) = (column(row, 0)?, column(row, 1)?);
    let grant = Grant::from_stored(column(row, 2)?)?;
    if grant.id().as_bytes() == id && number(grant.revision()) == revision {
        Ok(grant)
    } else {
        Err(InvalidRecord::Damaged("it is not the record that its columns name".into()).into())
    }
}

fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, StoreError> {
    row.try_get(at).map_err(StoreError::other)
}
