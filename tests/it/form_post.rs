//! Authorization responses that the browser posts, and how all of them are sent.

use grantor::http::Reply;
use grantor::testing::block_on;
use grantor::{
    AuthorizationRefused, AuthorizationRequest, AuthorizationResponse, ConsentDecision, ResponseMode,
};

use crate::support::*;

fn request(state: &str) -> AuthorizationRequest<'_> {
    AuthorizationRequest::new()
        .parameter("response_type", "code")
        .parameter("client_id", "app")
        .parameter("scope", "a")
        .parameter("state", state)
        .parameter("response_mode", "form_post")
        .parameter("redirect_uri", REDIRECT_URI)
        .parameter(
            "code_challenge",
            grantor::CodeVerifier::new(VERIFIER).unwrap().challenge().as_str().to_owned(),
        )
        .parameter("code_challenge_method", "S256")
}

fn decide(server: &Harness, state: &str, decision: ConsentDecision) -> AuthorizationResponse {
    let consent = block_on(server.server.authorize(&request(state), SESSION)).unwrap();
    block_on(server.server.decide(consent.ticket(), SESSION, &alice(), START, decision)).unwrap()
}

fn field<'a>(response: &'a AuthorizationResponse, name: &str) -> Option<&'a str> {
    response.form().find(|(own, _)| *own == name).map(|(_, value)| value)
}

#[test]
fn a_code_is_posted_where_the_request_asks_for_it() {
    let server = Harness::new();
    let response = decide(&server, "s &=+\"<é", ConsentDecision::Approve(scope("a")));
    assert_eq!((response.mode(), response.location()), (ResponseMode::FormPost, REDIRECT_URI));
    assert_eq!(field(&response, "state"), Some("s &=+\"<é"));
    assert_eq!(field(&response, "iss"), Some("https://as.example"));
    server.token(&exchange_form(field(&response, "code").unwrap())).ok();
    assert!(!format!("{response:?}").contains(field(&response, "code").unwrap()));
}

#[test]
fn a_refusal_is_posted_too() {
    let server = Harness::new();
    let denied = decide(&server, "x", ConsentDecision::Deny);
    assert_eq!((field(&denied, "error"), field(&denied, "state")), (Some("access_denied"), Some("x")));
    let refused =
        block_on(server.server.authorize(&request("x").parameter("scope", "b"), SESSION)).unwrap_err();
    let AuthorizationRefused::Redirect { response, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(response.mode(), ResponseMode::FormPost);
    assert_eq!(field(&response, "error"), Some("invalid_request"));
}

#[test]
fn an_unknown_mode_is_refused_by_redirect() {
    let server = Harness::new();
    for mode in ["fragment", "jwt", "FORM_POST"] {
        let request = authorization_request("app", "a").parameter("response_mode", mode);
        let refused = block_on(server.server.authorize(&request, SESSION)).unwrap_err();
        let AuthorizationRefused::Redirect { response, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(response.mode(), ResponseMode::Query);
        assert_eq!(query_value(response.location(), "error").as_deref(), Some("invalid_request"));
    }
}

#[test]
fn ae_25_the_page_that_posts_escapes_all_that_comes_from_the_client() {
    let server = Harness::new();
    let state = "\"><script>alert(1)</script>'&\r\n";
    let response = decide(&server, state, ConsentDecision::Approve(scope("a")));
    let reply = Answer::read(&Reply::from(&response));
    assert_eq!(reply.status, 200);
    assert!(!reply.body.contains("alert(1)</script>"), "{}", reply.body);
    let escaped = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;&amp;&#13;&#10;";
    assert!(reply.body.contains(escaped), "{}", reply.body);
    assert!(reply.body.contains("action=\"https://app.example/cb\""));
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn ae_21_and_24_a_redirect_is_a_303_that_is_not_kept() {
    let server = Harness::new();
    let request = authorization_request("app", "a");
    let consent = block_on(server.server.authorize(&request, SESSION)).unwrap();
    let decision = ConsentDecision::Approve(scope("a"));
    let response =
        block_on(server.server.decide(consent.ticket(), SESSION, &alice(), START, decision)).unwrap();
    let reply = Answer::read(&Reply::from(&response));
    assert_eq!((reply.status, reply.header("location")), (303, Some(response.location())));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(reply.body, "");
}
