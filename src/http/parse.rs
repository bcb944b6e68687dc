//! From the bytes of a request to its parameters and credentials.

use crate::client::authentication::{Credentials, HeaderCredentials};
use crate::endpoint::AuthorizationRequest;
use crate::error::{Error, RequestFailure};
use crate::parameters::Parameters;

use super::basic::{self, Authorization};
use super::form::{self, FormError, FormLimits};
use super::request::{Header, Repeated, Request};

/// Adds those of `form` to `parameters`, which are large enough to be worth not moving about.
pub(super) fn parameters<'a>(form: &'a [u8], parameters: &mut Parameters<'a>) -> Result<(), Error> {
    for pair in form::pairs(form, FormLimits::default()) {
        let (name, value) = pair.map_err(failure)?;
        parameters.push(name, value);
    }
    Ok(())
}

fn failure(error: FormError) -> RequestFailure {
    match error {
        FormError::TooManyParameters => RequestFailure::TooManyParameters,
        FormError::TooLong => RequestFailure::TooLong,
        FormError::BadEscape | FormError::NotUtf8 => RequestFailure::Form,
    }
}

impl<'a> AuthorizationRequest<'a> {
    /// Reads the query of a request to the authorization endpoint, or the body of one that
    /// was posted.
    ///
    /// # Errors
    /// When it is not well-formed form data. There is no client to redirect to then.
    pub fn from_query(query: &'a str) -> Result<Self, Error> {
        let mut all = Parameters::default();
        parameters(query.as_bytes(), &mut all)?;
        Ok(Self::from_parameters(all))
    }
}

/// RFC 6749 §3.2 and Appendix B.
pub(super) fn check_media_type(request: &Request<'_>) -> Result<(), Error> {
    let is_form = matches!(request.only(Header::ContentType), Ok(Some(value)) if is_form(value));
    if is_form { Ok(()) } else { Err(RequestFailure::MediaType.into()) }
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";

fn is_form(value: &[u8]) -> bool {
    if value == FORM {
        return true;
    }
    let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let essence = parts.next().unwrap_or_default();
    let charset_is_utf8 = |part: &[u8]| {
        let Some((name, value)) = part.split_at_checked("charset=".len()) else { return true };
        !name.eq_ignore_ascii_case(b"charset=")
            || value.trim_ascii().eq_ignore_ascii_case(b"utf-8")
            || value.eq_ignore_ascii_case(b"\"utf-8\"")
    };
    essence.eq_ignore_ascii_case(FORM) && parts.all(charset_is_utf8)
}

/// The `Authorization` header, if there is one.
pub(super) fn authorization(request: &Request<'_>) -> Result<Option<Authorization>, Error> {
    match request.only(Header::Authorization) {
        Ok(header) => Ok(header.map(basic::parse)),
        Err(Repeated) => Err(RequestFailure::SeveralCredentials.into()),
    }
}

pub(super) fn credentials(header: Option<&Authorization>) -> HeaderCredentials<'_> {
    let pair = |(id, secret)| Credentials { id, secret };
    match header {
        None => HeaderCredentials::Absent,
        Some(Authorization::Other) => HeaderCredentials::Unsupported,
        Some(Authorization::Basic(basic)) => {
            HeaderCredentials::Basic { decoded: basic.decoded().map(pair), raw: basic.raw().map(pair) }
        }
    }
}
