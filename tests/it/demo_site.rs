//! What the example servers are to outside clients and to browsers, the same on each framework.

use serde_json::Value;

use crate::demo::browser::{
    Browser, CONFIG, FRAMEWORKS, authorize, basic, form, hidden, location, on_each, post, redeem,
};
use crate::demo::process::{Demo, Response, get, token, with_header};
use crate::support::query_value;

/// Headers that every page has.
fn check_page(page: &Response) {
    let header = |name: &str| page.header(name).unwrap_or_else(|| panic!("{name}: {}", page.body));
    assert!(header("content-type").starts_with("text/html"));
    let policy = header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cache-control"), "no-store");
    assert!(page.header("access-control-allow-origin").is_none());
    for foreign in ["http://", "https://", "src=", "@import", "<script", "onload", "javascript:"] {
        assert!(!page.body.contains(foreign), "{foreign} in {}", page.body);
    }
}

#[test]
fn a_browser_is_led_through_login_and_consent_and_back_with_a_code() {
    on_each(|demo, framework| {
        let mut browser = Browser::new(demo);
        let to_login = browser.get(&authorize(&[]));
        let login = location(&to_login).to_owned();
        assert!(login.starts_with("/login?next="), "{framework}: {login}");
        check_page(&browser.get(&login));
        let wrong = browser.log_in(&login, "alice", "wrong");
        assert_eq!(wrong.status, 400);
        check_page(&wrong);
        assert!(wrong.body.contains("The user name or the password is wrong."));
        let back = browser.log_in(&login, "alice", "wonderland");
        let back = location(&back).to_owned();
        let page = browser.get(&back);
        assert_eq!(page.status, 200);
        check_page(&page);
        for part in [
            "&lt;script&gt;alert(1)&lt;",
            "&quot;quoted&quot; &amp; &lt;b&gt;bold",
            "See your &lt;orders&gt;",
            "value=\"orders.write\" checked",
            "<strong>127.0.0.1</strong>",
        ] {
            assert!(page.body.contains(part), "{part} in {}", page.body);
        }
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("form-action 'self' http://127.0.0.1:7777;"), "{policy}");
        let ticket = hidden(&page, "ticket");
        let decided = browser.post(
            "/oauth/authorize",
            &[("ticket", &ticket), ("decision", "allow"), ("scope", "orders.read"), ("scope", "profile")],
        );
        let target = location(&decided);
        assert!(target.starts_with("http://127.0.0.1:7777/callback?"), "{target}");
        assert_eq!(query_value(target, "state").as_deref(), Some("a b&c"));
        assert_eq!(query_value(target, "iss"), Some(format!("http://{}", demo.address)));
        assert_eq!(decided.header("cache-control"), Some("no-store"));
        assert_eq!(decided.header("referrer-policy"), Some("no-referrer"));
        let tokens = redeem(demo, &query_value(target, "code").unwrap());
        assert_eq!(tokens.status, 200, "{}", tokens.body);
        assert_eq!(tokens.json()["scope"], "orders.read profile", "what was ticked");
        // Whoever is signed in is not asked for the password again.
        let again = browser.get(&authorize(&[]));
        assert_eq!(again.status, 200);
        assert!(again.body.contains("allowed before"));
    });
}

#[test]
fn ae_20_pages_cannot_be_framed() {
    on_each(|demo, _| {
        let mut browser = Browser::new(demo);
        let login = location(&browser.get(&authorize(&[]))).to_owned();
        check_page(&browser.get(&login));
        check_page(&browser.get("/oauth/authorize?client_id=nope"));
        location(&browser.log_in(&login, "alice", "wonderland"));
        for path in [&authorize(&[]), "/grants", "/logout", "/"] {
            check_page(&browser.get(path));
        }
    });
}

#[test]
fn ae_19_consent_is_asked_for_again_and_never_skipped() {
    on_each(|demo, _| {
        let mut browser = Browser::new(demo);
        location(&browser.log_in("/login", "alice", "wonderland"));
        for _ in 0..2 {
            let page = browser.get(&authorize(&[]));
            assert_eq!(page.status, 200);
            let fields =
                [("ticket", &*hidden(&page, "ticket")), ("decision", "allow"), ("scope", "orders.read")];
            assert!(query_value(location(&browser.post("/oauth/authorize", &fields)), "code").is_some());
        }
    });
}

#[test]
fn ae_22_and_24_nothing_of_a_login_stays_behind() {
    on_each(|demo, _| {
        let response = demo.send(&get(&authorize(&[("scope", "nope")])));
        assert_eq!(query_value(location(&response), "error").as_deref(), Some("invalid_scope"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
    });
}

#[test]
fn ae_24_the_redirect_is_not_kept() {
    on_each(|demo, _| {
        let response = demo.send(&get(&authorize(&[("response_type", "token")])));
        assert_eq!(query_value(location(&response), "error").as_deref(), Some("unsupported_response_type"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
    });
}

#[test]
fn ae_01_and_23_the_endpoint_takes_get_and_post_and_no_other_origin() {
    on_each(|demo, _| {
        let query = authorize(&[]).split_once('?').unwrap().1.to_owned();
        let by_get = demo.send(&get(&authorize(&[])));
        let by_post = demo.send(&post("/oauth/authorize", &query));
        assert_eq!(location(&by_get), location(&by_post));
        let put = demo.send("PUT /oauth/authorize HTTP/1.1\r\nHost: demo\r\nContent-Length: 0\r\n\r\n");
        assert_eq!((put.status, put.error().as_str()), (405, "invalid_request"));
        let with_origin = demo.send(&with_header(&get(&authorize(&[])), "Origin: https://evil.example"));
        assert!(with_origin.header("access-control-allow-origin").is_none());
    });
}

#[test]
fn ae_23_there_is_no_cors_at_the_authorization_endpoint() {
    on_each(|demo, _| {
        let preflight = "OPTIONS /oauth/authorize HTTP/1.1\r\nHost: demo\r\nOrigin: https://evil.example\r\n\
                         Access-Control-Request-Method: POST\r\n\r\n";
        let response = demo.send(preflight);
        assert_eq!(response.status, 405);
        assert!(response.header("access-control-allow-origin").is_none());
    });
}

#[test]
fn what_may_not_be_redirected_is_shown() {
    on_each(|demo, _| {
        for request in [
            authorize(&[("client_id", "nope"), ("redirect_uri", "https://evil.example")]),
            authorize(&[("redirect_uri", "https://evil.example")]),
            authorize(&[("redirect_uri", "javascript:alert(1)")]),
            "/oauth/authorize".to_owned(),
            "/oauth/authorize?%zz".to_owned(),
        ] {
            let page = demo.send(&get(&request));
            assert_eq!(page.status, 400, "{request}");
            assert!(page.header("location").is_none());
            check_page(&page);
        }
    });
}

#[test]
fn seed_e01_the_user_denies_or_allows_a_part() {
    on_each(|demo, _| {
        let mut browser = Browser::new(demo);
        location(&browser.log_in("/login", "alice", "wonderland"));
        let page = browser.get(&authorize(&[]));
        let ticket = hidden(&page, "ticket");
        for fields in [
            vec![("ticket", ticket.as_str()), ("decision", "deny"), ("scope", "orders.read")],
            vec![("ticket", &ticket), ("scope", "orders.read")],
            vec![("ticket", &ticket), ("decision", "allow")],
        ] {
            let target = browser.post("/oauth/authorize", &fields);
            assert_eq!(query_value(location(&target), "error").as_deref(), Some("access_denied"));
            assert_eq!(query_value(location(&target), "state").as_deref(), Some("a b&c"));
        }
        // A client that is not on the web.
        let app = browser.get(&authorize(&[("redirect_uri", "com.example.app:/done")]));
        let policy = app.header("content-security-policy").unwrap();
        assert!(policy.contains("form-action 'self' com.example.app:;"), "{policy}");
    });
}

#[test]
fn a_ticket_is_good_in_its_own_session_and_for_no_more_than_was_asked() {
    on_each(|demo, _| {
        let (mut alice, mut bob) = (Browser::new(demo), Browser::new(demo));
        location(&alice.log_in("/login", "alice", "wonderland"));
        location(&bob.log_in("/login", "bob", "builder"));
        let page = alice.get(&authorize(&[("scope", "orders.read")]));
        let ticket = hidden(&page, "ticket");
        let allow =
            |ticket: &str, scope: &str| form(&[("ticket", ticket), ("decision", "allow"), ("scope", scope)]);
        // Of another user, of nobody, changed.
        let foreign = bob.send(&post("/oauth/authorize", &allow(&ticket, "orders.read")));
        assert_eq!(foreign.status, 400);
        assert!(foreign.header("location").is_none());
        check_page(&foreign);
        let nobody = demo.send(&post("/oauth/authorize", &allow(&ticket, "orders.read")));
        assert_eq!(nobody.status, 400);
        let mut changed = ticket.clone();
        let last = changed.pop().unwrap();
        changed.push(if last == 'A' { 'B' } else { 'A' });
        assert_eq!(alice.send(&post("/oauth/authorize", &allow(&changed, "orders.read"))).status, 400);
        // More than was asked for.
        let more = alice.send(&post("/oauth/authorize", &allow(&ticket, "orders.write")));
        assert_eq!(query_value(location(&more), "error").as_deref(), Some("invalid_scope"));
        let good = alice.send(&post("/oauth/authorize", &allow(&ticket, "orders.read")));
        assert!(query_value(location(&good), "code").is_some());
        // More than bob may grant.
        let page = bob.get(&authorize(&[]));
        let ticket = hidden(&page, "ticket");
        let more = bob.send(&post("/oauth/authorize", &allow(&ticket, "orders.write")));
        assert_eq!(query_value(location(&more), "error").as_deref(), Some("invalid_scope"));
    });
}

#[test]
fn a_login_form_of_another_site_does_nothing_and_nobody_is_sent_elsewhere() {
    on_each(|demo, _| {
        let mut browser = Browser::new(demo);
        let forged = browser.post(
            "/login",
            &[("token", "x"), ("next", "/grants"), ("username", "alice"), ("password", "wonderland")],
        );
        assert_eq!(forged.status, 400);
        for next in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/x\r\nSet-Cookie: a=b",
        ] {
            let mut browser = Browser::new(demo);
            let target =
                browser.log_in(&format!("/login?{}", form(&[("next", next)])), "alice", "wonderland");
            assert_eq!(location(&target), "/grants", "{next}");
            assert!(target.headers.iter().all(|(_, value)| !value.contains("a=b")));
        }
    });
}

#[test]
fn people_end_the_access_of_an_application_and_sign_out() {
    on_each(|demo, _| {
        let mut alice = Browser::new(demo);
        assert!(location(&alice.get("/grants")).starts_with("/login?next=%2Fgrants"));
        location(&alice.log_in("/login", "alice", "wonderland"));
        let page = alice.get(&authorize(&[]));
        let ticket = hidden(&page, "ticket");
        let fields = [("ticket", ticket.as_str()), ("decision", "allow"), ("scope", "orders.read")];
        let target = alice.post("/oauth/authorize", &fields);
        let tokens = redeem(demo, &query_value(location(&target), "code").unwrap()).json();
        let bearer = format!("Authorization: Bearer {}", tokens["access_token"].as_str().unwrap());
        let orders = || demo.send(&with_header(&get("/api/orders"), &bearer)).status;
        assert_eq!(orders(), 200);
        let list = alice.get("/grants");
        check_page(&list);
        let (id, csrf) = (hidden(&list, "id"), hidden(&list, "csrf"));
        assert!(!list.body.contains(tokens["access_token"].as_str().unwrap()));
        // Not by another site, not by another user.
        assert_eq!(alice.post("/grants", &[("id", &id), ("csrf", "x")]).status, 400);
        let mut bob = Browser::new(demo);
        location(&bob.log_in("/login", "bob", "builder"));
        let own = bob.get("/logout");
        let csrf_of_bob = hidden(&own, "csrf");
        location(&bob.post("/grants", &[("id", &id), ("csrf", &csrf_of_bob)]));
        assert_eq!(orders(), 200);
        assert_eq!(location(&alice.post("/grants", &[("id", &id), ("csrf", &csrf)])), "/grants");
        assert_eq!(orders(), 401);
        assert!(alice.get("/grants").body.contains("No application has access"));
        assert_eq!(alice.post("/logout", &[("csrf", "x")]).status, 400);
        assert_eq!(location(&alice.post("/logout", &[("csrf", &csrf)])), "/login");
        assert!(location(&alice.get("/grants")).starts_with("/login"));
    });
}

#[test]
fn the_administrator_lists_and_deletes_tokens() {
    on_each(|demo, _| {
        let tokens =
            demo.send(&token("/oauth/token", "reports:reports-secret", "grant_type=client_credentials"));
        let tokens = tokens.json();
        let admin = |request: &str| demo.send(&with_header(request, &basic("admin:admin-secret")));
        let list = |accept: &str| admin(&with_header(&get("/admin/tokens"), accept));
        let refused = demo.send(&get("/admin/tokens"));
        assert_eq!(refused.status, 401);
        assert!(refused.header("www-authenticate").unwrap().starts_with("Basic realm="));
        let wrong = demo.send(&with_header(&get("/admin/tokens"), &basic("admin:wrong")));
        assert_eq!(wrong.status, 401);
        let json: Value = list("Accept: application/json").json();
        let row = &json[0];
        assert_eq!((&row["client_id"], &row["scope"]), (&"reports".into(), &"orders.read".into()));
        assert!(row["created_at"].is_u64() && row["expires_at"].is_u64());
        assert!(!json.to_string().contains(tokens["access_token"].as_str().unwrap()));
        assert!(!json.to_string().contains("null"));
        let page = list("Accept: text/html");
        check_page(&page);
        let id = row["id"].as_str().unwrap();
        assert_eq!(hidden(&page, "id"), id);
        let delete = |id: &str| {
            admin(&format!("DELETE /admin/tokens/{id} HTTP/1.1\r\nHost: demo\r\nContent-Length: 0\r\n\r\n"))
                .status
        };
        assert_eq!(admin(&post("/admin/tokens", &form(&[("id", id), ("csrf", "x")]))).status, 400);
        let nobody = demo.send(&format!("DELETE /admin/tokens/{id} HTTP/1.1\r\nHost: demo\r\n\r\n"));
        assert_eq!(nobody.status, 401);
        assert_eq!((delete(id), delete(id), delete("nonsense")), (204, 404, 404));
        let form_of = form(&[("id", id), ("csrf", &hidden(&page, "csrf"))]);
        assert_eq!(location(&admin(&post("/admin/tokens", &form_of))), "/admin/tokens");
        assert_eq!(list("Accept: application/json").body, "[]");
    });
}

#[test]
fn without_an_administrator_there_is_no_list() {
    let config = CONFIG.replace("admin = {", "#");
    let demo = Demo::start(&config);
    let refused = demo.send(&with_header(&get("/admin/tokens"), &basic("admin:admin-secret")));
    assert_eq!((refused.status, refused.error().as_str()), (404, "not_found"));
}

#[test]
fn the_api_takes_tokens_that_cover_what_is_asked_for() {
    on_each(|demo, _| {
        let grant = |form: &str| demo.send(&token("/oauth/token", "reports:reports-secret", form)).json();
        let read = grant("grant_type=client_credentials");
        let write = grant("grant_type=client_credentials&scope=orders.write");
        let call = |method: &str, path: &str, tokens: &Value| {
            let bearer = format!("Authorization: Bearer {}", tokens["access_token"].as_str().unwrap());
            demo.send(&with_header(
                &format!("{method} {path} HTTP/1.1\r\nHost: demo\r\nContent-Length: 0\r\n\r\n"),
                &bearer,
            ))
        };
        assert_eq!(call("GET", "/api/orders", &read).status, 200);
        assert_eq!(call("GET", "/api/orders/1", &read).json()["id"], 1);
        assert_eq!(call("GET", "/api/orders/99", &read).status, 404);
        let refused = call("POST", "/api/orders", &read);
        assert_eq!((refused.status, refused.error().as_str()), (403, "insufficient_scope"));
        assert!(refused.header("www-authenticate").unwrap().contains("scope=\"orders.write\""));
        assert_eq!(call("POST", "/api/orders", &write).status, 201);
        assert_eq!(call("GET", "/api/me", &read).status, 403);
        let bare = demo.send(&get("/api/orders"));
        assert_eq!((bare.status, bare.header("www-authenticate")), (401, Some("Bearer realm=\"orders\"")));
        let query =
            demo.send(&get(&format!("/api/orders?access_token={}", read["access_token"].as_str().unwrap())));
        assert_eq!(query.status, 400);
        assert!(demo.log().contains("needed=orders.write granted=orders.read"), "{}", demo.log());
    });
}

#[test]
fn machine_endpoints_answer_the_same_on_each_framework() {
    on_each(|demo, framework| {
        let send = |path: &str, form: &str| demo.send(&token(path, "reports:reports-secret", form));
        let password = send("/oauth/token", "grant_type=password&username=alice&password=wonderland");
        assert_eq!(password.status, 200, "{framework}: {}", password.body);
        let tokens = password.json();
        let access = tokens["access_token"].as_str().unwrap().to_owned();
        let query = format!("token={access}");
        let told = demo.send(&token("/oauth/introspect", "api:api-secret", &query)).json();
        assert_eq!((&told["active"], &told["username"]), (&true.into(), &"alice".into()));
        let legacy = demo.send(&token("/invoke/pub.oauth/introspectToken", "api:api-secret", &query)).json();
        assert_eq!(told, legacy);
        let refresh =
            format!("grant_type=refresh_token&refresh_token={}", tokens["refresh_token"].as_str().unwrap());
        assert_eq!(send("/oauth/token", &refresh).status, 200);
        // Strict here: reuse ends the grant.
        let reused = send("/oauth/token", &refresh);
        assert_eq!((reused.status, reused.error().as_str()), (400, "invalid_grant"));
        let told = demo.send(&token("/oauth/introspect", "api:api-secret", &query));
        assert_eq!(told.body, r#"{"active":false}"#);
        let token_ = send("/oauth/token", "grant_type=client_credentials").json();
        let revoke = format!("token={}", token_["access_token"].as_str().unwrap());
        let done = send("/oauth/revoke", &revoke);
        assert_eq!((done.status, done.body.as_str()), (200, ""));
        assert_eq!(send("/invoke/pub.oauth/revokeToken", &revoke).status, 200);
        let metadata = demo.send(&get("/.well-known/oauth-authorization-server")).json();
        assert_eq!(metadata["issuer"], format!("http://{}", demo.address));
        assert_eq!(demo.send(&get("/.well-known/openid-configuration")).status, 404);
        for (request, status) in [
            (get("/oauth/token"), 405),
            (get("/oauth/introspect"), 405),
            (get("/nothing"), 404),
            (token("/oauth/token", "reports:wrong", "grant_type=client_credentials"), 401),
            (token("/oauth/token", "reports:reports-secret", &"x".repeat(70_000)), 413),
            (
                token("/oauth/token", "reports:reports-secret", "grant_type=client_credentials")
                    .replace("application/x-www-form-urlencoded", "application/json"),
                400,
            ),
        ] {
            let response = demo.send(&request);
            assert_eq!(response.status, status, "{framework}: {}", response.body);
            assert_eq!(response.header("content-type"), Some("application/json"));
            assert!(!response.error().is_empty());
        }
        let health = demo.send(&get("/healthz"));
        assert_eq!((health.status, health.body.as_str()), (200, "ok"));
    });
}

#[test]
fn seed_t16_the_paths_of_old_are_there_and_serve_their_own_grants() {
    on_each(|demo, _| {
        let send = |service: &str, form: &str| {
            demo.send(&token(&format!("/invoke/pub.oauth/{service}"), "reports:reports-secret", form))
        };
        let password = "grant_type=password&username=alice&password=wonderland";
        let tokens = send("getAccessToken", password).json();
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let refresh = format!("grant_type=refresh_token&refresh_token={refresh}");
        for (service, form) in [("getAccessToken", refresh.as_str()), ("refreshAccessToken", password)] {
            let refused = send(service, form);
            assert_eq!(
                (refused.status, refused.error().as_str()),
                (400, "unsupported_grant_type"),
                "{service}"
            );
        }
        assert_eq!(send("refreshAccessToken", &refresh).status, 200);
        assert_eq!(send("getToken", "grant_type=client_credentials").status, 200);
        let modern = authorize(&[]);
        let legacy = modern.replace("/oauth/authorize", "/invoke/pub.oauth/authorize");
        let mut browser = Browser::new(demo);
        let login = location(&browser.get(&legacy)).to_owned();
        let back = browser.log_in(&login, "alice", "wonderland");
        assert_eq!(browser.get(location(&back)).status, 200);
        assert_eq!(browser.get(&legacy).status, 200);
    });
}

#[test]
fn each_framework_ends_in_order_when_it_is_told_to() {
    for framework in FRAMEWORKS {
        let mut demo = Demo::start_on(framework, CONFIG);
        demo.signal("TERM");
        assert_eq!(demo.child.wait().unwrap().code(), Some(0), "{framework}");
    }
}

#[test]
fn guessing_at_a_password_is_put_off() {
    on_each(|demo, _| {
        let guess = |username: &str, password: &str| {
            let form = form(&[("grant_type", "password"), ("username", username), ("password", password)]);
            demo.send(&token("/oauth/token", "reports:reports-secret", &form))
        };
        let put_off = (0..40).map(|_| guess("alice", "wrong")).find(|response| response.status != 400);
        let put_off = put_off.expect("there is a limit");
        assert_eq!((put_off.status, put_off.error().as_str()), (429, "temporarily_unavailable"));
        assert!(put_off.header("retry-after").is_some());
        assert_eq!(guess("bob", "builder").status, 200);
        assert!(!demo.log().contains("wrong\""), "no password is logged");
    });
}
