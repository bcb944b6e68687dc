//! Client authentication (RFC 6749 §2.3).

use std::sync::Arc;

use base64::Engine as _;
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{Faults, FaultyStore, Method};
use grantor::{AuthMethod, Client, ClientBuilder};

use crate::support::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";

/// `application/x-www-form-urlencoded`, with `+` for a space.
fn encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn with_secret(id: &str, secret: &str) -> ClientBuilder {
    confidential(id).without_secrets().secret(hashed(secret))
}

fn by_post(id: &str, secret: &str) -> Http {
    Http::form(format!("{CLIENT_CREDENTIALS}&client_id={}&client_secret={}", encode(id), encode(secret)))
}

fn by_basic(id: &str, secret: &str) -> Http {
    Http::form(CLIENT_CREDENTIALS).basic(id, secret)
}

fn only_id(id: &str) -> Http {
    Http::form(format!("{CLIENT_CREDENTIALS}&client_id={id}"))
}

/// A server whose calls to the client store are counted.
fn counted(clients: impl IntoIterator<Item = ClientBuilder>) -> (Harness, Faults) {
    let faults = Faults::new();
    let setup = Setup::default().clients(clients);
    let registry = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let store = FaultyStore::new(Arc::clone(&registry), &faults);
    (setup.build_with(store, MemoryTokenStore::new(), registry, |builder| builder), faults)
}

#[test]
fn ca_01_basic_works_for_every_client_with_a_secret() {
    let server = Setup::default()
        .clients([app(), confidential("basic-only").auth_methods([AuthMethod::ClientSecretBasic])])
        .build();
    server.send(by_basic("app", SECRET)).ok();
    server.send(by_basic("basic-only", SECRET)).ok();
    let login = server.login();
    server.token(&refresh_form(login.refresh_token())).ok();

    // It is what a registration allows unless it says otherwise.
    let plain = Client::confidential("plain").secret(hashed(SECRET));
    assert_eq!(plain.build().unwrap().auth_methods(), [AuthMethod::ClientSecretBasic]);
}

#[test]
fn ca_02_credentials_in_the_body_work() {
    let server = Harness::new();
    server.send(by_post("app", SECRET)).ok();
    let code = server.code();
    let form = format!("{}&client_id=app&client_secret={SECRET}", exchange_form(&code));
    let login = server.send(Http::form(form)).ok();
    let form = format!("{}&client_id=app&client_secret={SECRET}", refresh_form(login.refresh_token()));
    server.send(Http::form(form)).ok();
    let backwards = format!("client_secret={SECRET}&client_id=app&{CLIENT_CREDENTIALS}");
    server.send(Http::form(backwards)).ok();
    server.send(by_post("app", "wrong")).refused(401, "invalid_client");
    let secret_alone = format!("{CLIENT_CREDENTIALS}&client_secret={SECRET}");
    server.send(Http::form(secret_alone)).refused(401, "invalid_client");
}

#[test]
fn ca_03_both_halves_are_form_decoded() {
    for (id, secret) in [
        ("1PpG/Q 1", "z/tZ9:X2+w=%"),
        ("c", "a:b"),
        ("c", "a+b"),
        ("c", "a%b"),
        ("c", "a%41b"),
        ("c", "a b"),
        ("c", "\u{a3}\u{20ac}\u{1f511}"),
        ("c", " %&+\u{a3}\u{20ac}"),
        ("a:b", "c"),
        ("a+b", "c"),
        ("a%41", "c"),
        ("https://app.example/id", "c"),
    ] {
        let server = Setup::default().clients([with_secret(id, secret)]).build();
        let encoded = Http::form(CLIENT_CREDENTIALS).raw_basic(&format!("{}:{}", encode(id), encode(secret)));
        let answer = server.send(encoded);
        assert_eq!(answer.status, 200, "{id} {secret} by Basic: {answer:?}");
        let answer = server.send(by_post(id, secret));
        assert_eq!(answer.status, 200, "{id} {secret} by post: {answer:?}");
        let spaces = encode(secret).replace('+', "%20");
        let answer = server.send(by_basic(&encode(id), &spaces));
        assert_eq!(answer.status, 200, "{id} {secret} with %20: {answer:?}");
    }
}

#[test]
fn ca_04_the_payload_is_split_at_the_first_colon() {
    let server = Setup::default().clients([with_secret("c", "a:b:c"), with_secret("empty", "x")]).build();
    for payload in ["c:a:b:c", "c:a%3Ab%3Ac", "c:a:b%3ac"] {
        let answer = server.send(Http::form(CLIENT_CREDENTIALS).raw_basic(payload));
        assert_eq!(answer.status, 200, "{payload}: {answer:?}");
    }
    for payload in ["c", "", "c%3Aa:b:c", "c:a:b", "c:a", ":a:b:c", "ca:b:c", "c:", ":", "empty:", "c::a:b:c"]
    {
        let answer = server.send(Http::form(CLIENT_CREDENTIALS).raw_basic(payload));
        assert_eq!((answer.status, answer.error()), (401, Some("invalid_client")), "{payload}: {answer:?}");
    }
}

#[test]
fn ca_05_the_raw_reading_never_makes_a_wrong_secret_right() {
    let send =
        |server: &Harness, payload: &str| server.send(Http::form(CLIENT_CREDENTIALS).raw_basic(payload));
    // Clients that do not encode.
    for secret in ["100%", "p%41", "a+b", "%", "%ZZ", "a%zz+b", "%FF"] {
        let server = Setup::default().clients([with_secret("id", secret)]).build();
        let answer = send(&server, &format!("id:{secret}"));
        assert_eq!(answer.status, 200, "{secret} raw: {answer:?}");
        let answer = send(&server, &format!("id:{}", encode(secret)));
        assert_eq!(answer.status, 200, "{secret} encoded: {answer:?}");
        for wrong in [encode(&encode(secret)), format!("{secret}x"), "x%41".to_owned()] {
            let answer = send(&server, &format!("id:{wrong}"));
            assert_eq!(answer.status, 401, "{secret}: {wrong}: {answer:?}");
        }
    }
    // The decoded reading comes first, and is enough.
    let (server, faults) = counted([with_secret("id", "pA")]);
    send(&server, "id:p%41").ok();
    assert_eq!(faults.calls().iter().filter(|method| **method == Method::Client).count(), 1);
    send(&server, "id:p%2541").refused(401, "invalid_client");
    // One reading is taken as a whole.
    let server = Setup::default().clients([with_secret("i d", "p+q"), with_secret("i+d", "p q")]).build();
    for (payload, status) in [("i+d:p+q", 401), ("i+d:p%2Bq", 200), ("i%2Bd:p+q", 200), ("i+d:p q", 200)] {
        assert_eq!(send(&server, payload).status, status, "{payload}");
    }
    // And it is the client's that it authenticates, whichever it is.
    let mixed = Http::form(format!("{CLIENT_CREDENTIALS}&client_id=i+d")).raw_basic("i+d:p q");
    server.send(mixed).refused(400, "invalid_request");
    let same = Http::form(format!("{CLIENT_CREDENTIALS}&client_id=i%2Bd")).raw_basic("i+d:p q");
    server.send(same).ok();
}

#[test]
fn ca_05_a_body_has_one_reading() {
    let server = Setup::default().clients([with_secret("id", "p%41")]).build();
    server
        .send(Http::form(format!("{CLIENT_CREDENTIALS}&client_id=id&client_secret=p%41")))
        .refused(401, "invalid_client");
    server.send(by_post("id", "p%41")).ok();
}

#[test]
fn ca_06_basic_failure_answers_401_with_challenge() {
    let server = Harness::new();
    let answer = server.send(by_basic("app", "wrong")).refused(401, "invalid_client");
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"OAuth\", charset=\"UTF-8\""));
    assert_eq!(answer.headers.iter().filter(|(name, _)| name == "www-authenticate").count(), 1);
    let server = server.route(|builder| builder.realm("my realm, 2"));
    let answer = server.send(by_basic("app", "wrong")).refused(401, "invalid_client");
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"my realm, 2\", charset=\"UTF-8\""));
}

#[test]
fn ca_07_a_401_always_has_a_challenge() {
    let server = Harness::new();
    for http in [
        by_post("app", "wrong"),
        by_post("nobody", "wrong"),
        only_id("app"),
        only_id("nobody"),
        Http::form(CLIENT_CREDENTIALS),
        Http::form(format!("{CLIENT_CREDENTIALS}&client_assertion=x")),
        Http::form(CLIENT_CREDENTIALS).header("authorization", "Bearer x"),
    ] {
        let answer = server.send(http).refused(401, "invalid_client");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm=\""), "{answer:?}");
    }
}

#[test]
fn ca_08_one_way_of_authentication_per_request() {
    let server = Harness::new();
    // Right or wrong, of a known client or not, each on its own or not.
    let headers: [&[String]; 6] = [
        &[],
        &[format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("app:{SECRET}")))],
        &["Basic YXBwOndyb25n".to_owned()],
        &["Basic".to_owned()],
        &["Bearer x".to_owned()],
        &["".to_owned()],
    ];
    let secrets = ["", "client_secret=wrong", &format!("client_secret={SECRET}")].map(str::to_owned);
    let assertions = ["", "client_assertion=x", "client_assertion=x&client_assertion_type=y"];
    let ids = ["", "client_id=app", "client_id=nobody"];
    for header in headers {
        for secret in &secrets {
            for assertion in assertions {
                for id in ids {
                    let ways =
                        header.len() + usize::from(!secret.is_empty()) + usize::from(!assertion.is_empty());
                    let form = [CLIENT_CREDENTIALS, id, secret, assertion].join("&");
                    let http = Http::form(form.clone());
                    let http =
                        header.iter().fold(http, |http, value| http.header("authorization", value.clone()));
                    let answer = server.send(http);
                    let case = format!("{header:?} {form}: {answer:?}");
                    assert_eq!(ways > 1, server.events.saw("SeveralCredentials"), "{case}");
                    if ways > 1 {
                        assert_eq!((answer.status, answer.error()), (400, Some("invalid_request")), "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn ca_08_two_authorization_headers_are_two_ways() {
    let server = Harness::new();
    for other in ["Basic x", "Bearer x", ""] {
        server.send(by_basic("app", SECRET).header("authorization", other)).refused(400, "invalid_request");
        let first = Http::form(CLIENT_CREDENTIALS).header("Authorization", other);
        server.send(first.basic("app", SECRET)).refused(400, "invalid_request");
    }
    server.send(by_basic("app", SECRET).basic("app", SECRET)).refused(400, "invalid_request");
}

#[test]
fn ca_09_a_client_id_beside_basic_must_be_the_same() {
    let server = Harness::new();
    for (client_id, status, error) in [
        ("app", 200, None),
        ("", 200, None),
        ("%61pp", 200, None),
        ("other", 400, Some("invalid_request")),
        ("spa", 400, Some("invalid_request")),
        ("nobody", 400, Some("invalid_request")),
        ("App", 400, Some("invalid_request")),
        ("app+", 400, Some("invalid_request")),
        ("app%00", 400, Some("invalid_request")),
    ] {
        let answer = server.token(&format!("{CLIENT_CREDENTIALS}&client_id={client_id}"));
        assert_eq!((answer.status, answer.error()), (status, error), "{client_id}: {answer:?}");
    }
    // Whoever has no valid credentials learns no more than that.
    let http = Http::form(format!("{CLIENT_CREDENTIALS}&client_id=other")).basic("app", "wrong");
    server.send(http).refused(401, "invalid_client");
    // Nor does the code of another client change hands.
    let code = server.code_for("other", "a");
    server.token(&format!("{}&client_id=other", exchange_form(&code))).refused(400, "invalid_request");
    assert_eq!(server.grants(), 4, "three tokens and the code");
}

/// Everything about an answer that the client can see.
fn visible(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    (answer.status, answer.headers.clone(), answer.body.clone())
}

#[test]
fn a_refusal_names_the_client_once_it_is_authenticated() {
    let server = Harness::new();
    server.token("grant_type=client_credentials&scope=%22").refused(400, "invalid_scope");
    let events = server.events.take().concat();
    assert!(events.contains("TokenRefused { client: Some(\"app\")"), "{events}");
    server.token("grant_type=client_credentials&scope=a&scope=a").refused(400, "invalid_request");
    assert!(server.events.saw("TokenRefused { client: None"), "nobody has been authenticated");
}

#[test]
fn ca_10_failures_look_alike_and_events_tell_them_apart() {
    let (server, faults) = counted([
        app(),
        spa(),
        confidential("off").enabled(false),
        confidential("basic-only").auth_methods([AuthMethod::ClientSecretBasic]),
        confidential("post-only").auth_methods([AuthMethod::ClientSecretPost]),
        confidential("expired").without_secrets().secret(hashed(SECRET).expires_at(START)),
        Client::public("spa-off").enabled(false),
    ]);
    let wrong = server.send(by_basic("app", "wrong")).refused(401, "invalid_client");
    server.events.take();
    for (http, reason, lookups) in [
        (by_basic("app", "wrong"), "WrongSecret(\"app\")", 1),
        (by_basic("nobody", "wrong"), "Unknown(\"nobody\")", 1),
        (by_post("app", "wrong"), "WrongSecret(\"app\")", 1),
        (by_post("nobody", "wrong"), "Unknown(\"nobody\")", 1),
        (by_basic("off", SECRET), "Disabled(\"off\")", 1),
        (by_basic("off", "wrong"), "WrongSecret(\"off\")", 1),
        (by_post("off", SECRET), "Disabled(\"off\")", 1),
        (by_post("basic-only", SECRET), "MethodNotAllowed(\"basic-only\")", 1),
        (by_basic("post-only", SECRET), "MethodNotAllowed(\"post-only\")", 1),
        (by_basic("expired", SECRET), "ExpiredSecret(\"expired\")", 1),
        (by_basic("expired", "wrong"), "WrongSecret(\"expired\")", 1),
        (by_basic("spa", "x"), "WrongSecret(\"spa\")", 1),
        (by_basic("spa", ""), "WrongSecret(\"spa\")", 1),
        (only_id("app"), "MethodNotAllowed(\"app\")", 1),
        (only_id("off"), "MethodNotAllowed(\"off\")", 1),
        (only_id("spa-off"), "Disabled(\"spa-off\")", 1),
        (only_id("nobody"), "Unknown(\"nobody\")", 1),
        (Http::form(CLIENT_CREDENTIALS), "Missing", 0),
        (Http::form(CLIENT_CREDENTIALS).header("authorization", "Bearer x"), "Unsupported", 0),
        (Http::form(CLIENT_CREDENTIALS).raw_basic("a\u{e9}b:x"), "Unsupported", 0),
        (Http::form(format!("{CLIENT_CREDENTIALS}&client_id=app&client_assertion=x")), "Unsupported", 0),
    ] {
        faults.restart();
        let answer = server.send(http);
        assert_eq!(visible(&answer), visible(&wrong), "{reason}");
        assert_eq!(faults.calls().len(), lookups, "{reason}: as much work as for any other");
        let events = server.events.take();
        let expected = format!("InvalidClient {{ reason: {reason} }}");
        assert!(matches!(events.as_slice(), [event] if event.contains(&expected)), "{expected}: {events:?}");
        assert!(!events.concat().contains(SECRET), "{events:?}");
    }
}

#[test]
fn ca_10_a_failure_is_known_before_the_grant_is_looked_at() {
    let server = Harness::new();
    let wrong = server.send(by_basic("app", "wrong")).refused(401, "invalid_client");
    let code = server.code();
    for form in [exchange_form(&code), exchange_form("x"), refresh_form("x"), "grant_type=x".to_owned()] {
        let answer = server.send(Http::form(form.clone()).basic("app", "wrong"));
        assert_eq!(visible(&answer), visible(&wrong), "{form}");
    }
    server.token(&exchange_form(&code)).ok();
}

#[test]
fn ca_11_a_confidential_client_must_prove_itself() {
    let server = Harness::new();
    server.send(only_id("app")).refused(401, "invalid_client");
    let code = server.code();
    let login = server.login();
    for form in [exchange_form(&code), refresh_form(login.refresh_token())] {
        server.send(Http::form(format!("{form}&client_id=app"))).refused(401, "invalid_client");
        server
            .send(Http::form(format!("{form}&client_id=app&client_secret=")))
            .refused(401, "invalid_client");
        server.send(Http::form(form.clone()).basic("app", "")).refused(401, "invalid_client");
        server.token(&form).ok();
    }
}

#[test]
fn ca_12_a_public_client_names_itself() {
    let server = Harness::new();
    let code = server.code_for("spa", "a");
    let form = exchange_form(&code);
    server.send(Http::form(form.clone())).refused(401, "invalid_client");
    server.send(Http::form(format!("{form}&client_id="))).refused(401, "invalid_client");
    server.send(Http::form(format!("{form}&client_id=nobody"))).refused(401, "invalid_client");
    server.send(Http::form(form.clone()).query("client_id=spa")).refused(401, "invalid_client");
    let login = server.send(Http::form(format!("{form}&client_id=spa"))).ok();
    let form = refresh_form(login.refresh_token());
    server.send(Http::form(form.clone())).refused(401, "invalid_client");
    server.send(Http::form(format!("{form}&client_id=spa"))).ok();
}

#[test]
fn ca_13_a_client_uses_the_methods_it_is_registered_for() {
    let only = |id: &str, method| confidential(id).auth_methods([method]);
    let server = Setup::default()
        .clients([
            app(),
            only("basic", AuthMethod::ClientSecretBasic),
            only("post", AuthMethod::ClientSecretPost),
            spa(),
        ])
        .build();
    for (id, basic, post) in [("app", 200, 200), ("basic", 200, 401), ("post", 401, 200)] {
        assert_eq!(server.send(by_basic(id, SECRET)).status, basic, "{id} by Basic");
        assert_eq!(server.send(by_post(id, SECRET)).status, post, "{id} by post");
        server.send(only_id(id)).refused(401, "invalid_client");
    }
    server.send(by_basic("spa", SECRET)).refused(401, "invalid_client");
    server.send(by_post("spa", SECRET)).refused(401, "invalid_client");
    server.send(by_post("spa", "")).refused(400, "unauthorized_client");
    // A secret stays behind when the registration changes; the old method is off at once.
    server.change_client("app", |client| client.auth_methods([AuthMethod::ClientSecretPost]));
    server.send(by_basic("app", SECRET)).refused(401, "invalid_client");
    server.send(by_post("app", SECRET)).ok();
}

#[test]
fn ca_19_an_unknown_scheme_is_a_failed_authentication() {
    let server = Harness::new();
    let code = server.code_for("spa", "a");
    for value in [
        "Bearer abc",
        "Digest username=\"app\"",
        "Negotiate YII=",
        "DPoP abc",
        "Basi YXBwOng=",
        "BasicYXBwOng=",
        "Basic",
        "Basic ",
        "",
        "app",
    ] {
        for form in [
            CLIENT_CREDENTIALS.to_owned(),
            format!("{CLIENT_CREDENTIALS}&client_id=app"),
            format!("{}&client_id=spa", exchange_form(&code)),
        ] {
            let answer = server.send(Http::form(form).header("authorization", value));
            assert_eq!(
                (answer.status, answer.error()),
                (401, Some("invalid_client")),
                "{value:?}: {answer:?}"
            );
            assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "), "{value:?}");
        }
    }
    server.send(Http::form(format!("{}&client_id=spa", exchange_form(&code)))).ok();
}

#[test]
fn seed_t03_who_must_send_client_id() {
    let mut setup = Setup::default();
    let basic_only = confidential("basic-only").auth_methods([AuthMethod::ClientSecretBasic]);
    setup.clients.push(basic_only.build().unwrap());
    let server = setup.build();
    let code = server.code_for("spa", "a");
    server.send(Http::form(exchange_form(&code))).refused(401, "invalid_client");
    server.send(Http::form(format!("{}&client_id=spa", exchange_form(&code)))).ok();
    server.send(by_basic("app", SECRET)).ok();
    server.token(&exchange_form(&server.code())).ok();
    server.send(by_post("app", SECRET)).ok();
    server.send(by_post("basic-only", SECRET)).refused(401, "invalid_client");
}

#[test]
fn seed_c07_a_disabled_client_cannot_authenticate_until_it_is_enabled_again() {
    let server = Harness::new();
    let login = server.login();
    server.change_client("app", |client| client.enabled(false));
    server.send(by_basic("app", SECRET)).refused(401, "invalid_client");
    server.send(by_post("app", SECRET)).refused(401, "invalid_client");
    assert!(!server.is_active(login.access_token()));
    server.change_client("app", |client| client.enabled(true));
    server.send(by_basic("app", SECRET)).ok();
    assert!(server.is_active(login.access_token()));
}

#[test]
fn seed_c11_a_session_is_never_a_credential() {
    let server = Harness::new();
    let code = server.code();
    let login = server.login();
    for (name, value) in [
        ("cookie", "session=the session of alice; JSESSIONID=app; ssnid=app".to_owned()),
        ("x-forwarded-user", "app".to_owned()),
        ("x-client-id", "app".to_owned()),
        ("x-ssl-client-verify", "SUCCESS".to_owned()),
        (
            "proxy-authorization",
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("app:{SECRET}"))),
        ),
        ("authentication", "Basic app".to_owned()),
        ("authorization", format!("Bearer {}", login.access_token())),
    ] {
        for form in [CLIENT_CREDENTIALS.to_owned(), exchange_form(&code)] {
            for form in [form.clone(), format!("{form}&client_id=app")] {
                let answer = server.send(Http::form(form.clone()).header(name, value.clone()));
                assert_eq!((answer.status, answer.error()), (401, Some("invalid_client")), "{name}, {form}");
            }
        }
    }
    server.token(&exchange_form(&code)).ok();
}
