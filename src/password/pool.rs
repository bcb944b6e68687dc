//! [`HashPool`]: a few threads that hash, and no more.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use zeroize::Zeroizing;

use crate::entropy::{Entropy, Seed, SeedLabel, SystemEntropy};

use super::answer::{Reply, channel};
use super::argon2id::{Arena, Argon2id, Hashing};
use super::hash::{Cost, InvalidPasswordHash, PasswordHash};
use super::queue::{Abandonable, Full, Queue};
use super::{PasswordVerifier, Verdict, VerifierError};

/// Checks passwords with Argon2id, on threads of its own.
///
/// However many passwords are tried at once, so many threads work on them, each in memory of
/// its own that it uses again, and a bounded number waits. One that cannot even wait is
/// [`VerifierError::Busy`], which the client is told as 503. A password whose request is gone
/// does not count, and a check that panics is answered as an error.
///
/// A clone is another handle to the same pool. The threads end after the last handle is
/// dropped.
///
/// ```
/// use grantor::password::{HashPool, PasswordVerifier, Verdict};
/// use grantor::testing::block_on;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = HashPool::builder().threads(2).queue(64).build()?;
/// # let pool = HashPool::builder().cost(64, 1, 1).build()?;
/// let hash = block_on(pool.hash_password("wonderland"))?;
/// assert_eq!(block_on(pool.verify(Some(&hash), "wonderland"))?, Verdict::Right);
/// assert_eq!(block_on(pool.verify(Some(&hash), "Wonderland"))?, Verdict::Wrong);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HashPool(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    entropy: Box<dyn Entropy>,
}

/// Builds a [`HashPool`].
#[must_use]
pub struct HashPoolBuilder {
    threads: usize,
    queue: usize,
    cost: Cost,
    entropy: Box<dyn Entropy>,
}

/// A pool that could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHashPool {
    /// What a new hash is to cost is out of range.
    #[error("cost: {0}")]
    Cost(#[from] InvalidPasswordHash),
    /// The operating system gave no thread.
    #[error("a thread could not be started")]
    Thread(#[from] std::io::Error),
}

/// Between the callers and the threads.
struct Shared {
    jobs: Queue<Job>,
    hashing: Box<dyn Hashing>,
}

enum Job {
    Verify {
        hash: Option<PasswordHash>,
        password: Zeroizing<String>,
        reply: Reply<Result<Verdict, VerifierError>>,
    },
    Hash {
        password: Zeroizing<String>,
        salt: [u8; 16],
        reply: Reply<Result<PasswordHash, VerifierError>>,
    },
}

impl HashPool {
    /// Begins a pool of two threads, with room for 64 that wait, and hashes of 46 MiB in one pass.
    pub fn builder() -> HashPoolBuilder {
        HashPoolBuilder {
            threads: 2,
            queue: 64,
            cost: Cost { memory: 46 * 1024, passes: 1, lanes: 1 },
            entropy: Box::new(SystemEntropy),
        }
    }

    /// What to keep of a password or of a secret that somebody chose.
    ///
    /// # Errors
    /// When too many are waiting, or there is no randomness for the salt.
    pub async fn hash_password(&self, password: &str) -> Result<PasswordHash, VerifierError> {
        let seed = Seed::draw(&*self.0.entropy).map_err(|error| VerifierError::Failed(error.into()))?;
        let mut salt = [0; 16];
        salt.copy_from_slice(seed.derive(SeedLabel::Salt).split_at(16).0);
        let (reply, answer) = channel();
        self.0.shared.push(Job::Hash { password: Zeroizing::new(password.to_owned()), salt, reply })?;
        answer.await.unwrap_or_else(|| Err(gave_up()))
    }

    fn start(hashing: Box<dyn Hashing>, builder: HashPoolBuilder) -> Result<Self, InvalidHashPool> {
        let shared = Arc::new(Shared { jobs: Queue::new(builder.queue), hashing });
        // Dropped when a thread cannot be started, it ends those that were.
        let pool = Self(Arc::new(Handle { shared: Arc::clone(&shared), entropy: builder.entropy }));
        for _ in 0..builder.threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("grantor-hash".to_owned()).spawn(move || shared.serve())?;
        }
        Ok(pool)
    }
}

impl HashPoolBuilder {
    /// How many passwords are worked on at once, at least one; 2 unless set. Each takes a core and the memory of
    /// one hash while there is work.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// How many may wait, at least one; 64 unless set.
    pub fn queue(mut self, length: usize) -> Self {
        self.queue = length.max(1);
        self
    }

    /// What a new hash costs: memory in KiB, passes over it, and lanes. 46 MiB, 1 and 1 unless
    /// set. Hashes that cost less are advised to be made anew when their password comes by.
    pub fn cost(mut self, memory: u32, passes: u32, lanes: u32) -> Self {
        self.cost = Cost { memory, passes, lanes };
        self
    }

    /// Where salts come from, in place of the operating system.
    pub fn entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Box::new(entropy);
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// When the cost is out of range, or a thread could not be started.
    pub fn build(self) -> Result<HashPool, InvalidHashPool> {
        self.cost.check()?;
        let hashing = Box::new(Argon2id::new(self.cost));
        HashPool::start(hashing, self)
    }
}

impl PasswordVerifier for HashPool {
    async fn verify(&self, hash: Option<&PasswordHash>, password: &str) -> Result<Verdict, VerifierError> {
        let (reply, answer) = channel();
        let password = Zeroizing::new(password.to_owned());
        self.0.shared.push(Job::Verify { hash: hash.cloned(), password, reply })?;
        answer.await.unwrap_or_else(|| Err(gave_up()))
    }

    async fn hash(&self, password: &str) -> Result<Option<PasswordHash>, VerifierError> {
        self.hash_password(password).await.map(Some)
    }
}

/// The thread dropped the job: it panicked.
fn gave_up() -> VerifierError {
    VerifierError::Failed("the check panicked".into())
}

impl Shared {
    fn push(&self, job: Job) -> Result<(), VerifierError> {
        self.jobs.push(job).map_err(|Full| VerifierError::Busy)
    }

    fn serve(&self) {
        let mut arena = Arena::default();
        while let Some(job) = self.jobs.take() {
            // A panic drops the job, which tells its caller, and is no reason to stop.
            let _ = catch_unwind(AssertUnwindSafe(|| job.run(&*self.hashing, &mut arena)));
        }
    }
}

impl Job {
    fn run(self, hashing: &dyn Hashing, arena: &mut Arena) {
        match self {
            Self::Verify { hash, password, reply } => {
                reply.send(hashing.verify(arena, hash.as_ref(), &password));
            }
            Self::Hash { password, salt, reply } => reply.send(hashing.hash(arena, &password, &salt)),
        }
    }
}

impl Abandonable for Job {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Verify { reply, .. } => reply.is_abandoned(),
            Self::Hash { reply, .. } => reply.is_abandoned(),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.jobs.close();
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").finish_non_exhaustive()
    }
}

impl fmt::Debug for HashPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPoolBuilder").field("threads", &self.threads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
