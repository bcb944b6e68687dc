//! A busy server for a long time, with grants that expire: does it keep its memory, its answers and
//! its pace?
//!
//! ```text
//! cargo bench --bench endurance                       ten minutes
//! cargo bench --bench endurance -- --seconds 60
//! ```
//!
//! A thread on each of two processors sends issues, code flows, refreshes (of old tokens, too),
//! introspections, revocations and wrong secrets, from bytes to bytes. In the second half, a thousand
//! wrong passwords come all at once, again and again. It fails when an answer is not the one that was
//! asked for, when memory grows by more than a tenth after the first third, or when the passwords
//! more than double the 99 % of client credentials.

#![allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures and stops at what it does not expect"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use grantor::http::{Reply, Request, Router};
use grantor::limiter::NoAttemptLimit;
use grantor::password::HashPool;
use grantor::store::{MemoryClientStore, MemoryTokenStore, MemoryUserStore};
use grantor::testing::{block_on, join_all};
use grantor::{
    AuthorizationRequest, AuthorizationServer, Client, CodeVerifier, ConsentDecision, GrantTypeName,
    Settings, SystemClock, User, UserPassword,
};
use serde_json::Value;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT_URI: &str = "https://app.example/cb";
/// Seconds.
const ACCESS: u64 = 10;
const REFRESH: u64 = 20;

struct Server {
    router: Router,
    tokens: Arc<MemoryTokenStore>,
    basic: String,
    wrong: String,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut is_bench, mut seconds) = (false, 600);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--seconds" => seconds = arguments.next().unwrap().parse().unwrap(),
            other => panic!("{other} is not known"),
        }
    }
    if !is_bench {
        println!("nothing measured: this is for `cargo bench`");
        return;
    }
    // The others would go on for ever.
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::exit(1);
    }));
    let server = Server::new();
    let (stop, storms) = (AtomicBool::new(false), AtomicBool::new(false));
    let took = Mutex::new(Vec::new());
    println!(
        "| seconds | passwords | requests/s | grants | MiB | client credentials: 50 %, µs | 99 %, µs | 99.9 %, µs | longest, ms |"
    );
    println!("|--:|---|--:|--:|--:|--:|--:|--:|--:|");
    let rows: Vec<Row> = thread::scope(|scope| {
        for seed in 1..=2 {
            let (server, stop, took) = (&server, &stop, &took);
            scope.spawn(move || server.work(seed, stop, took));
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if storms.load(Ordering::Relaxed) {
                    server.storm();
                }
                thread::sleep(Duration::from_millis(500));
            }
        });
        let step = (seconds / 12).max(5);
        let rows = (1..=seconds / step).map(|at| {
            thread::sleep(Duration::from_secs(step));
            let row = Row::of(
                &server,
                std::mem::take(&mut took.lock().unwrap()),
                step,
                storms.load(Ordering::Relaxed),
            );
            println!("| {} | {} |", at * step, row.text());
            storms.store(at * step * 2 >= seconds, Ordering::Relaxed);
            row
        });
        let rows = rows.collect();
        stop.store(true, Ordering::Relaxed);
        rows
    });
    judge(&rows);
}

fn judge(rows: &[Row]) {
    let after_a_third = &rows[rows.len() / 3..];
    let first = after_a_third[0].resident;
    let most = after_a_third.iter().map(|row| row.resident).fold(0.0, f64::max);
    println!("\nMemory after the first third: {first:.0} MiB, at most {most:.0}.");
    let median = |stormy: bool| {
        let mut values: Vec<f64> =
            rows.iter().filter(|row| row.is_stormy == stormy).map(|row| row.p99).collect();
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (calm, stormy) = (median(false), median(true));
    println!("99 % of client credentials: {calm:.0} µs, under a storm of passwords {stormy:.0} µs.");
    // The arenas of two threads that hash.
    assert!(most <= first * 1.1 + 2.0 * 46.0 + 8.0, "memory grows");
    assert!(stormy <= 2.0 * calm, "passwords hold other clients up");
}

struct Row {
    is_stormy: bool,
    rate: f64,
    grants: usize,
    resident: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    longest: f64,
}

impl Row {
    fn of(server: &Server, mut took: Vec<(bool, Duration)>, seconds: u64, is_stormy: bool) -> Self {
        let rate = took.len() as f64 / seconds as f64;
        let longest = took.iter().map(|(_, took)| *took).max().unwrap_or_default().as_secs_f64() * 1e3;
        took.retain(|(is_issue, _)| *is_issue);
        took.sort_unstable();
        let micros = |part: f64| took[((took.len() - 1) as f64 * part) as usize].1.as_secs_f64() * 1e6;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        let resident = resident.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0;
        Self {
            is_stormy,
            rate,
            grants: server.tokens.len(),
            resident,
            p50: micros(0.5),
            p99: micros(0.99),
            p999: micros(0.999),
            longest,
        }
    }

    fn text(&self) -> String {
        let Self { is_stormy, rate, grants, resident, p50, p99, p999, longest } = self;
        let passwords = if *is_stormy { "a thousand at once" } else { "none" };
        format!(
            "{passwords} | {rate:.0} | {grants} | {resident:.0} | {p50:.1} | {p99:.1} | {p999:.0} | {longest:.1}"
        )
    }
}

impl Server {
    fn new() -> Self {
        let (secret, hashed) = Client::generate_secret().unwrap();
        let app = Client::confidential("app")
            .secret(hashed)
            .grant_type(GrantTypeName::CLIENT_CREDENTIALS)
            .grant_type(GrantTypeName::AUTHORIZATION_CODE)
            .grant_type(GrantTypeName::REFRESH_TOKEN)
            .grant_type(GrantTypeName::PASSWORD)
            .redirect_uri(REDIRECT_URI)
            .scopes("a b")
            .may_introspect(true)
            .build()
            .unwrap();
        let pool = HashPool::builder().threads(1).build().unwrap();
        let hash = block_on(pool.hash_password("wonderland")).unwrap();
        let alice = User::new("alice".parse().unwrap(), "alice").password(UserPassword::Phc(hash));
        let tokens = MemoryTokenStore::builder().capacity(8_000_000).bytes(8 << 30).build().unwrap();
        let tokens = Arc::new(tokens);
        let settings = Settings::default()
            .access_token_lifetime(Duration::from_secs(ACCESS))
            .refresh_token_lifetime(Duration::from_secs(REFRESH))
            .refresh_token_idle_lifetime(Duration::from_secs(REFRESH));
        let server = AuthorizationServer::builder("https://id.example.com")
            .clients(MemoryClientStore::from_iter([app]))
            .users(MemoryUserStore::from_iter([alice]))
            .tokens(Arc::clone(&tokens))
            .password_verifier(pool)
            .attempt_limiter(NoAttemptLimit)
            .settings(settings)
            .dangerous()
            .password_grant()
            .build()
            .unwrap();
        let basic = |secret: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("app:{secret}")));
        let (basic, wrong) = (basic(secret.expose()), basic("a-secret-of-nobody"));
        Self { router: Router::builder(server).build().unwrap(), tokens, basic, wrong }
    }

    async fn send(&self, path: &str, authorization: &str, body: &str) -> Reply {
        let request = Request::new("POST", path)
            .secure(true)
            .header("content-type", b"application/x-www-form-urlencoded")
            .header("authorization", authorization.as_bytes())
            .body(body.as_bytes());
        self.router.handle(&request).await.unwrap()
    }

    fn expect(&self, status: u16, path: &str, body: &str) -> Value {
        let reply = block_on(self.send(path, &self.basic, body));
        let text = String::from_utf8_lossy(reply.body());
        assert_eq!(reply.status(), status, "{body}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn code(&self) -> String {
        let challenge = CodeVerifier::new(VERIFIER).unwrap().challenge();
        let request = AuthorizationRequest::new()
            .parameter("response_type", "code")
            .parameter("client_id", "app")
            .parameter("redirect_uri", REDIRECT_URI)
            .parameter("scope", "a")
            .parameter("code_challenge_method", "S256")
            .parameter("code_challenge", challenge.as_str());
        let server = self.router.server();
        let consent = block_on(server.authorize(&request, b"session")).unwrap();
        let decision = ConsentDecision::Approve(consent.scope().clone());
        let (alice, now) = ("alice".parse().unwrap(), grantor::Clock::now(&SystemClock));
        let decided = server.decide(consent.ticket(), b"session", &alice, now, decision);
        let response = block_on(decided).unwrap();
        let (_, code) = response.location().split_once("code=").unwrap();
        code.split('&').next().unwrap().to_owned()
    }

    /// Until it is told to stop.
    fn work(&self, seed: u64, stop: &AtomicBool, took: &Mutex<Vec<(bool, Duration)>>) {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut own = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let begin = Instant::now();
            let is_issue = match state % 16 {
                0 => {
                    self.flow();
                    false
                }
                1 => {
                    let reply =
                        block_on(self.send("/oauth/token", &self.wrong, "grant_type=client_credentials"));
                    assert_eq!(reply.status(), 401);
                    false
                }
                2..6 => {
                    let token = self.expect(200, "/oauth/token", "grant_type=client_credentials&scope=a");
                    let token = format!("token={}", token["access_token"].as_str().unwrap());
                    assert_eq!(self.expect(200, "/oauth/introspect", &token)["active"], true);
                    self.expect(200, "/oauth/revoke", &token);
                    assert_eq!(self.expect(200, "/oauth/introspect", &token)["active"], false);
                    false
                }
                _ => {
                    self.expect(200, "/oauth/token", "grant_type=client_credentials&scope=a");
                    true
                }
            };
            own.push((is_issue, begin.elapsed()));
            if own.len() == 1_000 {
                took.lock().unwrap().append(&mut own);
            }
        }
    }

    /// A login, its refreshes, and a thief.
    fn flow(&self) {
        let body = format!(
            "grant_type=authorization_code&code={}&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&code_verifier={VERIFIER}",
            self.code()
        );
        let mut token = self.expect(200, "/oauth/token", &body);
        let first = token["refresh_token"].as_str().unwrap().to_owned();
        for _ in 0..3 {
            let body = format!(
                "grant_type=refresh_token&refresh_token={}",
                token["refresh_token"].as_str().unwrap()
            );
            token = self.expect(200, "/oauth/token", &body);
        }
        let body = format!("grant_type=refresh_token&refresh_token={first}");
        assert_eq!(self.expect(400, "/oauth/token", &body)["error"], "invalid_grant");
        let token = format!("token={}", token["access_token"].as_str().unwrap());
        assert_eq!(self.expect(200, "/oauth/introspect", &token)["active"], false);
    }

    fn storm(&self) {
        let body = "grant_type=password&username=alice&password=wrong";
        let attempts = (0..1_000).map(|_| self.send("/oauth/token", &self.basic, body));
        for reply in block_on(join_all(attempts)) {
            assert!(matches!(reply.status(), 400 | 503), "{}", reply.status());
        }
    }
}
