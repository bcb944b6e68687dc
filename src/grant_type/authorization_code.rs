//! `authorization_code` (RFC 6749 §4.1.3): a code is exchanged for tokens, once.

use crate::clock::Timestamp;
use crate::entropy::Seed;
use crate::error::{Error, GrantFailure};
use crate::grant::{Grant, Redeemed, Redemption, Terms};
use crate::id::GrantTypeName;
use crate::policy::Limits;

use super::{Approval, Authenticated, Decision, GrantType, Transition};

/// A code from the authorization endpoint is exchanged for tokens.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct AuthorizationCodeGrant;

impl GrantType for AuthorizationCodeGrant {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::AUTHORIZATION_CODE
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        Approval::of_code(request)
    }
}

/// One request that redeems a code.
pub(crate) struct Exchange<'a> {
    pub(crate) redemption: Redemption<'a>,
    pub(crate) terms: Terms,
    pub(crate) seed: &'a Seed,
    pub(crate) now: Timestamp,
    /// Has this request itself seen the code unspent, and proved to own it?
    pub(crate) saw_it_unspent: bool,
}

impl Transition for Exchange<'_> {
    fn limit(&mut self, limits: &Limits) {
        self.terms.access_lifetime = limits.shorten(self.terms.access_lifetime);
    }

    fn decide(&mut self, grant: &Grant) -> Decision {
        match grant.redeem(&self.redemption, &self.terms, self.seed, self.now) {
            Redeemed::Next { next, issued } => {
                self.saw_it_unspent = true;
                Decision::Replace { next, issued, displaced: 0 }
            }
            // A browser that sent its request twice is no thief: only who begins with a
            // spent code replays it (RFC 6749 §4.1.2).
            Redeemed::Spent if self.saw_it_unspent => Decision::Refuse(GrantFailure::CodeRaced.into()),
            Redeemed::Spent => Decision::Remove(GrantFailure::CodeReplayed),
            Redeemed::Refused(error) => Decision::Refuse(error),
        }
    }
}
