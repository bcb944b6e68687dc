//! The request parameters that specifications define, with what a client is told of each.

use std::fmt;

macro_rules! parameters {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A request parameter that a specification defines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Parameter {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// A parameter that an extension grant defines.
            Extension(&'static str),
        }

        /// Those with a variant of their own, numbered.
        enum Number { $($variant,)* }

        impl Parameter {
            /// A set with this one alone; extensions are in none.
            pub(crate) const fn bit(self) -> u32 {
                match self {
                    $(Self::$variant => 1 << Number::$variant as u32,)*
                    Self::Extension(_) => 0,
                }
            }

            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Extension(name) => name,
                }
            }

            pub(crate) const fn missing(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($name, " is missing."),)*
                    Self::Extension(_) => "A required parameter is missing.",
                }
            }

            pub(crate) const fn repeated(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($name, " must not be repeated."),)*
                    Self::Extension(_) => "A parameter must not be repeated.",
                }
            }

            pub(crate) const fn malformed(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($name, " is malformed."),)*
                    Self::Extension(_) => "A parameter is malformed.",
                }
            }
        }
    };
}

// `resource` and `audience` may be repeated (RFC 8707 §2, RFC 8693 §2.1) and are absent.
parameters! {
    ActorToken "actor_token",
    ActorTokenType "actor_token_type",
    Assertion "assertion",
    ClientAssertion "client_assertion",
    ClientAssertionType "client_assertion_type",
    ClientId "client_id",
    ClientSecret "client_secret",
    Code "code",
    CodeChallenge "code_challenge",
    CodeChallengeMethod "code_challenge_method",
    CodeVerifier "code_verifier",
    DeviceCode "device_code",
    DpopJkt "dpop_jkt",
    GrantType "grant_type",
    Nonce "nonce",
    Password "password",
    Prompt "prompt",
    RedirectUri "redirect_uri",
    RefreshToken "refresh_token",
    Request "request",
    RequestUri "request_uri",
    RequestedTokenType "requested_token_type",
    ResponseMode "response_mode",
    ResponseType "response_type",
    Scope "scope",
    State "state",
    SubjectToken "subject_token",
    SubjectTokenType "subject_token_type",
    Token "token",
    TokenTypeHint "token_type_hint",
    Username "username",
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
