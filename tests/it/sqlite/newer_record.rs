//! Records that a newer version of the library wrote: neither used, nor written over, nor
//! removed.

use std::time::Duration;

use grantor::store::{
    ClientRegistry as _, ClientStore as _, GrantQuery, Insert, Read, StoreError, StoreErrorKind,
    TokenStore as _, UserRegistry as _, UserStore as _,
};
use grantor::testing::block_on;
use grantor::{Client, Error, Subject, User};
use rusqlite::Connection;

use super::{Directory, filled, server};

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Unavailable);
}

#[test]
fn a_newer_grant_is_left_alone() {
    let directory = Directory::new();
    let store = filled(&directory, 1);
    let server = server(store.clone(), 2);
    let token = server.token("grant_type=client_credentials").ok();
    let find = || block_on(store.find(&GrantQuery::new()));
    let grants = find().unwrap().grants;
    let newer = r#"{"format":2,"restricts":["all"]}"#;
    let other = Connection::open(directory.file()).unwrap();
    other.execute("UPDATE grants SET format = 2, record = ?", [newer]).unwrap();

    for grant in &grants {
        let (id, revision) = (grant.id(), grant.revision());
        unavailable(block_on(store.load(id, Read::Latest)));
        unavailable(block_on(store.replace(grant.clone(), revision)));
        unavailable(block_on(store.remove(id, Some(revision))));
        unavailable(block_on(store.remove(id, None)));
        assert_eq!(block_on(store.insert(grant.clone())).unwrap(), Insert::Occupied);
    }
    unavailable(find());
    let long_after = server.clock_now().plus(Duration::from_secs(1 << 30));
    assert_eq!(block_on(store.purge_expired(long_after, 10)).unwrap(), 0);
    let error = block_on(server.server.introspect(token.access_token())).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");

    let sql = "SELECT count(*) FROM grants WHERE record = ?";
    let kept: i64 = other.query_row(sql, [newer], |row| row.get(0)).unwrap();
    assert_eq!(kept, 2);
}

#[test]
fn newer_registrations_are_left_alone() {
    let directory = Directory::new();
    let store = directory.open();
    let client = Client::public("app").build().unwrap();
    let alice = User::new(Subject::new("s-1").unwrap(), "alice");
    let taker = User::new(Subject::new("s-2").unwrap(), "alice");
    block_on(store.put_client(client.clone())).unwrap();
    block_on(store.put_user(alice.clone())).unwrap();
    let other = Connection::open(directory.file()).unwrap();
    let newer = r#"{"format":2}"#;
    for table in ["clients", "users"] {
        other.execute(&format!("UPDATE {table} SET format = 2, record = ?"), [newer]).unwrap();
    }
    unavailable(block_on(store.client(client.id())));
    unavailable(block_on(store.put_client(client.clone())));
    unavailable(block_on(store.remove_client(client.id())));
    unavailable(block_on(store.user("alice")));
    unavailable(block_on(store.subject(alice.subject())));
    unavailable(block_on(store.put_user(alice.clone())));
    unavailable(block_on(store.put_user(taker)));
    unavailable(block_on(store.remove_user(alice.subject())));
    for table in ["clients", "users"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE record = ?");
        let kept: i64 = other.query_row(&sql, [newer], |row| row.get(0)).unwrap();
        assert_eq!(kept, 1);
    }
}

#[test]
fn a_record_that_makes_no_sense_is_a_failure_and_not_an_absence() {
    let directory = Directory::new();
    let store = filled(&directory, 2);
    let client = Client::public("app").build().unwrap();
    let ids: Vec<_> =
        block_on(store.find(&GrantQuery::new())).unwrap().grants.iter().map(|grant| grant.id()).collect();
    let other = Connection::open(directory.file()).unwrap();
    for damage in [
        "UPDATE grants SET record = substr(record, 2)",
        // One in the place of the other.
        "UPDATE grants SET record = (SELECT record FROM grants ORDER BY id DESC LIMIT 1)",
        "UPDATE grants SET revision = revision + 1",
    ] {
        let before: Vec<(i64, String, i64)> = rows(&other);
        other.execute_batch(damage).unwrap();
        let error = block_on(store.load(ids[0], Read::Latest)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Other, "{damage}");
        for (rowid, record, revision) in before {
            let sql = "UPDATE grants SET record = ?2, revision = ?3 WHERE rowid = ?1";
            other.execute(sql, (rowid, record, revision)).unwrap();
        }
        assert!(block_on(store.load(ids[0], Read::Latest)).unwrap().is_some());
    }
    other.execute_batch("UPDATE clients SET record = '{}'").unwrap();
    let error = block_on(store.client(client.id())).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other);
    block_on(store.put_user(User::new(Subject::new("s-1").unwrap(), "alice"))).unwrap();
    let unknown = r#"UPDATE users SET record = replace(record, '"enabled"', '"restricted":true,"enabled"')"#;
    other.execute_batch(unknown).unwrap();
    let error = block_on(store.user("alice")).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other, "what it does not know may restrict");
}

fn rows(connection: &Connection) -> Vec<(i64, String, i64)> {
    let mut select = connection.prepare("SELECT rowid, record, revision FROM grants").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}
