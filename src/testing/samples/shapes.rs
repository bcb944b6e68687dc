//! Grants in every state.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Lifetime, Timestamp};
use crate::grant::{
    Allowed, CodeTerms, Grant, Redeemed, Redemption, RefreshRequest, RefreshTerms, Refreshed, Terms,
};
use crate::id::GrantTypeName;
use crate::pkce::CodeVerifier;
use crate::scope::Scope;

use super::super::contract::unmade;
use super::{BEGIN, CLIENT, LATER, Made, SUBJECT, Samples, allowed, keys, refresh_of, seed, terms};

const HOUR: Duration = Duration::from_secs(3600);
const REDIRECT_URI: &str = "https://app.example/callback?tenant=%C3%A9";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

impl Samples {
    /// Grants that have, between them, all there is to keep.
    pub(crate) fn every_shape(&self) -> Made<Vec<Arc<Grant>>> {
        let unlimited = RefreshTerms { limit: None, lifetime: Some(HOUR), ..terms(LATER).refresh };
        let rotating = Terms { refresh: RefreshTerms { rotate: true, ..unlimited }, ..terms(LATER) };
        let shared = Terms { refresh: unlimited, ..terms(LATER) };
        let ([pending, _], [_, redeemed]) = (self.code_and_redeemed()?, self.code_and_redeemed()?);
        let mut shapes =
            vec![self.endless()?, self.bare_code()?, pending, redeemed, self.rotated(&rotating)?];
        shapes.extend(self.parent_and_child(&shared)?);
        shapes.push(self.with_many_tokens()?);
        Ok(shapes)
    }

    /// A client's own grant, without an end and without a scope.
    fn endless(&self) -> Made<Arc<Grant>> {
        let terms = Terms { access_lifetime: Lifetime::NEVER_ENDS, issue_refresh: false, ..terms(None) };
        let grant_type = GrantTypeName::CLIENT_CREDENTIALS;
        let allowed =
            Allowed { grant_type, scope: Scope::empty(), ..allowed("a client's \"id\"", None, "a")? };
        Ok(Grant::active(allowed, &terms, &seed(&self.entropy)?, BEGIN).0)
    }

    /// A code that is bound to nothing.
    fn bare_code(&self) -> Made<Arc<Grant>> {
        let code = CodeTerms { lifetime: HOUR, redirect_uri: None, challenge: None };
        let allowed = allowed(CLIENT, Some("Zoë"), "!#~")?;
        Ok(Grant::with_code(allowed, code, &seed(&self.entropy)?, BEGIN).0)
    }

    /// A code, and the version of its grant once it is redeemed.
    pub(in crate::testing) fn code_and_redeemed(&self) -> Made<[Arc<Grant>; 2]> {
        let verifier = CodeVerifier::new(VERIFIER).map_err(unmade)?;
        let code = CodeTerms {
            lifetime: HOUR,
            redirect_uri: Some(REDIRECT_URI.into()),
            challenge: Some(verifier.challenge()),
        };
        let allowed = Allowed {
            began_at: Timestamp::from_millis(BEGIN.as_millis() - 1234),
            auth_time: Some(Timestamp::from_millis(BEGIN.as_millis() - 2345)),
            grant_type: GrantTypeName::new("urn:example:params:oauth:grant-type:sample").map_err(unmade)?,
            ..allowed(CLIENT, Some(SUBJECT), "b a")?
        };
        let (pending, secret) = Grant::with_code(allowed, code, &seed(&self.entropy)?, BEGIN);
        let redemption =
            Redemption { code: &secret, redirect_uri: Some(REDIRECT_URI), verifier: Some(VERIFIER) };
        let later = BEGIN.plus(Duration::from_millis(1001));
        match pending.redeem(&redemption, &terms(LATER), &seed(&self.entropy)?, later) {
            Redeemed::Next { next, .. } => Ok([pending, next]),
            _ => Err(unmade("its code cannot be redeemed")),
        }
    }

    /// A refresh token that was rotated for a narrower access token.
    fn rotated(&self, terms: &Terms) -> Made<Arc<Grant>> {
        let allowed = allowed(CLIENT, Some(SUBJECT), "a b")?;
        let (grant, issued) = Grant::active(allowed, terms, &seed(&self.entropy)?, BEGIN);
        let narrow = Scope::parse("a").map_err(unmade)?;
        let secret = refresh_of(issued)?;
        let request = RefreshRequest { secret: &secret, scope: Some(&narrow), allowed: grant.scope() };
        match grant.refresh(&request, terms, &keys(), &seed(&self.entropy)?, BEGIN) {
            Refreshed::Next { next, .. } => Ok(next),
            _ => Err(unmade("it cannot be rotated")),
        }
    }

    fn parent_and_child(&self, terms: &Terms) -> Made<[Arc<Grant>; 2]> {
        let allowed = allowed(CLIENT, Some(SUBJECT), "a b")?;
        let (parent, issued) = Grant::active(allowed, terms, &seed(&self.entropy)?, BEGIN);
        let secret = refresh_of(issued)?;
        let request = RefreshRequest { secret: &secret, scope: None, allowed: parent.scope() };
        match parent.refresh(&request, terms, &keys(), &seed(&self.entropy)?, BEGIN) {
            Refreshed::Child { child, .. } => Ok([parent, child]),
            _ => Err(unmade("it has no child")),
        }
    }

    fn with_many_tokens(&self) -> Made<Arc<Grant>> {
        let sample = self.grant()?;
        (0..20).try_fold(Arc::clone(&sample.grant), |grant, _| sample.after(&grant, LATER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_use_both_halves_of_the_revisions() {
        let shapes = Samples::new().every_shape().unwrap();
        assert!(shapes.iter().any(|grant| grant.revision().as_u64() > i64::MAX as u64));
        assert!(shapes.iter().any(|grant| grant.revision().as_u64() < i64::MAX as u64));
        assert!(shapes.iter().any(|grant| grant.parent().is_some()));
    }

    #[test]
    fn a_version_ends_when_it_is_told_to_and_is_like_no_other() {
        let samples = Samples::new();
        for end in [LATER, None] {
            let sample = samples.ending(end).unwrap();
            assert_eq!(sample.grant.expires_at(), end);
            for end in [Some(BEGIN.plus(HOUR * 2)), None, Some(BEGIN.plus(HOUR / 2))] {
                assert_eq!(sample.next(end).unwrap().expires_at(), end);
            }
            assert_ne!(sample.next(LATER).unwrap(), sample.next(LATER).unwrap());
        }
        let twins = samples.twins(2).unwrap();
        assert_eq!((twins[0].id(), twins[0].revision()), (twins[1].id(), twins[1].revision()));
        assert_ne!(twins[0], twins[1]);
    }
}
