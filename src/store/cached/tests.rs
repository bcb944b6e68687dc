use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use super::*;

/// One value under each name, and what a test does to it.
#[derive(Default)]
struct Database {
    clients: Mutex<Vec<Client>>,
    users: Mutex<Vec<User>>,
    valid_after: AtomicU64,
    reads: AtomicUsize,
    fails: AtomicBool,
    /// Makes a call wait after it has looked.
    held: AtomicBool,
}

impl Database {
    async fn answer<T>(&self, value: T) -> Result<T, StoreError> {
        poll_fn(|_| if self.held.load(SeqCst) { Poll::Pending } else { Poll::Ready(()) }).await;
        if self.fails.load(SeqCst) {
            return Err(StoreError::unavailable("out of order"));
        }
        Ok(value)
    }

    async fn read<T>(&self, value: T) -> Result<T, StoreError> {
        self.reads.fetch_add(1, SeqCst);
        self.answer(value).await
    }

    fn reads(&self) -> usize {
        self.reads.swap(0, SeqCst)
    }
}

impl ClientStore for Database {
    async fn client(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        let client = self.clients.lock().iter().find(|client| client.id() == id).cloned();
        self.read(client.map(Arc::new)).await
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        self.read(Timestamp::from_secs(self.valid_after.load(SeqCst))).await
    }
}

impl ClientRegistry for Database {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        {
            let mut clients = self.clients.lock();
            clients.retain(|old| old.id() != client.id());
            clients.push(client);
        }
        self.answer(()).await
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        self.clients.lock().retain(|old| old.id() != id);
        self.answer(true).await
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        self.valid_after.store(moment.as_secs(), SeqCst);
        self.answer(()).await
    }
}

impl UserStore for Database {
    async fn user(&self, username: &str) -> Result<Option<Arc<User>>, StoreError> {
        let user = self.users.lock().iter().rfind(|user| user.username() == username).cloned();
        self.read(user.map(Arc::new)).await
    }

    async fn subject(&self, subject: &Subject) -> Result<Option<Arc<User>>, StoreError> {
        let user = self.users.lock().iter().find(|user| user.subject() == subject).cloned();
        self.read(user.map(Arc::new)).await
    }
}

impl UserRegistry for Database {
    async fn put_user(&self, user: User) -> Result<(), StoreError> {
        {
            let mut users = self.users.lock();
            users.retain(|old| old.subject() != user.subject());
            users.push(user);
        }
        self.answer(()).await
    }

    async fn remove_user(&self, subject: &Subject) -> Result<bool, StoreError> {
        self.users.lock().retain(|old| old.subject() != subject);
        self.answer(true).await
    }
}

/// A clock in seconds.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(SeqCst))
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn run<T>(future: impl Future<Output = Result<T, StoreError>>) -> T {
    match poll(pin!(future)) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("nothing to wait for"),
    }
}

fn cached(capacity: usize, max_age: u64) -> (Cached<Database>, Arc<Hand>) {
    let hand = Arc::new(Hand(AtomicU64::new(1000)));
    let capacity = NonZeroUsize::new(capacity).unwrap();
    let cached = Cached::new(Database::default(), capacity, Duration::from_secs(max_age));
    (cached.clock(Arc::clone(&hand)), hand)
}

fn client(id: &str, enabled: bool) -> Client {
    Client::public(id).redirect_uri("https://app.example/back").enabled(enabled).build().unwrap()
}

fn id(id: &str) -> ClientId {
    ClientId::new(id).unwrap()
}

fn subject(text: &str) -> Subject {
    Subject::new(text).unwrap()
}

fn user(text: &str, username: &str) -> User {
    User::new(subject(text), username)
}

#[test]
fn a_client_is_read_once_while_it_is_fresh() {
    let (cached, hand) = cached(10, 30);
    run(cached.put_client(client("app", true)));
    for _ in 0..3 {
        assert!(run(cached.client(&id("app"))).is_some());
    }
    assert_eq!(cached.store.reads(), 1);
    hand.0.store(1029, SeqCst);
    run(cached.client(&id("app")));
    assert_eq!(cached.store.reads(), 0);
    hand.0.store(1030, SeqCst);
    run(cached.client(&id("app")));
    assert_eq!(cached.store.reads(), 1);
}

#[test]
fn an_answer_is_as_old_as_the_question() {
    let (cached, hand) = cached(10, 30);
    run(cached.put_client(client("app", true)));
    cached.store.held.store(true, SeqCst);
    let key = id("app");
    let mut slow = pin!(cached.client(&key));
    assert!(poll(slow.as_mut()).is_pending());
    hand.0.store(1020, SeqCst);
    cached.store.held.store(false, SeqCst);
    assert!(poll(slow.as_mut()).is_ready());
    hand.0.store(1030, SeqCst);
    run(cached.client(&key));
    assert_eq!(cached.store.reads(), 2);
}

#[test]
fn an_answer_from_the_future_is_not_used() {
    let (cached, hand) = cached(10, 30);
    run(cached.put_client(client("app", true)));
    run(cached.client(&id("app")));
    run(ClientStore::valid_after(&cached));
    hand.0.store(900, SeqCst);
    run(cached.client(&id("app")));
    run(ClientStore::valid_after(&cached));
    assert_eq!(cached.store.reads(), 4);
}

#[test]
fn what_does_not_exist_is_not_remembered_and_displaces_nothing() {
    let (cached, _) = cached(1, 30);
    run(cached.put_client(client("app", true)));
    run(cached.put_user(user("1", "alice")));
    run(cached.client(&id("app")));
    run(cached.user("alice"));
    run(cached.subject(&subject("1")));
    assert_eq!(cached.store.reads(), 3);
    for _ in 0..2 {
        assert!(run(cached.client(&id("nobody"))).is_none());
        assert!(run(cached.user("nobody")).is_none());
        assert!(run(cached.subject(&subject("nobody"))).is_none());
    }
    assert_eq!(cached.store.reads(), 6);
    run(cached.client(&id("app")));
    run(cached.user("alice"));
    run(cached.subject(&subject("1")));
    assert_eq!(cached.store.reads(), 0);
    run(cached.put_client(client("nobody", true)));
    assert!(run(cached.client(&id("nobody"))).is_some());
}

#[test]
fn the_least_recently_used_is_displaced() {
    let (cached, _) = cached(2, 30);
    for name in ["a", "b", "c"] {
        run(cached.put_client(client(name, true)));
    }
    for name in ["a", "b", "a", "c", "a"] {
        run(cached.client(&id(name)));
    }
    assert_eq!(cached.store.reads(), 3);
    run(cached.client(&id("b")));
    assert_eq!(cached.store.reads(), 1);
}

#[test]
fn without_an_age_nothing_is_remembered() {
    let (cached, _) = cached(10, 0);
    run(cached.put_client(client("app", true)));
    run(cached.put_user(user("1", "alice")));
    for _ in 0..2 {
        run(cached.client(&id("app")));
        run(cached.user("alice"));
        run(ClientStore::valid_after(&cached));
    }
    assert_eq!(cached.store.reads(), 6);
    assert_eq!(cached.clients.0.lock().answers.len(), 0);
}

#[test]
fn a_write_is_seen_at_once() {
    let (cached, _) = cached(10, 30);
    run(cached.put_client(client("app", true)));
    assert!(run(cached.client(&id("app"))).unwrap().is_enabled());
    run(cached.put_client(client("app", false)));
    assert!(!run(cached.client(&id("app"))).unwrap().is_enabled());
    assert!(run(cached.remove_client(&id("app"))));
    assert!(run(cached.client(&id("app"))).is_none());

    assert_eq!(run(ClientStore::valid_after(&cached)), Timestamp::EPOCH);
    run(cached.set_valid_after(Timestamp::from_secs(7)));
    assert_eq!(run(ClientStore::valid_after(&cached)), Timestamp::from_secs(7));
    cached.store.reads();
    run(ClientStore::valid_after(&cached));
    assert_eq!(cached.store.reads(), 0);
}

#[test]
fn a_user_is_forgotten_under_the_subject_and_each_username() {
    let (cached, _) = cached(10, 30);
    run(cached.put_user(user("1", "alice")));
    run(cached.user("alice"));
    run(cached.subject(&subject("1")));
    run(cached.put_user(user("1", "alice.smith")));
    assert!(run(cached.user("alice")).is_none());
    assert_eq!(run(cached.subject(&subject("1"))).unwrap().username(), "alice.smith");
    assert!(run(cached.user("alice.smith")).is_some());
    assert!(run(cached.remove_user(&subject("1"))));
    assert!(run(cached.user("alice.smith")).is_none());
    assert!(run(cached.subject(&subject("1"))).is_none());
}

#[test]
fn a_username_that_passes_to_another_user_is_forgotten() {
    let (cached, _) = cached(10, 30);
    run(cached.put_user(user("1", "alice")));
    run(cached.user("alice"));
    run(cached.put_user(user("2", "alice")));
    assert_eq!(run(cached.user("alice")).unwrap().subject(), &subject("2"));
}

#[test]
fn what_changed_elsewhere_is_seen_after_an_invalidation() {
    let (cached, _) = cached(10, 30);
    run(cached.put_client(client("app", true)));
    run(cached.put_user(user("1", "alice")));
    let read_all = || {
        run(cached.client(&id("app")));
        run(cached.user("alice"));
        run(cached.subject(&subject("1")));
        run(ClientStore::valid_after(&cached));
        cached.store.reads()
    };
    assert_eq!((read_all(), read_all()), (4, 0));
    cached.invalidate_client(&id("app"));
    assert_eq!(read_all(), 1);
    cached.invalidate_user(&subject("1"));
    assert_eq!(read_all(), 2);
    cached.invalidate_all();
    assert_eq!(read_all(), 4);
}

#[test]
fn an_error_is_passed_on_and_not_covered_by_an_old_answer() {
    let (cached, hand) = cached(10, 30);
    run(cached.put_client(client("app", true)));
    run(cached.client(&id("app")));
    cached.store.fails.store(true, SeqCst);
    hand.0.store(1030, SeqCst);
    let key = id("app");
    assert!(matches!(poll(pin!(cached.client(&key))), Poll::Ready(Err(_))));
    assert!(matches!(poll(pin!(cached.user("alice"))), Poll::Ready(Err(_))));
    assert!(matches!(poll(pin!(ClientStore::valid_after(&cached))), Poll::Ready(Err(_))));
}

#[test]
fn a_write_that_failed_or_was_given_up_invalidates_too() {
    let (cached, _) = cached(10, 30);
    run(cached.put_client(client("app", true)));
    run(cached.client(&id("app")));
    cached.store.fails.store(true, SeqCst);
    assert!(matches!(poll(pin!(cached.put_client(client("app", false)))), Poll::Ready(Err(_))));
    cached.store.fails.store(false, SeqCst);
    assert!(!run(cached.client(&id("app"))).unwrap().is_enabled());

    cached.store.held.store(true, SeqCst);
    {
        let mut given_up = pin!(cached.put_client(client("app", true)));
        assert!(poll(given_up.as_mut()).is_pending());
    }
    cached.store.held.store(false, SeqCst);
    // A pinned future is dropped with its scope.
    assert!(run(cached.client(&id("app"))).unwrap().is_enabled());
}

#[test]
fn a_read_under_way_does_not_bring_back_what_was_invalidated() {
    let (cached, _) = cached(10, 30);
    run(cached.put_client(client("app", true)));
    run(cached.put_user(user("1", "alice")));
    let (app, alice) = (id("app"), subject("1"));

    cached.store.held.store(true, SeqCst);
    let mut client_read = pin!(cached.client(&app));
    let mut name_read = pin!(cached.user("alice"));
    let mut subject_read = pin!(cached.subject(&alice));
    let mut moment_read = pin!(ClientStore::valid_after(&cached));
    assert!(poll(client_read.as_mut()).is_pending());
    assert!(poll(name_read.as_mut()).is_pending());
    assert!(poll(subject_read.as_mut()).is_pending());
    assert!(poll(moment_read.as_mut()).is_pending());
    cached.store.held.store(false, SeqCst);

    run(cached.put_client(client("app", false)));
    run(cached.put_user(user("1", "alice").enabled(false)));
    run(cached.set_valid_after(Timestamp::from_secs(7)));

    // They may answer with what was there when they began.
    assert!(matches!(poll(client_read), Poll::Ready(Ok(Some(client))) if client.is_enabled()));
    assert!(matches!(poll(name_read), Poll::Ready(Ok(Some(user))) if user.is_enabled()));
    assert!(matches!(poll(subject_read), Poll::Ready(Ok(Some(user))) if user.is_enabled()));
    assert!(matches!(poll(moment_read), Poll::Ready(Ok(Timestamp::EPOCH))));

    assert!(!run(cached.client(&app)).unwrap().is_enabled());
    assert!(!run(cached.user("alice")).unwrap().is_enabled());
    assert!(!run(cached.subject(&alice)).unwrap().is_enabled());
    assert_eq!(run(ClientStore::valid_after(&cached)), Timestamp::from_secs(7));
}
