//! How much a [`MemoryTokenStore`] may hold.

use super::MemoryTokenStore;
#[cfg(doc)]
use crate::grant::Grant;

/// The bounds of a [`MemoryTokenStore`].
#[derive(Clone, Debug)]
#[must_use]
pub struct MemoryTokenStoreBuilder {
    pub(super) capacity: usize,
    pub(super) bytes: usize,
    pub(super) client_share: f64,
}

impl Default for MemoryTokenStoreBuilder {
    fn default() -> Self {
        Self { capacity: 1_000_000, bytes: 1 << 30, client_share: 0.25 }
    }
}

impl MemoryTokenStoreBuilder {
    /// The most records; a million unless set.
    pub fn capacity(mut self, records: usize) -> Self {
        self.capacity = records;
        self
    }

    /// The most bytes that the records may take by [`Grant::size`]; 1 GiB unless set. What
    /// the store needs to find a record again, about 60 bytes, comes on top.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// The part of either bound that one client may hold, so that it cannot lock the
    /// others out; 0.25 unless set, 1.0 for no limit.
    ///
    /// It binds only while less than this part is free. From some 1,600 records on it is
    /// estimated and may be off by a few percent.
    pub fn client_share(mut self, share: f64) -> Self {
        self.client_share = share;
        self
    }

    /// The store.
    ///
    /// # Errors
    /// When a bound is zero, or `client_share` is not more than 0 and at most 1.
    pub fn build(self) -> Result<MemoryTokenStore, InvalidMemoryBound> {
        if self.capacity == 0 {
            return Err(InvalidMemoryBound { field: "capacity", why: "it is zero" });
        }
        if self.bytes == 0 {
            return Err(InvalidMemoryBound { field: "bytes", why: "it is zero" });
        }
        if !(self.client_share > 0.0 && self.client_share <= 1.0) {
            return Err(InvalidMemoryBound { field: "client_share", why: "it is not in (0, 1]" });
        }
        Ok(MemoryTokenStore::with(&self))
    }
}

/// A bound that no [`MemoryTokenStore`] can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of the memory store: {why}")]
pub struct InvalidMemoryBound {
    field: &'static str,
    why: &'static str,
}

impl InvalidMemoryBound {
    /// The builder's method that set it.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}
