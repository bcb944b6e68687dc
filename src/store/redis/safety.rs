//! Does the server keep what it is given?

use std::collections::HashMap;

use redis::{Value, cmd};

use crate::error::StoreError;

use super::connection::Connections;

/// Why a server is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisOpenError {
    /// It throws live records away when its memory is full.
    #[error("maxmemory-policy is {policy}: live tokens would be evicted; set it to noeviction")]
    Evicts {
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// It forgets everything when it is restarted.
    #[error("neither appendonly nor save is on: a restart would forget all tokens and revocations")]
    NotPersistent,
    /// It does not say.
    #[error("the server does not say whether it keeps what it is given")]
    Unknown(#[source] StoreError),
}

pub(super) async fn check(connections: &Connections) -> Result<(), RedisOpenError> {
    let policies = ask(connections, "maxmemory-policy").await?;
    if let Some(policy) = policies.into_iter().find(|policy| policy != "noeviction") {
        return Err(RedisOpenError::Evicts { policy });
    }
    let appends = ask(connections, "appendonly").await?;
    let saves = ask(connections, "save").await?;
    let forgets = |(append, save): (&String, &String)| append != "yes" && save.is_empty();
    if appends.iter().zip(&saves).any(forgets) { Err(RedisOpenError::NotPersistent) } else { Ok(()) }
}

/// The setting of each primary.
async fn ask(connections: &Connections, name: &str) -> Result<Vec<String>, RedisOpenError> {
    let mut get = cmd("CONFIG");
    get.arg("GET").arg(name);
    let answers = connections.on_each_primary(&get).await;
    let answers = answers.map_err(|failure| RedisOpenError::Unknown(failure.into()))?;
    let read = |answer: Value| {
        let settings: HashMap<String, String> = redis::from_redis_value(answer).ok()?;
        settings.get(name).cloned()
    };
    let settings: Option<Vec<String>> = answers.into_iter().map(read).collect();
    settings
        .filter(|settings| !settings.is_empty())
        .ok_or_else(|| RedisOpenError::Unknown(StoreError::other("an answer without the setting")))
}
