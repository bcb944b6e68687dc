//! Proof key for code exchange (RFC 7636), at both endpoints.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::{AuthorizationRequest, ConsentDecision, Settings};
use sha2::{Digest as _, Sha256};

use crate::authorize::{Redirect, accepted, authorize, changed, redirected};
use crate::support::*;

/// RFC 7636 Appendix B, with [`VERIFIER`].
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// A server that accepts `plain`.
fn plain() -> Harness {
    Setup::default().settings(Settings::default().dangerous().allow_plain_pkce()).build()
}

/// A request with this challenge and method.
fn asking<'a>(
    client: &'a str,
    challenge: Option<&'a str>,
    method: Option<&'a str>,
) -> AuthorizationRequest<'a> {
    let mut request = bare_authorization_request(client, "a").parameter("redirect_uri", REDIRECT_URI);
    if let Some(challenge) = challenge {
        request = request.parameter("code_challenge", challenge);
    }
    match method {
        Some(method) => request.parameter("code_challenge_method", method),
        None => request,
    }
}

/// Redeems `code` with `rest` in the place of the verifier.
fn redeem(h: &Harness, code: &str, rest: &str) -> Answer {
    h.token(&format!(
        "grant_type=authorization_code&code={code}&redirect_uri=https%3A%2F%2Fapp.example%2Fcb{rest}"
    ))
}

#[test]
fn pk_01_the_vector_of_rfc_7636_appendix_b_works() {
    let h = Harness::new();
    let code = h.approve(&asking("app", Some(CHALLENGE), Some("S256")), "a");
    redeem(&h, &code, &format!("&code_verifier={VERIFIER}")).ok();
    assert_eq!(s256(VERIFIER), CHALLENGE);
}

#[test]
fn pk_02_a_challenge_has_the_length_and_the_characters_of_one() {
    let cases = [
        ("42 characters", "x".repeat(42)),
        ("129 characters", "x".repeat(129)),
        ("padding", format!("{CHALLENGE}=")),
        ("padding inside", format!("{}=", "x".repeat(42))),
        ("a plus", format!("{}+", "x".repeat(42))),
        ("a slash", format!("{}/", "x".repeat(42))),
        ("a space", format!("{} ", "x".repeat(42))),
        ("not ASCII", "é".repeat(43)),
    ];
    for (what, challenge) in &cases {
        for (h, method) in [(Harness::new(), "S256"), (plain(), "S256"), (plain(), "plain")] {
            let outcome = authorize(&h, &asking("app", Some(challenge), Some(method)));
            let redirect = redirected(&format!("{what} for {method}"), outcome, "invalid_request");
            assert_eq!(redirect.get("state"), Some("xyz"), "{what}");
        }
    }
    // An S256 challenge is 43 characters and nothing else; a plain one is a verifier.
    for length in [44, 64, 128] {
        let challenge = "x".repeat(length);
        let outcome = authorize(&plain(), &asking("app", Some(&challenge), Some("S256")));
        redirected(&format!("{length} for S256"), outcome, "invalid_request");
        let outcome = authorize(&plain(), &asking("app", Some(&challenge), Some("plain")));
        accepted(&format!("{length} for plain"), outcome);
    }
    let all = "-._~".repeat(10) + "aZ9";
    for method in ["S256", "plain"] {
        accepted(method, authorize(&plain(), &asking("app", Some(&all), Some(method))));
    }
}

#[test]
fn pk_03_a_verifier_has_the_length_and_the_characters_of_one() {
    let h = Harness::new();
    // The challenge is met by each of them: what refuses is the grammar.
    for (what, verifier, encoded) in [
        ("42 characters", "x".repeat(42), "x".repeat(42)),
        ("129 characters", "x".repeat(129), "x".repeat(129)),
        ("padding", "x".repeat(43) + "=", "x".repeat(43) + "%3D"),
        ("a plus", "x".repeat(43) + "+", "x".repeat(43) + "%2B"),
        ("a space", "x".repeat(43) + " ", "x".repeat(43) + "+"),
        ("not ASCII", "é".repeat(43), "%C3%A9".repeat(43)),
        ("one character", "x".to_owned(), "x".to_owned()),
    ] {
        let challenge = s256(&verifier);
        let code = h.approve(&asking("app", Some(&challenge), Some("S256")), "a");
        let answer = redeem(&h, &code, &format!("&code_verifier={encoded}"));
        assert_eq!(answer.error(), Some("invalid_grant"), "{what}");
        answer.refused(400, "invalid_grant");
    }
    for verifier in ["x".repeat(43), "x".repeat(128), "-._~".repeat(20) + "aZ9"] {
        let challenge = s256(&verifier);
        let code = h.approve(&asking("app", Some(&challenge), Some("S256")), "a");
        redeem(&h, &code, &format!("&code_verifier={verifier}")).ok();
    }
}

#[test]
fn pk_04_an_unsupported_method_is_refused_by_redirect() {
    for (name, h) in [("S256 only", Harness::new()), ("plain, too", plain())] {
        for method in ["S512", "s256", "S256 ", "SHA256", "PLAIN", "Plain", "none", "S-256"] {
            let outcome = authorize(&h, &asking("app", Some(CHALLENGE), Some(method)));
            let redirect = redirected(&format!("{method} where {name}"), outcome, "invalid_request");
            assert_eq!(redirect.get("state"), Some("xyz"), "{method}");
        }
    }
}

#[test]
fn pk_05_a_missing_method_means_plain() {
    let h = Harness::new();
    for method in [None, Some("")] {
        redirected("off", authorize(&h, &asking("app", Some(VERIFIER), method)), "invalid_request");
        redirected("off", authorize(&h, &asking("spa", Some(CHALLENGE), method)), "invalid_request");
    }
    let h = plain();
    let code = h.approve(&asking("app", Some(VERIFIER), None), "a");
    redeem(&h, &code, &format!("&code_verifier={VERIFIER}")).ok();
    // It does not mean S256.
    let code = h.approve(&asking("app", Some(CHALLENGE), None), "a");
    redeem(&h, &code, &format!("&code_verifier={VERIFIER}")).refused(400, "invalid_grant");
}

#[test]
fn pk_06_a_wrong_verifier_is_invalid_grant() {
    let h = Harness::new();
    let code = h.code();
    let swapped = VERIFIER.replace('d', "D");
    for wrong in [CHALLENGE, &"x".repeat(43), &VERIFIER.to_lowercase(), &swapped, &format!("{VERIFIER}A")] {
        let answer = redeem(&h, &code, &format!("&code_verifier={wrong}"));
        assert_eq!(answer.error(), Some("invalid_grant"), "{wrong}");
        answer.refused(400, "invalid_grant");
    }
    redeem(&h, &code, &format!("&code_verifier={VERIFIER}")).ok();
}

#[test]
fn pk_07_a_missing_verifier_is_invalid_grant() {
    let h = Setup::default().clients([app(), spa(), confidential("lax").require_pkce(false)]).build();
    for (client, credentials) in [("app", true), ("lax", true), ("spa", false)] {
        let code = h.code_for(client, "a");
        for absent in ["", "&code_verifier=", "&Code_Verifier=x"] {
            let form = exchange_form(&code).replace(&format!("&code_verifier={VERIFIER}"), absent);
            let answer = if credentials {
                h.send(Http::form(form).basic(client, SECRET))
            } else {
                h.send(Http::form(format!("{form}&client_id={client}")))
            };
            assert_eq!(answer.error(), Some("invalid_grant"), "{client} with {absent:?}");
            answer.refused(400, "invalid_grant");
        }
    }
}

#[test]
fn pk_08_a_verifier_without_challenge_is_refused() {
    let h = Setup::default().clients([app().require_pkce(false)]).build();
    let code = h.approve(&asking("app", None, None), "a");
    for verifier in [VERIFIER, "x", &"x".repeat(129)] {
        let answer = redeem(&h, &code, &format!("&code_verifier={verifier}"));
        assert_eq!(answer.error(), Some("invalid_request"), "{verifier}");
        answer.refused(400, "invalid_request");
    }
    // The code is not burnt, and an empty verifier is none.
    redeem(&h, &code, "&code_verifier=").ok();
}

#[test]
fn pk_09_nothing_at_the_token_endpoint_changes_the_method() {
    for h in [Harness::new(), plain()] {
        let code = h.code();
        for changed in [
            format!("&code_challenge_method=plain&code_verifier={CHALLENGE}"),
            format!("&code_challenge_method=plain&code_challenge={CHALLENGE}&code_verifier={CHALLENGE}"),
            format!("&code_challenge={}&code_verifier={}", s256(CHALLENGE), CHALLENGE),
        ] {
            redeem(&h, &code, &changed).refused(400, "invalid_grant");
        }
        redeem(&h, &code, &format!("&code_challenge_method=plain&code_verifier={VERIFIER}")).ok();
    }
    // Nor the other way around.
    let h = plain();
    let code = h.approve(&asking("app", Some(CHALLENGE), Some("plain")), "a");
    let verifier = format!("&code_challenge_method=S256&code_verifier={VERIFIER}");
    redeem(&h, &code, &verifier).refused(400, "invalid_grant");
    redeem(&h, &code, &format!("&code_verifier={CHALLENGE}")).ok();
}

#[test]
fn pk_10_a_public_client_must_send_a_challenge() {
    let lax = Settings::default().require_pkce(false);
    for (what, settings) in [("by default", Settings::default()), ("with PKCE off", lax)] {
        let h = Setup::default().settings(settings).build();
        for challenge in [None, Some("")] {
            let outcome = authorize(&h, &asking("spa", challenge, None));
            assert_eq!(redirected(what, outcome, "invalid_request").get("state"), Some("xyz"), "{what}");
        }
        accepted(what, authorize(&h, &asking("spa", Some(CHALLENGE), Some("S256"))));
    }
}

#[test]
fn pk_11_a_confidential_client_must_send_a_challenge_unless_excepted() {
    let h = Setup::default().clients([app(), confidential("lax").require_pkce(false)]).build();
    redirected("by default", authorize(&h, &asking("app", None, None)), "invalid_request");
    redirected("without redirect URI", authorize(&h, &changed("code_challenge", None)), "invalid_request");
    accepted("excepted", authorize(&h, &asking("lax", None, None)));
    // Excepted means that it may, not that it must not.
    let code = h.approve(&asking("lax", Some(CHALLENGE), Some("S256")), "a");
    let wrong = exchange_form(&code).replace(VERIFIER, &"x".repeat(43));
    h.send(Http::form(wrong).basic("lax", SECRET)).refused(400, "invalid_grant");
    h.send(Http::form(exchange_form(&code)).basic("lax", SECRET)).ok();
}

#[test]
fn pk_12_no_response_shows_the_challenge() {
    for (h, challenge, method) in [(Harness::new(), CHALLENGE, "S256"), (plain(), VERIFIER, "plain")] {
        let request = asking("app", Some(challenge), Some(method));
        let location = h.decide(&request, ConsentDecision::Approve(scope("a")));
        let code = Redirect::read(&location, REDIRECT_URI).get("code").unwrap().to_owned();
        let hidden = |text: &[u8]| {
            let digest = Sha256::digest(challenge);
            let parts = [challenge.as_bytes(), &challenge.as_bytes()[..16], digest.as_slice()];
            parts.iter().all(|part| !text.windows(part.len()).any(|window| window == *part))
        };
        assert!(hidden(location.as_bytes()), "{location}");
        assert!(hidden(&URL_SAFE_NO_PAD.decode(&code).unwrap()), "{code}");
        let answer = redeem(&h, &code, &format!("&code_verifier={VERIFIER}")).ok();
        assert!(hidden(answer.body.as_bytes()), "{answer:?}");
        let refused = redeem(&h, &h.approve(&request, "a"), "");
        assert!(hidden(refused.body.as_bytes()), "{refused:?}");
        let denied = h.decide(&request, ConsentDecision::Deny);
        assert!(hidden(denied.as_bytes()), "{denied}");
    }
}

#[test]
fn pk_14_a_method_without_a_challenge_is_malformed() {
    let h = Setup::default().clients([app(), confidential("lax").require_pkce(false)]).build();
    for client in ["app", "lax"] {
        for method in ["S256", "plain", "nope"] {
            let outcome = authorize(&h, &asking(client, None, Some(method)));
            redirected(&format!("{client} with {method}"), outcome, "invalid_request");
        }
    }
}

#[test]
fn pk_15_plain_is_off_unless_it_is_allowed() {
    let request = asking("app", Some(VERIFIER), Some("plain"));
    redirected("by default", authorize(&Harness::new(), &request), "invalid_request");
    let h = plain();
    assert!(h.events.saw("allow_plain_pkce"), "it is reported");
    let code = h.approve(&request, "a");
    redeem(&h, &code, &format!("&code_verifier={}", "x".repeat(43))).refused(400, "invalid_grant");
    redeem(&h, &code, "").refused(400, "invalid_grant");
    redeem(&h, &code, &format!("&code_verifier={VERIFIER}")).ok();
}

#[test]
fn seed_c04_pkce_is_inherited_or_decided_for_each_client() {
    for (server_requires, client_says, required) in [
        (true, None, true),
        (true, Some(true), true),
        (true, Some(false), false),
        (false, None, false),
        (false, Some(true), true),
        (false, Some(false), false),
    ] {
        let case = format!("server {server_requires}, client {client_says:?}");
        let client = client_says.into_iter().fold(app(), grantor::ClientBuilder::require_pkce);
        let settings = Settings::default().require_pkce(server_requires);
        let h = Setup::default().clients([client]).settings(settings).build();
        let outcome = authorize(&h, &asking("app", None, None));
        if required {
            redirected(&case, outcome, "invalid_request");
        } else {
            accepted(&case, outcome);
            let code = h.approve(&asking("app", None, None), "a");
            redeem(&h, &code, &format!("&code_verifier={VERIFIER}")).refused(400, "invalid_request");
            redeem(&h, &code, "").ok();
        }
        // Where it is sent it is held to, required or not.
        let code = h.code();
        redeem(&h, &code, "").refused(400, "invalid_grant");
        redeem(&h, &code, &format!("&code_verifier={VERIFIER}")).ok();
    }
    let public = spa().require_pkce(false).build().unwrap_err();
    assert_eq!(public.field(), "require_pkce");
    spa().require_pkce(true).build().unwrap();
}
