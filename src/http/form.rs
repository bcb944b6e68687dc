//! `application/x-www-form-urlencoded`, read strictly (RFC 6749 Appendix B).

use std::borrow::Cow;
use std::mem;

use zeroize::Zeroizing;

use crate::redirect_uri::unescape;

/// A decoded name and its decoded value.
pub(crate) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// How much of a form is read before it is refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormLimits {
    pub(crate) parameters: usize,
    /// Of one decoded name or value.
    pub(crate) value_bytes: usize,
}

impl Default for FormLimits {
    fn default() -> Self {
        Self { parameters: 64, value_bytes: 16 * 1024 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("too many parameters")]
    TooManyParameters,
    #[error("a parameter is too long")]
    TooLong,
    #[error("a percent escape is broken")]
    BadEscape,
    #[error("a parameter is not UTF-8")]
    NotUtf8,
}

/// The parameters in the order of the input, up to the first error.
///
/// Empty segments are skipped; one without `=` is a name with an empty value.
pub(crate) fn pairs(input: &[u8], limits: FormLimits) -> impl Iterator<Item = Result<Pair<'_>, FormError>> {
    // What is not escaped must be UTF-8 as it stands, and cutting it at `&` and `=` keeps it so.
    let text = str::from_utf8(input).map_err(|_| FormError::NotUtf8);
    let mut failed = text.err();
    let mut rest = text.unwrap_or_default();
    let mut left = limits.parameters;
    std::iter::from_fn(move || {
        if let Some(error) = failed.take() {
            return Some(Err(error));
        }
        let (name, value) = next_segment(&mut rest)?;
        let pair = match left.checked_sub(1) {
            None => Err(FormError::TooManyParameters),
            Some(fewer) => {
                left = fewer;
                name.decode(limits.value_bytes).and_then(|name| Ok((name, value.decode(limits.value_bytes)?)))
            }
        };
        if pair.is_err() {
            rest = "";
        }
        Some(pair)
    })
}

/// Undoes percent and plus encoding; borrows when there is none.
///
/// What is decoded may be a password: no copy of it stays behind in freed memory on failure.
pub(crate) fn decode(encoded: &str) -> Result<Cow<'_, str>, FormError> {
    let escape = |text: &[u8]| text.iter().position(|byte| matches!(byte, b'%' | b'+'));
    let Some(mut start) = escape(encoded.as_bytes()) else { return Ok(Cow::Borrowed(encoded)) };
    let mut rest = encoded.as_bytes();
    let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
    while let Some((literal, escaped)) = rest.split_at_checked(start) {
        decoded.extend_from_slice(literal);
        let byte;
        (byte, rest) = match escaped {
            [b'+', tail @ ..] => (b' ', tail),
            [b'%', high, low, tail @ ..] => (unescape([*high, *low]).ok_or(FormError::BadEscape)?, tail),
            [] => break,
            _ => return Err(FormError::BadEscape),
        };
        decoded.push(byte);
        start = escape(rest).unwrap_or(rest.len());
    }
    match String::from_utf8(mem::take(&mut *decoded)) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(error) => {
            *decoded = error.into_bytes();
            Err(FormError::NotUtf8)
        }
    }
}

const fn is_special(byte: u8) -> bool {
    // Without shortcuts, so that many can be looked at at once.
    (byte == b'%') | (byte == b'&') | (byte == b'+') | (byte == b'=')
}

/// A length without special bytes; it may be less than there are. Most of a form is long values.
fn plain(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<16>();
    let is_plain = |chunk: &&[u8; 16]| !chunk.iter().fold(false, |any, byte| any | is_special(*byte));
    16 * chunks.iter().take_while(is_plain).count()
}

/// A name or a value as it was sent.
#[derive(Clone, Copy)]
struct Encoded<'a> {
    text: &'a str,
    is_escaped: bool,
}

impl<'a> Encoded<'a> {
    /// Cuts what stands before the first of `ends` off `rest`, and says which it was.
    fn cut(rest: &mut &'a str, ends: [u8; 2]) -> (Self, u8) {
        let bytes = rest.as_bytes();
        let mut is_escaped = false;
        let mut at = plain(bytes);
        let mut end = 0;
        while let Some(byte) = bytes.get(at) {
            if is_special(*byte) {
                if ends.contains(byte) {
                    end = *byte;
                    break;
                }
                is_escaped |= *byte != b'=';
            }
            at += 1;
        }
        let (text, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        *rest = after.get(1..).unwrap_or_default();
        (Self { text, is_escaped }, end)
    }

    fn decode(self, limit: usize) -> Result<Cow<'a, str>, FormError> {
        // What will be too long is not decoded, so that refusing it costs no memory.
        if self.text.len() > limit {
            let escapes = self.text.bytes().filter(|byte| *byte == b'%').count();
            if self.text.len().saturating_sub(2 * escapes) > limit {
                return Err(FormError::TooLong);
            }
        }
        if self.is_escaped { decode(self.text) } else { Ok(Cow::Borrowed(self.text)) }
    }
}

/// Cuts the next segment that is not empty off `rest`, split at its first `=`.
fn next_segment<'a>(rest: &mut &'a str) -> Option<(Encoded<'a>, Encoded<'a>)> {
    *rest = rest.trim_start_matches('&');
    if rest.is_empty() {
        return None;
    }
    let (name, end) = Encoded::cut(rest, [b'&', b'=']);
    let value = if end == b'=' {
        Encoded::cut(rest, [b'&', b'&']).0
    } else {
        Encoded { text: "", is_escaped: false }
    };
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redirect_uri::form_encode_into;

    fn read(input: &[u8]) -> Result<Vec<(String, String)>, FormError> {
        read_within(input, FormLimits::default())
    }

    fn read_within(input: &[u8], limits: FormLimits) -> Result<Vec<(String, String)>, FormError> {
        pairs(input, limits)
            .map(|pair| pair.map(|(name, value)| (name.into_owned(), value.into_owned())))
            .collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    }

    fn random() -> impl FnMut() -> u64 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }
    }

    #[test]
    fn gen_09_names_and_values_are_decoded_as_utf8() {
        for (input, expected) in [
            ("password=+%25%26%2B%C2%A3%E2%82%AC", [("password", " %&+\u{a3}\u{20ac}")]),
            ("c%6fde=%6a%6A", [("code", "jj")]),
            ("a=b=c==", [("a", "b=c==")]),
            ("a+b=c+d", [("a b", "c d")]),
            ("+=++", [(" ", "  ")]),
            ("a=sixteen-are-plain+and-more", [("a", "sixteen-are-plain and-more")]),
            ("a", [("a", "")]),
            ("a=", [("a", "")]),
            ("=v", [("", "v")]),
            ("=", [("", "")]),
            ("a=\u{e9}", [("a", "\u{e9}")]),
            ("a=%2525", [("a", "%25")]),
        ] {
            assert_eq!(read(input.as_bytes()), Ok(owned(&expected)), "{input}");
        }
        assert_eq!(read(b"&&a=1&&b=2&"), Ok(owned(&[("a", "1"), ("b", "2")])));
        assert_eq!(read(b"a=1&a=1"), Ok(owned(&[("a", "1"), ("a", "1")])));
        assert_eq!(read(b""), Ok(Vec::new()));
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        for pair in pairs(b"grant_type=password&username=jane", FormLimits::default()) {
            assert!(matches!(pair, Ok((Cow::Borrowed(_), Cow::Borrowed(_)))));
        }
    }

    #[test]
    fn gen_10_broken_escapes_and_broken_utf8_are_refused() {
        for (input, error) in [
            (b"code=%ZZ".as_slice(), FormError::BadEscape),
            (b"code=%", FormError::BadEscape),
            (b"code=%4", FormError::BadEscape),
            (b"code=%4&x=1", FormError::BadEscape),
            (b"code=%+1", FormError::BadEscape),
            (b"code=%%41", FormError::BadEscape),
            (b"co%g0de=1", FormError::BadEscape),
            (b"username=%FF", FormError::NotUtf8),
            (b"username=\xff", FormError::NotUtf8),
            (b"username=a+%C2", FormError::NotUtf8),
            (b"%C2=%A3", FormError::NotUtf8),
            (b"username=%ED%A0%80", FormError::NotUtf8),
            (b"username=%C0%80", FormError::NotUtf8),
        ] {
            assert_eq!(read(input), Err(error), "{}", input.escape_ascii());
        }
        let mut after = pairs(b"a=1&b=%&c=3", FormLimits::default());
        assert!(matches!(after.next(), Some(Ok(_))));
        assert_eq!(after.next(), Some(Err(FormError::BadEscape)));
        assert_eq!(after.next(), None);
        assert_eq!(after.next(), None);
    }

    #[test]
    fn gen_21_count_and_length_are_bounded() {
        let of = |count: usize| "a=1&".repeat(count);
        assert_eq!(read(of(64).as_bytes()).map(|pairs| pairs.len()), Ok(64));
        assert_eq!(read(of(65).as_bytes()), Err(FormError::TooManyParameters));
        assert_eq!(read(of(100_000).as_bytes()), Err(FormError::TooManyParameters));

        let limits = FormLimits { parameters: 2, value_bytes: 4 };
        assert!(read_within(b"&&&a=1234&&&1234=", limits).is_ok());
        assert!(read_within(b"a=%31%32%33%34", limits).is_ok());
        assert_eq!(read_within(b"a=12345", limits), Err(FormError::TooLong));
        assert_eq!(read_within(b"12345", limits), Err(FormError::TooLong));
        assert_eq!(read_within(b"a=%31%32%33%34%35", limits), Err(FormError::TooLong));
        let huge = format!("code={}", "x".repeat(1 << 20));
        assert_eq!(read(huge.as_bytes()), Err(FormError::TooLong));
        for huge in ["%41".repeat(1 << 20), "%".repeat(1 << 20)] {
            assert!(read(format!("code={huge}").as_bytes()).is_err());
        }
    }

    #[test]
    fn gen_21_empty_segments_are_cheap() {
        let body = "&".repeat(100_000) + "a=1" + &"&".repeat(100_000);
        assert_eq!(read(body.as_bytes()), Ok(owned(&[("a", "1")])));
    }

    #[test]
    fn what_is_encoded_reads_back() {
        let mut next = random();
        for _ in 0..2_000 {
            let pairs: Vec<(String, String)> = (0..1 + next() % 5)
                .map(|_| {
                    let mut text = || {
                        let bytes: Vec<u8> = (0..next() % 12).flat_map(|_| next().to_le_bytes()).collect();
                        String::from_utf8_lossy(&bytes).into_owned()
                    };
                    (text(), text())
                })
                .collect();
            let mut body = String::new();
            for (name, value) in &pairs {
                form_encode_into(&mut body, name);
                body.push('=');
                form_encode_into(&mut body, value);
                body.push('&');
            }
            assert_eq!(read(body.as_bytes()), Ok(pairs));
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        const ALPHABET: &[u8] = b"&&==%%++4Ff\xff\xc2\xa3\0a";
        let mut next = random();
        for _ in 0..20_000 {
            let input: Vec<u8> = (0..next() % 24)
                .map(|_| ALPHABET[usize::try_from(next()).unwrap() % ALPHABET.len()])
                .collect();
            let limits = FormLimits { parameters: 5, value_bytes: 6 };
            let read: Vec<_> = pairs(&input, limits).collect();
            assert!(read.iter().rev().skip(1).all(Result::is_ok));
            for (name, value) in read.into_iter().flatten() {
                assert!(name.len() <= 6 && value.len() <= 6);
            }
        }
    }
}
