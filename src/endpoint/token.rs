//! The token endpoint (RFC 6749 §3.2).

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::client::Client;
use crate::client::authentication::{Credentials, HeaderCredentials};
use crate::clock::Timestamp;
use crate::error::{Error, ScopeFailure};
use crate::event::Event;
use crate::grant::{Allowed, Grant, Issued, IssuedRefresh, Redemption};
use crate::grant_type::{Approved, Authenticated, DynGrantType, Exchange, Member, Refreshing};
use crate::id::{GrantId, GrantTypeName};
use crate::parameter::Parameter;
use crate::parameters::Parameters;
use crate::policy::{Limits, PolicyRequest};
use crate::scope::Scope;
use crate::secret::{AccessToken, RefreshToken};
use crate::server::Core;
use crate::token::{Presented, RefreshSecret};

use super::{authenticate, scope, settle};

/// A token request: its parameters and the credentials of its client.
///
/// HTTP requests are turned into one by [`crate::http`]; a test writes it down.
///
/// ```
/// # use grantor::TokenRequest;
/// let request = TokenRequest::new("client_credentials")
///     .basic("reports", "s3cr3t")
///     .parameter("scope", "orders.read");
/// ```
#[derive(Clone)]
#[must_use]
pub struct TokenRequest<'a> {
    header: HeaderCredentials<'a>,
    pub(crate) parameters: Parameters<'a>,
    peer: Option<IpAddr>,
}

impl<'a> TokenRequest<'a> {
    /// A request with this `grant_type`.
    pub fn new(grant_type: impl Into<Cow<'a, str>>) -> Self {
        let mut request = Self::empty(HeaderCredentials::Absent, None);
        request.parameters.set(Parameter::GrantType, grant_type.into());
        request
    }

    /// Without any parameter yet.
    pub(crate) fn empty(header: HeaderCredentials<'a>, peer: Option<IpAddr>) -> Self {
        Self { header, parameters: Parameters::default(), peer }
    }

    /// From this address, for the [`AttemptLimiter`](crate::limiter::AttemptLimiter).
    pub fn peer(mut self, peer: Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// With the client's credentials as in HTTP Basic, already decoded.
    pub fn basic(mut self, id: &'a str, secret: &'a str) -> Self {
        self.header = HeaderCredentials::Basic { decoded: Some(Credentials { id, secret }), raw: None };
        self
    }

    /// With one more parameter, decoded. A parameter that a specification defines must not
    /// be added twice.
    pub fn parameter(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.parameters.push(name.into(), value.into());
        self
    }

    /// The value of `grant_type`, if there is one.
    #[must_use]
    pub fn grant_type(&self) -> Option<&str> {
        self.parameters.get(Parameter::GrantType)
    }
}

impl fmt::Debug for TokenRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

/// A successful answer of the token endpoint (RFC 6749 §5.1).
#[derive(Debug)]
pub struct TokenResponse {
    access_token: AccessToken,
    expires_in: Option<u64>,
    refresh_token: Option<RefreshToken>,
    scope: Scope,
    grant: GrantId,
    members: Vec<(&'static str, Member)>,
}

impl TokenResponse {
    /// The value of `token_type` (RFC 6750).
    pub const TOKEN_TYPE: &'static str = "Bearer";

    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// For how many seconds the access token is valid; `None`: until it is revoked.
    #[must_use]
    pub fn expires_in(&self) -> Option<u64> {
        self.expires_in
    }

    /// The refresh token, if there is one.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    /// What the access token stands for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What an extension grant adds to the answer.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, &Member)> {
        self.members.iter().map(|(name, value)| (*name, value))
    }

    /// The record that the access token is in: its grant, or a child of it for a client whose
    /// refresh tokens do not rotate.
    #[must_use]
    pub fn grant(&self) -> GrantId {
        self.grant
    }
}

/// Answers a token request and reports what was decided.
pub(crate) async fn token(core: &Core, request: &TokenRequest<'_>) -> Result<TokenResponse, Error> {
    let mut client = None;
    let outcome = answer(core, request, &mut client).await;
    if let Err(error) = &outcome {
        let client = client.as_deref().map(Client::id).or(error.client());
        core.report(&Event::TokenRefused { client, error });
    }
    outcome
}

async fn answer(
    core: &Core,
    request: &TokenRequest<'_>,
    authenticated: &mut Option<Arc<Client>>,
) -> Result<TokenResponse, Error> {
    let now = core.now();
    let parameters = &request.parameters;
    parameters.refuse_repetition()?;
    let name = parameters.require(Parameter::GrantType)?;
    let client = authenticate::client(core, request.header, parameters, request.peer, now).await?;
    let client: &Client = authenticated.insert(client);
    let (grant_type, handler) = select(core, name, client)?;
    let request = Authenticated::new(core, client, parameters, request.peer, now);
    let approval = handler.approve(&request).await?;
    let members = approval.1;
    let issued = issue(core, approval.0, grant_type, client, parameters, now).await?;
    core.report(&Event::TokenIssued {
        grant_type,
        client: client.id(),
        grant: issued.id,
        scope: &issued.scope,
    });
    Ok(TokenResponse { members, ..respond(core, issued, parameters, now) })
}

/// Off on the server, or off for the client (RFC 6749 §5.2)?
fn select<'c>(
    core: &'c Core,
    name: &str,
    client: &Client,
) -> Result<(&'c GrantTypeName, &'c dyn DynGrantType), Error> {
    let (grant_type, handler) = core.grant_types.get(name).ok_or(Error::UnsupportedGrantType)?;
    if !client.may_use(grant_type) {
        return Err(Error::UnauthorizedClient {
            client: client.id().clone(),
            grant_type: grant_type.clone(),
        });
    }
    Ok((grant_type, handler))
}

async fn issue(
    core: &Core,
    approved: Approved,
    grant_type: &GrantTypeName,
    client: &Client,
    parameters: &Parameters<'_>,
    now: Timestamp,
) -> Result<Issued, Error> {
    match approved {
        Approved::Code(code) => exchange(core, client, grant_type, &code, parameters, now).await,
        Approved::RefreshToken(token) => refresh(core, client, grant_type, &token, parameters, now).await,
        Approved::New { subject, auth_time, most, refreshable } => {
            let request = PolicyRequest { client, grant_type, subject: subject.as_ref(), granted: None, now };
            let limits = core.limits(request).await?;
            let scope = scope::resolve(core, client, parameters, limits.within(most).as_ref())?;
            let allowed = Allowed {
                client: client.id().clone(),
                subject,
                grant_type: grant_type.clone(),
                scope,
                began_at: now,
                auth_time,
            };
            begin(core, client, allowed, refreshable, &limits, now).await
        }
    }
}

/// A grant that begins with this request.
pub(crate) async fn begin(
    core: &Core,
    client: &Client,
    allowed: Allowed,
    refreshable: bool,
    limits: &Limits,
    now: Timestamp,
) -> Result<Issued, Error> {
    let mut terms = core.settings.terms(client, refreshable);
    terms.access_lifetime = limits.shorten(terms.access_lifetime);
    let (grant, issued) = Grant::active(allowed, &terms, &core.seed()?, now);
    settle::insert(core, grant, &issued.digest).await?;
    Ok(issued)
}

async fn exchange(
    core: &Core,
    client: &Client,
    grant_type: &GrantTypeName,
    code: &Presented,
    parameters: &Parameters<'_>,
    now: Timestamp,
) -> Result<Issued, Error> {
    let seed = core.seed()?;
    let exchange = Exchange {
        redemption: Redemption {
            code: &code.secret,
            redirect_uri: parameters.get(Parameter::RedirectUri),
            verifier: parameters.get(Parameter::CodeVerifier),
        },
        terms: core.settings.terms(client, true),
        seed: &seed,
        now,
        saw_it_unspent: false,
    };
    settle::settle(core, client, grant_type, code.id, exchange, now).await
}

async fn refresh(
    core: &Core,
    client: &Client,
    grant_type: &GrantTypeName,
    token: &Presented,
    parameters: &Parameters<'_>,
    now: Timestamp,
) -> Result<Issued, Error> {
    let seed = core.seed()?;
    let secret = RefreshSecret::from_bytes(&token.secret);
    let scope = parameters.get(Parameter::Scope).map(Scope::parse).transpose();
    let scope = scope.map_err(|_| ScopeFailure::Malformed)?;
    let refreshing = Refreshing {
        secret: &secret,
        scope: scope.as_ref(),
        allowed: Cow::Borrowed(client.scopes()),
        terms: core.settings.terms(client, true),
        keys: &core.retry_keys,
        seed: &seed,
        now,
    };
    settle::settle(core, client, grant_type, token.id, refreshing, now).await
}

fn respond(core: &Core, issued: Issued, parameters: &Parameters<'_>, now: Timestamp) -> TokenResponse {
    let refresh_token = match &issued.refresh {
        IssuedRefresh::None => None,
        IssuedRefresh::Same => parameters.get(Parameter::RefreshToken).map(RefreshToken::new),
        // A child record has another id than the grant, but never a refresh token.
        IssuedRefresh::New(secret) => Some(RefreshToken::new(core.format.write(issued.id, secret))),
    };
    TokenResponse {
        access_token: AccessToken::new(core.format.write(issued.id, &issued.access)),
        // A token that is good for less than a second is good for one, as far as this can say.
        expires_in: issued
            .expires_at
            .map(|end| end.as_millis().saturating_sub(now.as_millis()).div_ceil(1000)),
        refresh_token,
        scope: issued.scope,
        grant: issued.id,
        members: Vec::new(),
    }
}
