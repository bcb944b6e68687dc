//! What requests wait for while a million grants are listed and the ended half is cleared away.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use grantor::store::{GrantQuery, TokenStore};
use grantor::testing::ManualClock;
use grantor::{Clock as _, SystemClock};

pub const HEAD: &str =
    "| store | beside it | issue p50 ms | p99 ms | p99.9 ms | longest ms | done meanwhile |
|---|---|--:|--:|--:|--:|---|";

/// As many as a page of an administrator shows, and as one round of a clean-up deletes.
const PAGE: usize = 100;
const ROUND: usize = 500;

pub async fn rows<S: TokenStore + Clone>(name: &str, store: &S, count: usize) {
    let now = SystemClock.now();
    let yesterday = ManualClock::new(now.minus(Duration::from_secs(24 * 3600)));
    fill(&super::server(store.clone()), count - count / 2).await;
    // Last, since some stores clear away what has ended when they write.
    fill(&super::server_at(store.clone(), yesterday), count / 2).await;

    let alone = beside(store, async |over| {
        while !over.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        String::new()
    });
    print(name, "nothing", alone.await);
    let find = beside(store, async |over| {
        let (mut seen, mut query) = (0, GrantQuery::new().limit(PAGE));
        while !over.load(Relaxed) {
            let page = store.find(&query).await.unwrap();
            seen += page.grants.len();
            query = GrantQuery::new().limit(PAGE);
            if let Some(next) = page.next {
                query = query.after(next);
            }
        }
        format!("{seen} found")
    });
    print(name, "find", find.await);
    let purge = beside(store, async |over| {
        let (mut gone, mut longest) = (0, Duration::ZERO);
        while !over.load(Relaxed) {
            let begin = Instant::now();
            gone += store.purge_expired(now, ROUND).await.unwrap();
            longest = longest.max(begin.elapsed());
        }
        format!("{gone} of {} deleted, {:.0} ms for {ROUND} at most", count / 2, longest.as_secs_f64() * 1e3)
    });
    print(name, "purge_expired", purge.await);
}

async fn fill(server: &grantor::AuthorizationServer, count: usize) {
    const CALLERS: usize = 64;
    let each = (0..CALLERS).map(|caller| async move {
        for _ in (caller..count).step_by(CALLERS) {
            super::issue(server).await;
        }
    });
    grantor::testing::join_all(each).await;
}

/// Issues for some seconds, one token after the other, while `other` goes on until it is told that
/// this is over.
async fn beside<S: TokenStore + Clone>(
    store: &S,
    other: impl AsyncFnOnce(&AtomicBool) -> String,
) -> (Vec<f64>, String) {
    const SECONDS: u64 = 10;
    let (server, over) = (super::server(store.clone()), AtomicBool::new(false));
    let requests = tokio::spawn(async move {
        let mut times = Vec::new();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(SECONDS) {
            let begin = Instant::now();
            super::issue(&server).await;
            times.push(begin.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times
    });
    let ended = async {
        let mut times = requests.await.unwrap();
        over.store(true, Relaxed);
        times.sort_by(f64::total_cmp);
        times
    };
    tokio::join!(ended, other(&over))
}

fn print(name: &str, beside: &str, (times, done): (Vec<f64>, String)) {
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!(
        "| {name} | {beside} | {:.2} | {:.2} | {:.2} | {:.2} | {done} |",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}
