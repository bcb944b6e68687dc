//! One table of the file, read key by key: errors name the key, and no key is left unread.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// What is wrong with a configuration, in one line that names the key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidConfig(String);

impl InvalidConfig {
    pub(crate) fn new(key: impl Display, problem: impl Display) -> Self {
        let line = format!("{key}: {problem}");
        Self(line.lines().collect::<Vec<_>>().join(", "))
    }

    /// An error of the library that begins with the name of the setting.
    pub(crate) fn from_library(prefix: &str, error: &impl std::error::Error) -> Self {
        Self(format!("{prefix}{error}"))
    }

    pub(super) fn syntax(text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Self::new(format_args!("line {line}"), error.message())
    }
}

impl From<std::io::Error> for InvalidConfig {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A table and where it is.
pub(super) struct Section {
    path: String,
    /// Whom the table is about.
    owner: Option<String>,
    table: Table,
}

impl Section {
    pub(super) fn root(table: Table) -> Self {
        Self { path: String::new(), owner: None, table }
    }

    /// Errors from here on say that the table is about `owner`.
    pub(super) fn set_owner(&mut self, kind: &str, name: &str) {
        self.owner = Some(format!("{kind} {name:?}"));
    }

    pub(super) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, InvalidConfig> {
        let Some(value) = self.table.remove(key) else { return Ok(None) };
        value.try_into().map(Some).map_err(|error: toml::de::Error| self.error(key, error.message()))
    }

    pub(super) fn require<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, InvalidConfig> {
        self.take(key)?.ok_or_else(|| self.error(key, "it is missing"))
    }

    /// `target` changed by what the key says, if it is there.
    pub(super) fn apply<T, V: DeserializeOwned>(
        &mut self,
        target: T,
        key: &str,
        change: impl FnOnce(T, V) -> T,
    ) -> Result<T, InvalidConfig> {
        Ok(match self.take(key)? {
            Some(value) => change(target, value),
            None => target,
        })
    }

    /// The table under `key`.
    pub(super) fn table_if_any(&mut self, key: &str) -> Result<Option<Self>, InvalidConfig> {
        let table = self.take::<Table>(key)?;
        Ok(table.map(|table| Self { path: self.path_of(key), owner: None, table }))
    }

    /// The table under `key`, an empty one if there is none.
    pub(super) fn table(&mut self, key: &str) -> Result<Self, InvalidConfig> {
        let table = self.table_if_any(key)?;
        Ok(table.unwrap_or_else(|| Self { path: self.path_of(key), owner: None, table: Table::new() }))
    }

    /// The tables of the list under `key`.
    pub(super) fn tables(&mut self, key: &str) -> Result<Vec<Self>, InvalidConfig> {
        let path = self.path_of(key);
        let values: Vec<Value> = self.take(key)?.unwrap_or_default();
        let sections = values.into_iter().enumerate().map(|(index, value)| {
            let path = format!("{path}[{index}]");
            match value {
                Value::Table(table) => Ok(Self { path, owner: None, table }),
                other => Err(InvalidConfig::new(path, format!("it is not a table: {other}"))),
            }
        });
        sections.collect()
    }

    /// Refuses what has not been read.
    pub(super) fn finish(&self) -> Result<(), InvalidConfig> {
        match self.table.keys().next() {
            Some(key) => Err(self.error(key, "unknown key")),
            None => Ok(()),
        }
    }

    pub(super) fn error(&self, key: &str, problem: impl Display) -> InvalidConfig {
        let key = self.path_of(key);
        match &self.owner {
            Some(owner) => InvalidConfig::new(key, format_args!("{problem} ({owner})")),
            None => InvalidConfig::new(key, problem),
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
