//! Grants to fill a store with.

mod shapes;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Lifetime, Timestamp};
use crate::entropy::Seed;
use crate::grant::{Allowed, Grant, Issued, IssuedRefresh, RefreshRequest, RefreshTerms, Refreshed, Terms};
use crate::id::{ClientId, GrantTypeName, Subject};
use crate::scope::Scope;
use crate::server_key::{ServerKey, Subkeys};
use crate::token::RefreshSecret;

use super::SeededEntropy;
use super::contract::{Violation, unmade};

/// The time of all samples: the year 2100, so that no store takes them for expired by a
/// clock of its own.
pub(super) const BEGIN: Timestamp = Timestamp::from_secs(4_102_444_800);

/// When the end of a sample does not matter.
pub(super) const LATER: Option<Timestamp> = Some(Timestamp::from_secs(4_102_444_800 + 3600));

/// How often the refresh token of a sample may be used.
pub(super) const REFRESHES: u32 = 1_000_000;

pub(super) const CLIENT: &str = "contract-client";
pub(super) const SUBJECT: &str = "contract-subject";
const SCOPE: &str = "orders.read orders.write";

/// Makes grants, no two of which are the same.
pub(crate) struct Samples {
    entropy: SeededEntropy,
}

/// A new grant, and what it takes to make the versions after it.
pub(super) struct Sample {
    pub(super) grant: Arc<Grant>,
    refresh: RefreshSecret,
    entropy: SeededEntropy,
}

pub(super) type Made<T> = Result<T, Violation>;

impl Samples {
    pub(crate) fn new() -> Self {
        Self { entropy: SeededEntropy::new(0) }
    }

    /// A grant whose end does not matter.
    pub(super) fn grant(&self) -> Made<Sample> {
        self.ending(LATER)
    }

    /// A grant that ends at `end`, at least a second after [`BEGIN`]; `None`: never.
    pub(super) fn ending(&self, end: Option<Timestamp>) -> Made<Sample> {
        self.make(allowed(CLIENT, Some(SUBJECT), SCOPE)?, end, &seed(&self.entropy)?)
    }

    pub(super) fn of(&self, client: &str, subject: Option<&str>) -> Made<Arc<Grant>> {
        Ok(self.make(allowed(client, subject, SCOPE)?, LATER, &seed(&self.entropy)?)?.grant)
    }

    /// Different grants under one id and revision.
    pub(super) fn twins(&self, count: usize) -> Made<Vec<Arc<Grant>>> {
        let seed = seed(&self.entropy)?;
        let scopes = (0..count).map(|at| format!("scope-{at}"));
        scopes.map(|scope| Ok(self.make(allowed(CLIENT, None, &scope)?, LATER, &seed)?.grant)).collect()
    }

    fn make(&self, allowed: Allowed, end: Option<Timestamp>, seed: &Seed) -> Made<Sample> {
        let (grant, issued) = Grant::active(allowed, &terms(end), seed, BEGIN);
        let refresh = refresh_of(issued)?;
        Ok(Sample { grant, refresh, entropy: self.entropy.clone() })
    }
}

impl Sample {
    /// The version after the first, which ends at `end`; different at each call.
    pub(super) fn next(&self, end: Option<Timestamp>) -> Made<Arc<Grant>> {
        self.after(&self.grant, end)
    }

    /// The version after `version`, which ends at `end`; different at each call.
    pub(super) fn after(&self, version: &Grant, end: Option<Timestamp>) -> Made<Arc<Grant>> {
        let request = RefreshRequest { secret: &self.refresh, scope: None, allowed: version.scope() };
        match version.refresh(&request, &terms(end), &keys(), &seed(&self.entropy)?, BEGIN) {
            Refreshed::Next { next, .. } => Ok(next),
            _ => Err(unmade("it cannot be refreshed")),
        }
    }
}

/// Under these, each refresh is one write of the record and moves its end.
fn terms(end: Option<Timestamp>) -> Terms {
    const SECOND: Lifetime = match Lifetime::from_secs(1) {
        Some(second) => second,
        None => Lifetime::NEVER_ENDS,
    };
    Terms {
        access_lifetime: SECOND,
        issue_refresh: true,
        refresh: RefreshTerms {
            rotate: false,
            limit: Some(REFRESHES),
            lifetime: None,
            idle_lifetime: end.map(|end| end.since(BEGIN)),
            retry_window: Duration::ZERO,
        },
        access_tokens_per_grant: 16,
    }
}

fn allowed(client: &str, subject: Option<&str>, scope: &str) -> Made<Allowed> {
    Ok(Allowed {
        client: ClientId::new(client).map_err(unmade)?,
        subject: subject.map(Subject::new).transpose().map_err(unmade)?,
        grant_type: GrantTypeName::AUTHORIZATION_CODE,
        scope: Scope::parse(scope).map_err(unmade)?,
        began_at: BEGIN,
        auth_time: None,
    })
}

fn refresh_of(issued: Issued) -> Made<RefreshSecret> {
    match issued.refresh {
        IssuedRefresh::New(secret) => Ok(RefreshSecret::from_bytes(&secret)),
        _ => Err(unmade("it has no refresh token")),
    }
}

fn keys() -> Subkeys {
    ServerKey::from_bytes([7; 32]).subkeys("grantor/testing/retry")
}

fn seed(entropy: &SeededEntropy) -> Made<Seed> {
    Seed::draw(entropy).map_err(unmade)
}
