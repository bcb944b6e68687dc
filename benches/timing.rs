//! Can two refusals be told apart by the time they take? As `dudect` does it: both kinds in random
//! order, many times, and Welch's test on what was measured.
//!
//! ```text
//! cargo bench --bench timing                  some minutes
//! cargo bench --bench timing -- --quick       some seconds
//! ```
//!
//! Measured in process, where there is no network to hide a difference. Times are cut off at several
//! percentiles, since a disturbance of a millisecond hides a difference of ten nanoseconds; the row
//! shows the largest |t| of all. Beyond 4.5 there is a difference that this many measurements can see;
//! how large it is says whether anyone else can.

#![allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures and stops at what it does not expect"
)]

use std::hint::black_box;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use grantor::http::{Request, Router};
use grantor::limiter::NoAttemptLimit;
use grantor::password::HashPool;
use grantor::store::{MemoryClientStore, MemoryTokenStore, MemoryUserStore};
use grantor::testing::{block_on, mint};
use grantor::{AuthorizationServer, Client, GrantTypeName, Subject, User, UserPassword};

/// As long as any id or name that is asked for.
const NOBODY: &str = "nobody-is-known-as-this";
const CLIENT: &str = "a-client-with-a-secret.";
const USER: &str = "a-user-with-a-password.";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing measured: this is for `cargo bench`");
        return;
    }
    let scale = if arguments.iter().any(|argument| argument == "--quick") { 20 } else { 1 };

    let (secret, hashed) = Client::generate_secret().unwrap();
    let secret = secret.expose();
    let client = Client::confidential(CLIENT)
        .secret(hashed)
        .grant_type(GrantTypeName::CLIENT_CREDENTIALS)
        .grant_type(GrantTypeName::PASSWORD)
        .scopes("a")
        .default_scopes("a")
        .build()
        .unwrap();
    // Cheap, so that there can be many: the difference would be the same.
    let pool = HashPool::builder().threads(1).cost(64, 1, 1).build().unwrap();
    let hash = block_on(pool.hash_password("wonderland")).unwrap();
    let subject: Subject = "alice".parse().unwrap();
    let user = User::new(subject.clone(), USER).password(UserPassword::Phc(hash));
    let server = AuthorizationServer::builder("https://id.example.com")
        .clients(MemoryClientStore::from_iter([client]))
        .users(MemoryUserStore::from_iter([user]))
        .tokens(MemoryTokenStore::new())
        .password_verifier(pool)
        .attempt_limiter(NoAttemptLimit)
        .dangerous()
        .password_grant()
        .build()
        .unwrap();
    let id = CLIENT.parse().unwrap();
    let token = block_on(mint(&server, id, Some(subject), "a".parse().unwrap())).unwrap();
    let token = token.expose().to_owned();
    let router = Router::builder(server.clone()).build().unwrap();

    println!("| one | other | measured | difference, ns | of, ns | largest t |");
    println!("|---|---|--:|--:|--:|--:|");

    let with = |id: &str, secret: &str| BASE64_STANDARD.encode(format!("{id}:{secret}"));
    let post = |basic: &str, body: &str| {
        let header = format!("Basic {basic}");
        let request = Request::new("POST", "/oauth/token")
            .secure(true)
            .header("content-type", b"application/x-www-form-urlencoded")
            .header("authorization", header.as_bytes())
            .body(body.as_bytes());
        black_box(block_on(router.handle(&request))).unwrap().status()
    };
    let ask = |basic: &str| assert_eq!(post(basic, "grant_type=client_credentials"), 401);

    let unknown = with(NOBODY, secret);
    let [first, middle, last] =
        [0, secret.len() / 2, secret.len() - 1].map(|at| with(CLIENT, &wrong_at(secret, at)));
    let again = with(CLIENT, &wrong_at(secret, secret.len() / 2));
    compare(
        "wrong secret",
        "the same one, elsewhere in memory",
        1_000_000 / scale,
        &[&|| ask(&middle), &|| ask(&again)],
    );
    compare("unknown client", "wrong secret", 1_000_000 / scale, &[&|| ask(&unknown), &|| ask(&middle)]);
    compare(
        "secret wrong in its first character",
        "in its last",
        1_000_000 / scale,
        &[&|| ask(&first), &|| ask(&last)],
    );

    let right = with(CLIENT, secret);
    let log_in = |name: &str, password: &str| {
        let body = format!("grant_type=password&username={name}&password={password}");
        assert_eq!(post(&right, &body), 400);
    };
    compare(
        "unknown user",
        "wrong password",
        60_000 / scale,
        &[&|| log_in(NOBODY, "wonderlanx"), &|| log_in(USER, "wonderlanx")],
    );
    compare(
        "password wrong in its first character",
        "in its last",
        60_000 / scale,
        &[&|| log_in(USER, "Wonderland"), &|| log_in(USER, "wonderlanD")],
    );

    // After the id of the grant come the bytes that nobody may guess one by one.
    let [first, last] = [22, token.len() - 2].map(|at| wrong_at(&token, at));
    let look = |token: &str| assert!(!block_on(server.introspect(token)).unwrap().is_active());
    compare(
        "token wrong in its first secret byte",
        "in its last",
        2_000_000 / scale,
        &[&|| look(&first), &|| look(&last)],
    );
    // The yardstick: something that does differ.
    let unknown = wrong_at(&token, 0);
    compare(
        "for comparison: token of no grant",
        "of a grant, with a wrong secret",
        2_000_000 / scale,
        &[&|| look(&unknown), &|| look(&first)],
    );
}

fn wrong_at(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
    String::from_utf8(bytes).unwrap()
}

fn compare(one: &str, other: &str, count: usize, kinds: &[&dyn Fn(); 2]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut times = [Vec::with_capacity(count), Vec::with_capacity(count)];
    for _ in 0..count / 10 {
        kinds.iter().for_each(|kind| kind());
    }
    for _ in 0..count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let kind = usize::from(state >> 63 == 1);
        let begin = Instant::now();
        kinds[kind]();
        times[kind].push(begin.elapsed().as_nanos() as f64);
    }
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let median = all[all.len() / 2];
    let mut worst = (0.0_f64, 0.0);
    for part in [0.5, 0.75, 0.9, 0.95, 0.99, 1.0] {
        let most = all[((all.len() - 1) as f64 * part) as usize];
        let [a, b] =
            times.each_ref().map(|times| Moments::of(times.iter().copied().filter(|time| *time <= most)));
        let t = (a.mean - b.mean) / (a.variance / a.count + b.variance / b.count).sqrt();
        if t.abs() > worst.0.abs() {
            worst = (t, a.mean - b.mean);
        }
    }
    println!("| {one} | {other} | {count} | {:.1} | {median:.0} | {:.1} |", worst.1, worst.0.abs());
}

struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    /// As Welford does.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for value in values {
            count += 1.0;
            let delta = value - mean;
            mean += delta / count;
            squares += delta * (value - mean);
        }
        Self { count, mean, variance: squares / (count - 1.0) }
    }
}
