//! What goes back to the client by way of the browser (RFC 6749 §4.1.2, RFC 9207).

use std::fmt;

use zeroize::Zeroizing;

use crate::error::Error;
use crate::id::GrantId;
use crate::redirect_uri::RedirectUri;
use crate::server::Core;

/// How the answer gets to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseMode {
    /// In the query of the redirect URI, by redirecting the browser.
    #[default]
    Query,
    /// In a form that the browser posts to the redirect URI.
    FormPost,
}

impl ResponseMode {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Query),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }
}

/// An answer to an authorization request. [`http::Reply`](crate::http::Reply) has a conversion
/// from it that does what the mode says.
pub struct AuthorizationResponse {
    location: Zeroizing<String>,
    form: Vec<(&'static str, Zeroizing<String>)>,
    mode: ResponseMode,
    pub(super) grant: Option<GrantId>,
}

impl AuthorizationResponse {
    /// Where to redirect the browser, by a 303, or in the mode [`ResponseMode::FormPost`] where it
    /// has to post [`form`](Self::form). It may contain a code: do not log it.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// How the answer is to get to the client.
    #[must_use]
    pub fn mode(&self) -> ResponseMode {
        self.mode
    }

    /// The fields to post, none unless the mode is [`ResponseMode::FormPost`]. They come from the
    /// client and may hold a code: escape them in HTML, and do not log them.
    pub fn form(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.form.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The grant that was made; `None` if nothing was allowed.
    #[must_use]
    pub fn grant(&self) -> Option<GrantId> {
        self.grant
    }
}

impl fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationResponse").field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// An authorization request that cannot go on. Exhaustive: a host has to do one or the
/// other.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizationRefused {
    /// The client or its redirect URI is not to be trusted: show a page, never redirect.
    #[error("{error}")]
    Page {
        /// Why.
        #[source]
        error: Error,
    },
    /// Redirect the browser; the client is told.
    #[error("{error}")]
    Redirect {
        /// Why.
        #[source]
        error: Error,
        /// Where to.
        response: AuthorizationResponse,
    },
}

impl AuthorizationRefused {
    pub(super) fn page(error: Error) -> Self {
        Self::Page { error }
    }

    /// Why it cannot go on.
    #[must_use]
    pub fn error(&self) -> &Error {
        match self {
            Self::Page { error } | Self::Redirect { error, .. } => error,
        }
    }
}

/// A client that may be answered: its redirect URI has been checked.
pub(super) struct ReplyTo<'a> {
    issuer: &'a str,
    redirect_uri: &'a str,
    state: Option<&'a str>,
    mode: ResponseMode,
}

impl<'a> ReplyTo<'a> {
    pub(super) fn new(
        core: &'a Core,
        redirect_uri: &'a str,
        state: Option<&'a str>,
        mode: ResponseMode,
    ) -> Self {
        Self { issuer: &core.issuer, redirect_uri, state, mode }
    }

    pub(super) fn code(&self, grant: GrantId, code: &str) -> AuthorizationResponse {
        self.with(&[("code", code)], Some(grant))
    }

    pub(super) fn denied(&self) -> AuthorizationResponse {
        self.error(&Error::AccessDenied)
    }

    pub(super) fn refused(&self, error: Error) -> AuthorizationRefused {
        let response = self.error(&error);
        AuthorizationRefused::Redirect { error, response }
    }

    fn error(&self, error: &Error) -> AuthorizationResponse {
        let wire = error.wire();
        self.with(&[("error", wire.error), ("error_description", wire.description)], None)
    }

    /// `iss` is in each response, so that a client of several servers can tell them apart
    /// (RFC 9207 §2); `state` in each whose request had one.
    fn with(&self, own: &[(&'static str, &str)], grant: Option<GrantId>) -> AuthorizationResponse {
        let state = self.state.map(|state| ("state", state));
        let parameters: Vec<_> = own.iter().copied().chain(state).chain([("iss", self.issuer)]).collect();
        let (location, form) = match self.mode {
            ResponseMode::Query => (RedirectUri::with_query(self.redirect_uri, &parameters), Vec::new()),
            ResponseMode::FormPost => {
                let field = |(name, value): (&'static str, &str)| (name, Zeroizing::new(value.to_owned()));
                (self.redirect_uri.to_owned(), parameters.into_iter().map(field).collect())
            }
        };
        AuthorizationResponse { location: Zeroizing::new(location), form, mode: self.mode, grant }
    }
}
