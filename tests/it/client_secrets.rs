//! Client secrets: who has one, what is kept of it, and how it is replaced.

use std::future::Future;
use std::sync::{Arc, Mutex};

use grantor::store::{ClientRegistry, ClientStore, MemoryClientStore, MemoryTokenStore, StoreError};
use grantor::testing::block_on;
use grantor::{
    AuthMethod, Client, ClientBuilder, ClientId, ClientSecret, GrantTypeName, HashedSecret, Timestamp,
};

use crate::support::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";

fn by_basic(id: &str, secret: &str) -> Http {
    Http::form(CLIENT_CREDENTIALS).basic(id, secret)
}

/// For ids and secrets that read the same encoded.
fn by_post(id: &str, secret: &str) -> Http {
    Http::form(format!("{CLIENT_CREDENTIALS}&client_id={id}&client_secret={secret}"))
}

#[test]
fn ca_15_a_public_client_has_no_secret() {
    let field = |builder: ClientBuilder| builder.build().expect_err("it makes no sense").field();
    assert_eq!(field(Client::public("p").secret(hashed(SECRET))), "secrets");
    assert_eq!(field(confidential("c").auth_methods([AuthMethod::None])), "secrets");
    assert_eq!(field(spa().auth_methods([AuthMethod::ClientSecretBasic])), "secrets");
    assert_eq!(
        field(confidential("c").auth_methods([AuthMethod::ClientSecretBasic, AuthMethod::None])),
        "auth_methods"
    );
    assert_eq!(field(spa().grant_type(GrantTypeName::CLIENT_CREDENTIALS)), "grant_types");
    assert!(spa().build().unwrap().secrets().is_empty());
}

/// Keeps what it is given, as text.
#[derive(Clone)]
struct Witness {
    inner: Arc<MemoryClientStore>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Witness {
    fn note(&self, seen: impl std::fmt::Debug) {
        self.seen.lock().unwrap().push(format!("{seen:?} {seen:#?}"));
    }
}

impl ClientStore for Witness {
    fn client(&self, id: &ClientId) -> impl Future<Output = Result<Option<Arc<Client>>, StoreError>> + Send {
        self.note(id);
        self.inner.client(id)
    }

    async fn valid_after(&self) -> Result<Timestamp, StoreError> {
        self.inner.valid_after().await
    }
}

impl ClientRegistry for Witness {
    async fn put_client(&self, client: Client) -> Result<(), StoreError> {
        self.note(&client);
        self.note(client.secrets());
        self.note(client.to_builder());
        self.inner.put_client(client).await
    }

    async fn remove_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        self.inner.remove_client(id).await
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Result<(), StoreError> {
        self.inner.set_valid_after(moment).await
    }
}

#[test]
fn ca_16_a_store_never_sees_a_secret() {
    let (secret, own) = Client::generate_secret().unwrap();
    let inner = Arc::new(MemoryClientStore::new());
    let witness = Witness { inner: Arc::clone(&inner), seen: Arc::default() };
    let client = confidential("app").secret(own.clone()).build().unwrap();
    block_on(witness.put_client(client)).unwrap();
    let server =
        Setup::default().build_with(witness.clone(), MemoryTokenStore::new(), inner, |builder| builder);
    server.send(by_basic("app", secret.expose())).ok();
    server.send(by_post("app", secret.expose())).ok();
    server.send(by_basic("app", SECRET)).ok();
    server.send(by_basic("app", "wrong-secret")).refused(401, "invalid_client");

    let seen = witness.seen.lock().unwrap().concat();
    assert!(seen.contains("\"app\""), "the witness works");
    for hidden in [secret.expose(), SECRET, "wrong-secret"] {
        assert!(!seen.contains(hidden), "{seen}");
    }
    // Not even the digest shows.
    let empty = format!("{:?}", hashed(""));
    assert_eq!(format!("{own:?}"), empty);
    assert_eq!(format!("{:#?}", hashed(SECRET)), format!("{:#?}", hashed("")));
    assert_eq!(format!("{secret:?}"), format!("{:?}", ClientSecret::new("")));
    assert!(!server.events.take().concat().contains("secret-"), "events hold no secret");
}

#[test]
fn ca_17_an_expired_secret_does_not_authenticate() {
    let end = START.plus(std::time::Duration::from_secs(60));
    let client = |id: &str| confidential(id).without_secrets().secret(hashed(SECRET).expires_at(end));
    let server = Setup::default()
        .clients([
            client("app"),
            client("rotated").secret(hashed("new")),
            client("extended").secret(hashed(SECRET)),
        ])
        .build();
    server.send(by_basic("app", SECRET)).ok();
    server.advance(59);
    server.send(by_basic("app", SECRET)).ok();
    server.advance(1);
    for http in [by_basic("app", SECRET), by_post("app", SECRET), by_basic("rotated", SECRET)] {
        server.send(http).refused(401, "invalid_client");
        assert!(server.events.saw("ExpiredSecret"));
    }
    server.send(by_basic("rotated", "new")).ok();
    server.send(by_basic("extended", SECRET)).ok();
    assert_eq!(hashed(SECRET).expires_at(end).expiry(), Some(end));
    assert_eq!(hashed(SECRET).expiry(), None);
}

#[test]
fn ca_18_two_secrets_are_valid_at_once() {
    let server = Harness::new();
    server.change_client("app", |client| client.secret(hashed("the-next-secret")));
    for _ in 0..2 {
        server.send(by_basic("app", SECRET)).ok();
        server.send(by_basic("app", "the-next-secret")).ok();
    }
    server.change_client("app", |client| client.without_secrets().secret(hashed("the-next-secret")));
    server.send(by_basic("app", SECRET)).refused(401, "invalid_client");
    server.send(by_basic("app", "the-next-secret")).ok();
}

#[test]
fn seed_c06_a_secret_is_shown_once_and_several_are_active() {
    let made: Vec<(ClientSecret, HashedSecret)> =
        (0..8).map(|_| Client::generate_secret().unwrap()).collect();
    let with = |count: usize| {
        let own = made.iter().cycle().take(count).map(|(_, hashed)| hashed.clone());
        own.fold(confidential("app").without_secrets(), ClientBuilder::secret)
    };
    let server = Setup::default().clients([with(8)]).build();
    for (secret, _) in &made {
        server.send(by_basic("app", secret.expose())).ok();
        // What the server keeps does not give it back.
        let kept = block_on(server.clients.client(&"app".parse().unwrap())).unwrap().unwrap();
        assert!(!format!("{kept:?}").contains(secret.expose()));
    }
    assert_eq!(with(9).build().expect_err("nine are too many").field(), "secrets");
    assert_eq!(with(0).build().expect_err("none is too few").field(), "secrets");
    // One is withdrawn: the others go on.
    server.change_client("app", |client| {
        made.iter()
            .skip(1)
            .map(|(_, hashed)| hashed.clone())
            .fold(client.without_secrets(), ClientBuilder::secret)
    });
    server.send(by_basic("app", made[0].0.expose())).refused(401, "invalid_client");
    server.send(by_basic("app", made[7].0.expose())).ok();
}
