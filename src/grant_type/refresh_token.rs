//! `refresh_token` (RFC 6749 §6).

use std::borrow::Cow;

use crate::clock::Timestamp;
use crate::entropy::Seed;
use crate::error::{Error, GrantFailure};
use crate::grant::{Grant, RefreshRequest, Refreshed, Terms};
use crate::id::GrantTypeName;
use crate::policy::Limits;
use crate::scope::Scope;
use crate::server_key::Subkeys;
use crate::token::RefreshSecret;

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
    pub(crate) secret: &'a RefreshSecret,
    /// `None`: all that was granted.
    pub(crate) scope: Option<&'a Scope>,
    /// What the client may have at this time.
    pub(crate) allowed: Cow<'a, Scope>,
    pub(crate) terms: Terms,
    pub(crate) keys: &'a Subkeys,
    pub(crate) seed: &'a Seed,
    pub(crate) now: Timestamp,
}

impl Transition for Refreshing<'_> {
    fn limit(&mut self, limits: &Limits) {
        self.terms.access_lifetime = limits.shorten(self.terms.access_lifetime);
        if let Some(most) = &limits.scope {
            self.allowed = Cow::Owned(self.allowed.intersection(most));
        }
    }

    fn decide(&mut self, grant: &Grant) -> Decision {
        let request = RefreshRequest { secret: self.secret, scope: self.scope, allowed: &self.allowed };
        match grant.refresh(&request, &self.terms, self.keys, self.seed, self.now) {
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
