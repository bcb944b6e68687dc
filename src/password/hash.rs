//! Password hashes as text (PHC string format).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What is kept of a password: Argon2id, in the PHC string format.
///
/// ```
/// use grantor::password::PasswordHash;
///
/// let text = "$argon2id$v=19$m=47104,t=1,p=1$c29tZXNhbHRzb21lc2FsdA\
///             $uSvs7sxdqZYR7SGlNKt4BrXQN1EuWQ5kGVMBdZ3nJfs";
/// assert_eq!(text.parse::<PasswordHash>()?.as_str(), text);
/// // Whoever can write hashes must not be able to use up the memory.
/// assert!(text.replace("m=47104", "m=4194304").parse::<PasswordHash>().is_err());
/// # Ok::<(), grantor::password::InvalidPasswordHash>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: Arc<str>,
    pub(super) cost: Cost,
}

/// What it takes to make a hash, and what it is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// In KiB.
    pub(super) memory: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

/// A text that is no password hash, or one that costs too much to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPasswordHash {
    /// It is not of the form `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    #[error("it is not of the form $argon2id$v=19$m=…,t=…,p=…$salt$hash")]
    Form,
    /// It was made with another function than Argon2id, version 19.
    #[error("it was not made with Argon2id, version 19")]
    Function,
    /// To check it would take more than 256 MiB.
    #[error("it takes {0} KiB of memory to check, and {most} is the most", most = Cost::MOST_MEMORY)]
    Memory(u64),
    /// To check it would take more passes or lanes than are allowed for its memory.
    #[error("it takes too many passes or lanes to check")]
    Passes,
    /// Its parameters contradict each other, or its salt or hash is too short or too long.
    #[error("its parameters, its salt or its hash are out of range")]
    Range,
}

impl Cost {
    /// 256 MiB.
    const MOST_MEMORY: u32 = 256 * 1024;
    /// Memory times passes: as long as 1 GiB once.
    const MOST_WORK: u64 = 1024 * 1024;
    const MOST_LANES: u32 = 16;

    pub(super) fn check(self) -> Result<(), InvalidPasswordHash> {
        let Self { memory, passes, lanes } = self;
        if memory > Self::MOST_MEMORY {
            return Err(InvalidPasswordHash::Memory(memory.into()));
        }
        if u64::from(memory) * u64::from(passes) > Self::MOST_WORK || lanes > Self::MOST_LANES {
            return Err(InvalidPasswordHash::Passes);
        }
        if passes == 0 || lanes == 0 || memory < 8 * lanes {
            return Err(InvalidPasswordHash::Range);
        }
        Ok(())
    }

    /// Is it cheaper to guess at than `other`?
    #[cfg(feature = "argon2")]
    pub(super) fn is_weaker_than(self, other: Self) -> bool {
        let work = |cost: Self| u64::from(cost.memory) * u64::from(cost.passes);
        self.memory < other.memory && work(self) < work(other)
            || self.memory <= other.memory && work(self) < work(other)
    }
}

impl PasswordHash {
    #[cfg(feature = "argon2")]
    pub(super) fn new(cost: Cost, salt: &[u8], hash: &[u8]) -> Self {
        let Cost { memory, passes, lanes } = cost;
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        let text = format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}");
        Self { text: text.into(), cost }
    }

    /// The text, to be kept in a store. It is worth guessing at: do not log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Salt and hash.
    #[cfg(feature = "argon2")]
    pub(super) fn parts(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut parts = self.text.rsplit('$');
        let (hash, salt) = (parts.next()?, parts.next()?);
        Some((STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?))
    }
}

impl FromStr for PasswordHash {
    type Err = InvalidPasswordHash;

    fn from_str(text: &str) -> Result<Self, InvalidPasswordHash> {
        let mut parts = text.split('$');
        if parts.next() != Some("") {
            return Err(InvalidPasswordHash::Form);
        }
        if parts.next() != Some("argon2id") || parts.next() != Some("v=19") {
            return Err(InvalidPasswordHash::Function);
        }
        let (Some(parameters), Some(salt), Some(hash), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidPasswordHash::Form);
        };
        let cost = read_cost(parameters)?;
        cost.check()?;
        let length = |text: &str| STANDARD_NO_PAD.decode(text).map(|bytes| bytes.len());
        let (salt, hash) = (length(salt), length(hash));
        match (salt, hash) {
            (Ok(8..=64), Ok(16..=64)) => Ok(Self { text: text.into(), cost }),
            (Ok(_), Ok(_)) => Err(InvalidPasswordHash::Range),
            _ => Err(InvalidPasswordHash::Form),
        }
    }
}

fn read_cost(parameters: &str) -> Result<Cost, InvalidPasswordHash> {
    let mut values = ["m=", "t=", "p="].into_iter().zip(parameters.split(',').map(Some).chain([None; 3]));
    let mut next = || {
        let (name, value) = values.next()?;
        let digits = value?.strip_prefix(name)?;
        let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| digits.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (Some(memory), Some(passes), Some(lanes)) = (next(), next(), next()) else {
        return Err(InvalidPasswordHash::Form);
    };
    if parameters.split(',').count() != 3 {
        return Err(InvalidPasswordHash::Form);
    }
    Ok(Cost {
        memory: u32::try_from(memory).map_err(|_| InvalidPasswordHash::Memory(memory))?,
        passes: u32::try_from(passes).map_err(|_| InvalidPasswordHash::Passes)?,
        lanes: u32::try_from(lanes).map_err(|_| InvalidPasswordHash::Passes)?,
    })
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for PasswordHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for PasswordHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "$argon2id$v=19$m=47104,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$uSvs7sxdqZYR7SGlNKt4BrXQN1EuWQ5kGVMBdZ3nJfs";

    #[test]
    fn what_is_not_argon2id_or_costs_too_much_is_refused() {
        assert_eq!(GOOD.parse::<PasswordHash>().unwrap().cost, Cost { memory: 47104, passes: 1, lanes: 1 });
        for (from, to, expected) in [
            ("argon2id", "argon2i", InvalidPasswordHash::Function),
            ("argon2id", "2b", InvalidPasswordHash::Function),
            ("v=19$", "", InvalidPasswordHash::Function),
            ("v=19", "v=16", InvalidPasswordHash::Function),
            ("m=47104", "m=4194304", InvalidPasswordHash::Memory(4_194_304)),
            ("m=47104", "m=99999999999999999999", InvalidPasswordHash::Memory(u64::MAX)),
            ("t=1", "t=23", InvalidPasswordHash::Passes),
            ("t=1", "t=4294967296", InvalidPasswordHash::Passes),
            ("p=1", "p=17", InvalidPasswordHash::Passes),
            ("t=1", "t=0", InvalidPasswordHash::Range),
            ("p=1", "p=0", InvalidPasswordHash::Range),
            ("m=47104", "m=7", InvalidPasswordHash::Range),
            ("m=47104,t=1", "t=1,m=47104", InvalidPasswordHash::Form),
            ("p=1", "p=1,data=AA", InvalidPasswordHash::Form),
            ("m=47104", "m=+47104", InvalidPasswordHash::Form),
            ("m=47104", "m=", InvalidPasswordHash::Form),
            ("$argon2id", "argon2id", InvalidPasswordHash::Form),
            ("c29tZXNhbHRzb21lc2FsdA", "c29t", InvalidPasswordHash::Range),
            ("c29tZXNhbHRzb21lc2FsdA", "c29t!", InvalidPasswordHash::Form),
            ("$uSvs7sxdqZYR7SGlNKt4BrXQN1EuWQ5kGVMBdZ3nJfs", "", InvalidPasswordHash::Form),
            ("$uSvs7sxdqZYR7SGlNKt4BrXQN1EuWQ5kGVMBdZ3nJfs", "$AAAA", InvalidPasswordHash::Range),
            ("nJfs", "nJfs$AAAA", InvalidPasswordHash::Form),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_eq!(text.parse::<PasswordHash>().unwrap_err(), expected, "{text}");
        }
        assert!("".parse::<PasswordHash>().is_err());
        assert!(!format!("{:?}", GOOD.parse::<PasswordHash>()).contains("uSvs"));
    }
}
