mod dropped;
mod find;
mod history;
mod probe;
mod purge;
mod race;
mod records;

use crate::store::TokenStore;

use super::{Probe, Rule, Violations, check_each};

/// Checks a [`TokenStore`]: what each method promises, alone and in a race with others.
///
/// `new_store` gives an empty store at each call, with room for 200 grants of one client.
/// The grants are of the year 2100, so that a store that knows the time does not take them
/// for expired.
///
/// | rules | what they say |
/// |---|---|
/// | `insert_…`, `load_…` | a grant comes back as it was put in, and an id is taken once |
/// | `replace_…` | writes at the expected revision and nowhere else; nothing comes back to life |
/// | `remove_…` | removes at the expected revision, and for good |
/// | `find_…` | all that match, once, in the order of their ids, in pages |
/// | `purge_…` | what is expired for long enough when it is deleted, and nothing else |
/// | `race_…` | of several writes at once one wins, the others know, and what is there agrees |
/// | `dropped_…` | a call whose future is dropped has done all or nothing |
///
/// ```
/// use grantor::testing::{block_on, contract};
/// # use grantor::store::TokenStore;
/// # fn example<MyStore: TokenStore + Default>() -> Result<(), contract::Violations> {
///
/// block_on(contract::token_store(async || MyStore::default()))
/// # }
/// ```
///
/// # Errors
/// All the rules that the store broke.
pub async fn token_store<S: TokenStore>(new_store: impl AsyncFn() -> S) -> Result<(), Violations> {
    check_each!(new_store();
        records:
            insert_load insert_occupied insert_near insert_after_remove
            load_unknown load_recent
            replace_visible replace_changed replace_near replace_missing replace_removed
            remove_expected remove_changed remove_any remove_absent;
        find: find_matching find_pages find_current find_past_removed;
        purge: purge_delay purge_limit purge_moved_expiry purge_new_expiry purge_never;
        race:
            race_insert race_replace race_remove race_remove_replace race_remove_any race_insert_remove
            race_purge_replace;
        history: race_load race_update race_apart;
        dropped: dropped_insert dropped_replace dropped_remove;
    )
}
