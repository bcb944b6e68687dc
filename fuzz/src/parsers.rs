//! Readers of texts.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use grantor::grant::Grant;
use grantor::{CodeChallenge, CodeChallengeMethod, CodeVerifier, LoopbackPort, RedirectUri, Scope};
use sha2::{Digest as _, Sha256};
use url::Url;

/// `application/x-www-form-urlencoded`, beside the crate `form_urlencoded`.
pub fn form(data: &[u8]) {
    let theirs: Vec<(String, String)> = form_urlencoded::parse(data).into_owned().collect();
    match grantor::http::fuzzing::form(data) {
        Some(ours) => assert_eq!(ours, theirs),
        // Theirs reads everything. Ours refuses what is broken, too much or too long.
        None => {
            let is_text = std::str::from_utf8(data).is_ok();
            let is_long = |text: &str| text.len() > 16 * 1024;
            let is_replaced = |text: &str| text.contains('\u{fffd}');
            let has_reason = !is_text
                || theirs.len() > 64
                || theirs.iter().any(|(name, value)| is_long(name) || is_long(value))
                || theirs.iter().any(|(name, value)| is_replaced(name) || is_replaced(value))
                || has_broken_escape(data);
            assert!(has_reason, "refused for no reason: {}", data.escape_ascii());
        }
    }
}

fn has_broken_escape(data: &[u8]) -> bool {
    let escapes = (0..data.len()).filter(|at| data[*at] == b'%');
    let is_whole = |at: usize| {
        let digits = data.get(at + 1..at + 3).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    };
    escapes.into_iter().any(|at| !is_whole(at))
}

/// `Authorization: Basic`.
pub fn basic(data: &[u8]) {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let Some((decoded, raw)) = grantor::http::fuzzing::basic(data) else { return };
    let (scheme, payload) = data.split_at(5);
    assert!(scheme.eq_ignore_ascii_case(b"basic") && payload[0] == b' ' && data.len() <= 8 * 1024);
    let text = BASE64.decode(payload.trim_ascii_start()).expect("it was read");
    let text = String::from_utf8(text).expect("it was read");
    let (id, secret) = text.split_once(':').expect("it was read");
    let sent = (id.to_owned(), secret.to_owned());
    let form = |text: &str| {
        // A form whose only name is the text; `&` and `=` have no meaning here.
        let text = text.replace('&', "%26").replace('=', "%3D");
        form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).next().unwrap_or_default()
    };
    match (decoded, raw) {
        (Some(decoded), None) => assert_eq!(decoded, sent, "nothing in it was encoded"),
        (Some(decoded), Some(raw)) => {
            assert_eq!(raw, sent);
            assert_eq!(decoded, (form(id), form(secret)));
        }
        (None, Some(raw)) => assert_eq!(raw, sent),
        (None, None) => panic!("credentials without a reading"),
    }
}

/// Registered redirect URIs, and what matches them, beside the crate `url`. The first line is
/// registered, the second requested.
pub fn redirect_uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (registered, requested) = text.split_once('\n').unwrap_or((text, text));
    let Ok(uri) = RedirectUri::parse(registered) else { return };
    assert_eq!(uri.as_str(), registered);
    assert!(uri.matches(registered, LoopbackPort::Any) && uri.matches(registered, LoopbackPort::Exact));
    assert!(!registered.contains(['#', ' ', '\r', '\n', '"', '<', '>', '\\']), "{registered}");
    let read = Url::parse(registered).expect("what is registered can be read by others");
    assert_eq!(read.scheme(), uri.scheme().to_ascii_lowercase());
    assert!(
        !matches!(read.scheme(), "javascript" | "data" | "vbscript" | "file" | "about" | "blob"),
        "{registered}"
    );
    assert!(read.fragment().is_none() && read.username().is_empty() && read.password().is_none());
    if let Some(host) = uri.host() {
        let theirs = read.host_str().expect("both see a host");
        assert!(theirs.eq_ignore_ascii_case(host) || has_number_host(&read), "{host} and {theirs}");
    }

    assert_eq!(uri.matches(requested, LoopbackPort::Exact), registered == requested);
    if registered != requested && uri.matches(requested, LoopbackPort::Any) {
        assert!(uri.is_loopback(), "{registered} and {requested}");
        let mut other = Url::parse(requested).expect("what is redirected to can be read");
        assert_eq!(other.scheme(), "http");
        let mut own = read;
        own.set_port(None).expect("it has a host");
        other.set_port(None).expect("it has a host");
        assert_eq!(own, other, "they differ by the port alone");
    }
}

/// `url` writes such hosts anew.
fn has_number_host(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.parse::<IpAddr>().is_ok()
}

/// Two scopes, a line each.
pub fn scope(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (one, other) = text.split_once('\n').unwrap_or((text, ""));
    let allowed = |byte: u8| byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
    let is_scope = |text: &str| text.split(' ').all(|token| !token.is_empty() && token.bytes().all(allowed));
    let parse = |text: &str| {
        let scope = Scope::parse(text).ok();
        assert_eq!(scope.is_some(), is_scope(text), "{text:?}");
        scope
    };
    let (Some(one), Some(other)) = (parse(one), parse(other)) else { return };
    for scope in [&one, &other] {
        let mut tokens: Vec<&str> = scope.tokens().collect();
        assert_eq!(Scope::parse(scope.as_str()).as_ref(), Ok(scope));
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), scope.tokens().count(), "no token twice");
    }
    let both = one.intersection(&other);
    let either = one.union(&other);
    for token in text.split(['\n', ' ']) {
        assert_eq!(both.contains(token), one.contains(token) && other.contains(token));
        assert_eq!(either.contains(token), one.contains(token) || other.contains(token));
        assert_eq!(one.difference(&other).contains(token), one.contains(token) && !other.contains(token));
    }
    assert_eq!(one.is_subset(&other), one.tokens().all(|token| other.contains(token)));
    assert!(both.is_subset(&one) && both.is_subset(&other) && one.is_subset(&either));
}

/// A challenge and a verifier, a line each.
pub fn pkce(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (challenge, verifier) = text.split_once('\n').unwrap_or(("", text));
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_verifier = |text: &str| (43..=128).contains(&text.len()) && text.bytes().all(unreserved);
    let read = CodeVerifier::new(verifier);
    assert_eq!(read.is_ok(), is_verifier(verifier));
    let plain = CodeChallenge::new(CodeChallengeMethod::Plain, challenge);
    assert_eq!(plain.is_ok(), is_verifier(challenge));
    let s256 = CodeChallenge::new(CodeChallengeMethod::S256, challenge);
    let Ok(read) = read else { return };
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    assert_eq!(read.challenge().as_str(), hash);
    assert!(read.challenge().is_met_by(&read));
    if let Ok(plain) = plain {
        assert_eq!(plain.is_met_by(&read), challenge == verifier);
    }
    if let Ok(s256) = s256 {
        assert_eq!(s256.is_met_by(&read), challenge == hash);
    }
}

/// A stored record.
pub fn record(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(grant) = Grant::from_stored(text) else { return };
    let again = grant.to_stored();
    assert_eq!(Grant::from_stored(&again).expect("what was written can be read"), grant);
}
