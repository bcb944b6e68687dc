//! Checking an authorization request (RFC 6749 §4.1.1): first what decides whether its
//! errors may be redirected at all, then the rest.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::client::Client;
use crate::error::{Error, RequestFailure};
use crate::id::{ClientId, GrantTypeName};
use crate::parameter::Parameter;
use crate::parameters::Parameters;
use crate::pkce::{CodeChallenge, CodeChallengeMethod};
use crate::redirect_uri::RedirectUriRules;
use crate::scope::Scope;
use crate::server::Core;

use super::super::scope;
use super::response::{AuthorizationRefused, ReplyTo, ResponseMode};
use super::unauthorized;

/// An authorization request (RFC 6749 §4.1.1).
///
/// ```
/// # use grantor::AuthorizationRequest;
/// let request = AuthorizationRequest::new()
///     .parameter("response_type", "code")
///     .parameter("client_id", "web")
///     .parameter("scope", "orders.read")
///     .parameter("state", "af0ifjsldkj")
///     .parameter("code_challenge_method", "S256")
///     .parameter("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct AuthorizationRequest<'a> {
    parameters: Parameters<'a>,
}

impl<'a> AuthorizationRequest<'a> {
    /// A request without parameters.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn from_parameters(parameters: Parameters<'a>) -> Self {
        Self { parameters }
    }

    /// With one more parameter, decoded. A name may be added twice, as in a request that
    /// repeats it.
    pub fn parameter(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.parameters.push(name.into(), value.into());
        self
    }
}

impl fmt::Debug for AuthorizationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest").field("parameters", &self.parameters).finish()
    }
}

/// A request that is in order.
pub(super) struct Validated {
    pub(super) client: Arc<Client>,
    pub(super) redirect_uri: String,
    pub(super) redirect_uri_sent: bool,
    pub(super) scope: Scope,
    pub(super) state: Option<String>,
    pub(super) challenge: Option<CodeChallenge>,
    pub(super) mode: ResponseMode,
}

/// RFC 6749 §4.1.1 sets no bound on `state`; a longer one is refused, never cut.
const LONGEST_STATE: usize = 4096;

/// Also says which client it is about, once that is known.
pub(super) async fn validate(
    core: &Core,
    request: &AuthorizationRequest<'_>,
    known_client: &mut Option<Arc<Client>>,
) -> Result<Validated, AuthorizationRefused> {
    let parameters = &request.parameters;
    let page = |error: Error| AuthorizationRefused::page(error);
    for decisive in [Parameter::ClientId, Parameter::RedirectUri] {
        if parameters.is_repeated(decisive) {
            return Err(page(RequestFailure::Repeated(decisive).into()));
        }
    }
    let id = ClientId::new(parameters.require(Parameter::ClientId).map_err(page)?)
        .map_err(|_| page(RequestFailure::Client.into()))?;
    let client = client(core, &id).await?;
    *known_client = Some(Arc::clone(&client));
    let sent = parameters.get(Parameter::RedirectUri);
    let redirect_uri = redirect_uri(core, &client, sent).map_err(|reason| page(reason.into()))?;
    let state = parameters.get(Parameter::State).filter(|state| state.len() <= LONGEST_STATE);
    let state = state.filter(|_| !parameters.is_repeated(Parameter::State));
    let mode = parameters.get(Parameter::ResponseMode).map(ResponseMode::parse);
    // An error about the mode itself goes the usual way.
    let mode = mode.flatten().unwrap_or_default();
    let reply_to = ReplyTo::new(core, &redirect_uri, state, mode);
    let (scope, challenge) =
        check_rest(core, &client, parameters).map_err(|error| reply_to.refused(error))?;
    Ok(Validated {
        redirect_uri_sent: sent.is_some(),
        state: state.map(str::to_owned),
        client,
        redirect_uri,
        scope,
        challenge,
        mode,
    })
}

/// The client, if it is known and enabled: else the error is shown to the user and never
/// redirected (RFC 6749 §4.1.2.1).
pub(super) async fn client(core: &Core, id: &ClientId) -> Result<Arc<Client>, AuthorizationRefused> {
    let found = core.clients.client(id).await.map_err(|error| AuthorizationRefused::page(error.into()))?;
    let enabled = found.filter(|client| client.is_enabled());
    enabled.ok_or_else(|| AuthorizationRefused::page(RequestFailure::Client.into()))
}

/// Required if the client registered more than one (RFC 6749 §3.1.2.3).
fn redirect_uri(core: &Core, client: &Client, sent: Option<&str>) -> Result<String, RequestFailure> {
    match (sent, client.redirect_uris()) {
        (Some(sent), _) => {
            check_redirect_uri(core, client, sent)?;
            Ok(sent.to_owned())
        }
        (None, [only]) => Ok(only.as_str().to_owned()),
        (None, _) => Err(RequestFailure::Missing(Parameter::RedirectUri)),
    }
}

pub(super) fn check_redirect_uri(core: &Core, client: &Client, uri: &str) -> Result<(), RequestFailure> {
    let registered = client.redirect_uris().iter();
    let mut matching = registered.filter(|own| own.matches(uri, core.settings.loopback_port));
    matching.next().map(|_| ()).ok_or(RequestFailure::RedirectUri)
}

pub(super) fn any_scheme() -> RedirectUriRules {
    RedirectUriRules::default().any_private_scheme(true)
}

fn check_rest(
    core: &Core,
    client: &Client,
    parameters: &Parameters<'_>,
) -> Result<(Scope, Option<CodeChallenge>), Error> {
    parameters.refuse_repetition()?;
    if parameters.get(Parameter::State).is_some_and(|state| state.len() > LONGEST_STATE) {
        return Err(Error::malformed(Parameter::State));
    }
    if parameters.require(Parameter::ResponseType)? != "code" {
        return Err(Error::UnsupportedResponseType);
    }
    if parameters.get(Parameter::ResponseMode).is_some_and(|mode| ResponseMode::parse(mode).is_none()) {
        return Err(Error::malformed(Parameter::ResponseMode));
    }
    if !client.may_use(&GrantTypeName::AUTHORIZATION_CODE) {
        return Err(unauthorized(client));
    }
    let challenge = challenge(core, client, parameters)?;
    Ok((scope::resolve(core, client, parameters, None)?, challenge))
}

/// RFC 7636 §4.3 and RFC 9700 §2.1.1. What would fail at the token endpoint fails here.
fn challenge(
    core: &Core,
    client: &Client,
    parameters: &Parameters<'_>,
) -> Result<Option<CodeChallenge>, Error> {
    let method = parameters.get(Parameter::CodeChallengeMethod);
    let Some(value) = parameters.get(Parameter::CodeChallenge) else {
        return match method {
            Some(_) => Err(RequestFailure::MethodWithoutChallenge.into()),
            None if core.settings.requires_pkce(client) => Err(RequestFailure::ChallengeRequired.into()),
            None => Ok(None),
        };
    };
    let method = match method {
        Some(name) => CodeChallengeMethod::parse(name).map_err(|_| RequestFailure::ChallengeMethod)?,
        None => CodeChallengeMethod::Plain,
    };
    if method == CodeChallengeMethod::Plain && !core.settings.allow_plain_pkce {
        return Err(RequestFailure::ChallengeMethod.into());
    }
    let challenge = CodeChallenge::new(method, value);
    challenge.map(Some).map_err(|_| Error::malformed(Parameter::CodeChallenge))
}
