//! Parts of a request alone, and what the rest waits for: parsers, the longest single request while
//! a million records expire, passwords that come all at once.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use grantor::grant::{Grant, Revision};
use grantor::http::Request;
use grantor::password::{HashPool, PasswordVerifier, Verdict, VerifierError};
use grantor::store::{GrantQuery, Insert, Page, Read, Remove, Replace, StoreError, TokenStore};
use grantor::{AuthorizationRequest, Entropy, EntropyError, GrantId, Timestamp, TokenRequest};
use sha2::{Digest as _, Sha256};

use crate::floor::{Floor, UserSpace};
use crate::measure::median;
use crate::server::{ASKED, Grantor, Post, Registration, Server, ready};
use crate::workload::{BATCH, Issue, Side, Workload};

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

/// Takes all and keeps nothing.
struct Nowhere;

impl TokenStore for Nowhere {
    async fn insert(&self, _: Arc<Grant>) -> Result<Insert, StoreError> {
        Ok(Insert::Inserted)
    }

    async fn load(&self, _: GrantId, _: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        Ok(None)
    }

    async fn replace(&self, _: Arc<Grant>, _: Revision) -> Result<Replace, StoreError> {
        Ok(Replace::Changed)
    }

    async fn remove(&self, _: GrantId, _: Option<Revision>) -> Result<Remove, StoreError> {
        Ok(Remove::Absent)
    }

    async fn find(&self, _: &GrantQuery) -> Result<Page, StoreError> {
        Ok(Page::new(Vec::new(), None))
    }

    async fn purge_expired(&self, _: Timestamp, _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }
}

/// Costs nothing, and can be guessed.
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn draw(&self) -> Result<[u8; 32], EntropyError> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_ne_bytes());
        Ok(bytes)
    }
}

/// How many blocks of SHA-256 the rules ask for: of the secret, of what is presented and of what is
/// handed out; what is derived from the one draw; PKCE; what a lost answer is known again by.
const BLOCKS: [(&str, u32); 4] = [("issue", 4), ("exchange", 11), ("refresh", 9), ("introspection", 1)];

/// Takes one thing after the other away from an issue, and looks what is left.
pub fn steps(clients: &[Registration], say: &mut impl FnMut(String)) {
    const GRANTS: usize = 1_024;
    const ROUNDS: usize = 400;
    let mut floor = Issue::new(Side::new(Floor::<UserSpace>::new(clients), clients), GRANTS);
    let mut whole = Issue::new(Side::new(Grantor::new(clients), clients), GRANTS);
    let unkept = Grantor::with(clients, |builder| builder.tokens(Nowhere));
    let undrawn =
        Grantor::with(clients, |builder| builder.tokens(Nowhere).entropy(Counted(AtomicU64::new(1))));
    let body = format!("grant_type=client_credentials&scope={ASKED}");
    let posts: Vec<Post> = clients.iter().map(|own| own.post(body.clone())).collect();
    let requests: Vec<TokenRequest<'_>> = clients
        .iter()
        .map(|own| {
            TokenRequest::new("client_credentials").basic(&own.id, &own.secret).parameter("scope", ASKED)
        })
        .collect();
    let block = [7_u8; 48];
    let mut times = [const { Vec::new() }; 6];
    for _ in 0..ROUNDS {
        let mut took = Vec::new();
        for issue in [&mut floor as &mut dyn Workload, &mut whole] {
            issue.prepare();
            took.push(nanos_each(|_| {}, || issue.run()));
            issue.clean();
        }
        let at = |at: usize| at % clients.len();
        took.push(nanos_each(|number| drop(black_box(unkept.token(&posts[at(number)]))), || {}));
        let grant = |server: &Grantor, number: usize| {
            drop(black_box(ready(server.server().token(&requests[at(number)])).unwrap()));
        };
        took.push(nanos_each(|number| grant(&unkept, number), || {}));
        took.push(nanos_each(|number| grant(&undrawn, number), || {}));
        took.push(nanos_each(|_| _ = black_box(Sha256::digest(black_box(block))), || {}));
        for (times, took) in times.iter_mut().zip(took) {
            times.push(took);
        }
    }
    let [floor, whole, unkept, bare, undrawn, digest] = times.map(median);
    let draw = bare - undrawn;
    let digests = digest * 4.0;
    say("| what issuing is made of | ns |".to_owned());
    say("|---|--:|".to_owned());
    for (what, nanos) in [
        ("reading the request, writing the answer", unkept - bare),
        ("32 bytes of the operating system", draw),
        ("four blocks of SHA-256", digests),
        ("the store", whole - unkept),
        ("all else: client, secret, scope, lifetimes, record, token, events", undrawn - digests),
        ("together", whole),
    ] {
        say(format!("| {what} | {nanos:.0} |"));
    }
    say(format!("\nWhat cannot be left out by the rules, in floors of issue ({floor:.0} ns):\n"));
    say("| operation | blocks of SHA-256 | these and the draw alone |".to_owned());
    say("|---|--:|--:|".to_owned());
    for (operation, blocks) in BLOCKS {
        let draws = if operation == "introspection" { 0.0 } else { draw };
        say(format!("| {operation} | {blocks} | {:.2} |", (draws + digest * f64::from(blocks)) / floor));
    }
}

/// Nanoseconds of one of a batch.
fn nanos_each(one: impl Fn(usize), batch: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    batch();
    (0..BATCH).for_each(one);
    begin.elapsed().as_nanos() as f64 / BATCH as f64
}

/// A lock is held no longer than the request takes in which it is. What the machine does beside
/// it comes at other times in each run, what a request does comes in all: the quietest of some runs
/// counts.
pub fn longest(grants: usize, clients: &[Registration], say: &mut impl FnMut(String)) {
    const RUNS: usize = 5;
    let runs: Vec<[Took; 2]> = (0..RUNS).map(|_| one_after_the_other(grants, clients)).collect();
    let names =
        [format!("the first {grants} are issued, tables grow"), "as many again, while those expire".into()];
    for (at, name) in names.iter().enumerate() {
        let least = |part: fn(&Took) -> f64| {
            runs.iter().map(|run| part(&run[at])).min_by(f64::total_cmp).unwrap_or_default()
        };
        let (median, rare, longest) =
            (least(|took| took.median), least(|took| took.rare), least(|took| took.longest));
        say(format!("| {name} | {median:.1} | {rare:.0} | {longest:.0} |"));
    }
}

/// Microseconds.
struct Took {
    median: f64,
    rare: f64,
    longest: f64,
}

/// While so many are issued, and as many again when those have expired.
fn one_after_the_other(grants: usize, clients: &[Registration]) -> [Took; 2] {
    let server = Grantor::new(clients);
    let body = format!("grant_type=client_credentials&scope={ASKED}");
    let posts: Vec<Post> = clients.iter().map(|own| own.post(body.clone())).collect();
    let issue_all = || {
        let mut took: Vec<Duration> = (0..grants)
            .map(|at| {
                let begin = Instant::now();
                drop(black_box(server.token(&posts[at % posts.len()])));
                begin.elapsed()
            })
            .collect();
        took.sort_unstable();
        let micros = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
        Took { median: micros(0.5), rare: micros(0.9999), longest: micros(1.0) }
    };
    let first = issue_all();
    server.pass_an_hour();
    [first, issue_all()]
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
