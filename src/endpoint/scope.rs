//! Which scope a request gets (RFC 6749 §3.3).

use crate::client::Client;
use crate::error::{Error, ScopeFailure};
use crate::parameter::Parameter;
use crate::parameters::Parameters;
use crate::scope::Scope;
use crate::server::Core;
use crate::settings::ScopePolicy;

/// What the request asks for, or the client's default, as far as the client is registered
/// for it and `most` allows it. Never empty.
pub(super) fn resolve(
    core: &Core,
    client: &Client,
    parameters: &Parameters<'_>,
    most: Option<&Scope>,
) -> Result<Scope, Error> {
    let asked = match parameters.get(Parameter::Scope) {
        // Most ask for what they are registered for: its text is shared.
        Some(text) if text == client.default_scopes().as_str() => client.default_scopes().clone(),
        Some(text) if text == client.scopes().as_str() => client.scopes().clone(),
        Some(text) => Scope::parse(text).map_err(|_| ScopeFailure::Malformed)?,
        None if core.settings.require_scope || client.default_scopes().is_empty() => {
            return Err(ScopeFailure::Required.into());
        }
        None => default_within(client, most),
    };
    let allowed = most.map(|most| client.scopes().intersection(most));
    narrow(asked, allowed.as_ref().unwrap_or(client.scopes()), core.settings.scope_policy)
}

/// Who asks for nothing in particular gets of the default what may be had.
fn default_within(client: &Client, most: Option<&Scope>) -> Scope {
    let default = client.default_scopes();
    let within = most.map(|most| default.intersection(most)).filter(|within| !within.is_empty());
    within.unwrap_or_else(|| default.clone())
}

fn narrow(asked: Scope, allowed: &Scope, policy: ScopePolicy) -> Result<Scope, Error> {
    if asked.is_subset(allowed) {
        return Ok(asked);
    }
    let granted = asked.intersection(allowed);
    match policy {
        ScopePolicy::Narrow if !granted.is_empty() => Ok(granted),
        ScopePolicy::Strict | ScopePolicy::Narrow => {
            Err(ScopeFailure::TooWide { asked, allowed: allowed.clone() }.into())
        }
    }
}
