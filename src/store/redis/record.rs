//! A grant as the value of a key: a header of fixed width, which scripts look at, and the record.

use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::grant::{Grant, InvalidRecord, Revision};
use crate::id::GrantId;

/// Hexadecimal digits: 16 of the revision, 8 of the format, 16 of the moment it ends at.
pub(super) const HEADER: usize = 40;

/// The end of what never ends.
const NEVER: u64 = u64::MAX;

pub(super) fn write(grant: &Grant) -> String {
    let end = grant.expires_at().map_or(NEVER, Timestamp::as_millis);
    format!("{}{:08x}{end:016x}{}", revision(grant.revision()), Grant::FORMAT, grant.to_stored())
}

pub(super) fn read(id: GrantId, value: &str) -> Result<Grant, StoreError> {
    let damaged = || InvalidRecord::Damaged("it is not the record that its key names".into());
    let (header, record) = value.split_at_checked(HEADER).ok_or_else(damaged)?;
    let grant = Grant::from_stored(record)?;
    if grant.id() == id && header.starts_with(&revision(grant.revision())) {
        Ok(grant)
    } else {
        Err(damaged().into())
    }
}

pub(super) fn revision(revision: Revision) -> String {
    format!("{:016x}", revision.as_u64())
}

/// The largest format that this library writes.
pub(super) fn format() -> String {
    format!("{:08x}", Grant::FORMAT)
}

/// What a script answers of a record that is too new.
pub(super) fn newer(header: &str) -> StoreError {
    let format = header.get(16..24).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    InvalidRecord::Newer { format: format.unwrap_or(u32::MAX) }.into()
}

/// Has it expired at `moment`, and may this library say so?
pub(super) fn has_ended(value: &str, moment: Timestamp) -> bool {
    let own = |range| value.get(range).unwrap_or_default();
    own(16..24) <= format().as_str() && own(24..HEADER) <= end(moment).as_str()
}

/// The bound of what has expired at `moment`, as the header has it.
pub(super) fn end(moment: Timestamp) -> String {
    // What never ends has not ended.
    format!("{:016x}", moment.as_millis().min(NEVER - 1))
}
