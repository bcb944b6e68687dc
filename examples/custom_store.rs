//! A token store of your own: a template, and the checks that tell whether it is right.
//!
//! This one keeps its grants in a map behind a mutex. For an engine of your own, keep the
//! methods and replace what is in them; each says what the server relies on.
//!
//! ```sh
//! cargo run --example custom_store --features testing
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grantor::grant::{Grant, Revision};
use grantor::store::{
    Cursor, GrantQuery, Insert, PURGE_DELAY, Page, Read, Remove, Replace, StoreError, TokenStore,
};
use grantor::testing::{LatencyStore, block_on, contract};
use grantor::{GrantId, Timestamp};

/// A database would have a row for each grant: the grant itself, and beside it in columns
/// of their own what is looked for: id, revision, end, client and subject.
#[derive(Default)]
struct MutexStore {
    grants: Mutex<HashMap<GrantId, Arc<Grant>>>,
}

impl MutexStore {
    /// An engine that can fail returns `StoreError::unavailable` if it cannot be reached,
    /// and `StoreError::other` for the rest.
    fn lock(&self) -> MutexGuard<'_, HashMap<GrantId, Arc<Grant>>> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MutexStore {
    /// An id is taken once. In SQL: `INSERT … ON CONFLICT DO NOTHING`, and the number of
    /// rows says which answer it is.
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        Ok(match self.lock().entry(grant.id()) {
            Entry::Occupied(_) => Insert::Occupied,
            Entry::Vacant(vacant) => {
                vacant.insert(grant);
                Insert::Inserted
            }
        })
    }

    /// `Read::Latest` sees every write that was answered before. `Read::Recent` may be
    /// served by a cache or a replica that is a little behind; this store has neither.
    async fn load(&self, id: GrantId, _: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        Ok(self.lock().get(&id).cloned())
    }

    /// The one rule that all else rests on: compare the revision and write, in one step
    /// that nobody can come between. In SQL: `UPDATE … WHERE id = ? AND revision = ?`. A
    /// record that is gone is `Changed`, and never comes back.
    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        Ok(match self.lock().get_mut(&grant.id()) {
            Some(current) if current.revision() == expected => {
                *current = grant;
                Replace::Replaced
            }
            _ => Replace::Changed,
        })
    }

    /// The same for removing: at `expected`, or whatever it is at for `None`.
    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        Ok(match self.lock().entry(id) {
            Entry::Vacant(_) => Remove::Absent,
            Entry::Occupied(current) if expected.is_some_and(|at| current.get().revision() != at) => {
                Remove::Changed
            }
            Entry::Occupied(current) => {
                current.remove();
                Remove::Removed
            }
        })
    }

    /// A page in the order of ids, from the one after `start()` on. A database would filter
    /// by its columns; one grant more than the page holds tells whether there is a next.
    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        let grants = self.lock();
        let is_after = |grant: &Grant| query.start().is_none_or(|start| grant.id() > start);
        let mut page: Vec<_> =
            grants.values().filter(|grant| is_after(grant) && query.matches(grant)).cloned().collect();
        page.sort_unstable_by_key(|grant| grant.id());
        let more = page.len() > query.page_size();
        page.truncate(query.page_size());
        let next = page.last().filter(|_| more).map(|last| Cursor::at(last.id()));
        Ok(Page::new(page, next))
    }

    /// Looks at the end of a record and deletes it in one step, since the end may be moved
    /// on at any time. In SQL, `DELETE … WHERE expires_at <= ?` once more says it all.
    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut grants = self.lock();
        let before = now.minus(PURGE_DELAY);
        let expired = grants.values().filter(|grant| grant.is_expired(before)).map(|grant| grant.id());
        let expired: Vec<_> = expired.take(limit).collect();
        for id in &expired {
            grants.remove(id);
        }
        Ok(expired.len())
    }
}

/// As it is, and with calls that take time, which lets races come out.
async fn check() -> Result<(), contract::Violations> {
    contract::token_store(async || MutexStore::default()).await?;
    contract::token_store(async || LatencyStore::new(MutexStore::default())).await
}

fn main() -> ExitCode {
    match block_on(check()) {
        Ok(()) => {
            println!("the store keeps its contract");
            ExitCode::SUCCESS
        }
        Err(violations) => {
            println!("{violations}");
            ExitCode::FAILURE
        }
    }
}
