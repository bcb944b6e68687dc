//! Passwords and secrets that people chose: how they are kept, and who checks them.
//!
//! A [`PasswordHash`] is what is kept. A [`PasswordVerifier`] says whether a password is the right
//! one: [`HashPool`] with Argon2id, on threads of its own, or your directory server. What is
//! guessed too often is put off by the [`AttemptLimiter`](crate::limiter::AttemptLimiter) before
//! it gets here.

#[cfg(feature = "argon2")]
mod answer;
#[cfg(feature = "argon2")]
mod argon2id;
mod hash;
#[cfg(feature = "argon2")]
mod pool;
#[cfg(feature = "argon2")]
mod queue;
#[cfg(feature = "argon2")]
mod sync;

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;

use crate::user::User;

pub use hash::{InvalidPasswordHash, PasswordHash};
#[cfg(feature = "argon2")]
pub use pool::{HashPool, HashPoolBuilder, InvalidHashPool};

/// Says whether a password is the right one.
///
/// A check must cost the same whether the password is right or wrong, and whether the user is
/// known or not, and must not block the thread that polls it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot check passwords",
    note = "use a `HashPool`, or implement `PasswordVerifier` for whoever knows the passwords"
)]
pub trait PasswordVerifier: Send + Sync + 'static {
    /// Is `password` what `hash` was made of? Without a hash, it is not; but it costs as much to
    /// say so.
    fn verify(
        &self,
        hash: Option<&PasswordHash>,
        password: &str,
    ) -> impl Future<Output = Result<Verdict, VerifierError>> + Send;

    /// Is `password` that of a user whose password is kept elsewhere, such as in a directory?
    /// [`Verdict::Wrong`] unless implemented.
    fn verify_elsewhere(
        &self,
        user: &User,
        password: &str,
    ) -> impl Future<Output = Result<Verdict, VerifierError>> + Send {
        let _ = (user, password);
        async { Ok(Verdict::Wrong) }
    }

    /// What to keep of a password that has just been found right, after
    /// [`Verdict::RightButWeak`]. `None` unless implemented: nothing is written.
    fn hash(
        &self,
        password: &str,
    ) -> impl Future<Output = Result<Option<PasswordHash>, VerifierError>> + Send {
        let _ = password;
        async { Ok(None) }
    }
}

/// What a [`PasswordVerifier`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is the right one.
    Right,
    /// It is the right one, and its hash is weaker than new ones are: it should be hashed anew.
    RightButWeak,
    /// It is not.
    Wrong,
}

/// A password could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// There are too many to check at once; the client is told to come back.
    #[error("too many passwords are being checked")]
    Busy,
    /// Something is broken.
    #[error("a password could not be checked")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, VerifierError>> + Send + 'a>>;

/// [`PasswordVerifier`] once more, object-safe.
pub(crate) trait DynPasswordVerifier: Send + Sync {
    fn verify<'a>(&'a self, hash: Option<&'a PasswordHash>, password: &'a str) -> Answer<'a, Verdict>;
    fn verify_elsewhere<'a>(&'a self, user: &'a User, password: &'a str) -> Answer<'a, Verdict>;
    fn hash<'a>(&'a self, password: &'a str) -> Answer<'a, Option<PasswordHash>>;
}

impl<V: PasswordVerifier> DynPasswordVerifier for V {
    fn verify<'a>(&'a self, hash: Option<&'a PasswordHash>, password: &'a str) -> Answer<'a, Verdict> {
        Box::pin(PasswordVerifier::verify(self, hash, password))
    }

    fn verify_elsewhere<'a>(&'a self, user: &'a User, password: &'a str) -> Answer<'a, Verdict> {
        Box::pin(PasswordVerifier::verify_elsewhere(self, user, password))
    }

    fn hash<'a>(&'a self, password: &'a str) -> Answer<'a, Option<PasswordHash>> {
        Box::pin(PasswordVerifier::hash(self, password))
    }
}
