//! What a second core brings.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::median;
use crate::oauth_as::OauthAs;
use crate::server::{ASKED, Grantor, Registration, Server};
use crate::workload::Side;

const ROUNDS: usize = 7;

pub fn rows(seconds: f64, clients: &[Registration], say: &mut impl FnMut(String)) {
    let (grantor, oauth_as) = (Grantor::new(clients), OauthAs::new(clients));
    say(format!(
        "| issue | {:.2} | {:.2} |",
        issue(&grantor, seconds, clients),
        issue(&oauth_as, seconds, clients)
    ));
    say(format!(
        "| introspection | {:.2} | {:.2} |",
        introspection(&grantor, seconds, clients),
        introspection(&oauth_as, seconds, clients)
    ));
}

fn issue<S: Server + Sync>(server: &S, seconds: f64, clients: &[Registration]) -> f64 {
    let posts: Vec<_> =
        clients.iter().map(|own| own.post(format!("grant_type=client_credentials&scope={ASKED}"))).collect();
    gain(seconds, |at| drop(black_box(server.token(&posts[at % posts.len()]))))
}

fn introspection<S: Server + Sync>(server: &S, seconds: f64, clients: &[Registration]) -> f64 {
    let tokens = Side::new(server, clients).fill_with_issues(10_000);
    gain(seconds, |at| drop(black_box(server.introspect(&tokens[at % tokens.len()]))))
}

/// The median of what two threads do over what one does in the same time.
fn gain(seconds: f64, work: impl Fn(usize) + Sync) -> f64 {
    let time = Duration::from_secs_f64(seconds / ROUNDS as f64);
    let rate = |threads: usize| -> f64 {
        let start = Barrier::new(threads);
        thread::scope(|scope| {
            let (start, work) = (&start, &work);
            let each = |thread: usize| {
                scope.spawn(move || {
                    start.wait();
                    let begin = Instant::now();
                    let mut count = 0;
                    while begin.elapsed() < time {
                        // Threads do not follow each other from record to record.
                        (0..64).for_each(|at| work((count + at) * 7 + thread * 4999));
                        count += 64;
                    }
                    count as f64 / begin.elapsed().as_secs_f64()
                })
            };
            let threads: Vec<_> = (0..threads).map(each).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    };
    median((0..ROUNDS).map(|_| rate(2) / rate(1)).collect())
}
