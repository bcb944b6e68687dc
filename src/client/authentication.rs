//! Client authentication (RFC 6749 §2.3): which credentials a request has, and whether
//! they are a client's own.

use crate::clock::Timestamp;
use crate::error::{ClientFailure, Error, RequestFailure};
use crate::password::PasswordHash;
use crate::token::Digest;

use super::{AuthMethod, Client, HashedSecret};

/// What the `Authorization` header says.
#[derive(Clone, Copy, Default)]
pub(crate) enum HeaderCredentials<'a> {
    #[default]
    Absent,
    /// Another scheme than Basic, or Basic that cannot be read.
    Unsupported,
    /// Form-decoded as RFC 6749 §2.3.1 has it, and as it stands, which is what many clients
    /// send; the second only where it differs.
    Basic { decoded: Option<Credentials<'a>>, raw: Option<Credentials<'a>> },
}

/// A client id and a secret, not yet checked.
#[derive(Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
}

/// What the body says.
#[derive(Clone, Copy)]
pub(crate) struct BodyCredentials<'a> {
    pub(crate) client_id: Option<&'a str>,
    pub(crate) client_secret: Option<&'a str>,
    pub(crate) has_assertion: bool,
}

/// Who a request says it comes from, and how it wants to prove it.
#[derive(Clone, Copy)]
pub(crate) enum Claim<'a> {
    Secret { method: AuthMethod, readings: [Option<Credentials<'a>>; 2] },
    Public { id: &'a str },
}

impl<'a> Claim<'a> {
    /// One way of authentication per request (RFC 6749 §2.3).
    pub(crate) fn read(header: HeaderCredentials<'a>, body: BodyCredentials<'a>) -> Result<Self, Error> {
        let in_header = !matches!(header, HeaderCredentials::Absent);
        let ways = [in_header, body.client_secret.is_some(), body.has_assertion];
        if ways.iter().filter(|used| **used).count() > 1 {
            return Err(RequestFailure::SeveralCredentials.into());
        }
        if body.has_assertion {
            return Err(ClientFailure::Unsupported.into());
        }
        match header {
            HeaderCredentials::Unsupported => Err(ClientFailure::Unsupported.into()),
            HeaderCredentials::Basic { decoded, raw } => {
                Ok(Self::Secret { method: AuthMethod::ClientSecretBasic, readings: [decoded, raw] })
            }
            HeaderCredentials::Absent => match (body.client_id, body.client_secret) {
                (Some(id), Some(secret)) => {
                    let readings = [Some(Credentials { id, secret }), None];
                    Ok(Self::Secret { method: AuthMethod::ClientSecretPost, readings })
                }
                (Some(id), None) => Ok(Self::Public { id }),
                (None, _) => Err(ClientFailure::Missing.into()),
            },
        }
    }
}

impl Client {
    /// Does `secret`, sent by `method`, prove that this is the client?
    pub(crate) fn check_secret(
        &self,
        method: AuthMethod,
        secret: &str,
        now: Timestamp,
    ) -> Result<(), ClientFailure> {
        let id = || self.id.clone();
        let presented = Digest::of(secret.as_bytes());
        // All are compared, so that time does not tell which one is near.
        let mut matching: Option<&HashedSecret> = None;
        for own in &self.secrets {
            if own.matches(&presented) && (matching.is_none() || own.is_live(now)) {
                matching = Some(own);
            }
        }
        match matching {
            None => Err(ClientFailure::WrongSecret(id())),
            Some(_) if !self.auth_methods.contains(&method) => Err(ClientFailure::MethodNotAllowed(id())),
            Some(own) if !own.is_live(now) => Err(ClientFailure::ExpiredSecret(id())),
            Some(_) => self.check_use(method),
        }
    }

    /// The secrets that people chose, those that have expired left out.
    pub(crate) fn chosen_secrets(&self, now: Timestamp) -> impl Iterator<Item = &PasswordHash> {
        self.secrets.iter().filter(move |secret| secret.is_live(now)).filter_map(HashedSecret::as_phc)
    }

    /// Its secret was right: may it use the method, and is it enabled?
    pub(crate) fn check_use(&self, method: AuthMethod) -> Result<(), ClientFailure> {
        if !self.auth_methods.contains(&method) {
            return Err(ClientFailure::MethodNotAllowed(self.id.clone()));
        }
        if !self.enabled {
            return Err(ClientFailure::Disabled(self.id.clone()));
        }
        Ok(())
    }

    /// May the client just name itself?
    pub(crate) fn check_public(&self) -> Result<(), ClientFailure> {
        if !self.auth_methods.contains(&AuthMethod::None) {
            return Err(ClientFailure::MethodNotAllowed(self.id.clone()));
        }
        if !self.enabled {
            return Err(ClientFailure::Disabled(self.id.clone()));
        }
        Ok(())
    }
}
