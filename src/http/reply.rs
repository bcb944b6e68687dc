//! What an adapter sends back.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::endpoint::{AuthorizationResponse, Introspection, ResponseMode, TokenKind, TokenResponse};
use crate::error::Error;
use crate::grant_type::Member;
use crate::resource::Refused;
use crate::secret::RefreshToken;

use super::form_post;

/// An HTTP response: status, headers and body.
pub struct Reply {
    status: u16,
    /// What all replies of its kind have.
    common: &'static [(&'static str, &'static str)],
    headers: Headers,
    body: Vec<u8>,
}

/// Names, in lower case, and values.
pub type Headers = Vec<(&'static str, Cow<'static, str>)>;

/// JSON that must not be cached (RFC 6749 §5.1).
const JSON: &[(&str, &str)] =
    &[("content-type", "application/json"), ("cache-control", "no-store"), ("pragma", "no-cache")];

const DOCUMENT: &[(&str, &str)] =
    &[("content-type", "application/json"), ("cache-control", "public, max-age=300")];

/// What leaves neither a copy nor a trace (RFC 9700 §4.2.4, §4.3.1).
const NOT_KEPT: &[(&str, &str)] =
    &[("cache-control", "no-store"), ("pragma", "no-cache"), ("referrer-policy", "no-referrer")];

impl Reply {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers. Names are in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let common = self.common.iter().copied();
        common.chain(self.headers.iter().map(|(name, value)| (*name, &**value)))
    }

    /// The value of the first header with this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body alone, without copying it.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Status, headers and body, without copying them.
    #[must_use]
    pub fn into_parts(self) -> (u16, Headers, Vec<u8>) {
        let common = self.common.iter().map(|(name, value)| (*name, Cow::Borrowed(*value)));
        (self.status, common.chain(self.headers).collect(), self.body)
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, common: &[], headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A successful answer of the token endpoint (RFC 6749 §5.1).
    pub(super) fn token(response: &TokenResponse) -> Self {
        let access = response.access_token().expose();
        let refresh = response.refresh_token().map(RefreshToken::expose);
        let scope = response.scope().as_str();
        let room = 128 + access.len() + refresh.map_or(0, str::len) + scope.len();
        let mut body = String::with_capacity(room);
        // Neither tokens nor scopes can have a character that JSON escapes.
        body.push_str(r#"{"access_token":""#);
        body.push_str(access);
        body.push_str(r#"","token_type":""#);
        body.push_str(TokenResponse::TOKEN_TYPE);
        body.push('"');
        if let Some(seconds) = response.expires_in() {
            body.push_str(r#","expires_in":"#);
            body.push_str(itoa::Buffer::new().format(seconds));
        }
        if let Some(refresh) = refresh {
            body.push_str(r#","refresh_token":""#);
            body.push_str(refresh);
            body.push('"');
        }
        body.push_str(r#","scope":""#);
        body.push_str(scope);
        body.push('"');
        for (name, value) in response.members() {
            body.push(',');
            push_json(&mut body, name);
            body.push(':');
            match value {
                Member::Text(text) => push_json(&mut body, text),
                Member::Number(number) => body.push_str(itoa::Buffer::new().format(*number)),
                Member::Truth(truth) => body.push_str(if *truth { "true" } else { "false" }),
            }
        }
        body.push('}');
        Self { status: 200, common: JSON, headers: Vec::new(), body: body.into_bytes() }
    }

    /// What a token stands for (RFC 7662 §2.2).
    pub(super) fn introspection(told: &Introspection, issuer: &str, username: Option<&str>) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            active: bool,
            #[serde(skip_serializing_if = "str::is_empty")]
            scope: &'a str,
            client_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            username: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            token_type: Option<&'static str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            exp: Option<u64>,
            iat: u64,
            sub: &'a str,
            iss: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            auth_time: Option<u64>,
        }
        let Some(token) = told.active() else {
            let body = br#"{"active":false}"#.to_vec();
            return Self { status: 200, common: JSON, headers: Vec::new(), body };
        };
        let secs = |time: Timestamp| time.as_millis() / 1000;
        Self::json(
            200,
            &Body {
                active: true,
                scope: token.scope().as_str(),
                client_id: token.client().as_str(),
                username,
                token_type: (token.kind() == TokenKind::Access).then_some(TokenResponse::TOKEN_TYPE),
                exp: token.expires_at().map(secs),
                iat: secs(token.issued_at()),
                sub: token.sub(),
                iss: issuer,
                auth_time: token.auth_time().map(secs),
            },
        )
    }

    /// A document that anyone may read and keep for a while.
    pub(super) fn document(json: &[u8]) -> Self {
        Self { status: 200, common: DOCUMENT, headers: Vec::new(), body: json.to_vec() }
    }

    /// An error of a machine endpoint (RFC 6749 §5.2).
    pub(super) fn error(error: &Error, presentation: &Presentation) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'static str,
            error_description: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            error_uri: Option<&'a str>,
        }
        let wire = error.wire();
        let mut reply = Self::json(
            wire.status,
            &Body {
                error: wire.error,
                error_description: wire.description,
                error_uri: presentation.error_uri.as_deref(),
            },
        );
        if wire.challenge {
            // RFC 9110 §15.5.2: a 401 always carries a challenge.
            reply = reply.with("www-authenticate", presentation.challenge.clone());
        }
        if let Some(seconds) = wire.retry_after {
            reply = reply.with("retry-after", seconds.to_string());
        }
        reply
    }

    fn json(status: u16, body: &impl Serialize) -> Self {
        let mut bytes = Vec::with_capacity(256);
        // Serializing plain texts into memory cannot fail.
        let _ = serde_json::to_writer(&mut bytes, body);
        Self { status, common: JSON, headers: Vec::new(), body: bytes }
    }
}

/// A text of somebody else's, with what JSON escapes.
fn push_json(into: &mut String, text: &str) {
    // Serializing a text cannot fail.
    into.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// Sends the browser on: by a 303, or with a page whose form it posts. It may hold a code.
impl From<&AuthorizationResponse> for Reply {
    fn from(response: &AuthorizationResponse) -> Self {
        match response.mode() {
            ResponseMode::Query => {
                let location = response.location().to_owned();
                Self { common: NOT_KEPT, ..Self::empty(303) }.with("location", location)
            }
            ResponseMode::FormPost => Self {
                status: 200,
                common: NOT_KEPT,
                headers: vec![
                    ("content-type", "text/html; charset=utf-8".into()),
                    ("content-security-policy", form_post::policy().into()),
                ],
                body: form_post::page(response).into_bytes(),
            },
        }
    }
}

/// What a request to a protected resource is answered that is not let through (RFC 6750 §3).
impl From<&Refused> for Reply {
    fn from(refused: &Refused) -> Self {
        #[derive(Serialize)]
        struct Body {
            error: &'static str,
            error_description: String,
        }
        let mut reply = match refused.error() {
            Some(error) => {
                Self::json(refused.status(), &Body { error, error_description: refused.reason().to_string() })
            }
            // Without a token there is no error to speak of.
            None => Self::empty(refused.status()).with("cache-control", "no-store"),
        };
        if let Some(challenge) = refused.challenge() {
            reply = reply.with("www-authenticate", challenge.to_owned());
        }
        if refused.status() == 503 {
            reply = reply.with("retry-after", "1");
        }
        reply
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may hold tokens.
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What errors carry besides themselves.
#[derive(Clone, Debug)]
pub(super) struct Presentation {
    /// The value of `WWW-Authenticate`.
    pub(super) challenge: String,
    pub(super) error_uri: Option<String>,
}
