//! The file: who may read it, and which ones are refused.

use std::fs;
use std::path::Path;
use std::time::Duration;

use grantor::store::{
    ClientRegistry as _, ClientStore as _, GrantQuery, Read, SqliteOpenError, SqliteStore, StoreErrorKind,
    TokenStore as _, UserRegistry as _, UserStore as _,
};
use grantor::testing::block_on;
use grantor::{Client, ClientId, Subject, Timestamp, User, UserPassword};
use rusqlite::Connection;

use super::{Directory, Mount, filled, until};

/// What the operating system and another process see.
fn raw(directory: &Directory) -> Connection {
    Connection::open(directory.file()).unwrap()
}

fn refusal(path: impl AsRef<Path>) -> SqliteOpenError {
    let store = SqliteStore::builder(path).busy_timeout(Duration::from_millis(50)).open();
    store.map(drop).unwrap_err()
}

#[test]
#[cfg(unix)]
fn the_file_and_what_is_beside_it_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = Directory::new();
    let _store = filled(&directory, 1);
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", directory.file().display());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}

#[test]
fn the_threads_end_with_the_last_handle() {
    let directory = Directory::new();
    let store = filled(&directory, 1);
    let log = directory.beside("-wal");
    drop(store.clone());
    assert!(log.exists(), "a handle is left");
    drop(store);
    // The log goes when the last connection is closed.
    assert!(until(|| !log.exists()));
}

#[test]
fn what_was_written_is_there_when_the_file_is_opened_again() {
    const PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
    let alice = User::new(Subject::new("s").unwrap(), "alice");
    let alice = alice.password(UserPassword::Phc(PASSWORD.parse().unwrap()));
    let directory = Directory::new();
    let store = directory.open();
    block_on(async {
        store.put_client(Client::public("app").build().unwrap()).await.unwrap();
        store.put_user(alice.clone()).await.unwrap();
        store.set_valid_after(crate::support::START).await.unwrap();
    });
    drop(store);
    let store = filled(&directory, 3);
    block_on(async {
        assert!(store.client(&"app".parse().unwrap()).await.unwrap().is_some());
        assert_eq!(store.user("alice").await.unwrap().as_deref(), Some(&alice));
        assert_eq!(store.valid_after().await.unwrap(), crate::support::START);
        assert_eq!(store.find(&GrantQuery::new()).await.unwrap().grants.len(), 3);
    });
    let again = directory.open();
    assert_eq!(block_on(again.find(&GrantQuery::new())).unwrap().grants.len(), 3);
}

#[test]
fn a_new_file_may_be_opened_by_many_at_once() {
    for _ in 0..10 {
        let directory = Directory::new();
        let stores: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| SqliteStore::open(directory.file()))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        let client = Client::public("app").build().unwrap();
        block_on(stores[0].put_client(client.clone())).unwrap();
        for store in stores {
            assert_eq!(block_on(store.client(client.id())).unwrap().as_deref(), Some(&client));
        }
    }
}

#[test]
fn clients_and_users_are_listed_in_pages() {
    let store = Directory::new().open();
    block_on(async {
        for at in 0..1002 {
            store.put_client(Client::public(format!("client-{at:04}")).build().unwrap()).await.unwrap();
        }
        let first = store.client_ids(None).await.unwrap();
        assert_eq!((first.len(), first[0].as_str()), (1000, "client-0000"));
        let rest = store.client_ids(first.last()).await.unwrap();
        assert_eq!(rest.iter().map(ClientId::as_str).collect::<Vec<_>>(), ["client-1000", "client-1001"]);
        assert!(store.client_ids(rest.last()).await.unwrap().is_empty());
        store.put_user(User::new(Subject::new("s").unwrap(), "alice")).await.unwrap();
        assert_eq!(store.subjects(None).await.unwrap(), [Subject::new("s").unwrap()]);
    });
}

#[test]
fn a_file_of_a_newer_version_is_refused_as_it_is() {
    let directory = Directory::new();
    drop(filled(&directory, 1));
    raw(&directory).pragma_update(None, "user_version", 2).unwrap();
    let error = refusal(directory.file());
    assert!(matches!(error, SqliteOpenError::Newer { version: 2, .. }), "{error}");
    assert_eq!(error.to_string(), "the database has schema 2, which is newer than 1");
}

#[test]
fn a_file_that_is_migrated_while_it_is_open_is_no_longer_written() {
    let directory = Directory::new();
    let store = filled(&directory, 1);
    raw(&directory).pragma_update(None, "user_version", 2).unwrap();
    let grant = block_on(store.find(&GrantQuery::new())).unwrap().grants.remove(0);
    let error = block_on(store.remove(grant.id(), None)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[test]
fn files_of_others_are_refused_and_not_touched() {
    let directory = Directory::new();
    let foreign = directory.0.join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(matches!(refusal(&foreign), SqliteOpenError::Foreign));
    let marked = directory.0.join("marked.db");
    Connection::open(&marked).unwrap().execute_batch("PRAGMA application_id = 7").unwrap();
    assert!(matches!(refusal(&marked), SqliteOpenError::Foreign));
    let text = directory.0.join("text.db");
    fs::write(&text, "this is no database\n".repeat(100)).unwrap();
    let before = fs::read(&text).unwrap();
    assert!(matches!(refusal(&text), SqliteOpenError::Damaged(_)));
    assert_eq!(fs::read(&text).unwrap(), before);
    assert!(matches!(refusal(directory.0.join("missing/grants.db")), SqliteOpenError::Io(_)));
    assert!(matches!(refusal(&directory.0), SqliteOpenError::Engine(_)));
}

#[test]
fn a_damaged_file_is_refused_or_fails_and_never_answers_something_else() {
    let directory = Directory::new();
    let store = filled(&directory, 50);
    let ids: Vec<_> =
        block_on(store.find(&GrantQuery::new())).unwrap().grants.iter().map(|grant| grant.id()).collect();
    drop(store);
    assert!(until(|| !directory.beside("-wal").exists()));
    let whole = fs::read(directory.file()).unwrap();
    let (mut refused, mut failed) = (0, 0);
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..4096].fill(0xa5);
        fs::write(directory.file(), damaged).unwrap();
        match SqliteStore::open(directory.file()) {
            Err(SqliteOpenError::Damaged(_)) => refused += 1,
            Err(error) => panic!("page {page}: {error}"),
            Ok(store) => {
                for id in &ids {
                    match block_on(store.load(*id, Read::Latest)) {
                        Ok(grant) => assert_eq!(grant.map(|grant| grant.id()), Some(*id), "page {page}"),
                        Err(error) => {
                            assert_eq!(error.kind(), StoreErrorKind::Other);
                            failed += 1;
                        }
                    }
                }
                drop(store);
                assert!(until(|| !directory.beside("-wal").exists()));
            }
        }
    }
    assert!(refused > 0 && failed > 0, "{refused} {failed}");
    // Cut off, as by a copy that was not finished.
    fs::write(directory.file(), &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(refusal(directory.file()), SqliteOpenError::Damaged(_)));
}

#[test]
fn a_file_that_another_process_keeps_to_itself_is_busy() {
    let directory = Directory::new();
    drop(filled(&directory, 1));
    assert!(until(|| !directory.beside("-wal").exists()));
    let other = raw(&directory);
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT").unwrap();
    let error = refusal(directory.file());
    assert!(matches!(error, SqliteOpenError::Busy), "{error:?}");
}

#[test]
fn a_write_that_waits_too_long_for_another_process_is_unavailable_and_then_works() {
    let directory = Directory::new();
    drop(filled(&directory, 1));
    let store =
        SqliteStore::builder(directory.file()).busy_timeout(Duration::from_millis(50)).open().unwrap();
    let grant = block_on(store.find(&GrantQuery::new())).unwrap().grants.remove(0);
    let other = raw(&directory);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = block_on(store.remove(grant.id(), None)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(block_on(store.load(grant.id(), Read::Latest)).unwrap().is_some(), "readers do not wait");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(block_on(store.remove(grant.id(), None)).unwrap(), grantor::store::Remove::Removed);
}

#[test]
fn a_file_that_cannot_be_written_is_refused() {
    let Some(mount) = Mount::new("4m") else { return };
    let path = mount.path().join("grants.db");
    drop(SqliteStore::open(&path).unwrap());
    assert!(until(|| !mount.path().join("grants.db-wal").exists()));
    if !mount.remount_read_only() {
        return;
    }
    let error = refusal(&path);
    assert!(matches!(error, SqliteOpenError::ReadOnly), "{error:?}");
    assert!(matches!(refusal(mount.path().join("other.db")), SqliteOpenError::Io(_)));
}

#[test]
fn the_log_does_not_grow_without_end() {
    const LARGEST: u64 = 40 << 20;
    let directory = Directory::new();
    // Without an end, it would be more than 45 MB.
    let _store = filled(&directory, 2500);
    let length = fs::metadata(directory.beside("-wal")).unwrap().len();
    assert!(length < LARGEST, "{length}");
}

#[test]
fn names_that_mean_something_to_sqlite_are_files() {
    let directory = Directory::new();
    for name in [":memory:", "file:grants.db?mode=memory"] {
        let path = directory.0.join(name);
        let store = SqliteStore::open(&path).unwrap();
        block_on(store.put_client(Client::public("app").build().unwrap())).unwrap();
        assert!(path.exists(), "{name}");
    }
    assert!(matches!(refusal(""), SqliteOpenError::Io(_)));
}

#[test]
fn the_file_does_not_grow_past_its_limit_and_takes_more_when_there_is_room() {
    let directory = Directory::new();
    let store = SqliteStore::builder(directory.file()).largest_file(200 << 10).open().unwrap();
    let server = super::server(store.clone(), 1);
    let issue = || server.token("grant_type=client_credentials");
    let issued: Vec<_> = (0..1000).map(|_| issue()).take_while(|answer| answer.status == 200).collect();
    assert!((50..900).contains(&issued.len()), "{}", issued.len());
    issue().refused(503, "temporarily_unavailable");
    assert!(server.is_active(issued.last().unwrap().access_token()));
    for answer in &issued[..issued.len() / 2] {
        block_on(server.server.revoke(answer.access_token())).unwrap();
    }
    issue().ok();
}

#[test]
fn a_purge_waits_until_the_log_is_in_the_file() {
    let directory = Directory::new();
    let store = filled(&directory, 100);
    let long_after = Timestamp::from_secs(1 << 33);
    assert_eq!(block_on(store.purge_expired(long_after, 1000)).unwrap(), 100);
    // A copy without the log has all but the last batch.
    let copy = directory.beside("-copy");
    fs::copy(directory.file(), &copy).unwrap();
    let copy = Connection::open(copy).unwrap();
    let left: u32 = copy.query_row("SELECT count(*) FROM grants", [], |row| row.get(0)).unwrap();
    assert!(left < 16, "{left} rows are still in the file");
}
