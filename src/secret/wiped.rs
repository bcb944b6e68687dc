//! [`Wiped`] and [`WipedText`]: secrets on their way through a request.

use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};

use zeroize::optimization_barrier;

/// Secret bytes that are wiped when dropped. `Zeroizing` writes an array byte by byte, which
/// shows where there are several in each request.
#[derive(Clone)]
pub(crate) struct Wiped<const N: usize>([u8; N]);

impl<const N: usize> Wiped<N> {
    pub(crate) const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> Deref for Wiped<N> {
    type Target = [u8; N];

    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Wiped<N> {
    fn deref_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> Drop for Wiped<N> {
    fn drop(&mut self) {
        self.0 = [0; N];
        optimization_barrier(self);
    }
}

impl<const N: usize> fmt::Debug for Wiped<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiped(…)")
    }
}

/// A secret text that is wiped when dropped, as fast.
pub(crate) struct WipedText(String);

impl WipedText {
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }
}

impl Deref for WipedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for WipedText {
    fn drop(&mut self) {
        wipe(&mut mem::take(&mut self.0).into_bytes());
    }
}

/// What is in use of `bytes` and what is spare.
fn wipe(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize(bytes.capacity(), 0);
    optimization_barrier(bytes.as_slice());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spare_room_is_wiped_with_the_rest_and_nothing_is_moved() {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(b"a secret that was longer");
        bytes.truncate(8);
        let (place, capacity) = (bytes.as_ptr(), bytes.capacity());
        wipe(&mut bytes);
        assert_eq!((bytes.as_ptr(), bytes.capacity()), (place, capacity));
        assert_eq!(bytes, vec![0; capacity]);
    }
}
