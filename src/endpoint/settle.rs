//! Deciding under concurrency: load, decide, write, and look again when in doubt.
//!
//! Any answer to a write but plain success is unknown, not lost: it may have been lost on
//! the way, or the second of two that a driver sent. The digest that the request minted
//! tells whether the record is its own work.

use std::sync::Arc;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::{Error, GrantFailure, ServerFailure, StoreError, Unavailable};
use crate::event::{Event, RemovalReason};
use crate::grant::{Grant, Issued};
use crate::grant_type::{Decision, Transition};
use crate::id::{GrantId, GrantTypeName};
use crate::policy::PolicyRequest;
use crate::server::Core;
use crate::store::{Insert, Read, Remove, Replace};
use crate::token::Digest;

use super::alive;

/// How often a request looks and decides before it gives way.
const ROUNDS: usize = 4;

/// Moves an existing grant on.
pub(super) async fn settle(
    core: &Core,
    client: &Client,
    grant_type: &GrantTypeName,
    id: GrantId,
    mut transition: impl Transition,
    now: Timestamp,
) -> Result<Issued, Error> {
    let mut doubt = Doubt::default();
    let mut written: Option<Issued> = None;
    let mut removing: Option<GrantFailure> = None;
    let mut looked_again = false;
    let mut is_limited = core.policy.is_none();
    for _ in 0..ROUNDS {
        let Some(grant) = core.tokens.load(id, Read::Latest).await? else {
            return Err(removing
                .map_or(GrantFailure::Unknown, |reason| removed(core, client, id, reason))
                .into());
        };
        if let Some(issued) = written.take().filter(|issued| grant.holds(&issued.digest)) {
            return Ok(issued);
        }
        doubt.resolve()?;
        if grant.client() != client.id() {
            return Err(GrantFailure::Foreign.into());
        }
        alive::check(core, client, &grant).await?;
        if !std::mem::replace(&mut is_limited, true) {
            let (subject, granted) = (grant.subject(), Some(grant.scope()));
            let request = PolicyRequest { client, grant_type, subject, granted, now };
            transition.limit(&core.limits(request).await?);
        }
        match transition.decide(&grant) {
            Decision::Answer(issued) => return Ok(issued),
            Decision::Refuse(error) => return Err(error),
            Decision::LookAgain(reason) if looked_again => return Err(reason.into()),
            Decision::LookAgain(_) => looked_again = true,
            Decision::Prepare { next } => match core.tokens.replace(next, grant.revision()).await {
                Ok(Replace::Replaced | Replace::Changed) => {}
                Ok(Replace::Full) => doubt.full = true,
                Err(error) => doubt.failed(error)?,
            },
            Decision::Replace { next, issued, displaced } => {
                match core.tokens.replace(next, grant.revision()).await {
                    Ok(Replace::Replaced) => {
                        report_displaced(core, &grant, displaced);
                        return Ok(issued);
                    }
                    Ok(Replace::Changed) => {}
                    Ok(Replace::Full) => doubt.full = true,
                    Err(error) => doubt.failed(error)?,
                }
                written = Some(issued);
            }
            Decision::Insert { child, issued } => {
                insert(core, child, &issued.digest).await?;
                return Ok(issued);
            }
            Decision::Remove(reason) => {
                removing = Some(reason);
                match core.tokens.remove(id, Some(grant.revision())).await {
                    Ok(Remove::Removed) => return Err(removed(core, client, id, reason).into()),
                    Ok(Remove::Absent) => return Err(reason.into()),
                    Ok(Remove::Changed) => {}
                    Err(error) => doubt.failed(error)?,
                }
            }
        }
    }
    Err(Unavailable::Contention.into())
}

/// Adds a grant that begins, or a child.
pub(super) async fn insert(core: &Core, grant: Arc<Grant>, minted: &Digest) -> Result<(), Error> {
    let mut doubt = Doubt::default();
    for _ in 0..ROUNDS {
        match core.tokens.insert(Arc::clone(&grant)).await {
            Ok(Insert::Inserted) => return Ok(()),
            Ok(Insert::Occupied) => {}
            Ok(Insert::Full) => doubt.full = true,
            Err(error) => doubt.failed(error)?,
        }
        match core.tokens.load(grant.id(), Read::Latest).await? {
            Some(there) if there.holds(minted) => return Ok(()),
            Some(_) => return Err(ServerFailure::IdTaken.into()),
            None => doubt.resolve()?,
        }
    }
    Err(Unavailable::Contention.into())
}

/// What is left open by the writes before.
#[derive(Default)]
struct Doubt {
    full: bool,
    has_failed: bool,
}

impl Doubt {
    /// After a write that failed there is one more look and one more try.
    fn failed(&mut self, error: StoreError) -> Result<(), Error> {
        if std::mem::replace(&mut self.has_failed, true) { Err(error.into()) } else { Ok(()) }
    }

    /// The record is not this request's work: if that was for want of room, so be it.
    fn resolve(&self) -> Result<(), Error> {
        if self.full { Err(Unavailable::Full.into()) } else { Ok(()) }
    }
}

fn report_displaced(core: &Core, grant: &Grant, count: usize) {
    if count > 0 {
        core.report(&Event::AccessTokensDisplaced { client: grant.client(), grant: grant.id(), count });
    }
}

/// Reports that the grant is gone, and gives the reason back.
fn removed(core: &Core, client: &Client, grant: GrantId, reason: GrantFailure) -> GrantFailure {
    let why = match reason {
        GrantFailure::CodeReplayed => RemovalReason::CodeReplayed,
        GrantFailure::RefreshReused => RemovalReason::RefreshReused,
        _ => RemovalReason::Revoked,
    };
    core.report(&Event::GrantRemoved { client: client.id(), grant, reason: why });
    reason
}
