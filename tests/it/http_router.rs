//! What the router takes and leaves: issuers, paths, and `GET` where the host allowed it.

use std::sync::{Arc, Mutex};

use grantor::event::Event;
use grantor::http::Router;
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::{AuthorizationServer, Error, InvalidServer};

use crate::support::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";

#[test]
fn gen_18_an_http_issuer_is_for_loopback_only() {
    let build = |issuer: &str| {
        let tokens = MemoryTokenStore::new();
        AuthorizationServer::builder(issuer).clients(MemoryClientStore::new()).tokens(tokens).build()
    };
    for issuer in [
        "https://as.example",
        "https://as.example/t/1",
        "http://127.0.0.1:1",
        "http://[::1]:8080/x",
        "http://localhost",
    ] {
        assert_eq!(build(issuer).unwrap().issuer(), issuer);
    }
    for issuer in [
        "http://as.example",
        "http://127.0.0.1.as.example",
        "http://localhost.as.example",
        "http://localhost@as.example",
        "http://127.0.0.1@as.example",
        "HTTP://as.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::]",
        "http://127.0.0.2.nip.io",
        "http:/127.0.0.1",
        "ws://127.0.0.1",
        "//as.example",
        "as.example",
        "",
        "https://",
        "https:///x",
        "https://as.example?x=1",
        "https://as.example#x",
        "https://as.example/\n",
        "https://as.example/\"",
        "https://\u{e9}.example",
        "https://u:p@as.example",
        "https://as.example:99999",
    ] {
        assert!(matches!(build(issuer), Err(InvalidServer::Issuer(_))), "{issuer}");
    }
}

#[test]
fn gen_18_an_issuer_has_one_host_and_one_port() {
    for issuer in [
        "https://as.example:1:2",
        "https://[::1",
        "https://::1",
        "https://as]example",
        "https://as.example:1:",
    ] {
        let builder = AuthorizationServer::builder(issuer).clients(MemoryClientStore::new());
        let built = builder.tokens(MemoryTokenStore::new()).build();
        assert!(matches!(built, Err(InvalidServer::Issuer(_))), "{issuer}: {built:?}");
    }
}

#[test]
fn seed_t12_get_works_only_where_the_host_allowed_it() {
    let server = Harness::new();
    server.events.take();
    let server = server.route(|builder| builder.dangerous().allow_get());
    assert!(server.events.saw("SecurityWeakened { setting: \"require_post\" }"));
    let get = |query: &str| Http::form("").without_header("content-type").method("GET").query(query);

    server.send(get(CLIENT_CREDENTIALS).basic("app", SECRET)).ok();
    let login = server.send(get(&exchange_form(&server.code())).basic("app", SECRET)).ok();
    server.send(get(&refresh_form(login.refresh_token())).basic("app", SECRET)).ok();
    let code = server.code_for("spa", "a");
    server.send(get(&format!("{}&client_id=spa", exchange_form(&code)))).ok();

    // A body is not read.
    let mut with_body = get("").basic("app", SECRET);
    with_body.body = CLIENT_CREDENTIALS.into();
    server.send(with_body).refused(400, "invalid_request");
    let mut none = get("").basic("app", SECRET);
    none.query = None;
    server.send(none).refused(400, "invalid_request");
    // The form is read as strictly.
    server
        .send(get("grant_type=client_credentials&grant_type=x").basic("app", SECRET))
        .refused(400, "invalid_request");
    server
        .send(get("grant_type=client_credentials&x=%ZZ").basic("app", SECRET))
        .refused(400, "invalid_request");
    let huge = format!("{CLIENT_CREDENTIALS}&code={}", "x".repeat(1 << 20));
    server.send(get(&huge).basic("app", SECRET)).refused(400, "invalid_request");
    let many = format!("{CLIENT_CREDENTIALS}{}", "&x".repeat(100_000));
    server.send(get(&many).basic("app", SECRET)).refused(400, "invalid_request");
    // POST is as it was, and nothing else is let in.
    server.token(CLIENT_CREDENTIALS).ok();
    server
        .send(Http::form("").query(CLIENT_CREDENTIALS).basic("app", SECRET))
        .refused(400, "invalid_request");
    for method in ["HEAD", "PUT", "OPTIONS", "get", ""] {
        let http = get(CLIENT_CREDENTIALS).method(method).basic("app", SECRET);
        let answer = server.send(http).refused(405, "invalid_request");
        assert_eq!(answer.header("allow"), Some("GET, POST"), "{method}");
    }
}

#[test]
fn seed_t12_a_secret_in_the_uri_is_refused_even_if_it_is_right() {
    let server = Harness::new().route(|builder| builder.dangerous().allow_get());
    let get = |query: &str| Http::form("").method("GET").query(query);
    let secret = format!("{CLIENT_CREDENTIALS}&client_id=app&client_secret={SECRET}");
    server.send(get(&secret)).refused(400, "invalid_request");
    server.send(get(&secret).basic("app", SECRET)).refused(400, "invalid_request");
    server.send(get(&secret.replace("client_secret", "client%5Fsecret"))).refused(400, "invalid_request");
    let hidden = format!("{CLIENT_CREDENTIALS}&client_id=app&client_secret=&client_secret={SECRET}");
    server.send(get(&hidden)).refused(400, "invalid_request");
    assert_eq!(server.grants(), 0);
}

#[test]
fn a_path_that_is_none_of_the_servers_is_left_to_the_host() {
    let server = Harness::new();
    for path in [
        "",
        "/",
        "/oauth",
        "/oauth/",
        "/oauth/token/",
        "/oauth/tokens",
        "/OAUTH/token",
        "//oauth/token",
        "/token",
        "/oauth/%74oken",
        "/x/oauth/token",
        "/invoke/pub.oauth/",
        "/invoke/pub.oauth/getToken/",
    ] {
        let http = Http::form(CLIENT_CREDENTIALS).path(path);
        assert!(grantor::testing::block_on(server.router.handle(&http.request())).is_none(), "{path}");
    }
    assert!(server.events.take().is_empty());
    for (base, path) in [("", "/token"), ("/a/b", "/a/b/token"), ("/oauth2.0", "/oauth2.0/token")] {
        let server = Harness::new().route(|builder| builder.base_path(base));
        server.send(Http::form(CLIENT_CREDENTIALS).path(path).basic("app", SECRET)).ok();
    }
}

#[test]
fn a_router_that_makes_no_sense_is_not_built() {
    let server = Harness::new().server;
    let builder = || Router::builder(server.clone());
    let text = |count: usize| "x".repeat(count);
    for (builder, setting) in [
        (builder().base_path("oauth"), "base_path"),
        (builder().base_path("/oauth/"), "base_path"),
        (builder().base_path("/"), "base_path"),
        (builder().base_path("/a b"), "base_path"),
        (builder().base_path("/a?b"), "base_path"),
        (builder().base_path("/a%20b"), "base_path"),
        (builder().realm(""), "realm"),
        (builder().realm("a\"b"), "realm"),
        (builder().realm("a\\b"), "realm"),
        (builder().realm("a\r\nset-cookie: x"), "realm"),
        (builder().realm("\u{e9}"), "realm"),
        (builder().body_limit(0), "body_limit"),
        (builder().cors_origins(["https://a.example/"]), "cors_origins"),
        (builder().cors_origins(["https://a.example", "*"]), "cors_origins"),
        (builder().cors_origins(["null"]), "cors_origins"),
        (builder().cors_origins(["https://A.example"]), "cors_origins"),
        (builder().cors_origins(["https://"]), "cors_origins"),
        (builder().cors_origins(["https://a.example\r\nx: y".to_owned()]), "cors_origins"),
        (builder().cors_origins([format!("https://{}/x", text(9))]), "cors_origins"),
    ] {
        assert_eq!(builder.build().expect_err(setting).setting(), setting);
    }
}

#[test]
fn what_is_refused_at_the_door_is_reported_all_the_same() {
    let refused = Arc::new(Mutex::new(0));
    let setup = Setup::default();
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let registry = Arc::clone(&clients);
    let count = Arc::clone(&refused);
    let server = setup.build_with(clients, MemoryTokenStore::new(), registry, |builder| {
        builder.events(move |event: &Event<'_>| {
            if matches!(event, Event::TokenRefused { client: None, error: Error::InvalidRequest { .. }, .. })
            {
                *count.lock().unwrap() += 1;
            }
        })
    });
    let mut insecure = Http::form(CLIENT_CREDENTIALS);
    insecure.secure = false;
    for (number, http) in [
        Http::form("").method("GET"),
        insecure,
        Http::form("x".repeat(1 << 20)),
        Http::form("").without_header("content-type"),
        Http::form("x=%"),
        Http::form("").header("authorization", "x").header("authorization", "y"),
        Http::form("scope=a&scope=b"),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(matches!(server.send(http).status, 400 | 405 | 413));
        assert_eq!(*refused.lock().unwrap(), number + 1, "each is reported once");
    }
}
