//! What answers look like: tokens (RFC 6749 §5.1) and errors, whatever the error is (§5.2).

use std::fmt;
use std::sync::Arc;

use grantor::error::{
    ClientFailure, GrantFailure, RequestFailure, ScopeFailure, ServerFailure, StoreError, Unavailable, Wire,
};
use grantor::grant_type::Approval;
use grantor::http::Router;
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{Fault, Faults, FaultyStore, Method, block_on};
use grantor::{
    ClientId, EntropyError, Error, GrantTypeName, Parameter, RedirectUri, RefreshLimit, ScopeToken, Settings,
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::support::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";

/// The members of a JSON object as they are written, repeated ones included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// The codes of RFC 6749 §4.1.2.1 and §5.2 that grantor uses. Those of §4.1.2.1 that §5.2
/// does not have go with 500 and 503.
const KNOWN: [&str; 10] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "access_denied",
    "unsupported_response_type",
    "temporarily_unavailable",
    "server_error",
];

const NAME: &str = "a-name-that-must-not-show";

fn request_failures() -> Vec<RequestFailure> {
    use RequestFailure as F;
    let parameters = [
        Parameter::ActorToken,
        Parameter::ActorTokenType,
        Parameter::Assertion,
        Parameter::ClientAssertion,
        Parameter::ClientAssertionType,
        Parameter::ClientId,
        Parameter::ClientSecret,
        Parameter::Code,
        Parameter::CodeChallenge,
        Parameter::CodeChallengeMethod,
        Parameter::CodeVerifier,
        Parameter::DeviceCode,
        Parameter::DpopJkt,
        Parameter::GrantType,
        Parameter::Nonce,
        Parameter::Password,
        Parameter::Prompt,
        Parameter::RedirectUri,
        Parameter::RefreshToken,
        Parameter::Request,
        Parameter::RequestUri,
        Parameter::RequestedTokenType,
        Parameter::ResponseMode,
        Parameter::ResponseType,
        Parameter::Scope,
        Parameter::State,
        Parameter::SubjectToken,
        Parameter::SubjectTokenType,
        Parameter::Token,
        Parameter::TokenTypeHint,
        Parameter::Username,
        Parameter::Extension("a-name-that-must-not-show\"\\\r\n\u{e9}"),
    ];
    let named =
        parameters.into_iter().flat_map(|name| [F::Missing(name), F::Repeated(name), F::Malformed(name)]);
    named
        .chain([
            F::Form,
            F::TooManyParameters,
            F::TooLong,
            F::BodyTooLarge,
            F::MediaType,
            F::Method,
            F::Insecure,
            F::SeveralCredentials,
            F::ClientIdMismatch,
            F::VerifierWithoutChallenge,
            F::ChallengeRequired,
            F::ChallengeMethod,
            F::MethodWithoutChallenge,
            F::Client,
            F::RedirectUri,
            F::Ticket,
        ])
        .collect()
}

fn client_failures() -> [ClientFailure; 7] {
    let id = || ClientId::new(NAME).unwrap();
    [
        ClientFailure::Missing,
        ClientFailure::Unsupported,
        ClientFailure::Unknown(id()),
        ClientFailure::Disabled(id()),
        ClientFailure::WrongSecret(id()),
        ClientFailure::ExpiredSecret(id()),
        ClientFailure::MethodNotAllowed(id()),
    ]
}

/// What a request can show of its own, and what nobody but the owner may learn.
const OPAQUE_GRANT_FAILURES: [GrantFailure; 18] = [
    GrantFailure::Malformed,
    GrantFailure::Unknown,
    GrantFailure::Foreign,
    GrantFailure::Revoked,
    GrantFailure::UserUnknown,
    GrantFailure::UserDisabled,
    GrantFailure::CodeExpired,
    GrantFailure::CodeRaced,
    GrantFailure::CodeReplayed,
    GrantFailure::RefreshExpired,
    GrantFailure::RefreshIdle,
    GrantFailure::RefreshLimitReached,
    GrantFailure::RefreshDamaged,
    GrantFailure::RefreshReused,
    GrantFailure::RefreshLate,
    GrantFailure::RefreshClockSkew,
    GrantFailure::RefreshAhead,
    GrantFailure::RefreshKeyChanged,
];

/// One of each error there is.
fn all() -> Vec<Error> {
    let mut errors: Vec<Error> = request_failures().into_iter().map(Error::from).collect();
    errors.extend(client_failures().map(Error::from));
    errors.extend(OPAQUE_GRANT_FAILURES.map(Error::from));
    errors.extend(
        [
            GrantFailure::RedirectUriMissing,
            GrantFailure::RedirectUriMismatch,
            GrantFailure::VerifierMissing,
            GrantFailure::VerifierMismatch,
        ]
        .map(Error::from),
    );
    let too_wide = ScopeFailure::TooWide { asked: scope(NAME), allowed: scope("b") };
    errors.extend([ScopeFailure::Malformed, ScopeFailure::Required, too_wide].map(Error::from));
    errors.extend([
        Error::UnauthorizedClient {
            client: ClientId::new(NAME).unwrap(),
            grant_type: GrantTypeName::CLIENT_CREDENTIALS,
        },
        Error::UnsupportedGrantType,
        Error::AccessDenied,
        Error::UnsupportedResponseType,
        Unavailable::Full.into(),
        Unavailable::Contention.into(),
        StoreError::unavailable(NAME).into(),
        StoreError::other(NAME).into(),
        EntropyError::new(NAME).into(),
        ServerFailure::IdTaken.into(),
    ]);
    errors
}

/// What every error answer has in common.
#[track_caller]
fn check_text(text: &str) {
    let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    assert!(!text.is_empty() && text.bytes().all(allowed), "{text:?}");
}

/// A store of clients that goes wrong.
fn faulty() -> (Harness, Faults) {
    let faults = Faults::new();
    let setup = Setup::default();
    let registry = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let clients = FaultyStore::new(Arc::clone(&registry), &faults);
    let tokens = FaultyStore::new(MemoryTokenStore::new(), &faults);
    (setup.build_with(clients, tokens, registry, |builder| builder), faults)
}

#[test]
fn gen_11_a_success_is_a_json_object_whose_members_occur_once() {
    let server = Harness::new();
    let login = server.login();
    let refreshed = server.token(&refresh_form(login.refresh_token())).ok();
    for answer in [login, refreshed, server.token(CLIENT_CREDENTIALS).ok()] {
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let Members(mut members) = serde_json::from_str(&answer.body).unwrap();
        members.sort_by(|a, b| a.0.cmp(&b.0));
        let count = members.len();
        members.dedup_by(|a, b| a.0 == b.0);
        assert_eq!(members.len(), count, "{}", answer.body);
        assert_eq!(answer.headers.iter().filter(|(name, _)| name == "content-type").count(), 1);
        assert!(answer.header("www-authenticate").is_none() && answer.header("retry-after").is_none());
    }
}

#[test]
fn gen_12_tokens_are_not_cached() {
    let server = Harness::new();
    let login = server.login();
    let refreshed = server.token(&refresh_form(login.refresh_token())).ok();
    let repeated = server.token(&refresh_form(login.refresh_token())).ok();
    for answer in [login, refreshed, repeated, server.token(CLIENT_CREDENTIALS).ok()] {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
        assert_eq!(answer.header("pragma"), Some("no-cache"), "{answer:?}");
        assert_eq!(
            answer.headers.iter().filter(|(name, _)| name == "cache-control").count(),
            1,
            "{answer:?}"
        );
    }
}

#[test]
fn seed_t02_the_shape_of_the_answer() {
    let server = Setup::default()
        .clients([
            app(),
            confidential("no-refresh").refresh_limit(RefreshLimit::None),
            confidential("for-ever").dangerous().access_tokens_never_expire(),
        ])
        .settings(Settings::default().access_token_lifetime(std::time::Duration::from_secs(1234)))
        .build();
    let names = |answer: &Answer| {
        let mut names: Vec<String> = answer.json.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names.join(" ")
    };
    let login = server.login();
    assert_eq!(names(&login), "access_token expires_in refresh_token scope token_type");
    assert_eq!(login.json["expires_in"], serde_json::json!(1234), "a number of seconds, and no text");
    assert_eq!(login.text("token_type"), Some("Bearer"));
    assert_eq!(login.scope(), "a b", "reported although it is what was asked for");
    assert_eq!(server.token(&format!("{CLIENT_CREDENTIALS}&scope=b+a")).ok().scope().len(), 3);

    let own = server.token(CLIENT_CREDENTIALS).ok();
    assert_eq!(names(&own), "access_token expires_in scope token_type", "absent is absent, not null");

    let code = server.code_for("no-refresh", "a");
    let login = server.send(Http::form(exchange_form(&code)).basic("no-refresh", SECRET)).ok();
    assert_eq!(names(&login), "access_token expires_in scope token_type");
    let own = server.send(Http::form(CLIENT_CREDENTIALS).basic("for-ever", SECRET)).ok();
    assert_eq!(names(&own), "access_token scope token_type", "without an end there is no expires_in");
}

#[test]
fn gen_13_errors_are_not_cached_either() {
    let (server, faults) = faulty();
    let mut insecure = Http::form(CLIENT_CREDENTIALS);
    insecure.secure = false;
    let mut answers = vec![
        server.send(Http::form(CLIENT_CREDENTIALS)).refused(401, "invalid_client"),
        server.send(Http::form("").method("GET")).refused(405, "invalid_request"),
        server.send(insecure).refused(400, "invalid_request"),
        server.token("").refused(400, "invalid_request"),
        server.token(&"x".repeat(1 << 20)).refused(413, "invalid_request"),
    ];
    faults.on(Method::Client, Fault::Fail);
    answers.push(server.token(CLIENT_CREDENTIALS).refused(500, "server_error"));
    faults.on(Method::Client, Fault::FailUnavailable);
    answers.push(server.token(CLIENT_CREDENTIALS).refused(503, "temporarily_unavailable"));
    for answer in answers {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
        assert_eq!(answer.header("pragma"), Some("no-cache"), "{answer:?}");
    }
}

#[test]
fn gen_14_each_error_has_one_registered_code() {
    for error in all() {
        let wire = error.wire();
        assert!(KNOWN.contains(&wire.error), "{error:?}: {wire:?}");
        check_text(wire.error);
    }
}

#[test]
fn gen_14_an_error_answer_has_nothing_but_its_members() {
    let (server, _) = faulty();
    for form in [
        "",
        "grant_type=x",
        "grant_type=client_credentials&scope=z",
        "grant_type=refresh_token&refresh_token=x",
    ] {
        let answer = server.token(form);
        let names: Vec<&String> = answer.json.as_object().unwrap().keys().collect();
        assert_eq!(names, ["error", "error_description"], "{form}: {answer:?}");
    }
}

#[test]
fn gen_15_the_status_is_400_unless_the_code_says_otherwise() {
    for error in all() {
        let Wire { status, error: code, retry_after, challenge, .. } = error.wire();
        let expected: &[u16] = match code {
            "invalid_client" => &[401],
            "invalid_request" => &[400, 405, 413],
            "server_error" => &[500],
            "temporarily_unavailable" => &[503],
            _ => &[400],
        };
        assert!(expected.contains(&status), "{error:?}: {status}");
        assert_eq!(challenge, status == 401, "{error:?}");
        assert_eq!(retry_after.is_some_and(|seconds| seconds > 0), status == 503, "{error:?}");
        let is = |reason| matches!(&error, Error::InvalidRequest { reason: own } if *own == reason);
        assert_eq!(status == 405, is(RequestFailure::Method), "{error:?}");
        assert_eq!(status == 413, is(RequestFailure::BodyTooLarge), "{error:?}");
    }
}

#[test]
fn gen_15_the_status_on_the_wire() {
    let mut setup = Setup::default();
    setup.clients.push(confidential("few").without_grant_types().build().unwrap());
    let server = setup.build();
    server.token("grant_type=authorization_code&code=x").refused(400, "invalid_grant");
    server.token("grant_type=refresh_token&refresh_token=x").refused(400, "invalid_grant");
    server.token("grant_type=client_credentials&scope=z").refused(400, "invalid_scope");
    server.token("grant_type=x").refused(400, "unsupported_grant_type");
    server.token("grant_type=CLIENT_CREDENTIALS").refused(400, "unsupported_grant_type");
    server.token("grant_type=password&username=u&password=p").refused(400, "unsupported_grant_type");
    server.send(Http::form(CLIENT_CREDENTIALS).basic("few", SECRET)).refused(400, "unauthorized_client");
    server
        .send(Http::form(format!("{CLIENT_CREDENTIALS}&client_id=spa")))
        .refused(400, "unauthorized_client");
    server.token("x=1").refused(400, "invalid_request");
}

#[test]
fn gen_16_texts_have_only_the_allowed_characters_and_name_nobody() {
    for error in all() {
        let wire = error.wire();
        check_text(wire.description);
        assert!(!wire.description.contains(NAME), "{error:?}: {wire:?}");
    }
    // Whose a client, code or token is, and what became of it, is the owner's business.
    let one = |texts: Vec<&'static str>| texts.windows(2).all(|pair| pair[0] == pair[1]);
    assert!(one(client_failures().map(|reason| Error::from(reason).wire().description).to_vec()));
    assert!(one(OPAQUE_GRANT_FAILURES.map(|reason| Error::from(reason).wire().description).to_vec()));
    let server_side =
        [StoreError::other(NAME).into(), EntropyError::new(NAME).into(), ServerFailure::IdTaken.into()];
    assert!(one(server_side.map(|error: Error| error.wire().description).to_vec()));
}

#[test]
fn gen_16_input_is_not_echoed() {
    let server = Harness::new();
    let hostile = "%22%0D%0A%C3%A9%5C%3Cscript%3EMARKER";
    for form in [
        format!("grant_type={hostile}"),
        format!("{hostile}=1&grant_type="),
        format!("grant_type=client_credentials&scope={hostile}"),
        "grant_type=client_credentials&scope=MARKER".to_owned(),
        format!("grant_type=client_credentials&client_id={hostile}"),
        "grant_type=client_credentials&client_id=MARKER".to_owned(),
        format!("grant_type=client_credentials&{hostile}=%ZZ"),
        format!("grant_type=authorization_code&code={hostile}"),
        format!("grant_type=refresh_token&refresh_token={hostile}"),
        format!(
            "grant_type=authorization_code&code={}&redirect_uri={hostile}&code_verifier=x",
            server.code()
        ),
        format!("scope={hostile}&scope={hostile}"),
    ] {
        for http in [Http::form(form.clone()).basic("app", SECRET), Http::form(form.clone())] {
            let answer = server.send(http);
            assert!(answer.status >= 400, "{form}: {answer:?}");
            check_text(answer.error().unwrap());
            check_text(answer.text("error_description").unwrap());
            let whole = format!("{answer:?}").to_lowercase();
            assert!(!whole.contains("marker") && !whole.contains("<script"), "{form}: {answer:?}");
        }
    }
}

#[test]
fn gen_17_an_error_uri_is_a_uri_reference() {
    let uri = "https://as.example/errors?lang=en#oauth";
    let server = Harness::new().route(|builder| builder.error_uri(uri));
    let in_set = |byte: u8| byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
    for answer in [
        server.token(""),
        server.send(Http::form(CLIENT_CREDENTIALS)),
        server.send(Http::form("").method("GET")),
        server.token(&"x".repeat(1 << 20)),
    ] {
        let sent = answer.text("error_uri").unwrap_or_else(|| panic!("{answer:?}"));
        assert_eq!(sent, uri);
        assert!(sent.bytes().all(in_set));
    }
    assert!(server.token(CLIENT_CREDENTIALS).ok().text("error_uri").is_none());

    for bad in ["", "a b", "a\"b", "a\\b", "a\r\nb", "\u{e9}", "a<b", "https://as.example/{x}", "\0"] {
        let built = Router::builder(server.server.clone()).error_uri(bad).build();
        assert_eq!(built.expect_err(bad).setting(), "error_uri", "{bad:?}");
    }
}

#[test]
fn gen_20_a_failed_read_answers_500_or_503_and_reveals_nothing() {
    for (fault, status, error) in
        [(Fault::Fail, 500, "server_error"), (Fault::FailUnavailable, 503, "temporarily_unavailable")]
    {
        for (method, prepare) in [
            (Method::Client, None),
            (Method::Load, Some("code")),
            (Method::ValidAfter, Some("code")),
            (Method::Load, Some("refresh")),
        ] {
            let (server, faults) = faulty();
            let form = match prepare {
                None => CLIENT_CREDENTIALS.to_owned(),
                Some("code") => exchange_form(&server.code()),
                Some(_) => refresh_form(server.login().refresh_token()),
            };
            let grants = server.grants();
            faults.on(method, fault);
            for http in [
                Http::form(form.clone()).basic("app", SECRET),
                Http::form(form.clone()).basic("app", "wrong"),
            ] {
                // With a wrong secret the client is looked up, and nothing else.
                if method != Method::Client
                    && http.headers.last() != Http::form("").basic("app", SECRET).headers.last()
                {
                    continue;
                }
                let answer = server.send(http).refused(status, error);
                let names: Vec<&String> = answer.json.as_object().unwrap().keys().collect();
                assert_eq!(names, ["error", "error_description"], "{answer:?}");
                let body = answer.body.to_lowercase();
                for inner in ["told to fail", "store", "load", "valid_after", "panick", "app\"", "app:"] {
                    assert!(!body.contains(inner), "{method}: {inner} in {answer:?}");
                }
                if status == 503 {
                    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
                }
            }
            assert!(server.events.saw("was told to fail"), "{method}: the operator is told why");
            faults.clear();
            assert_eq!(server.grants(), grants, "{method}: nothing is consumed half-way");
            server.token(&form).ok();
        }
    }
}

#[test]
fn gen_20_a_client_that_cannot_be_looked_up_is_not_an_unknown_client() {
    let (server, faults) = faulty();
    faults.on(Method::Client, Fault::FailUnavailable);
    for http in [
        Http::form(CLIENT_CREDENTIALS).basic("app", SECRET),
        Http::form(CLIENT_CREDENTIALS).basic("nobody", "x"),
        Http::form(format!("{CLIENT_CREDENTIALS}&client_id=app&client_secret={SECRET}")),
        Http::form("grant_type=refresh_token&refresh_token=x&client_id=spa"),
        Http::form(CLIENT_CREDENTIALS).raw_basic("app:100%"),
    ] {
        server.send(http).refused(503, "temporarily_unavailable");
    }
}

#[test]
fn seed_e08_errors_are_json_whatever_the_client_would_rather_have() {
    let server = Harness::new();
    for accept in ["text/html", "application/xml", "*/*"] {
        let http = Http::form("grant_type=client_credentials&scope=nope").basic("app", SECRET);
        server.send(http.header("accept", accept)).refused(400, "invalid_scope");
        server
            .send(Http::to("introspect", "token=x").header("accept", accept))
            .refused(401, "invalid_client");
    }
}

#[test]
fn errors_say_which_client_they_name() {
    let named: Vec<Error> = all().into_iter().filter(|error| error.client().is_some()).collect();
    let names = |is: fn(&Error) -> bool| named.iter().any(is);
    assert!(names(|error| matches!(error, Error::UnauthorizedClient { .. })));
    assert!(names(|error| matches!(error, Error::InvalidClient { .. })));
    assert!(!names(|error| matches!(error, Error::InvalidGrant { .. } | Error::InvalidRequest { .. })));
}

#[test]
fn each_error_has_a_reason_that_the_guide_explains() {
    let guide = include_str!("../../src/guide/events.md");
    for error in all() {
        let reason = error.reason();
        assert!(!reason.is_empty() && reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        assert!(guide.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[test]
fn texts_of_small_types_are_what_they_hold() {
    let token = ScopeToken::new("orders.read").unwrap();
    assert_eq!(token.to_string(), "orders.read");
    assert!(format!("{token:?}").contains("orders.read"));
    let uri = RedirectUri::parse("https://app.example/cb").unwrap();
    assert_eq!(uri.as_ref() as &str, "https://app.example/cb");
    assert!(format!("{:?}", Approval::for_client()).contains("Approval"));
    let error = StoreError::unavailable(std::io::Error::other("the disk is gone"));
    assert!(!error.to_string().is_empty());
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the disk is gone");
}

#[test]
fn a_reply_taken_apart_has_all_that_it_had() {
    let server = Harness::new();
    let http = Http::form(CLIENT_CREDENTIALS).basic("app", "a-secret-of-nobody");
    let reply = || block_on(server.router.handle(&http.request())).unwrap();
    let whole = reply();
    let (status, headers, body) = reply().into_parts();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
    assert_eq!((status, &*body), (401, whole.body()));
    assert_eq!(headers, whole.headers().collect::<Vec<_>>());
    assert!(headers.iter().any(|(name, _)| *name == "www-authenticate"));
}

#[test]
fn what_a_client_can_mend_is_described_and_what_is_nobodys_business_is_not() {
    let h = Harness::new();
    let described = |answer: &Answer| answer.text("error_description").unwrap().to_owned();
    let scope = |text: &str| {
        described(
            &h.token(&format!("grant_type=client_credentials&scope={text}")).refused(400, "invalid_scope"),
        )
    };
    assert_eq!(scope("%22"), "The scope is malformed.");
    assert_eq!(scope("z"), "The scope is unknown or exceeds what may be granted.");

    let code = h.code();
    let exchange = |form: &str| described(&h.token(form).refused(400, "invalid_grant"));
    let right = exchange_form(&code);
    let wrong_verifier = right.replace(VERIFIER, &VERIFIER.replace('d', "e"));
    assert_eq!(exchange(&wrong_verifier), "code_verifier does not match the code_challenge.");
    let elsewhere = right.replace("%2Fcb", "%2Fother");
    assert_eq!(exchange(&elsewhere), "redirect_uri differs from the authorization request.");
    let nobodys = "The code or token is invalid, expired, revoked or used up.";
    assert_eq!(exchange(&exchange_form("nonsense")), nobodys);
    h.token(&right).ok();
    assert_eq!(exchange(&right), nobodys);
    assert_eq!(exchange(&refresh_form("nonsense")), nobodys);
}
