//! The commands on clients and users.

use redis::{Cmd, ScriptInvocation, cmd};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::id::{ClientId, Subject};
use crate::password::PasswordHash;
use crate::store::registration::{self, FORMAT, InvalidRegistration};
use crate::user::{User, UserPassword};

use super::Inner;

const PAGE: usize = 1000;
/// How often a hash that is replaced meets another change of the same user.
const ATTEMPTS: usize = 4;

/// Hexadecimal digits of the format, before the record.
const HEADER: usize = 8;

fn write(registration: &impl Serialize) -> Result<String, StoreError> {
    Ok(format!("{FORMAT:08x}{}", registration::write(registration)?))
}

fn read<T: DeserializeOwned>(value: &str) -> Result<T, StoreError> {
    let (format, record) = value.split_at_checked(HEADER).unwrap_or(("", value));
    let format = u32::from_str_radix(format, 16).unwrap_or(u32::MAX);
    Ok(registration::read(format, record)?)
}

fn newer() -> StoreError {
    InvalidRegistration::Newer(FORMAT + 1).into()
}

async fn value<T: DeserializeOwned>(store: &Inner, hash: &str, name: &str) -> Result<Option<T>, StoreError> {
    let mut get = cmd("HGET");
    get.arg(store.keys.registration(hash)).arg(name);
    let value: Option<String> = store.connections.query(&get).await?;
    value.map(|value| read(&value)).transpose()
}

pub(super) async fn client(store: &Inner, id: &ClientId) -> Result<Option<Client>, StoreError> {
    value(store, "clients", id.as_str()).await
}

pub(super) async fn subject(store: &Inner, subject: &Subject) -> Result<Option<User>, StoreError> {
    value(store, "users", subject.as_str()).await
}

pub(super) async fn user(store: &Inner, username: &str) -> Result<Option<User>, StoreError> {
    let mut script = users(store, &store.scripts.user);
    script.arg(username);
    let value: Option<String> = store.connections.invoke(&script).await?;
    value.map(|value| read(&value)).transpose()
}

/// A script on the keys of users.
fn users<'s>(store: &Inner, script: &'s redis::Script) -> ScriptInvocation<'s> {
    let mut call = script.prepare_invoke();
    for name in ["users", "users:names", "usernames", "users:usernames"] {
        call.key(store.keys.registration(name));
    }
    call
}

fn clients<'s>(store: &Inner, script: &'s redis::Script) -> ScriptInvocation<'s> {
    let mut call = script.prepare_invoke();
    call.key(store.keys.registration("clients")).key(store.keys.registration("clients:names"));
    call
}

pub(super) async fn put_client(store: &Inner, client: &Client) -> Result<(), StoreError> {
    let mut script = clients(store, &store.scripts.put);
    script.arg(client.id().as_str()).arg(write(client)?);
    put(store.connections.invoke(&script).await?)
}

pub(super) async fn put_user(store: &Inner, user: &User) -> Result<(), StoreError> {
    let mut script = users(store, &store.scripts.put_user);
    script.arg(user.subject().as_str()).arg(user.username()).arg(write(user)?);
    put(store.connections.invoke(&script).await?)
}

fn put(answer: i64) -> Result<(), StoreError> {
    if answer == 1 { Ok(()) } else { Err(newer()) }
}

pub(super) async fn remove_client(store: &Inner, id: &ClientId) -> Result<bool, StoreError> {
    let mut script = clients(store, &store.scripts.remove_client);
    script.arg(id.as_str()).arg(format!("{FORMAT:08x}"));
    removed(store.connections.invoke(&script).await?)
}

pub(super) async fn remove_user(store: &Inner, subject: &Subject) -> Result<bool, StoreError> {
    let mut script = users(store, &store.scripts.remove_user);
    script.arg(subject.as_str()).arg(format!("{FORMAT:08x}"));
    removed(store.connections.invoke(&script).await?)
}

fn removed(answer: i64) -> Result<bool, StoreError> {
    if answer < 0 { Err(newer()) } else { Ok(answer == 1) }
}

pub(super) async fn replace_password_hash(
    store: &Inner,
    subject: &Subject,
    expected: &PasswordHash,
    new: &PasswordHash,
) -> Result<bool, StoreError> {
    let hash = store.keys.registration("users");
    for _ in 0..ATTEMPTS {
        let mut get = cmd("HGET");
        get.arg(&hash).arg(subject.as_str());
        let Some(old) = store.connections.query::<Option<String>>(&get).await? else { return Ok(false) };
        let user: User = read(&old)?;
        if !matches!(user.has_password(), Some(UserPassword::Phc(hash)) if hash == expected) {
            return Ok(false);
        }
        let new = write(&user.password(UserPassword::Phc(new.clone())))?;
        // Whatever else has changed of the user meanwhile is looked at again.
        let mut script = store.scripts.replace_value.key(&hash);
        script.arg(subject.as_str()).arg(old).arg(new);
        if store.connections.invoke::<i64>(&script).await? == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) async fn client_ids(store: &Inner, after: Option<&str>) -> Result<Vec<String>, StoreError> {
    Ok(store.connections.query(&names(store, "clients:names", after)).await?)
}

pub(super) async fn subjects(store: &Inner, after: Option<&str>) -> Result<Vec<String>, StoreError> {
    Ok(store.connections.query(&names(store, "users:names", after)).await?)
}

fn names(store: &Inner, set: &str, after: Option<&str>) -> Cmd {
    let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
    let mut page = cmd("ZRANGEBYLEX");
    page.arg(store.keys.registration(set)).arg(start).arg("+").arg("LIMIT").arg(0).arg(PAGE);
    page
}

pub(super) async fn valid_after(store: &Inner) -> Result<Timestamp, StoreError> {
    let mut get = cmd("GET");
    get.arg(store.keys.registration("valid_after"));
    let millis: Option<u64> = store.connections.query(&get).await?;
    Ok(millis.map_or(Timestamp::EPOCH, Timestamp::from_millis))
}

pub(super) async fn set_valid_after(store: &Inner, moment: Timestamp) -> Result<(), StoreError> {
    let mut set = cmd("SET");
    set.arg(store.keys.registration("valid_after")).arg(moment.as_millis());
    Ok(store.connections.query(&set).await?)
}
