//! Client credentials in the `Authorization` header.

use std::mem;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::secret::WipedText;

use super::form;

const MAX_HEADER_BYTES: usize = 8 * 1024;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the header of a request says about its client.
pub(crate) enum Authorization {
    Basic(BasicCredentials),
    /// An unknown scheme, or `Basic` that cannot be read: client authentication has failed.
    Other,
}

/// A client id and secret, which not every client form-encodes as RFC 6749 §2.3.1 wants.
pub(crate) struct BasicCredentials {
    /// `id:secret`.
    raw: WipedText,
    /// Where the first colon is.
    colon: usize,
    decoded: Decoded,
}

enum Decoded {
    SameAsRaw,
    Text { id: String, secret: WipedText },
    Malformed,
}

impl BasicCredentials {
    /// Id and secret, form-decoded; `None` when they are not valid form encoding.
    pub(crate) fn decoded(&self) -> Option<(&str, &str)> {
        match &self.decoded {
            Decoded::SameAsRaw => split(&self.raw, self.colon),
            Decoded::Text { id, secret } => Some((id, secret)),
            Decoded::Malformed => None,
        }
    }

    /// Id and secret as they were sent; `None` when that is what [`decoded`](Self::decoded) says.
    pub(crate) fn raw(&self) -> Option<(&str, &str)> {
        match self.decoded {
            Decoded::SameAsRaw => None,
            Decoded::Text { .. } | Decoded::Malformed => split(&self.raw, self.colon),
        }
    }

    /// `None` unless the payload is `id:secret` in UTF-8 (RFC 7617 §2).
    fn from_base64(payload: &[u8]) -> Option<Self> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(payload.len())));
        BASE64.decode_vec(payload, &mut bytes).ok()?;
        let raw = match String::from_utf8(mem::take(&mut *bytes)) {
            Ok(text) => WipedText::new(text),
            Err(error) => {
                *bytes = error.into_bytes();
                return None;
            }
        };
        let colon = raw.bytes().position(|byte| byte == b':')?;
        let decoded = Decoded::of(split(&raw, colon)?);
        Some(Self { raw, colon, decoded })
    }
}

impl Decoded {
    fn of((id, secret): (&str, &str)) -> Self {
        let is_literal = |text: &str| !text.as_bytes().contains(&b'%') && !text.as_bytes().contains(&b'+');
        if is_literal(id) && is_literal(secret) {
            return Self::SameAsRaw;
        }
        let secret = form::decode(secret).map(|text| WipedText::new(text.into_owned()));
        match (form::decode(id), secret) {
            (Ok(id), Ok(secret)) => Self::Text { id: id.into_owned(), secret },
            _ => Self::Malformed,
        }
    }
}

/// What stands before and after the colon.
fn split(text: &str, colon: usize) -> Option<(&str, &str)> {
    Some((text.get(..colon)?, text.get(colon + 1..)?))
}

pub(crate) fn parse(header: &[u8]) -> Authorization {
    basic_payload(header)
        .and_then(BasicCredentials::from_base64)
        .map_or(Authorization::Other, Authorization::Basic)
}

fn basic_payload(header: &[u8]) -> Option<&[u8]> {
    if header.len() > MAX_HEADER_BYTES {
        return None;
    }
    let (scheme, rest) = header.split_at_checked("Basic".len())?;
    let payload = rest.iter().position(|&byte| byte != b' ').filter(|&spaces| spaces > 0)?;
    scheme.eq_ignore_ascii_case(b"Basic").then(|| rest.split_at(payload).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redirect_uri::form_encode_into;

    type Reading = Option<(String, String)>;

    /// The decoded and the raw reading of a header.
    fn read(header: impl AsRef<[u8]>) -> Option<(Reading, Reading)> {
        let own = |(id, secret): (&str, &str)| (id.to_owned(), secret.to_owned());
        match parse(header.as_ref()) {
            Authorization::Basic(basic) => Some((basic.decoded().map(own), basic.raw().map(own))),
            Authorization::Other => None,
        }
    }

    fn basic(payload: impl AsRef<[u8]>) -> String {
        format!("Basic {}", BASE64.encode(payload))
    }

    fn pair(id: &str, secret: &str) -> Reading {
        Some((id.to_owned(), secret.to_owned()))
    }

    #[test]
    fn ca_03_both_halves_are_form_decoded() {
        for (id, secret) in [
            ("1PpG/Q 1", "z/tZ9:X2+w=%"),
            ("c", "a:b"),
            ("c", "a+b"),
            ("c", "a%41b"),
            ("c", "a b"),
            ("c", "\u{a3}"),
            ("a:b", "c"),
        ] {
            let mut payload = String::new();
            form_encode_into(&mut payload, id);
            payload.push(':');
            form_encode_into(&mut payload, secret);
            let (decoded, raw) = read(basic(&payload)).unwrap();
            assert_eq!(decoded, pair(id, secret));
            let (raw_id, raw_secret) = payload.split_once(':').unwrap();
            assert_eq!(raw, pair(raw_id, raw_secret));
        }
    }

    #[test]
    fn ca_04_the_first_colon_separates() {
        assert_eq!(read(basic("c:a:b:c")), Some((pair("c", "a:b:c"), None)));
        assert_eq!(read(basic("c:a%3Ab%3Ac")), Some((pair("c", "a:b:c"), pair("c", "a%3Ab%3Ac"))));
        assert_eq!(read(basic("c:")), Some((pair("c", ""), None)));
        assert_eq!(read(basic(":s")), Some((pair("", "s"), None)));
        assert_eq!(read(basic("no-colon")), None);
        assert_eq!(read(basic("no%3Acolon")), None);
        assert_eq!(read(basic("")), None);
    }

    #[test]
    fn ca_05_the_raw_reading_is_offered_only_where_it_differs() {
        assert_eq!(read(basic("id:p%41")), Some((pair("id", "pA"), pair("id", "p%41"))));
        assert_eq!(read(basic("id:plain")), Some((pair("id", "plain"), None)));
        assert_eq!(read(basic("i+d:plain")), Some((pair("i d", "plain"), pair("i+d", "plain"))));
        assert_eq!(read(basic("id:100%")), Some((None, pair("id", "100%"))));
        assert_eq!(read(basic("i%d:s%41")), Some((None, pair("i%d", "s%41"))));
        assert_eq!(read(basic("id:%FF")), Some((None, pair("id", "%FF"))));
    }

    #[test]
    fn gen_19_the_scheme_is_case_insensitive() {
        let expected = Some((pair("id", "secret"), None));
        for header in
            ["basic aWQ6c2VjcmV0", "BASIC aWQ6c2VjcmV0", "bAsIc aWQ6c2VjcmV0", "Basic   aWQ6c2VjcmV0"]
        {
            assert_eq!(read(header), expected, "{header}");
        }
    }

    #[test]
    fn padding_may_be_left_out() {
        for header in ["Basic aWQ6cw==", "Basic aWQ6cw=", "Basic aWQ6cw"] {
            assert_eq!(read(header), Some((pair("id", "s"), None)), "{header}");
        }
    }

    #[test]
    fn a_header_may_be_as_long_as_the_limit() {
        let of_length = |length: usize| format!("Basic{}aWQ6cw", " ".repeat(length - "BasicaWQ6cw".len()));
        assert_eq!(read(of_length(8192)), Some((pair("id", "s"), None)));
        assert_eq!(read(of_length(8193)), None);
    }

    #[test]
    fn what_is_not_basic_credentials_is_refused() {
        let long = basic(format!("id:{}", "x".repeat(6 * 1024)));
        assert!(long.len() > MAX_HEADER_BYTES);
        for header in [
            "",
            "B",
            "Basic",
            "Basic ",
            "Basic    ",
            "BasicaWQ6c2VjcmV0",
            "Basic\taWQ6c2VjcmV0",
            " Basic aWQ6c2VjcmV0",
            "Basic aWQ6c2VjcmV0 ",
            "Basic aWQ6c2VjcmV0, Basic aWQ6c2VjcmV0",
            "Basic aWQ6-_-_",
            "Basic aWQ6c",
            "Basic a===",
            "Basic id:secret",
            "Bearer aWQ6c2VjcmV0",
            "Basi aWQ6c2VjcmV0",
            "Basic\u{e9} aWQ6c2VjcmV0",
            long.as_str(),
        ] {
            assert_eq!(read(header), None, "{header}");
        }
        assert_eq!(read(basic(b"id:\xff")), None);
        assert_eq!(read(b"Basic \xff\x00"), None);
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        const ALPHABET: &[u8] = b":%+4Aa\xff\xc2\xa3\0 ";
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state).unwrap()
        };
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..next() % 16).map(|_| ALPHABET[next() % ALPHABET.len()]).collect();
            read(&bytes);
            read([b"Basic ", bytes.as_slice()].concat());
            if let Some((decoded, raw)) = read(basic(&bytes)) {
                assert_ne!(decoded, raw);
            }
        }
    }
}
