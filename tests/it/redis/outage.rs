//! A server that goes away, and comes back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use grantor::store::{ClientStore as _, StoreErrorKind};
use grantor::testing::block_on;

use super::protocol::server;
use super::{Server, open, own_prefix};

/// What was answered is on the disk.
const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
const ASK: &str = "grant_type=client_credentials";

#[test]
fn what_was_answered_is_there_after_a_crash_and_requests_go_on_without_a_restart() {
    let mut redis = Server::start(DURABLE);
    let store = open(&redis, own_prefix()).unwrap();
    let server = server(&store, 1);
    let (issued, ends) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !ends.load(Ordering::SeqCst) {
                    let answer = server.token(ASK);
                    match answer.status {
                        200 => issued.lock().unwrap().push(answer),
                        _ => drop(answer.refused(503, "temporarily_unavailable")),
                    }
                }
            });
        }
        let count = || issued.lock().unwrap().len();
        let until = |more: usize| {
            while count() < more {
                thread::sleep(Duration::from_millis(5));
            }
        };
        for _ in 0..2 {
            until(count() + 100);
            redis.stop();
            thread::sleep(Duration::from_millis(200));
            redis.start_again();
        }
        until(count() + 100);
        ends.store(true, Ordering::SeqCst);
    });
    for answer in issued.into_inner().unwrap() {
        assert!(server.is_active(answer.access_token()));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a time limit is what it is about")]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    let mut redis = Server::start(DURABLE);
    let store = open(&redis, own_prefix()).unwrap();
    let server = server(&store, 1);
    server.token(ASK).ok();
    let fails_in_time = || {
        let begin = Instant::now();
        server.token(ASK).refused(503, "temporarily_unavailable");
        let error = block_on(store.valid_after()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
    };
    redis.freeze(true);
    fails_in_time();
    redis.freeze(false);
    server.token(ASK).ok();
    redis.stop();
    fails_in_time();
    redis.start_again();
    server.token(ASK).ok();
}
