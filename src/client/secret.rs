//! Client secrets: generated with 256 bits, stored as digests.

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::entropy::{Entropy, EntropyError, Seed, SeedLabel};
use crate::password::PasswordHash;
use crate::secret::ClientSecret;
use crate::token::Digest;

/// What is kept of a client secret: its hash, and when it expires.
///
/// A fast digest is enough for a secret that cannot be guessed, such as the ones of
/// [`Client::generate_secret`](super::Client::generate_secret). One that a person chose is hashed
/// like a password, and costs as much at each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedSecret {
    hash: Hash,
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hash {
    Sha256(Digest),
    Phc(PasswordHash),
}

impl HashedSecret {
    /// The digest of `secret`, which should have at least 128 bits of randomness: whoever
    /// reads the store can try out shorter ones.
    #[must_use]
    pub fn sha256(secret: &ClientSecret) -> Self {
        Self { hash: Hash::Sha256(Digest::of(secret.expose().as_bytes())), expires_at: None }
    }

    /// The hash of a secret that a person chose, made with
    /// [`HashPool::hash_password`](crate::password). A server with such clients needs a password
    /// verifier.
    #[must_use]
    pub fn chosen(hash: PasswordHash) -> Self {
        Self { hash: Hash::Phc(hash), expires_at: None }
    }

    /// The secret is not accepted from `moment` on.
    #[must_use]
    pub fn expires_at(mut self, moment: Timestamp) -> Self {
        self.expires_at = Some(moment);
        self
    }

    /// When the secret stops being accepted; `None`: never.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// What [`as_sha256`](Self::as_sha256) gave, read back from a store.
    #[must_use]
    pub fn from_sha256(digest: [u8; 32]) -> Self {
        Self { hash: Hash::Sha256(Digest::from_bytes(digest)), expires_at: None }
    }

    /// The SHA-256 of the secret, to be kept in a store; `None` if a person chose it.
    #[must_use]
    pub fn as_sha256(&self) -> Option<&[u8; 32]> {
        match &self.hash {
            Hash::Sha256(digest) => Some(digest.as_bytes()),
            Hash::Phc(_) => None,
        }
    }

    /// The hash of a secret that a person chose, to be kept in a store.
    #[must_use]
    pub fn as_phc(&self) -> Option<&PasswordHash> {
        match &self.hash {
            Hash::Sha256(_) => None,
            Hash::Phc(hash) => Some(hash),
        }
    }

    pub(crate) fn matches(&self, presented: &Digest) -> bool {
        matches!(&self.hash, Hash::Sha256(digest) if digest == presented)
    }

    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// 43 characters of `[A-Za-z0-9]` carry 256 bits, and read the same with form encoding
/// and without.
const LENGTH: usize = 43;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

pub(super) fn generate(
    entropy: &(impl Entropy + ?Sized),
) -> Result<(ClientSecret, HashedSecret), EntropyError> {
    let seed = Seed::draw(entropy)?;
    let key = seed.derive(SeedLabel::ClientSecret);
    let letters = (0_u64..).flat_map(|block| {
        let parts: [&[u8]; 2] = [key.as_slice(), &block.to_be_bytes()];
        *Digest::of_parts("grantor/client-secret/1", &parts).as_bytes()
    });
    let letters = letters.filter_map(letter).map(char::from);
    let text: Zeroizing<String> = Zeroizing::new(letters.take(LENGTH).collect());
    let secret = ClientSecret::new(text.as_str());
    let hashed = HashedSecret::sha256(&secret);
    Ok((secret, hashed))
}

/// Bytes past the last multiple of 62 are passed over, so that all letters are as likely.
fn letter(byte: u8) -> Option<u8> {
    (byte < 248).then(|| ALPHABET.get(usize::from(byte % 62)).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn each_letter_comes_of_as_many_bytes() {
        let letters: Vec<u8> = (0..=u8::MAX).filter_map(letter).collect();
        for letter in ALPHABET {
            assert_eq!(letters.iter().filter(|own| *own == letter).count(), 4, "{}", char::from(*letter));
        }
    }

    #[test]
    fn seed_c06_generated_secrets_are_long_alphanumeric_and_all_different() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let (secret, hashed) = generate(&SystemEntropy).unwrap();
            let text = secret.expose();
            assert!(text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
            assert!(hashed.matches(&Digest::of(text.as_bytes())));
            assert!(seen.insert(text.to_owned()));
        }
    }
}
