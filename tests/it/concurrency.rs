//! Requests that meet on one grant, with stores that really wait.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor::grant::{Grant, Revision};
use grantor::store::{
    GrantQuery, Insert, MemoryTokenStore, Page, Read, Remove, Replace, StoreError, TokenStore,
};
use grantor::testing::{LatencyStore, block_on, join_all};
use grantor::{GrantId, RefreshLimit, Settings, Timestamp};

use crate::support::*;

fn waiting(setup: Setup) -> Harness {
    setup.build_on(LatencyStore::new(MemoryTokenStore::new()))
}

fn all_at_once(server: &Harness, form: &str, count: usize) -> Vec<Answer> {
    block_on(join_all((0..count).map(|_| server.token_async(form))))
}

fn successes(answers: &[Answer]) -> Vec<&Answer> {
    answers.iter().filter(|answer| answer.status == 200).collect()
}

#[test]
fn one_of_sixteen_exchanges_succeeds_and_its_grant_lives() {
    let server = waiting(Setup::default());
    let form = exchange_form(&server.code());
    let answers = all_at_once(&server, &form, 16);
    let won = successes(&answers);
    assert_eq!(won.len(), 1);
    for answer in &answers {
        if answer.status != 200 {
            answer.clone().refused(400, "invalid_grant");
        }
    }
    assert_eq!(server.grants(), 1, "nobody began with a spent code: nothing is removed");
    assert!(server.is_active(won[0].access_token()));
    server.token(&refresh_form(won[0].refresh_token())).ok();
}

#[test]
fn an_exchange_that_begins_after_another_has_ended_is_a_replay() {
    let server = waiting(Setup::default());
    let form = exchange_form(&server.code());
    let first = server.token(&form).ok();
    server.token(&form).refused(400, "invalid_grant");
    assert!(!server.is_active(first.access_token()));
    assert_eq!(server.grants(), 0);
}

#[test]
fn rt_10_parallel_refreshes_give_one_successor() {
    let server = waiting(Setup::default());
    let login = server.login();
    let answers = all_at_once(&server, &refresh_form(login.refresh_token()), 50);
    let successors: HashSet<&str> = successes(&answers).iter().map(|answer| answer.refresh_token()).collect();
    let access: HashSet<&str> = successes(&answers).iter().map(|answer| answer.access_token()).collect();
    assert_eq!((successes(&answers).len(), successors.len(), access.len()), (50, 1, 1));
    server.token(&refresh_form(successors.iter().next().unwrap())).ok();
}

#[test]
fn rt_10_strict_parallel_refreshes_give_one_success_and_then_end_the_grant() {
    let settings = Settings::default().refresh_retry_window(Duration::ZERO);
    let server = waiting(Setup::default().settings(settings));
    let login = server.login();
    let answers = all_at_once(&server, &refresh_form(login.refresh_token()), 16);
    assert_eq!(successes(&answers).len(), 1);
    assert_eq!(server.grants(), 0, "without a window a second use is reuse");
}

#[test]
fn rt_10_holds_on_real_threads() {
    for round in 0..50 {
        let server = Harness::new();
        let login = server.login();
        let form = refresh_form(login.refresh_token());
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| server.token(&form))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let successors: HashSet<&str> =
            successes(&answers).iter().map(|answer| answer.refresh_token()).collect();
        assert_eq!((successes(&answers).len(), successors.len()), (8, 1), "round {round}");
    }
}

#[test]
fn parallel_refreshes_for_different_scopes_share_the_successor() {
    let server = waiting(Setup::default());
    let login = server.login();
    let forms: Vec<String> = ["", "&scope=a", "&scope=b"]
        .iter()
        .map(|scope| format!("{}{scope}", refresh_form(login.refresh_token())))
        .collect();
    let answers = block_on(join_all(forms.iter().map(|form| server.token_async(form))));
    let successors: HashSet<&str> = answers.iter().map(Answer::refresh_token).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(answers.iter().map(Answer::scope).collect::<Vec<_>>(), ["a b", "a", "b"]);
    assert!(answers.iter().all(|answer| server.is_active(answer.access_token())));
}

#[test]
fn many_holders_of_one_token_do_not_get_in_each_others_way() {
    let server = waiting(Setup::default().clients([app().rotate_refresh_tokens(false)]));
    let login = server.login();
    let answers = all_at_once(&server, &refresh_form(login.refresh_token()), 50);
    let tokens: HashSet<&str> = answers.iter().map(Answer::access_token).collect();
    assert_eq!(tokens.len(), 50);
    assert!(tokens.iter().all(|token| server.is_active(token)));
}

#[test]
fn a_finite_count_is_never_exceeded() {
    let client = app().rotate_refresh_tokens(false).refresh_limit(RefreshLimit::Times(5));
    let server = waiting(Setup::default().clients([client]));
    let login = server.login();
    let form = refresh_form(login.refresh_token());
    let mut successes = 0;
    for _ in 0..10 {
        for answer in all_at_once(&server, &form, 8) {
            match answer.status {
                200 => successes += 1,
                503 => drop(answer.refused(503, "temporarily_unavailable")),
                _ => drop(answer.refused(400, "invalid_grant")),
            }
        }
    }
    assert_eq!(successes, 5);
}

#[test]
fn what_is_revoked_stays_revoked_whatever_was_under_way() {
    // The revocation starts at each point of a refresh and of an exchange.
    for rotate in [true, false] {
        for delay in 0..12 {
            let server = waiting(Setup::default().clients([app().rotate_refresh_tokens(rotate)]));
            let login = server.login();
            let refresh = async {
                let form = refresh_form(login.refresh_token());
                server.token_async(&form).await
            };
            let revoke = async {
                grantor::testing::yield_for(delay).await;
                assert!(server.server.revoke(login.access_token()).await.unwrap());
            };
            let (answer, ()) = block_on(both(refresh, revoke));
            if answer.status == 200 {
                assert!(!server.is_active(answer.access_token()), "rotate {rotate}, delay {delay}");
            } else {
                answer.refused(400, "invalid_grant");
            }
            assert!(!server.is_active(login.access_token()));
            server.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
        }
    }
}

#[test]
fn revoking_twice_at_once_is_as_good_as_once() {
    let server = waiting(Setup::default());
    let login = server.login();
    for revoked in block_on(join_all((0..4).map(|_| server.server.revoke(login.refresh_token())))) {
        assert!(revoked.unwrap(), "the token was good when each of them looked");
    }
    assert!(!block_on(server.server.revoke(login.refresh_token())).unwrap());
    assert_eq!(server.grants(), 0);
}

#[test]
fn purging_takes_nothing_that_a_refresh_has_given_more_time() {
    for delay in 0..8 {
        let tokens = Arc::new(MemoryTokenStore::new());
        let settings = Settings::default().refresh_token_idle_lifetime(Duration::from_secs(4000));
        let server = Setup::default().settings(settings).build_on(LatencyStore::new(Arc::clone(&tokens)));
        let login = server.login();
        server.advance(3999);
        let refresh = async {
            let form = refresh_form(login.refresh_token());
            server.token_async(&form).await
        };
        let purge = async {
            grantor::testing::yield_for(delay).await;
            server.server.purge_expired(100).await.unwrap();
        };
        let (answer, ()) = block_on(both(refresh, purge));
        let answer = answer.ok();
        server.advance(3000);
        block_on(server.server.purge_expired(100)).unwrap();
        assert!(server.is_active(answer.access_token()));
        server.token(&refresh_form(answer.refresh_token())).ok();
    }
}

/// Runs two futures at once.
async fn both<A, B>(one: impl Future<Output = A>, two: impl Future<Output = B>) -> (A, B) {
    enum Either<A, B> {
        One(A),
        Two(B),
    }
    let one: std::pin::Pin<Box<dyn Future<Output = Either<A, B>> + '_>> =
        Box::pin(async { Either::One(one.await) });
    let two: std::pin::Pin<Box<dyn Future<Output = Either<A, B>> + '_>> =
        Box::pin(async { Either::Two(two.await) });
    let mut outputs = join_all([one, two]).await.into_iter();
    match (outputs.next(), outputs.next()) {
        (Some(Either::One(one)), Some(Either::Two(two))) => (one, two),
        _ => unreachable!("outputs are in order"),
    }
}

/// Changes the record under each first removal, as another node would.
struct Meddling {
    inner: MemoryTokenStore,
    /// What the record becomes, and the revisions that removals expected.
    next: Mutex<Option<Arc<Grant>>>,
    expected: Arc<Mutex<Vec<Option<Revision>>>>,
}

impl TokenStore for Meddling {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        self.inner.insert(grant).await
    }

    async fn load(&self, id: GrantId, read: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        self.inner.load(id, read).await
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        self.inner.replace(grant, expected).await
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        self.expected.lock().unwrap().push(expected);
        let next = self.next.lock().unwrap().take();
        if let Some(next) = next {
            assert_eq!(self.inner.remove(id, None).await?, Remove::Removed);
            assert_eq!(self.inner.insert(next).await?, Insert::Inserted);
        }
        self.inner.remove(id, expected).await
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        self.inner.find(query).await
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.inner.purge_expired(now, limit).await
    }
}

#[test]
fn a_removal_is_conditional_and_decided_anew_when_the_record_has_changed() {
    let only_grant = |server: &Harness| {
        block_on(server.server.grants(&GrantQuery::new())).unwrap().grants.into_iter().next().unwrap()
    };
    // The same steps on a plain store, for a later version of the very same record.
    let plain = Harness::new();
    let code = plain.code();
    let login = plain.token(&exchange_form(&code)).ok();
    plain.token(&refresh_form(login.refresh_token())).ok();
    let later = only_grant(&plain);

    let expected = Arc::default();
    let meddling = Meddling {
        inner: MemoryTokenStore::new(),
        next: Mutex::new(Some(Arc::clone(&later))),
        expected: Arc::clone(&expected),
    };
    let server = Setup::default().build_on(meddling);
    assert_eq!(server.code(), code, "the same seed gives the same record");
    server.token(&exchange_form(&code)).ok();
    let earlier = only_grant(&server);
    server.token(&exchange_form(&code)).refused(400, "invalid_grant");
    assert_eq!(*expected.lock().unwrap(), [Some(earlier.revision()), Some(later.revision())]);
    assert_eq!(server.grants(), 0);
}
