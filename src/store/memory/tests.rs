mod growth;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use hashbrown::HashMap;

use super::*;
use crate::clock::Lifetime;
use crate::entropy::{Seed, SystemEntropy};
use crate::grant::{Allowed, CodeTerms, Redeemed, Redemption, RefreshTerms, Terms};
use crate::id::{ClientId, GrantTypeName, Subject};
use crate::token::TokenSecret;

fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return answer;
        }
    }
}

fn seed() -> Seed {
    Seed::draw(&SystemEntropy).unwrap()
}

fn secs(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn allowed(client: &str, now: Timestamp) -> Allowed {
    Allowed {
        client: ClientId::new(client).unwrap(),
        subject: Some(Subject::new("u-1").unwrap()),
        grant_type: GrantTypeName::CLIENT_CREDENTIALS,
        scope: "read write".parse().unwrap(),
        began_at: now,
        auth_time: None,
    }
}

fn terms(lifetime: Lifetime, issue_refresh: bool) -> Terms {
    let refresh = RefreshTerms {
        rotate: true,
        limit: None,
        lifetime: None,
        idle_lifetime: None,
        retry_window: Duration::ZERO,
    };
    Terms { access_lifetime: lifetime, issue_refresh, refresh, access_tokens_per_grant: 16 }
}

/// A grant that was made at `now` and ends after `lifetime` seconds.
fn grant(client: &str, now: u64, lifetime: u32) -> Arc<Grant> {
    let terms = terms(Lifetime::from_secs(lifetime).unwrap(), false);
    Grant::active(allowed(client, secs(now)), &terms, &seed(), secs(now)).0
}

fn with_code(now: u64, lifetime: u64) -> (Arc<Grant>, TokenSecret) {
    let code = CodeTerms { lifetime: Duration::from_secs(lifetime), redirect_uri: None, challenge: None };
    let (grant, code) = Grant::with_code(allowed("app", secs(now)), code, &seed(), secs(now));
    (grant, code)
}

/// The next revision of a grant with a code; its access token ends after `lifetime`.
fn redeemed(grant: &Grant, code: &TokenSecret, now: u64, lifetime: Lifetime, refresh: bool) -> Arc<Grant> {
    let redemption = Redemption { code, redirect_uri: None, verifier: None };
    match grant.redeem(&redemption, &terms(lifetime, refresh), &seed(), secs(now)) {
        Redeemed::Next { next, .. } => next,
        _ => panic!("the code is good"),
    }
}

fn hour() -> Lifetime {
    Lifetime::from_secs(3600).unwrap()
}

fn store_of(capacity: usize) -> MemoryTokenStore {
    MemoryTokenStore::builder().capacity(capacity).client_share(1.0).build().unwrap()
}

fn insert(store: &MemoryTokenStore, grant: &Arc<Grant>) -> Insert {
    run(store.insert(Arc::clone(grant))).unwrap()
}

fn load(store: &MemoryTokenStore, grant: &Grant) -> Option<Arc<Grant>> {
    run(store.load(grant.id(), Read::Latest)).unwrap()
}

fn replace(store: &MemoryTokenStore, grant: &Arc<Grant>, expected: Revision) -> Replace {
    run(store.replace(Arc::clone(grant), expected)).unwrap()
}

fn remove(store: &MemoryTokenStore, grant: &Grant, expected: Option<Revision>) -> Remove {
    run(store.remove(grant.id(), expected)).unwrap()
}

fn purge(store: &MemoryTokenStore, now: u64, limit: usize) -> usize {
    run(store.purge_expired(secs(now), limit)).unwrap()
}

/// What is counted, for each client too, is what is there, and the index is right.
fn assert_consistent(store: &MemoryTokenStore) {
    let (mut records, mut bytes) = (0, 0);
    for Padded(shard) in &store.shards {
        let shard = shard.lock();
        let grants = shard.matching(&GrantQuery::new(), usize::MAX);
        assert!(shard.is_index_right());
        let mut clients = HashMap::<_, Amount>::new();
        for grant in &grants {
            let held = clients.entry(grant.client().clone()).or_default();
            *held = *held + Amount::of(grant);
        }
        assert!(shard.clients().is_none_or(|counted| *counted == clients));
        records += grants.len();
        bytes += grants.iter().map(|grant| grant.size()).sum::<usize>();
    }
    assert_eq!((store.len(), store.bytes()), (records, bytes));
}

#[test]
fn a_record_is_inserted_once() {
    let store = MemoryTokenStore::new();
    let first = grant("app", 100, 60);
    assert_eq!(load(&store, &first), None);
    assert_eq!(insert(&store, &first), Insert::Inserted);
    assert_eq!(insert(&store, &first), Insert::Occupied);
    assert_eq!(load(&store, &first), Some(first));
    assert_consistent(&store);
}

#[test]
fn a_record_is_replaced_only_at_the_expected_revision() {
    let store = MemoryTokenStore::new();
    let (first, code) = with_code(100, 60);
    let next = redeemed(&first, &code, 110, hour(), true);
    assert_eq!(replace(&store, &next, first.revision()), Replace::Changed);
    assert_eq!(insert(&store, &first), Insert::Inserted);
    assert_eq!(replace(&store, &next, next.revision()), Replace::Changed);
    assert_eq!(load(&store, &first), Some(Arc::clone(&first)));
    assert_eq!(replace(&store, &next, first.revision()), Replace::Replaced);
    assert_eq!(replace(&store, &next, first.revision()), Replace::Changed);
    assert_eq!(load(&store, &first), Some(next));
    assert_consistent(&store);
}

#[test]
fn a_record_is_removed_at_the_expected_revision_or_whatever_it_is_at() {
    let store = MemoryTokenStore::new();
    let (first, code) = with_code(100, 60);
    let next = redeemed(&first, &code, 110, hour(), false);
    assert_eq!(remove(&store, &first, None), Remove::Absent);
    for expected in [Some(first.revision()), None] {
        assert_eq!(insert(&store, &first), Insert::Inserted);
        assert_eq!(remove(&store, &first, Some(next.revision())), Remove::Changed);
        assert_eq!(remove(&store, &first, expected), Remove::Removed);
        assert_eq!(load(&store, &first), None);
    }
    assert!(store.is_empty());
    assert_consistent(&store);
}

#[test]
fn a_full_store_answers_full_and_keeps_all_it_has() {
    for capacity in [1, 10, 100] {
        let store = store_of(capacity);
        let kept: Vec<_> = (0..capacity).map(|_| grant("app", 100, 60)).collect();
        assert!(kept.iter().all(|grant| insert(&store, grant) == Insert::Inserted));
        for _ in 0..10 {
            assert_eq!(insert(&store, &grant("app", 150, 60)), Insert::Full);
        }
        assert_eq!(insert(&store, &kept[0]), Insert::Occupied);
        assert!(kept.iter().all(|grant| load(&store, grant).is_some()));
        assert_eq!(remove(&store, &kept[0], None), Remove::Removed);
        assert_eq!(insert(&store, &grant("app", 150, 60)), Insert::Inserted);
        assert_consistent(&store);
    }
}

#[test]
fn the_bound_is_exact_when_threads_race() {
    let store = store_of(20_000);
    let inserted = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    if insert(&store, &grant("app", 100, 60)) == Insert::Inserted {
                        inserted.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!((inserted.into_inner(), store.len()), (20_000, 20_000));
    assert_consistent(&store);
}

#[test]
fn the_counts_do_not_drift_when_threads_race() {
    let store = MemoryTokenStore::builder().capacity(60).bytes(20_000).client_share(0.5).build().unwrap();
    let clock = AtomicU64::new(100);
    thread::scope(|scope| {
        for client in ["a", "b", "c", "d"] {
            let (store, clock) = (&store, &clock);
            scope.spawn(move || {
                for n in 0..5_000_u32 {
                    let now = clock.fetch_add(1, Relaxed);
                    let (first, code) = with_code(now, 200);
                    let _ = insert(store, &grant(client, now, 20));
                    if insert(store, &first) == Insert::Inserted && n % 2 == 0 {
                        let next = redeemed(&first, &code, now, Lifetime::from_secs(60).unwrap(), true);
                        let _ = replace(store, &next, first.revision());
                        let _ = remove(store, &next, Some(next.revision()));
                    }
                }
            });
        }
    });
    assert_consistent(&store);
    assert!(purge(&store, 1_000_000, usize::MAX) > 0);
    assert_eq!((store.len(), store.bytes()), (0, 0));
}

#[test]
fn room_returns_at_the_moment_records_expire() {
    for capacity in [10, 20_000] {
        let store = store_of(capacity);
        for _ in 0..capacity - 1 {
            assert_eq!(insert(&store, &grant("app", 100, 1000)), Insert::Inserted);
        }
        let short = grant("app", 100, 10);
        assert_eq!(insert(&store, &short), Insert::Inserted);
        assert_eq!(insert(&store, &grant("app", 109, 1000)), Insert::Full);
        assert!(load(&store, &short).is_some());
        assert_eq!(insert(&store, &grant("app", 110, 1000)), Insert::Inserted);
        assert_eq!(load(&store, &short), None);
        assert_eq!(insert(&store, &grant("app", 110, 1000)), Insert::Full);
        assert_consistent(&store);
    }
}

#[test]
fn expired_records_are_reclaimed_by_the_writes_that_follow() {
    let store = store_of(100_000);
    for second in 0..2_000 {
        for _ in 0..10 {
            assert_eq!(insert(&store, &grant("app", second, 100)), Insert::Inserted);
        }
    }
    assert!(store.len() < 1_500, "{} records are kept of the 1,000 that are live", store.len());
    assert_consistent(&store);
}

#[test]
fn room_is_found_behind_many_records_whose_end_has_moved() {
    let store = store_of(200);
    for _ in 0..199 {
        let (first, code) = with_code(100, 60);
        assert_eq!(insert(&store, &first), Insert::Inserted);
        let next = redeemed(&first, &code, 110, hour(), false);
        assert_eq!(replace(&store, &next, first.revision()), Replace::Replaced);
    }
    assert_eq!(insert(&store, &grant("app", 100, 65)), Insert::Inserted);
    assert_eq!(insert(&store, &grant("app", 159, 60)), Insert::Full);
    assert_eq!(insert(&store, &grant("app", 165, 60)), Insert::Inserted);
    assert_eq!(store.len(), 200);
    assert_consistent(&store);
}

#[test]
fn records_are_spread_evenly_over_the_shards() {
    let store = store_of(80_000);
    for _ in 0..20_000 {
        assert_eq!(insert(&store, &grant("app", 100, 60)), Insert::Inserted);
    }
    let shards = store.shards.iter().map(|Padded(shard)| shard.lock().len());
    let strays: Vec<usize> = shards.filter(|count| !(100..=300).contains(count)).collect();
    assert!(strays.is_empty(), "200 were to be in each, and some have {strays:?}");
}

/// As no two random ids do; those of a host's own may.
#[test]
fn records_whose_ids_end_alike_are_reclaimed_each_at_its_own_end() {
    let store = store_of(10);
    let under = |first: u8, now, lifetime| {
        grant("app", now, lifetime)
            .under(GrantId::from_bytes([first, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9]))
    };
    let ends = [under(1, 100, 60), under(2, 100, 30), under(3, 100, 90)];
    for grant in &ends {
        assert_eq!(insert(&store, grant), Insert::Inserted);
    }
    for (now, left) in [(129, 3), (130, 2), (160, 1), (190, 0)] {
        assert_eq!(insert(&store, &grant("other", now, 1)), Insert::Inserted);
        assert_eq!(ends.iter().filter(|grant| load(&store, grant).is_some()).count(), left, "at {now}");
        assert_consistent(&store);
    }
}

#[test]
fn a_full_store_fills_its_tables_and_seldom_makes_them_grow_beyond() {
    // A table of 1024 places takes 896, and the number in a shard strays by 28; one of twice as
    // many takes twice as many, and the number strays by less than that.
    for (capacity, in_each) in [(1, 1), (800, 800), (400_000, 800), (1_000_000, 3205), (20_000_000, 51282)] {
        assert_eq!(capacity / shards_for(capacity), in_each);
        assert!(shards_for(capacity) <= MOST_SHARDS);
    }
}

#[test]
fn a_full_store_of_records_without_end_stays_full() {
    let store = store_of(3);
    for _ in 0..3 {
        let (first, code) = with_code(100, 60);
        assert_eq!(insert(&store, &first), Insert::Inserted);
        let endless = redeemed(&first, &code, 110, Lifetime::NEVER_ENDS, false);
        assert_eq!(replace(&store, &endless, first.revision()), Replace::Replaced);
    }
    assert_eq!(insert(&store, &grant("app", 1_000_000, 60)), Insert::Full);
    assert_eq!(purge(&store, 1_000_000, 100), 0);
    assert_consistent(&store);
}

#[test]
fn bytes_are_bounded_too() {
    let size = grant("app", 100, 60).size();
    let bounds = MemoryTokenStore::builder().bytes(10 * size + size / 2).client_share(1.0);
    let store = bounds.build().unwrap();
    let kept: Vec<_> = (0..10).map(|_| grant("app", 100, 60)).collect();
    assert!(kept.iter().all(|grant| insert(&store, grant) == Insert::Inserted));
    assert_eq!(insert(&store, &grant("app", 100, 60)), Insert::Full);
    assert_eq!((store.len(), store.bytes()), (10, 10 * size));
    assert_eq!(insert(&store, &grant("app", 160, 60)), Insert::Inserted);
}

#[test]
fn a_record_cannot_grow_past_the_bound_in_bytes() {
    // With one shard, the other record is in the same one.
    for capacity in [100, 1_000_000] {
        let (first, code) = with_code(100, 60);
        let larger = redeemed(&first, &code, 110, hour(), true);
        let other = grant("app", 100, 20);
        assert!(larger.size() > first.size());
        let bytes = larger.size() + other.size() - 1;
        let store =
            MemoryTokenStore::builder().capacity(capacity).bytes(bytes).client_share(1.0).build().unwrap();
        assert_eq!(insert(&store, &first), Insert::Inserted);
        assert_eq!(insert(&store, &other), Insert::Inserted);
        assert_eq!(replace(&store, &larger, first.revision()), Replace::Full);
        assert_eq!(replace(&store, &larger, larger.revision()), Replace::Changed);
        assert_eq!(load(&store, &first), Some(Arc::clone(&first)));
        let later = redeemed(&first, &code, 120, hour(), true);
        assert_eq!(replace(&store, &later, first.revision()), Replace::Replaced, "the other has expired");
        assert_eq!(replace(&store, &first, later.revision()), Replace::Replaced);
        assert_eq!(store.bytes(), first.size());
        assert_consistent(&store);
    }
}

#[test]
fn one_client_cannot_take_the_room_of_the_others() {
    let store = MemoryTokenStore::builder().capacity(100).client_share(0.25).build().unwrap();
    let mut greedy = 0;
    while insert(&store, &grant("greedy", 100, 60)) == Insert::Inserted {
        greedy += 1;
    }
    assert_eq!(greedy, 76, "it may use what nobody needs, until less than a share is free");
    for _ in 0..24 {
        assert_eq!(insert(&store, &grant("modest", 100, 60)), Insert::Inserted);
        assert_eq!(insert(&store, &grant("greedy", 100, 60)), Insert::Full);
    }
    assert_eq!(insert(&store, &grant("modest", 100, 60)), Insert::Full);
    assert_eq!(insert(&store, &grant("greedy", 160, 60)), Insert::Inserted, "all have expired");
    assert_consistent(&store);
}

#[test]
fn the_share_is_estimated_from_one_of_many_shards() {
    let store = MemoryTokenStore::builder().capacity(50_000).client_share(0.25).build().unwrap();
    let (mut greedy, mut refused) = (0, 0);
    while refused < 1_000 {
        match insert(&store, &grant("greedy", 100, 60)) {
            Insert::Inserted => greedy += 1,
            _ => refused += 1,
        }
    }
    assert!((37_000..=38_000).contains(&greedy), "{greedy}");
    for _ in 0..5_000 {
        assert_eq!(insert(&store, &grant("modest", 100, 60)), Insert::Inserted);
    }
}

#[test]
fn a_record_whose_end_has_moved_outlives_its_old_end() {
    let store = store_of(10);
    let (first, code) = with_code(100, 60);
    let next = redeemed(&first, &code, 110, hour(), false);
    assert_eq!(insert(&store, &first), Insert::Inserted);
    assert_eq!(replace(&store, &next, first.revision()), Replace::Replaced);
    assert_eq!(insert(&store, &grant("app", 1_000, 60)), Insert::Inserted);
    assert_eq!(purge(&store, 3_700, 10), 1, "the other record");
    assert_eq!(load(&store, &first), Some(next));
    assert_eq!(purge(&store, 3_770, 10), 1);
    assert_consistent(&store);
}

#[test]
fn purging_waits_a_minute_and_respects_its_limit() {
    let store = store_of(20_000);
    let kept: Vec<_> = (0..1_000).map(|_| grant("app", 100, 60)).collect();
    assert!(kept.iter().all(|grant| insert(&store, grant) == Insert::Inserted));
    assert_eq!(insert(&store, &grant("app", 100, 500)), Insert::Inserted);
    assert_eq!(purge(&store, 30, 10), 0);
    assert_eq!(purge(&store, 219, usize::MAX), 0);
    assert!(kept.iter().all(|grant| load(&store, grant).is_some()));
    assert_eq!(purge(&store, 220, 0), 0);
    assert_eq!(purge(&store, 220, 700), 700);
    assert_eq!(purge(&store, 220, usize::MAX), 300);
    assert_eq!(store.len(), 1);
    assert_consistent(&store);
}

#[test]
fn purging_does_not_reach_before_the_epoch() {
    let store = store_of(10);
    let early = grant("app", 0, 1);
    assert_eq!(insert(&store, &early), Insert::Inserted);
    assert_eq!(purge(&store, 60, 10), 0);
    assert_eq!(purge(&store, 61, 10), 1);
}

#[test]
fn the_index_does_not_grow_when_one_record_moves_its_end_often() {
    let store = store_of(10);
    let (first, code) = with_code(100, 1_000_000);
    let mut current = Arc::clone(&first);
    assert_eq!(insert(&store, &first), Insert::Inserted);
    for n in 0..10_000 {
        let next =
            if n % 2 == 0 { redeemed(&first, &code, 100 + n, hour(), false) } else { Arc::clone(&first) };
        assert_eq!(replace(&store, &next, current.revision()), Replace::Replaced);
        current = next;
    }
    assert_consistent(&store);
}

#[test]
fn the_index_stays_as_it_is_when_an_end_does() {
    let store = store_of(10);
    let grant = grant("app", 100, 60);
    assert_eq!(insert(&store, &grant), Insert::Inserted);
    let before = store.shard(grant.id()).lock().capacities();
    for _ in 0..20 {
        assert_eq!(replace(&store, &grant, grant.revision()), Replace::Replaced);
    }
    assert_eq!(store.shard(grant.id()).lock().capacities(), before);
}

#[test]
fn the_index_does_not_grow_when_an_end_comes_ever_nearer() {
    let store = store_of(10);
    let (first, code) = with_code(100, 1_000_000);
    let mut current = Arc::clone(&first);
    assert_eq!(insert(&store, &first), Insert::Inserted);
    for lifetime in (1..=1_000).rev() {
        let lifetime = Lifetime::from_secs(lifetime * 100).unwrap();
        let next = redeemed(&first, &code, 100, lifetime, false);
        assert_eq!(replace(&store, &next, current.revision()), Replace::Replaced);
        current = next;
    }
    assert_consistent(&store);
    assert_eq!(insert(&store, &grant("app", 199, 60)), Insert::Inserted);
    assert_eq!(load(&store, &first), Some(current));
    assert_eq!(insert(&store, &grant("app", 200, 60)), Insert::Inserted);
    assert_eq!(load(&store, &first), None);
}

#[test]
fn the_index_does_not_grow_when_records_are_removed() {
    let store = store_of(10);
    for _ in 0..1_000 {
        let grant = grant("app", 100, 1_000_000);
        assert_eq!(insert(&store, &grant), Insert::Inserted);
        assert_eq!(remove(&store, &grant, None), Remove::Removed);
    }
    assert_consistent(&store);
}

#[test]
fn of_several_swaps_on_one_revision_exactly_one_wins() {
    let store = MemoryTokenStore::new();
    for _ in 0..200 {
        let (first, code) = with_code(100, 60);
        assert_eq!(insert(&store, &first), Insert::Inserted);
        let race = || {
            let next = redeemed(&first, &code, 110, hour(), true);
            (replace(&store, &next, first.revision()), next)
        };
        let answers: Vec<_> = thread::scope(|scope| {
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let winners: Vec<_> = answers.iter().filter(|(answer, _)| *answer == Replace::Replaced).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(load(&store, &first).as_ref(), Some(&winners[0].1));
    }
    assert_consistent(&store);
}

#[test]
fn pages_hold_every_match_once_and_in_order() {
    for capacity in [6_000, 1_000_000] {
        let store = store_of(capacity);
        let mut ours = Vec::new();
        for n in 0..5_000 {
            let grant = grant(if n % 3 == 0 { "other" } else { "ours" }, 100, 60);
            assert_eq!(insert(&store, &grant), Insert::Inserted);
            if n % 3 != 0 {
                ours.push(grant.id());
            }
        }
        ours.sort_unstable();
        for (page_size, subject) in [(7, None), (1_000, Some(Subject::new("u-1").unwrap()))] {
            let mut query = GrantQuery::new().of_client(ClientId::new("ours").unwrap()).limit(page_size);
            if let Some(subject) = subject {
                query = query.of_subject(subject);
            }
            let mut found = Vec::new();
            loop {
                let page = run(store.find(&query)).unwrap();
                found.extend(page.grants.iter().map(|grant| grant.id()));
                let Some(next) = page.next else { break };
                assert_eq!(page.grants.len(), page_size);
                query = query.after(next);
            }
            assert_eq!(found, ours);
        }
    }
}

#[test]
fn a_last_page_that_is_full_has_no_next() {
    let store = store_of(10);
    for _ in 0..4 {
        assert_eq!(insert(&store, &grant("app", 100, 60)), Insert::Inserted);
    }
    let page = run(store.find(&GrantQuery::new().limit(4))).unwrap();
    assert_eq!((page.grants.len(), page.next), (4, None));
    let nobody = GrantQuery::new().of_subject(Subject::new("nobody").unwrap());
    assert!(run(store.find(&nobody)).unwrap().grants.is_empty());
}

#[test]
fn an_invalid_bound_is_named() {
    let builder = MemoryTokenStore::builder;
    for (builder, field) in [
        (builder().capacity(0), "capacity"),
        (builder().bytes(0), "bytes"),
        (builder().client_share(0.0), "client_share"),
        (builder().client_share(1.01), "client_share"),
        (builder().client_share(f64::NAN), "client_share"),
    ] {
        assert_eq!(builder.build().unwrap_err().field(), field);
    }
    assert!(builder().capacity(1).bytes(1).client_share(0.001).build().is_ok());
}
