//! An authorization server that is asked over the network (RFC 7662).

use std::fmt;
use std::future::Future;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::id::{ClientId, Subject};
use crate::scope::Scope;
use crate::secret::ClientSecret;

use super::token::{BearerToken, SourceError, TokenSource};

/// Your HTTP client: posts a form to the introspection endpoint.
pub trait IntrospectionCall: Send + Sync + 'static {
    /// Posts `body`, of the type `application/x-www-form-urlencoded`, with the header
    /// `Authorization: {authorization}`, and gives back the body of a 200.
    ///
    /// # Errors
    /// Any other status, and whatever goes wrong on the way. Set a time limit.
    fn post(
        &self,
        authorization: &str,
        body: String,
    ) -> impl Future<Output = Result<Vec<u8>, SourceError>> + Send;
}

/// An authorization server elsewhere that answers introspection requests.
///
/// A token counts as an access token if the answer says so: `"token_type": "Bearer"`.
///
/// ```
/// use grantor::ClientSecret;
/// use grantor::resource::{IntrospectionCall, RemoteServer, SourceError};
///
/// struct Http; // a client of your choice, and the address of the endpoint
///
/// impl IntrospectionCall for Http {
///     async fn post(&self, authorization: &str, body: String) -> Result<Vec<u8>, SourceError> {
///         # let _ = (authorization, body);
///         // client.post(url).header("authorization", authorization)…
///         Ok(br#"{"active":false}"#.to_vec())
///     }
/// }
///
/// let source = RemoteServer::new(Http, &"orders-api".parse()?, &ClientSecret::new("s3cr3t"));
/// # let _ = source;
/// # Ok::<(), grantor::InvalidName>(())
/// ```
pub struct RemoteServer<C> {
    call: C,
    authorization: Zeroizing<String>,
    clock: Box<dyn Clock>,
}

impl<C> fmt::Debug for RemoteServer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteServer").finish_non_exhaustive()
    }
}

impl<C: IntrospectionCall> RemoteServer<C> {
    /// Asks as this client, which has to be registered with `may_introspect`.
    pub fn new(call: C, client: &ClientId, secret: &ClientSecret) -> Self {
        let mut pair = Zeroizing::new(String::new());
        form_encode(&mut pair, client.as_str());
        pair.push(':');
        form_encode(&mut pair, secret.expose());
        let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        Self {
            call,
            authorization: Zeroizing::new(format!("Basic {}", encoded.as_str())),
            clock: Box::new(SystemClock),
        }
    }

    /// Takes the time from `clock`, not from the system.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }
}

impl<C: IntrospectionCall> TokenSource for RemoteServer<C> {
    async fn token(&self, token: &str) -> Result<Option<BearerToken>, SourceError> {
        let mut body = String::from("token_type_hint=access_token&token=");
        form_encode(&mut body, token);
        let answer = self.call.post(&self.authorization, body).await?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(SourceError::new)?;
        // What has expired by this clock is not good here, whatever the other one shows.
        let is_live = |token: &BearerToken| token.expires_at().is_none_or(|end| self.clock.now() < end);
        Ok(answer.read()?.filter(is_live))
    }
}

/// What is looked at of an introspection response (RFC 7662 §2.2).
#[derive(Deserialize)]
struct Answer {
    active: bool,
    scope: Option<String>,
    client_id: Option<String>,
    sub: Option<String>,
    token_type: Option<String>,
    iat: Option<u64>,
    exp: Option<u64>,
}

impl Answer {
    fn read(self) -> Result<Option<BearerToken>, SourceError> {
        // Refresh tokens are active, too, and are told from access tokens by having no type.
        let is_bearer = self.token_type.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("bearer"));
        if !self.active || !is_bearer {
            return Ok(None);
        }
        let scope = match self.scope.as_deref().filter(|scope| !scope.is_empty()) {
            Some(scope) => Scope::parse(scope).map_err(SourceError::new)?,
            None => Scope::empty(),
        };
        let client = self.client_id.map(ClientId::new).transpose().map_err(SourceError::new)?;
        let is_client = client.as_ref().is_some_and(|client| Some(client.as_str()) == self.sub.as_deref());
        let owner = self.sub.as_deref().filter(|_| !is_client);
        Ok(Some(BearerToken {
            subject: owner.map(Subject::new).transpose().map_err(SourceError::new)?,
            client,
            sub: self.sub,
            scope,
            issued_at: self.iat.map(Timestamp::from_secs),
            expires_at: self.exp.map(Timestamp::from_secs),
        }))
    }
}

fn form_encode(into: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
            into.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
