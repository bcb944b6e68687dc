//! The server's metadata (RFC 8414).

use grantor::http::Router;
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::block_on;
use grantor::{AuthorizationServer, ScopeDefinition, Settings};
use serde_json::{Value, json};

use crate::support::*;

const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";

fn get(path: &str) -> Http {
    Http::form("").without_header("content-type").method("GET").path(path)
}

fn router(issuer: &str) -> Router {
    let server = AuthorizationServer::builder(issuer)
        .clients(MemoryClientStore::new())
        .tokens(MemoryTokenStore::new())
        .build()
        .unwrap();
    Router::builder(server).build().unwrap()
}

fn at(router: &Router, path: &str) -> Option<Answer> {
    let http = get(path);
    block_on(router.handle(&http.request())).map(|reply| Answer::read(&reply))
}

#[test]
fn md_01_an_issuer_has_no_query_and_no_fragment() {
    for issuer in
        ["https://as.example?x", "https://as.example#x", "https://as.example/?", "http://as.example"]
    {
        let builder = AuthorizationServer::builder(issuer).clients(MemoryClientStore::new());
        assert!(builder.tokens(MemoryTokenStore::new()).build().is_err(), "{issuer}");
    }
}

#[test]
fn md_02_the_issuer_is_kept_to_the_code_point() {
    for issuer in
        ["https://as.example", "https://as.example/", "https://AS.example:443", "https://as.example/t/"]
    {
        let path = issuer.strip_prefix("https://").unwrap().split_once('/').map_or("", |(_, path)| path);
        let path = path.trim_end_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        let answer = at(&router(issuer), &format!("{WELL_KNOWN}{slash}{path}")).unwrap();
        assert_eq!(answer.text("issuer"), Some(issuer));
    }
}

#[test]
fn md_03_the_well_known_path_is_inserted_and_appended() {
    let router = router("https://as.example/t1");
    for path in [format!("{WELL_KNOWN}/t1"), format!("/t1{WELL_KNOWN}")] {
        let answer = at(&router, &path).unwrap();
        assert_eq!((answer.status, answer.text("issuer")), (200, Some("https://as.example/t1")));
        assert_eq!(answer.text("token_endpoint"), Some("https://as.example/oauth/token"));
    }
    for path in [
        WELL_KNOWN,
        "/.well-known/oauth-authorization-server/t2",
        "/.well-known/oauth-authorization-server/t1/",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/t1",
        "/t1/.well-known/openid-configuration",
    ] {
        assert!(at(&router, path).is_none(), "{path}");
    }
}

fn walk(value: &Value) {
    assert!(!value.is_null());
    if let Some(list) = value.as_array() {
        assert!(!list.is_empty());
        list.iter().for_each(walk);
    }
    value.as_object().into_iter().flat_map(|members| members.values()).for_each(walk);
}

#[test]
fn md_04_it_is_json_without_empty_lists() {
    let server = Harness::new();
    let answer = server.send(get(WELL_KNOWN));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    walk(&answer.json);
    assert!(answer.json.get("scopes_supported").is_none());
    let described = AuthorizationServer::builder("https://as.example")
        .clients(MemoryClientStore::new())
        .tokens(MemoryTokenStore::new())
        .scope(ScopeDefinition::new("orders.read".parse().unwrap(), "See your orders"))
        .build()
        .unwrap();
    let answer = at(&Router::builder(described).build().unwrap(), WELL_KNOWN).unwrap();
    assert_eq!(answer.json["scopes_supported"], json!(["orders.read"]));
    let head = server.send(get(WELL_KNOWN).method("HEAD"));
    assert_eq!(head.status, 200);
    for method in ["POST", "PUT", "DELETE"] {
        let answer = server.send(get(WELL_KNOWN).method(method));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
        assert_eq!(answer.error(), Some("invalid_request"));
    }
    server.send(Http { secure: false, ..get(WELL_KNOWN) }).refused(400, "invalid_request");
}

#[test]
fn md_05_the_endpoints_that_the_grants_need_are_there() {
    let metadata = Harness::new().send(get(WELL_KNOWN)).json;
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    assert_eq!(metadata["authorization_endpoint"], json!("https://as.example/oauth/authorize"));
    assert_eq!(metadata["token_endpoint"], json!("https://as.example/oauth/token"));
}

#[test]
fn md_06_what_has_a_default_is_stated() {
    let server = Harness::new();
    let metadata = server.send(get(WELL_KNOWN)).json;
    let names: Vec<_> = server.server.grant_types().map(grantor::GrantTypeName::as_str).collect();
    assert_eq!(metadata["grant_types_supported"], json!(names));
    assert!(names.contains(&"authorization_code") && !names.contains(&"implicit"));
    let methods = json!(["client_secret_basic", "client_secret_post", "none"]);
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], methods);
    assert_eq!(metadata["revocation_endpoint_auth_methods_supported"], methods);
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    assert_eq!(metadata["introspection_endpoint_auth_methods_supported"], methods);
    assert!(!metadata["response_modes_supported"].as_array().unwrap().contains(&json!("fragment")));
}

#[test]
fn md_09_only_what_is_on_is_listed() {
    let metadata = Harness::new().send(get(WELL_KNOWN)).json;
    assert_eq!(metadata["introspection_endpoint"], json!("https://as.example/oauth/introspect"));
    assert_eq!(metadata["revocation_endpoint"], json!("https://as.example/oauth/revoke"));
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    for absent in [
        "registration_endpoint",
        "device_authorization_endpoint",
        "pushed_authorization_request_endpoint",
        "jwks_uri",
    ] {
        assert!(metadata.get(absent).is_none(), "{absent}");
    }
    let plain = Setup::default().settings(Settings::default().dangerous().allow_plain_pkce()).build();
    let metadata = plain.send(get(WELL_KNOWN)).json;
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256", "plain"]));
}

#[test]
fn md_09_the_endpoints_are_where_the_router_has_them() {
    let server =
        Harness::new().route(|builder| builder.base_path("/id").public_url("https://id.example/auth"));
    let metadata = server.send(get(WELL_KNOWN)).json;
    assert_eq!(metadata["issuer"], json!("https://as.example"));
    assert_eq!(metadata["token_endpoint"], json!("https://id.example/auth/id/token"));
    for wrong in ["id.example", "https://", "https://id.example/", "https://id.example/ü", "ftp://id.example"]
    {
        let error = Router::builder(server.server.clone()).public_url(wrong).build().unwrap_err();
        assert_eq!(error.setting(), "public_url", "{wrong}");
    }
}

#[test]
fn md_10_any_page_may_read_it() {
    let server = Harness::new();
    let answer = server.send(get(WELL_KNOWN).header("origin", "https://anywhere.example"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let preflight = get(WELL_KNOWN)
        .method("OPTIONS")
        .header("origin", "https://anywhere.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "mcp-protocol-version");
    let answer = server.send(preflight);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("*")));
    let allowed: Vec<_> =
        answer.headers.iter().filter(|(name, _)| name == "access-control-allow-headers").collect();
    assert_eq!(allowed.len(), 1);
    assert!(allowed[0].1.contains('*') || allowed[0].1.contains("MCP-Protocol-Version"));
}

#[test]
fn iss_03_the_iss_parameter_is_announced() {
    let metadata = Harness::new().send(get(WELL_KNOWN)).json;
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], json!(true));
}

#[test]
fn iss_02_it_is_the_issuer_of_the_responses() {
    let server = Harness::new();
    let issuer = server.send(get(WELL_KNOWN)).text("issuer").unwrap().to_owned();
    let approved =
        server.decide(&authorization_request("app", "a"), grantor::ConsentDecision::Approve(scope("a")));
    let denied = server.decide(&authorization_request("app", "a"), grantor::ConsentDecision::Deny);
    for location in [approved, denied] {
        assert_eq!(query_value(&location, "iss"), Some(issuer.clone()), "{location}");
    }
}

#[test]
fn ae_27_an_endpoint_has_no_fragment() {
    let server = Harness::new();
    for wrong in ["/oauth#x", "/oauth?x", "oauth", "/oauth/"] {
        let error = Router::builder(server.server.clone()).base_path(wrong).build().unwrap_err();
        assert_eq!(error.setting(), "base_path", "{wrong}");
    }
    let error = Router::builder(server.server.clone()).public_url("https://id.example#x").build();
    assert!(error.is_err());
}
