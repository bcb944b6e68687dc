//! A whole day at a server, with every secret known to the test: none may turn up in logs, events,
//! `Debug` texts, refusals or in what is stored.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use grantor::event::{Event, EventSink, TracingEvents};
use grantor::http::Router;
use grantor::password::HashPool;
use grantor::resource::ResourceRequest;
use grantor::store::{
    ClientRegistry as _, GrantQuery, MemoryClientStore, MemoryTokenStore, MemoryUserStore, SqliteStore,
    UserRegistry as _,
};
use grantor::testing::{ManualClock, SeededEntropy, block_on};
use grantor::{
    AccessToken, AuthorizationCode, AuthorizationRequest, AuthorizationServer, Builder, Client, ClientSecret,
    CodeVerifier, ConsentDecision, GrantTypeName, HashedSecret, Password, RefreshToken, ServerKey,
    TokenQuery, TokenRequest, User, UserPassword,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::sqlite::Directory;
use crate::support::*;

const PASSWORD: &str = "a-password-of-alice";
const WRONG_PASSWORD: &str = "a-password-of-nobody";
const CHOSEN_SECRET: &str = "a-secret-that-somebody-chose";
const WRONG_SECRET: &str = "a-secret-of-nobody";
const SEALED: &[u8] = b"a session that only the browser knows";
const KEY: [u8; 32] = *b"the key of the server, all of it";

/// All that is said, by whomever.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn say(&self, what: impl AsRef<[u8]>) {
        let mut said = self.0.lock().unwrap();
        said.extend_from_slice(what.as_ref());
        said.push(b'\n');
    }

    fn debug(&self, value: &impl Debug) {
        self.say(format!("{value:?}"));
        self.say(format!("{value:#?}"));
    }
}

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Said {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Says all events, and lets `tracing` have them, too.
impl EventSink for Said {
    fn event(&self, event: &Event<'_>) {
        self.debug(event);
        TracingEvents.event(event);
    }
}

struct Day {
    said: Said,
    server: AuthorizationServer,
    router: Router,
    clock: ManualClock,
    secrets: Vec<(String, String)>,
    clients: Vec<Client>,
}

impl Day {
    fn new() -> Self {
        Self::on(|server, clients, user| {
            server
                .clients(MemoryClientStore::from_iter(clients))
                .users(MemoryUserStore::from_iter([user]))
                .tokens(MemoryTokenStore::new())
        })
    }

    fn on(stores: impl FnOnce(Builder, [Client; 3], User) -> Builder) -> Self {
        let said = Said::default();
        let pool = HashPool::builder().cost(64, 1, 1).build().unwrap();
        let hash = |text: &str| block_on(pool.hash_password(text)).unwrap();
        let chosen = HashedSecret::chosen(hash(CHOSEN_SECRET));
        let chosen = confidential("chosen").without_secrets().secret(chosen);
        let with_password = app().grant_type(GrantTypeName::PASSWORD).may_introspect(true);
        let clients = [with_password, chosen, spa()].map(|client| client.build().unwrap());
        let user = User::new(alice(), "alice").password(UserPassword::Phc(hash(PASSWORD)));
        said.debug(&clients);
        said.debug(&user);
        let clock = ManualClock::new(START);
        let server = AuthorizationServer::builder("https://as.example");
        let server = stores(server, clients.clone(), user)
            .password_verifier(pool)
            .clock(clock.clone())
            .entropy(SeededEntropy::new(1))
            .server_key(ServerKey::from_bytes(KEY))
            .events(said.clone())
            .dangerous()
            .password_grant()
            .build()
            .unwrap();
        let router = Router::builder(server.clone()).build().unwrap();
        let secrets = [
            ("the client's secret", SECRET),
            ("a chosen secret", CHOSEN_SECRET),
            ("a wrong secret", WRONG_SECRET),
            ("a password", PASSWORD),
            ("a wrong password", WRONG_PASSWORD),
            ("a verifier", VERIFIER),
            ("a session binding", std::str::from_utf8(SEALED).unwrap()),
            ("the server key", std::str::from_utf8(&KEY).unwrap()),
        ];
        let secrets = secrets.map(|(what, secret)| (what.to_owned(), secret.to_owned())).to_vec();
        Self { said, server, router, clock, secrets, clients: clients.to_vec() }
    }

    /// What is not to turn up from now on.
    fn keep_secret(&mut self, what: &str, secret: &str) {
        assert!(secret.len() > 10, "{what}: {secret}");
        self.secrets.push((what.to_owned(), secret.to_owned()));
        // The end of a token is its secret, and says enough.
        if secret.len() == 64 {
            self.secrets.push((format!("the secret part of {what}"), secret[22..].to_owned()));
        }
    }

    /// Refusals are said; tokens are kept secret.
    fn send(&mut self, http: &Http) -> Answer {
        let request = http.request();
        self.said.debug(&request);
        let reply = block_on(self.router.handle(&request)).expect("it is one of the paths");
        self.said.debug(&reply);
        let answer = Answer::read(&reply);
        if answer.status == 200 && answer.text("access_token").is_some() {
            for member in ["access_token", "refresh_token"] {
                if let Some(token) = answer.text(member) {
                    let token = token.to_owned();
                    self.keep_secret(member, &token);
                }
            }
        } else {
            self.said.say(&answer.body);
            self.said.say(format!("{:?}", answer.headers));
        }
        answer
    }

    fn code(&mut self) -> String {
        let request = authorization_request("app", "a b");
        self.said.debug(&request);
        let consent = block_on(self.server.authorize(&request, SEALED)).unwrap();
        self.said.debug(&consent);
        let ticket = consent.ticket().to_owned();
        self.keep_secret("a ticket", &ticket);
        let alice = alice();
        let wrong = self.server.decide(&ticket, b"another", &alice, START, ConsentDecision::Deny);
        self.said.debug(&block_on(wrong).unwrap_err());
        let approve = ConsentDecision::Approve(consent.scope().clone());
        let decided = self.server.decide(&ticket, SEALED, &alice, START, approve);
        let response = block_on(decided).unwrap();
        let code = query_value(response.location(), "code").unwrap();
        self.said.debug(&response);
        self.keep_secret("a code", &code);
        code
    }

    fn live(&mut self) {
        let code = self.code();
        let exchange = Http::form(exchange_form(&code));
        self.send(&exchange.clone().basic("app", WRONG_SECRET));
        self.send(&exchange.clone().basic("nobody", SECRET));
        self.send(
            &Http::form(exchange_form(&code).replace(VERIFIER, &VERIFIER.to_lowercase()))
                .basic("app", SECRET),
        );
        let login = self.send(&exchange.clone().basic("app", SECRET)).ok();
        let refresh = Http::form(refresh_form(login.refresh_token()));
        let rotated = self.send(&refresh.clone().basic("app", SECRET)).ok();
        self.send(&refresh.clone().basic("app", SECRET)).ok();
        self.send(&Http::to("introspect", format!("token={}", login.access_token())).basic("app", SECRET));
        self.clock.advance(std::time::Duration::from_secs(120));
        self.send(&refresh.basic("app", SECRET)).refused(400, "invalid_grant");
        self.send(&Http::form(refresh_form(rotated.refresh_token())).basic("app", SECRET))
            .refused(400, "invalid_grant");

        let replayed = self.code();
        let exchange = Http::form(exchange_form(&replayed)).basic("app", SECRET);
        self.send(&exchange).ok();
        self.send(&exchange).refused(400, "invalid_grant");

        let machine =
            self.send(&Http::form("grant_type=client_credentials&scope=a").basic("app", SECRET)).ok();
        self.send(
            &Http::to("revoke", format!("token={}", machine.access_token())).basic("app", WRONG_SECRET),
        );
        self.send(&Http::to("revoke", format!("token={}", machine.access_token())).basic("app", SECRET));
        let post = format!("grant_type=client_credentials&client_id=app&client_secret={SECRET}");
        self.send(&Http::form(&*post)).ok();
        self.send(&Http::form(post.clone()).basic("app", SECRET)).refused(400, "invalid_request");
        self.send(&Http::form(format!("{post}&client_secret={SECRET}"))).refused(400, "invalid_request");
        self.send(&Http::form("").query(&post).method("GET"));
        self.send(&Http::form("grant_type=client_credentials").basic("chosen", CHOSEN_SECRET)).ok();
        self.send(&Http::form("grant_type=client_credentials").basic("chosen", WRONG_SECRET))
            .refused(401, "invalid_client");
        for (name, password) in [("alice", PASSWORD), ("alice", WRONG_PASSWORD), ("nobody", PASSWORD)] {
            let form = format!("grant_type=password&username={name}&password={password}&scope=a");
            self.send(&Http::form(form).basic("app", SECRET));
        }
        // In places where they do not belong; but for the scope, which an operator has to see.
        for secret in [SECRET, PASSWORD, VERIFIER] {
            self.send(&Http::form(format!("grant_type={secret}")).basic("app", SECRET));
            self.send(&Http::form(format!("{secret}=1&grant_type=refresh_token")).basic("app", SECRET));
            self.send(
                &Http::form(format!("grant_type=refresh_token&refresh_token={secret}")).basic("app", SECRET),
            );
            self.send(
                &Http::form(format!("grant_type=authorization_code&code={secret}")).basic("app", SECRET),
            );
            self.send(&Http::form("grant_type=client_credentials").header("authorization", secret));
        }
    }

    /// What whoever steals the store gets.
    fn dump(&self) {
        let page = block_on(self.server.grants(&GrantQuery::new().limit(1000))).unwrap();
        assert!(page.grants.len() >= 3, "{}", page.grants.len());
        for grant in &page.grants {
            self.said.debug(grant);
            self.said.say(grant.to_stored());
        }
        for client in &self.clients {
            self.said.debug(client);
            self.said.say(serde_json::to_string(client).unwrap());
        }
        self.said.debug(&self.server);
        self.said.debug(&self.router);
    }
}

/// The types that hold secrets.
fn say_types(said: &Said) {
    said.debug(&ClientSecret::new(SECRET));
    said.debug(&Password::new(PASSWORD));
    said.debug(&ServerKey::from_bytes(KEY));
    said.debug(&CodeVerifier::new(VERIFIER).unwrap());
    said.debug(&TokenRequest::new("password").parameter("username", "alice").parameter("password", PASSWORD));
    said.debug(&HashedSecret::sha256(&ClientSecret::new(SECRET)));
    said.debug(&AccessToken::new(SECRET));
    said.debug(&RefreshToken::new(SECRET));
    said.debug(&AuthorizationCode::new(SECRET));
    said.debug(&TokenQuery::new(SECRET).basic("app", PASSWORD).parameter(VERIFIER, PASSWORD));
    said.debug(&AuthorizationRequest::new().parameter("code_verifier", VERIFIER).parameter(SECRET, PASSWORD));
    said.debug(&ResourceRequest::new().authorization(SECRET.as_bytes()).query(Some(PASSWORD)));
    let request = Http::form(SECRET).query(PASSWORD).basic("app", CHOSEN_SECRET);
    said.debug(&request.request());
}

#[test]
fn no_secret_gets_into_logs_events_texts_refusals_or_the_store() {
    let mut day = Day::new();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(day.said.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        day.live();
        day.dump();
        say_types(&day.said);
    });
    let said = String::from_utf8(day.said.0.lock().unwrap().clone()).unwrap();
    // Something was said, and what is looked for would be found.
    for part in ["refused", "app", "invalid_grant", "alice", "RefreshReuse"] {
        assert!(said.contains(part), "{part}");
    }
    assert!(day.secrets.len() > 30, "{}", day.secrets.len());
    assert_hidden(&day.secrets, &said);
}

/// In no way that a secret is written in.
fn assert_hidden(secrets: &[(String, String)], said: &str) {
    for (what, secret) in secrets {
        let bytes = secret.as_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{bytes:?}");
        let list = list.trim_matches(['[', ']']);
        for written in
            [secret, &STANDARD.encode(bytes), &URL_SAFE_NO_PAD.encode(bytes), &hex, &hex.to_uppercase(), list]
        {
            if let Some(at) = said.find(written) {
                let begin = (0..=at.saturating_sub(200)).rev().find(|at| said.is_char_boundary(*at));
                panic!("{what} is in: {}", said[begin.unwrap()..].chars().take(400).collect::<String>());
            }
        }
    }
}

/// With the log that `SQLite` writes ahead, as whoever copies the directory has it.
#[test]
fn no_secret_gets_into_a_database_file() {
    let directory = Directory::new();
    let mut day = Day::on(|server, clients, user| {
        let store = SqliteStore::open(directory.file()).unwrap();
        for client in clients {
            block_on(store.put_client(client)).unwrap();
        }
        block_on(store.put_user(user)).unwrap();
        server.clients(store.clone()).users(store.clone()).tokens(store)
    });
    day.live();
    let files = [directory.file(), directory.beside("-wal")].map(|file| std::fs::read(file).unwrap());
    // One character for each byte, so that what is written in binary is found, too.
    let as_text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let dump = as_text(&files.concat());
    for part in ["alice", "app", "authorization_code"] {
        assert!(dump.contains(part), "{part}");
    }
    assert_hidden(&day.secrets, &dump);
    for (what, secret) in day.secrets.iter().filter(|(_, secret)| secret.len() == 64) {
        let token = URL_SAFE_NO_PAD.decode(secret).unwrap();
        assert!(!dump.contains(&as_text(&token[16..])), "the bytes of {what}");
    }
}
