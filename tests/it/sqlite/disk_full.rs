//! A disk without room: refused for the moment, and good again when there is some.

use std::fs::{File, remove_file};
use std::io::Write as _;

use grantor::store::{GrantQuery, SqliteStore, TokenStore as _};
use grantor::testing::{block_on, join_all};

use super::{Mount, server};
use crate::support::{exchange_form, refresh_form};

/// Fills the file system to the last byte.
fn fill(path: &std::path::Path) {
    let mut file = File::create(path).unwrap();
    let mut size = 1 << 20;
    while size > 0 {
        if file.write_all(&vec![0; size]).is_err() {
            size /= 2;
        }
    }
}

#[test]
fn a_full_disk_is_503_until_there_is_room_and_nothing_is_lost() {
    let Some(mount) = Mount::new("16m") else { return };
    let store = SqliteStore::open(mount.path().join("grants.db")).unwrap();
    let server = server(store.clone(), 1);
    let login = server.login();
    let code = server.code();
    let ballast = mount.path().join("ballast");
    fill(&ballast);

    let mut refusals = 0;
    let mut issued = Vec::new();
    // What was made room for in the log before may still be written.
    for _ in 0..500 {
        let answer = server.token("grant_type=client_credentials");
        if answer.status == 200 {
            issued.push(answer);
        } else {
            answer.refused(503, "temporarily_unavailable");
            refusals += 1;
        }
        if refusals > 3 {
            break;
        }
    }
    assert!(refusals > 3, "the disk did not get full");
    // Many at once share a transaction that fails: none of them is told otherwise.
    let at_once = (0..16).map(|_| server.token_async("grant_type=client_credentials"));
    for answer in block_on(join_all(at_once)) {
        answer.refused(503, "temporarily_unavailable");
    }
    server.token(&exchange_form(&code)).refused(503, "temporarily_unavailable");
    server.token(&refresh_form(login.refresh_token())).refused(503, "temporarily_unavailable");
    for answer in issued.iter().chain([&login]) {
        assert!(server.is_active(answer.access_token()), "what is there can be read");
    }

    remove_file(&ballast).unwrap();
    server.token("grant_type=client_credentials").ok();
    server.token(&exchange_form(&code)).ok();
    server.token(&refresh_form(login.refresh_token())).ok();
    for answer in issued.iter().chain([&login]) {
        assert!(server.is_active(answer.access_token()));
    }
    let grants = block_on(store.find(&GrantQuery::new().limit(1000))).unwrap().grants.len();
    assert_eq!(grants, issued.len() + 3, "nothing was written for those who were refused");
}
