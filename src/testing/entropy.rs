use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::entropy::{Entropy, EntropyError};

/// Bytes that look random and are the same at each run: SHA-256 over a seed and the
/// number of the draw. Clones go on where the others are, so no draw is ever repeated.
///
/// For tests alone: whoever knows the seed knows every token.
///
/// ```
/// use grantor::Entropy;
/// use grantor::testing::SeededEntropy;
///
/// let entropy = SeededEntropy::new(7);
/// let first = entropy.draw()?;
/// assert_ne!(entropy.draw()?, first);
/// assert_eq!(SeededEntropy::new(7).draw()?, first);
/// # Ok::<(), grantor::EntropyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SeededEntropy {
    seed: u64,
    draws: Arc<AtomicU64>,
    failing: Option<u64>,
}

impl SeededEntropy {
    /// A source that gives the same as every other with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, draws: Arc::default(), failing: None }
    }

    /// Draw number `draw`, counted from 0, fails.
    #[must_use]
    pub fn failing_at(mut self, draw: u64) -> Self {
        self.failing = Some(draw);
        self
    }

    /// How many draws there were, failed ones included.
    #[must_use]
    pub fn draws(&self) -> u64 {
        self.draws.load(Ordering::SeqCst)
    }
}

impl Entropy for SeededEntropy {
    fn draw(&self) -> Result<[u8; 32], EntropyError> {
        let number = self.draws.fetch_add(1, Ordering::SeqCst);
        if self.failing == Some(number) {
            return Err(EntropyError::new("this draw was told to fail"));
        }
        let mut hash = Sha256::new();
        hash.update(b"grantor/testing/entropy/1");
        hash.update(self.seed.to_be_bytes());
        hash.update(number.to_be_bytes());
        Ok(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_draw_is_repeated_and_clones_share_the_count() {
        let entropy = SeededEntropy::new(1);
        let clone = entropy.clone();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            assert!(seen.insert(entropy.draw().unwrap()));
            assert!(seen.insert(clone.draw().unwrap()));
        }
        assert_eq!(entropy.draws(), 200);
        assert!(seen.insert(SeededEntropy::new(2).draw().unwrap()));
    }

    #[test]
    fn only_the_named_draw_fails() {
        let entropy = SeededEntropy::new(1).failing_at(1);
        let failed: Vec<bool> = (0..3).map(|_| entropy.draw().is_err()).collect();
        assert_eq!(failed, [false, true, false]);
    }
}
