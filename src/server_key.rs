//! The key that seals consent tickets and feeds the derivation of refresh successors.

use std::fmt;

use hmac::Mac as _;

use crate::entropy::{Entropy, EntropyError, Seed, SeedLabel};
use crate::secret::Wiped;
use crate::token::{Key, keyed};

/// 32 secret bytes that all processes of one server share, and those they replaced.
///
/// It seals consent tickets and takes part in deriving the answer to a repeated refresh
/// request. Losing it loses no token: open consent pages have to be asked for again, and
/// a refresh whose answer was lost cannot be repeated.
///
/// ```
/// # use grantor::ServerKey;
/// let key: ServerKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".parse()?;
/// # Ok::<(), grantor::InvalidServerKey>(())
/// ```
pub struct ServerKey {
    current: Wiped<32>,
    previous: Option<Wiped<32>>,
}

/// A text that is not a server key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server key is 64 hexadecimal digits")]
pub struct InvalidServerKey;

impl ServerKey {
    /// A new key.
    ///
    /// # Errors
    /// When `entropy` has nothing to give.
    pub fn generate(entropy: &impl Entropy) -> Result<Self, EntropyError> {
        Self::draw(entropy)
    }

    pub(crate) fn draw(entropy: &(impl Entropy + ?Sized)) -> Result<Self, EntropyError> {
        let seed = Seed::draw(entropy)?;
        Ok(Self { current: seed.derive(SeedLabel::ServerKey), previous: None })
    }

    /// The key with these bytes, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { current: Wiped::new(bytes), previous: None }
    }

    /// Also accepts what was made under `previous`, until it is left out again.
    #[must_use]
    pub fn with_previous(mut self, previous: [u8; 32]) -> Self {
        self.previous = Some(Wiped::new(previous));
        self
    }

    pub(crate) fn subkeys(&self, label: &str) -> Subkeys {
        let derive = |key: &Wiped<32>| {
            let mut mac = keyed(key.as_slice());
            mac.update(label.as_bytes());
            let subkey: Wiped<32> = Wiped::new(mac.finalize().into_bytes().into());
            Key::new(&subkey)
        };
        Subkeys { current: derive(&self.current), previous: self.previous.as_ref().map(derive) }
    }
}

impl std::str::FromStr for ServerKey {
    type Err = InvalidServerKey;

    fn from_str(text: &str) -> Result<Self, InvalidServerKey> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = Wiped::new([0; 32]);
        if !rest.is_empty() || pairs.len() != bytes.len() {
            return Err(InvalidServerKey);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte =
                digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low).ok_or(InvalidServerKey)?;
        }
        Ok(Self { current: bytes, previous: None })
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey(…)")
    }
}

/// The keys for one purpose.
pub(crate) struct Subkeys {
    pub(crate) current: Key,
    previous: Option<Key>,
}

impl Subkeys {
    /// The current key, then the previous one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(self.previous.as_ref())
    }
}

impl fmt::Debug for Subkeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subkeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_hexadecimal_digits_are_a_key() {
        let text = "0f".repeat(32);
        assert_eq!(*text.parse::<ServerKey>().unwrap().current, [15; 32]);
        for bad in ["", "0f", &"0g".repeat(32), &text[1..], &format!("{text}00"), &"é".repeat(32)] {
            assert!(bad.parse::<ServerKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn subkeys_differ_by_label_and_key() {
        let key = ServerKey::from_bytes([1; 32]).with_previous([2; 32]);
        let (a, b) = (key.subkeys("a"), key.subkeys("b"));
        assert_eq!(a.iter().count(), 2);
        let tag = |key: &Key| key.mac().finalize().into_bytes();
        let tags: Vec<_> = a.iter().chain(b.iter()).map(tag).collect();
        assert!(tags.iter().enumerate().all(|(at, tag)| !tags[..at].contains(tag)));
    }
}
