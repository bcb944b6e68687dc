//! Parts of a request alone, and what the rest waits for: parsers, the longest single request while
//! a million records expire, passwords that come all at once.

use std::hint::black_box;
use std::time::{Duration, Instant};

use grantor::AuthorizationRequest;
use grantor::http::Request;
use grantor::password::{HashPool, PasswordVerifier, Verdict, VerifierError};

use crate::measure::median;
use crate::server::{ASKED, Grantor, Post, Registration, Server, ready};

/// What a client sends to redeem a code.
const BODY: &str = "grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA\
                    &redirect_uri=https%3A%2F%2Fshop.example.com%2Fsigned-in&client_id=shop-0001";

pub fn parsers(clients: &[Registration], say: &mut impl FnMut(String)) {
    let server = Grantor::new(clients);
    let post = clients[0].post(String::new());
    // Refused for its media type, once the header has been read.
    let refused = |request: Request<'_>| drop(black_box(ready(server.router().handle(&request))));
    let bare = Request::new("POST", "/oauth/token").secure(true);
    let with_header = bare.clone().header("authorization", &post.authorization);
    let ours = || drop(black_box(AuthorizationRequest::from_query(black_box(BODY)).unwrap()));
    let theirs = || black_box(form_urlencoded::parse(black_box(BODY).as_bytes()).collect::<Vec<_>>()).clear();
    let [ours, theirs, bare, with_header] =
        nanos([&ours, &theirs, &|| refused(bare.clone()), &|| refused(with_header.clone())]);
    say(format!("| a form of {} bytes | {ours:.0} |", BODY.len()));
    say(format!("| the same with `form_urlencoded`, into a list | {theirs:.0} |"));
    say(format!(
        "| `Authorization: Basic` of {} bytes | {:.0} |",
        post.authorization.len(),
        with_header - bare
    ));
}

/// Each in its turn, in short batches.
fn nanos<const N: usize>(parts: [&dyn Fn(); N]) -> [f64; N] {
    const BATCH: u32 = 1_000;
    let mut times = [const { Vec::new() }; N];
    for _ in 0..200 {
        for (part, times) in parts.iter().zip(&mut times) {
            let begin = Instant::now();
            (0..BATCH).for_each(|_| part());
            times.push(begin.elapsed().as_nanos() as f64 / f64::from(BATCH));
        }
    }
    times.map(median)
}

/// A lock is held no longer than the request takes in which it is.
pub fn longest(grants: usize, clients: &[Registration], say: &mut impl FnMut(String)) {
    let server = Grantor::new(clients);
    let body = format!("grant_type=client_credentials&scope={ASKED}");
    let posts: Vec<Post> = clients.iter().map(|own| own.post(body.clone())).collect();
    let mut say_longest = |what: &str| {
        let mut took: Vec<Duration> = (0..grants)
            .map(|at| {
                let begin = Instant::now();
                drop(black_box(server.token(&posts[at % posts.len()])));
                begin.elapsed()
            })
            .collect();
        took.sort_unstable();
        let micros = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
        say(format!("| {what} | {:.1} | {:.0} | {:.0} |", micros(0.5), micros(0.9999), micros(1.0)));
    };
    say_longest(&format!("the first {grants} are issued, tables grow"));
    server.pass_an_hour();
    say_longest("as many again, while those expire");
}

/// Passwords that come all at once: some wait, the others are told to come again.
pub fn burst(say: &mut impl FnMut(String)) {
    const THREADS: usize = 2;
    const AT_ONCE: usize = 1_000;
    let pool = HashPool::builder().threads(THREADS).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (verdicts, took) = runtime.block_on(async {
        let hash = pool.hash_password("wonderland").await.unwrap();
        let begin = Instant::now();
        let attempts: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (pool, hash) = (pool.clone(), hash.clone());
                tokio::spawn(async move { pool.verify(Some(&hash), "Wonderland").await })
            })
            .collect();
        let mut verdicts = Vec::new();
        for attempt in attempts {
            verdicts.push(attempt.await.unwrap());
        }
        (verdicts, begin.elapsed())
    });
    let wrong = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Verdict::Wrong))).count();
    let busy = verdicts.iter().filter(|verdict| matches!(verdict, Err(VerifierError::Busy))).count();
    assert_eq!(wrong + busy, AT_ONCE);
    say(format!(
        "Of {AT_ONCE} passwords at once, {wrong} were checked on {THREADS} threads, {:.0} ms each, and {busy} \
         were told to come again.",
        took.as_secs_f64() * 1e3 * THREADS as f64 / wrong as f64
    ));
}
