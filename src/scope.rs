//! [`Scope`] and [`ScopeToken`] (RFC 6749 §3.3).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arcstr::ArcStr;
#[cfg(feature = "serde")]
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not a scope by the grammar of RFC 6749 §3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScope {
    /// A scope has at least one token, and tokens are separated by one space.
    #[error("a scope token is empty")]
    Empty,
    /// A character outside `%x21 / %x23-5B / %x5D-7E`.
    #[error("a scope token has a character that is not allowed")]
    Character,
}

/// One scope token, such as `orders.read`. Case-sensitive.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeToken(Arc<str>);

impl ScopeToken {
    /// Checks `token` and keeps it.
    ///
    /// # Errors
    /// When it is empty or has a character that RFC 6749 §3.3 does not allow.
    pub fn new(token: impl Into<Arc<str>> + AsRef<str>) -> Result<Self, InvalidScope> {
        check_token(token.as_ref().as_bytes())?;
        Ok(Self(token.into()))
    }

    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ScopeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for ScopeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ScopeToken {
    type Err = InvalidScope;
    fn from_str(token: &str) -> Result<Self, InvalidScope> {
        Self::new(token)
    }
}

/// A set of scope tokens, kept in order and without repetition.
///
/// ```
/// # use grantor::Scope;
/// let asked: Scope = "write read read".parse()?;
/// assert_eq!(asked.as_str(), "read write");
/// assert!(asked.is_subset(&"admin read write".parse()?));
/// # Ok::<(), grantor::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope(ArcStr);

impl Scope {
    /// The set without a token. It is never granted; a registration may start from it.
    #[must_use]
    pub fn empty() -> Self {
        Self(ArcStr::new())
    }

    /// Reads a `scope` value: tokens separated by single spaces.
    ///
    /// # Errors
    /// When `text` breaks the grammar of RFC 6749 §3.3, by a second space, too.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let mut last: &[u8] = b"";
        let mut in_order = true;
        for token in text.as_bytes().split(|byte| *byte == b' ') {
            check_token(token)?;
            in_order &= last < token;
            last = token;
        }
        if in_order {
            return Ok(Self(text.into()));
        }
        let mut tokens: Vec<&str> = text.split(' ').collect();
        tokens.sort_unstable();
        tokens.dedup();
        Ok(Self(tokens.join(" ").into()))
    }

    /// The tokens in order, separated by spaces: the wire form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens, in order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// The tokens as bytes, which are faster to cut.
    fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.0.as_bytes().split(|byte| *byte == b' ').filter(|token| !token.is_empty())
    }

    /// True if `token` is one of these.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.words().any(|own| own == token.as_bytes())
    }

    /// True if each token here is in `other`, too.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        if self.0 == other.0 {
            return true;
        }
        let mut others = other.words();
        self.words().all(|token| {
            others.by_ref().find_map(|other| match other.cmp(token) {
                Ordering::Less => None,
                Ordering::Equal => Some(true),
                Ordering::Greater => Some(false),
            }) == Some(true)
        })
    }

    /// The tokens that both have. Shares the text of one of them where it can.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        if self.is_subset(other) {
            return self.clone();
        }
        if other.is_subset(self) {
            return other.clone();
        }
        Self::join(self.tokens().filter(|token| other.contains(token)))
    }

    /// The tokens that either has.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_subset(self) {
            return self.clone();
        }
        self.tokens().chain(other.tokens()).collect()
    }

    /// The tokens here that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self::join(self.tokens().filter(|token| !other.contains(token)))
    }

    /// `tokens` must be in order already.
    fn join<'a>(tokens: impl Iterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        for token in tokens {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(token);
        }
        Self(text.into())
    }
}

/// Collects tokens that come from another scope; what is not a scope token is left out.
impl<'a> FromIterator<&'a str> for Scope {
    fn from_iter<I: IntoIterator<Item = &'a str>>(tokens: I) -> Self {
        let mut tokens: Vec<&str> =
            tokens.into_iter().filter(|token| check_token(token.as_bytes()).is_ok()).collect();
        tokens.sort_unstable();
        tokens.dedup();
        Self::join(tokens.into_iter())
    }
}

impl FromIterator<ScopeToken> for Scope {
    fn from_iter<I: IntoIterator<Item = ScopeToken>>(tokens: I) -> Self {
        let tokens: Vec<ScopeToken> = tokens.into_iter().collect();
        tokens.iter().map(ScopeToken::as_str).collect()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text)
    }
}

#[cfg(feature = "serde")]
impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::empty());
        }
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What a scope token means: to the people who are asked for consent, and to the resources that
/// it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeDefinition {
    token: ScopeToken,
    description: String,
    resources: Vec<String>,
}

impl ScopeDefinition {
    /// Describes `token`.
    #[must_use]
    pub fn new(token: ScopeToken, description: impl Into<String>) -> Self {
        Self { token, description: description.into(), resources: Vec::new() }
    }

    /// Covers one more resource, for a [`ResourceGuard`](crate::resource::ResourceGuard): a name,
    /// or a method and a path.
    ///
    /// In a path `*` stands for one segment, and at its end for one or more: `GET /orders/*` covers
    /// `GET /orders/7` and `GET /orders/7/lines`, not `GET /orders`. `*` in place of the method
    /// stands for any; `GET` covers `HEAD`. Upper and lower case differ.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// The resources that it covers.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(String::as_str)
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &ScopeToken {
        &self.token
    }

    /// What it means.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }
}

fn check_token(token: &[u8]) -> Result<(), InvalidScope> {
    if token.is_empty() {
        return Err(InvalidScope::Empty);
    }
    if token.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
        Ok(())
    } else {
        Err(InvalidScope::Character)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        if text.is_empty() { Scope::empty() } else { Scope::parse(text).unwrap() }
    }

    #[test]
    fn sc_01_only_the_grammar_of_a_scope_is_read() {
        for bad in ["", " ", "a\"b", "a\\b", "é", "a\tb", "a  b", " a", "a ", "a\nb", "\u{7f}"] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(scope("a!#[]~b").as_str(), "a!#[]~b");
    }

    #[test]
    fn sc_02_order_and_repetition_mean_nothing_and_case_does() {
        assert_eq!(scope("b a"), scope("a b"));
        assert_eq!(scope("a a"), scope("a"));
        assert_ne!(scope("A"), scope("a"));
        assert!(!scope("A").is_subset(&scope("a")));
    }

    #[test]
    fn set_operations_agree_with_a_plain_set() {
        use std::collections::BTreeSet;
        let all = ["", "a", "ab", "b", "a b", "ab b", "a ab b", "a c", "b c d"];
        for left in all {
            for right in all {
                let (l, r) = (scope(left), scope(right));
                let (ls, rs): (BTreeSet<_>, BTreeSet<_>) = (l.tokens().collect(), r.tokens().collect());
                assert_eq!(l.is_subset(&r), ls.is_subset(&rs), "{left} ⊆ {right}");
                let text = |set: Vec<&&str>| set.into_iter().copied().collect::<Vec<_>>().join(" ");
                assert_eq!(l.intersection(&r).as_str(), text(ls.intersection(&rs).collect()));
                assert_eq!(l.union(&r).as_str(), text(ls.union(&rs).collect()));
                assert_eq!(l.difference(&r).as_str(), text(ls.difference(&rs).collect()));
            }
        }
    }
}
