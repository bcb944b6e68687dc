//! `Active → Active`: refresh tokens, their rotation and the detection of reuse
//! (RFC 6749 §6, RFC 9700 §4.14.2).
//!
//! All refresh tokens of a grant share a family and carry a generation. The record keeps
//! digests of the family and of the current and the previous rotating secret. A successor
//! is derived from the token it replaces, so the answer to a lost reply can be given
//! again without being kept.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Lifetime, Timestamp};
use crate::entropy::{Seed, SeedLabel};
use crate::error::{Error, GrantFailure, ScopeFailure};
use crate::scope::Scope;
use crate::server_key::Subkeys;
use crate::token::{Digest, Key, RefreshSecret, Succession};

use super::access::{AccessToken, AccessTokens};
use super::{Active, Allowed, Grant, Issued, IssuedRefresh, RefreshTerms, State, Terms};

/// How far two clocks may differ before a decision is put off.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refresh {
    pub(super) family: Digest,
    pub(super) generation: u32,
    pub(super) current: Digest,
    /// When the current token came to be.
    pub(super) issued_at: Timestamp,
    pub(super) previous: Option<Rotation>,
    pub(super) left: Option<u32>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) idle_until: Option<Timestamp>,
    /// Until when access tokens in child records may live; the record outlives them.
    pub(super) children_until: Option<Timestamp>,
}

/// The last rotation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rotation {
    pub(super) replaced: Digest,
    pub(super) salt: [u8; 16],
}

/// A refresh token as it is presented, and what is asked for with it.
pub(crate) struct RefreshRequest<'a> {
    pub(crate) secret: &'a RefreshSecret,
    /// `None`: all that was granted.
    pub(crate) scope: Option<&'a Scope>,
    /// What the client may have at this time.
    pub(crate) allowed: &'a Scope,
}

/// What becomes of a grant when a refresh token is presented.
pub(crate) enum Refreshed {
    /// `displaced` live access tokens had to go.
    Next {
        next: Arc<Grant>,
        issued: Issued,
        displaced: usize,
    },
    /// The answer of a request before, given again; nothing changes.
    Same {
        issued: Issued,
    },
    /// The access token is a record of its own. `parent` is this grant with more time, if
    /// it needs any.
    Child {
        child: Arc<Grant>,
        issued: Issued,
        parent: Option<Arc<Grant>>,
    },
    /// A token that was replaced long ago: the grant is to be removed.
    Reused,
    /// The token is newer than the record.
    Ahead,
    Refused(Error),
}

impl Refresh {
    pub(super) fn begin(
        secret: &RefreshSecret,
        terms: &RefreshTerms,
        access: Lifetime,
        now: Timestamp,
    ) -> Self {
        let mut refresh = Self {
            family: Digest::of(secret.family.as_slice()),
            generation: secret.generation,
            current: Digest::of(secret.rotating.as_slice()),
            issued_at: now,
            previous: None,
            left: terms.limit,
            expires_at: terms.lifetime.map(|lifetime| now.plus(lifetime)),
            idle_until: terms.idle_lifetime.map(|idle| now.plus(idle)),
            children_until: Some(Timestamp::EPOCH),
        };
        if !terms.rotate && terms.limit.is_none() {
            refresh.make_room_for_children(access);
        }
        refresh
    }

    /// When the last thing that depends on it ends.
    pub(super) fn horizon(&self) -> Option<Timestamp> {
        Some(self.end()?.max(self.children_until?))
    }

    fn end(&self) -> Option<Timestamp> {
        match (self.expires_at, self.idle_until) {
            (Some(absolute), Some(idle)) => Some(absolute.min(idle)),
            (end, None) | (None, end) => end,
        }
    }

    /// A child made at the last moment of this token still lives for `access`.
    fn make_room_for_children(&mut self, access: Lifetime) {
        self.children_until = self.end().and_then(|end| access.end(end));
    }

    fn check_alive(&self, now: Timestamp) -> Result<(), GrantFailure> {
        if self.expires_at.is_some_and(|end| now >= end) {
            return Err(GrantFailure::RefreshExpired);
        }
        if self.idle_until.is_some_and(|end| now >= end) {
            return Err(GrantFailure::RefreshIdle);
        }
        Ok(())
    }
}

/// What a refresh token is to the grant that it names.
enum Standing<'a> {
    Current,
    /// The one before, and its answer may be given again.
    Retry(&'a Rotation),
    Reused,
    Ahead,
    Refused(GrantFailure),
}

impl Grant {
    /// The client must have been authenticated and be the grant's own.
    pub(crate) fn refresh(
        &self,
        request: &RefreshRequest<'_>,
        terms: &Terms,
        keys: &Subkeys,
        seed: &Seed,
        now: Timestamp,
    ) -> Refreshed {
        let State::Active(active) = &self.state else {
            return Refreshed::Refused(GrantFailure::Unknown.into());
        };
        let Some(refresh) = active.refresh() else {
            return Refreshed::Refused(GrantFailure::Unknown.into());
        };
        let repeated = match refresh.recognize(request.secret, terms.refresh.retry_window, now) {
            Standing::Current => None,
            Standing::Retry(rotation) => Some(rotation),
            Standing::Reused => return Refreshed::Reused,
            Standing::Ahead => return Refreshed::Ahead,
            Standing::Refused(reason) => return Refreshed::Refused(reason.into()),
        };
        let scope = match refresh.check_alive(now).map_err(Error::from).and_then(|()| self.narrow(request)) {
            Ok(scope) => scope,
            Err(error) => return Refreshed::Refused(error),
        };
        let step = Step { grant: self, active, refresh, request, terms, scope, now };
        match repeated {
            Some(rotation) => step.answer_again(rotation, keys),
            None if refresh.left == Some(0) => Refreshed::Refused(GrantFailure::RefreshLimitReached.into()),
            None if terms.refresh.rotate => step.rotate(keys, seed),
            None if refresh.left.is_some() => step.count(seed),
            None => step.give_child(seed),
        }
    }

    /// Is `secret` the current refresh token, or the one before it?
    pub(crate) fn knows_refresh(&self, secret: &RefreshSecret) -> bool {
        let Some(refresh) = self.refresh_state() else { return false };
        let rotating = Digest::of(secret.rotating.as_slice());
        let family = refresh.family == Digest::of(secret.family.as_slice());
        let current = refresh.generation == secret.generation && refresh.current == rotating;
        let previous = refresh.generation.checked_sub(1) == Some(secret.generation)
            && refresh.previous.as_ref().is_some_and(|rotation| rotation.replaced == rotating);
        family && (current || previous)
    }

    /// When the refresh token was issued and when it ends, if `secret` is the current one
    /// and it can be used.
    pub(crate) fn live_refresh(
        &self,
        secret: &RefreshSecret,
        now: Timestamp,
    ) -> Option<(Timestamp, Option<Timestamp>)> {
        let refresh = self.refresh_state()?;
        let live = refresh.generation == secret.generation
            && self.knows_refresh(secret)
            && refresh.check_alive(now).is_ok()
            && refresh.left != Some(0);
        live.then(|| (refresh.issued_at, refresh.end()))
    }

    /// A refresh may ask for less than was granted, never for more; what the client lost
    /// in the meantime is left out (RFC 6749 §6).
    fn narrow(&self, request: &RefreshRequest<'_>) -> Result<Scope, Error> {
        let allowed = self.scope.intersection(request.allowed);
        match request.scope {
            Some(asked) if asked.is_subset(&allowed) => Ok(asked.clone()),
            None if !allowed.is_empty() => Ok(allowed),
            asked => {
                let asked = asked.unwrap_or(&self.scope).clone();
                Err(ScopeFailure::TooWide { asked, allowed }.into())
            }
        }
    }
}

impl Refresh {
    fn recognize(&self, secret: &RefreshSecret, window: Duration, now: Timestamp) -> Standing<'_> {
        // Whoever knows no more than the id of a grant has no power over it.
        if self.family != Digest::of(secret.family.as_slice()) {
            return Standing::Refused(GrantFailure::Unknown);
        }
        let rotating = Digest::of(secret.rotating.as_slice());
        match secret.generation.cmp(&self.generation) {
            Ordering::Greater => return Standing::Ahead,
            Ordering::Equal if self.current == rotating => return Standing::Current,
            Ordering::Equal => return Standing::Refused(GrantFailure::RefreshDamaged),
            Ordering::Less => {}
        }
        match &self.previous {
            Some(rotation) if secret.generation + 1 == self.generation => {
                rotation.standing(&rotating, self.issued_at, window, now)
            }
            _ => Standing::Reused,
        }
    }
}

impl Rotation {
    /// What the token that was replaced is worth.
    fn standing(&self, rotating: &Digest, at: Timestamp, window: Duration, now: Timestamp) -> Standing<'_> {
        let age = now.since(at);
        if self.replaced != *rotating {
            Standing::Refused(GrantFailure::RefreshDamaged)
        } else if at.since(now) > CLOCK_SKEW {
            Standing::Refused(GrantFailure::RefreshClockSkew)
        } else if age < window {
            Standing::Retry(self)
        } else if !window.is_zero() && age < window.saturating_add(CLOCK_SKEW) {
            Standing::Refused(GrantFailure::RefreshLate)
        } else {
            Standing::Reused
        }
    }
}

/// A refresh that is going to succeed.
struct Step<'a> {
    grant: &'a Grant,
    active: &'a Active,
    refresh: &'a Refresh,
    request: &'a RefreshRequest<'a>,
    terms: &'a Terms,
    scope: Scope,
    now: Timestamp,
}

impl Step<'_> {
    fn rotate(self, keys: &Subkeys, seed: &Seed) -> Refreshed {
        let Some(generation) = self.refresh.generation.checked_add(1) else {
            return Refreshed::Refused(GrantFailure::RefreshLimitReached.into());
        };
        let mut salt = [0; 16];
        salt.copy_from_slice(seed.derive(SeedLabel::Salt).split_at(16).0);
        let succession = self.succession(generation, &salt, &keys.current);
        let access = succession.access_secret(self.scope.as_str());
        let mut refresh = Refresh {
            generation,
            current: Digest::of(succession.rotating().as_slice()),
            issued_at: self.now,
            previous: Some(Rotation { replaced: self.refresh.current, salt }),
            left: self.refresh.left.map(|left| left - 1),
            ..self.refresh.clone()
        };
        refresh.idle_until = self.idle_until();
        let issued = self.issued(access, self.successor(generation, &succession));
        self.write(refresh, issued)
    }

    /// The last rotation once more, for whoever did not get its answer. It never moves the
    /// window, and binds the access token to the scope that is asked for now.
    fn answer_again(self, rotation: &Rotation, keys: &Subkeys) -> Refreshed {
        let mut successions =
            keys.iter().map(|key| self.succession(self.refresh.generation, &rotation.salt, key));
        let found = successions
            .find(|succession| self.refresh.current == Digest::of(succession.rotating().as_slice()));
        let Some(succession) = found else {
            return Refreshed::Refused(GrantFailure::RefreshKeyChanged.into());
        };
        let access = succession.access_secret(self.scope.as_str());
        let mut issued = self.issued(access, self.successor(self.refresh.generation, &succession));
        let kept = self.active.access_token(&issued.digest).filter(|token| token.is_live(self.now));
        match kept.map(|token| token.expires_at) {
            Some(expires_at) => {
                issued.expires_at = expires_at;
                Refreshed::Same { issued }
            }
            None => {
                let refresh = self.refresh.clone();
                self.write(refresh, issued)
            }
        }
    }

    fn count(self, seed: &Seed) -> Refreshed {
        let refresh = Refresh {
            left: self.refresh.left.map(|left| left - 1),
            idle_until: self.idle_until(),
            ..self.refresh.clone()
        };
        let issued = self.issued(seed.derive(SeedLabel::Access), IssuedRefresh::Same);
        self.write(refresh, issued)
    }

    /// Many may hold this refresh token at once, so what one of them gets is a record of
    /// its own and the shared one is left alone, but for its time.
    fn give_child(self, seed: &Seed) -> Refreshed {
        let access = seed.derive(SeedLabel::Access);
        let issued = self.issued(access, IssuedRefresh::Same);
        let token = AccessToken {
            digest: issued.digest,
            scope: None,
            issued_at: self.now,
            expires_at: issued.expires_at,
        };
        let allowed = Allowed {
            client: self.grant.client.clone(),
            subject: self.grant.subject.clone(),
            grant_type: self.grant.grant_type.clone(),
            scope: self.scope.clone(),
            began_at: self.grant.began_at,
            auth_time: self.grant.auth_time,
        };
        let parent = self.with_more_time(token.expires_at);
        let active = Active::of(AccessTokens::one(token), None, None);
        let child = Grant::new(allowed, Some(self.grant.id), State::Active(active), seed, self.now);
        let issued = Issued { id: child.id, ..issued };
        Refreshed::Child { child, issued, parent }
    }

    /// The record is written only when its idle time moved by more than 1/16, or when it
    /// would end before the child.
    fn with_more_time(&self, child_end: Option<Timestamp>) -> Option<Arc<Grant>> {
        let idle_until = self.idle_until();
        let idle_moved = match (idle_until, self.refresh.idle_until) {
            (Some(new), Some(old)) => {
                let step = self.terms.refresh.idle_lifetime.unwrap_or_default() / 16;
                new.since(old) > step || old.since(new) > step
            }
            (new, old) => new != old,
        };
        let outlived = match (child_end, self.refresh.children_until) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(child), Some(until)) => child > until,
        };
        if !idle_moved && !outlived {
            return None;
        }
        let mut refresh = self.refresh.clone();
        refresh.idle_until = idle_until;
        let before = refresh.children_until;
        refresh.make_room_for_children(self.terms.access_lifetime);
        // Children made under a longer lifetime keep theirs.
        refresh.children_until = before.zip(refresh.children_until).map(|(old, new)| old.max(new));
        Some(self.next(self.active.to_access_tokens(), refresh))
    }

    fn idle_until(&self) -> Option<Timestamp> {
        self.terms.refresh.idle_lifetime.map(|idle| self.now.plus(idle))
    }

    fn write(self, refresh: Refresh, issued: Issued) -> Refreshed {
        let token = AccessToken {
            digest: issued.digest,
            scope: (self.scope != self.grant.scope).then(|| self.scope.clone()),
            issued_at: self.now,
            expires_at: issued.expires_at,
        };
        let (access, displaced) = self.active.with(token, self.now, self.terms.access_tokens_per_grant);
        let next = self.next(access, refresh);
        Refreshed::Next { next, issued, displaced }
    }

    fn next(&self, access: AccessTokens, refresh: Refresh) -> Arc<Grant> {
        self.grant.next(Active::of(access, self.active.spent_code(), Some(refresh)), self.now)
    }

    fn issued(&self, access: crate::token::TokenSecret, refresh: IssuedRefresh) -> Issued {
        Issued {
            id: self.grant.id,
            digest: Digest::of(access.as_slice()),
            access,
            expires_at: self.terms.access_lifetime.end(self.now),
            scope: self.scope.clone(),
            refresh,
        }
    }

    fn succession(&self, generation: u32, salt: &[u8; 16], retry_key: &Key) -> Succession {
        Succession::new(retry_key, self.request.secret, self.grant.id, generation, salt)
    }

    /// The next refresh token: of the same family.
    fn successor(&self, generation: u32, succession: &Succession) -> IssuedRefresh {
        let family = self.request.secret.family.clone();
        let rotating = succession.rotating().clone();
        IssuedRefresh::New(RefreshSecret { family, generation, rotating }.to_bytes())
    }
}
