//! Is a grant still honoured? It ends with its client, its user and `valid_after`.

use crate::client::Client;
use crate::error::{Error, GrantFailure};
use crate::grant::Grant;
use crate::server::Core;

/// Refuses a grant that began before its client, its user or the whole server was told to
/// forget what there was, or whose user is gone. The client is enabled, or the caller has
/// seen to it.
pub(super) async fn check(core: &Core, client: &Client, grant: &Grant) -> Result<(), Error> {
    let began = grant.began_at();
    if began < client.valid_after() || began < core.clients.valid_after().await? {
        return Err(GrantFailure::Revoked.into());
    }
    let (Some(users), Some(subject)) = (&core.users, grant.subject()) else { return Ok(()) };
    let user = users.subject(subject).await?.ok_or(GrantFailure::UserUnknown)?;
    if !user.is_enabled() {
        return Err(GrantFailure::UserDisabled.into());
    }
    if began < user.is_valid_after() {
        return Err(GrantFailure::Revoked.into());
    }
    Ok(())
}
