//! For resource servers: from the bearer token of a request to what it may do (RFC 6750).
//!
//! A [`ResourceGuard`] takes the token out of a [`ResourceRequest`], asks a [`TokenSource`] what
//! it stands for, and checks that its scope covers the resource. The source is the
//! authorization server itself, if it runs in the same process, or a [`RemoteServer`] that is asked
//! over the network.
//!
//! ```
//! # use grantor::store::{MemoryClientStore, MemoryTokenStore};
//! # use grantor::testing::{block_on, mint};
//! # use grantor::{AuthorizationServer, Client, ScopeDefinition};
//! use grantor::resource::{ResourceGuard, ResourceRequest};
//!
//! # let web = Client::public("web").scopes("orders.read").build()?;
//! let server = AuthorizationServer::builder("https://id.example.com")
//! #   .clients(MemoryClientStore::from_iter([web])).tokens(MemoryTokenStore::new())
//!     // …
//!     .scope(ScopeDefinition::new("orders.read".parse()?, "See your orders").resource("GET /orders/*"))
//!     .build()?;
//! let guard = ResourceGuard::builder(server.clone()).scopes(server.scopes()).build();
//!
//! # let token = block_on(mint(&server, "web".parse()?, Some("alice".parse()?), "orders.read".parse()?))?;
//! let header = format!("Bearer {}", token.expose());
//! let request = ResourceRequest::new().authorization(header.as_bytes());
//! let token = block_on(guard.check(&request, "GET /orders/7"))?;
//! assert_eq!(token.sub(), Some("alice"));
//!
//! let refused = block_on(guard.check(&request, "DELETE /orders/7")).unwrap_err();
//! assert_eq!(refused.status(), 403);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod covered;
mod refused;
mod remote;
mod request;
mod token;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::event::Event;
use crate::scope::{Scope, ScopeDefinition};

use cache::Cache;
use covered::Covered;

pub use refused::{AccessFailure, Refused};
pub use remote::{IntrospectionCall, RemoteServer};
pub use request::ResourceRequest;
pub use token::{BearerToken, SourceError, TokenSource};

/// Lets requests to protected resources through, or says why not.
pub struct ResourceGuard<S> {
    source: S,
    covered: Covered,
    realm: String,
    cache: Option<Cache>,
    clock: Box<dyn Clock>,
}

/// Builds a [`ResourceGuard`].
#[must_use]
pub struct ResourceGuardBuilder<S>(ResourceGuard<S>);

impl<S: TokenSource> ResourceGuard<S> {
    /// Begins to build a guard that asks `source`.
    pub fn builder(source: S) -> ResourceGuardBuilder<S> {
        ResourceGuardBuilder(Self {
            source,
            covered: Covered::default(),
            realm: "OAuth".to_owned(),
            cache: None,
            clock: Box::new(SystemClock),
        })
    }

    /// What the token of `request` stands for, if it covers `resource`: a name, or a method and a
    /// path without query, as in `GET /orders/7`.
    ///
    /// # Errors
    /// Says what to answer.
    pub async fn check(&self, request: &ResourceRequest<'_>, resource: &str) -> Result<BearerToken, Refused> {
        self.check_for(request, &self.covered.scopes_for(resource)).await
    }

    /// What the token of `request` stands for, if it has one of the scopes in `any_of`; with an
    /// empty `any_of` there is none that would do.
    ///
    /// # Errors
    /// Says what to answer.
    pub async fn check_for(
        &self,
        request: &ResourceRequest<'_>,
        any_of: &Scope,
    ) -> Result<BearerToken, Refused> {
        let outcome = self.authorize(request, any_of).await;
        if let Err(refused) = &outcome {
            self.source.report(&Event::AccessRefused {
                client: refused.client(),
                reason: refused.reason(),
                needed: any_of,
                granted: refused.granted(),
            });
        }
        outcome
    }

    /// What the token of `request` stands for, whatever its scope.
    ///
    /// # Errors
    /// Says what to answer.
    pub async fn authenticate(&self, request: &ResourceRequest<'_>) -> Result<BearerToken, Refused> {
        let token = request.token().map_err(|failure| Refused::new(&self.realm, failure))?;
        let known = self.look_up(token).await.map_err(|error| Refused::unavailable(&self.realm, error))?;
        known.ok_or_else(|| Refused::new(&self.realm, AccessFailure::Inactive))
    }

    async fn authorize(&self, request: &ResourceRequest<'_>, any_of: &Scope) -> Result<BearerToken, Refused> {
        let token = self.authenticate(request).await?;
        let is_covered = any_of.tokens().any(|needed| token.scope().contains(needed));
        if is_covered { Ok(token) } else { Err(Refused::insufficient(&self.realm, token, any_of)) }
    }

    async fn look_up(&self, token: &str) -> Result<Option<BearerToken>, SourceError> {
        let Some(cache) = &self.cache else { return self.source.token(token).await };
        let now = self.clock.now();
        if let Some(known) = cache.get(token, now) {
            return Ok(known);
        }
        let known = self.source.token(token).await?;
        cache.put(token, known.clone(), now);
        Ok(known)
    }
}

impl<S: TokenSource> ResourceGuardBuilder<S> {
    /// Which scope covers which resources: [`ScopeDefinition::resource`].
    pub fn scopes<'a>(mut self, scopes: impl IntoIterator<Item = &'a ScopeDefinition>) -> Self {
        self.0.covered.extend(scopes);
        self
    }

    /// The realm of `WWW-Authenticate`; `OAuth` unless set. Characters that a quoted text cannot
    /// have are left out.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.0.realm = realm.into();
        self
    }

    /// Remembers up to `capacity` answers of the source, good ones and bad ones, for less than
    /// `max_age`: a token that is revoked goes on to be accepted for so long. Nothing is
    /// remembered unless set.
    pub fn cache(mut self, capacity: NonZeroUsize, max_age: Duration) -> Self {
        self.0.cache = Some(Cache::new(capacity, max_age));
        self
    }

    /// Takes the time from `clock`, not from the system.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.0.clock = Box::new(clock);
        self
    }

    /// The guard.
    pub fn build(self) -> ResourceGuard<S> {
        self.0
    }
}

impl<S: TokenSource> TokenSource for Arc<S> {
    async fn token(&self, token: &str) -> Result<Option<BearerToken>, SourceError> {
        (**self).token(token).await
    }

    fn report(&self, event: &Event<'_>) {
        (**self).report(event);
    }
}

impl<S> std::fmt::Debug for ResourceGuard<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourceGuard").field("realm", &self.realm).finish_non_exhaustive()
    }
}

impl<S> std::fmt::Debug for ResourceGuardBuilder<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ResourceGuardBuilder").field(&self.0).finish()
    }
}
