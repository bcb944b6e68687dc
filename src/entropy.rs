//! Randomness: [`Entropy`] is asked for 32 bytes a request, and everything random in
//! that request is derived from them.

use std::fmt;
use std::sync::Arc;

use rand::TryRng as _;
use sha2::{Digest as _, Sha256};

use crate::secret::Wiped;

/// A source of unpredictable bytes. The server draws once per request.
pub trait Entropy: Send + Sync + 'static {
    /// 32 bytes that nobody can guess.
    ///
    /// # Errors
    /// When the source has none to give; the request then fails with `server_error`.
    fn draw(&self) -> Result<[u8; 32], EntropyError>;
}

impl<E: Entropy + ?Sized> Entropy for Arc<E> {
    fn draw(&self) -> Result<[u8; 32], EntropyError> {
        (**self).draw()
    }
}

/// The source of randomness failed.
#[derive(Debug, thiserror::Error)]
#[error("no randomness to be had")]
pub struct EntropyError(#[source] Option<Box<dyn std::error::Error + Send + Sync>>);

impl EntropyError {
    /// A failure with its cause.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(Some(source.into()))
    }
}

/// The operating system's generator. A generator in user space would repeat itself
/// after a fork or the restore of a machine's snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one home of the system's randomness")]
    fn draw(&self) -> Result<[u8; 32], EntropyError> {
        let mut bytes = [0; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(EntropyError::new)?;
        Ok(bytes)
    }
}

/// The one draw of a request. Each thing the request mints comes from it under a label
/// of its own, so what is shown of one tells nothing of another.
pub(crate) struct Seed(Wiped<32>);

impl Seed {
    pub(crate) fn draw(entropy: &(impl Entropy + ?Sized)) -> Result<Self, EntropyError> {
        entropy.draw().map(|bytes| Self(Wiped::new(bytes)))
    }

    pub(crate) fn derive(&self, label: SeedLabel) -> Wiped<32> {
        // Together they fit into one block of SHA-256.
        let hash = Sha256::new_with_prefix(label.bytes()).chain_update(self.0.as_slice());
        Wiped::new(hash.finalize().into())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// The length of a label.
const LABEL: usize = 22;

/// What a seed is asked for.
#[derive(Clone, Copy)]
pub(crate) enum SeedLabel {
    Record,
    Code,
    Access,
    Refresh,
    Salt,
    ServerKey,
    ClientSecret,
}

impl SeedLabel {
    const fn bytes(self) -> &'static [u8; LABEL] {
        match self {
            Self::Record => b"grantor/seed/1 record ",
            Self::Code => b"grantor/seed/1 code   ",
            Self::Access => b"grantor/seed/1 access ",
            Self::Refresh => b"grantor/seed/1 refresh",
            Self::Salt => b"grantor/seed/1 salt   ",
            Self::ServerKey => b"grantor/seed/1 server ",
            Self::ClientSecret => b"grantor/seed/1 client ",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_derived_under_one_label_is_nothing_of_another() {
        let seed = Seed(Wiped::new([7; 32]));
        let labels = [
            SeedLabel::Record,
            SeedLabel::Code,
            SeedLabel::Access,
            SeedLabel::Refresh,
            SeedLabel::Salt,
            SeedLabel::ServerKey,
            SeedLabel::ClientSecret,
        ];
        let derived: std::collections::HashSet<[u8; 32]> = labels.map(|label| *seed.derive(label)).into();
        assert_eq!(derived.len(), labels.len());
        assert!(!derived.contains(&[7; 32]));
    }
}
