//! How the token endpoint reads a request: method, URI, media type and form (RFC 6749 §3.2
//! and Appendix B).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use grantor::grant_type::{Approval, Authenticated, GrantType};
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{Faults, FaultyStore};
use grantor::{Error, GrantTypeName, Parameter, Subject};

use crate::support::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";
const FORM: &str = "application/x-www-form-urlencoded";

/// An extension grant that keeps what it was sent.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<BTreeMap<&'static str, Vec<String>>>>);

impl Recorder {
    const NAME: &str = "urn:example:recorder";

    fn harness(&self) -> Harness {
        let setup = Setup::default().clients([app().grant_type(Self::NAME.parse().unwrap())]);
        let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
        let registry = Arc::clone(&clients);
        setup.build_with(clients, MemoryTokenStore::new(), registry, |builder| {
            builder.grant_type(self.clone())
        })
    }

    fn saw(&self, name: &str) -> Vec<String> {
        self.0.lock().unwrap().get(name).cloned().unwrap_or_default()
    }
}

impl GrantType for Recorder {
    fn name(&self) -> GrantTypeName {
        Self::NAME.parse().unwrap()
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        let own = request.own_parameter("own")?;
        let mut seen = BTreeMap::new();
        for parameter in [Parameter::Username, Parameter::Password, Parameter::Assertion] {
            seen.insert(parameter.as_str(), request.parameter(parameter).into_iter().collect::<Vec<_>>());
        }
        seen.insert("own", own.into_iter().collect());
        for name in ["resource", "audience"] {
            seen.insert(name, request.repeatable_parameter(name).collect());
        }
        let owned = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
        *self.0.lock().unwrap() = seen.into_iter().map(|(name, values)| (name, owned(values))).collect();
        Ok(Approval::for_subject(Subject::new("alice").unwrap()))
    }
}

fn recorded(form: &str) -> String {
    format!("grant_type={}&{form}", Recorder::NAME)
}

#[test]
fn gen_01_any_method_but_post_is_refused_before_credentials_are_looked_at() {
    let faults = Faults::new();
    let setup = Setup::default();
    let registry = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let clients = FaultyStore::new(Arc::clone(&registry), &faults);
    let server = setup.build_with(clients, MemoryTokenStore::new(), registry, |builder| builder);
    for method in [
        "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "Post", "POST ", "",
        "\0",
    ] {
        let in_query = Http::form("").method(method).query(CLIENT_CREDENTIALS);
        let in_body = Http::form(CLIENT_CREDENTIALS).method(method);
        for http in [in_query, in_body] {
            let answer = server.send(http.basic("app", SECRET)).refused(405, "invalid_request");
            assert_eq!(answer.header("allow"), Some("POST"), "{method:?}");
            assert!(server.events.saw("reason: Method "), "{method:?}");
        }
    }
    assert_eq!(faults.calls(), [], "no client was looked up");
    assert_eq!(server.grants(), 0);
}

#[test]
fn gen_02_the_media_type_is_compared_without_case_and_utf8_may_be_said() {
    let server = Harness::new();
    for media_type in [
        FORM,
        "Application/X-WWW-Form-URLEncoded",
        "APPLICATION/X-WWW-FORM-URLENCODED",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=utf-8",
        "application/x-www-form-urlencoded ; Charset=\"UTF-8\"",
        "application/x-www-form-urlencoded;",
        "application/x-www-form-urlencoded; boundary=x",
        " application/x-www-form-urlencoded ",
    ] {
        let http = Http::form(CLIENT_CREDENTIALS).without_header("content-type");
        let answer = server.send(http.header("content-type", media_type).basic("app", SECRET));
        assert_eq!(answer.status, 200, "{media_type}: {answer:?}");
    }
}

#[test]
fn gen_02_other_bodies_are_not_parsed() {
    let server = Harness::new();
    let json = r#"{"grant_type":"client_credentials"}"#;
    for (media_type, body) in [
        ("application/json", json),
        ("application/json", CLIENT_CREDENTIALS),
        ("text/plain", CLIENT_CREDENTIALS),
        ("multipart/form-data; boundary=x", CLIENT_CREDENTIALS),
        ("application/x-www-form-urlencoded2", CLIENT_CREDENTIALS),
        ("application/x-www-form-urlencode", CLIENT_CREDENTIALS),
        ("application/x-www-form-urlencoded, application/json", CLIENT_CREDENTIALS),
        ("application/x-www-form-urlencoded; charset=iso-8859-1", CLIENT_CREDENTIALS),
        ("application/x-www-form-urlencoded; charset=", CLIENT_CREDENTIALS),
        ("application/x-www-form-urlencoded; charset=utf-8; charset=utf-16", CLIENT_CREDENTIALS),
        ("*/*", CLIENT_CREDENTIALS),
        ("form", CLIENT_CREDENTIALS),
        ("", CLIENT_CREDENTIALS),
        ("\u{e9}", CLIENT_CREDENTIALS),
    ] {
        let http = Http::form(body).without_header("content-type").header("content-type", media_type);
        let answer = server.send(http.basic("app", SECRET));
        assert_eq!(
            (answer.status, answer.error()),
            (400, Some("invalid_request")),
            "{media_type}: {answer:?}"
        );
        assert!(server.events.saw("MediaType"), "{media_type}");
    }
    // Said to be a form, but none: there is no grant_type in it.
    server.token(json).refused(400, "invalid_request");
    let bare = Http::form(CLIENT_CREDENTIALS).without_header("content-type");
    server.send(bare.basic("app", SECRET)).refused(400, "invalid_request");
    let twice = Http::form(CLIENT_CREDENTIALS).header("content-type", FORM);
    server.send(twice.basic("app", SECRET)).refused(400, "invalid_request");
}

#[test]
fn gen_03_credentials_in_the_uri_are_never_honoured() {
    let server = Harness::new();
    for query in [
        format!("client_id=app&client_secret={SECRET}"),
        format!("client_id=app&client_secret={SECRET}&grant_type=client_credentials"),
        "client_id=spa".to_owned(),
        "access_token=x".to_owned(),
    ] {
        server.send(Http::form(CLIENT_CREDENTIALS).query(&query)).refused(401, "invalid_client");
        assert!(server.events.saw("reason: Missing"), "{query}");
        let named = Http::form("grant_type=client_credentials&client_id=app").query(&query);
        server.send(named).refused(401, "invalid_client");
    }
    assert_eq!(server.grants(), 0);
}

#[test]
fn gen_04_the_query_is_not_merged_with_the_body() {
    let server = Harness::new();
    let code = server.code();
    let query = exchange_form(&code);
    for (body, why) in [
        ("", "no parameter at all"),
        ("grant_type=authorization_code", "no code"),
        ("grant_type=refresh_token", "no refresh token"),
    ] {
        let answer = server.send(Http::form(body).query(&query).basic("app", SECRET));
        assert_eq!((answer.status, answer.error()), (400, Some("invalid_request")), "{why}: {answer:?}");
    }
    let narrowed = server.send(Http::form(CLIENT_CREDENTIALS).query("scope=a").basic("app", SECRET)).ok();
    assert_eq!(narrowed.scope(), "a b", "the scope in the query does not count");
    server.token(&exchange_form(&code)).ok();
}

#[test]
fn gen_04_the_query_is_not_even_read() {
    let server = Harness::new();
    let huge = "x".repeat(1 << 20);
    for query in ["", "&&&", "%ZZ", "%FF", "grant_type=x&grant_type=y", "client_id=other", huge.as_str()] {
        let answer = server.send(Http::form(CLIENT_CREDENTIALS).query(query).basic("app", SECRET));
        assert_eq!(answer.status, 200, "{query:.40}: {answer:?}");
    }
}

#[test]
fn gen_05_a_repeated_parameter_is_refused() {
    let server = Harness::new();
    let code = server.code();
    let exchange = exchange_form(&code);
    for (first, second) in [
        ("grant_type=authorization_code", "grant_type=authorization_code"),
        ("grant_type=authorization_code", "grant_type=client_credentials"),
        ("client_id=app", "client_id=app"),
        ("client_id=app", "client_id=other"),
        ("code=x", "code=x"),
        ("code_verifier=x", "code_verifier=x"),
        ("redirect_uri=x", "redirect_uri=x"),
        ("scope=a", "scope=a"),
        ("scope=a", "s%63ope=a"),
        ("scope=", "scope=a"),
        ("scope=a", "scope"),
        ("client_secret=", "client_secret="),
        ("state=x", "state=y"),
    ] {
        let name = first.split('=').next().unwrap();
        let others: Vec<&str> =
            exchange.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
        for form in [
            format!("{first}&{}&{second}", others.join("&")),
            format!("{first}&{second}&{}", others.join("&")),
        ] {
            let answer = server.token(&form);
            assert_eq!((answer.status, answer.error()), (400, Some("invalid_request")), "{form}: {answer:?}");
            let text = answer.text("error_description").unwrap();
            assert_eq!(text, format!("{name} must not be repeated."), "{form}");
        }
    }
    let twice = Http::form("grant_type=client_credentials&client_id=app&client_id=app");
    server.send(twice).refused(400, "invalid_request");
    server.token(&exchange).ok();
}

#[test]
fn gen_06_an_empty_value_counts_as_absent() {
    let server = Harness::new();
    for form in [
        "grant_type=",
        "grant_type",
        "=",
        "",
        "grant_type=authorization_code&code=",
        "grant_type=authorization_code&code",
        "grant_type=refresh_token&refresh_token=",
    ] {
        let answer = server.token(form);
        assert_eq!((answer.status, answer.error()), (400, Some("invalid_request")), "{form}: {answer:?}");
        assert!(answer.text("error_description").unwrap().ends_with("is missing."), "{form}: {answer:?}");
    }
    for form in
        [CLIENT_CREDENTIALS, "grant_type=client_credentials&scope=", "grant_type=client_credentials&scope"]
    {
        assert_eq!(server.token(form).ok().scope(), "a b", "{form}");
    }
    for credential in
        ["client_id=", "client_secret=", "client_assertion=", "client_id&client_secret&client_assertion"]
    {
        let answer = server.token(&format!("{CLIENT_CREDENTIALS}&{credential}"));
        assert_eq!(answer.status, 200, "{credential} beside Basic: {answer:?}");
    }
    let code = server.code_for("spa", "a");
    let form = format!("{}&client_id=spa&client_secret=", exchange_form(&code));
    server.send(Http::form(form)).ok();
}

#[test]
fn gen_06_an_empty_redirect_uri_and_verifier_count_as_absent() {
    let server = Setup::default().clients([app().require_pkce(false)]).build();
    let bare = bare_authorization_request("app", "a");
    let code = server.approve(&bare, "a");
    server.token(&format!("grant_type=authorization_code&code={code}&redirect_uri=&code_verifier=")).ok();

    // Sent at authorization: an empty one is a missing one, not a different one.
    let code = server.code();
    let form = format!("grant_type=authorization_code&code={code}&redirect_uri=&code_verifier={VERIFIER}");
    server.token(&form).refused(400, "invalid_grant");
    assert!(server.events.saw("RedirectUriMissing"));
    let form = exchange_form(&code).replace(VERIFIER, "");
    server.token(&form).refused(400, "invalid_grant");
    assert!(server.events.saw("VerifierMissing"));
}

#[test]
fn gen_07_unknown_parameters_are_ignored() {
    let server = Harness::new();
    for extra in [
        "foo=bar&audience_hint=1",
        "foo=",
        "foo",
        "=bar",
        "foo=1&foo=2",
        "%C3%A9=%E2%82%AC",
        "grant_type+=password",
        "GRANT_TYPE=password&Scope=nothing",
        "client_id%5B%5D=other",
        "scope%5B0%5D=c",
        "&&&",
    ] {
        for form in [format!("{CLIENT_CREDENTIALS}&{extra}"), format!("{extra}&{CLIENT_CREDENTIALS}")] {
            let answer = server.token(&form);
            assert_eq!(answer.status, 200, "{form}: {answer:?}");
            assert_eq!(answer.scope(), "a b", "{form}");
        }
    }
}

#[test]
fn gen_08_once_means_extensions_too_but_resource_and_audience_may_repeat() {
    let recorder = Recorder::default();
    let server = recorder.harness();
    for twice in [
        "dpop_jkt=A&dpop_jkt=A",
        "assertion=A&assertion=B",
        "device_code=A&device_code=A",
        "subject_token=A&subject_token=A",
        "client_assertion=A&client_assertion=A",
        "own=A&own=A",
        "own=A&own=B",
    ] {
        let answer = server.token(&recorded(twice));
        assert_eq!((answer.status, answer.error()), (400, Some("invalid_request")), "{twice}: {answer:?}");
    }
    server.token(&recorded("resource=A&resource=B&audience=C&audience=D&foo=1&foo=2&own=O")).ok();
    assert_eq!(recorder.saw("resource"), ["A", "B"]);
    assert_eq!(recorder.saw("audience"), ["C", "D"]);
    assert_eq!(recorder.saw("own"), ["O"]);
    server.token("grant_type=client_credentials&resource=A&resource=B").ok();
}

#[test]
fn gen_09_names_and_values_are_decoded() {
    let recorder = Recorder::default();
    let server = recorder.harness();
    for (sent, expected) in [
        ("+%25%26%2B%C2%A3%E2%82%AC", " %&+\u{a3}\u{20ac}"),
        ("a=b==", "a=b=="),
        ("%2541", "%41"),
        ("%e2%82%Ac", "\u{20ac}"),
        ("%F0%9F%94%91", "\u{1f511}"),
        ("\u{20ac}", "\u{20ac}"),
        ("%20a+", " a "),
    ] {
        server.token(&recorded(&format!("username={sent}&p%61ssword={sent}&o%77n={sent}"))).ok();
        for name in ["username", "password", "own"] {
            assert_eq!(recorder.saw(name), [expected], "{sent} in {name}");
        }
    }
}

#[test]
fn gen_10_values_that_break_the_grammar_are_refused_and_never_repaired() {
    let server = Harness::new();
    for form in [
        "code=%ZZ",
        "code=%",
        "code=%4",
        "code=%4&x=1",
        "code=%%41",
        "code=%+1",
        "code=%u0041",
        "co%de=x",
        "username=%FF",
        "username=%C3",
        "username=%ED%A0%80",
        "username=%C0%80",
        "%FF=x",
        "foo=%ZZ",
        "foo=%FF",
    ] {
        for form in [format!("{CLIENT_CREDENTIALS}&{form}"), format!("{form}&{CLIENT_CREDENTIALS}")] {
            let answer = server.token(&form);
            assert_eq!((answer.status, answer.error()), (400, Some("invalid_request")), "{form}: {answer:?}");
            assert!(server.events.saw("reason: Form "), "{form}");
        }
    }
    let raw = [CLIENT_CREDENTIALS.as_bytes(), b"&username=\xff"].concat();
    server.send(Http::form(raw).basic("app", SECRET)).refused(400, "invalid_request");

    // Control characters are decoded, and then are in no grammar.
    for client_id in ["a%00b", "app%00", "%00app", "app%0A", "%7Fapp", "app%E2%82%AC"] {
        let form = format!("{CLIENT_CREDENTIALS}&client_id={client_id}");
        for form in [form.clone(), format!("{form}&client_secret={SECRET}")] {
            let answer = server.send(Http::form(form));
            assert_eq!(
                (answer.status, answer.error()),
                (400, Some("invalid_request")),
                "{client_id}: {answer:?}"
            );
        }
    }
    for control in ["%00", "%0A", "%0D", "%09", "%7F", "%C2%80"] {
        let answer = server.token(&format!("{CLIENT_CREDENTIALS}&scope=a{control}"));
        assert_eq!((answer.status, answer.error()), (400, Some("invalid_scope")), "{control}: {answer:?}");
        let answer = server.token(&format!("grant_type=client_credentials{control}"));
        assert_eq!(
            (answer.status, answer.error()),
            (400, Some("unsupported_grant_type")),
            "{control}: {answer:?}"
        );
        let code = server.code();
        for spoilt in [format!("{code}{control}"), format!("{control}{code}")] {
            let answer = server.token(&exchange_form(&spoilt));
            assert_eq!(
                (answer.status, answer.error()),
                (400, Some("invalid_grant")),
                "{control}: {answer:?}"
            );
        }
        for spoilt in [format!("%2Fcb{control}"), format!("%2F{control}cb")] {
            let answer = server.token(&exchange_form(&code).replace("%2Fcb", &spoilt));
            assert_eq!(
                (answer.status, answer.error()),
                (400, Some("invalid_grant")),
                "{control}: {answer:?}"
            );
        }
        let answer = server.token(&format!("{}{control}", exchange_form(&code)));
        assert_eq!(
            (answer.status, answer.error()),
            (400, Some("invalid_grant")),
            "verifier {control}: {answer:?}"
        );
        server.token(&exchange_form(&code)).ok();
    }
}

#[test]
fn gen_19_the_scheme_is_matched_without_case() {
    use base64::Engine as _;
    let server = Harness::new();
    let payload = base64::engine::general_purpose::STANDARD.encode(format!("app:{SECRET}"));
    for scheme in ["Basic", "basic", "BASIC", "bAsIc"] {
        for name in ["authorization", "Authorization", "AUTHORIZATION"] {
            let http = Http::form(CLIENT_CREDENTIALS).header(name, format!("{scheme} {payload}"));
            let answer = server.send(http);
            assert_eq!(answer.status, 200, "{name}: {scheme}: {answer:?}");
        }
    }
}

#[test]
fn gen_21_size_count_and_length_are_bounded() {
    let server = Harness::new();
    let limit = server.router.body_limit();
    assert_eq!(limit, 64 * 1024);
    let padded =
        |length: usize| format!("{CLIENT_CREDENTIALS}{}", "&".repeat(length - CLIENT_CREDENTIALS.len()));
    server.token(&padded(limit)).ok();
    server.token(&padded(limit + 1)).refused(413, "invalid_request");
    server.token(&"x".repeat(10 << 20)).refused(413, "invalid_request");
    assert!(server.events.saw("BodyTooLarge"));
    // The adapter stops reading: the router is asked for the answer alone.
    let http = Http::form("");
    let reply = server.router.body_too_large(&http.request());
    Answer::read(&reply).refused(413, "invalid_request");
    assert!(server.events.saw("BodyTooLarge"));

    let server = server.route(|builder| builder.body_limit(16 << 20));
    let count = |count: usize| format!("{CLIENT_CREDENTIALS}{}", "&x=1".repeat(count - 1));
    server.token(&count(64)).ok();
    server.token(&count(65)).refused(400, "invalid_request");
    server.token(&count(100_000)).refused(400, "invalid_request");
    assert!(server.events.saw("TooManyParameters"));
    let long = |name: &str, length: usize| format!("{CLIENT_CREDENTIALS}&{name}={}", "x".repeat(length));
    server.token(&long("code", 16 * 1024)).ok();
    for form in [
        long("code", 16 * 1024 + 1),
        long("code", 1 << 20),
        long("foo", 1 << 20),
        long(&"n".repeat(1 << 20), 1),
    ] {
        server.token(&form).refused(400, "invalid_request");
        assert!(server.events.saw("TooLong"));
    }
    server.token(&format!("{CLIENT_CREDENTIALS}&foo={}", "%41".repeat(16 * 1024))).ok();
}

#[test]
fn gen_22_what_is_nearly_right_is_refused_like_anything_else() {
    let server = Harness::new();
    let login = server.login();
    let code = server.code();
    let near = |text: &str| {
        let flip = |at: usize| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        };
        let last = text.len() - 1;
        [
            flip(0),
            flip(last / 2),
            flip(last),
            text[..last].to_owned(),
            format!("{text}A"),
            text.to_uppercase(),
        ]
    };
    let far = server.send(Http::form(CLIENT_CREDENTIALS).basic("app", "x")).refused(401, "invalid_client");
    for secret in near(SECRET) {
        let answer = server.send(Http::form(CLIENT_CREDENTIALS).basic("app", &secret));
        assert_eq!((answer.body, answer.headers), (far.body.clone(), far.headers.clone()), "{secret}");
    }
    let far = server.token(&refresh_form("x")).refused(400, "invalid_grant");
    for token in near(login.refresh_token()) {
        assert_eq!(server.token(&refresh_form(&token)).body, far.body, "{token}");
    }
    for code in near(&code) {
        assert_eq!(server.token(&exchange_form(&code)).body, far.body, "{code}");
    }
    for verifier in near(VERIFIER) {
        server.token(&exchange_form(&code).replace(VERIFIER, &verifier)).refused(400, "invalid_grant");
    }
    for token in near(login.access_token()) {
        assert!(!server.is_active(&token), "{token}");
    }
    server.token(&exchange_form(&code)).ok();
    server.token(&refresh_form(login.refresh_token())).ok();
}
