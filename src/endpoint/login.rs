//! Who a person is: username and password, and secrets of clients that people chose.

use std::net::IpAddr;
use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::{Error, GrantFailure, ServerFailure};
use crate::event::Event;
use crate::limiter::{Attempt, AttemptKind};
use crate::password::{DynPasswordVerifier, Verdict, VerifierError};
use crate::server::Core;
use crate::user::{User, UserPassword};

/// The user with this name and password.
pub(crate) async fn log_in(
    core: &Core,
    username: &str,
    password: &str,
    peer: Option<IpAddr>,
    now: Timestamp,
) -> Result<Arc<User>, Error> {
    let (Some(users), Some(verifier)) = (&core.users, &core.verifier) else {
        return Err(ServerFailure::NoVerifier.into());
    };
    let attempt = Attempt { kind: AttemptKind::Password, name: username, peer, now };
    core.limiter.begin(&attempt).await?;
    let user = users.user(username).await?;
    // Nobody can tell from the time it takes whether there is such a user.
    let verdict = match user.as_ref().map(|user| (user, user.has_password())) {
        Some((_, Some(UserPassword::Phc(hash)))) => verifier.verify(Some(hash), password).await,
        Some((user, Some(UserPassword::External))) => verifier.verify_elsewhere(user, password).await,
        Some((_, None)) | None => verifier.verify(None, password).await,
    };
    let verdict = forgive_unmade(core, &attempt, verdict).await?;
    let Some(user) = user else { return Err(GrantFailure::UnknownUsername.into()) };
    if verdict == Verdict::Wrong {
        return Err(GrantFailure::WrongPassword.into());
    }
    if !user.is_enabled() {
        return Err(GrantFailure::LoginDisabled.into());
    }
    core.limiter.forgive(&attempt).await;
    if verdict == Verdict::RightButWeak {
        renew(core, &**verifier, &user, password).await;
    }
    Ok(user)
}

/// Is one of `secrets`, the readings of what was sent, one that a person chose for `client`?
pub(super) async fn is_chosen_secret(
    core: &Core,
    client: &Client,
    secrets: impl Iterator<Item = &str>,
    peer: Option<IpAddr>,
    now: Timestamp,
) -> Result<bool, Error> {
    let verifier = core.verifier.as_ref().ok_or(ServerFailure::NoVerifier)?;
    let attempt = Attempt { kind: AttemptKind::ClientSecret, name: client.id().as_str(), peer, now };
    core.limiter.begin(&attempt).await?;
    for secret in secrets {
        for hash in client.chosen_secrets(now) {
            let verdict = verifier.verify(Some(hash), secret).await;
            if forgive_unmade(core, &attempt, verdict).await? != Verdict::Wrong {
                core.limiter.forgive(&attempt).await;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// An attempt that could not be made was none.
async fn forgive_unmade(
    core: &Core,
    attempt: &Attempt<'_>,
    verdict: Result<Verdict, VerifierError>,
) -> Result<Verdict, Error> {
    if verdict.is_err() {
        core.limiter.forgive(attempt).await;
    }
    Ok(verdict?)
}

/// Keeps a stronger hash of a password that was right. That it cannot is no reason to fail.
async fn renew(core: &Core, verifier: &dyn DynPasswordVerifier, user: &User, password: &str) {
    let (Some(registry), Some(UserPassword::Phc(old))) = (&core.user_registry, user.has_password()) else {
        return;
    };
    let Ok(Some(new)) = verifier.hash(password).await else { return };
    let subject = user.subject();
    // A password that was changed meanwhile is not to come back, nor anything else of the user.
    match registry.replace_password_hash(subject, old, new).await {
        Ok(true) => core.report(&Event::PasswordRehashed { subject, written: true }),
        Ok(false) => {}
        Err(_) => core.report(&Event::PasswordRehashed { subject, written: false }),
    }
}
