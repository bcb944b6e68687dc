//! Parsers that are not public, for the targets in `fuzz/`.

#![allow(missing_docs, reason = "no build of a user has it")]

use super::basic::{self, Authorization};
use super::form::{self, FormLimits};

type Pair = (String, String);

#[must_use]
pub fn form(input: &[u8]) -> Option<Vec<Pair>> {
    let pairs = form::pairs(input, FormLimits::default());
    pairs.map(|pair| pair.ok().map(|(name, value)| (name.into_owned(), value.into_owned()))).collect()
}

/// The decoded and the raw reading.
#[must_use]
pub fn basic(header: &[u8]) -> Option<(Option<Pair>, Option<Pair>)> {
    let own = |(id, secret): (&str, &str)| (id.to_owned(), secret.to_owned());
    match basic::parse(header) {
        Authorization::Basic(basic) => Some((basic.decoded().map(own), basic.raw().map(own))),
        Authorization::Other => None,
    }
}
