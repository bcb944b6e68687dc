//! Names of things: [`ClientId`], [`Subject`], [`GrantTypeName`], [`GrantId`].

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use arcstr::ArcStr;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
#[cfg(feature = "serde")]
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not what the named type allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {why}")]
pub struct InvalidName {
    what: &'static str,
    why: &'static str,
}

impl InvalidName {
    pub(crate) const fn new(what: &'static str, why: &'static str) -> Self {
        Self { what, why }
    }
}

/// The longest client identifier and subject, in bytes.
const LONGEST: usize = 255;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ArcStr);

        impl $name {
            /// Checks `text` and keeps it.
            ///
            /// # Errors
            /// When `text` is not allowed here; the error says why.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                $check(text)?;
                Ok(Self(ArcStr::from(text)))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;
            fn try_from(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<&$name> for $name {
            type Error = InvalidName;
            fn try_from(name: &$name) -> Result<Self, InvalidName> {
                Ok(name.clone())
            }
        }

        #[cfg(feature = "serde")]
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// A client identifier (RFC 6749 §2.2): 1 to 255 visible ASCII characters or spaces
    /// (Appendix A.1).
    ///
    /// ```
    /// # use grantor::ClientId;
    /// let id = ClientId::new("nightly-reports")?;
    /// assert_eq!(id.as_str(), "nightly-reports");
    /// assert!(ClientId::new("a\nb").is_err());
    /// # Ok::<(), grantor::InvalidName>(())
    /// ```
    ClientId, client_id
}

impl ClientId {
    /// Of a client that is in no store.
    pub(crate) const NOBODY: Self = Self(arcstr::literal!("nobody"));
}

name! {
    /// The stable identifier of a resource owner: 1 to 255 bytes without control characters.
    Subject, subject
}

fn client_id(text: &str) -> Result<(), InvalidName> {
    length(text, "client identifier")?;
    if text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        Ok(())
    } else {
        Err(InvalidName::new("client identifier", "only visible ASCII characters and spaces are allowed"))
    }
}

fn subject(text: &str) -> Result<(), InvalidName> {
    length(text, "subject")?;
    if text.chars().any(char::is_control) {
        Err(InvalidName::new("subject", "control characters are not allowed"))
    } else {
        Ok(())
    }
}

fn length(text: &str, what: &'static str) -> Result<(), InvalidName> {
    match text.len() {
        0 => Err(InvalidName::new(what, "it is empty")),
        1..=LONGEST => Ok(()),
        _ => Err(InvalidName::new(what, "it is longer than 255 bytes")),
    }
}

/// The value of `grant_type` (RFC 6749 Appendix A.10): a name, or an absolute URI for an
/// extension grant. Compared exactly.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantTypeName(ArcStr);

impl GrantTypeName {
    /// `authorization_code` (RFC 6749 §4.1).
    pub const AUTHORIZATION_CODE: Self = Self(arcstr::literal!("authorization_code"));
    /// `password` (RFC 6749 §4.3).
    pub const PASSWORD: Self = Self(arcstr::literal!("password"));
    /// `client_credentials` (RFC 6749 §4.4).
    pub const CLIENT_CREDENTIALS: Self = Self(arcstr::literal!("client_credentials"));
    /// `refresh_token` (RFC 6749 §6).
    pub const REFRESH_TOKEN: Self = Self(arcstr::literal!("refresh_token"));

    /// Checks `name` and keeps it.
    ///
    /// # Errors
    /// When it is empty, longer than 255 bytes, or has characters that neither a grant
    /// name nor a URI may contain.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, InvalidName> {
        let name = name.into();
        let known = [Self::AUTHORIZATION_CODE, Self::CLIENT_CREDENTIALS, Self::PASSWORD, Self::REFRESH_TOKEN];
        if let Some(known) = known.into_iter().find(|known| known.as_str() == name) {
            // These take no memory, and a store reads them over and over.
            return Ok(known);
        }
        length(&name, "grant type")?;
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        if name.bytes().all(allowed) {
            Ok(Self(ArcStr::from(name)))
        } else {
            Err(InvalidName::new("grant type", "only the characters of a URI are allowed"))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for GrantTypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for GrantTypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GrantTypeName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::new(text.to_owned())
    }
}

/// The name of a grant's record: 16 random bytes, the first part of each of its tokens.
///
/// It finds the record and proves nothing, so it may be shown and logged. It is written
/// as 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for GrantId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName::new("grant id", "it is not 22 characters of base64url");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        bytes.try_into().map(Self).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_ids_are_visible_ascii_and_bounded() {
        assert!(ClientId::new("1PpG/Q 1").is_ok());
        for bad in ["", "a\u{0}b", "é", "tab\t", &"x".repeat(256)] {
            assert!(ClientId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn subjects_may_be_any_text_without_control_characters() {
        assert!(Subject::new("Zoë").is_ok());
        assert!(Subject::new("a\u{85}").is_err());
        assert!(Subject::new("").is_err());
    }

    #[test]
    fn grant_types_are_names_or_uris() {
        assert!(GrantTypeName::new("urn:ietf:params:oauth:grant-type:device_code").is_ok());
        for bad in ["", "a b", "a\"b", "é"] {
            assert!(GrantTypeName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn grant_types_are_the_same_however_they_came_and_in_the_order_of_their_names() {
        let known = [
            GrantTypeName::AUTHORIZATION_CODE,
            GrantTypeName::CLIENT_CREDENTIALS,
            GrantTypeName::PASSWORD,
            GrantTypeName::REFRESH_TOKEN,
        ];
        for name in &known {
            assert_eq!(name.as_str().parse(), Ok(name.clone()));
        }
        let mut all = known.to_vec();
        all.extend(["a", "d", "q", "z"].map(|name| GrantTypeName::new(name).unwrap()));
        all.sort();
        assert!(all.is_sorted_by_key(|name| name.as_str().to_owned()), "{all:?}");
    }

    #[test]
    fn a_grant_id_is_read_back_from_its_text() {
        let id = GrantId::from_bytes([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("short".parse::<GrantId>().is_err());
    }
}
