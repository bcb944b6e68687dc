//! The grant: one record with a life cycle.
//!
//! A [`Grant`] is what a resource owner, or a client for itself, has allowed, together
//! with the code, the access tokens and the refresh state that came out of it. Its life
//! is `CodeIssued → Active → gone`. The functions here take the record as it was loaded
//! and say what becomes of it; they do no I/O and know neither clock nor randomness.

mod access;
mod code;
mod refresh;
mod stored;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Lifetime, Timestamp};
use crate::entropy::{Seed, SeedLabel};
use crate::id::{ClientId, GrantId, GrantTypeName, Subject};
use crate::scope::Scope;
use crate::token::{Digest, RefreshSecret, TokenSecret};

pub(crate) use access::AccessToken;
use access::{AccessTokens, Older};
use code::Code;
pub(crate) use code::{Redeemed, Redemption};
use refresh::Refresh;
pub(crate) use refresh::{RefreshRequest, Refreshed};
pub use stored::InvalidRecord;

/// The version of a record. Stores compare it for equality and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(u64);

impl Revision {
    /// The number to write into a column. It is random, not a count.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The one that differs in this bit, of 64.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const fn differing_in(self, bit: u32) -> Self {
        Self(self.0 ^ 1_u64.rotate_left(bit))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What was allowed, and the tokens that came out of it. The unit that stores keep.
///
/// It holds digests of secrets and no secret. A store needs [`id`](Self::id),
/// [`revision`](Self::revision) and [`expires_at`](Self::expires_at), and
/// [`client`](Self::client) and [`subject`](Self::subject) to find grants by; all else is
/// for whoever looks at them.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    id: GrantId,
    revision: Revision,
    /// Apart, since few have one.
    parent: Option<Box<GrantId>>,
    client: ClientId,
    subject: Option<Subject>,
    grant_type: GrantTypeName,
    scope: Scope,
    began_at: Timestamp,
    auth_time: Option<Timestamp>,
    updated_at: Timestamp,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// Apart, since it is soon something else.
    CodeIssued(Box<Code>),
    Active(Active),
}

#[derive(Clone, Debug, PartialEq)]
struct Active {
    newest: AccessToken,
    /// What a client that acts for itself has not, apart so that its records are small.
    session: Option<Box<Session>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Session {
    /// Access tokens before the newest.
    older: Older,
    /// Over the redeemed code and what it was redeemed with.
    spent_code: Option<Digest>,
    refresh: Option<Refresh>,
}

/// Who allows what: the part of a new grant that does not depend on tokens.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    pub(crate) client: ClientId,
    pub(crate) subject: Option<Subject>,
    pub(crate) grant_type: GrantTypeName,
    pub(crate) scope: Scope,
    /// When the request began; see `valid_after`.
    pub(crate) began_at: Timestamp,
    pub(crate) auth_time: Option<Timestamp>,
}

/// The lifetimes and limits that hold for the tokens of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) access_lifetime: Lifetime,
    /// Does a new grant begin with a refresh token?
    pub(crate) issue_refresh: bool,
    pub(crate) refresh: RefreshTerms,
    pub(crate) access_tokens_per_grant: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RefreshTerms {
    pub(crate) rotate: bool,
    /// How often a refresh token may be used; `None`: without limit.
    pub(crate) limit: Option<u32>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) idle_lifetime: Option<Duration>,
    pub(crate) retry_window: Duration,
}

/// Tokens that a transition minted, not yet written out.
pub(crate) struct Issued {
    pub(crate) id: GrantId,
    pub(crate) access: TokenSecret,
    /// Of `access`.
    pub(crate) digest: Digest,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scope: Scope,
    pub(crate) refresh: IssuedRefresh,
}

pub(crate) enum IssuedRefresh {
    None,
    /// The token that was presented stays in force.
    Same,
    New(TokenSecret),
}

impl Grant {
    /// The id: the first 16 bytes of each of its tokens.
    #[must_use]
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// The version of this record.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The record on which this one hangs: it is live only while that one exists.
    #[must_use]
    pub fn parent(&self) -> Option<GrantId> {
        self.parent.as_deref().copied()
    }

    /// The client it was given to.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// The resource owner; `None` if the client acts for itself.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// The grant type it came from.
    #[must_use]
    pub fn grant_type(&self) -> &GrantTypeName {
        &self.grant_type
    }

    /// All that was allowed; an access token may stand for less.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When the request that led to it began.
    #[must_use]
    pub fn began_at(&self) -> Timestamp {
        self.began_at
    }

    /// When the resource owner was authenticated, if the host said so.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.auth_time
    }

    /// When this version was made.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// When the last of its tokens ends and the record may be deleted; `None`: never.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.state.expires_at()
    }

    /// How often its refresh token may still be used; `None` without a limit or without a
    /// refresh token.
    #[must_use]
    pub fn refreshes_left(&self) -> Option<u32> {
        self.refresh_state()?.left
    }

    /// True if the record may be deleted at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|end| now >= end)
    }

    /// About how many bytes of memory the record takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = self.client.as_str().len()
            + self.subject.as_ref().map_or(0, |subject| subject.as_str().len())
            + self.scope.as_str().len()
            + self.parent.as_ref().map_or(0, |_| size_of::<GrantId>());
        let state = match &self.state {
            State::CodeIssued(code) => size_of::<Code>() + code.size(),
            State::Active(active) => active.size(),
        };
        size_of::<Self>() + texts + state
    }

    /// A grant whose code is yet to be redeemed, and that code.
    pub(crate) fn with_code(
        allowed: Allowed,
        code: CodeTerms,
        seed: &Seed,
        now: Timestamp,
    ) -> (Arc<Self>, TokenSecret) {
        let secret = seed.derive(SeedLabel::Code);
        let state = State::CodeIssued(Box::new(Code {
            digest: Digest::of(secret.as_slice()),
            expires_at: now.plus(code.lifetime),
            redirect_uri: code.redirect_uri,
            challenge: code.challenge,
        }));
        (Self::new(allowed, None, state, seed, now), secret)
    }

    /// A grant that begins with an access token and, by `terms`, a refresh token.
    pub(crate) fn active(
        allowed: Allowed,
        terms: &Terms,
        seed: &Seed,
        now: Timestamp,
    ) -> (Arc<Self>, Issued) {
        let (active, mut issued) = Active::begin(allowed.scope.clone(), terms, None, seed, now);
        let grant = Self::new(allowed, None, State::Active(active), seed, now);
        issued.id = grant.id;
        (grant, issued)
    }

    fn new(
        allowed: Allowed,
        parent: Option<GrantId>,
        state: State,
        seed: &Seed,
        now: Timestamp,
    ) -> Arc<Self> {
        let random = seed.derive(SeedLabel::Record);
        let mut id = [0; 16];
        let mut revision = [0; 8];
        let (id_part, rest) = random.split_at(16);
        id.copy_from_slice(id_part);
        revision.copy_from_slice(rest.split_at(8).0);
        let Allowed { client, subject, grant_type, scope, began_at, auth_time } = allowed;
        Arc::new(Self {
            id: GrantId::from_bytes(id),
            revision: Revision(u64::from_be_bytes(revision)),
            parent: parent.map(Box::new),
            client,
            subject,
            grant_type,
            scope,
            began_at,
            auth_time,
            updated_at: now,
            state,
        })
    }

    /// The record that follows this one.
    fn next(&self, active: Active, now: Timestamp) -> Arc<Self> {
        let state = State::Active(active);
        Arc::new(Self {
            id: self.id,
            revision: self.revision.next(),
            parent: self.parent.clone(),
            client: self.client.clone(),
            subject: self.subject.clone(),
            grant_type: self.grant_type.clone(),
            scope: self.scope.clone(),
            began_at: self.began_at,
            auth_time: self.auth_time,
            updated_at: now,
            state,
        })
    }

    /// Did the request that minted `digest` write this record or one before it?
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        match &self.state {
            State::CodeIssued(code) => code.digest == *digest,
            State::Active(active) => active.access_token(digest).is_some(),
        }
    }

    /// The same under another id.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn under(&self, id: GrantId) -> Arc<Self> {
        Arc::new(Self { id, ..self.clone() })
    }

    /// Is its code yet to be redeemed?
    #[cfg(any(test, feature = "testing", feature = "tiered"))]
    pub(crate) fn awaits_code(&self) -> bool {
        matches!(self.state, State::CodeIssued(_))
    }

    /// The live access token with this digest.
    pub(crate) fn access_token(&self, digest: &Digest, now: Timestamp) -> Option<&AccessToken> {
        let State::Active(active) = &self.state else { return None };
        active.access_token(digest).filter(|token| token.is_live(now))
    }

    /// The scope that `token` stands for.
    pub(crate) fn scope_of<'a>(&'a self, token: &'a AccessToken) -> &'a Scope {
        token.scope.as_ref().unwrap_or(&self.scope)
    }

    fn refresh_state(&self) -> Option<&Refresh> {
        match &self.state {
            State::CodeIssued(_) => None,
            State::Active(active) => active.refresh(),
        }
    }
}

/// What a code is bound to.
#[derive(Debug)]
pub(crate) struct CodeTerms {
    pub(crate) lifetime: Duration,
    pub(crate) redirect_uri: Option<Arc<str>>,
    pub(crate) challenge: Option<crate::pkce::CodeChallenge>,
}

impl State {
    /// When the last thing in it ends.
    fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::CodeIssued(code) => Some(code.expires_at),
            Self::Active(active) => {
                let refresh = active.refresh().map_or(Some(Timestamp::EPOCH), Refresh::horizon);
                Some(active.access_end()?.max(refresh?))
            }
        }
    }
}

impl Active {
    /// The first tokens of a grant. The caller sets the id of what is issued.
    fn begin(
        scope: Scope,
        terms: &Terms,
        spent_code: Option<Digest>,
        seed: &Seed,
        now: Timestamp,
    ) -> (Self, Issued) {
        let access = seed.derive(SeedLabel::Access);
        let digest = Digest::of(access.as_slice());
        let expires_at = terms.access_lifetime.end(now);
        let token = AccessToken { digest, scope: None, issued_at: now, expires_at };
        let refresh_secret =
            terms.issue_refresh.then(|| RefreshSecret::first(&seed.derive(SeedLabel::Refresh)));
        let refresh = refresh_secret
            .as_ref()
            .map(|secret| Refresh::begin(secret, &terms.refresh, terms.access_lifetime, now));
        let issued = Issued {
            id: GrantId::from_bytes([0; 16]),
            access,
            digest,
            expires_at,
            scope,
            refresh: refresh_secret
                .map_or(IssuedRefresh::None, |secret| IssuedRefresh::New(secret.to_bytes())),
        };
        (Self::of(AccessTokens::one(token), spent_code, refresh), issued)
    }

    fn of(access: AccessTokens, spent_code: Option<Digest>, refresh: Option<Refresh>) -> Self {
        let AccessTokens { newest, older } = access;
        let session = Session { older, spent_code, refresh };
        let is_empty = session == Session::default();
        Self { newest, session: (!is_empty).then(|| Box::new(session)) }
    }

    /// Besides what it takes in the record itself.
    fn size(&self) -> usize {
        let scopes = self.access_tokens().filter_map(|token| token.scope.as_ref());
        let scopes: usize = scopes.map(|scope| scope.as_str().len()).sum();
        scopes + self.session.as_ref().map_or(0, |session| size_of::<Session>() + session.older.size())
    }

    fn spent_code(&self) -> Option<Digest> {
        self.session.as_ref()?.spent_code
    }

    fn refresh(&self) -> Option<&Refresh> {
        self.session.as_ref()?.refresh.as_ref()
    }
}
