//! Tokens for the integration tests of embedders.

use crate::error::{ClientFailure, Error};
use crate::grant::Allowed;
use crate::id::{ClientId, GrantTypeName, Subject};
use crate::policy::Limits;
use crate::scope::Scope;
use crate::secret::AccessToken;
use crate::server::AuthorizationServer;

/// An access token of `client`, for `subject` or for the client itself, as if it had been
/// asked for: the one line that a test of a protected API needs.
///
/// ```
/// # use grantor::store::{MemoryClientStore, MemoryTokenStore};
/// # use grantor::testing::{block_on, mint};
/// # use grantor::{AuthorizationServer, Client};
/// # let web = Client::public("web").scopes("orders.read").build()?;
/// # let server = AuthorizationServer::builder("https://id.example.com")
/// #     .clients(MemoryClientStore::from_iter([web])).tokens(MemoryTokenStore::new()).build()?;
/// let token = block_on(mint(&server, "web".parse()?, Some("alice".parse()?), "orders.read".parse()?))?;
/// assert!(block_on(server.introspect(token.expose()))?.is_active());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the client is unknown or a store failed. Scopes, grant types and whether the
/// client is enabled are not checked.
pub async fn mint(
    server: &AuthorizationServer,
    client: ClientId,
    subject: Option<Subject>,
    scope: Scope,
) -> Result<AccessToken, Error> {
    let core = server.core();
    let now = core.now();
    let client = core.clients.client(&client).await?.ok_or(ClientFailure::Unknown(client))?;
    let grant_type =
        if subject.is_some() { GrantTypeName::AUTHORIZATION_CODE } else { GrantTypeName::CLIENT_CREDENTIALS };
    let id = client.id().clone();
    let allowed = Allowed { client: id, subject, grant_type, scope, began_at: now, auth_time: None };
    let issued = crate::endpoint::token::begin(core, &client, allowed, false, &Limits::none(), now).await?;
    Ok(AccessToken::new(core.format.write(issued.id, &issued.access)))
}
