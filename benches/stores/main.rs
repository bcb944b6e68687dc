//! What requests cost on each durable store, and what the engine does without grantor.
//!
//! ```text
//! cargo bench --bench stores                       about two minutes
//! cargo bench --bench stores -- --quick            a few seconds
//! cargo bench --bench stores -- --only postgres    sqlite, tiered, postgres or redis
//! cargo bench --bench stores -- --upkeep           how long requests wait while a million is cleared away
//! ```
//!
//! Servers are started for it, with settings that keep what they have answered: `PostgreSQL` and
//! `SQLite` wait for the disk at each commit, Redis with `appendfsync always`, too. All run on one
//! machine, callers included. `raw` is `pgbench` or `redis-benchmark` with the same single write and
//! as many callers; the ratio is that of writes, in turns with grantor's, as a median of rounds.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a program that measures and stops at what it does not expect"
)]

#[path = "../../tests/it/postgres/server.rs"]
mod postgres;
#[path = "../../tests/it/redis/server.rs"]
mod redis_server;
mod upkeep;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use grantor::store::{MemoryClientStore, PostgresStore, RedisStore, SqliteStore, TieredStore, TokenStore};
use grantor::{
    AuthMethod, AuthorizationRequest, AuthorizationServer, Client, ClientSecret, Clock, CodeVerifier,
    ConsentDecision, GrantTypeName, HashedSecret, SystemClock, TokenRequest,
};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const SECRET: &str = "bench-secret-bench-secret-bench-secret";

struct Options {
    seconds: f64,
    rounds: usize,
    only: Option<String>,
    /// How many grants there are before `find` and `purge_expired` run beside requests.
    upkeep: Option<usize>,
}

fn main() {
    let mut options = Options { seconds: 3.0, rounds: 5, only: None, upkeep: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => (options.seconds, options.rounds) = (0.5, 1),
            "--only" => options.only = arguments.next(),
            "--upkeep" => options.upkeep = Some(1_000_000),
            _ => {}
        }
    }
    let wants = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if options.upkeep.is_some() {
        println!("{}", upkeep::HEAD);
    } else {
        println!("| store | callers | issue /s | refresh /s | introspect /s | raw write /s | issue ÷ raw |");
        println!("|---|--:|--:|--:|--:|--:|--:|");
    }
    let directory = std::env::temp_dir().join(format!("grantor-bench-stores-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    if wants("sqlite") {
        let store = SqliteStore::open(directory.join("sqlite.db")).unwrap();
        runtime.block_on(rows("SQLite", &store, &options, |_| None));
    }
    if wants("tiered") {
        let store = TieredStore::builder(directory.join("tiered.db")).disk(10_000_000).open().unwrap();
        runtime.block_on(rows("tiered", &store, &options, |_| None));
    }
    if wants("postgres") {
        let server = postgres::Server::durable();
        let url = server.database();
        runtime.block_on(async {
            let store = PostgresStore::new(postgres::pool(&url));
            store.migrate().await.unwrap();
            rows("PostgreSQL", &store, &options, |callers| Some(pgbench(&url, callers, options.seconds)))
                .await;
            let kept = server.run(
                "SELECT pg_total_relation_size('grantor_grants') / count(*) FROM grantor_grants",
                url.rsplit('/').next().unwrap(),
            );
            println!("PostgreSQL: {} bytes a grant, indexes included", kept.trim());
        });
    }
    if wants("redis") {
        let server = redis_server::Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
        runtime.block_on(async {
            let client = redis::Client::open(server.url()).unwrap();
            let store =
                RedisStore::builder().open(client.get_connection_manager().await.unwrap()).await.unwrap();
            let before = used(&server);
            rows("Redis", &store, &options, |callers| Some(redis_benchmark(&server, callers))).await;
            let count: usize = server.run(&["DBSIZE"]).parse().unwrap();
            println!("Redis: about {} bytes a grant, sets included", (used(&server) - before) / count.max(1));
        });
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

fn used(server: &redis_server::Server) -> usize {
    let info = server.run(&["INFO", "memory"]);
    info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
}

async fn rows<S: TokenStore + Clone>(
    name: &str,
    store: &S,
    options: &Options,
    raw: impl Fn(usize) -> Option<f64>,
) {
    if let Some(count) = options.upkeep {
        return upkeep::rows(name, store, count).await;
    }
    for callers in [1, 16] {
        let server = server(store.clone());
        let mut ratios = Vec::new();
        let (mut issues, mut raws) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let server = server.clone();
            let issue = rate(callers, options, move |_| {
                let server = server.clone();
                async move { drop(issue(&server).await) }
            })
            .await;
            issues.push(issue);
            if let Some(raw) = tokio::task::block_in_place(|| raw(callers)) {
                ratios.push(issue / raw);
                raws.push(raw);
            }
        }
        let mut logins = Vec::new();
        for _ in 0..callers {
            logins.push(Arc::new(tokio::sync::Mutex::new(login(&server).await)));
        }
        let refreshing = server.clone();
        let refresh = rate(callers, options, move |caller| {
            let (server, login) = (refreshing.clone(), Arc::clone(&logins[caller]));
            async move {
                let mut login = login.lock().await;
                *login = refresh(&server, &login).await;
            }
        })
        .await;
        let mut tokens = Vec::new();
        for _ in 0..200 {
            tokens.push(issue(&server).await);
        }
        let tokens = Arc::new(tokens);
        let next = Arc::new(AtomicUsize::new(0));
        let introspect = rate(callers, options, move |_| {
            let (server, tokens, next) = (server.clone(), Arc::clone(&tokens), Arc::clone(&next));
            async move {
                let token = &tokens[next.fetch_add(1, Relaxed) % tokens.len()];
                assert!(server.introspect(token).await.unwrap().is_active());
            }
        })
        .await;
        let (raw, ratio) = if ratios.is_empty() {
            ("".to_owned(), "".to_owned())
        } else {
            (format!("{:.0}", median(raws)), format!("{:.2}", median(ratios)))
        };
        println!(
            "| {name} | {callers} | {:.0} | {refresh:.0} | {introspect:.0} | {raw} | {ratio} |",
            median(issues)
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How often a second so many callers do it, one time after the other.
async fn rate<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    options: &Options,
    work: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> f64 {
    let seconds = options.seconds;
    let begin = Instant::now();
    // A task each, as a server has for each connection.
    let each = |caller| {
        let work = work.clone();
        tokio::spawn(async move {
            let mut count = 0;
            // What is answered at once never lets a timer run.
            while begin.elapsed().as_secs_f64() < seconds {
                work(caller).await;
                count += 1;
            }
            count
        })
    };
    let tasks: Vec<_> = (0..callers).map(each).collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    f64::from(count) / begin.elapsed().as_secs_f64()
}

fn server(tokens: impl TokenStore) -> AuthorizationServer {
    server_at(tokens, SystemClock)
}

fn server_at(tokens: impl TokenStore, clock: impl Clock) -> AuthorizationServer {
    let client = Client::confidential("bench")
        .secret(HashedSecret::sha256(&ClientSecret::new(SECRET)))
        .auth_methods([AuthMethod::ClientSecretBasic])
        .grant_type(GrantTypeName::CLIENT_CREDENTIALS)
        .grant_type(GrantTypeName::AUTHORIZATION_CODE)
        .grant_type(GrantTypeName::REFRESH_TOKEN)
        .redirect_uri("https://shop.example.com/signed-in")
        .scopes("orders.read orders.write")
        .default_scopes("orders.read")
        .build()
        .unwrap();
    AuthorizationServer::builder("https://id.example.com")
        .clients(MemoryClientStore::from_iter([client]))
        .tokens(tokens)
        .clock(clock)
        .build()
        .unwrap()
}

async fn issue(server: &AuthorizationServer) -> String {
    let request = TokenRequest::new("client_credentials").basic("bench", SECRET);
    server.token(&request).await.unwrap().access_token().expose().to_owned()
}

async fn login(server: &AuthorizationServer) -> String {
    let challenge = CodeVerifier::new(VERIFIER).unwrap().challenge();
    let request = AuthorizationRequest::new()
        .parameter("response_type", "code")
        .parameter("client_id", "bench")
        .parameter("code_challenge", challenge.as_str().to_owned())
        .parameter("code_challenge_method", "S256");
    let consent = server.authorize(&request, b"session").await.unwrap();
    let decision = ConsentDecision::Approve(consent.scope().clone());
    let alice = "alice".parse().unwrap();
    let decided =
        server.decide(consent.ticket(), b"session", &alice, SystemClock.now(), decision).await.unwrap();
    let code = decided.location().split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).unwrap();
    let request = TokenRequest::new("authorization_code")
        .basic("bench", SECRET)
        .parameter("code", code)
        .parameter("code_verifier", VERIFIER);
    server.token(&request).await.unwrap().refresh_token().unwrap().expose().to_owned()
}

async fn refresh(server: &AuthorizationServer, token: &str) -> String {
    let request = TokenRequest::new("refresh_token").basic("bench", SECRET).parameter("refresh_token", token);
    server.token(&request).await.unwrap().refresh_token().unwrap().expose().to_owned()
}

/// The same row, by the tool of the database.
fn pgbench(url: &str, callers: usize, seconds: f64) -> f64 {
    let script = std::env::temp_dir().join(format!("grantor-bench-{}.sql", std::process::id()));
    let record = "x".repeat(330);
    let sql = format!(
        "INSERT INTO grantor_grants (id, revision, format, expires_at, client, subject, parent, record)
         VALUES (uuid_send(gen_random_uuid()), 1, 1, 4102444800000, 'raw', NULL, NULL, '{record}')
         ON CONFLICT (id) DO NOTHING RETURNING 1;"
    );
    std::fs::write(&script, sql.replace('\n', " ")).unwrap();
    let output = Command::new(postgres::bin("pgbench"))
        .args(["-n", "-M", "extended", "-c", &callers.to_string(), "-j", "1", "-T"])
        .arg(format!("{}", seconds.ceil()))
        .arg("-f")
        .arg(&script)
        .arg(url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate =
        text.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap_or_else(|| panic!("{output:?}"));
    rate.split(' ').next().unwrap().parse().unwrap()
}

/// One script that writes one key, by the tool of Redis.
fn redis_benchmark(server: &redis_server::Server, callers: usize) -> f64 {
    const SCRIPT: &str = "local head = redis.call('GETRANGE', KEYS[1], 0, 39) \
        if string.sub(head, 1, 16) == ARGV[1] then return 0 end \
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1";
    let record = "x".repeat(370);
    let output = Command::new("redis-benchmark")
        .args(["-p", server.url().rsplit(':').next().unwrap(), "-c", &callers.to_string(), "-n"])
        .args([&(callers * 2000).to_string(), "-r", "1000000000", "--csv"])
        .args(["eval", SCRIPT, "1", "raw:__rand_int__", "0123456789abcdef", &record, "3660000"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().last().unwrap();
    line.split("\",\"").nth(1).unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}
