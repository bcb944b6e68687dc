//! `refresh_token` (RFC 6749 §6).

use crate::clock::Timestamp;
use crate::entropy::Seed;
use crate::error::{Error, GrantFailure};
use crate::grant::{Grant, RefreshRequest, Refreshed, Terms};
use crate::id::GrantTypeName;
use crate::server_key::Subkeys;

use super::{Approval, Authenticated, Decision, GrantType, Transition};

/// A refresh token is exchanged for a new access token.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RefreshTokenGrant;

impl GrantType for RefreshTokenGrant {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::REFRESH_TOKEN
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        Approval::of_refresh_token(request)
    }
}

/// One request that presents a refresh token.
pub(crate) struct Refreshing<'a> {
    pub(crate) request: RefreshRequest<'a>,
    pub(crate) terms: Terms,
    pub(crate) keys: &'a Subkeys,
    pub(crate) seed: &'a Seed,
    pub(crate) now: Timestamp,
}

impl Transition for Refreshing<'_> {
    fn decide(&mut self, grant: &Grant) -> Decision {
        match grant.refresh(&self.request, &self.terms, self.keys, self.seed, self.now) {
            Refreshed::Next { next, issued, displaced } => Decision::Replace { next, issued, displaced },
            Refreshed::Same { issued } => Decision::Answer(issued),
            Refreshed::Child { parent: Some(next), .. } => Decision::Prepare { next },
            Refreshed::Child { child, issued, parent: None } => Decision::Insert { child, issued },
            Refreshed::Reused => Decision::Remove(GrantFailure::RefreshReused),
            Refreshed::Ahead => Decision::LookAgain(GrantFailure::RefreshAhead),
            Refreshed::Refused(error) => Decision::Refuse(error),
        }
    }
}
