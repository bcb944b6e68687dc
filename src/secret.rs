//! Values that prove something to whoever holds them.
//!
//! They show nothing in `Debug`, are wiped from memory when dropped, and cannot be
//! cloned, compared, displayed or serialized; [`expose`](AccessToken::expose) is the one
//! way to the text.

mod wiped;

use std::fmt;

use subtle::ConstantTimeEq as _;

pub(crate) use wiped::{Wiped, WipedText};

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(WipedText);

        impl $name {
            /// Takes `text` as the secret.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(WipedText::new(text.into()))
            }

            /// The text. Do not log it.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret! {
    /// An access token (RFC 6749 §1.4).
    ///
    /// ```compile_fail
    /// # use grantor::AccessToken;
    /// println!("{}", AccessToken::new("t")); // no Display
    /// ```
    /// ```compile_fail
    /// # use grantor::AccessToken;
    /// let _ = AccessToken::new("t") == AccessToken::new("t"); // no PartialEq
    /// ```
    /// ```compile_fail
    /// # use grantor::AccessToken;
    /// let _ = AccessToken::new("t").clone(); // no Clone
    /// ```
    AccessToken
}

secret! {
    /// A refresh token (RFC 6749 §1.5).
    RefreshToken
}

secret! {
    /// An authorization code (RFC 6749 §1.3.1).
    AuthorizationCode
}

secret! {
    /// A client secret (RFC 6749 §2.3.1).
    ClientSecret
}

secret! {
    /// The password of a resource owner.
    Password
}

/// Takes the same time for each pair of one length.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    // Words compare faster than bytes, and as blindly.
    let (words, bytes) = one.as_chunks::<8>();
    let (other_words, other_bytes) = other.as_chunks::<8>();
    let same = words.iter().zip(other_words).fold(bytes.ct_eq(other_bytes), |same, (word, other)| {
        same & u64::from_ne_bytes(*word).ct_eq(&u64::from_ne_bytes(*other))
    });
    one.len() == other.len() && same.into()
}

#[cfg(test)]
mod tests {
    use static_assertions::assert_not_impl_any;

    use super::*;

    macro_rules! guarded {
        ($($name:ident)*) => {$(
            assert_not_impl_any!($name: Clone, Copy, PartialEq, PartialOrd, fmt::Display, std::hash::Hash,
                serde::Serialize, AsRef<str>, std::ops::Deref, Into<String>, ToString);
        )*};
    }
    guarded!(AccessToken RefreshToken AuthorizationCode ClientSecret Password);

    #[test]
    fn debug_shows_the_kind_and_nothing_else() {
        assert_eq!(format!("{:?}", Password::new("hunter2")), "Password(…)");
        assert_eq!(format!("{:#?}", AccessToken::new("t")), "AccessToken(…)");
    }

    #[test]
    fn each_byte_counts_when_two_are_compared() {
        let mut text: Vec<u8> = (0..45).collect();
        for end in 0..text.len() {
            let whole = text.get(..end).unwrap().to_vec();
            assert!(is_same(&whole, &whole));
            assert!(!is_same(&whole, text.get(..=end).unwrap()));
            for at in 0..end {
                text[at] ^= 0x10;
                assert!(!is_same(&whole, &text[..end]), "{at} of {end}");
                text[at] ^= 0x10;
            }
        }
    }
}
