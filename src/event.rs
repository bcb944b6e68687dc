//! What the server decided, as it decides it: [`Event`] and [`EventSink`].
//!
//! All events, their fields and all reasons are listed in [`guide::events`](crate::guide::events).

use crate::error::Error;
#[cfg(feature = "tracing")]
use crate::error::ScopeFailure;
use crate::id::{ClientId, GrantId, GrantTypeName, Subject};
use crate::resource::AccessFailure;
use crate::scope::Scope;

/// One decision. It holds no secret: no code, token, password or client secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An access token was issued.
    #[non_exhaustive]
    TokenIssued {
        /// The grant type of the request.
        grant_type: &'a GrantTypeName,
        /// To whom.
        client: &'a ClientId,
        /// The record it is in: its grant, or a child of it.
        grant: GrantId,
        /// What it stands for.
        scope: &'a Scope,
    },
    /// A token request was refused.
    #[non_exhaustive]
    TokenRefused {
        /// The client, once it is authenticated or if it is what was wrong.
        client: Option<&'a ClientId>,
        /// Why.
        error: &'a Error,
    },
    /// A login of a person was refused, which the host had asked for with
    /// [`log_in`](crate::AuthorizationServer::log_in).
    #[non_exhaustive]
    LoginRefused {
        /// Why.
        error: &'a Error,
    },
    /// A password was right, and its hash weaker than new ones are: it was hashed anew.
    #[non_exhaustive]
    PasswordRehashed {
        /// Whose it is.
        subject: &'a Subject,
        /// False if the user could not be written.
        written: bool,
    },
    /// A resource owner approved, and a code was issued.
    #[non_exhaustive]
    Authorized {
        /// To whom.
        client: &'a ClientId,
        /// Who approved.
        subject: &'a Subject,
        /// The grant.
        grant: GrantId,
        /// What was approved.
        scope: &'a Scope,
    },
    /// An authorization request was refused, by the server or the resource owner.
    #[non_exhaustive]
    AuthorizationRefused {
        /// The client, if the request named a known one.
        client: Option<&'a ClientId>,
        /// Why.
        error: &'a Error,
    },
    /// A client was told what a token stands for.
    #[non_exhaustive]
    Introspected {
        /// Who asked.
        client: Option<&'a ClientId>,
        /// The record that the token is in; `None` if it was said to be inactive.
        grant: Option<GrantId>,
    },
    /// An introspection request was refused.
    #[non_exhaustive]
    IntrospectionRefused {
        /// The client, once it is authenticated or if it is what was wrong.
        client: Option<&'a ClientId>,
        /// Why.
        error: &'a Error,
    },
    /// A revocation request was refused.
    #[non_exhaustive]
    RevocationRefused {
        /// The client, once it is authenticated or if it is what was wrong.
        client: Option<&'a ClientId>,
        /// Why.
        error: &'a Error,
    },
    /// A request to a protected resource was refused.
    #[non_exhaustive]
    AccessRefused {
        /// Whose token it was, if that is known.
        client: Option<&'a ClientId>,
        /// Why.
        reason: AccessFailure,
        /// The scopes any one of which would have done; none if nothing covers the resource.
        needed: &'a Scope,
        /// The scope of the token, if that is known.
        granted: Option<&'a Scope>,
    },
    /// A grant was removed, and all its tokens with it.
    #[non_exhaustive]
    GrantRemoved {
        /// Whose it was.
        client: &'a ClientId,
        /// The grant.
        grant: GrantId,
        /// Why.
        reason: RemovalReason,
    },
    /// A grant had more live access tokens than it may: the oldest were given up.
    #[non_exhaustive]
    AccessTokensDisplaced {
        /// Whose they were.
        client: &'a ClientId,
        /// The grant.
        grant: GrantId,
        /// How many.
        count: usize,
    },
    /// The server was built with a setting that weakens security.
    #[non_exhaustive]
    SecurityWeakened {
        /// The name of the setting.
        setting: &'static str,
    },
}

/// Why a grant was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemovalReason {
    /// Its code was presented again (RFC 6749 §4.1.2).
    CodeReplayed,
    /// A refresh token that had been replaced was presented again (RFC 9700 §4.14.2).
    RefreshReused,
    /// Someone asked for it.
    Revoked,
}

/// Is told of each decision. Called in the middle of requests, so it must not block.
pub trait EventSink: Send + Sync + 'static {
    /// Takes note of `event`.
    fn event(&self, event: &Event<'_>);
}

/// Takes no note of anything. What a server uses unless it is given another.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn event(&self, _: &Event<'_>) {}
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> EventSink for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// Writes each event to `tracing`, under the target `grantor`: failures of this side at
/// `ERROR`, what makes clients wait and what weakens security at `WARN`, refusals and
/// removals at `INFO`, the rest at `DEBUG`.
#[cfg(feature = "tracing")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingEvents;

#[cfg(feature = "tracing")]
impl EventSink for TracingEvents {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::TokenIssued { grant_type, client, grant, scope } => tracing::debug!(
                target: "grantor", %grant_type, %client, %grant, %scope, "token issued"
            ),
            Event::TokenRefused { client, error } => trace_refusal(*client, error, "token refused"),
            Event::LoginRefused { error } => trace_refusal(None, error, "login refused"),
            Event::PasswordRehashed { subject, written } => tracing::info!(
                target: "grantor", %subject, written, "password rehashed"
            ),
            Event::Authorized { client, subject, grant, scope } => tracing::debug!(
                target: "grantor", %client, %subject, %grant, %scope, "authorized"
            ),
            Event::AuthorizationRefused { client, error } => {
                trace_refusal(*client, error, "authorization refused");
            }
            Event::Introspected { client, grant } => tracing::debug!(
                target: "grantor",
                client = client.map(tracing::field::display),
                grant = grant.map(tracing::field::display),
                "introspected"
            ),
            Event::IntrospectionRefused { client, error } => {
                trace_refusal(*client, error, "introspection refused");
            }
            Event::RevocationRefused { client, error } => {
                trace_refusal(*client, error, "revocation refused");
            }
            Event::AccessRefused { client, reason, needed, granted } => tracing::info!(
                target: "grantor",
                client = client.map(tracing::field::display),
                %reason,
                %needed,
                granted = granted.map(tracing::field::display),
                "access refused"
            ),
            Event::GrantRemoved { client, grant, reason } => tracing::info!(
                target: "grantor", %client, %grant, ?reason, "grant removed"
            ),
            Event::AccessTokensDisplaced { client, grant, count } => tracing::info!(
                target: "grantor", %client, %grant, count, "access tokens displaced"
            ),
            Event::SecurityWeakened { setting } => tracing::warn!(
                target: "grantor", setting, "a setting weakens security"
            ),
        }
    }
}

#[cfg(feature = "tracing")]
fn trace_refusal(client: Option<&ClientId>, error: &Error, what: &'static str) {
    let client = client.map(tracing::field::display);
    let reason = error.reason();
    let cause = std::error::Error::source(error);
    match error {
        Error::Server { .. } => {
            tracing::error!(target: "grantor", client, %reason, detail = %error, cause, "{what}");
        }
        Error::Unavailable { .. } => {
            // The first one is in the detail.
            let cause = cause.and_then(std::error::Error::source);
            tracing::warn!(target: "grantor", client, %reason, detail = %error, cause, "{what}");
        }
        Error::InvalidScope { reason: ScopeFailure::TooWide { asked, allowed } } => {
            let (needed, granted) = (asked.as_str(), allowed.as_str());
            tracing::info!(target: "grantor", client, %reason, needed, granted, detail = "invalid_scope", "{what}");
        }
        _ => tracing::info!(target: "grantor", client, %reason, detail = %error, "{what}"),
    }
}
