//! `CodeIssued → Active`: redeeming an authorization code (RFC 6749 §4.1.3).

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::entropy::Seed;
use crate::error::{Error, GrantFailure, RequestFailure};
use crate::pkce::{CodeChallenge, CodeVerifier};
use crate::token::{Digest, TokenSecret};

use super::{Active, Grant, Issued, State, Terms};

/// A code that is yet to be redeemed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Code {
    pub(super) digest: Digest,
    pub(super) expires_at: Timestamp,
    /// As it was in the authorization request; `None` if it was left out there.
    pub(super) redirect_uri: Option<Arc<str>>,
    pub(super) challenge: Option<CodeChallenge>,
}

impl Code {
    pub(super) fn size(&self) -> usize {
        self.redirect_uri.as_ref().map_or(0, |uri| uri.len())
            + self.challenge.as_ref().map_or(0, |challenge| challenge.as_str().len())
    }
}

/// A code as it is presented, with all that it is bound to but the client.
pub(crate) struct Redemption<'a> {
    pub(crate) code: &'a TokenSecret,
    pub(crate) redirect_uri: Option<&'a str>,
    pub(crate) verifier: Option<&'a str>,
}

impl Redemption<'_> {
    /// One digest that tells a replay of this redemption from anything else.
    fn proof(&self) -> Digest {
        // An empty parameter counts as absent, here as everywhere.
        let redirect_uri = self.redirect_uri.unwrap_or_default();
        let verifier = self.verifier.unwrap_or_default();
        Digest::of_parts(
            "grantor/spent/1",
            &[self.code.as_slice(), redirect_uri.as_bytes(), verifier.as_bytes()],
        )
    }
}

/// What becomes of a grant when a code is presented.
pub(crate) enum Redeemed {
    Next {
        next: Arc<Grant>,
        issued: Issued,
    },
    /// It was redeemed before, in the same way.
    Spent,
    Refused(Error),
}

impl Grant {
    /// The client must have been authenticated and be the grant's own.
    pub(crate) fn redeem(
        &self,
        redemption: &Redemption<'_>,
        terms: &Terms,
        seed: &Seed,
        now: Timestamp,
    ) -> Redeemed {
        let code = match &self.state {
            State::CodeIssued(code) => code,
            State::Active(active) if active.spent_code() == Some(redemption.proof()) => {
                return Redeemed::Spent;
            }
            State::Active(_) => return Redeemed::Refused(GrantFailure::Unknown.into()),
        };
        if let Err(error) = code.check(redemption, now) {
            return Redeemed::Refused(error);
        }
        let (active, mut issued) =
            Active::begin(self.scope.clone(), terms, Some(redemption.proof()), seed, now);
        issued.id = self.id;
        Redeemed::Next { next: self.next(active, now), issued }
    }
}

impl Code {
    fn check(&self, redemption: &Redemption<'_>, now: Timestamp) -> Result<(), Error> {
        if self.digest != Digest::of(redemption.code.as_slice()) {
            return Err(GrantFailure::Unknown.into());
        }
        if now >= self.expires_at {
            return Err(GrantFailure::CodeExpired.into());
        }
        match (&self.redirect_uri, redemption.redirect_uri) {
            (None, None) => {}
            (Some(asked), Some(sent)) if **asked == *sent => {}
            (Some(_), None) => return Err(GrantFailure::RedirectUriMissing.into()),
            _ => return Err(GrantFailure::RedirectUriMismatch.into()),
        }
        match (&self.challenge, redemption.verifier) {
            (None, None) => Ok(()),
            // RFC 9700 §4.8.2: else PKCE could be stripped from the authorization request.
            (None, Some(_)) => Err(RequestFailure::VerifierWithoutChallenge.into()),
            (Some(_), None) => Err(GrantFailure::VerifierMissing.into()),
            (Some(challenge), Some(verifier)) => match CodeVerifier::new(verifier) {
                Ok(verifier) if challenge.is_met_by(&verifier) => Ok(()),
                _ => Err(GrantFailure::VerifierMismatch.into()),
            },
        }
    }
}
