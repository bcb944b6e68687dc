//! Values that prove something to whoever holds them.
//!
//! They show nothing in `Debug`, are wiped from memory when dropped, and cannot be
//! cloned, compared, displayed or serialized; [`expose`](AccessToken::expose) is the one
//! way to the text.

mod wiped;

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;
    use static_assertions::assert_not_impl_any;

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
}
