//! Proof key for code exchange (RFC 7636).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret;
use crate::token::Digest;

/// A text that is not a code challenge or code verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPkce {
    /// Shorter than 43 or longer than 128 characters; for S256, other than 43.
    #[error("it does not have the right length")]
    Length,
    /// A character outside `ALPHA / DIGIT / "-" / "." / "_" / "~"`.
    #[error("it has a character that is not unreserved")]
    Character,
    /// A method other than `S256` and `plain`.
    #[error("the code challenge method is unknown")]
    Method,
}

/// How a [`CodeChallenge`] is made from a [`CodeVerifier`] (RFC 7636 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodeChallengeMethod {
    /// The challenge is the base64url of the verifier's SHA-256.
    S256,
    /// The challenge is the verifier. Refused unless the server allows it.
    Plain,
}

impl CodeChallengeMethod {
    /// Reads a `code_challenge_method`, which is compared exactly.
    ///
    /// # Errors
    /// When it is neither `S256` nor `plain`.
    pub fn parse(name: &str) -> Result<Self, InvalidPkce> {
        match name {
            "S256" => Ok(Self::S256),
            "plain" => Ok(Self::Plain),
            _ => Err(InvalidPkce::Method),
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S256 => "S256",
            Self::Plain => "plain",
        }
    }
}

/// A `code_challenge` with its method, fixed when authorization is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeChallenge {
    method: CodeChallengeMethod,
    value: Arc<str>,
}

impl CodeChallenge {
    /// Checks `value` for `method` and keeps it.
    ///
    /// # Errors
    /// When `value` is not 43 to 128 unreserved characters, or for S256 not 43.
    pub fn new(method: CodeChallengeMethod, value: &str) -> Result<Self, InvalidPkce> {
        check(value)?;
        if method == CodeChallengeMethod::S256 && value.len() != 43 {
            return Err(InvalidPkce::Length);
        }
        Ok(Self { method, value: value.into() })
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> CodeChallengeMethod {
        self.method
    }

    /// The challenge as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// Is this the challenge of `verifier`? Takes the same time for each wrong one.
    #[must_use]
    pub fn is_met_by(&self, verifier: &CodeVerifier<'_>) -> bool {
        match self.method {
            CodeChallengeMethod::S256 => {
                let mut challenge = [0; 43];
                let digest = Digest::of(verifier.0.as_bytes());
                let written = URL_SAFE_NO_PAD.encode_slice(digest.as_bytes(), &mut challenge).is_ok();
                written && secret::is_same(self.value.as_bytes(), &challenge)
            }
            CodeChallengeMethod::Plain => secret::is_same(self.value.as_bytes(), verifier.0.as_bytes()),
        }
    }
}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A plain challenge is the verifier.
        write!(f, "CodeChallenge({}, …)", self.method.as_str())
    }
}

/// A `code_verifier`: what proves that a code is redeemed by whoever asked for it.
pub struct CodeVerifier<'a>(&'a str);

impl<'a> CodeVerifier<'a> {
    /// Checks that `value` is 43 to 128 unreserved characters (RFC 7636 §4.1).
    ///
    /// # Errors
    /// When it is not.
    pub fn new(value: &'a str) -> Result<Self, InvalidPkce> {
        check(value)?;
        Ok(Self(value))
    }

    /// The S256 challenge of this verifier, as a client computes it.
    #[must_use]
    pub fn challenge(&self) -> CodeChallenge {
        let value = URL_SAFE_NO_PAD.encode(Digest::of(self.0.as_bytes()).as_bytes()).into();
        CodeChallenge { method: CodeChallengeMethod::S256, value }
    }
}

impl fmt::Debug for CodeVerifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier(…)")
    }
}

fn check(value: &str) -> Result<(), InvalidPkce> {
    if !(43..=128).contains(&value.len()) {
        return Err(InvalidPkce::Length);
    }
    let unreserved =
        |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~');
    // Without shortcuts, so that many can be looked at at once.
    if value.bytes().fold(true, |all, byte| all & unreserved(byte)) {
        Ok(())
    } else {
        Err(InvalidPkce::Character)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn what_is_shown_names_the_type_and_not_the_value() {
        let verifier = CodeVerifier::new(VERIFIER).unwrap();
        assert_eq!(format!("{verifier:?}"), "CodeVerifier(…)");
        assert_eq!(format!("{:?}", verifier.challenge()), "CodeChallenge(S256, …)");
    }

    #[test]
    fn pk_01_the_vector_of_rfc_7636_appendix_b_is_met() {
        let challenge = CodeChallenge::new(CodeChallengeMethod::S256, CHALLENGE).unwrap();
        let verifier = CodeVerifier::new(VERIFIER).unwrap();
        assert!(challenge.is_met_by(&verifier));
        assert_eq!(verifier.challenge(), challenge);
        assert!(!challenge.is_met_by(&CodeVerifier::new(CHALLENGE).unwrap()));
    }

    #[test]
    fn plain_compares_the_texts() {
        let challenge = CodeChallenge::new(CodeChallengeMethod::Plain, VERIFIER).unwrap();
        assert!(challenge.is_met_by(&CodeVerifier::new(VERIFIER).unwrap()));
        assert!(!challenge.is_met_by(&CodeVerifier::new(CHALLENGE).unwrap()));
    }

    #[test]
    fn length_and_characters_are_held_to() {
        for bad in
            ["x".repeat(42), "x".repeat(129), format!("{}=", "x".repeat(43)), format!("{}+", "x".repeat(43))]
        {
            assert!(CodeVerifier::new(&bad).is_err(), "{bad}");
            assert!(CodeChallenge::new(CodeChallengeMethod::Plain, &bad).is_err(), "{bad}");
        }
        assert_eq!(CodeChallenge::new(CodeChallengeMethod::S256, &"x".repeat(44)), Err(InvalidPkce::Length));
        assert!(CodeChallengeMethod::parse("s256").is_err());
    }
}
