//! What a token stands for (RFC 7662).

use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::{ClientFailure, Error};
use crate::event::Event;
use crate::grant::Grant;
use crate::id::{ClientId, GrantId, Subject};
use crate::parameter::Parameter;
use crate::scope::Scope;
use crate::server::Core;
use crate::store::Read;
use crate::token::{Presented, RefreshSecret};

use super::{TokenQuery, alive, authenticate};

/// What is known of a token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Introspection {
    /// It stands for something at this time.
    Active(ActiveToken),
    /// It does not: unknown, expired, revoked or no token at all. Why is not told.
    Inactive,
}

impl Introspection {
    /// What the token stands for, if anything.
    #[must_use]
    pub fn active(&self) -> Option<&ActiveToken> {
        match self {
            Self::Active(token) => Some(token),
            Self::Inactive => None,
        }
    }

    /// True if the token stands for something.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active().is_some()
    }
}

/// Which kind of token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKind {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
}

/// What a token stands for.
#[derive(Clone, Debug)]
pub struct ActiveToken {
    grant: Arc<Grant>,
    kind: TokenKind,
    scope: Scope,
    issued_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl ActiveToken {
    /// Is it an access or a refresh token?
    #[must_use]
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The client it was issued to (`client_id`).
    #[must_use]
    pub fn client(&self) -> &ClientId {
        self.grant.client()
    }

    /// The resource owner; `None` if the client acts for itself.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.grant.subject()
    }

    /// The value of `sub`: the resource owner, or the client if it acts for itself.
    #[must_use]
    pub fn sub(&self) -> &str {
        self.subject().map_or(self.client().as_str(), Subject::as_str)
    }

    /// What it stands for (`scope`).
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When it was issued (`iat`). A refresh token that rotates is issued anew each time.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// When it expires (`exp`); `None`: never.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// When the resource owner was authenticated (`auth_time`), if that is known.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.grant.auth_time()
    }

    /// The record it belongs to.
    #[must_use]
    pub fn grant(&self) -> GrantId {
        self.grant.id()
    }
}

/// Answers the client that asks (RFC 7662 §2), and reports what it was told.
pub(crate) async fn answer(core: &Core, query: &TokenQuery<'_>) -> Result<Introspection, Error> {
    let mut caller = None;
    let outcome = answer_to(core, query, &mut caller).await;
    let client = caller.as_deref().map(Client::id);
    match &outcome {
        Ok(told) => {
            core.report(&Event::Introspected { client, grant: told.active().map(ActiveToken::grant) });
        }
        Err(error) => core.report(&Event::IntrospectionRefused { client: client.or(error.client()), error }),
    }
    outcome
}

async fn answer_to(
    core: &Core,
    query: &TokenQuery<'_>,
    caller: &mut Option<Arc<Client>>,
) -> Result<Introspection, Error> {
    let parameters = &query.parameters;
    parameters.refuse_repetition()?;
    let client = authenticate::client(core, query.header, parameters, query.peer, core.now()).await?;
    let client: &Client = caller.insert(client);
    // Who only names itself could try tokens out (RFC 7662 §4).
    if client.is_public() {
        return Err(ClientFailure::MethodNotAllowed(client.id().clone()).into());
    }
    let told = introspect(core, parameters.require(Parameter::Token)?).await?;
    let may_see = |token: &ActiveToken| client.may_introspect() || token.client() == client.id();
    Ok(if told.active().is_some_and(may_see) { told } else { Introspection::Inactive })
}

/// What `token` stands for, whoever asks.
pub(crate) async fn introspect(core: &Core, token: &str) -> Result<Introspection, Error> {
    let now = core.now();
    let Some(presented) = core.format.read(token) else { return Ok(Introspection::Inactive) };
    let Some(grant) = core.tokens.load(presented.id, Read::Recent).await? else {
        return Ok(Introspection::Inactive);
    };
    let Some(active) = find(grant, &presented, now) else { return Ok(Introspection::Inactive) };
    let honoured = is_honoured(core, &active.grant).await?;
    Ok(if honoured { Introspection::Active(active) } else { Introspection::Inactive })
}

/// The live token of `grant` that is presented.
fn find(grant: Arc<Grant>, presented: &Presented, now: Timestamp) -> Option<ActiveToken> {
    if let Some(token) = grant.access_token(&presented.digest(), now) {
        let (scope, issued_at, expires_at) =
            (grant.scope_of(token).clone(), token.issued_at, token.expires_at);
        return Some(ActiveToken { kind: TokenKind::Access, scope, issued_at, expires_at, grant });
    }
    let (issued_at, expires_at) = grant.live_refresh(&RefreshSecret::from_bytes(&presented.secret), now)?;
    let scope = grant.scope().clone();
    Some(ActiveToken { kind: TokenKind::Refresh, scope, issued_at, expires_at, grant })
}

/// Do the grant, its client, its user and its parent still stand?
async fn is_honoured(core: &Core, grant: &Grant) -> Result<bool, Error> {
    let Some(client) = core.clients.client(grant.client()).await?.filter(|client| client.is_enabled()) else {
        return Ok(false);
    };
    match alive::check(core, &client, grant).await {
        Ok(()) => {}
        Err(Error::InvalidGrant { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    match grant.parent() {
        None => Ok(true),
        Some(parent) => Ok(core.tokens.load(parent, Read::Recent).await?.is_some()),
    }
}
