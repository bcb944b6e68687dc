use std::time::Duration;

use crate::client::{AuthMethod, Client, ClientBuilder, HashedSecret, RefreshLimit};
use crate::clock::Timestamp;
use crate::id::{ClientId, GrantTypeName};
use crate::secret::ClientSecret;
use crate::store::{ClientRegistry, ClientStore};
use crate::testing::{join_all, yield_for};

use super::users::PHC;
use super::{Checked, Probe, Rule, Violations, check_each, unmade};

/// Checks a [`ClientStore`]: every registration comes back as it was made, under its exact
/// id.
///
/// `new_store` gives a store with the clients it is given, up to 100, and no others.
///
/// | rule | what it says |
/// |---|---|
/// | `client_complete` | each field comes back, also of a disabled client |
/// | `client_unknown` | there is no client but those that were registered |
/// | `client_exact` | ids are compared exactly: case and spaces count |
/// | `client_many` | each of a hundred is found |
///
/// # Errors
/// All the rules that the store broke.
pub async fn client_store<S: ClientStore>(
    new_store: impl AsyncFn(Vec<Client>) -> S,
) -> Result<(), Violations> {
    let clients = samples().map_err(Violations::one)?;
    check_each!(new_store(clients.clone()); self: client_complete client_unknown client_exact client_many;)
}

/// Checks a [`ClientRegistry`]: what is written is seen by the next call.
///
/// `new_store` gives an empty store at each call. To be checked with [`client_store`], too.
///
/// | rule | what it says |
/// |---|---|
/// | `client_put` | a client is there at once, complete, and in the place of the one before |
/// | `client_remove` | it is gone at once; false if there was none |
/// | `client_valid_after` | the moment is the epoch at first, and what was set from then on |
/// | `client_race` | of changes that are made at once none is lost |
///
/// # Errors
/// All the rules that the store broke.
pub async fn client_registry<S: ClientRegistry>(new_store: impl AsyncFn() -> S) -> Result<(), Violations> {
    check_each!(new_store(); self: client_put client_remove client_valid_after client_race;)
}

async fn client_complete(store: &Probe<impl ClientStore>) -> Checked {
    for client in shapes()? {
        store.has_client(&client).await?;
    }
    Ok(())
}

async fn client_unknown(store: &Probe<impl ClientStore>) -> Checked {
    store.lacks_client("nobody").await?;
    store.lacks_client(" ").await
}

async fn client_exact(store: &Probe<impl ClientStore>) -> Checked {
    for client in look_alikes()? {
        store.has_client(&client).await?;
    }
    for id in ["APP", "app  ", "ap", "app%", "a_p"] {
        store.lacks_client(id).await?;
    }
    Ok(())
}

async fn client_many(store: &Probe<impl ClientStore>) -> Checked {
    for client in samples()? {
        store.has_client(&client).await?;
    }
    Ok(())
}

async fn client_put(store: &Probe<impl ClientRegistry>) -> Checked {
    for client in samples()? {
        store.lacks_client(client.id().as_str()).await?;
        store.put_client(&client).await?;
        store.has_client(&client).await?;
    }
    for client in samples()? {
        let changed = built(client.to_builder().name("Changed").enabled(!client.is_enabled()))?;
        store.put_client(&changed).await?;
        store.has_client(&changed).await?;
        store.put_client(&client).await?;
        store.has_client(&client).await?;
    }
    Ok(())
}

async fn client_remove(store: &Probe<impl ClientRegistry>) -> Checked {
    let clients = look_alikes()?;
    let (Some(removed), rest) = (clients.first(), clients.iter().skip(1)) else { return Ok(()) };
    store.removes_client(removed, false).await?;
    for client in &clients {
        store.put_client(client).await?;
    }
    for existed in [true, false] {
        store.removes_client(removed, existed).await?;
        store.lacks_client(removed.id().as_str()).await?;
    }
    for client in rest {
        store.has_client(client).await?;
    }
    store.put_client(removed).await?;
    store.has_client(removed).await
}

async fn client_valid_after(store: &Probe<impl ClientRegistry>) -> Checked {
    store.is_valid_after(Timestamp::EPOCH).await?;
    for moment in [Timestamp::from_millis(4_102_444_800_123), Timestamp::from_secs(4_102_444_801)] {
        store.set_valid_after(moment).await?;
        store.is_valid_after(moment).await?;
        store.put_client(&built(Client::public("app"))?).await?;
        store.is_valid_after(moment).await?;
    }
    Ok(())
}

async fn client_race(store: &Probe<impl ClientRegistry>) -> Checked {
    let clients = many()?;
    let moment = Timestamp::from_secs(4_102_444_800);
    for (round, clients) in clients.chunks(8).enumerate() {
        let put = async |(at, client): (usize, &Client)| {
            yield_for(at * (round % 3)).await;
            if at == 0 {
                store.set_valid_after(moment).await?;
            }
            store.put_client(client).await
        };
        join_all(clients.iter().enumerate().map(put)).await.into_iter().collect::<Checked>()?;
    }
    store.is_valid_after(moment).await?;
    for client in &clients {
        store.has_client(client).await?;
    }
    Ok(())
}

impl<S: ClientStore> Probe<S> {
    async fn has_client(&self, wanted: &Client) -> Checked {
        let got = self.rule.answer("client", self.store.client(wanted.id()).await)?;
        self.rule.same(format_args!("client {:?}", wanted.id()), &got.as_deref(), &Some(wanted))
    }

    async fn lacks_client(&self, id: &str) -> Checked {
        let id = ClientId::new(id).map_err(|error| self.rule.broken(error.to_string()))?;
        let got = self.rule.answer("client", self.store.client(&id).await)?;
        self.rule.same(format_args!("client {id:?}"), &got, &None)
    }

    async fn is_valid_after(&self, wanted: Timestamp) -> Checked {
        let got = self.rule.answer("valid_after", self.store.valid_after().await)?;
        self.rule.same("valid_after", &got, &wanted)
    }
}

impl<S: ClientRegistry> Probe<S> {
    async fn put_client(&self, client: &Client) -> Checked {
        self.rule.answer("put_client", self.store.put_client(client.clone()).await)
    }

    async fn removes_client(&self, client: &Client, existed: bool) -> Checked {
        let got = self.rule.answer("remove_client", self.store.remove_client(client.id()).await)?;
        self.rule.same("remove_client", &got, &existed)
    }

    async fn set_valid_after(&self, moment: Timestamp) -> Checked {
        self.rule.answer("set_valid_after", self.store.set_valid_after(moment).await)
    }
}

/// A hundred clients.
fn samples() -> Checked<Vec<Client>> {
    Ok([shapes()?.to_vec(), look_alikes()?.to_vec(), many()?].concat())
}

/// Clients that have, between them, all there is to keep.
fn shapes() -> Checked<[Client; 4]> {
    let hashed = |text| HashedSecret::sha256(&ClientSecret::new(text));
    let full = Client::confidential("full ~!\"%'\\")
        .name("Füll ✓")
        .version("1.2.3-beta")
        .description("line one\nline two")
        .auth_methods([AuthMethod::ClientSecretPost, AuthMethod::ClientSecretBasic])
        .secret(hashed("first"))
        .secret(hashed("second").expires_at(Timestamp::from_millis(4_102_444_800_123)))
        .secret(HashedSecret::chosen(PHC.parse().map_err(unmade)?))
        .grant_type(GrantTypeName::AUTHORIZATION_CODE)
        .grant_type(GrantTypeName::CLIENT_CREDENTIALS)
        .grant_type(GrantTypeName::new("urn:example:grant").map_err(unmade)?)
        .redirect_uri("https://b.example/callback?a=%20b")
        .redirect_uri("http://127.0.0.1/callback")
        .redirect_uri("com.example.app:/callback")
        .scopes("b a c")
        .default_scopes("c a")
        .access_token_lifetime(Duration::from_secs(u64::from(u32::MAX)))
        .refresh_limit(RefreshLimit::Times(u32::MAX))
        .rotate_refresh_tokens(false)
        .require_pkce(false)
        .may_introspect(true)
        .enabled(false)
        .valid_after(Timestamp::from_millis(4_102_444_800_123));
    let endless = Client::confidential("endless").secret(hashed("s")).require_pkce(true);
    let endless = endless.refresh_limit(RefreshLimit::None).dangerous().access_tokens_never_expire();
    let counted = Client::public("counted").refresh_limit(RefreshLimit::Times(0)).name("");
    Ok([built(full)?, built(endless)?, built(counted)?, built(Client::public("plain"))?])
}

fn look_alikes() -> Checked<[Client; 4]> {
    let named = |id: &str| built(Client::public(id).name(format!("the one called {id:?}")));
    Ok([named("app")?, named("App")?, named("app ")?, named(" app")?])
}

fn many() -> Checked<Vec<Client>> {
    (0..92).map(|at| built(Client::public(format!("client-{at}")).version(at.to_string()))).collect()
}

fn built(builder: ClientBuilder) -> Checked<Client> {
    builder.build().map_err(unmade)
}
