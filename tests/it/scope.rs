//! Scopes (RFC 6749 §3.3) at the token endpoint and at the authorization endpoint.

use grantor::{Client, Scope, ScopePolicy, Settings};

use crate::authorize::{accepted, authorize, changed, redirected};
use crate::support::*;

/// The client `app` asks for `scope`, form-encoded, for itself.
fn credentials(h: &Harness, scope: &str) -> Answer {
    h.token(&format!("grant_type=client_credentials&scope={scope}"))
}

fn narrow() -> Harness {
    Setup::default().settings(Settings::default().scope_policy(ScopePolicy::Narrow)).build()
}

/// Malformed scopes: form-encoded and as they are.
const MALFORMED: [(&str, &str); 13] = [
    ("a%22b", "a\"b"),
    ("%22", "\""),
    ("a%5Cb", "a\\b"),
    ("%C3%A9", "é"),
    ("a+%C3%A9", "a é"),
    ("a%09b", "a\tb"),
    ("a%0Ab", "a\nb"),
    ("a++b", "a  b"),
    ("+a", " a"),
    ("a+", "a "),
    ("+", " "),
    ("a%7F", "a\u{7f}"),
    ("a%00", "a\u{0}"),
];

#[test]
fn sc_01_a_malformed_scope_is_refused() {
    // Malformed is not too wide: to narrow it down is no way out.
    for h in [Harness::new(), narrow()] {
        for (encoded, plain) in MALFORMED {
            let answer = credentials(&h, encoded);
            assert_eq!(answer.error(), Some("invalid_scope"), "{plain:?} at the token endpoint");
            answer.refused(400, "invalid_scope");
            redirected(plain, authorize(&h, &changed("scope", Some(plain))), "invalid_scope");
        }
        let refresh = h.login().refresh_token().to_owned();
        for (encoded, plain) in MALFORMED {
            let answer = h.token(&format!("{}&scope={encoded}", refresh_form(&refresh)));
            assert_eq!(answer.error(), Some("invalid_scope"), "{plain:?} at a refresh");
        }
        h.token(&refresh_form(&refresh)).ok();
    }
}

/// The answer is written without escapes: there must be nothing to escape.
#[test]
fn sc_01_each_character_of_a_scope_comes_back_as_it_was() {
    let token: String = (0x21..=0x7e_u8).map(char::from).filter(|c| !['"', '\\'].contains(c)).collect();
    let h = Setup::default().clients([app().scopes(&*token).default_scopes(&*token)]).build();
    let encoded: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(credentials(&h, &encoded).ok().scope(), token);
}

#[test]
fn sc_02_a_scope_is_a_set_of_case_sensitive_tokens() {
    let h = Harness::new();
    for (encoded, plain, granted) in [
        ("b+a", "b a", "a b"),
        ("a+b", "a b", "a b"),
        ("a+a", "a a", "a"),
        ("c+a+c+b+a", "c a c b a", "a b c"),
    ] {
        assert_eq!(credentials(&h, encoded).ok().scope(), granted, "{plain}");
        let consent = accepted(plain, authorize(&h, &changed("scope", Some(plain))));
        assert_eq!(consent.scope().as_str(), granted, "{plain}");
    }
    for (encoded, plain) in [("A", "A"), ("a+B", "a B")] {
        credentials(&h, encoded).refused(400, "invalid_scope");
        redirected(plain, authorize(&h, &changed("scope", Some(plain))), "invalid_scope");
    }
    // Where both cases are registered they are two scopes.
    let h = Setup::default().clients([app().scopes("a A").default_scopes("A")]).build();
    assert_eq!(credentials(&h, "a").ok().scope(), "a");
    assert_eq!(credentials(&h, "A").ok().scope(), "A");
}

#[test]
fn sc_03_what_may_not_be_granted_is_refused_or_left_out_by_policy() {
    let (strict, narrow) = (Harness::new(), narrow());
    for (encoded, plain, granted) in
        [("a+x", "a x", "a"), ("x+a+b", "x a b", "a b"), ("c+nope", "c nope", "c"), ("A+b", "A b", "b")]
    {
        credentials(&strict, encoded).refused(400, "invalid_scope");
        redirected(plain, authorize(&strict, &changed("scope", Some(plain))), "invalid_scope");

        let answer = credentials(&narrow, encoded).ok();
        assert_eq!(answer.scope(), granted, "{plain}");
        let introspected = narrow.introspect(answer.access_token());
        assert_eq!(introspected.active().unwrap().scope().as_str(), granted, "{plain}");
        let consent = accepted(plain, authorize(&narrow, &changed("scope", Some(plain))));
        assert_eq!(consent.scope().as_str(), granted, "{plain}");
        let code = narrow.approve(&authorization_request("app", plain), granted);
        assert_eq!(narrow.token(&exchange_form(&code)).ok().scope(), granted, "{plain}");
    }
}

#[test]
fn sc_04_without_a_scope_the_default_is_granted_or_the_request_refused() {
    let without_default = confidential("other").default_scopes("");
    let h = Setup::default().clients([app().default_scopes("b"), without_default]).build();
    for absent in ["", "&scope=", "&scope"] {
        let form = format!("grant_type=client_credentials{absent}");
        assert_eq!(h.token(&form).ok().scope(), "b", "{absent:?}");
        h.send(Http::form(form).basic("other", SECRET)).refused(400, "invalid_scope");
    }
    for absent in [None, Some("")] {
        let consent = accepted("a default", authorize(&h, &changed("scope", absent)));
        assert_eq!(consent.scope().as_str(), "b", "{absent:?}");
        let outcome = authorize(
            &h,
            &bare_authorization_request("other", absent.unwrap_or_default())
                .parameter("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
                .parameter("code_challenge_method", "S256"),
        );
        redirected("no default", outcome, "invalid_scope");
    }
    h.send(Http::form("grant_type=client_credentials&scope=c").basic("other", SECRET)).ok();
}

#[test]
fn sc_05_an_unknown_or_excessive_scope_is_refused() {
    let h =
        Setup::default().clients([app(), confidential("other").scopes("a z").default_scopes("a")]).build();
    let refresh = h.login().refresh_token().to_owned();
    for (encoded, plain) in [("nope", "nope"), ("z", "z"), ("a+b+c+z", "a b c z"), ("a,b", "a,b"), ("*", "*")]
    {
        let answer = credentials(&h, encoded);
        assert_eq!(answer.error(), Some("invalid_scope"), "{plain}");
        answer.refused(400, "invalid_scope");
        let redirect = redirected(plain, authorize(&h, &changed("scope", Some(plain))), "invalid_scope");
        assert_eq!(redirect.get("state"), Some("xyz"), "{plain}");
        h.token(&format!("{}&scope={encoded}", refresh_form(&refresh))).refused(400, "invalid_scope");
    }
    // More than was granted, though no more than the client may have.
    h.token(&format!("{}&scope=a+c", refresh_form(&refresh))).refused(400, "invalid_scope");
}

#[test]
fn sc_06_no_scope_is_never_what_is_granted() {
    let h = narrow();
    for (encoded, plain) in [("x+y", "x y"), ("x", "x"), ("A+B", "A B")] {
        credentials(&h, encoded).refused(400, "invalid_scope");
        redirected(plain, authorize(&h, &changed("scope", Some(plain))), "invalid_scope");
    }
    // A client without any scope gets no token without one.
    let bare = Setup::default().settings(Settings::default().scope_policy(ScopePolicy::Narrow));
    let bare = bare.clients([app().scopes("").default_scopes("")]).build();
    for scope in ["", "a", "a+b"] {
        credentials(&bare, scope).refused(400, "invalid_scope");
    }
    assert_eq!((h.grants(), bare.grants()), (0, 0));
}

#[test]
fn seed_t07_scope_is_used_where_it_means_something() {
    let h = Setup::default().clients([app(), confidential("other").default_scopes("")]).build();
    assert_eq!(credentials(&h, "c").ok().scope(), "c");
    let exchanged = h.token(&format!("{}&scope=c", exchange_form(&h.code()))).ok();
    assert_eq!(exchanged.scope(), "a b", "ignored at the exchange of a code");
    assert_eq!(credentials(&h, "").ok().scope(), "a b", "the client's default");
    let none = Http::form("grant_type=client_credentials").basic("other", SECRET);
    h.send(none).refused(400, "invalid_scope");
}

#[test]
fn seed_t07_require_scope_takes_no_default() {
    let h = Setup::default().settings(Settings::default().require_scope(true)).build();
    for absent in ["", "&scope="] {
        h.token(&format!("grant_type=client_credentials{absent}")).refused(400, "invalid_scope");
    }
    for absent in [None, Some("")] {
        redirected("no scope", authorize(&h, &changed("scope", absent)), "invalid_scope");
    }
    assert_eq!(credentials(&h, "a").ok().scope(), "a");
    // What was said at the authorization endpoint need not be said again.
    let login = h.login();
    assert_eq!(h.token(&refresh_form(login.refresh_token())).ok().scope(), "a b");
}

#[test]
fn seed_c10_scope_names_follow_the_grammar_of_rfc_6749() {
    let long = "x".repeat(300);
    let names = ["a,b", "orders.read", "https://api.example/orders", "!#$%&'()*+-./", "[]^_`{|}~", &long];
    for name in names {
        let h = Setup::default().clients([app().scopes(name).default_scopes(name)]).build();
        assert_eq!(h.token("grant_type=client_credentials").ok().scope(), name);
    }
    for bad in ["a\"b", "a\\b", "é", "a\tb", "a  b", " a", "a ", "a\u{7f}"] {
        let scopes = app().scopes(bad).default_scopes("").build().expect_err(bad);
        assert_eq!(scopes.field(), "scopes", "{bad:?}");
        let default = app().default_scopes(bad).build().expect_err(bad);
        assert_eq!(default.field(), "default_scopes", "{bad:?}");
        assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
    }
    let too_much = Client::public("c").scopes("a").default_scopes("a b").build().unwrap_err();
    assert_eq!(too_much.field(), "default_scopes");
}
