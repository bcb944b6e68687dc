//! Pages of other origins, and connections that end at a proxy.

use std::net::IpAddr;

use grantor::testing::block_on;

use crate::support::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";
const PAGE: &str = "https://page.example";
const OTHER: &str = "https://other.example";

fn request() -> Http {
    Http::form(CLIENT_CREDENTIALS).basic("app", SECRET)
}

fn preflight(origin: &str) -> Http {
    Http::form("")
        .without_header("content-type")
        .method("OPTIONS")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization")
}

fn with_origins(origins: &[&str]) -> Harness {
    Harness::new().route(|builder| builder.cors_origins(origins.iter().copied()))
}

/// The names and values of all headers that let a page in.
fn cors_headers(answer: &Answer) -> Vec<(&str, &str)> {
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    headers.filter(|(name, _)| name.starts_with("access-control-")).collect()
}

#[test]
fn without_origins_no_page_is_let_in() {
    for server in [Harness::new(), with_origins(&[])] {
        for origin in [PAGE, "null", "*", "https://as.example"] {
            let answer = server.send(request().header("origin", origin)).ok();
            assert_eq!(cors_headers(&answer), [], "{origin}");
            let answer = server.send(preflight(origin)).refused(405, "invalid_request");
            assert_eq!(cors_headers(&answer), [], "{origin}");
            assert_eq!(answer.header("allow"), Some("POST"));
        }
    }
}

#[test]
fn a_listed_origin_is_let_in_and_named() {
    let server = with_origins(&[PAGE, "http://localhost:3000"]);
    for origin in [PAGE, "http://localhost:3000"] {
        let answer = server.send(request().header("origin", origin)).ok();
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert!(answer.header("access-control-allow-credentials").is_none(), "cookies are no credentials");

        let answer = server.send(preflight(origin));
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
        let headers = answer.header("access-control-allow-headers").unwrap().to_lowercase();
        assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
        assert!(answer.header("access-control-max-age").unwrap().parse::<u32>().unwrap() > 0);
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert!(answer.header("access-control-allow-credentials").is_none());
    }
}

#[test]
fn an_origin_that_is_not_listed_is_not_let_in() {
    let server = with_origins(&[PAGE]);
    for origin in [
        OTHER,
        "null",
        "*",
        "",
        "http://page.example",
        "https://page.example:8443",
        "https://page.example/",
        "https://page.example.evil.example",
        "https://sub.page.example",
        "HTTPS://page.example",
        "https://PAGE.example",
        "https://page.example, https://page.example",
        " https://page.example",
    ] {
        let answer = server.send(request().header("origin", origin)).ok();
        assert_eq!(cors_headers(&answer), [], "{origin:?}");
        assert_eq!(answer.header("vary"), Some("Origin"), "a cache must not give it to the page: {origin:?}");
        let answer = server.send(preflight(origin)).refused(405, "invalid_request");
        assert_eq!(cors_headers(&answer), [], "{origin:?}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{origin:?}");
    }
    let none = server.send(request()).ok();
    assert_eq!((cors_headers(&none), none.header("vary")), (vec![], Some("Origin")));
    let two = server.send(request().header("origin", PAGE).header("origin", PAGE)).ok();
    assert_eq!(cors_headers(&two), [], "no browser sends two");
    let raw = server.send(request().header("origin", b"\xff".to_vec())).ok();
    assert_eq!(cors_headers(&raw), []);
}

#[test]
fn any_origin_means_any_but_never_with_credentials() {
    let server = with_origins(&["*"]);
    for origin in [PAGE, OTHER, "null"] {
        let answer = server.send(request().header("origin", origin)).ok();
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{origin}");
        assert!(answer.header("access-control-allow-credentials").is_none());
        let answer = server.send(preflight(origin));
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (204, Some("*")),
            "{origin}"
        );
    }
    assert_eq!(cors_headers(&server.send(request()).ok()), [], "no page asked");
}

#[test]
fn a_page_can_read_errors_too() {
    let server = with_origins(&[PAGE]);
    let mut insecure = request();
    insecure.secure = false;
    for (http, status) in [
        (Http::form(""), 400),
        (insecure, 400),
        (Http::form(CLIENT_CREDENTIALS), 401),
        (request().method("PUT"), 405),
        (Http::form("x".repeat(1 << 20)), 413),
    ] {
        let answer = server.send(http.header("origin", PAGE));
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{answer:?}");
        let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
        assert!(exposed.contains("www-authenticate") && exposed.contains("retry-after"), "{exposed}");
    }
    let http = Http::form("").header("origin", PAGE);
    let answer = Answer::read(&server.router.body_too_large(&http.request())).refused(413, "invalid_request");
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
}

#[test]
fn a_preflight_is_no_token_request() {
    let server = with_origins(&[PAGE]);
    server.events.take();
    let mut http = preflight(PAGE).basic("app", SECRET).query(CLIENT_CREDENTIALS);
    http.body = CLIENT_CREDENTIALS.into();
    assert_eq!(server.send(http).status, 204);
    assert_eq!((server.grants(), server.events.take().len()), (0, 0));
    // OPTIONS without what makes it a preflight is a method like any other.
    let http = preflight(PAGE).without_header("access-control-request-method");
    server.send(http).refused(405, "invalid_request");
    let posted = request().header("origin", PAGE).header("access-control-request-method", "POST");
    server.send(posted).ok();
}

#[test]
fn a_preflight_names_get_where_it_is_allowed() {
    let server = Harness::new().route(|builder| builder.cors_origins([PAGE]).dangerous().allow_get());
    assert_eq!(server.send(preflight(PAGE)).header("access-control-allow-methods"), Some("GET, POST"));
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A plain or an encrypted connection from `peer`, with these `X-Forwarded-Proto` headers.
fn from_peer(peer: Option<&str>, secure: bool, forwarded: &[&str]) -> Http {
    let mut http = request();
    http.peer = peer.map(ip);
    http.secure = secure;
    forwarded.iter().fold(http, |http, value| http.header("x-forwarded-proto", *value))
}

const PROXY: Option<&str> = Some("10.0.0.1");

fn behind_proxies() -> Harness {
    let proxies = ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.3"].map(ip);
    Harness::new().route(|builder| builder.trusted_proxies(proxies))
}

#[test]
fn seed_t11_https_is_required_unless_it_is_switched_off() {
    let server = Harness::new();
    server.events.take();
    let answer = server.send(from_peer(None, false, &[])).refused(400, "invalid_request");
    assert_eq!(answer.text("error_description"), Some("HTTPS is required."));
    assert!(server.events.saw("Insecure"));
    assert_eq!(server.grants(), 0);
    // Nothing is checked before: neither the form nor the credentials.
    let mut wrong = Http::form("%").basic("app", "wrong");
    wrong.secure = false;
    server.send(wrong).refused(400, "invalid_request");
    assert!(server.events.saw("Insecure"));
    server.send(from_peer(None, true, &[])).ok();

    let server = server.route(|builder| builder.require_https(false));
    server.send(from_peer(None, false, &[])).ok();
    server.send(from_peer(None, false, &["http"])).ok();
}

#[test]
fn a_trusted_proxy_is_believed_and_nobody_else() {
    let server = behind_proxies();
    for (http, secure, case) in [
        (from_peer(PROXY, false, &["https"]), true, "the proxy took a TLS connection"),
        (from_peer(PROXY, false, &["HTTPS"]), true, "schemes have no case"),
        (from_peer(PROXY, false, &[" https "]), true, "with space around"),
        (from_peer(PROXY, true, &["http"]), false, "the proxy took a plain connection"),
        (from_peer(PROXY, true, &[]), true, "the proxy says nothing"),
        (from_peer(PROXY, false, &[]), false, "the proxy says nothing, plain"),
        (from_peer(PROXY, true, &[""]), false, "the proxy says nonsense"),
        (from_peer(PROXY, false, &["httpsx"]), false, "only https is https"),
        (from_peer(PROXY, false, &["wss"]), false, "only https is https"),
        (from_peer(Some("2001:db8::1"), false, &["https"]), true, "IPv6"),
        (from_peer(Some("2001:db8:0:0::1"), false, &["https"]), true, "IPv6, written otherwise"),
        (from_peer(Some("::ffff:10.0.0.1"), false, &["https"]), true, "IPv4 on an IPv6 socket"),
        (from_peer(Some("10.0.0.3"), false, &["https"]), true, "listed as IPv4 in IPv6"),
        (from_peer(Some("::ffff:10.0.0.3"), false, &["https"]), true, "listed as IPv4 in IPv6"),
        (from_peer(Some("10.0.0.2"), false, &["https"]), false, "another peer"),
        (from_peer(Some("::ffff:10.0.0.2"), false, &["https"]), false, "another peer, mapped"),
        (from_peer(Some("2001:db8::2"), false, &["https"]), false, "another peer, IPv6"),
        (from_peer(None, false, &["https"]), false, "an unknown peer"),
        (from_peer(Some("10.0.0.2"), true, &["http"]), true, "another peer, and its TLS is its own"),
    ] {
        let answer = server.send(http);
        assert_eq!(answer.status, if secure { 200 } else { 400 }, "{case}: {answer:?}");
        assert!(secure || server.events.saw("Insecure"), "{case}");
    }
}

#[test]
fn of_a_list_the_last_counts_for_the_proxy_itself_wrote_it() {
    let server = behind_proxies();
    for (forwarded, secure) in [
        (&["http, https"][..], true),
        (&["https, http"], false),
        (&["https,http,https"], true),
        (&["https", "http"], false),
        (&["http", "https"], true),
        (&["https, http", "http, https"], true),
        (&["https,"], false),
        (&["https, "], false),
    ] {
        let answer = server.send(from_peer(PROXY, false, forwarded));
        assert_eq!(answer.status, if secure { 200 } else { 400 }, "{forwarded:?}: {answer:?}");
    }
}

#[test]
fn without_trusted_proxies_nobody_is_believed() {
    let server = Harness::new();
    for peer in [PROXY, Some("127.0.0.1"), Some("::1"), None] {
        server.send(from_peer(peer, false, &["https"])).refused(400, "invalid_request");
        server.send(from_peer(peer, true, &["http"])).ok();
    }
    // Other headers that proxies send change nothing.
    let server = behind_proxies();
    for (name, value) in [
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "proto=https"),
        ("x-forwarded-ssl", "on"),
        ("x-forwarded-scheme", "https"),
        ("front-end-https", "on"),
        ("x-forwarded_proto", "https"),
    ] {
        server
            .send(from_peer(Some("10.0.0.2"), false, &[]).header(name, value))
            .refused(400, "invalid_request");
        server.send(from_peer(PROXY, false, &[]).header(name, value)).refused(400, "invalid_request");
    }
}

#[test]
fn the_answer_of_a_proxied_page_is_whole() {
    let server = Harness::new()
        .route(|builder| builder.cors_origins([PAGE]).trusted_proxies([ip("10.0.0.1")]).base_path("/a"));
    let http = from_peer(PROXY, false, &["https"]).path("/a/token").header("origin", PAGE);
    let answer = Answer::read(&block_on(server.router.handle(&http.request())).unwrap()).ok();
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}
