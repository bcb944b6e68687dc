//! Ending a grant by one of its tokens (RFC 7009).

use std::sync::Arc;

use crate::client::Client;
use crate::error::{Error, StoreError, Unavailable};
use crate::event::{Event, RemovalReason};
use crate::grant::Grant;
use crate::id::{ClientId, GrantId};
use crate::parameter::Parameter;
use crate::server::Core;
use crate::store::{Read, Remove};
use crate::token::{Presented, RefreshSecret};

use super::{TokenQuery, authenticate};

/// Revokes for the client that asks (RFC 7009 §2), and reports what was refused. Tokens that
/// are unknown or another client's are left alone.
pub(crate) async fn answer(core: &Core, query: &TokenQuery<'_>) -> Result<(), Error> {
    let mut caller = None;
    let outcome = answer_to(core, query, &mut caller).await;
    if let Err(error) = &outcome {
        let client = caller.as_deref().map(Client::id).or(error.client());
        core.report(&Event::RevocationRefused { client, error });
    }
    outcome
}

async fn answer_to(
    core: &Core,
    query: &TokenQuery<'_>,
    caller: &mut Option<Arc<Client>>,
) -> Result<(), Error> {
    let parameters = &query.parameters;
    parameters.refuse_repetition()?;
    let client = authenticate::client(core, query.header, parameters, query.peer, core.now()).await?;
    let client: &Client = caller.insert(client);
    revoke(core, parameters.require(Parameter::Token)?, Some(client.id())).await.map(drop)
}

/// True if the token was good until now. Whichever state its grant is in: a request under
/// way finds it gone.
///
/// With an `owner`, only a token of that client is ended.
pub(crate) async fn revoke(core: &Core, token: &str, owner: Option<&ClientId>) -> Result<bool, Error> {
    let Some(presented) = core.format.read(token) else { return Ok(false) };
    let Some(grant) = core.tokens.load(presented.id, Read::Latest).await? else { return Ok(false) };
    if !holds(core, &grant, &presented) || owner.is_some_and(|owner| owner != grant.client()) {
        return Ok(false);
    }
    // A child goes with its parent, on which all hangs.
    if let Some(parent) = grant.parent()
        && core.tokens.load(parent, Read::Latest).await?.is_none()
    {
        return Ok(false);
    }
    let id = grant.parent().unwrap_or(grant.id());
    remove(core, id).await?;
    let reason = RemovalReason::Revoked;
    core.report(&Event::GrantRemoved { client: grant.client(), grant: id, reason });
    Ok(true)
}

fn holds(core: &Core, grant: &Grant, presented: &Presented) -> bool {
    grant.access_token(&presented.digest(), core.now()).is_some()
        || grant.knows_refresh(&RefreshSecret::from_bytes(&presented.secret))
}

/// A removal that failed may have been done: look, and try once more.
pub(super) async fn remove(core: &Core, id: GrantId) -> Result<(), Error> {
    let mut failure: Option<StoreError> = None;
    for _ in 0..2 {
        match core.tokens.remove(id, None).await {
            Ok(Remove::Removed | Remove::Absent) => return Ok(()),
            Ok(Remove::Changed) => {}
            Err(error) => failure = Some(error),
        }
        if core.tokens.load(id, Read::Latest).await?.is_none() {
            return Ok(());
        }
    }
    Err(failure.map_or(Unavailable::Contention.into(), Error::from))
}
