//! The authorization endpoint (RFC 6749 §3.1), without pages: a request becomes a
//! [`ConsentRequest`], and a decision on it becomes a code.

mod request;
mod response;

use std::fmt;
use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::entropy::Seed;
use crate::error::{Error, RequestFailure, ScopeFailure};
use crate::event::Event;
use crate::grant::{Allowed, CodeTerms, Grant};
use crate::id::{ClientId, GrantId, GrantTypeName, Subject};
use crate::pkce::{CodeChallenge, CodeChallengeMethod};
use crate::policy::PolicyRequest;
use crate::redirect_uri::RedirectUri;
use crate::scope::{Scope, ScopeDefinition};
use crate::server::Core;
use crate::token::{Digest, TokenSecret};
use crate::user::User;

use super::settle;
use super::ticket::Ticket;

pub use request::AuthorizationRequest;
use request::Validated;
use response::ReplyTo;
pub use response::{AuthorizationRefused, AuthorizationResponse, ResponseMode};

/// A valid authorization request that waits for the resource owner: all that a consent
/// page shows, and the ticket to come back with.
pub struct ConsentRequest {
    client: Arc<Client>,
    redirect_uri: String,
    scope: Scope,
    definitions: Vec<ScopeDefinition>,
    ticket: String,
}

impl ConsentRequest {
    /// The client that asks.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where the answer will be sent.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The host to which the answer will be sent, to be shown to the resource owner; the
    /// scheme if it is an application on the device.
    #[must_use]
    pub fn redirect_host(&self) -> String {
        match RedirectUri::parse_with(&self.redirect_uri, request::any_scheme()) {
            Ok(uri) => uri.host().unwrap_or(uri.scheme()).to_owned(),
            Err(_) => String::new(),
        }
    }

    /// What is asked for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The part of it that `user` may grant: what to offer.
    #[must_use]
    pub fn scope_for(&self, user: &User) -> Scope {
        user.may_grant().map_or_else(|| self.scope.clone(), |most| self.scope.intersection(most))
    }

    /// What the tokens of the scope mean, for those that the server can describe.
    #[must_use]
    pub fn definitions(&self) -> &[ScopeDefinition] {
        &self.definitions
    }

    /// To be sent along with the decision, in a hidden field. It can be read, holds no secret,
    /// and is worth nothing in another session.
    #[must_use]
    pub fn ticket(&self) -> &str {
        &self.ticket
    }
}

impl fmt::Debug for ConsentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ticket is what protects the form.
        f.debug_struct("ConsentRequest")
            .field("client", self.client.id())
            .field("redirect_uri", &self.redirect_uri)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// What the resource owner decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentDecision {
    /// Allow this much, which is no more than was asked for.
    Approve(Scope),
    /// Allow nothing.
    Deny,
}

pub(crate) async fn authorize(
    core: &Core,
    request: &AuthorizationRequest<'_>,
    session_binding: &[u8],
) -> Result<ConsentRequest, AuthorizationRefused> {
    let began_at = core.now();
    let mut client = None;
    let outcome = request::validate(core, request, &mut client).await;
    if let Err(refused) = &outcome {
        report_refused(core, client.as_deref().map(Client::id), refused.error());
    }
    let validated = outcome?;
    let ticket = seal(core, &validated, session_binding, began_at);
    let Validated { client, redirect_uri, scope, .. } = validated;
    let described = core.scopes.iter().filter(|definition| scope.contains(definition.token().as_str()));
    let definitions = described.cloned().collect();
    Ok(ConsentRequest { client, redirect_uri, scope, definitions, ticket })
}

fn seal(core: &Core, validated: &Validated, session_binding: &[u8], began_at: Timestamp) -> String {
    let challenge = validated.challenge.as_ref();
    let ticket = Ticket {
        client: validated.client.id().as_str().to_owned(),
        redirect_uri: validated.redirect_uri.clone(),
        redirect_uri_sent: validated.redirect_uri_sent,
        scope: validated.scope.as_str().to_owned(),
        state: validated.state.clone(),
        challenge: challenge.map(|own| (own.method().as_str().to_owned(), own.as_str().to_owned())),
        form_post: validated.mode == ResponseMode::FormPost,
        began_at: began_at.as_millis(),
    };
    ticket.seal(&core.ticket_keys, session_binding)
}

/// A decision with all that [`AuthorizationServer::decide`](crate::AuthorizationServer)
/// is given.
pub(crate) struct Consent<'a> {
    pub(crate) ticket: &'a str,
    pub(crate) session_binding: &'a [u8],
    pub(crate) subject: &'a Subject,
    pub(crate) auth_time: Timestamp,
    pub(crate) decision: ConsentDecision,
}

pub(crate) async fn decide(
    core: &Core,
    consent: Consent<'_>,
) -> Result<AuthorizationResponse, AuthorizationRefused> {
    let mut client = None;
    let outcome = answer(core, &consent, &mut client).await;
    match &outcome {
        Ok(AuthorizationResponse { grant: None, .. }) => {
            report_refused(core, client.as_ref(), &Error::AccessDenied);
        }
        Ok(_) => {}
        Err(refused) => report_refused(core, client.as_ref(), refused.error()),
    }
    outcome
}

async fn answer(
    core: &Core,
    consent: &Consent<'_>,
    client_id: &mut Option<ClientId>,
) -> Result<AuthorizationResponse, AuthorizationRefused> {
    let now = core.now();
    let page = |reason: RequestFailure| AuthorizationRefused::page(reason.into());
    let ticket = Ticket::open(consent.ticket, &core.ticket_keys, consent.session_binding, now)
        .ok_or_else(|| page(RequestFailure::Ticket))?;
    let asked = read(&ticket).ok_or_else(|| page(RequestFailure::Ticket))?;
    *client_id = Some(asked.client.clone());
    let client = request::client(core, &asked.client).await?;
    request::check_redirect_uri(core, &client, &ticket.redirect_uri).map_err(page)?;
    let mode = if ticket.form_post { ResponseMode::FormPost } else { ResponseMode::Query };
    let reply_to = ReplyTo::new(core, &ticket.redirect_uri, ticket.state.as_deref(), mode);
    let ConsentDecision::Approve(approved) = &consent.decision else { return Ok(reply_to.denied()) };
    let issued = issue(core, consent, &client, &ticket, asked, approved, now).await;
    match issued {
        Ok((grant, code)) => Ok(reply_to.code(grant, &core.format.write(grant, &code))),
        Err(error) => Err(reply_to.refused(error)),
    }
}

/// The parts of a ticket that have a type.
struct Asked {
    client: ClientId,
    scope: Scope,
    challenge: Option<CodeChallenge>,
    began_at: Timestamp,
}

fn read(ticket: &Ticket) -> Option<Asked> {
    let challenge = match &ticket.challenge {
        Some((method, value)) => {
            Some(CodeChallenge::new(CodeChallengeMethod::parse(method).ok()?, value).ok()?)
        }
        None => None,
    };
    Some(Asked {
        client: ClientId::new(ticket.client.as_str()).ok()?,
        scope: Scope::parse(&ticket.scope).ok()?,
        challenge,
        began_at: Timestamp::from_millis(ticket.began_at),
    })
}

async fn issue(
    core: &Core,
    consent: &Consent<'_>,
    client: &Client,
    ticket: &Ticket,
    asked: Asked,
    approved: &Scope,
    now: Timestamp,
) -> Result<(GrantId, TokenSecret), Error> {
    if !client.may_use(&GrantTypeName::AUTHORIZATION_CODE) {
        return Err(unauthorized(client));
    }
    let (grant_type, subject) = (&GrantTypeName::AUTHORIZATION_CODE, Some(consent.subject));
    let limits = core.limits(PolicyRequest { client, grant_type, subject, granted: None, now }).await?;
    let most = asked.scope.intersection(client.scopes());
    let most = limits.within(Some(most)).unwrap_or_else(Scope::empty);
    let scope = approvable(core, consent.subject, asked.began_at, approved, most).await?;
    let allowed = Allowed {
        client: client.id().clone(),
        subject: Some(consent.subject.clone()),
        grant_type: GrantTypeName::AUTHORIZATION_CODE,
        scope,
        began_at: asked.began_at,
        auth_time: Some(consent.auth_time),
    };
    let code_terms = CodeTerms {
        lifetime: core.settings.authorization_code_lifetime,
        redirect_uri: ticket.redirect_uri_sent.then(|| ticket.redirect_uri.as_str().into()),
        challenge: asked.challenge,
    };
    let seed: Seed = core.seed()?;
    let (grant, code) = Grant::with_code(allowed, code_terms, &seed, now);
    let (id, scope) = (grant.id(), grant.scope().clone());
    settle::insert(core, grant, &Digest::of(code.as_slice())).await?;
    core.report(&Event::Authorized {
        client: client.id(),
        subject: consent.subject,
        grant: id,
        scope: &scope,
    });
    Ok((id, code))
}

/// Never more than was asked for, than the client may have and than the user may grant.
async fn approvable(
    core: &Core,
    subject: &Subject,
    began_at: Timestamp,
    approved: &Scope,
    mut most: Scope,
) -> Result<Scope, Error> {
    if let Some(users) = &core.users {
        let user =
            users.subject(subject).await?.filter(|user| user.is_enabled()).ok_or(Error::AccessDenied)?;
        if began_at < user.is_valid_after() {
            return Err(Error::AccessDenied);
        }
        if let Some(grantable) = user.may_grant() {
            most = most.intersection(grantable);
        }
    }
    if approved.is_empty() {
        return Err(Error::AccessDenied);
    }
    if !approved.is_subset(&most) {
        return Err(ScopeFailure::TooWide { asked: approved.clone(), allowed: most }.into());
    }
    Ok(approved.clone())
}

fn unauthorized(client: &Client) -> Error {
    Error::UnauthorizedClient { client: client.id().clone(), grant_type: GrantTypeName::AUTHORIZATION_CODE }
}

fn report_refused(core: &Core, client: Option<&ClientId>, error: &Error) {
    core.report(&Event::AuthorizationRefused { client, error });
}
