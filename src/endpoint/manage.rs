//! What administration does: ending grants, and removing whoever they belong to.

use crate::client::{Client, ClientBuilder};
use crate::clock::Timestamp;
use crate::error::{Error, StoreError};
use crate::event::{Event, RemovalReason};
use crate::id::{ClientId, GrantId, Subject};
use crate::secret::ClientSecret;
use crate::server::Core;
use crate::store::{ClientRegistry, GrantQuery, Read, Remove, UserRegistry};

use super::revoke;

/// False if there was none.
pub(crate) async fn revoke_grant(core: &Core, id: GrantId) -> Result<bool, Error> {
    let Some(grant) = core.tokens.load(id, Read::Latest).await? else { return Ok(false) };
    // A child goes with its parent, on which all hangs.
    let id = grant.parent().unwrap_or(id);
    revoke::remove(core, id).await?;
    let reason = RemovalReason::Revoked;
    core.report(&Event::GrantRemoved { client: grant.client(), grant: id, reason });
    Ok(true)
}

/// Removes all that match, page by page, and says how many that were.
pub(crate) async fn revoke_all(core: &Core, query: GrantQuery) -> Result<usize, Error> {
    let mut removed = 0;
    let mut next = Some(query.clone());
    while let Some(page) = next {
        let page = core.tokens.find(&page).await?;
        for grant in &page.grants {
            if core.tokens.remove(grant.id(), None).await? == Remove::Removed {
                removed += 1;
                let reason = RemovalReason::Revoked;
                core.report(&Event::GrantRemoved { client: grant.client(), grant: grant.id(), reason });
            }
        }
        next = page.next.map(|cursor| query.clone().after(cursor));
    }
    Ok(removed)
}

/// The client first: without it none of its tokens is good, whatever is still to be removed.
pub(crate) async fn remove_client(
    core: &Core,
    registry: &impl ClientRegistry,
    id: &ClientId,
) -> Result<bool, Error> {
    let was_there = registry.remove_client(id).await?;
    revoke_all(core, GrantQuery::new().of_client(id.clone())).await?;
    Ok(was_there)
}

/// The new secret beside the ones before, and their end.
pub(crate) async fn rotate_client_secret(
    core: &Core,
    registry: &impl ClientRegistry,
    id: &ClientId,
    others_until: Option<Timestamp>,
) -> Result<Option<ClientSecret>, Error> {
    let Some(client) = registry.client(id).await? else { return Ok(None) };
    let (secret, hashed) = Client::generate_secret()?;
    let now = core.now();
    // Those that have ended make room.
    let live = client.secrets().iter().filter(|own| own.expiry().is_none_or(|end| now < end));
    let ending = live.map(|own| match (own.expiry(), others_until) {
        (Some(end), Some(until)) => own.clone().expires_at(end.min(until)),
        (None, Some(until)) => own.clone().expires_at(until),
        (_, None) => own.clone(),
    });
    let builder = ending.fold(client.to_builder().without_secrets(), ClientBuilder::secret);
    let changed = builder.secret(hashed).build().map_err(StoreError::other)?;
    registry.put_client(changed).await?;
    Ok(Some(secret))
}

/// The user first, as in [`remove_client`].
pub(crate) async fn remove_user(
    core: &Core,
    registry: &impl UserRegistry,
    subject: &Subject,
) -> Result<bool, Error> {
    let was_there = registry.remove_user(subject).await?;
    revoke_all(core, GrantQuery::new().of_subject(subject.clone())).await?;
    Ok(was_there)
}
