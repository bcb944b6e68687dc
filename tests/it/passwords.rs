//! The password grant, and everything that people chose (RFC 6749 §4.3, RFC 9700 §2.4).

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grantor::limiter::{Attempt, AttemptLimiter, MemoryAttemptLimiter, NoAttemptLimit, TooManyAttempts};
use grantor::password::{HashPool, PasswordHash, PasswordVerifier, Verdict, VerifierError};
use grantor::store::{
    MemoryClientStore, MemoryTokenStore, MemoryUserStore, UserRegistry as _, UserStore as _,
};
use grantor::testing::{Fault, Faults, FaultyStore, Method, block_on, join_all};
use grantor::{
    AuthorizationServer, Builder, ClientBuilder, Error, GrantTypeName, HashedSecret, InvalidServer, Password,
    RefreshLimit, Subject, User, UserPassword,
};

use crate::support::*;

fn pool() -> HashPool {
    HashPool::builder().cost(64, 1, 1).build().unwrap()
}

fn hash(pool: &HashPool, password: &str) -> PasswordHash {
    block_on(pool.hash_password(password)).unwrap()
}

fn user(name: &str, pool: &HashPool, password: &str) -> User {
    User::new(Subject::new(format!("u-{name}")).unwrap(), name)
        .password(UserPassword::Phc(hash(pool, password)))
}

fn legacy() -> ClientBuilder {
    app().grant_type(GrantTypeName::PASSWORD)
}

fn users(pool: &HashPool) -> Arc<MemoryUserStore> {
    Arc::new(MemoryUserStore::from_iter([
        user("alice", pool, "wonderland"),
        user("bob", pool, " a+b%£ ").scopes(scope("a")),
        user("carol", pool, "secret").enabled(false),
        User::new(Subject::new("u-dave").unwrap(), "dave"),
    ]))
}

/// A server with the password grant, and what else `more` says.
fn server_with(users: Arc<MemoryUserStore>, more: impl FnOnce(Builder) -> Builder) -> Harness {
    let setup = Setup::default().clients([legacy(), spa().grant_type(GrantTypeName::PASSWORD)]);
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let build =
        |builder: Builder| more(builder.users(users).password_verifier(pool())).dangerous().password_grant();
    setup.build_with(Arc::clone(&clients), MemoryTokenStore::new(), clients, build)
}

fn server() -> Harness {
    server_with(users(&pool()), |builder| builder)
}

fn form(username: &str, password: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "password").append_pair("username", username);
    form.append_pair("password", password).finish()
}

#[test]
fn ro_01_bp_20_seed_t01_the_grant_is_off_unless_server_and_client_allow_it() {
    let off = Harness::new();
    off.token(&form("alice", "wonderland")).refused(400, "unsupported_grant_type");
    let server = server();
    assert!(server.events.saw("SecurityWeakened { setting: \"password_grant\" }"));
    server
        .change_client("app", |app| app.without_grant_types().grant_type(GrantTypeName::CLIENT_CREDENTIALS));
    server.token(&form("alice", "wonderland")).refused(400, "unauthorized_client");
}

#[test]
fn bp_20_the_password_grant_is_not_in_a_default_server() {
    assert!(Harness::new().server.grant_types().all(|name| *name != GrantTypeName::PASSWORD));
}

#[test]
fn seed_t01_all_four_grants_are_there_once_the_server_allows_it() {
    let server = server();
    let names: Vec<_> = server.server.grant_types().map(GrantTypeName::as_str).collect();
    for name in ["authorization_code", "client_credentials", "password", "refresh_token"] {
        assert!(names.contains(&name), "{name}");
    }
    server.token(&form("alice", "wonderland")).ok();
}

#[test]
fn the_grant_needs_users_and_a_verifier() {
    let builder = || {
        AuthorizationServer::builder("https://as.example")
            .clients(MemoryClientStore::new())
            .tokens(MemoryTokenStore::new())
    };
    let without_users = builder().password_verifier(pool()).dangerous().password_grant().build();
    assert!(matches!(without_users, Err(InvalidServer::NoStore("users"))));
    let without_verifier = builder().users(MemoryUserStore::new()).dangerous().password_grant().build();
    assert!(matches!(without_verifier, Err(InvalidServer::NoVerifier)));
}

#[test]
fn ro_02_seed_t08_username_and_password_are_required_for_this_grant_and_ignored_elsewhere() {
    let server = server();
    for (username, password) in [("", "x"), ("alice", ""), ("", "")] {
        server.token(&form(username, password)).refused(400, "invalid_request");
    }
    server.token("grant_type=password&username=alice").refused(400, "invalid_request");
    server.token("grant_type=password&password=wonderland").refused(400, "invalid_request");
    let twice = format!("{}&password=wonderland", form("alice", "wonderland"));
    server.token(&twice).refused(400, "invalid_request");
    server.token("grant_type=client_credentials&username=alice&password=wrong").ok();
}

#[test]
fn seed_t08_both_are_ignored_by_the_other_grants() {
    let server = server();
    server.token("grant_type=client_credentials&username=nobody&password=").ok();
    let login = server.token(&form("alice", "wonderland")).ok();
    server.token(&format!("{}&username=bob&password=x", refresh_form(login.refresh_token()))).ok();
}

#[test]
fn ro_03_and_05_a_wrong_password_and_an_unknown_user_look_alike() {
    let server = server();
    let wrong = server.token(&form("alice", "wrong")).refused(400, "invalid_grant");
    let unknown = server.token(&form("mallory", "wonderland")).refused(400, "invalid_grant");
    let disabled = server.token(&form("carol", "secret")).refused(400, "invalid_grant");
    let without = server.token(&form("dave", "")).refused(400, "invalid_request");
    assert_ne!(without.body, wrong.body);
    let without = server.token(&form("dave", "x")).refused(400, "invalid_grant");
    for other in [unknown, disabled, without] {
        assert_eq!((other.body, other.headers), (wrong.body.clone(), wrong.headers.clone()));
    }
    assert_eq!(server.grants(), 0);
    let events = server.events.take().join("\n");
    for reason in ["WrongPassword", "UnknownUsername", "LoginDisabled"] {
        assert!(events.contains(reason), "the operator sees {reason}: {events}");
    }
    assert!(!events.contains("wonderland") && !events.contains("wrong\""), "{events}");
}

/// Counts what it is asked to hash.
struct Counting(Arc<AtomicUsize>, Arc<AtomicUsize>);

impl PasswordVerifier for Counting {
    async fn verify(&self, hash: Option<&PasswordHash>, _: &str) -> Result<Verdict, VerifierError> {
        let count = if hash.is_some() { &self.0 } else { &self.1 };
        count.fetch_add(1, Ordering::SeqCst);
        Ok(Verdict::Wrong)
    }
}

#[test]
fn ro_05_an_unknown_user_costs_a_check() {
    let (known, unknown): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let counting = Counting(Arc::clone(&known), Arc::clone(&unknown));
    let server = server_with(users(&pool()), |builder| builder.password_verifier(counting));
    server.token(&form("alice", "x")).refused(400, "invalid_grant");
    server.token(&form("mallory", "x")).refused(400, "invalid_grant");
    server.token(&form("dave", "x")).refused(400, "invalid_grant");
    assert_eq!((known.load(Ordering::SeqCst), unknown.load(Ordering::SeqCst)), (1, 2));
}

#[test]
fn ro_04_guessing_is_put_off_and_others_are_not() {
    let limiter = MemoryAttemptLimiter::new().per_name(3, Duration::from_secs(30));
    let server = server_with(users(&pool()), |builder| builder.attempt_limiter(limiter));
    let from = |peer: &str, form: &str| {
        let http = Http { peer: Some(peer.parse().unwrap()), ..Http::form(form).basic("app", SECRET) };
        server.send(http)
    };
    for _ in 0..3 {
        from("10.0.0.1", &form("alice", "wrong")).refused(400, "invalid_grant");
    }
    let refused = from("10.0.0.1", &form("alice", "wonderland"));
    assert_eq!((refused.status, refused.error()), (429, Some("temporarily_unavailable")));
    assert_eq!(refused.header("retry-after"), Some("30"));
    from("10.0.0.2", &form("alice", "wonderland")).ok();
    from("10.0.0.1", &form("bob", " a+b%£ ")).ok();
    from("10.0.0.1", "grant_type=client_credentials").ok();
    server.advance(30);
    from("10.0.0.1", &form("alice", "wonderland")).ok();
    assert!(server.events.saw("Attempts { retry_after: 30 }"));
}

#[test]
fn the_peer_is_who_a_trusted_proxy_says() {
    let limiter = MemoryAttemptLimiter::new().per_name(1, Duration::from_secs(30));
    let server = server_with(users(&pool()), |builder| builder.attempt_limiter(limiter))
        .route(|builder| builder.trusted_proxies(["10.0.0.9".parse().unwrap(), "10.0.0.8".parse().unwrap()]));
    let status = |peer: &str, forwarded: &str| {
        let http = Http { peer: Some(peer.parse().unwrap()), ..Http::form(form("alice", "x")) };
        let http = http.basic("app", SECRET).header("x-forwarded-proto", "https");
        server.send(http.header("x-forwarded-for", forwarded)).status
    };
    assert_eq!(status("10.0.0.9", "192.0.2.1"), 400);
    assert_eq!(status("10.0.0.9", "192.0.2.2"), 400, "another");
    assert_eq!(status("10.0.0.9", "192.0.2.7, 192.0.2.1"), 429, "what clients put in front is not believed");
    assert_eq!(status("10.0.0.8", "192.0.2.1,10.0.0.9"), 429, "two proxies in a row");
    assert_eq!(status("192.0.2.3", "192.0.2.9"), 400);
    assert_eq!(status("192.0.2.3", "192.0.2.4"), 429, "nobody else is believed");
    assert_eq!(status("10.0.0.9", "nonsense"), 400);
}

#[test]
fn ro_06_the_client_is_authenticated_before_the_user_is_looked_up() {
    let faults = Faults::new();
    let pool_of_users = pool();
    let store = FaultyStore::new(users(&pool_of_users), &faults);
    let setup = Setup::default().clients([legacy()]);
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let build =
        |builder: Builder| builder.users(store).password_verifier(pool()).dangerous().password_grant();
    let server = setup.build_with(Arc::clone(&clients), MemoryTokenStore::new(), clients, build);
    server.send(Http::form(form("alice", "wonderland")).basic("app", "wrong")).refused(401, "invalid_client");
    assert_eq!(faults.calls(), []);
    faults.on(Method::User, Fault::FailUnavailable);
    server.token(&form("alice", "wonderland")).refused(503, "temporarily_unavailable");
    faults.clear();
    server.token(&form("alice", "wonderland")).ok();
}

#[test]
fn ro_07_username_and_password_are_passed_on_unchanged() {
    let server = server();
    server.token(&form("bob", " a+b%£ ")).ok();
    for wrong in ["a+b%£", " a b%£ ", " A+B%£ ", " a+b%\u{a3} \0"] {
        server.token(&form("bob", wrong)).refused(400, "invalid_grant");
    }
    for username in ["Bob", "bob ", " bob", "b\u{f6}b"] {
        server.token(&form(username, " a+b%£ ")).refused(400, "invalid_grant");
    }
    server.token(&form("bob", &"x".repeat(4000))).refused(400, "invalid_grant");
    // Longer than HTTP lets through.
    let request = grantor::TokenRequest::new("password").basic("app", SECRET).parameter("username", "bob");
    let request = request.parameter("password", "x".repeat(100_000));
    let error = block_on(server.server.token(&request)).unwrap_err();
    assert_eq!(error.wire().error, "invalid_grant");
    server.token(&form("bob", "\0")).refused(400, "invalid_grant");
}

#[test]
fn ro_08_scope_is_handled_as_ever_and_a_refresh_token_follows() {
    let server = server();
    let all = server.token(&form("alice", "wonderland")).ok();
    assert_eq!(all.scope(), "a b");
    let refreshed = server.token(&refresh_form(all.refresh_token())).ok();
    assert_eq!(server.introspect(refreshed.access_token()).active().unwrap().sub(), "u-alice");
    let narrow = server.token(&format!("{}&scope=a", form("alice", "wonderland"))).ok();
    assert_eq!(narrow.scope(), "a");
    // No more than the user may grant, which is what is had without asking.
    server.token(&format!("{}&scope=b", form("bob", " a+b%£ "))).refused(400, "invalid_scope");
    assert_eq!(server.token(&form("bob", " a+b%£ ")).ok().scope(), "a");
    server.change_client("app", |app| app.refresh_limit(RefreshLimit::None));
    assert!(server.token(&form("alice", "wonderland")).ok().text("refresh_token").is_none());
}

#[test]
fn seed_t04_a_public_client_names_itself_and_a_differing_name_is_refused() {
    let server = server();
    let form = form("alice", "wonderland");
    server.send(Http::form(format!("{form}&client_id=spa"))).ok();
    server.send(Http::form(form.as_str())).refused(401, "invalid_client");
    let http = Http::form(format!("{form}&client_id=app")).basic("app", SECRET);
    server.send(http).ok();
    let http = Http::form(format!("{form}&client_id=spa")).basic("app", SECRET);
    server.send(http).refused(400, "invalid_request");
}

#[test]
fn rt_17_a_password_change_ends_what_was_issued_before() {
    let users = users(&pool());
    let server = server_with(Arc::clone(&users), |builder| builder);
    let before = server.token(&form("alice", "wonderland")).ok();
    server.advance(10);
    let changed = user("alice", &pool(), "looking-glass").valid_after(server.clock_now());
    block_on(users.put_user(changed)).unwrap();
    server.token(&refresh_form(before.refresh_token())).refused(400, "invalid_grant");
    assert!(!server.is_active(before.access_token()));
    server.token(&form("alice", "wonderland")).refused(400, "invalid_grant");
    server.token(&form("alice", "looking-glass")).ok();
    // Or by hand.
    let again = server.token(&form("alice", "looking-glass")).ok();
    block_on(server.server.revoke_subject(&"u-alice".parse().unwrap())).unwrap();
    server.token(&refresh_form(again.refresh_token())).refused(400, "invalid_grant");
}

#[test]
fn a_weak_hash_is_replaced_when_its_password_comes_by() {
    let weak = HashPool::builder().cost(32, 1, 1).build().unwrap();
    let users = Arc::new(MemoryUserStore::from_iter([user("alice", &weak, "wonderland")]));
    let registry = Arc::clone(&users);
    let server = server_with(Arc::clone(&users), |builder| builder.rehash_into(registry));
    let kept = || match block_on(users.user("alice")).unwrap().unwrap().has_password() {
        Some(UserPassword::Phc(hash)) => hash.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    assert!(kept().contains("m=32,"));
    server.token(&form("alice", "wrong")).refused(400, "invalid_grant");
    assert!(kept().contains("m=32,"));
    server.token(&form("alice", "wonderland")).ok();
    assert!(kept().contains("m=64,"));
    assert!(server.events.saw("PasswordRehashed"));
    let renewed = kept();
    server.token(&form("alice", "wonderland")).ok();
    assert_eq!(kept(), renewed, "once is enough");
}

/// Changes alice's password while it is hashed anew.
struct Meanwhile(HashPool, Arc<MemoryUserStore>);

impl PasswordVerifier for Meanwhile {
    async fn verify(&self, hash: Option<&PasswordHash>, password: &str) -> Result<Verdict, VerifierError> {
        self.0.verify(hash, password).await
    }

    async fn hash(&self, password: &str) -> Result<Option<PasswordHash>, VerifierError> {
        self.1.insert(user("alice", &pool(), "looking-glass"));
        self.0.hash_password(password).await.map(Some)
    }
}

#[test]
fn a_password_that_was_changed_meanwhile_does_not_come_back() {
    let weak = HashPool::builder().cost(32, 1, 1).build().unwrap();
    let users = Arc::new(MemoryUserStore::from_iter([user("alice", &weak, "wonderland")]));
    let (registry, verifier) = (Arc::clone(&users), Meanwhile(pool(), Arc::clone(&users)));
    let server = server_with(users, |builder| builder.rehash_into(registry).password_verifier(verifier));
    server.token(&form("alice", "wonderland")).ok();
    server.token(&form("alice", "wonderland")).refused(400, "invalid_grant");
    server.token(&form("alice", "looking-glass")).ok();
}

/// Disables alice while her password is hashed anew.
struct Disabling(HashPool, Arc<MemoryUserStore>);

impl PasswordVerifier for Disabling {
    async fn verify(&self, hash: Option<&PasswordHash>, password: &str) -> Result<Verdict, VerifierError> {
        self.0.verify(hash, password).await
    }

    async fn hash(&self, password: &str) -> Result<Option<PasswordHash>, VerifierError> {
        let alice = block_on(self.1.user("alice")).unwrap().unwrap();
        self.1.insert(
            grantor::User::clone(&alice).enabled(false).valid_after(START.plus(Duration::from_secs(9))),
        );
        self.0.hash_password(password).await.map(Some)
    }
}

#[test]
fn a_user_who_was_disabled_meanwhile_stays_disabled() {
    let weak = HashPool::builder().cost(32, 1, 1).build().unwrap();
    let users = Arc::new(MemoryUserStore::from_iter([user("alice", &weak, "wonderland")]));
    let (registry, verifier) = (Arc::clone(&users), Disabling(pool(), Arc::clone(&users)));
    let server =
        server_with(Arc::clone(&users), |builder| builder.rehash_into(registry).password_verifier(verifier));
    server.token(&form("alice", "wonderland")).ok();
    let alice = block_on(users.user("alice")).unwrap().unwrap();
    assert!(!alice.is_enabled());
    assert_eq!(alice.is_valid_after(), START.plus(Duration::from_secs(9)));
    server.token(&form("alice", "wonderland")).refused(400, "invalid_grant");
}

#[test]
fn a_hash_that_cannot_be_written_fails_no_login() {
    let weak = HashPool::builder().cost(32, 1, 1).build().unwrap();
    let users = Arc::new(MemoryUserStore::from_iter([user("alice", &weak, "wonderland")]));
    let faults = Faults::new();
    faults.on(Method::ReplacePasswordHash, Fault::Fail);
    let registry = FaultyStore::new(Arc::clone(&users), &faults);
    let server = server_with(users, |builder| builder.rehash_into(registry));
    server.token(&form("alice", "wonderland")).ok();
    assert!(server.events.saw("written: false"));
    assert_eq!(faults.calls(), [Method::ReplacePasswordHash]);
}

/// Knows passwords that are kept elsewhere.
struct Directory;

impl PasswordVerifier for Directory {
    async fn verify(&self, _: Option<&PasswordHash>, _: &str) -> Result<Verdict, VerifierError> {
        Ok(Verdict::Wrong)
    }

    async fn verify_elsewhere(&self, user: &User, password: &str) -> Result<Verdict, VerifierError> {
        match (user.username(), password) {
            ("erin", "ldap") => Ok(Verdict::Right),
            (_, "broken") => Err(VerifierError::Failed("the directory is down".into())),
            (_, "busy") => Err(VerifierError::Busy),
            _ => Ok(Verdict::Wrong),
        }
    }
}

#[test]
fn a_password_that_is_kept_elsewhere_is_checked_there() {
    let erin = User::new(Subject::new("erin").unwrap(), "erin").password(UserPassword::External);
    let users = Arc::new(MemoryUserStore::from_iter([erin]));
    let server = server_with(users, |builder| builder.password_verifier(Directory));
    server.token(&form("erin", "ldap")).ok();
    server.token(&form("erin", "x")).refused(400, "invalid_grant");
    let broken = server.token(&form("erin", "broken")).refused(500, "server_error");
    assert!(!broken.body.contains("directory"));
    server.token(&form("erin", "busy")).refused(503, "temporarily_unavailable");
}

#[test]
fn an_attempt_that_could_not_be_made_does_not_count() {
    let erin = User::new(Subject::new("erin").unwrap(), "erin").password(UserPassword::External);
    let users = Arc::new(MemoryUserStore::from_iter([erin]));
    let limiter = MemoryAttemptLimiter::new().per_name(2, Duration::from_secs(30));
    let server = server_with(users, |builder| builder.password_verifier(Directory).attempt_limiter(limiter));
    for _ in 0..10 {
        server.token(&form("erin", "busy")).refused(503, "temporarily_unavailable");
        server.token(&form("erin", "ldap")).ok();
    }
    server.token(&form("erin", "x")).refused(400, "invalid_grant");
    server.token(&form("erin", "x")).refused(400, "invalid_grant");
    assert_eq!(server.token(&form("erin", "ldap")).status, 429);
}

#[test]
fn ca_14_guessing_at_a_client_secret_is_put_off_and_the_right_one_still_does() {
    let server = Harness::new();
    let wrong = || server.send(Http::form("grant_type=client_credentials").basic("app", "wrong"));
    let statuses: Vec<u16> = (0..1000).map(|_| wrong().status).collect();
    assert!(statuses.iter().take(100).all(|status| *status == 401));
    assert!(statuses.iter().skip(300).all(|status| *status == 429));
    assert!(wrong().header("retry-after").is_some());
    server.token("grant_type=client_credentials").ok();
    server.send(Http::form("grant_type=client_credentials").basic("other", SECRET)).ok();
    server
        .send(Http::form("grant_type=client_credentials").basic("other", "x"))
        .refused(401, "invalid_client");
}

#[test]
fn ca_14_a_secret_that_a_person_chose_is_hashed_like_a_password_and_guarded_like_one() {
    let pool = pool();
    let chosen = HashedSecret::chosen(hash(&pool, "summer"));
    let setup = Setup::default().clients([app().without_secrets().secret(chosen)]);
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let limiter = MemoryAttemptLimiter::new().per_name(3, Duration::from_secs(30));
    let build = |builder: Builder| builder.password_verifier(pool).attempt_limiter(limiter);
    let server = setup.build_with(Arc::clone(&clients), MemoryTokenStore::new(), clients, build);
    let with = |secret: &str| server.send(Http::form("grant_type=client_credentials").basic("app", secret));
    for _ in 0..20 {
        with("summer").ok();
    }
    for _ in 0..3 {
        with("winter").refused(401, "invalid_client");
    }
    assert_eq!(with("summer").status, 429);
    server.advance(30);
    with("summer").ok();
    server.change_client("app", |app| app.enabled(false));
    with("summer").refused(401, "invalid_client");
}

#[test]
fn a_client_may_have_secrets_of_both_kinds_and_each_expires_by_itself() {
    let pool = pool();
    let secrets = |app: ClientBuilder| {
        app.without_secrets().secret(hashed("generated-one")).secret(
            HashedSecret::chosen(hash(&pool, "summer")).expires_at(START.plus(Duration::from_secs(60))),
        )
    };
    let setup = Setup::default().clients([secrets(app())]);
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let build = |builder: Builder| builder.password_verifier(pool.clone());
    let server = setup.build_with(Arc::clone(&clients), MemoryTokenStore::new(), clients, build);
    let with = |secret: &str| server.send(Http::form("grant_type=client_credentials").basic("app", secret));
    with("summer").ok();
    with("generated-one").ok();
    server.advance(60);
    with("summer").refused(401, "invalid_client");
    with("generated-one").ok();
}

#[test]
fn seed_c06_secrets_are_rotated_and_shown_once() {
    let server = Harness::new();
    let (second, hashed_second) = grantor::Client::generate_secret().unwrap();
    server.change_client("app", |app| app.secret(hashed_second));
    let with = |secret: &str| server.send(Http::form("grant_type=client_credentials").basic("app", secret));
    with(SECRET).ok();
    with(second.expose()).ok();
    server.change_client("app", |app| app.without_secrets().secret(hashed(second.expose())));
    with(SECRET).refused(401, "invalid_client");
    with(second.expose()).ok();
    let kept = block_on(grantor::store::ClientStore::client(&server.clients, &"app".parse().unwrap()));
    let kept = format!("{:?}", kept.unwrap().unwrap());
    assert!(!kept.contains(second.expose()) && !kept.contains(SECRET));
}

#[test]
fn a_storm_of_wrong_passwords_leaves_other_clients_alone() {
    // Hashes that take long, one thread for them and few places to wait.
    let slow = HashPool::builder().cost(46 * 1024, 1, 1).threads(1).queue(8).build().unwrap();
    let users = Arc::new(MemoryUserStore::from_iter([user("alice", &pool(), "wonderland")]));
    let server =
        server_with(users, |builder| builder.password_verifier(slow).attempt_limiter(NoAttemptLimit));
    let forms: Vec<_> = (0..64).map(|number| form(&format!("user-{number}"), "wrong")).collect();
    let storm = join_all(forms.iter().map(|form| server.token_async(form)));
    let other = server.token_async("grant_type=client_credentials");
    let (mut storm, mut other) = (pin!(storm), pin!(other));
    let (answers, was_over) = block_on(async {
        let mut was_over = None;
        poll_fn(|context| {
            let answers = storm.as_mut().poll(context);
            if was_over.is_none() && other.as_mut().poll(context).map(Answer::ok).is_ready() {
                was_over = Some(answers.is_ready());
            }
            answers.map(|answers| (answers, was_over))
        })
        .await
    });
    assert_eq!(was_over, Some(false), "it is answered in the middle of the storm");
    let busy = answers.iter().filter(|answer| answer.status == 503).count();
    assert!(busy >= 50, "{busy} could not even wait");
    for answer in answers {
        match answer.status {
            503 => drop(answer.refused(503, "temporarily_unavailable")),
            _ => drop(answer.refused(400, "invalid_grant")),
        }
    }
}

#[test]
fn a_host_logs_people_in_by_the_same_rules() {
    let server = server();
    let log_in = |username: &str, password: &str| {
        block_on(server.server.log_in(username, &Password::new(password), None))
    };
    assert_eq!(log_in("alice", "wonderland").unwrap().subject().as_str(), "u-alice");
    for (username, password) in [("alice", "x"), ("mallory", "x"), ("carol", "secret")] {
        let error = log_in(username, password).unwrap_err();
        assert!(matches!(error, Error::InvalidGrant { .. }), "{error:?}");
    }
    assert!(server.events.saw("LoginRefused"));
    let unknowing = Harness::new();
    let error = block_on(unknowing.server.log_in("alice", &Password::new("x"), None)).unwrap_err();
    assert_eq!(error.wire().status, 500);
}

/// Refuses everything.
struct Never;

impl AttemptLimiter for Never {
    async fn begin(&self, attempt: &Attempt<'_>) -> Result<(), TooManyAttempts> {
        assert_eq!(attempt.name, "alice");
        Err(TooManyAttempts { retry_after: Duration::from_millis(1) })
    }

    async fn forgive(&self, _: &Attempt<'_>) {}
}

#[test]
fn a_limiter_of_the_hosts_own_is_asked_before_the_password_is_hashed() {
    let counts: (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let counting = Counting(Arc::clone(&counts.0), Arc::clone(&counts.1));
    let server =
        server_with(users(&pool()), |builder| builder.password_verifier(counting).attempt_limiter(Never));
    let refused = server.token(&form("alice", "wonderland"));
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(counts.0.load(Ordering::SeqCst) + counts.1.load(Ordering::SeqCst), 0);
}

#[test]
fn ca_05_a_chosen_secret_may_be_sent_as_it_is() {
    let pool = pool();
    let chosen = HashedSecret::chosen(hash(&pool, "50%25+1"));
    let setup = Setup::default().clients([app().without_secrets().secret(chosen)]);
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let server = setup.build_with(Arc::clone(&clients), MemoryTokenStore::new(), clients, |builder| {
        builder.password_verifier(pool)
    });
    let send = |secret: &str| {
        server.send(Http::form("grant_type=client_credentials").raw_basic(&format!("app:{secret}")))
    };
    // Many times: the reading that is wrong is no attempt of its own.
    for _ in 0..50 {
        send("50%25+1").ok();
        send("50%2525%2B1").ok();
    }
    send("50%25+2").refused(401, "invalid_client");
}
