//! What the store on `SQLite` costs: bytes, and time against a hand-written loop.
//!
//! ```text
//! cargo bench --features sqlite --bench sqlite                            about a minute
//! cargo bench --features sqlite --bench sqlite -- --quick                 a few seconds
//! cargo bench --features sqlite --bench sqlite -- --grants 1000000        a large file for the latencies
//! cargo bench --features sqlite --bench sqlite -- --only commits          sizes, commits or latency
//! cargo bench --features sqlite --bench sqlite -- --directory /mnt/disk   on another disk
//! ```
//!
//! `commits` puts sixteen tasks that insert one grant after the other beside a loop that
//! writes the same rows with the same statement, sixteen in each transaction. Both sides run
//! in turns; the ratio is the median of the rounds. `latency` is that of an insert and of a
//! load, alone and while grants are listed or deleted without a pause.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures and stops at what it does not expect"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use grantor::grant::Grant;
use grantor::http::{Request, Router};
use grantor::store::{
    ClientRegistry, GrantQuery, Insert, MemoryClientStore, MemoryTokenStore, Read, SqliteStore, TokenStore,
};
use grantor::testing::{SeededEntropy, mint};
use grantor::{
    AuthMethod, AuthorizationRequest, AuthorizationServer, Client, ClientSecret, CodeVerifier,
    ConsentDecision, GrantId, GrantTypeName, HashedSecret, Subject, SystemClock, Timestamp,
};
use rusqlite::{Connection, params};

const CALLERS: usize = 16;
const HOUR: Duration = Duration::from_secs(3600);
const INSERT: &str = "INSERT INTO grants (id, revision, format, expires_at, client, subject, parent, record)
                      VALUES (?1, ?2, 1, ?3, ?4, ?5, NULL, ?6) ON CONFLICT (id) DO NOTHING";

struct Options {
    quick: bool,
    grants: usize,
    only: Option<String>,
    directory: PathBuf,
}

fn main() {
    let options = Options::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let grants = runtime.block_on(samples(if options.quick { 4_000 } else { 40_000 }));
    let wants = |part: &str| options.only.as_deref().is_none_or(|only| only == part);
    if wants("sizes") {
        runtime.block_on(sizes(&options, if options.quick { 500 } else { 10_000 }));
    }
    if wants("commits") {
        runtime.block_on(commits(&options, &grants));
    }
    if wants("latency") {
        runtime.block_on(latency(&options, &grants));
    }
}

impl Options {
    fn read() -> Self {
        let mut options = Self { quick: false, grants: 50_000, only: None, directory: std::env::temp_dir() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--grants" => options.grants = arguments.next().unwrap().parse().unwrap(),
                "--only" => options.only = arguments.next(),
                "--directory" => options.directory = arguments.next().unwrap().into(),
                _ => {}
            }
        }
        options
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { 5 })
    }
}

/// A directory of its own, gone at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(options: &Options, name: &str) -> Self {
        let path = options.directory.join(format!("grantor-bench-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("grants.db")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Grants of a server in memory, of a hundred clients and a thousand users.
async fn samples(count: usize) -> Vec<Arc<Grant>> {
    let clients: Vec<_> =
        (0..100).map(|at| Client::public(format!("client-{at}")).build().unwrap()).collect();
    let tokens = Arc::new(MemoryTokenStore::builder().capacity(4 * count).build().unwrap());
    let server = AuthorizationServer::builder("https://id.example.com")
        .clients(MemoryClientStore::from_iter(clients))
        .tokens(Arc::clone(&tokens))
        .entropy(SeededEntropy::new(1))
        .build()
        .unwrap();
    for at in 0..count {
        let client = format!("client-{}", at % 100).parse().unwrap();
        let user = format!("user-{}", at % 1000).parse().unwrap();
        mint(&server, client, Some(user), "orders.read orders.write".parse().unwrap()).await.unwrap();
    }
    let mut grants = Vec::new();
    let mut query = Some(GrantQuery::new().limit(1000));
    while let Some(next) = query {
        let page = tokens.find(&next).await.unwrap();
        grants.extend(page.grants);
        query = page.next.map(|cursor| GrantQuery::new().limit(1000).after(cursor));
    }
    grants
}

async fn sizes(options: &Options, refreshes: usize) {
    let directory = Directory::new(options, "sizes");
    let store = SqliteStore::open(directory.file()).unwrap();
    let secret = HashedSecret::sha256(&ClientSecret::new("secret"));
    let app = Client::confidential("app")
        .secret(secret)
        .auth_methods([AuthMethod::ClientSecretPost])
        .grant_type(GrantTypeName::AUTHORIZATION_CODE)
        .grant_type(GrantTypeName::REFRESH_TOKEN)
        .redirect_uri("https://app.example/cb")
        .scopes("orders.read orders.write");
    store.put_client(app.build().unwrap()).await.unwrap();
    let server = AuthorizationServer::builder("https://id.example.com")
        .clients(store.clone())
        .tokens(store.clone())
        .build()
        .unwrap();
    let router = Router::builder(server.clone()).build().unwrap();
    let empty = pages(&directory);
    let mut token = String::new();
    const LOGINS: u64 = 1000;
    for _ in 0..LOGINS {
        token = login(&server, &router).await;
    }
    let filled = pages(&directory);
    println!("size        {} bytes for each grant with a refresh token", (filled - empty) * 4096 / LOGINS);
    let begun = Instant::now();
    for _ in 0..refreshes {
        token = answer(&router, &format!("grant_type=refresh_token&refresh_token={token}")).await;
    }
    let each = begun.elapsed() / refreshes as u32;
    let after = pages(&directory);
    println!("refreshes   {filled} pages before, {after} after {refreshes} of one grant; {each:.0?} each");
}

fn pages(directory: &Directory) -> u64 {
    let connection = Connection::open(directory.file()).unwrap();
    connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
}

async fn login(server: &AuthorizationServer, router: &Router) -> String {
    let verifier = "a".repeat(43);
    let challenge = CodeVerifier::new(verifier.as_str()).unwrap().challenge().as_str().to_owned();
    let request = AuthorizationRequest::new()
        .parameter("response_type", "code")
        .parameter("client_id", "app")
        .parameter("scope", "orders.read")
        .parameter("redirect_uri", "https://app.example/cb")
        .parameter("code_challenge", challenge)
        .parameter("code_challenge_method", "S256");
    let consent = server.authorize(&request, b"session").await.unwrap();
    let decision = ConsentDecision::Approve("orders.read".parse().unwrap());
    let alice = "alice".parse().unwrap();
    let decided = server.decide(consent.ticket(), b"session", &alice, now(), decision).await.unwrap();
    let (_, code) = decided.location().split_once("code=").unwrap();
    let code = code.split('&').next().unwrap();
    let form = format!(
        "grant_type=authorization_code&code={code}&code_verifier={verifier}\
         &redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
    );
    answer(router, &form).await
}

/// The refresh token that the answer holds.
async fn answer(router: &Router, form: &str) -> String {
    let body = format!("{form}&client_id=app&client_secret=secret");
    let request = Request::new("POST", "/oauth/token")
        .header("content-type", b"application/x-www-form-urlencoded")
        .body(body.as_bytes())
        .secure(true);
    let reply = router.handle(&request).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
    json["refresh_token"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
}

fn now() -> Timestamp {
    grantor::Clock::now(&SystemClock)
}

async fn commits(options: &Options, grants: &[Arc<Grant>]) {
    let rounds = 40;
    let mut ratios = Vec::new();
    let mut best = (0.0_f64, 0.0_f64);
    let (ours, theirs) = (Directory::new(options, "ours"), Directory::new(options, "theirs"));
    let store = SqliteStore::open(ours.file()).unwrap();
    drop(SqliteStore::open(theirs.file()).unwrap());
    let raw = raw(&theirs.file());
    for part in grants.chunks(grants.len() / rounds) {
        let loop_rate = part.len() as f64 / by_hand(&raw, part).as_secs_f64();
        let store_rate = part.len() as f64 / by_store(&store, part).await.as_secs_f64();
        ratios.push(store_rate / loop_rate);
        best = (best.0.max(store_rate), best.1.max(loop_rate));
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "commits     {CALLERS} callers: {:.0} inserts/s at best; by hand: {:.0}; \
         ratio {:.2}, quartiles {:.2} and {:.2} (goal: 0.80)",
        best.0,
        best.1,
        ratios[ratios.len() / 2],
        ratios[ratios.len() / 4],
        ratios[ratios.len() * 3 / 4]
    );
}

fn raw(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -16384").unwrap();
    connection
}

fn by_hand(connection: &Connection, grants: &[Arc<Grant>]) -> Duration {
    let begun = Instant::now();
    let mut insert = connection.prepare(INSERT).unwrap();
    for group in grants.chunks(CALLERS) {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for grant in group {
            let written = insert.execute(params![
                grant.id().as_bytes(),
                grant.revision().as_u64().cast_signed(),
                grant.expires_at().map(|end| end.as_millis().cast_signed()),
                grant.client().as_str(),
                grant.subject().map(Subject::as_str),
                grant.to_stored(),
            ]);
            assert_eq!(written, Ok(1));
        }
        connection.execute_batch("COMMIT").unwrap();
    }
    begun.elapsed()
}

async fn by_store(store: &SqliteStore, grants: &[Arc<Grant>]) -> Duration {
    let begun = Instant::now();
    let callers = grants.chunks(grants.len().div_ceil(CALLERS)).map(|own| {
        let (store, own) = (store.clone(), own.to_vec());
        tokio::spawn(async move {
            for grant in own {
                assert_eq!(store.insert(grant).await.unwrap(), Insert::Inserted);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    begun.elapsed()
}

async fn latency(options: &Options, grants: &[Arc<Grant>]) {
    let directory = Directory::new(options, "latency");
    let store = SqliteStore::open(directory.file()).unwrap();
    fill(&raw(&directory.file()), options.grants, &grants[0]);
    println!("latency     with {} grants, half of them expired", options.grants);
    let (first, rest) = grants.split_at(grants.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    measure("alone", options, &store, first, async |_| tokio::task::yield_now().await, false).await;
    let list = async |store: &SqliteStore| {
        let mut query = Some(GrantQuery::new().limit(1000).of_client("client-1".parse().unwrap()));
        while let Some(next) = query {
            let page = store.find(&next).await.unwrap();
            query = page.next.map(|cursor| next.after(cursor));
        }
    };
    measure("find", options, &store, second, list, true).await;
    let purge = async |store: &SqliteStore| {
        let deleted = store.purge_expired(now(), 100_000).await.unwrap();
        if deleted == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    measure("purge", options, &store, third, purge, true).await;
}

/// Half of the grants ended long ago, the others end in an hour.
fn fill(connection: &Connection, count: usize, sample: &Grant) {
    let entropy = SeededEntropy::new(7);
    let text = sample.to_stored();
    let mut insert = connection.prepare(INSERT).unwrap();
    let later = now().plus(HOUR).as_millis().cast_signed();
    for group in 0..count.div_ceil(10_000) {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for at in group * 10_000..count.min((group + 1) * 10_000) {
            let bytes = grantor::Entropy::draw(&entropy).unwrap();
            let id = GrantId::from_bytes(std::array::from_fn(|at| bytes[at]));
            let (client, subject) = (format!("client-{}", at % 100), format!("user-{}", at % 10_000));
            let record = text.replacen(&sample.id().to_string(), &id.to_string(), 1);
            let end = if at % 2 == 0 { 1 } else { later };
            let revision = sample.revision().as_u64().cast_signed();
            insert.execute(params![id.as_bytes(), revision, end, client, subject, record]).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

async fn measure(
    name: &str,
    options: &Options,
    store: &SqliteStore,
    grants: &[Arc<Grant>],
    disturb: impl AsyncFn(&SqliteStore),
    is_disturbed: bool,
) {
    let done = AtomicBool::new(false);
    let requests = async {
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        let end = Instant::now() + options.seconds();
        for grant in grants.iter().take_while(|_| Instant::now() < end) {
            let begun = Instant::now();
            assert_eq!(store.insert(grant.clone()).await.unwrap(), Insert::Inserted);
            writes.push(begun.elapsed());
            let begun = Instant::now();
            assert!(store.load(grant.id(), Read::Latest).await.unwrap().is_some());
            reads.push(begun.elapsed());
        }
        done.store(true, Relaxed);
        (writes, reads)
    };
    let mut disturbances = 0_u64;
    let disturber = async {
        while is_disturbed && !done.load(Relaxed) {
            disturb(store).await;
            disturbances += 1;
        }
    };
    let ((writes, reads), ()) = tokio::join!(requests, disturber);
    println!("  {name:<8}  insert {}; load {}", Spread(writes), Spread(reads));
}

struct Spread(Vec<Duration>);

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut times = self.0.clone();
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        write!(f, "p50 {:.1?}, p99 {:.1?}, max {:.1?}", at(0.5), at(0.99), at(1.0))
    }
}
