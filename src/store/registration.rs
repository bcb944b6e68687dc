//! Clients and users as stores write them: JSON with a format number.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

/// The number of the format that clients and users are written in.
pub(super) const FORMAT: u32 = 1;

/// A registration that cannot be read, or must not be written over.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidRegistration {
    #[error("the registration has format {0}, which is newer than {FORMAT}")]
    Newer(u32),
    #[error("the registration is damaged")]
    Damaged(#[source] serde_json::Error),
}

impl From<InvalidRegistration> for StoreError {
    fn from(error: InvalidRegistration) -> Self {
        match error {
            InvalidRegistration::Newer(_) => Self::unavailable(error),
            InvalidRegistration::Damaged(_) => Self::other(error),
        }
    }
}

/// What a registration is written as.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<T> {
    format: u32,
    registration: T,
}

pub(super) fn write(registration: &impl Serialize) -> Result<String, InvalidRegistration> {
    serde_json::to_string(&Record { format: FORMAT, registration }).map_err(InvalidRegistration::Damaged)
}

/// `format` is that of the column beside it.
pub(super) fn read<T: DeserializeOwned>(format: u32, record: &str) -> Result<T, InvalidRegistration> {
    if format > FORMAT {
        return Err(InvalidRegistration::Newer(format));
    }
    let record: Record<T> = serde_json::from_str(record).map_err(InvalidRegistration::Damaged)?;
    Ok(record.registration)
}
