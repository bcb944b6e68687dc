use super::InvalidRedirectUri::*;
use super::LoopbackPort::{Any, AnyForIpLiterals, Exact};
use super::check::{RESPONSE_PARAMETERS, SCRIPT_SCHEMES};
use super::*;

fn uri(text: &str) -> RedirectUri {
    RedirectUri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn assert_refused(cases: &[(&str, InvalidRedirectUri)]) {
    for (text, why) in cases {
        assert_eq!(RedirectUri::parse(text), Err(*why), "{text}");
    }
}

#[test]
fn ru_01_only_the_identical_string_matches() {
    let registered = uri("https://c.example/cb");
    assert!(registered.matches("https://c.example/cb", Any));
    for requested in [
        "https://c.example/cb/",
        "https://c.example/CB",
        "https://c.example/cb?x=1",
        "https://c.example/cb?",
        "https://c.example/cb%2F",
        "https://c.example//cb",
        "https://c.example/a/../cb",
        "HTTPS://c.example/cb",
        "https://C.example/cb",
        "https://c.example:443/cb",
        "https://c.example:1/cb",
        "https://c.example./cb",
        "https://u@c.example/cb",
        "https://c.example/cb#f",
        " https://c.example/cb",
        "https://c.example/cb\0",
        "",
    ] {
        assert!(!registered.matches(requested, Any), "{requested}");
    }
}

#[test]
fn ru_02_patterns_are_refused_and_parts_do_not_match() {
    assert_refused(&[
        ("https://*.c.example/cb", Wildcard),
        ("https://*/cb", Wildcard),
        ("https://c.*:8443/cb", Wildcard),
        ("http://127.0.0.*/cb", Wildcard),
        ("com.example.app://*/cb", Wildcard),
        ("https://c.example:*/cb", BadPort),
    ]);
    let registered = uri("https://c.example/cb");
    for part in ["https://c.example/", "https://c.example/c", "c.example/cb", "/cb"] {
        assert!(!registered.matches(part, Any), "{part}");
    }
    assert!(!registered.matches("https://c.example/cb2", Any));
    assert!(!uri("https://c.example/*").matches("https://c.example/x", Any));
}

#[test]
fn ru_03_the_port_of_a_loopback_literal_is_free() {
    for (registered, requested) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
        ("http://127.0.0.1:8080/cb", "http://127.0.0.1/cb"),
        ("http://127.0.0.1:8080/cb?x=1", "http://127.0.0.1:65535/cb?x=1"),
        ("http://127.0.0.1", "http://127.0.0.1:80"),
        ("http://127.0.0.1?x=1", "http://127.0.0.1:80?x=1"),
        ("http://[::1]/cb", "http://[::1]:7/cb"),
    ] {
        assert!(uri(registered).matches(requested, Any), "{requested}");
        assert!(uri(registered).matches(requested, AnyForIpLiterals), "{requested}");
        assert!(!uri(registered).matches(requested, Exact), "{requested}");
    }
    let registered = uri("http://127.0.0.1/cb");
    for requested in [
        "http://127.0.0.1:1/other",
        "http://127.0.0.1:1/cb/",
        "http://127.0.0.1:1/cb?x=1",
        "http://127.0.0.1:1",
        "https://127.0.0.1:1/cb",
        "HTTP://127.0.0.1:1/cb",
        "http://127.0.0.1.evil/cb",
        "http://127.0.0.1.evil:1/cb",
        "http://127.1:1/cb",
        "http://[::1]:7/cb",
        "http://localhost:7/cb",
        "http://127.0.0.1:1@evil/cb",
        "http://127.0.0.1@evil/cb",
        "http://u@127.0.0.1:1/cb",
        "http://127.0.0.1\\@evil/cb",
        "http://127.0.0.1:1\\@evil/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.1:080/cb",
        "http://127.0.0.1:+1/cb",
        "http://127.0.0.1:-1/cb",
        "http://127.0.0.1: 1/cb",
        "http://127.0.0.1:1 /cb",
        "http://127.0.0.1:1:2/cb",
        "http://127.0.0.1:\u{661}/cb",
        "http://127.0.0.1:1/cb#f",
        "http://127.0.0.1:1#/cb",
        "http://127.0.0.1:1?/cb",
        "http:/127.0.0.1:1/cb",
        "http:///127.0.0.1:1/cb",
    ] {
        assert!(!registered.matches(requested, Any), "{requested}");
    }
    assert!(!uri("http://[::1]/cb").matches("http://[::1]x:7/cb", Any));
    assert!(!uri("http://[::1]/cb").matches("http://127.0.0.1:7/cb", Any));
    assert!(!uri("https://127.0.0.1/cb").matches("https://127.0.0.1:7/cb", Any));
}

#[test]
fn ru_04_the_port_of_localhost_is_free_unless_switched_off() {
    let registered = uri("http://localhost:3000/cb");
    assert!(registered.matches("http://localhost:49152/cb", Any));
    assert!(registered.matches("http://localhost:3000/cb", AnyForIpLiterals));
    assert!(!registered.matches("http://localhost:49152/cb", AnyForIpLiterals));
    assert!(!registered.matches("http://localhost:49152/cb", Exact));
    assert!(!registered.matches("http://127.0.0.1:49152/cb", Any));
    assert!(!registered.matches("http://localhost.evil:49152/cb", Any));
}

#[test]
fn ru_05_private_schemes_are_reversed_domain_names() {
    for text in [
        "com.example.app:/cb",
        "com.example.App:/cb",
        "com.example.app:cb",
        "com.example.app://callback/x?y=1",
        "com.example.app:///cb",
    ] {
        assert_eq!(uri(text).as_str(), text);
    }
    assert_refused(&[
        ("myapp:/cb", SchemeWithoutPeriod),
        ("urn:ietf:wg:oauth:2.0:oob", SchemeWithoutPeriod),
        ("ftp://c.example/cb", SchemeWithoutPeriod),
        ("localhost:3000/cb", SchemeWithoutPeriod),
    ]);
    let any = RedirectUriRules::default().any_private_scheme(true);
    assert!(RedirectUri::parse_with("myapp:/cb", any).is_ok());
    assert_eq!(RedirectUri::parse_with("javascript:x", any), Err(ScriptScheme));
    assert_eq!(RedirectUri::parse_with("HTTP://c.example/cb", any), Err(UpperCase));
}

#[test]
fn ru_06_plain_http_is_for_loopback_only() {
    for text in ["http://127.0.0.1/cb", "http://[::1]:80/cb", "http://localhost/cb"] {
        assert!(uri(text).is_loopback(), "{text}");
    }
    assert!(!uri("https://localhost/cb").is_loopback());
    assert_refused(&[
        ("http://c.example/cb", PlainHttp),
        ("http://localhost.evil/cb", PlainHttp),
        ("http://127.0.0.1.evil/cb", PlainHttp),
        ("http://127.0.0.2/cb", PlainHttp),
        ("http://[::2]/cb", PlainHttp),
        ("http://0.0.0.0/cb", PlainHttp),
        ("http://[::ffff:127.0.0.1]/cb", PlainHttp),
        ("http://127.1/cb", BadHost),
        ("http://[::2]x/cb", BadHost),
        ("http://2130706433/cb", BadHost),
        ("http://0x7f000001/cb", BadHost),
        ("http://127.0.0.01/cb", BadHost),
        ("http://localhost./cb", BadHost),
    ]);
}

#[test]
fn ru_07_the_uri_is_absolute_and_well_formed() {
    let longest = format!("https://c/{}", "a".repeat(2038));
    assert_eq!(uri(&longest).as_str().len(), 2048);
    assert_refused(&[(&(longest + "a"), TooLong)]);
    assert_refused(&[
        ("https://c/cb#f", Fragment),
        ("https://c/cb#", Fragment),
        ("https://c#@evil/cb", Fragment),
        ("/cb", NotAbsolute),
        ("//c/cb", NotAbsolute),
        ("//c:80/cb", NotAbsolute),
        ("cb", NotAbsolute),
        ("", NotAbsolute),
        (":/cb", NotAbsolute),
        ("1http://c/cb", NotAbsolute),
        ("https://u@c/cb", UserInfo),
        ("https://u:p@c/cb", UserInfo),
        ("https://@c/cb", UserInfo),
        ("com.example.app://u@c/cb", UserInfo),
        ("https:///cb", EmptyHost),
        ("https:/c/cb", EmptyHost),
        ("https:c/cb", EmptyHost),
        ("https://:8443/cb", EmptyHost),
        ("com.example.app://:3/cb", EmptyHost),
        ("https://::1/cb", EmptyHost),
        ("https://?x", EmptyHost),
        ("HTTPS://c/cb", UpperCase),
        ("https://C.example/cb", UpperCase),
        ("https://[2001:DB8::1]/cb", UpperCase),
        ("https://c..example/cb", BadHost),
        ("https://c.example./cb", BadHost),
        ("https://.c/cb", BadHost),
        ("https://c%2eexample/cb", BadHost),
        ("https://c,d/cb", BadHost),
        ("https://[::1/cb", BadHost),
        ("https://[::g]/cb", BadHost),
        ("https://[::1]x/cb", BadHost),
        ("https://256.0.0.1/cb", BadHost),
        ("com.example.app://[x]/cb", BadHost),
        ("https://c:/cb", BadPort),
        ("https://c:0/cb", BadPort),
        ("https://c:080/cb", BadPort),
        ("https://c:65536/cb", BadPort),
        ("https://c:+1/cb", BadPort),
        ("https://c:1:2/cb", BadPort),
        ("com.example.app://c:x/cb", BadPort),
        ("https://c/c b", ForbiddenCharacter),
        ("https://c/cb\n", ForbiddenCharacter),
        ("\thttps://c/cb", ForbiddenCharacter),
        ("https://c/cb\x7f", ForbiddenCharacter),
        ("https://c/caf\u{e9}", ForbiddenCharacter),
        ("https://c\\@evil/cb", ForbiddenCharacter),
        ("https://c/\"", ForbiddenCharacter),
        ("https://c/<>", ForbiddenCharacter),
        ("https://c/{id}", ForbiddenCharacter),
        ("https://c/[x]", ForbiddenCharacter),
        ("https://c/cb?a[]=1", ForbiddenCharacter),
        ("https://c/%", BadEscape),
        ("https://c/%2", BadEscape),
        ("https://c/%zz", BadEscape),
        ("https://c/%+1", BadEscape),
        ("https://c/?%%41", BadEscape),
    ]);
    for text in [
        "https://c",
        "https://c/",
        "https://c:8443/cb?x=1%20y&z",
        "https://xn--bcher-kva.example/cb",
        "https://192.0.2.1/cb",
        "https://[2001:db8::1]:8443/cb",
        "https://c/a%20b/(x)/~y;v=1,2:@!$&'",
    ] {
        assert_eq!(uri(text).to_string(), text);
    }
}

#[test]
fn ru_08_script_schemes_are_refused_in_any_case() {
    for scheme in SCRIPT_SCHEMES {
        let upper = scheme.to_ascii_uppercase();
        let mixed = format!("{}{}", &upper[..1], &scheme[1..]);
        for scheme in [scheme, &upper, &mixed] {
            for rest in ["alert(1)", "//c.example/cb", "text/html,x#f", ""] {
                assert_refused(&[(&format!("{scheme}:{rest}"), ScriptScheme)]);
            }
        }
    }
}

#[test]
fn ru_11_no_path_confusion_and_no_parameter_pollution() {
    let registered = uri("https://c/cb");
    for requested in [
        "https://c/cb%3Fcode%3Devil",
        "https://c/cb/%2e%2e/x",
        "https://c/cb/..;/x",
        "https://c/cb;x",
        "https://c/cb?code=evil",
        "https://c/%63b",
    ] {
        assert!(!registered.matches(requested, Any), "{requested}");
    }
    assert_refused(&[
        ("https://c/a/../cb", DotSegment),
        ("https://c/./cb", DotSegment),
        ("https://c/cb/..", DotSegment),
        ("https://c/cb/.?x", DotSegment),
        ("https://c/%2e%2E/cb", DotSegment),
        ("https://c/.%2e/cb", DotSegment),
        ("https://c/%2E/cb", DotSegment),
        ("https://c/a%2f..%2Fcb", DotSegment),
        ("https://c/a%5c..%5Ccb", DotSegment),
        ("com.example.app:/../cb", DotSegment),
        ("com.example.app:..", DotSegment),
        ("https://c/cb?x=1&%63ode=evil", ResponseParameter),
        ("https://c/cb?%69%73%73", ResponseParameter),
        ("https://c/cb?x=1;state=evil", ResponseParameter),
        ("https://c?iss=evil", ResponseParameter),
        ("https://c/cb?x?=1&error", ResponseParameter),
    ]);
    for name in RESPONSE_PARAMETERS {
        assert_refused(&[
            (&format!("https://c/cb?{name}=x"), ResponseParameter),
            (&format!("https://c/cb?a=b&{name}"), ResponseParameter),
            (&format!("com.example.app:/cb?{name}=x"), ResponseParameter),
        ]);
    }
    for text in ["https://c/...", "https://c/.well-known/x..y", "https://c/cb?codes=1&x=state"] {
        assert_eq!(uri(text).as_str(), text);
    }
}

#[test]
fn ae_13_response_parameters_follow_the_registered_query() {
    let parameters = [("code", "a-._*z"), ("state", " %&+\u{a3}\u{20ac}~\n")];
    let encoded = "code=a-._*z&state=+%25%26%2B%C2%A3%E2%82%AC%7E%0A";
    for (base, joined) in [
        ("https://c/cb", "https://c/cb?"),
        ("https://c", "https://c?"),
        ("https://c/cb?", "https://c/cb?"),
        ("https://c/cb?x=1%20y", "https://c/cb?x=1%20y&"),
        ("https://c/cb?x=1&", "https://c/cb?x=1&"),
        ("https://c/cb?x?", "https://c/cb?x?&"),
        ("https://c/cb#f?x", "https://c/cb?"),
        ("com.example.app:/cb", "com.example.app:/cb?"),
    ] {
        assert_eq!(RedirectUri::with_query(base, &parameters), format!("{joined}{encoded}"));
    }
    assert_eq!(RedirectUri::with_query("https://c/cb", &[]), "https://c/cb");
}

#[test]
fn a_consent_page_can_show_scheme_and_host() {
    for (text, scheme, host) in [
        ("https://c.example:8443/cb", "https", Some("c.example")),
        ("https://c.example?x=http://evil/", "https", Some("c.example")),
        ("http://[::1]:7/cb", "http", Some("[::1]")),
        ("com.example.app:/cb", "com.example.app", None),
        ("com.example.app:///cb", "com.example.app", None),
        ("com.example.app://cb", "com.example.app", Some("cb")),
    ] {
        assert_eq!((uri(text).scheme(), uri(text).host()), (scheme, host));
    }
}

#[test]
fn any_text_is_read_without_panic_and_matches_itself() {
    const PIECES: [&str; 24] = [
        "http",
        "https",
        ":",
        "//",
        "/",
        "?",
        "#",
        "@",
        "%",
        "%2e",
        ".",
        "..",
        "[",
        "]",
        "::1",
        "127.0.0.1",
        "localhost",
        "c.example",
        ":80",
        "code",
        "=",
        "&",
        "\u{e9}",
        "\0",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let loopback = uri("http://127.0.0.1/cb");
    let mut accepted = 0;
    for round in 0..20_000 {
        let mut bytes = match round % 4 {
            0 => Vec::new(),
            1 => b"http://localhost".to_vec(),
            2 => b"https://c".to_vec(),
            _ => b"a.b:".to_vec(),
        };
        for _ in 0..next() % 6 {
            match PIECES.get(usize::try_from(next() % 32).unwrap()) {
                Some(piece) => bytes.extend_from_slice(piece.as_bytes()),
                None => bytes.push(next().to_le_bytes()[0]),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        for port in [Any, AnyForIpLiterals, Exact] {
            assert!(!loopback.matches(&text, port), "{text}");
            if let Ok(parsed) = RedirectUri::parse(&text) {
                assert!(parsed.matches(&text, port), "{text}");
                assert!(!RedirectUri::with_query(&text, &[("code", "x")]).contains('#'));
                accepted += 1;
            }
        }
    }
    assert!(accepted > 1000, "{accepted}");
}
