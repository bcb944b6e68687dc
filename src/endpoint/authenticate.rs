//! Who sends a request: looks the client up and checks its credentials (RFC 6749 §3.2.1).

use std::net::IpAddr;
use std::sync::Arc;

use crate::client::authentication::{
    BodyCredentials, Claim, Credentials, HeaderCredentials, spend_like_a_check,
};
use crate::client::{AuthMethod, Client};
use crate::clock::Timestamp;
use crate::error::{ClientFailure, Error, RequestFailure};
use crate::id::ClientId;
use crate::limiter::{Attempt, AttemptKind};
use crate::parameter::Parameter;
use crate::parameters::Parameters;
use crate::server::Core;

use super::login;

/// The client that sent the request.
pub(super) async fn client(
    core: &Core,
    header: HeaderCredentials<'_>,
    parameters: &Parameters<'_>,
    peer: Option<IpAddr>,
    now: Timestamp,
) -> Result<Arc<Client>, Error> {
    let named = parameters.get(Parameter::ClientId);
    let body = BodyCredentials {
        client_id: named,
        client_secret: parameters.get(Parameter::ClientSecret),
        has_assertion: parameters.get(Parameter::ClientAssertion).is_some(),
    };
    let client = match Claim::read(header, body)? {
        Claim::Public { id } => public(core, id).await?,
        Claim::Secret { method, readings } => by_secret(core, method, readings, peer, now).await?,
    };
    // Never a silent mix of two identities.
    if named.is_some_and(|named| named != client.id().as_str()) {
        return Err(RequestFailure::ClientIdMismatch.into());
    }
    Ok(client)
}

async fn public(core: &Core, id: &str) -> Result<Arc<Client>, Error> {
    let id = ClientId::new(id).map_err(|_| Error::malformed(Parameter::ClientId))?;
    let client = core.clients.client(&id).await?.ok_or(ClientFailure::Unknown(id))?;
    client.check_public()?;
    Ok(client)
}

/// The form-decoded reading counts; only if it fails is the raw one tried.
async fn by_secret(
    core: &Core,
    method: AuthMethod,
    readings: [Option<Credentials<'_>>; 2],
    peer: Option<IpAddr>,
    now: Timestamp,
) -> Result<Arc<Client>, Error> {
    let mut failure = ClientFailure::Unsupported;
    for credentials in readings.into_iter().flatten() {
        match check(core, method, credentials, peer, now).await? {
            Ok(client) => return Ok(client),
            Err(failed) => failure = failed,
        }
    }
    if let ClientFailure::Unknown(id) | ClientFailure::WrongSecret(id) = &failure {
        // Whoever has a right secret has been let through before.
        let attempt = Attempt { kind: AttemptKind::GeneratedSecret, name: id.as_str(), peer, now };
        core.limiter.begin(&attempt).await?;
    }
    Err(failure.into())
}

async fn check(
    core: &Core,
    method: AuthMethod,
    credentials: Credentials<'_>,
    peer: Option<IpAddr>,
    now: Timestamp,
) -> Result<Result<Arc<Client>, ClientFailure>, Error> {
    let Ok(id) = ClientId::new(credentials.id) else {
        // A body parameter with characters it cannot have is malformed; in the header it
        // is one more credential that does not do.
        return if method == AuthMethod::ClientSecretPost {
            Err(Error::malformed(Parameter::ClientId))
        } else {
            Ok(Err(ClientFailure::Unsupported))
        };
    };
    let Some(client) = core.clients.client(&id).await? else {
        spend_like_a_check(credentials.secret);
        return Ok(Err(ClientFailure::Unknown(id)));
    };
    let checked = client.check_secret(method, credentials.secret, now);
    let checked = match checked {
        // Only where a secret was chosen by a person is it worth guessing at.
        Err(ClientFailure::WrongSecret(_)) if client.chosen_secrets(now).next().is_some() => {
            let hashes = client.chosen_secrets(now);
            let secret = credentials.secret;
            if login::is_chosen_secret(core, client.id().as_str(), hashes, secret, peer, now).await? {
                client.check_use(method)
            } else {
                // It has been counted.
                return Err(ClientFailure::WrongSecret(id).into());
            }
        }
        checked => checked,
    };
    Ok(checked.map(|()| client))
}
