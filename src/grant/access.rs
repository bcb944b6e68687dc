//! The access tokens of one grant: a short list, bounded.

use crate::clock::Timestamp;
use crate::scope::Scope;
use crate::token::Digest;

/// One access token, by digest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessToken {
    pub(crate) digest: Digest,
    /// `None`: all that the grant allows, as nearly always.
    pub(crate) scope: Option<Box<Scope>>,
    pub(crate) issued_at: Timestamp,
    /// `None`: never.
    pub(crate) expires_at: Option<Timestamp>,
}

impl AccessToken {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// Newest first. The newest is kept inline, since most grants have no other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessTokens {
    newest: AccessToken,
    older: Option<Box<Older>>,
}

/// Apart, since most grants have none.
#[derive(Clone, Debug, PartialEq)]
struct Older(Vec<AccessToken>);

impl AccessTokens {
    pub(crate) fn one(token: AccessToken) -> Self {
        Self { newest: token, older: None }
    }

    /// With `token` added, what has expired dropped, and the oldest dropped past `most`;
    /// also says how many live ones were.
    pub(crate) fn with(&self, token: AccessToken, now: Timestamp, most: usize) -> (Self, usize) {
        let mut older: Vec<AccessToken> =
            self.iter().filter(|old| old.is_live(now) && old.digest != token.digest).cloned().collect();
        let displaced = (older.len() + 1).saturating_sub(most.max(1));
        older.truncate(older.len() - displaced);
        (Self::of(token, older), displaced)
    }

    pub(crate) fn find(&self, digest: &Digest) -> Option<&AccessToken> {
        self.iter().find(|token| token.digest == *digest)
    }

    /// When the last of them ends; `None`: never.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.iter().try_fold(Timestamp::EPOCH, |latest, token| Some(latest.max(token.expires_at?)))
    }

    pub(crate) fn size(&self) -> usize {
        let scopes = self.iter().filter_map(|token| token.scope.as_ref());
        let scopes: usize = scopes.map(|scope| size_of::<Scope>() + scope.as_str().len()).sum();
        scopes + self.older.as_ref().map_or(0, |older| size_of::<Older>() + size_of_val(&*older.0))
    }

    /// `None` if there is none.
    pub(crate) fn from_newest(tokens: Vec<AccessToken>) -> Option<Self> {
        let mut tokens = tokens.into_iter();
        let newest = tokens.next()?;
        Some(Self::of(newest, tokens.collect()))
    }

    fn of(newest: AccessToken, mut older: Vec<AccessToken>) -> Self {
        older.shrink_to_fit();
        Self { newest, older: (!older.is_empty()).then(|| Box::new(Older(older))) }
    }

    /// The newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AccessToken> {
        std::iter::once(&self.newest).chain(self.older.iter().flat_map(|older| &older.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: u8, expires_at: u64) -> AccessToken {
        let expires_at = Some(Timestamp::from_secs(expires_at));
        AccessToken { digest: Digest::of(&[name]), scope: None, issued_at: Timestamp::EPOCH, expires_at }
    }

    #[test]
    fn the_list_is_bounded_and_forgets_the_expired_first() {
        let mut tokens = AccessTokens::one(token(0, 10));
        for name in 1..4 {
            let displaced;
            (tokens, displaced) = tokens.with(token(name, 100), Timestamp::from_secs(5), 4);
            assert_eq!(displaced, 0);
        }
        let (after_expiry, displaced) = tokens.with(token(4, 100), Timestamp::from_secs(10), 4);
        assert_eq!((after_expiry.iter().count(), displaced), (4, 0));
        let (full, displaced) = tokens.with(token(4, 100), Timestamp::from_secs(5), 4);
        assert_eq!((full.iter().count(), displaced), (4, 1));
        assert!(full.find(&Digest::of(&[0])).is_none());
        assert!(full.find(&Digest::of(&[4])).is_some());
    }

    #[test]
    fn the_same_token_is_kept_once() {
        let tokens = AccessTokens::one(token(1, 10));
        let (again, displaced) = tokens.with(token(1, 20), Timestamp::EPOCH, 1);
        assert_eq!((again.iter().count(), displaced), (1, 0));
        assert_eq!(again.expires_at(), Some(Timestamp::from_secs(20)));
    }
}
