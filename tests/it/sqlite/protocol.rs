//! What clients see of a server whose stores are a file.

use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::Settings;
use grantor::store::{GrantQuery, TokenStore as _};
use grantor::testing::{Fault, Faults, FaultyStore, Method, block_on, drop_after};

use super::{Directory, server, server_on};
use crate::support::*;

/// Does `work` sixteen times at once.
fn sixteen<T: Send>(work: impl Fn() -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(16);
    let each = || {
        barrier.wait();
        work()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(each)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn tokens_are_issued_refreshed_and_revoked() {
    let directory = Directory::new();
    let server = server(directory.open(), 1);
    let login = server.login();
    assert_eq!(server.introspect(login.access_token()).active().unwrap().scope().as_str(), "a b");
    let next = server.token(&refresh_form(login.refresh_token())).ok();
    assert!(server.is_active(next.access_token()));
    assert!(block_on(server.server.revoke(next.refresh_token())).unwrap());
    for answer in [&login, &next] {
        assert!(!server.is_active(answer.access_token()));
        server.token(&refresh_form(answer.refresh_token())).refused(400, "invalid_grant");
    }
    assert_eq!(server.grants(), 0);
}

#[test]
fn a_replayed_code_and_a_reused_refresh_token_end_the_grant() {
    let directory = Directory::new();
    let server = server(directory.open(), 1);
    let form = exchange_form(&server.code());
    let login = server.token(&form).ok();
    server.token(&form).refused(400, "invalid_grant");
    assert!(!server.is_active(login.access_token()));

    let login = server.login();
    let next = server.token(&refresh_form(login.refresh_token())).ok();
    let again = server.token(&refresh_form(login.refresh_token())).ok();
    assert_eq!(again.refresh_token(), next.refresh_token(), "inside the window");
    server.advance(60);
    server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
    server.token(&refresh_form(next.refresh_token())).refused(400, "invalid_grant");
    assert_eq!(server.grants(), 0);
}

#[test]
fn of_sixteen_redemptions_of_one_code_one_succeeds() {
    let directory = Directory::new();
    let server = server(directory.open(), 1);
    for _ in 0..10 {
        let form = exchange_form(&server.code());
        let answers = sixteen(|| server.token(&form));
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        for answer in answers.into_iter().filter(|answer| answer.status != 200) {
            answer.refused(400, "invalid_grant");
        }
    }
}

#[test]
fn sixteen_uses_of_one_refresh_token_have_one_successor() {
    let directory = Directory::new();
    let server = server(directory.open(), 1);
    let login = server.login();
    let answers = sixteen(|| server.token(&refresh_form(login.refresh_token())).ok());
    let successors: HashSet<_> = answers.iter().map(Answer::refresh_token).collect();
    assert_eq!(successors.len(), 1);
    assert!(answers.iter().all(|answer| server.is_active(answer.access_token())));

    let strict =
        Setup::default().settings(Settings::default().refresh_retry_window(std::time::Duration::ZERO));
    let store = directory.new_store();
    let server = server_on(strict, store.clone(), store, 2);
    let login = server.login();
    let answers = sixteen(|| server.token(&refresh_form(login.refresh_token())));
    assert!(answers.iter().filter(|answer| answer.status == 200).count() <= 1, "{answers:?}");
}

#[test]
fn two_servers_on_one_file_are_one() {
    let directory = Directory::new();
    let (one, other) = (server(directory.open(), 1), server(directory.open(), 2));
    let form = exchange_form(&one.code());
    let login = other.token(&form).ok();
    assert!(one.is_active(login.access_token()));
    let next = one.token(&refresh_form(login.refresh_token())).ok();
    assert_eq!(other.token(&refresh_form(login.refresh_token())).ok().refresh_token(), next.refresh_token());
    assert!(block_on(other.server.revoke(next.access_token())).unwrap());
    assert!(!one.is_active(next.access_token()));

    let form = exchange_form(&one.code());
    let both = [&one, &other];
    let next = std::sync::atomic::AtomicUsize::new(0);
    let answers = sixteen(|| {
        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        both[at % 2].token(&form)
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
}

/// A server on a file, with faults between them.
fn faulty(directory: &Directory) -> (Harness, Faults) {
    let (store, faults) = (directory.new_store(), Faults::new());
    let tokens = FaultyStore::new(store.clone(), &faults);
    (server_on(Setup::default(), store, tokens, 1), faults)
}

#[test]
fn a_request_makes_no_more_calls_to_the_token_store_than_it_must() {
    use Method::{Insert, Load, Replace};
    let directory = Directory::new();
    let (server, faults) = faulty(&directory);
    let calls = |form: &str| {
        faults.restart();
        let answer = server.token(form).ok();
        let for_request = faults.calls();
        faults.restart();
        assert!(server.is_active(answer.access_token()));
        assert_eq!(faults.calls(), [Load]);
        (answer, for_request)
    };
    assert_eq!(calls("grant_type=client_credentials").1, [Insert]);
    let (login, exchange) = calls(&exchange_form(&server.code()));
    assert_eq!(exchange, [Load, Replace]);
    assert_eq!(calls(&refresh_form(login.refresh_token())).1, [Load, Replace]);
}

#[test]
fn lost_and_doubled_writes_are_made_once() {
    let directory = Directory::new();
    for fault in [Fault::LoseAnswer, Fault::Twice] {
        let (server, faults) = faulty(&directory);
        for method in [Method::Insert, Method::Replace] {
            faults.on(method, fault);
        }
        let issued = server.token("grant_type=client_credentials").ok();
        let login = server.login();
        let next = server.token(&refresh_form(login.refresh_token())).ok();
        faults.clear();
        assert_eq!(server.grants(), 2, "{fault:?}");
        assert!(server.is_active(issued.access_token()) && server.is_active(next.access_token()));
        server.token(&refresh_form(next.refresh_token())).ok();
    }
}

#[test]
fn a_request_whose_client_hangs_up_leaves_the_old_or_the_new_state() {
    let directory = Directory::new();
    let (server, faults) = faulty(&directory);
    let mut token = server.login().refresh_token().to_owned();
    for polls in 0..10 {
        let form = refresh_form(&token);
        let _ = block_on(drop_after(polls, server.token_async(&form)));
        // Either way, the same request now succeeds, and what it answers is good.
        token = server.token(&form).ok().refresh_token().to_owned();
    }
    faults.on(Method::Replace, Fault::HangAfter);
    let form = refresh_form(&token);
    assert!(block_on(drop_after(1000, server.token_async(&form))).is_none());
    faults.clear();
    server.token(&form).ok();
    assert_eq!(server.grants(), 1);
}

#[test]
fn expired_records_are_deleted_as_others_are_added() {
    let directory = Directory::new();
    let store = directory.open();
    let server = server(store.clone(), 1);
    let issue = |count| (0..count).for_each(|_| drop(server.token("grant_type=client_credentials").ok()));
    let records = || block_on(store.find(&GrantQuery::new().limit(1000))).unwrap().grants.len();
    issue(120);
    server.advance(3600 + 59);
    issue(64);
    assert_eq!(records(), 184, "they are kept for a minute past their end");
    server.advance(2);
    issue(64);
    assert!(super::until(|| records() == 128), "{}", records());
}

#[test]
fn the_file_holds_nothing_that_can_be_presented() {
    let directory = Directory::new();
    let server = server(directory.open(), 1);
    let code = server.code();
    let login = server.token(&exchange_form(&code)).ok();
    let next = server.token(&refresh_form(login.refresh_token())).ok();
    let pending = server.code();
    let issued = server.token("grant_type=client_credentials").ok();
    let file: Vec<u8> =
        ["", "-wal"].iter().flat_map(|suffix| std::fs::read(directory.beside(suffix)).unwrap()).collect();
    let holds = |bytes: &[u8]| file.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(b"\"client\":\"app\""), "it is the file that has the grants");
    for text in [
        code.as_str(),
        &pending,
        login.access_token(),
        login.refresh_token(),
        next.access_token(),
        next.refresh_token(),
        issued.access_token(),
    ] {
        // The first 16 bytes are the name of the record and no secret.
        let secret = &URL_SAFE_NO_PAD.decode(text).unwrap()[16..];
        assert!(!holds(secret), "{text}");
        assert!(!holds(&text.as_bytes()[24..]), "{text}");
        assert!(!holds(URL_SAFE_NO_PAD.encode(secret).as_bytes()), "{text}");
    }
    assert!(!holds(SECRET.as_bytes()) && !holds(VERIFIER.as_bytes()));
}
