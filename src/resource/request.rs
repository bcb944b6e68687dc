//! The bearer token of a request (RFC 6750 §2).

use super::AccessFailure;

/// What of a request to a protected resource may hold a token.
///
/// Only the `Authorization` header is taken as one. Query and form are looked at so that a
/// token there is refused and not overlooked (RFC 6750 §2, RFC 9700 §4.3.2).
///
/// ```
/// use grantor::resource::ResourceRequest;
///
/// let request = ResourceRequest::new().authorization(b"Bearer abc").query(Some("page=2"));
/// ```
#[derive(Clone, Copy, Default)]
#[must_use]
pub struct ResourceRequest<'a> {
    authorization: Option<&'a [u8]>,
    is_repeated: bool,
    query: Option<&'a str>,
    form: Option<&'a [u8]>,
}

impl<'a> ResourceRequest<'a> {
    /// A request without a token.
    pub const fn new() -> Self {
        Self { authorization: None, is_repeated: false, query: None, form: None }
    }

    /// With the value of an `Authorization` header; call it for each that there is.
    pub const fn authorization(mut self, value: &'a [u8]) -> Self {
        self.is_repeated = self.authorization.is_some();
        self.authorization = Some(value);
        self
    }

    /// With the query, without its `?`.
    pub const fn query(mut self, query: Option<&'a str>) -> Self {
        self.query = query;
        self
    }

    /// With a body of the type `application/x-www-form-urlencoded`.
    pub const fn form(mut self, form: &'a [u8]) -> Self {
        self.form = Some(form);
        self
    }

    pub(super) fn token(&self) -> Result<&'a str, AccessFailure> {
        let elsewhere =
            has_token(self.query.unwrap_or_default().as_bytes()) || has_token(self.form.unwrap_or_default());
        if elsewhere || self.is_repeated {
            return Err(AccessFailure::Transport);
        }
        let value = self.authorization.ok_or(AccessFailure::Missing)?.trim_ascii();
        let at = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at(at);
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            // Credentials of another kind are none.
            return Err(AccessFailure::Missing);
        }
        let token = rest.trim_ascii();
        let in_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        if token.is_empty() || !token.iter().all(in_token) {
            return Err(AccessFailure::Malformed);
        }
        std::str::from_utf8(token).map_err(|_| AccessFailure::Malformed)
    }
}

/// Is there a parameter `access_token`, however it is spelled?
fn has_token(form: &[u8]) -> bool {
    form.split(|byte| *byte == b'&').any(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        let mut rest = name.iter().copied();
        let decoded = std::iter::from_fn(|| {
            let byte = rest.next()?;
            if byte != b'%' {
                return Some(byte);
            }
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (rest.next().and_then(digit)?, rest.next().and_then(digit)?);
            u8::try_from(high * 16 + low).ok()
        });
        decoded.eq(b"access_token".iter().copied())
    })
}

impl std::fmt::Debug for ResourceRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourceRequest").finish_non_exhaustive()
    }
}
