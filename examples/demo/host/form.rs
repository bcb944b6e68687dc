//! The fields of a form that a browser posted.

use std::borrow::Cow;

use super::Incoming;

pub(super) struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    /// `None` if it is of another type.
    pub(super) fn read(request: &Incoming<'a>) -> Option<Self> {
        let media_type = request.header("content-type")?.split(';').next()?.trim();
        let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        is_form.then(|| Self::parse(request.body))
    }

    pub(super) fn parse(text: &'a [u8]) -> Self {
        Self(form_urlencoded::parse(text).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }

    pub(super) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| &**value)
    }
}

/// Compares without telling by the time how much was right.
pub(super) fn same(one: &str, other: &str) -> bool {
    use sha2::{Digest as _, Sha256};
    // Digests of what was sent cannot be steered.
    Sha256::digest(one) == Sha256::digest(other)
}
