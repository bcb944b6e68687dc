//! Redirect URIs: what may be registered, and what a request may ask for.

mod check;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use check::{LOCALHOST, Parts, split_authority, split_loopback};
pub(crate) use check::{unescape, web_host};

/// A redirect URI that a client registered (RFC 6749 §3.1.2).
///
/// It is absolute, has no fragment, and is kept exactly as it was written: nothing is normalized,
/// so it equals a requested URI only when the two strings do.
///
/// ```
/// # use grantor::{LoopbackPort, RedirectUri};
/// let uri = RedirectUri::parse("http://127.0.0.1/callback")?;
/// assert!(uri.matches("http://127.0.0.1:51004/callback", LoopbackPort::Any));
/// assert!(!uri.matches("http://127.0.0.1:51004/other", LoopbackPort::Any));
/// # Ok::<_, grantor::InvalidRedirectUri>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedirectUri(Arc<str>);

impl RedirectUri {
    /// Reads a URI under the default [`RedirectUriRules`].
    ///
    /// # Errors
    /// The first rule that the URI breaks.
    pub fn parse(uri: &str) -> Result<Self, InvalidRedirectUri> {
        Self::parse_with(uri, RedirectUriRules::default())
    }

    /// Reads a URI under rules of the caller's choice.
    ///
    /// # Errors
    /// The first rule that the URI breaks.
    pub fn parse_with(uri: &str, rules: RedirectUriRules) -> Result<Self, InvalidRedirectUri> {
        check::check(uri, rules)?;
        Ok(Self(uri.into()))
    }

    /// The URI as it was registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scheme, without the colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        Parts::of(&self.0).map_or("", |parts| parts.scheme)
    }

    /// The host without its port; an IPv6 address keeps its brackets. `None` where a private-use
    /// scheme names no host.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let (host, _) = split_authority(Parts::of(&self.0)?.authority?);
        (!host.is_empty()).then_some(host)
    }

    /// Whether this is plain `http` to the user's own machine, as native apps use it
    /// (RFC 8252 §7.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        split_loopback(&self.0).is_some()
    }

    /// Whether `requested` is this URI.
    ///
    /// The strings must be equal (RFC 9700 §4.1.3); only the port of a [loopback](Self::is_loopback)
    /// URI may differ, as far as `loopback` lets it.
    #[must_use]
    pub fn matches(&self, requested: &str, loopback: LoopbackPort) -> bool {
        if self.as_str() == requested {
            return true;
        }
        let Some((host, tail)) = split_loopback(&self.0) else {
            return false;
        };
        let port_is_free = match loopback {
            LoopbackPort::Any => true,
            LoopbackPort::AnyForIpLiterals => host != LOCALHOST,
            LoopbackPort::Exact => false,
        };
        port_is_free && split_loopback(requested) == Some((host, tail))
    }

    /// Appends response parameters, form-encoded, to a URI that [`matches`](Self::matches) let
    /// through; a query that is there already stays as it is (RFC 6749 §3.1.2).
    pub(crate) fn with_query(base: &str, parameters: &[(&str, &str)]) -> String {
        let base = base.split_once('#').map_or(base, |(base, _)| base);
        let mut uri = String::with_capacity(base.len() + 128);
        uri.push_str(base);
        let mut separator = match base.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        for (name, value) in parameters {
            uri.push_str(separator);
            form_encode_into(&mut uri, name);
            uri.push('=');
            form_encode_into(&mut uri, value);
            separator = "&";
        }
        uri
    }
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(uri: &str) -> Result<Self, Self::Err> {
        Self::parse(uri)
    }
}

impl AsRef<str> for RedirectUri {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may be registered beyond the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RedirectUriRules {
    any_private_scheme: bool,
}

impl RedirectUriRules {
    /// Also admits a private-use scheme without a period, such as `myapp:/callback`, which any
    /// other app may claim as well (RFC 8252 §8.4).
    #[must_use]
    pub const fn any_private_scheme(mut self, admit: bool) -> Self {
        self.any_private_scheme = admit;
        self
    }
}

/// For which loopback URIs a request may choose another port than the registered one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum LoopbackPort {
    /// `127.0.0.1`, `[::1]` and `localhost` (RFC 9700 §4.1.3).
    #[default]
    Any,
    /// `127.0.0.1` and `[::1]`; `localhost` keeps its port (RFC 8252 §7.3).
    AnyForIpLiterals,
    /// None: every port is compared.
    Exact,
}

/// Why a redirect URI cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedirectUri {
    /// It has no scheme.
    #[error("the redirect URI is not absolute")]
    NotAbsolute,
    /// It has more than 2048 bytes.
    #[error("the redirect URI is longer than 2048 bytes")]
    TooLong,
    /// It holds a space, a control character, non-ASCII, or another byte that no URI may hold.
    #[error("the redirect URI holds a character that must be percent-encoded")]
    ForbiddenCharacter,
    /// A `%` is not followed by two hexadecimal digits.
    #[error("the redirect URI holds a broken percent escape")]
    BadEscape,
    /// It has a fragment.
    #[error("the redirect URI has a fragment")]
    Fragment,
    /// It has a user name or password.
    #[error("the redirect URI has user information")]
    UserInfo,
    /// It is plain `http` to a host other than `127.0.0.1`, `[::1]` and `localhost`.
    #[error("the redirect URI is plain http outside loopback")]
    PlainHttp,
    /// Its scheme runs script or reads local content.
    #[error("the scheme of the redirect URI can carry script")]
    ScriptScheme,
    /// It has a private-use scheme that is not a reversed domain name.
    #[error("the private-use scheme of the redirect URI has no period")]
    SchemeWithoutPeriod,
    /// Its host holds a wildcard.
    #[error("the host of the redirect URI holds a wildcard")]
    Wildcard,
    /// It is `http` or `https` and has no host.
    #[error("the redirect URI has no host")]
    EmptyHost,
    /// Its host is neither a domain name nor an IP address in the usual form.
    #[error("the host of the redirect URI is malformed")]
    BadHost,
    /// The scheme or host of a web URI is not in lower case, which browsers would rewrite.
    #[error("the scheme and host of the redirect URI must be in lower case")]
    UpperCase,
    /// Its port is not a plain number from 1 to 65535.
    #[error("the port of the redirect URI is malformed")]
    BadPort,
    /// Its path has a `.` or `..` segment, encoded or not.
    #[error("the path of the redirect URI has a dot segment")]
    DotSegment,
    /// Its own query holds a parameter of the authorization response.
    #[error("the query of the redirect URI holds a response parameter")]
    ResponseParameter,
}

/// Encodes text for `application/x-www-form-urlencoded` (RFC 6749 Appendix B).
pub(crate) fn form_encode_into(out: &mut String, text: &str) {
    let digit = |value: u8| char::from_digit(value.into(), 16).map(|digit| digit.to_ascii_uppercase());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'*' => out.push(byte.into()),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.extend([byte >> 4, byte & 15].into_iter().filter_map(digit));
            }
        }
    }
}
