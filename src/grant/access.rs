//! The access tokens of one grant: a short list, bounded.

use crate::clock::Timestamp;
use crate::scope::Scope;
use crate::token::Digest;

use super::Active;

/// One access token, by digest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessToken {
    pub(crate) digest: Digest,
    /// `None`: all that the grant allows, as nearly always.
    pub(crate) scope: Option<Scope>,
    pub(crate) issued_at: Timestamp,
    /// `None`: never.
    pub(crate) expires_at: Option<Timestamp>,
}

impl AccessToken {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// The tokens of a record in the making: it keeps the newest inline and the others apart, since
/// most grants have no other.
pub(super) struct AccessTokens {
    pub(super) newest: AccessToken,
    pub(super) older: Older,
}

/// Newest first.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::box_collection, reason = "the smallest that nothing can be")]
pub(super) struct Older(Option<Box<Vec<AccessToken>>>);

impl Older {
    fn new(mut tokens: Vec<AccessToken>) -> Self {
        tokens.shrink_to_fit();
        Self((!tokens.is_empty()).then(|| Box::new(tokens)))
    }

    fn as_slice(&self) -> &[AccessToken] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    pub(super) fn size(&self) -> usize {
        self.0.as_ref().map_or(0, |tokens| size_of_val(&**tokens) + size_of_val(tokens.as_slice()))
    }
}

impl AccessTokens {
    pub(super) fn one(token: AccessToken) -> Self {
        Self { newest: token, older: Older::default() }
    }

    /// `None` if there is none.
    pub(super) fn from_newest(tokens: Vec<AccessToken>) -> Option<Self> {
        let mut tokens = tokens.into_iter();
        let newest = tokens.next()?;
        Some(Self { newest, older: Older::new(tokens.collect()) })
    }
}

impl Active {
    /// The newest first.
    pub(super) fn access_tokens(&self) -> impl Iterator<Item = &AccessToken> {
        let older = self.session.as_ref().map_or(&[][..], |session| session.older.as_slice());
        std::iter::once(&self.newest).chain(older)
    }

    pub(super) fn access_token(&self, digest: &Digest) -> Option<&AccessToken> {
        self.access_tokens().find(|token| token.digest == *digest)
    }

    /// When the last of them ends; `None`: never.
    pub(super) fn access_end(&self) -> Option<Timestamp> {
        self.access_tokens().try_fold(Timestamp::EPOCH, |latest, token| Some(latest.max(token.expires_at?)))
    }

    pub(super) fn to_access_tokens(&self) -> AccessTokens {
        let older = self.session.as_ref().map(|session| session.older.clone());
        AccessTokens { newest: self.newest.clone(), older: older.unwrap_or_default() }
    }

    /// The tokens with `token` added, what has expired dropped, and the oldest dropped past
    /// `most`; also says how many live ones were.
    pub(super) fn with(&self, token: AccessToken, now: Timestamp, most: usize) -> (AccessTokens, usize) {
        let live = self.access_tokens().filter(|old| old.is_live(now) && old.digest != token.digest);
        let mut older: Vec<AccessToken> = live.cloned().collect();
        let displaced = (older.len() + 1).saturating_sub(most.max(1));
        older.truncate(older.len() - displaced);
        (AccessTokens { newest: token, older: Older::new(older) }, displaced)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Session;
    use super::*;

    fn token(name: u8, expires_at: u64) -> AccessToken {
        let expires_at = Some(Timestamp::from_secs(expires_at));
        AccessToken { digest: Digest::of(&[name]), scope: None, issued_at: Timestamp::EPOCH, expires_at }
    }

    fn active(access: AccessTokens) -> Active {
        Active::of(access, None, None)
    }

    #[test]
    fn the_list_is_bounded_and_forgets_the_expired_first() {
        let mut tokens = active(AccessTokens::one(token(0, 10)));
        for name in 1..4 {
            let (more, displaced) = tokens.with(token(name, 100), Timestamp::from_secs(5), 4);
            tokens = active(more);
            assert_eq!(displaced, 0);
        }
        let (after_expiry, displaced) = tokens.with(token(4, 100), Timestamp::from_secs(10), 4);
        assert_eq!((active(after_expiry).access_tokens().count(), displaced), (4, 0));
        let (full, displaced) = tokens.with(token(4, 100), Timestamp::from_secs(5), 4);
        let full = active(full);
        assert_eq!((full.access_tokens().count(), displaced), (4, 1));
        assert!(full.access_token(&Digest::of(&[0])).is_none());
        assert!(full.access_token(&Digest::of(&[4])).is_some());
    }

    #[test]
    fn the_same_token_is_kept_once() {
        let tokens = active(AccessTokens::one(token(1, 10)));
        let (again, displaced) = tokens.with(token(1, 20), Timestamp::EPOCH, 1);
        let again = active(again);
        assert_eq!((again.access_tokens().count(), displaced), (1, 0));
        assert_eq!(again.access_end(), Some(Timestamp::from_secs(20)));
    }

    #[test]
    fn a_record_that_is_written_again_keeps_all_its_tokens() {
        let one = active(AccessTokens::one(token(0, 10)));
        let (two, _) = one.with(token(1, 10), Timestamp::EPOCH, 2);
        let two = active(two);
        assert_eq!(active(two.to_access_tokens()), two);
        assert_eq!(two.access_tokens().count(), 2);
    }

    #[test]
    fn a_record_says_what_its_tokens_take() {
        let one = active(AccessTokens::one(token(0, 10)));
        assert_eq!(one.size(), 0);
        let (two, _) = one.with(token(1, 10), Timestamp::EPOCH, 2);
        let older = size_of::<Vec<AccessToken>>() + size_of::<AccessToken>();
        assert_eq!(active(two).size(), size_of::<Session>() + older);
    }
}
