//! Argon2id, in memory that is used again (RFC 9106).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use crate::secret;

use super::hash::{Cost, PasswordHash};
use super::{Verdict, VerifierError};

/// In bytes.
const HASH_LENGTH: usize = 32;

/// Memory of one thread. It grows to what the largest hash takes, and stays so.
#[derive(Default)]
pub(super) struct Arena(Vec<Block>);

/// What a thread of the pool does with a password. A trait so that tests can go wrong.
pub(super) trait Hashing: Send + Sync {
    fn verify(
        &self,
        arena: &mut Arena,
        hash: Option<&PasswordHash>,
        password: &str,
    ) -> Result<Verdict, VerifierError>;
    fn hash(&self, arena: &mut Arena, password: &str, salt: &[u8]) -> Result<PasswordHash, VerifierError>;
}

/// Argon2id, whose hashes name what they cost.
pub(super) struct Argon2id {
    /// Of new hashes.
    cost: Cost,
    /// What passwords of users that there are not are compared with.
    nobody: PasswordHash,
}

impl Argon2id {
    pub(super) fn new(cost: Cost) -> Self {
        Self { cost, nobody: PasswordHash::new(cost, &[0; 16], &[0; HASH_LENGTH]) }
    }
}

impl Hashing for Argon2id {
    fn verify(
        &self,
        arena: &mut Arena,
        hash: Option<&PasswordHash>,
        password: &str,
    ) -> Result<Verdict, VerifierError> {
        // As much work in either case, for the same answer as a wrong password gets.
        let known = hash.unwrap_or(&self.nobody);
        let (salt, expected) = known.parts().ok_or_else(|| VerifierError::Failed("no hash".into()))?;
        let computed = compute(arena, known.cost, password, &salt, expected.len())?;
        if !secret::is_same(&computed, &expected) || hash.is_none() {
            return Ok(Verdict::Wrong);
        }
        let is_weak = known.cost.is_weaker_than(self.cost) || expected.len() < HASH_LENGTH;
        Ok(if is_weak { Verdict::RightButWeak } else { Verdict::Right })
    }

    fn hash(&self, arena: &mut Arena, password: &str, salt: &[u8]) -> Result<PasswordHash, VerifierError> {
        let hash = compute(arena, self.cost, password, salt, HASH_LENGTH)?;
        Ok(PasswordHash::new(self.cost, salt, &hash))
    }
}

fn compute(
    arena: &mut Arena,
    cost: Cost,
    password: &str,
    salt: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, VerifierError> {
    // The error of the crate is no `std` error in all of its builds.
    let failed = |error: argon2::Error| VerifierError::Failed(error.to_string().into());
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(length)).map_err(failed)?;
    let blocks = params.block_count();
    if arena.0.len() < blocks {
        arena.0.resize(blocks, Block::default());
    }
    let mut hash = Zeroizing::new(vec![0; length]);
    let memory = arena.0.get_mut(..blocks).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, memory)
        .map_err(failed)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_that_is_shorter_than_new_ones_is_weak() {
        let cost = Cost { memory: 64, passes: 1, lanes: 1 };
        let mut arena = Arena::default();
        for (length, verdict) in [(16, Verdict::RightButWeak), (32, Verdict::Right), (64, Verdict::Right)] {
            let hash = compute(&mut arena, cost, "found", &[7; 16], length).unwrap();
            let hash = PasswordHash::new(cost, &[7; 16], &hash);
            assert_eq!(
                Argon2id::new(cost).verify(&mut arena, Some(&hash), "found").unwrap(),
                verdict,
                "{length}"
            );
        }
    }

    #[test]
    fn nobody_logs_in_as_nobody() {
        let cheap = Argon2id::new(Cost { memory: 64, passes: 1, lanes: 1 });
        let mut arena = Arena::default();
        let hash = cheap.hash(&mut arena, "found", &[0; 16]).unwrap();
        assert_eq!(cheap.verify(&mut arena, Some(&hash), "found").unwrap(), Verdict::Right);
        let found = Argon2id { nobody: hash, ..cheap };
        assert_eq!(found.verify(&mut arena, None, "found").unwrap(), Verdict::Wrong);
    }
}
