//! Authorization requests (RFC 6749 §4.1.1): which are refused by a page, which by redirect,
//! and what a redirect says (RFC 9207).

use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::block_on;
use grantor::{
    AuthorizationRefused, AuthorizationRequest, AuthorizationServer, Client, ConsentDecision, ConsentRequest,
    Error, GrantTypeName,
};

use crate::support::*;

pub const ISSUER: &str = "https://as.example";

/// What a browser takes along to the client.
pub struct Redirect {
    pub location: String,
    pub parameters: Vec<(String, String)>,
}

impl Redirect {
    /// Reads the response to `redirect_uri`, and checks what holds for each one.
    #[track_caller]
    pub fn read(location: &str, redirect_uri: &str) -> Self {
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        let own = location.strip_prefix(redirect_uri).and_then(|rest| rest.strip_prefix(separator));
        let own = own.unwrap_or_else(|| panic!("{location} does not begin with {redirect_uri}"));
        let clean = own.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#?".contains(&byte));
        assert!(clean, "{location:?}");
        let query = format!("?{own}");
        let names = own.split('&').map(|pair| pair.split_once('=').unwrap().0);
        let parameters: Vec<_> =
            names.map(|name| (name.to_owned(), query_value(&query, name).unwrap())).collect();
        for (name, _) in &parameters {
            let known = ["code", "error", "error_description", "state", "iss"];
            assert!(known.contains(&name.as_str()), "{name} in {location}");
            assert_eq!(parameters.iter().filter(|(other, _)| other == name).count(), 1, "{location}");
        }
        let redirect = Self { location: location.to_owned(), parameters };
        assert_eq!(redirect.get("iss"), Some(ISSUER), "{location}");
        assert_ne!(redirect.get("code").is_some(), redirect.get("error").is_some(), "{location}");
        redirect
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

pub fn authorize(
    h: &Harness,
    request: &AuthorizationRequest<'_>,
) -> Result<ConsentRequest, AuthorizationRefused> {
    block_on(h.server.authorize(request, SESSION))
}

/// The client is told of `error`, by redirect to its usual URI.
#[track_caller]
pub fn redirected<T>(case: &str, outcome: Result<T, AuthorizationRefused>, error: &str) -> Redirect {
    match outcome {
        Err(AuthorizationRefused::Redirect { response, .. }) => {
            assert_eq!(response.grant(), None, "{case}");
            let redirect = Redirect::read(response.location(), REDIRECT_URI);
            assert_eq!(redirect.get("error"), Some(error), "{case}");
            redirect
        }
        Err(AuthorizationRefused::Page { error: got }) => panic!("{case}: a page for {got}, not {error}"),
        Ok(_) => panic!("{case}: accepted, not refused with {error}"),
    }
}

/// The user is shown a page, and nothing is sent anywhere.
#[track_caller]
pub fn page<T>(case: &str, outcome: Result<T, AuthorizationRefused>) {
    let status = failed_with_page(case, outcome).wire().status;
    assert_eq!(status, 400, "{case}: the fault is the request's");
}

/// The user is shown a page for this error.
#[track_caller]
pub fn failed_with_page<T>(case: &str, outcome: Result<T, AuthorizationRefused>) -> Error {
    match outcome {
        Err(AuthorizationRefused::Page { error }) => error,
        Err(AuthorizationRefused::Redirect { response, .. }) => {
            panic!("{case}: redirected to {}", response.location())
        }
        Ok(_) => panic!("{case}: accepted"),
    }
}

#[track_caller]
pub fn accepted<T>(case: &str, outcome: Result<T, AuthorizationRefused>) -> T {
    outcome.unwrap_or_else(|refused| panic!("{case}: {refused}"))
}

/// [`authorization_request`] with `name` set to `value` in the place of what it has;
/// `None` leaves it out.
pub fn changed<'a>(name: &'a str, value: Option<&'a str>) -> AuthorizationRequest<'a> {
    let usual = [
        ("response_type", "code"),
        ("client_id", "app"),
        ("scope", "a b"),
        ("state", "xyz"),
        ("redirect_uri", REDIRECT_URI),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    let kept = usual.into_iter().filter(|(own, _)| *own != name);
    let request =
        kept.fold(AuthorizationRequest::new(), |request, (name, value)| request.parameter(name, value));
    match value {
        Some(value) => request.parameter(name, value),
        None => request,
    }
}

#[test]
fn ae_02_unknown_parameters_are_ignored() {
    let h = Harness::new();
    let request = authorization_request("app", "a b")
        .parameter("extra", "foobar")
        .parameter("foo", "1")
        .parameter("foo", "2")
        .parameter("resource", "https://api.example/one")
        .parameter("resource", "https://api.example/two")
        .parameter("Scope", "nope")
        .parameter("client_secret", "not looked at");
    let code = h.approve(&request, "a b");
    assert_eq!(h.token(&exchange_form(&code)).ok().scope(), "a b");
}

#[test]
fn ae_03_a_repeated_parameter_is_refused() {
    let h = Harness::new();
    let usual = authorization_request("app", "a b");
    for (name, value) in [
        ("scope", "a b"),
        ("scope", "a"),
        ("scope", ""),
        ("response_type", "code"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ] {
        let outcome = authorize(&h, &usual.clone().parameter(name, value));
        let redirect = redirected(&format!("{name}={value} again"), outcome, "invalid_request");
        assert_eq!(redirect.get("state"), Some("xyz"), "{name}");
    }
    let twice_nonce = usual.clone().parameter("nonce", "n").parameter("nonce", "n");
    redirected("nonce", authorize(&h, &twice_nonce), "invalid_request");
    // Which of the two would be the state?
    let redirect =
        redirected("state", authorize(&h, &usual.clone().parameter("state", "other")), "invalid_request");
    assert_eq!(redirect.get("state"), None);
    for (name, value) in [
        ("client_id", "app"),
        ("client_id", "other"),
        ("client_id", ""),
        ("redirect_uri", REDIRECT_URI),
        ("redirect_uri", "https://evil.example/cb"),
        ("redirect_uri", ""),
    ] {
        page(&format!("{name}={value} again"), authorize(&h, &usual.clone().parameter(name, value)));
    }
    // Two faults: the one that forbids a redirect counts.
    let twice_scope = changed("redirect_uri", Some("https://evil.example/cb")).parameter("scope", "a");
    page("scope twice and another redirect URI", authorize(&h, &twice_scope));
    let twice_scope = changed("client_id", Some("nobody")).parameter("scope", "a");
    page("scope twice and another client", authorize(&h, &twice_scope));
}

#[test]
fn ae_04_an_empty_value_counts_as_absent() {
    let h = Harness::new();
    let location = h.decide(&changed("state", Some("")), ConsentDecision::Deny);
    assert_eq!(Redirect::read(&location, REDIRECT_URI).get("state"), None);
    redirected("response_type", authorize(&h, &changed("response_type", Some(""))), "invalid_request");
    redirected("code_challenge", authorize(&h, &changed("code_challenge", Some(""))), "invalid_request");
    redirected("method", authorize(&h, &changed("code_challenge_method", Some(""))), "invalid_request");
    page("client_id", authorize(&h, &changed("client_id", Some(""))));
    let default_uri = accepted("redirect_uri", authorize(&h, &changed("redirect_uri", Some(""))));
    assert_eq!(default_uri.redirect_uri(), REDIRECT_URI);
    let default_scope = accepted("scope", authorize(&h, &changed("scope", Some(""))));
    assert_eq!(default_scope.scope().as_str(), "a b");
}

#[test]
fn ae_05_the_response_type_is_required_and_known() {
    let h = Harness::new();
    for (response_type, error) in [
        (None, "invalid_request"),
        (Some(""), "invalid_request"),
        (Some("nope"), "unsupported_response_type"),
        (Some("Code"), "unsupported_response_type"),
        (Some("none"), "unsupported_response_type"),
        (Some("code code"), "unsupported_response_type"),
    ] {
        let outcome = authorize(&h, &changed("response_type", response_type));
        let redirect = redirected(&format!("{response_type:?}"), outcome, error);
        assert_eq!(redirect.get("state"), Some("xyz"), "{response_type:?}");
    }
}

#[test]
fn ae_06_a_flow_that_the_client_may_not_use_is_unauthorized() {
    let without_code = app().without_grant_types().grant_type(GrantTypeName::CLIENT_CREDENTIALS);
    let h = Setup::default().clients([without_code]).build();
    let redirect =
        redirected("no code flow", authorize(&h, &authorization_request("app", "a")), "unauthorized_client");
    assert_eq!(redirect.get("state"), Some("xyz"));
    // A response type that is not known comes first.
    redirected("token", authorize(&h, &changed("response_type", Some("token"))), "unsupported_response_type");
}

#[test]
fn ae_07_the_order_of_a_composite_response_type_means_nothing() {
    let h = Harness::new();
    for (one, other) in [
        ("code token", "token code"),
        ("code id_token", "id_token code"),
        ("id_token token", "token id_token"),
    ] {
        let [one, other] = [one, other].map(|name| {
            redirected(
                name,
                authorize(&h, &changed("response_type", Some(name))),
                "unsupported_response_type",
            )
        });
        assert_eq!(one.parameters, other.parameters);
    }
}

#[test]
fn ae_08_a_client_that_is_not_known_is_never_redirected_to() {
    let h = Setup::default().clients([app(), confidential("off").enabled(false)]).build();
    for client_id in [None, Some(""), Some("nobody"), Some("APP"), Some("app "), Some("a\u{0}"), Some("off")]
    {
        page(&format!("{client_id:?}"), authorize(&h, &changed("client_id", client_id)));
        let id = client_id.unwrap_or_default();
        page(&format!("{client_id:?} without URI"), authorize(&h, &bare_authorization_request(id, "a")));
        let elsewhere = changed("client_id", client_id).parameter("nonce", "n").parameter("nonce", "n");
        page(&format!("{client_id:?} with another fault"), authorize(&h, &elsewhere));
    }
    // Neither for the other faults that such a request may have.
    let request = AuthorizationRequest::new().parameter("client_id", "nobody").parameter("scope", "\"");
    page("all is wrong", authorize(&h, &request));
    page("nothing is there", authorize(&h, &AuthorizationRequest::new()));
    accepted("the same with a client", authorize(&h, &changed("client_id", Some("app"))));
}

#[test]
fn ae_09_a_redirect_uri_that_is_not_registered_is_never_redirected_to() {
    let other = confidential("other").without_redirect_uris().redirect_uri("https://other.example/cb");
    let h = Setup::default().clients([app(), other]).build();
    for uri in [
        "https://evil.example/cb",
        "https://other.example/cb",
        "https://app.example/cb/",
        "/cb",
        "cb",
        "//app.example/cb",
        "not a uri",
        "javascript:alert(1)",
        "https://app.example/cb\r\nSet-Cookie: x",
    ] {
        page(uri, authorize(&h, &changed("redirect_uri", Some(uri))));
        // Whatever else is wrong.
        let bad_scope = bare_authorization_request("app", "\"").parameter("redirect_uri", uri);
        page(uri, authorize(&h, &bad_scope));
    }
}

#[test]
fn ae_10_all_other_failures_are_returned_by_redirect() {
    let h = Harness::new();
    let long = "s".repeat(5000);
    for (name, value, error) in [
        ("scope", Some("nope"), "invalid_scope"),
        ("scope", Some("a\"b"), "invalid_scope"),
        ("response_type", None, "invalid_request"),
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_mode", Some("fragment"), "invalid_request"),
        ("response_mode", Some("form_post.jwt"), "invalid_request"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("short"), "invalid_request"),
        ("code_challenge_method", Some("S512"), "invalid_request"),
    ] {
        let case = format!("{name}={value:?}");
        let redirect = redirected(&case, authorize(&h, &changed(name, value)), error);
        assert_eq!(redirect.get("state"), Some("xyz"), "{case}");
        let text = redirect.get("error_description").unwrap();
        let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(text.bytes().all(allowed), "{case}: {text}");
    }
    redirected("a state that is too long", authorize(&h, &changed("state", Some(&long))), "invalid_request");
    assert_eq!(h.grants(), 0);
}

/// The three responses there are: a code, a denial, a request that is refused.
fn responses(h: &Harness, state: Option<&str>) -> [Redirect; 3] {
    let request = changed("state", state);
    let approve = ConsentDecision::Approve(scope("a"));
    let refused =
        redirected("refused", authorize(h, &request.clone().parameter("scope", "x")), "invalid_request");
    let decided = [approve, ConsentDecision::Deny]
        .map(|decision| Redirect::read(&h.decide(&request, decision), REDIRECT_URI));
    let [code, denied] = decided;
    assert!(code.get("code").is_some() && denied.get("error") == Some("access_denied"));
    [code, denied, refused]
}

#[test]
fn ae_11_state_comes_back_as_it_was_sent() {
    let h = Harness::new();
    for state in [
        "s &=+%/é",
        "xyz",
        " ",
        "a+b",
        "a%20b",
        "%",
        "{\"return\":\"/x?y=1&z=2#f\"}",
        "\u{1f511}\u{0}\u{7f}",
        "state=1&code=evil&iss=evil",
        "a;b",
    ] {
        for response in responses(&h, Some(state)) {
            assert_eq!(response.get("state"), Some(state), "{}", response.location);
        }
    }
    for response in responses(&h, None) {
        assert!(!response.location.contains("state"), "{}", response.location);
    }
}

#[test]
fn ae_11_state_survives_the_way_through_the_query() {
    let h = Harness::new();
    let usual = "response_type=code&client_id=app&scope=a+b&redirect_uri=https%3A%2F%2Fapp.example%2Fcb\
                 &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    for (query, state) in [
        ("&state=s+%26%3D%2B%25%2F%C3%A9", Some("s &=+%/é")),
        ("&state=a%20b", Some("a b")),
        ("&state=a=b", Some("a=b")),
        ("&state=", None),
        ("&state", None),
        ("", None),
    ] {
        let query = format!("{usual}{query}");
        let request = AuthorizationRequest::from_query(&query).unwrap();
        let location = h.decide(&request, ConsentDecision::Approve(scope("a")));
        assert_eq!(Redirect::read(&location, REDIRECT_URI).get("state"), state, "{query}");
    }
    // What cannot be read names no client to redirect to.
    for broken in ["&state=%zz", "&state=%C3", "&state=%"] {
        let error = AuthorizationRequest::from_query(&format!("{usual}{broken}")).err().unwrap();
        assert_eq!(error.wire().error, "invalid_request", "{broken}");
    }
}

#[test]
fn ae_12_a_long_state_is_returned_whole_or_refused() {
    let h = Harness::new();
    for length in [384, 1000, 4096] {
        let state: String = ('!'..='~').cycle().take(length).collect();
        for response in responses(&h, Some(&state)) {
            assert_eq!(response.get("state"), Some(state.as_str()), "{length}");
        }
        let with_nonce = changed("state", Some(&state)).parameter("nonce", state.as_str());
        accepted("a long nonce", authorize(&h, &with_nonce));
    }
    for length in [4097, 100_000] {
        let state = "s".repeat(length);
        let outcome = authorize(&h, &changed("state", Some(&state)));
        assert_eq!(redirected("too long", outcome, "invalid_request").get("state"), None, "{length}");
    }
}

#[test]
fn ae_13_the_query_of_a_redirect_uri_is_kept() {
    for uri in
        ["https://app.example/cb?x=1%20y", "https://app.example/cb?x=1+y&z", "com.example.app:/cb?a=%C3%A9"]
    {
        let h = Setup::default().clients([app().redirect_uri(uri)]).build();
        let request = changed("redirect_uri", Some(uri));
        for decision in [ConsentDecision::Approve(scope("a")), ConsentDecision::Deny] {
            // `read` wants the URI as it was registered, and the response after it.
            Redirect::read(&h.decide(&request, decision), uri);
        }
        let refused = authorize(&h, &request.parameter("nonce", "").parameter("response_mode", "x"));
        let Err(AuthorizationRefused::Redirect { response, .. }) = refused else { panic!("{uri}") };
        Redirect::read(response.location(), uri);
    }
}

#[test]
fn ae_14_the_response_is_in_the_query() {
    let h = Harness::new();
    for response in responses(&h, Some("xyz")) {
        assert!(response.location.starts_with("https://app.example/cb?"), "{}", response.location);
        assert!(!response.location.contains('#'), "{}", response.location);
    }
    let query = authorization_request("app", "a").parameter("response_mode", "query");
    assert!(h.approve(&query, "a").len() >= 22);
}

#[test]
fn ae_26_nothing_of_a_request_gets_into_the_response_line() {
    let h = Harness::new();
    for state in ["\r\nSet-Cookie: x=1", "a\tb", "a\nb", "%0d%0a", "x#fragment", "\"><script>"] {
        for response in responses(&h, Some(state)) {
            // `read` refuses what is not a URI character, and all but the known members.
            assert_eq!(response.get("state"), Some(state));
        }
    }
    for scope in ["\r\nSet-Cookie: x", "<script>", "nope\u{e9}"] {
        let redirect = redirected(scope, authorize(&h, &changed("scope", Some(scope))), "invalid_scope");
        let text = redirect.get("error_description").unwrap();
        assert!(!text.contains("Cookie") && !text.contains("script") && !text.contains("nope"), "{text}");
    }
}

#[test]
fn ae_28_no_token_is_given_at_the_authorization_endpoint() {
    let h = Harness::new();
    for response_type in ["token", "id_token", "id_token token", "code token", "code id_token token"] {
        let outcome = authorize(&h, &changed("response_type", Some(response_type)));
        let redirect = redirected(response_type, outcome, "unsupported_response_type");
        assert!(!redirect.location.contains("token="), "{}", redirect.location);
    }
    let location = h.decide(&authorization_request("app", "a"), ConsentDecision::Approve(scope("a")));
    assert!(!location.contains("token"), "{location}");
    assert!(!h.is_active(&query_value(&location, "code").unwrap()));
}

#[test]
fn iss_01_iss_02_each_response_names_the_issuer() {
    let h = Harness::new();
    assert_eq!(h.server.issuer(), ISSUER);
    for response in responses(&h, Some("xyz")) {
        assert_eq!(response.get("iss"), Some(ISSUER));
    }
    // As it was given, with nothing added.
    for issuer in ["https://as.example/", "https://as.example/t/1", "https://as.example:8443/%7Et"] {
        let clients = MemoryClientStore::from_iter([spa().build().unwrap()]);
        let builder = AuthorizationServer::builder(issuer).clients(clients);
        let server = builder.tokens(MemoryTokenStore::new()).build().unwrap();
        let refused = block_on(server.authorize(&authorization_request("spa", "nope"), SESSION));
        let Err(AuthorizationRefused::Redirect { response, .. }) = refused else { panic!("{issuer}") };
        assert_eq!(query_value(response.location(), "iss").as_deref(), Some(issuer));
    }
}

#[test]
fn a_request_of_a_public_client_is_held_to_the_same_rules() {
    let native = Client::public("native")
        .grant_type(GrantTypeName::AUTHORIZATION_CODE)
        .redirect_uri("com.example.app:/cb")
        .scopes("a")
        .default_scopes("a");
    let h = Setup::default().clients([native]).build();
    let request = changed("client_id", Some("native"));
    page("another redirect URI", authorize(&h, &request));
    let request = bare_authorization_request("native", "x").parameter("redirect_uri", "com.example.app:/cb");
    let Err(AuthorizationRefused::Redirect { response, .. }) = authorize(&h, &request) else { panic!() };
    Redirect::read(response.location(), "com.example.app:/cb");
}
