//! What a redirect URI must be to be registered.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{InvalidRedirectUri, RedirectUriRules};

const MAX_BYTES: usize = 2048;
pub(super) const LOCALHOST: &str = "localhost";
const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "[::1]", LOCALHOST];
pub(super) const SCRIPT_SCHEMES: [&str; 8] =
    ["javascript", "vbscript", "data", "blob", "file", "filesystem", "about", "view-source"];
pub(super) const RESPONSE_PARAMETERS: [&str; 6] =
    ["code", "state", "error", "error_description", "error_uri", "iss"];

pub(super) struct Parts<'a> {
    pub(super) scheme: &'a str,
    pub(super) authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(uri: &'a str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
            None => (None, rest),
        };
        Some(Self { scheme, authority, path, query })
    }

    fn is_web(&self) -> bool {
        matches!(self.scheme, "http" | "https")
    }
}

/// Refuses the first rule that `uri` breaks.
pub(super) fn check(uri: &str, rules: RedirectUriRules) -> Result<(), InvalidRedirectUri> {
    check_characters(uri)?;
    let parts = Parts::of(uri).ok_or(InvalidRedirectUri::NotAbsolute)?;
    check_scheme(parts.scheme, rules)?;
    if uri.contains('#') {
        return Err(InvalidRedirectUri::Fragment);
    }
    check_authority(&parts)?;
    check_path_and_query(&parts)
}

fn check_characters(uri: &str) -> Result<(), InvalidRedirectUri> {
    if uri.len() > MAX_BYTES {
        return Err(InvalidRedirectUri::TooLong);
    }
    let in_uri = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    if !uri.bytes().all(in_uri) {
        return Err(InvalidRedirectUri::ForbiddenCharacter);
    }
    let is_escape = |rest: &str| matches!(rest.as_bytes(), [a, b, ..] if unescape([*a, *b]).is_some());
    if !uri.split('%').skip(1).all(is_escape) {
        return Err(InvalidRedirectUri::BadEscape);
    }
    Ok(())
}

fn check_scheme(scheme: &str, rules: RedirectUriRules) -> Result<(), InvalidRedirectUri> {
    let in_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(in_scheme) {
        return Err(InvalidRedirectUri::NotAbsolute);
    }
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if SCRIPT_SCHEMES.into_iter().any(is) {
        return Err(InvalidRedirectUri::ScriptScheme);
    }
    match scheme {
        "http" | "https" => Ok(()),
        _ if is("http") || is("https") => Err(InvalidRedirectUri::UpperCase),
        _ if scheme.contains('.') || rules.any_private_scheme => Ok(()),
        _ => Err(InvalidRedirectUri::SchemeWithoutPeriod),
    }
}

fn check_authority(parts: &Parts<'_>) -> Result<(), InvalidRedirectUri> {
    let authority = parts.authority.unwrap_or_default();
    if authority.contains('@') {
        return Err(InvalidRedirectUri::UserInfo);
    }
    let (host, port) = split_authority(authority);
    if host.contains('*') {
        return Err(InvalidRedirectUri::Wildcard);
    }
    if parts.is_web() {
        check_web_host(host)?;
    } else if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) {
        return Err(InvalidRedirectUri::BadHost);
    } else if host.is_empty() && port.is_some() {
        return Err(InvalidRedirectUri::EmptyHost);
    }
    if !port.is_none_or(is_plain_port) {
        return Err(InvalidRedirectUri::BadPort);
    }
    if parts.scheme == "http" && !LOOPBACK_HOSTS.contains(&host) {
        return Err(InvalidRedirectUri::PlainHttp);
    }
    Ok(())
}

fn check_web_host(host: &str) -> Result<(), InvalidRedirectUri> {
    if host.is_empty() {
        return Err(InvalidRedirectUri::EmptyHost);
    }
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(InvalidRedirectUri::UpperCase);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let valid = if let Some(address) = host.strip_prefix('[') {
        address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
    } else if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
        // Browsers read any host with a numeric last label as an IPv4 address.
        host.parse::<Ipv4Addr>().is_ok()
    } else {
        let in_label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        host.split('.').all(|label| !label.is_empty() && label.bytes().all(in_label))
    };
    valid.then_some(()).ok_or(InvalidRedirectUri::BadHost)
}

/// The host of an authority that a web URI may have.
pub(crate) fn web_host(authority: &str) -> Option<&str> {
    let (host, port) = split_authority(authority);
    (check_web_host(host).is_ok() && port.is_none_or(is_plain_port)).then_some(host)
}

fn check_path_and_query(parts: &Parts<'_>) -> Result<(), InvalidRedirectUri> {
    let query = parts.query.unwrap_or_default();
    if parts.path.contains(['[', ']']) || query.contains(['[', ']']) {
        return Err(InvalidRedirectUri::ForbiddenCharacter);
    }
    // Decoded first: some servers split and resolve a path only after decoding it.
    let path = percent_decode(parts.path);
    let mut segments = path.split(|byte| matches!(byte, b'/' | b'\\'));
    if segments.any(|segment| matches!(segment, b"." | b"..")) {
        return Err(InvalidRedirectUri::DotSegment);
    }
    let mut names = query.split(['&', ';']).map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    if names.any(|name| RESPONSE_PARAMETERS.iter().any(|known| known.as_bytes() == percent_decode(name))) {
        return Err(InvalidRedirectUri::ResponseParameter);
    }
    Ok(())
}

/// Host and port; an authority that is neither comes back whole, as a host that no check admits.
pub(super) fn split_authority(authority: &str) -> (&str, Option<&str>) {
    let host_end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(host_end);
    rest.strip_prefix(':').map_or((authority, None), |port| (host, Some(port)))
}

/// Host and everything after the port of an `http` URI on loopback.
pub(super) fn split_loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = split_authority(authority);
    (LOOPBACK_HOSTS.contains(&host) && port.is_none_or(is_plain_port)).then_some((host, tail))
}

fn is_plain_port(port: &str) -> bool {
    port.starts_with(|c: char| matches!(c, '1'..='9')) && port.parse::<u16>().is_ok()
}

/// For text whose escapes are known to be sound.
fn percent_decode(text: &str) -> Vec<u8> {
    let mut parts = text.as_bytes().split(|&byte| byte == b'%');
    let mut decoded = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        if let [high, low, literal @ ..] = part {
            decoded.extend(unescape([*high, *low]));
            decoded.extend_from_slice(literal);
        }
    }
    decoded
}

/// The byte that the two hexadecimal digits after a `%` stand for.
pub(crate) fn unescape(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}
