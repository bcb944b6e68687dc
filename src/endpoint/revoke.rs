//! Ending a grant by one of its tokens (RFC 7009).

use crate::error::{Error, StoreError, Unavailable};
use crate::event::{Event, RemovalReason};
use crate::grant::Grant;
use crate::id::GrantId;
use crate::server::Core;
use crate::store::{Read, Remove};
use crate::token::{Presented, RefreshSecret};

/// True if the token was good until now. Whichever state its grant is in: a request under
/// way finds it gone.
pub(crate) async fn revoke(core: &Core, token: &str) -> Result<bool, Error> {
    let Some(presented) = core.format.read(token) else { return Ok(false) };
    let Some(grant) = core.tokens.load(presented.id, Read::Latest).await? else { return Ok(false) };
    if !holds(core, &grant, &presented) {
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
async fn remove(core: &Core, id: GrantId) -> Result<(), Error> {
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
