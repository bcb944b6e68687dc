//! Who sends a request: looks the client up and checks its credentials (RFC 6749 §3.2.1).

use std::net::IpAddr;
use std::sync::Arc;

use crate::client::authentication::{BodyCredentials, Claim, Credentials, HeaderCredentials};
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
    let mut chosen = [None, None];
    for (credentials, chosen) in readings.into_iter().flatten().zip(&mut chosen) {
        match check(core, method, credentials, now).await? {
            Checked::Right(client) => return Ok(client),
            Checked::MayBeChosen(client) => *chosen = Some((client, credentials.secret)),
            Checked::Wrong(failed) => failure = failed,
        }
    }
    if chosen.iter().any(Option::is_some) {
        // Boxed, since few requests get here and all would carry it along.
        return Box::pin(by_chosen_secret(core, method, &chosen, peer, now)).await;
    }
    if let ClientFailure::Unknown(id) | ClientFailure::WrongSecret(id) = &failure {
        // Whoever has a right secret has been let through before.
        let attempt = Attempt { kind: AttemptKind::GeneratedSecret, name: id.as_str(), peer, now };
        core.limiter.begin(&attempt).await?;
    }
    Err(failure.into())
}

/// Both readings are one attempt.
async fn by_chosen_secret(
    core: &Core,
    method: AuthMethod,
    readings: &[Option<(Arc<Client>, &str)>; 2],
    peer: Option<IpAddr>,
    now: Timestamp,
) -> Result<Arc<Client>, Error> {
    let Some((client, _)) = readings.iter().flatten().next() else {
        return Err(ClientFailure::Unsupported.into());
    };
    let own = readings.iter().flatten().filter(|(other, _)| other.id() == client.id());
    let secrets = own.map(|(_, secret)| *secret);
    if login::is_chosen_secret(core, client, secrets, peer, now).await? {
        client.check_use(method)?;
        Ok(Arc::clone(client))
    } else {
        // It has been counted.
        Err(ClientFailure::WrongSecret(client.id().clone()).into())
    }
}

/// What can be said of credentials without a slow hash.
enum Checked {
    Right(Arc<Client>),
    /// The client has secrets that a person chose.
    MayBeChosen(Arc<Client>),
    Wrong(ClientFailure),
}

async fn check(
    core: &Core,
    method: AuthMethod,
    credentials: Credentials<'_>,
    now: Timestamp,
) -> Result<Checked, Error> {
    let Ok(id) = ClientId::new(credentials.id) else {
        // A body parameter with characters it cannot have is malformed; in the header it
        // is one more credential that does not do.
        return if method == AuthMethod::ClientSecretPost {
            Err(Error::malformed(Parameter::ClientId))
        } else {
            Ok(Checked::Wrong(ClientFailure::Unsupported))
        };
    };
    let found = core.clients.client(&id).await?;
    let is_known = found.is_some();
    // The same is done for all, so that time does not tell which clients there are.
    let client = found.unwrap_or_else(|| Arc::clone(&core.nobody));
    let checked = client.check_secret(method, credentials.secret, now);
    // Only where a secret was chosen by a person is it worth guessing at.
    let may_be_chosen = client.chosen_secrets(now).next().is_some();
    std::hint::black_box((&checked, may_be_chosen));
    Ok(match checked {
        _ if !is_known => Checked::Wrong(ClientFailure::Unknown(id)),
        Ok(()) => Checked::Right(client),
        Err(ClientFailure::WrongSecret(_)) if may_be_chosen => Checked::MayBeChosen(client),
        Err(failure) => Checked::Wrong(failure),
    })
}
