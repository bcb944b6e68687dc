//! How large a record gets.

use std::time::Duration;

use crate::grant::Grant;
use crate::store::{Read, TokenStore};
use crate::testing::contract::{Checked, Rule, Violations};

use super::Skew;
use super::scene::{Ask, Company, Opening, Scene};

const GROWTH: Rule = Rule("protocol_growth");

/// After so many refreshes a record is as large as it gets: it holds 16 access tokens.
const SETTLED: usize = 40;

/// Refreshes one grant so many times, and checks that its record is then no larger than after
/// the first few: with tokens that live on, with tokens that expire meanwhile, and with child
/// records, for which the record of the grant is not written at all.
///
/// Ten thousand is a long life for a grant. `new_store` gives an empty store at each call, with
/// room for as many child records.
///
/// ```
/// use grantor::store::MemoryTokenStore;
/// use grantor::testing::{block_on, contract};
///
/// block_on(contract::growth(async || MemoryTokenStore::new(), 100))?;
/// # Ok::<(), contract::Violations>(())
/// ```
///
/// # Errors
/// The record that grew.
pub async fn growth<S: TokenStore>(
    new_store: impl AsyncFn() -> S,
    refreshes: usize,
) -> Result<(), Violations> {
    let company = Company::new().map_err(Violations::one)?;
    for (opening, step) in [
        (Opening::LoggedIn, Duration::ZERO),
        (Opening::LoggedIn, Duration::from_secs(100)),
        (Opening::WithChildren, Duration::ZERO),
    ] {
        let scene = company.open(opening, Skew::None, new_store().await).await.map_err(Violations::one)?;
        grow(scene, step, refreshes).await.map_err(Violations::one)?;
    }
    Ok(())
}

async fn grow<S: TokenStore>(mut scene: Scene<S>, step: Duration, refreshes: usize) -> Checked {
    let mut largest = 0;
    let mut revision = None;
    for refresh in 0..refreshes {
        scene.tokens_by(Ask::Refresh).await?;
        // Nobody asks for the tokens before.
        scene.access.drain(..scene.access.len() - 1);
        scene.clock.advance(step);
        let record = record(&scene).await?;
        let size = record.to_stored().len();
        if refresh < SETTLED {
            largest = largest.max(size);
        }
        // Times and counters get longer now and then.
        GROWTH.ensure(size <= largest + 64, || {
            format!("after {refresh} refreshes the record has {size} bytes, after {SETTLED} it had {largest}")
        })?;
        if scene.opening == Opening::WithChildren {
            let first = *revision.get_or_insert(record.revision());
            GROWTH.same("revision of the parent", &record.revision(), &first)?;
        }
    }
    Ok(())
}

async fn record<S: TokenStore>(scene: &Scene<S>) -> Checked<std::sync::Arc<Grant>> {
    let loaded = match scene.grant {
        Some(id) => GROWTH.answer("load", scene.store.load(id, Read::Latest).await)?,
        None => None,
    };
    loaded.ok_or_else(|| GROWTH.broken("the record of a grant is gone".into()))
}
