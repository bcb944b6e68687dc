//! Redirect URIs: what can be registered, and which of them a request may name
//! (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §4.1.3).

use grantor::{
    AuthorizationRefused, Client, GrantTypeName, InvalidClient, LoopbackPort, RedirectUriRules, Settings,
};

use crate::authorize::{accepted, authorize, changed, page};
use crate::support::*;

/// A server whose client `app` has registered `uris`.
fn registered(uris: &[&str]) -> Harness {
    registered_under(uris, Settings::default())
}

fn registered_under(uris: &[&str], settings: Settings) -> Harness {
    let client = uris.iter().fold(app().without_redirect_uris(), |app, uri| app.redirect_uri(*uri));
    Setup::default().clients([client]).settings(settings).build()
}

/// The request may name each of `uris`, and the answer goes where it says.
#[track_caller]
fn accepts(h: &Harness, uris: &[&str]) {
    for uri in uris {
        let consent = accepted(uri, authorize(h, &changed("redirect_uri", Some(uri))));
        assert_eq!(consent.redirect_uri(), *uri);
        // By redirect it is told of what else is wrong.
        let request = changed("redirect_uri", Some(uri)).parameter("nonce", "1").parameter("nonce", "2");
        let refused = authorize(h, &request);
        let Err(AuthorizationRefused::Redirect { response, .. }) = refused else { panic!("{uri}") };
        assert!(response.location().starts_with(uri), "{uri}: {}", response.location());
    }
}

/// The request may name none of `uris`, and no answer goes anywhere.
#[track_caller]
fn refuses(h: &Harness, uris: &[&str]) {
    for uri in uris {
        page(uri, authorize(h, &changed("redirect_uri", Some(uri))));
    }
    assert_eq!(h.grants(), 0);
}

#[track_caller]
fn refuses_to_register(uris: &[&str]) {
    for uri in uris {
        let error = app().redirect_uri(*uri).build().expect_err(uri);
        assert_eq!(error.field(), "redirect_uris", "{uri}");
    }
}

#[test]
fn ru_01_only_the_identical_string_matches() {
    let h = registered(&["https://c.example/cb"]);
    accepts(&h, &["https://c.example/cb"]);
    refuses(
        &h,
        &[
            "https://c.example/cb/",
            "https://c.example/CB",
            "https://c.example/cb?x=1",
            "https://c.example/cb?",
            "https://c.example/cb%2F",
            "https://c.example//cb",
            "https://c.example/a/../cb",
            "https://c.example/./cb",
            "HTTPS://c.example/cb",
            "https://C.example/cb",
            "https://c.example:443/cb",
            "https://c.example:8443/cb",
            "https://c.example./cb",
            "https://u@c.example/cb",
            "https://c.example@evil.example/cb",
            "http://c.example/cb",
            " https://c.example/cb",
            "https://c.example/cb ",
            "https://c.example/%63b",
            "https://c.example\\@evil.example/cb",
        ],
    );
}

#[test]
fn ru_02_there_are_no_patterns() {
    refuses_to_register(&[
        "https://*.c.example/cb",
        "https://*/cb",
        "https://c.example:*/cb",
        "com.example.app://*/cb",
    ]);
    let h = registered(&["https://c.example/cb", "https://d.example/*"]);
    refuses(
        &h,
        &[
            "https://c.example/",
            "https://c.example",
            "https://c.example/c",
            "c.example/cb",
            "/cb",
            "https://c.example/cb2",
            "https://c.example/cb/more",
            "https://evil.example/https://c.example/cb",
            "https://d.example/x",
            "https://d.example/",
        ],
    );
    accepts(&h, &["https://d.example/*"]);
}

#[test]
fn ru_03_the_port_of_a_loopback_address_is_free() {
    let h = registered(&["http://127.0.0.1/cb"]);
    accepts(
        &h,
        &[
            "http://127.0.0.1/cb",
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:51004/cb",
            "http://127.0.0.1:65535/cb",
        ],
    );
    refuses(
        &h,
        &[
            "http://127.0.0.1:1/other",
            "http://127.0.0.1:1/cb/",
            "http://127.0.0.1:1/cb?x=1",
            "https://127.0.0.1:1/cb",
            "http://127.0.0.1.evil/cb",
            "http://127.0.0.1.evil:1/cb",
            "http://127.1:1/cb",
            "http://127.0.0.2:1/cb",
            "http://[::1]:7/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:01/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://u@127.0.0.1:1/cb",
            "http://127.0.0.1:1\\@evil.example/cb",
            "HTTP://127.0.0.1:1/cb",
        ],
    );
    let h = registered(&["http://[::1]:8080/cb?x=1"]);
    accepts(&h, &["http://[::1]:7/cb?x=1", "http://[::1]/cb?x=1"]);
    refuses(
        &h,
        &["http://[::1]:7/cb", "http://127.0.0.1:7/cb?x=1", "http://[::1]:7/cb?x=2", "http://[::2]:7/cb?x=1"],
    );
    // Over TLS the port is part of the name.
    let h = registered(&["https://127.0.0.1/cb"]);
    refuses(&h, &["https://127.0.0.1:7/cb"]);
}

#[test]
fn ru_04_the_port_of_localhost_is_free_unless_switched_off() {
    let uri = ["http://localhost:3000/cb"];
    let h = registered(&uri);
    accepts(&h, &["http://localhost:3000/cb", "http://localhost:49152/cb", "http://localhost/cb"]);
    refuses(
        &h,
        &[
            "http://127.0.0.1:49152/cb",
            "http://127.0.0.1:3000/cb",
            "http://[::1]:3000/cb",
            "http://localhost.evil:3000/cb",
            "http://LOCALHOST:3000/cb",
            "https://localhost:3000/cb",
        ],
    );
    let h = registered_under(&uri, Settings::default().loopback_port(LoopbackPort::AnyForIpLiterals));
    accepts(&h, &uri);
    refuses(&h, &["http://localhost:49152/cb", "http://localhost/cb"]);
    let literals = registered_under(
        &["http://127.0.0.1/cb"],
        Settings::default().loopback_port(LoopbackPort::AnyForIpLiterals),
    );
    accepts(&literals, &["http://127.0.0.1:49152/cb"]);
    refuses(&literals, &["http://localhost:49152/cb"]);
    let h =
        registered_under(&["http://127.0.0.1/cb"], Settings::default().loopback_port(LoopbackPort::Exact));
    accepts(&h, &["http://127.0.0.1/cb"]);
    refuses(&h, &["http://127.0.0.1:49152/cb"]);
}

#[test]
fn ru_05_private_schemes_are_reversed_domain_names() {
    let uris = ["com.example.app:/cb", "com.example.app://callback/x?y=1"];
    let h = registered(&uris);
    accepts(&h, &uris);
    refuses(
        &h,
        &["com.example.app:/cb2", "com.example.App:/cb", "com.example.app2:/cb", "com.example.app:cb"],
    );
    let short = ["myapp:/cb", "myapp://cb", "urn:ietf:wg:oauth:2.0:oob"];
    refuses_to_register(&short);
    let any = RedirectUriRules::default().any_private_scheme(true);
    let client = app().without_redirect_uris().redirect_uri_rules(any);
    let client = short.into_iter().fold(client, grantor::ClientBuilder::redirect_uri);
    accepts(&Setup::default().clients([client]).build(), &short);
}

#[test]
fn ru_06_plain_http_is_refused_outside_loopback() {
    let h = registered(&["https://c.example/cb"]);
    let plain = [
        "http://c.example/cb",
        "http://localhost.evil/cb",
        "http://127.0.0.1.evil/cb",
        "http://127.0.0.2/cb",
        "http://0.0.0.0/cb",
        "http://[::2]/cb",
        "http://2130706433/cb",
        "http://192.168.0.1/cb",
    ];
    refuses_to_register(&plain);
    refuses(&h, &plain);
    let loopback = ["http://127.0.0.1/cb", "http://[::1]:80/cb", "http://localhost/cb"];
    accepts(&registered(&loopback), &loopback);
}

#[test]
fn brackets_are_for_ipv6_addresses_alone() {
    refuses_to_register(&[
        "https://a]/cb",
        "https://a]b/cb",
        "https://a]:1/cb",
        "https://a:1]/cb",
        "https://a:1]:2/cb",
        "https://[::1]b/cb",
        "https://[::1/cb",
        "https://::1]/cb",
        "http://127.0.0.1]:1/cb",
        "http://127.0.0.1:1]:2/cb",
        "com.example.app://a]:1/cb",
        "com.example.app://[::1]:1/cb",
    ]);
}

#[test]
fn ru_07_a_redirect_uri_is_absolute_and_has_no_fragment() {
    let h = registered(&["https://c.example/cb"]);
    let bad = [
        "https://c.example/cb#f",
        "https://c.example/cb#",
        "/cb",
        "//c.example/cb",
        "c.example/cb",
        "https:///cb",
        "https:/c.example/cb",
        "https://c.example/c b",
        "https://c.example/cb\n",
        "https://c.example/%zz",
        "https://u:p@c.example/cb",
    ];
    refuses_to_register(&bad);
    refuses(&h, &bad);
    // Empty is not registered, and not sent.
    refuses_to_register(&[""]);
}

#[test]
fn ru_08_schemes_that_carry_script_are_refused() {
    let h = registered(&["https://c.example/cb"]);
    let any = RedirectUriRules::default().any_private_scheme(true);
    for scheme in ["javascript", "data", "vbscript", "blob", "file", "filesystem", "view-source", "about"] {
        let mixed = scheme[..1].to_uppercase() + &scheme[1..];
        for scheme in [scheme, &scheme.to_uppercase(), &mixed] {
            for rest in ["alert(1)", "//c.example/cb", "text/html,x"] {
                let uri = format!("{scheme}:{rest}");
                refuses_to_register(&[&uri]);
                let error = app().redirect_uri_rules(any).redirect_uri(&uri).build().expect_err(&uri);
                assert_eq!(error.field(), "redirect_uris", "{uri}");
                refuses(&h, &[&uri]);
            }
        }
    }
}

#[test]
fn ru_09_the_only_registered_uri_may_be_left_out() {
    let h = registered(&["https://c.example/cb"]);
    for absent in [None, Some("")] {
        let consent = accepted("one", authorize(&h, &changed("redirect_uri", absent)));
        assert_eq!(consent.redirect_uri(), "https://c.example/cb");
    }
    let h = registered(&["https://c.example/cb", "https://c.example/other"]);
    for absent in [None, Some("")] {
        page("two", authorize(&h, &changed("redirect_uri", absent)));
    }
    accepts(&h, &["https://c.example/cb", "https://c.example/other"]);
    // The port of a loopback URI that is left out is the registered one.
    let h = registered(&["http://127.0.0.1:8080/cb"]);
    let consent = accepted("loopback", authorize(&h, &changed("redirect_uri", None)));
    assert_eq!(consent.redirect_uri(), "http://127.0.0.1:8080/cb");
}

#[test]
fn ru_10_a_client_without_redirect_uri_cannot_use_codes() {
    let field = |built: Result<Client, InvalidClient>| built.unwrap_err().field();
    let public = || Client::public("bare").scopes("a").default_scopes("a");
    assert_eq!(field(public().grant_type(GrantTypeName::AUTHORIZATION_CODE).build()), "redirect_uris");
    assert_eq!(field(spa().without_redirect_uris().build()), "redirect_uris");
    assert_eq!(field(app().without_redirect_uris().build()), "redirect_uris");
    let h = Setup::default().clients([public()]).build();
    for uri in [None, Some(REDIRECT_URI), Some("https://evil.example/cb")] {
        let request = bare_authorization_request("bare", "a");
        let request = uri.into_iter().fold(request, |request, uri| request.parameter("redirect_uri", uri));
        page(&format!("{uri:?}"), authorize(&h, &request));
    }
}

#[test]
fn ru_11_no_path_confusion_and_no_parameter_pollution() {
    let h = registered(&["https://c.example/cb"]);
    refuses(
        &h,
        &[
            "https://c.example/cb%3Fcode%3Devil",
            "https://c.example/cb?code=evil",
            "https://c.example/cb&code=evil",
            "https://c.example/cb/%2e%2e/x",
            "https://c.example/cb/../x",
            "https://c.example/cb/..;/x",
            "https://c.example/cb;x",
            "https://c.example/cb%00",
            "https://c.example/cb%0d%0a",
            "https://c.example/x/%2e%2e/cb",
            "https://c.example/x%2f..%2fcb",
        ],
    );
    refuses_to_register(&[
        "https://c.example/a/../cb",
        "https://c.example/%2e%2E/cb",
        "https://c.example/a%5c..%5Ccb",
    ]);
    for name in ["code", "state", "error", "iss", "error_description", "error_uri", "%63ode", "%69ss"] {
        for query in [format!("{name}=x"), format!("a=b&{name}"), format!("a=b;{name}=x"), name.to_owned()] {
            refuses_to_register(&[
                &format!("https://c.example/cb?{query}"),
                &format!("com.example.app:/cb?{query}"),
            ]);
        }
    }
    let harmless = ["https://c.example/cb?codes=1&x=state", "https://c.example/.well-known/x..y"];
    accepts(&registered(&harmless), &harmless);
}
