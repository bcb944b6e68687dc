//! What administration does: ending grants, and removing whoever they belong to.

use crate::error::Error;
use crate::event::{Event, RemovalReason};
use crate::id::{ClientId, GrantId, Subject};
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
