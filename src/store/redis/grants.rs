//! The commands on grants.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use redis::{Value, cmd};

use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::grant::{Grant, Revision};
use crate::id::GrantId;
use crate::store::{Cursor, GrantQuery, PURGE_DELAY, Page, Remove, Replace};

use super::Inner;
use super::connection::Failure;
use super::index::{self, Entry, Keys};
use super::record;

/// How many entries of a set are looked at in one go.
const BATCH: usize = 256;

/// The milliseconds that a record is kept, by the clock of the server that writes it; `None`: for
/// ever.
fn time_to_live(grant: &Grant) -> Option<u64> {
    let left = grant.expires_at()?.plus(PURGE_DELAY).since(grant.updated_at());
    // Longer than Redis can count is for ever.
    u64::try_from(left.as_millis()).ok().map(|left| left.max(1)).filter(|left| *left < 1 << 52)
}

/// False if there is a record with that id.
pub(super) async fn insert(store: &Inner, grant: &Grant) -> Result<bool, Failure> {
    let mut set = cmd("SET");
    set.arg(store.keys.grant(grant.id())).arg(record::write(grant)).arg("NX");
    if let Some(left) = time_to_live(grant) {
        set.arg("PX").arg(left);
    }
    let answer: Option<String> = store.connections.after(store.keys.add(grant), set).await?;
    Ok(answer.is_some())
}

pub(super) async fn load(store: &Inner, id: GrantId) -> Result<Option<Grant>, StoreError> {
    let mut get = cmd("GET");
    get.arg(store.keys.grant(id));
    let value: Option<String> = store.connections.query(&get).await?;
    value.map(|value| record::read(id, &value)).transpose()
}

pub(super) async fn replace(
    store: &Inner,
    grant: &Grant,
    expected: Revision,
) -> Result<Result<Replace, StoreError>, Failure> {
    let mut script = store.scripts.replace.key(store.keys.grant(grant.id()));
    script.arg(record::revision(expected)).arg(record::format()).arg(record::write(grant));
    script.arg(time_to_live(grant).map_or_else(String::new, |left| left.to_string()));
    Ok(match store.connections.invoke(&script).await? {
        Value::Int(1) => Ok(Replace::Replaced),
        Value::Int(_) => Ok(Replace::Changed),
        header => Err(record::newer(&text(header)?)),
    })
}

pub(super) async fn remove(
    store: &Inner,
    id: GrantId,
    expected: Option<Revision>,
) -> Result<Remove, StoreError> {
    let mut script = store.scripts.remove.key(store.keys.grant(id));
    script.arg(expected.map_or_else(String::new, record::revision)).arg(record::format());
    match store.connections.invoke(&script).await? {
        Value::Int(0) => Ok(Remove::Absent),
        Value::Int(_) => Ok(Remove::Changed),
        Value::Array(header) => {
            let header = header.into_iter().next().map_or_else(|| Ok(String::new()), text)?;
            Err(record::newer(&header))
        }
        removed => {
            // What is left in the sets dangles, and is cleared away some time.
            if let Ok(grant) = record::read(id, &text(removed)?) {
                forget(store, &Entry::of(&grant)).await;
            }
            Ok(Remove::Removed)
        }
    }
}

fn text(value: Value) -> Result<String, Failure> {
    Ok(redis::from_redis_value::<String>(value).map_err(redis::RedisError::from)?)
}

async fn forget(store: &Inner, entry: &Entry) {
    let [of_client, of_subject, all] = store.keys.remove(entry);
    if let Some(all) = all {
        let _ = store.connections.after::<Value>([of_client, of_subject, None], all).await;
    }
}

pub(super) async fn find(store: &Inner, query: &GrantQuery) -> Result<Page, StoreError> {
    let sets: Vec<Vec<u8>> = match (query.client(), query.subject()) {
        (_, Some(subject)) => vec![store.keys.of_subject(subject)],
        (Some(client), None) => vec![store.keys.of_client(client)],
        (None, None) => {
            let first = query.start().map_or(0, Keys::shard_of);
            store.keys.all().skip(usize::from(first)).collect()
        }
    };
    let limit = query.page_size();
    let mut grants = Vec::new();
    for set in sets {
        let mut after = query.start();
        loop {
            let ids = ids(store, &set, after).await?;
            let is_last = ids.len() < BATCH;
            after = ids.last().copied().or(after);
            let found = records(store, &ids).await?.into_iter().filter(|grant| query.matches(grant));
            grants.extend(found);
            if grants.len() > limit {
                grants.truncate(limit);
                let next = grants.last().map(|last: &Arc<Grant>| Cursor::at(last.id()));
                return Ok(Page::new(grants, next));
            }
            if is_last {
                break;
            }
        }
    }
    Ok(Page::new(grants, None))
}

async fn ids(store: &Inner, set: &[u8], after: Option<GrantId>) -> Result<Vec<GrantId>, StoreError> {
    let members: Vec<Vec<u8>> = store.connections.query(&index::page(set, after, BATCH)).await?;
    Ok(members
        .iter()
        .filter_map(|member| member.first_chunk::<16>())
        .map(|id| GrantId::from_bytes(*id))
        .collect())
}

/// Those that are there.
async fn records(store: &Inner, ids: &[GrantId]) -> Result<Vec<Arc<Grant>>, StoreError> {
    let values = values(store, ids).await?;
    let present = ids.iter().zip(values).filter_map(|(id, value)| Some((*id, value?)));
    present.map(|(id, value)| record::read(id, &value).map(Arc::new)).collect()
}

async fn values(store: &Inner, ids: &[GrantId]) -> Result<Vec<Option<String>>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut get = cmd("MGET");
    for id in ids {
        get.arg(store.keys.grant(*id));
    }
    store.connections.query(&get).await
}

/// Goes through all sets from where the last call ended, until `limit` records are gone or all
/// have been looked at.
pub(super) async fn purge(store: &Inner, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let mut purged = 0;
    let first = store.sweep.load(Ordering::Relaxed);
    for turn in 0..index::SHARDS {
        let set = store.keys.shard(first.wrapping_add(turn));
        let mut after = None;
        loop {
            let page: Vec<Vec<u8>> = store.connections.query(&index::page(&set, after, BATCH)).await?;
            let entries: Vec<Entry> = page.iter().filter_map(|member| Entry::read(member)).collect();
            after = entries.last().map(|last| last.id).or(after);
            let ids: Vec<GrantId> = entries.iter().map(|entry| entry.id).collect();
            for (entry, value) in entries.iter().zip(values(store, &ids).await?) {
                if purged == limit {
                    return Ok(purged);
                }
                let is_gone = match value {
                    Some(value) if record::has_ended(&value, cutoff(now)) => end(store, entry, now).await?,
                    Some(_) => false,
                    None => {
                        if entry.is_settled(now) {
                            forget(store, entry).await;
                        }
                        false
                    }
                };
                purged += usize::from(is_gone);
            }
            if page.len() < BATCH {
                break;
            }
        }
        store.sweep.fetch_add(1, Ordering::Relaxed);
    }
    Ok(purged)
}

fn cutoff(now: Timestamp) -> Timestamp {
    now.minus(PURGE_DELAY)
}

/// True if there is a record, it has still expired, and it was this call that deleted it.
async fn end(store: &Inner, entry: &Entry, now: Timestamp) -> Result<bool, StoreError> {
    let mut script = store.scripts.purge.key(store.keys.grant(entry.id));
    script.arg(record::format()).arg(record::end(cutoff(now)));
    let is_gone = store.connections.invoke::<i64>(&script).await? == 1;
    if is_gone {
        forget(store, entry).await;
    }
    Ok(is_gone)
}

/// Looks at some entries of the set that the grant is in, and clears away those whose record has
/// expired: more than come meanwhile, so that the sets stay in proportion to what is there.
pub(super) async fn tidy(store: &Inner, grant: &Grant, count: usize) -> Result<(), Failure> {
    let mut sample = cmd("ZRANDMEMBER");
    sample.arg(store.keys.shard(Keys::shard_of(grant.id()))).arg(count);
    let members: Vec<Vec<u8>> = store.connections.query(&sample).await?;
    let settled = members
        .iter()
        .filter_map(|member| Entry::read(member))
        .filter(|entry| entry.is_settled(grant.updated_at()));
    let entries: Vec<Entry> = settled.collect();
    if entries.is_empty() {
        return Ok(());
    }
    let ids: Vec<GrantId> = entries.iter().map(|entry| entry.id).collect();
    let values = values(store, &ids).await?;
    for (entry, value) in entries.iter().zip(values) {
        if value.is_none() {
            forget(store, entry).await;
        }
    }
    Ok(())
}
