//! Token strings: how they are minted, read, digested and derived.
//!
//! A token is the base64url of a grant's id (16 bytes) and a secret (32 bytes): 64
//! characters, after a prefix if one is set. The id finds the record, the secret proves
//! possession, and the record keeps only digests.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::id::GrantId;
use crate::secret::{self, Wiped};

const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
const ENCODED: usize = (ID_BYTES + SECRET_BYTES) / 3 * 4;

/// The secret half of a token.
pub(crate) type TokenSecret = Wiped<SECRET_BYTES>;

/// A SHA-256 digest. `==` takes the same time for each pair.
#[derive(Clone, Copy)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of several parts, each with its length, so that no two lists collide.
    pub(crate) fn of_parts(label: &str, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(label);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        secret::is_same(&self.0, &other.0)
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Writes and reads token strings under one prefix.
#[derive(Clone, Debug)]
pub(crate) struct TokenFormat {
    prefix: Arc<str>,
}

impl TokenFormat {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    pub(crate) fn write(&self, id: GrantId, secret: &TokenSecret) -> String {
        let mut bytes = Wiped::new([0; ID_BYTES + SECRET_BYTES]);
        let (id_part, secret_part) = bytes.split_at_mut(ID_BYTES);
        id_part.copy_from_slice(id.as_bytes());
        secret_part.copy_from_slice(secret.as_slice());
        let mut text = Vec::with_capacity(self.prefix.len() + ENCODED);
        text.extend_from_slice(self.prefix.as_bytes());
        text.resize(self.prefix.len() + ENCODED, 0);
        let (_, encoded) = text.split_at_mut(self.prefix.len());
        let written = URL_SAFE_NO_PAD.encode_slice(bytes.as_slice(), encoded);
        debug_assert_eq!(written, Ok(ENCODED));
        String::from_utf8(text).unwrap_or_default()
    }

    /// `None` for anything that this server cannot have written.
    pub(crate) fn read(&self, text: &str) -> Option<Presented> {
        let encoded = text.strip_prefix(&*self.prefix)?;
        if encoded.len() != ENCODED {
            return None;
        }
        let mut bytes = Wiped::new([0; ID_BYTES + SECRET_BYTES]);
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, bytes.as_mut_slice()).ok()?;
        if length != bytes.len() {
            return None;
        }
        let (id, secret) = bytes.split_first_chunk::<ID_BYTES>()?;
        let secret: &[u8; SECRET_BYTES] = secret.try_into().ok()?;
        Some(Presented { id: GrantId::from_bytes(*id), secret: Wiped::new(*secret) })
    }
}

/// A token that somebody presents: well-formed, and nothing more is known of it.
pub(crate) struct Presented {
    pub(crate) id: GrantId,
    pub(crate) secret: TokenSecret,
}

impl Presented {
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.secret.as_slice())
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presented({}, …)", self.id)
    }
}

/// The 32 secret bytes of a refresh token: the family that all tokens of a grant share,
/// how often it was rotated, and the part that rotates.
pub(crate) struct RefreshSecret {
    pub(crate) family: Wiped<12>,
    pub(crate) generation: u32,
    pub(crate) rotating: Wiped<16>,
}

impl RefreshSecret {
    pub(crate) fn first(random: &TokenSecret) -> Self {
        let mut secret = Self::from_bytes(random);
        secret.generation = 0;
        secret
    }

    pub(crate) fn from_bytes(bytes: &TokenSecret) -> Self {
        let mut family = Wiped::new([0; 12]);
        let mut generation = [0; 4];
        let mut rotating = Wiped::new([0; 16]);
        let (head, tail) = bytes.split_at(16);
        let (head_family, head_generation) = head.split_at(12);
        family.copy_from_slice(head_family);
        generation.copy_from_slice(head_generation);
        rotating.copy_from_slice(tail);
        Self { family, generation: u32::from_be_bytes(generation), rotating }
    }

    pub(crate) fn to_bytes(&self) -> TokenSecret {
        let mut bytes = Wiped::new([0; SECRET_BYTES]);
        let (head, tail) = bytes.split_at_mut(16);
        let (family, generation) = head.split_at_mut(12);
        family.copy_from_slice(self.family.as_slice());
        generation.copy_from_slice(&self.generation.to_be_bytes());
        tail.copy_from_slice(self.rotating.as_slice());
        bytes
    }
}

/// What both successors of a refresh token are derived from. With the presented token it
/// can be had again; from the record and the key alone it cannot, nor without the key.
pub(crate) struct Succession {
    rotating: Wiped<16>,
    access: Wiped<16>,
}

impl Succession {
    /// For the rotation of `presented` to `generation` under `salt`.
    pub(crate) fn new(
        retry_key: &Key,
        presented: &RefreshSecret,
        id: GrantId,
        generation: u32,
        salt: &[u8; 16],
    ) -> Self {
        // One block of SHA-256 with its padding.
        let mut mac = retry_key.mac();
        mac.update(presented.rotating.as_slice());
        mac.update(id.as_bytes());
        mac.update(&generation.to_be_bytes());
        mac.update(salt);
        let derived: TokenSecret = Wiped::new(mac.finalize().into_bytes().into());
        let (mut rotating, mut access) = (Wiped::new([0; 16]), Wiped::new([0; 16]));
        let (head, tail) = derived.split_at(16);
        rotating.copy_from_slice(head);
        access.copy_from_slice(tail);
        Self { rotating, access }
    }

    /// The rotating part of the next refresh token.
    pub(crate) fn rotating(&self) -> &Wiped<16> {
        &self.rotating
    }

    /// The access token for `scope`.
    pub(crate) fn access_secret(&self, scope: &str) -> TokenSecret {
        let digest = Digest::of_parts("access/1", &[self.access.as_slice(), scope.as_bytes()]);
        Wiped::new(*digest.as_bytes())
    }
}

/// A key of HMAC-SHA256, ready to be used.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(keyed(key))
    }

    pub(crate) fn mac(&self) -> Hmac<Sha256> {
        self.0.clone()
    }
}

/// HMAC-SHA256 under `key`.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of each length; the other arm is never entered.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> TokenSecret {
        Wiped::new([byte; 32])
    }

    #[test]
    fn what_is_shown_of_a_token_is_no_more_than_its_record() {
        let presented = Presented { id: GrantId::from_bytes([1; 16]), secret: secret(2) };
        assert_eq!(format!("{presented:?}"), format!("Presented({}, …)", presented.id));
        assert_eq!(format!("{:?}", presented.digest()), "Digest(…)");
    }

    #[test]
    fn a_token_is_64_characters_after_its_prefix_and_read_back() {
        for prefix in ["", "grt_"] {
            let format = TokenFormat::new(prefix);
            let text = format.write(GrantId::from_bytes([1; 16]), &secret(2));
            assert_eq!(text.len(), prefix.len() + 64);
            let read = format.read(&text).unwrap();
            assert_eq!((*read.id.as_bytes(), *read.secret), ([1; 16], [2; 32]));
        }
    }

    #[test]
    fn what_this_server_cannot_have_written_is_not_read() {
        let format = TokenFormat::new("grt_");
        let text = format.write(GrantId::from_bytes([1; 16]), &secret(2));
        let bare = &text[4..];
        for bad in [
            "",
            "grt_",
            bare,
            &text[..67],
            &format!("{text}A"),
            &text.replace('A', "+"),
            &format!("{}é", &text[..66]),
        ] {
            assert!(format.read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn refresh_secrets_keep_their_parts() {
        let mut first = RefreshSecret::first(&secret(9));
        assert_eq!(first.generation, 0);
        first.generation = 0x0102_0304;
        let again = RefreshSecret::from_bytes(&first.to_bytes());
        assert_eq!((again.generation, *again.family, *again.rotating), (0x0102_0304, [9; 12], [9; 16]));
    }

    #[test]
    fn successors_depend_on_each_input() {
        let presented = RefreshSecret::first(&secret(1));
        let other = RefreshSecret::first(&secret(2));
        let base = |presented, id, generation, salt, retry_key: &[u8; 32], scope| {
            let succession = Succession::new(&Key::new(retry_key), presented, id, generation, salt);
            (**succession.rotating(), *succession.access_secret(scope))
        };
        let id = GrantId::from_bytes([0; 16]);
        let first = base(&presented, id, 1, &[0; 16], &[0; 32], "a");
        assert_eq!(first, base(&presented, id, 1, &[0; 16], &[0; 32], "a"));
        for changed in [
            base(&other, id, 1, &[0; 16], &[0; 32], "a"),
            base(&presented, GrantId::from_bytes([1; 16]), 1, &[0; 16], &[0; 32], "a"),
            base(&presented, id, 2, &[0; 16], &[0; 32], "a"),
            base(&presented, id, 1, &[1; 16], &[0; 32], "a"),
            base(&presented, id, 1, &[0; 16], &[1; 32], "a"),
        ] {
            assert_ne!(first.0, changed.0);
            assert_ne!(first.1, changed.1);
        }
        let (rotating, access) = base(&presented, id, 1, &[0; 16], &[0; 32], "b");
        assert_eq!(rotating, first.0);
        assert_ne!(access, first.1);
        // Whoever sees the next refresh token cannot make the access token of it.
        let made = Digest::of_parts("access/1", &[rotating.as_slice(), b"b"]);
        assert_ne!(access, *made.as_bytes());
    }

    #[test]
    fn gen_22_digests_compare_through_subtle() {
        let one = Digest::of(b"one");
        assert_eq!(one, Digest::of(b"one"));
        for at in 0..32 {
            let mut bytes = *one.as_bytes();
            bytes[at] ^= 1;
            assert_ne!(one, Digest(bytes), "byte {at}");
        }
        assert_ne!(Digest::of_parts("l", &[b"ab", b"c"]), Digest::of_parts("l", &[b"a", b"bc"]));
    }
}
