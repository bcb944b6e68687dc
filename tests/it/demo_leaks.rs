//! A day at the example servers, which log all that they can: no secret turns up in the log, nor
//! on a page.

use crate::demo::browser::{
    Browser, CONFIG, FRAMEWORKS, authorize, basic, form, hidden, location, post, redeem,
};
use crate::demo::process::{Demo, Response, get, token, with_header};
use crate::support::{VERIFIER, query_value};

/// What only its owner and the answer that hands it out may know.
#[derive(Default)]
struct Day {
    secrets: Vec<(&'static str, String)>,
    pages: Vec<String>,
}

impl Day {
    fn secret(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() > 3, "{what}");
        self.secrets.push((what, secret.to_owned()));
    }

    /// An answer that has no business to show a secret, in its headers or in its body.
    fn page(&mut self, response: &Response) {
        self.pages.push(format!("{:?}\n{}", response.headers, response.body));
    }

    fn tokens(&mut self, response: &Response) -> (String, String) {
        let json = response.json();
        let part = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{json}")).to_owned();
        let (access, refresh) = (part("access_token"), part("refresh_token"));
        // The first 22 characters are the name of the grant, which is no secret.
        for (what, text) in [("access token", &access), ("refresh token", &refresh)] {
            self.secret(what, &text[text.len() - 42..]);
        }
        (access, refresh)
    }
}

fn day(framework: &str) {
    let demo = &Demo::start_logging(framework, CONFIG, Some("trace"));
    let mut day = Day::default();
    for (what, secret) in [
        ("password", "wonderland"),
        ("wrong password", "looking-glass"),
        ("client secret", "reports-secret"),
        ("client secret", "api-secret"),
        ("wrong client secret", "reports-guess"),
        ("secret of the administrator", "admin-secret"),
        ("code verifier", VERIFIER),
    ] {
        day.secret(what, secret);
    }
    for credentials in ["reports:reports-secret", "api:api-secret", "admin:admin-secret"] {
        let header = basic(credentials);
        day.secret("Basic credentials", header.rsplit(' ').next().unwrap());
    }

    // A login, with a slip, and a consent.
    let mut browser = Browser::new(demo);
    let login = location(&browser.get(&authorize(&[]))).to_owned();
    day.page(&browser.get(&login));
    day.page(&browser.log_in(&login, "alice", "looking-glass"));
    let back = location(&browser.log_in(&login, "alice", "wonderland")).to_owned();
    for session in browser.cookies.values() {
        day.secret("session", session);
    }
    let consent = browser.get(&back);
    day.page(&consent);
    let fields = [("ticket", &*hidden(&consent, "ticket")), ("decision", "allow"), ("scope", "profile")];
    let code = query_value(location(&browser.post("/oauth/authorize", &fields)), "code").unwrap();
    day.secret("code", &code[code.len() - 42..]);

    // Its tokens, and what becomes of them.
    let (access, refresh) = day.tokens(&redeem(demo, &code));
    day.page(&browser.get("/grants"));
    let refreshed =
        form(&[("grant_type", "refresh_token"), ("client_id", "webapp"), ("refresh_token", &refresh)]);
    let (newer, _) = day.tokens(&demo.send(&post("/oauth/token", &refreshed)));
    for token in [&access, &newer] {
        let bearer = format!("Authorization: Bearer {token}");
        day.page(&demo.send(&with_header(&get("/api/me"), &bearer)));
        day.page(&demo.send(&with_header(&get("/api/orders"), &bearer)));
    }
    let query = format!("token={newer}");
    day.page(&demo.send(&token("/oauth/introspect", "api:api-secret", &query)));
    day.page(&demo.send(&token("/oauth/introspect", "api:reports-guess", &query)));
    day.page(&demo.send(&get(&format!("/api/orders?access_token={newer}"))));

    // The other clients, right and wrong.
    let password = "grant_type=password&username=alice&password=wonderland";
    day.tokens(&demo.send(&token("/oauth/token", "reports:reports-secret", password)));
    let wrong = "grant_type=password&username=alice&password=looking-glass";
    day.page(&demo.send(&token("/oauth/token", "reports:reports-secret", wrong)));
    day.page(&demo.send(&token("/oauth/token", "reports:reports-guess", password)));
    day.page(
        &demo.send(&post("/oauth/token", &format!("client_id=reports&client_secret=reports-secret&{wrong}"))),
    );
    day.page(&redeem(demo, &code));

    // The administrator, and the end.
    for accept in ["Accept: text/html", "Accept: application/json"] {
        let list = with_header(&with_header(&get("/admin/tokens"), accept), &basic("admin:admin-secret"));
        let list = demo.send(&list);
        assert_eq!(list.status, 200);
        day.page(&list);
    }
    day.page(&browser.get("/grants"));
    let logout = browser.get("/logout");
    day.page(&logout);
    day.page(&browser.post("/logout", &[("csrf", &hidden(&logout, "csrf"))]));
    day.page(&demo.send(&token("/oauth/revoke", "reports:reports-secret", &query)));
    day.page(&demo.send(&get("/.well-known/oauth-authorization-server")));

    let log = demo.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{framework} says little: {log}");
    for (what, secret) in &day.secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{framework} logs a {what}: {line:?}");
        let page = day.pages.iter().find(|page| page.contains(secret));
        assert!(page.is_none(), "{framework} shows a {what}: {page:?}");
    }
}

#[test]
fn no_secret_is_logged_at_any_level_or_shown_on_a_page() {
    std::thread::scope(|scope| {
        for framework in FRAMEWORKS {
            scope.spawn(move || day(framework));
        }
    });
}
