//! The configuration file: read, checked, and turned into what the library works with.

mod client;
mod scope;
mod section;
mod settings;
mod user;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use grantor::{Client, Password, ScopeDefinition, ServerKey};
use serde::Deserialize;
use toml::Table;

use section::Section;

pub(crate) use section::InvalidConfig;
pub(crate) use settings::ServerSettings;
pub(crate) use user::{PasswordEntry, UserEntry};

/// A configuration without a contradiction in itself.
pub(crate) struct Config {
    pub(crate) issuer: Option<String>,
    pub(crate) store: StoreChoice,
    pub(crate) server_key: Option<KeyBytes>,
    pub(crate) settings: ServerSettings,
    pub(crate) scopes: Vec<ScopeDefinition>,
    pub(crate) clients: Vec<Client>,
    pub(crate) users: Vec<UserEntry>,
    pub(crate) admin: Option<Admin>,
    /// Nothing but the built-in configuration is used.
    pub(crate) is_built_in: bool,
}

impl Config {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidConfig> {
        let table: Table = text.parse().map_err(|error| InvalidConfig::syntax(text, &error))?;
        let mut file = Section::root(table);
        let issuer = file.take("issuer")?;
        let store = StoreChoice::read(&mut file)?;
        let server_key = KeyBytes::read(&mut file)?;
        let admin = Admin::read(&mut file)?;
        let settings = ServerSettings::read(file.table("settings")?)?;
        let scopes = scope::read_all(file.tables("scope")?)?;
        let known = scope::Known::of(&scopes);
        let clients = file.tables("client")?.into_iter().map(|section| client::read(section, &known));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        let users = file.tables("user")?.into_iter().map(|section| user::read(section, &known));
        let users = users.collect::<Result<Vec<_>, _>>()?;
        file.finish()?;
        refuse_twins("client", "id", clients.iter().map(|client| client.id().as_str()))?;
        refuse_twins("user", "username", users.iter().map(|entry| entry.user.username()))?;
        Ok(Self { issuer, store, server_key, settings, scopes, clients, users, admin, is_built_in: false })
    }
}

/// `store`.
pub(crate) enum StoreChoice {
    Memory,
    Sqlite(PathBuf),
    Tiered(PathBuf),
    /// The address may hold a password.
    Postgres(String),
    Redis(String),
}

impl StoreChoice {
    fn read(file: &mut Section) -> Result<Self, InvalidConfig> {
        let Some(text) = file.take::<String>("store")? else { return Ok(Self::Memory) };
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite" | "tiered", "")) => Err(file.error("store", "the path is missing")),
            Some(("sqlite", path)) => Ok(Self::Sqlite(path.into())),
            Some(("tiered", path)) => Ok(Self::Tiered(path.into())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text)),
            Some(("redis", _)) => Ok(Self::Redis(text)),
            _ => Err(file.error(
                "store",
                "it is none of \"memory\", \"sqlite:PATH\", \"tiered:PATH\", \"postgres://…\" and \"redis://…\"",
            )),
        }
    }
}

/// `admin`: who may see and delete tokens.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) username: String,
    pub(crate) password: Arc<Password>,
}

impl Admin {
    fn read(file: &mut Section) -> Result<Option<Self>, InvalidConfig> {
        let Some(mut admin) = file.table_if_any("admin")? else { return Ok(None) };
        let mut text = |key| {
            let text: String = admin.require(key)?;
            if text.is_empty() { Err(admin.error(key, "it is empty")) } else { Ok(text) }
        };
        let (username, password) = (text("username")?, text("password")?);
        if username.contains(':') {
            return Err(admin.error("username", "it has a colon"));
        }
        admin.finish()?;
        Ok(Some(Self { username, password: Arc::new(Password::new(password)) }))
    }
}

fn refuse_twins<'a>(
    section: &str,
    key: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), InvalidConfig> {
    let mut seen = HashSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            let path = format!("{section}[{index}].{key}");
            return Err(InvalidConfig::new(path, format!("{name:?} is there twice")));
        }
    }
    Ok(())
}

/// The server key and the one it replaced.
#[derive(Clone, Copy)]
pub(crate) struct KeyBytes {
    current: [u8; 32],
    previous: Option<[u8; 32]>,
}

impl KeyBytes {
    fn read(file: &mut Section) -> Result<Option<Self>, InvalidConfig> {
        let Some(texts) = file.take::<OneOrMore>("server_key")? else { return Ok(None) };
        let keys: Option<Vec<_>> = texts.into_vec().iter().map(|text| from_hex(text)).collect();
        match keys.as_deref() {
            Some(&[current]) => Ok(Some(Self { current, previous: None })),
            Some(&[current, previous]) => Ok(Some(Self { current, previous: Some(previous) })),
            _ => {
                Err(file.error("server_key", "it is not 64 hexadecimal digits, or a list of one or two such"))
            }
        }
    }

    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        Some(Self { current: from_hex(text)?, previous: None })
    }

    pub(crate) fn to_key(self) -> ServerKey {
        let key = ServerKey::from_bytes(self.current);
        match self.previous {
            Some(previous) => key.with_previous(previous),
            None => key,
        }
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok().filter(|_| rest.is_empty())
}

/// A text, or a list of texts.
#[derive(Deserialize)]
#[serde(untagged, expecting = "it is neither a string nor a list of strings")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}
