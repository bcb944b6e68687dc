//! Bad input: each parameter and header spoilt in turn.

use serde_json::Value;

use crate::support::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";

/// All that specifications define and that must not be repeated.
const DEFINED: [&str; 31] = [
    "actor_token",
    "actor_token_type",
    "assertion",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "dpop_jkt",
    "grant_type",
    "nonce",
    "password",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "request",
    "request_uri",
    "requested_token_type",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "subject_token",
    "subject_token_type",
    "token",
    "token_type_hint",
    "username",
];

/// A request that succeeds, in encoded pairs.
#[derive(Clone, Debug)]
struct Form(Vec<(String, String)>);

impl Form {
    fn read(form: &str) -> Self {
        let pairs = form.split('&').map(|pair| pair.split_once('=').unwrap());
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// One of each grant type.
    fn all(server: &Harness) -> [Self; 3] {
        let login = server.login();
        [CLIENT_CREDENTIALS, &exchange_form(&server.code()), &refresh_form(login.refresh_token())]
            .map(Self::read)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(own, _)| own != name);
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    fn twice(mut self, name: &str) -> Self {
        let value = self.0.iter().find(|(own, _)| own == name).map_or("x", |(_, value)| value).to_owned();
        self = self.with(name, &value);
        self.0.push((name.to_owned(), value));
        self
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    fn text(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

/// What holds for every answer, whatever was sent.
#[track_caller]
pub fn check(answer: &Answer, case: &dyn std::fmt::Debug) {
    assert!(matches!(answer.status, 200 | 204 | 400 | 401 | 405 | 413), "{case:?}: {answer:?}");
    for (name, value) in &answer.headers {
        assert!(value.bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "{case:?}: {name}: {value}");
    }
    if answer.status == 204 {
        assert!(answer.body.is_empty() && answer.header("access-control-allow-origin").is_some(), "{case:?}");
        return;
    }
    let members = answer.json.as_object().unwrap_or_else(|| panic!("{case:?}: no JSON object: {answer:?}"));
    assert!(members.values().all(|value| value.is_string() || value.is_u64()), "{case:?}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{case:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{case:?}");
    assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401, "{case:?}");
    assert_eq!(answer.header("allow").is_some(), answer.status == 405, "{case:?}");
    if answer.status == 200 {
        assert!(answer.error().is_none() && !answer.access_token().is_empty(), "{case:?}: {answer:?}");
        return;
    }
    const KNOWN: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    let error = answer.error().unwrap_or_default();
    assert!(KNOWN.contains(&error), "{case:?}: {answer:?}");
    assert_eq!(error == "invalid_client", answer.status == 401, "{case:?}: {answer:?}");
    let names: Vec<&str> = members.keys().map(String::as_str).filter(|name| *name != "error_uri").collect();
    assert_eq!(names, ["error", "error_description"], "{case:?}: {answer:?}");
    let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let text = answer.text("error_description").unwrap();
    assert!(!text.is_empty() && text.bytes().all(allowed), "{case:?}: {answer:?}");
}

#[track_caller]
fn check_code(answer: &Answer, status: u16, error: &str, case: &dyn std::fmt::Debug) {
    check(answer, case);
    assert_eq!((answer.status, answer.error()), (status, Some(error)), "{case:?}: {answer:?}");
}

#[test]
fn gen_05_every_defined_parameter_may_occur_once() {
    let server = Harness::new();
    for form in Form::all(&server) {
        for name in DEFINED {
            let body = form.clone().twice(name).text();
            for http in [Http::form(body.clone()).basic("app", SECRET), Http::form(body.clone())] {
                let answer = server.send(http);
                check_code(&answer, 400, "invalid_request", &body);
                let text = answer.text("error_description").unwrap();
                assert_eq!(text, format!("{name} must not be repeated."), "{body}");
            }
        }
        server.token(&form.text()).ok();
    }
}

#[test]
fn gen_06_every_defined_parameter_may_be_empty() {
    for name in DEFINED {
        let server = Harness::new();
        for form in Form::all(&server) {
            let body = form.clone().with(name, "").text();
            let answer = server.token(&body);
            check(&answer, &body);
            assert_eq!(answer.status == 200, !form.has(name), "{body}: {answer:?}");
        }
    }
}

#[test]
fn gen_10_every_defined_parameter_with_bytes_that_are_in_no_grammar() {
    // Each makes the form unreadable, whether the parameter is needed or not.
    for name in DEFINED {
        let server = Harness::new();
        for form in Form::all(&server) {
            for value in
                ["%", "%0", "%0G", "%ZZ", "%FF", "%C3", "%ED%A0%80", "%C0%AF", "%F5%80%80%80", "a%FFb"]
            {
                let body = form.clone().with(name, value).text();
                check_code(&server.token(&body), 400, "invalid_request", &body);
            }
            server.token(&form.text()).ok();
        }
    }
}

#[test]
fn gen_10_every_defined_parameter_with_control_characters() {
    const NEEDED: [&str; 9] = [
        "grant_type",
        "scope",
        "client_id",
        "client_secret",
        "client_assertion",
        "code",
        "redirect_uri",
        "code_verifier",
        "refresh_token",
    ];
    for name in DEFINED {
        for value in
            ["%00", "a%00b", "%01", "%0A", "a%0D%0Ab", "%1B%5B0m", "%7F", "%C2%85", "%E2%80%AE", "%EF%BB%BF"]
        {
            let server = Harness::new();
            for form in Form::all(&server) {
                let body = form.clone().with(name, value).text();
                let answer = server.token(&body);
                check(&answer, &body);
                // What is not needed is not looked at, except for scope and credentials.
                let ignored = !NEEDED.contains(&name)
                    || !form.has(name)
                        && !matches!(name, "scope" | "client_id" | "client_secret" | "client_assertion");
                let ignored = ignored || name == "scope" && form.has("code");
                assert_eq!(answer.status == 200, ignored, "{body}: {answer:?}");
            }
        }
    }
}

#[test]
fn gen_21_every_defined_parameter_with_a_huge_value() {
    let huge = "A".repeat(1 << 20);
    let escaped = "%41".repeat(1 << 18);
    let server = Harness::new();
    let roomy = Harness::new().route(|builder| builder.body_limit(1 << 24));
    for name in DEFINED {
        for value in [&huge, &escaped] {
            let body = Form::read(CLIENT_CREDENTIALS).with(name, value).text();
            check_code(&server.token(&body), 413, "invalid_request", &name);
            check_code(&roomy.token(&body), 400, "invalid_request", &name);
        }
        // As long as a value may be.
        let body = Form::read(CLIENT_CREDENTIALS).with(name, &huge[..16 * 1024]).text();
        let answer = server.token(&body);
        check(&answer, &name);
        let ignored =
            !["grant_type", "scope", "client_id", "client_secret", "client_assertion"].contains(&name);
        assert_eq!(answer.status == 200, ignored, "{name}: {answer:?}");
    }
    let many = |pair: &str| format!("{CLIENT_CREDENTIALS}{}", pair.repeat(100_000));
    for pair in ["&a=b", "&", "&=", "&a", "&scope=a", "&=&"] {
        check_code(&server.token(&many(pair)), 413, "invalid_request", &pair);
        let answer = roomy.token(&many(pair));
        check(&answer, &pair);
        assert_eq!(answer.status == 200, pair == "&", "{pair}: {answer:?}");
    }
}

#[test]
fn bodies_that_are_no_forms() {
    let server = Harness::new();
    let noise: Vec<u8> = (0..=255).collect();
    for body in [
        b"".as_slice(),
        b"\0",
        b"&",
        b"=",
        b"&&==&&",
        b"%",
        b"\xff\xfe",
        b"{}",
        b"null",
        b"<xml/>",
        b"grant_type",
        b"grant_type=client_credentials\0",
        b"grant_type=client_credentials\r\n",
        b"grant_type=client_credentials;scope=a",
        b"\xef\xbb\xbfgrant_type=client_credentials",
        b" grant_type=client_credentials",
        b"?grant_type=client_credentials",
        b"grant%5Ftype%3Dclient_credentials",
        noise.as_slice(),
    ] {
        let answer = server.send(Http::form(body).basic("app", SECRET));
        check(&answer, &body.escape_ascii().to_string());
        assert_eq!(answer.status, 400, "{}: {answer:?}", body.escape_ascii());
    }
    // Encoded names are names.
    server.token("grant%5Ftype=client%5Fcredentials").ok();
}

#[test]
fn authorization_headers_of_all_sorts() {
    let server = Harness::new();
    let valid = "Basic YXBwOmEtc2VjcmV0LW9mLXRoZS1hcHA=";
    let token = valid.strip_prefix("Basic ").unwrap();
    let huge = format!("Basic {}", "QQ".repeat(1 << 19));
    let spaced = format!("Basic {}{token}", " ".repeat(1 << 16));
    for (value, status) in [
        (valid.as_bytes(), 200),
        (format!("basic {token}").as_bytes(), 200),
        (format!("BASIC   {token}").as_bytes(), 200),
        (token.as_bytes(), 401),
        (format!("Basic{token}").as_bytes(), 401),
        (format!("Basic\t{token}").as_bytes(), 401),
        (format!("Basic,{token}").as_bytes(), 401),
        (format!("Basic: {token}").as_bytes(), 401),
        (format!(" Basic {token}").as_bytes(), 401),
        (format!("{valid}, {valid}").as_bytes(), 401),
        (format!("{valid} {valid}").as_bytes(), 401),
        (format!("{valid}\0").as_bytes(), 401),
        (format!("{valid}\r\nx: y").as_bytes(), 401),
        (format!("{valid}====").as_bytes(), 401),
        (b"Basic !!!!", 401),
        (b"Basic ====", 401),
        (b"Basic YQ", 401),
        (b"Basic YTpi\xff", 401),
        (b"Basic \xc3\xa9", 401),
        (b"\xff\xff\xff\xff\xff\xff", 401),
        (b"Basi\xc3\xa7 YTpi", 401),
        (b"Basic gICA", 401),
        (b"Basic Og==", 401),
        (b"Basic AAAA", 401),
        (b"Basic", 401),
        (b"Basic ", 401),
        (b"", 401),
        (huge.as_bytes(), 401),
        (spaced.as_bytes(), 401),
    ] {
        let http = Http::form(CLIENT_CREDENTIALS).header("authorization", value);
        let answer = server.send(http);
        let case = value[..value.len().min(60)].escape_ascii().to_string();
        check(&answer, &case);
        assert_eq!(answer.status, status, "{case}: {answer:?}");
    }
}

#[test]
fn ids_and_secrets_of_all_sorts() {
    let server = Harness::new();
    let long = "a".repeat(4000);
    for part in [
        "",
        "\0",
        "app\0",
        "\n",
        "\u{7f}",
        "\u{e9}",
        "\u{1f511}",
        "%00",
        "%",
        "+",
        "::",
        "null",
        "' OR 1=1 --",
        "../app",
        "*",
        long.as_str(),
    ] {
        for (id, secret) in [(part, SECRET), ("app", part), (part, part)] {
            let case = format!("{id:.40}:{secret:.40}");
            let answer = server.send(Http::form(CLIENT_CREDENTIALS).basic(id, secret));
            check_code(&answer, 401, "invalid_client", &case);
            let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let form =
                format!("{CLIENT_CREDENTIALS}&client_id={}&client_secret={}", encode(id), encode(secret));
            let answer = server.send(Http::form(form));
            check(&answer, &case);
            assert!(
                matches!(answer.error(), Some("invalid_client" | "invalid_request" | "unauthorized_client")),
                "{case}"
            );
        }
    }
    assert_eq!(server.grants(), 0);
}

#[test]
fn repeated_and_odd_headers() {
    let server = Harness::new();
    let form = "application/x-www-form-urlencoded";
    let valid = || Http::form(CLIENT_CREDENTIALS).basic("app", SECRET);
    for (http, status) in [
        (valid().header("content-type", form), 400),
        (valid().header("Content-Type", "application/json"), 400),
        (valid().header("content-type", ""), 400),
        (valid().without_header("content-type").header("content-type", b"\xff".to_vec()), 400),
        (valid().without_header("content-type").header("content-type", ";".repeat(1 << 16)), 400),
        (valid().without_header("content-type").header("CONTENT-TYPE", form), 200),
        (valid().header("authorization", ""), 400),
        (valid().header("accept", "text/html"), 200),
        (valid().header("content-encoding", "gzip"), 200),
        (valid().header("content-length", "0"), 200),
        (valid().header("transfer-encoding", "chunked"), 200),
        (valid().header("x-http-method-override", "GET"), 200),
        (valid().header("", "x"), 200),
        (valid().header("\r\n", "x"), 200),
        (valid().header("origin", "x".repeat(1 << 16)), 200),
    ] {
        let answer = server.send(http.clone());
        check(&answer, &http.headers.last().map(|(name, _)| *name));
        assert_eq!(answer.status, status, "{:?}: {answer:?}", http.headers.last().map(|(name, _)| *name));
    }
    let many = (0..10_000).fold(valid(), |http, _| http.header("x-forwarded-for", "1.2.3.4"));
    server.send(many).ok();
}

#[test]
fn no_member_is_ever_null() {
    let server = Harness::new();
    for answer in [server.login(), server.token(CLIENT_CREDENTIALS), server.token(""), server.token("x=%")] {
        assert!(!answer.json.as_object().unwrap().values().any(Value::is_null), "{answer:?}");
        assert!(!answer.body.contains(":null"), "{answer:?}");
    }
}
