//! A site to try the example servers with, and a browser.

use std::collections::BTreeMap;

use base64::Engine as _;

use super::process::{Demo, Response, get, with_header};
use crate::support::VERIFIER;

pub(crate) const CONFIG: &str = r#"
admin = { username = "admin", password = "admin-secret" }
[settings]
require_https = false
allow_password_grant = true
refresh_retry_window = 0
[[scope]]
name = "orders.read"
description = "See your <orders>"
resources = ["GET /api/orders", "GET /api/orders/*"]
[[scope]]
name = "orders.write"
description = "Place orders for you"
resources = ["POST /api/orders"]
[[scope]]
name = "profile"
description = "See your name"
resources = ["GET /api/me"]
[[client]]
id = "reports"
secret = "reports-secret"
auth_methods = ["client_secret_basic", "client_secret_post"]
grants = ["client_credentials", "password", "refresh_token"]
scopes = ["orders.read", "orders.write"]
default_scopes = ["orders.read"]
[[client]]
id = "webapp"
name = "<script>alert(1)</script>"
description = "\"quoted\" & <b>bold</b>"
grants = ["authorization_code", "refresh_token"]
redirect_uris = ["http://127.0.0.1/callback", "com.example.app:/done"]
scopes = ["orders.read", "orders.write", "profile"]
default_scopes = ["orders.read"]
[[client]]
id = "api"
secret = "api-secret"
may_introspect = true
[[user]]
username = "alice"
password = "wonderland"
[[user]]
username = "bob"
password = "builder"
scopes = ["orders.read"]
"#;

pub(crate) const FRAMEWORKS: [&str; 3] = ["hyper", "axum", "actix"];

pub(crate) fn on_each(check: impl Fn(&Demo, &str) + Sync) {
    std::thread::scope(|scope| {
        for framework in FRAMEWORKS {
            let check = &check;
            scope.spawn(move || check(&Demo::start_on(framework, CONFIG), framework));
        }
    });
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub(crate) fn post(path: &str, form: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: demo\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

pub(crate) fn basic(credentials: &str) -> String {
    format!("Authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))
}

/// A browser without scripts: it keeps cookies and goes where it is sent.
pub(crate) struct Browser<'a> {
    demo: &'a Demo,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(demo: &'a Demo) -> Self {
        Self { demo, cookies: BTreeMap::new() }
    }

    pub(crate) fn send(&mut self, request: &str) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let header = format!("Cookie: {}", cookies.join("; "));
        let request = if cookies.is_empty() { request.to_owned() } else { with_header(request, &header) };
        let response = self.demo.send(&request);
        for (_, value) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            assert!(value.contains("HttpOnly") && value.contains("SameSite=Lax"), "{value}");
            let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        response
    }

    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.send(&get(path))
    }

    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.send(&post(path, &form(fields)))
    }

    /// Fills in the login form at `location`; where the browser is sent then.
    pub(crate) fn log_in(&mut self, location: &str, username: &str, password: &str) -> Response {
        let page = self.get(location);
        assert_eq!(page.status, 200, "{}", page.body);
        let (csrf, next) = (hidden(&page, "token"), hidden(&page, "next"));
        self.post(
            "/login",
            &[("token", &csrf), ("next", &next), ("username", username), ("password", password)],
        )
    }
}

/// The value of a hidden field, as the browser reads it.
pub(crate) fn hidden(page: &Response, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.body.split_once(&start).unwrap_or_else(|| panic!("no {name} in {}", page.body));
    let value = rest.split('"').next().unwrap();
    value.replace("&#x2f;", "/").replace("&quot;", "\"").replace("&lt;", "<").replace("&amp;", "&")
}

pub(crate) fn location(response: &Response) -> &str {
    assert_eq!(response.status, 303, "{}", response.body);
    response.header("location").unwrap()
}

pub(crate) fn authorize(more: &[(&str, &str)]) -> String {
    let challenge = grantor::CodeVerifier::new(VERIFIER).unwrap().challenge();
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", "webapp"),
        ("redirect_uri", "http://127.0.0.1:7777/callback"),
        ("scope", "orders.read orders.write profile"),
        ("state", "a b&c"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    fields.retain(|(name, _)| more.iter().all(|(own, _)| own != name));
    fields.extend(more);
    format!("/oauth/authorize?{}", form(&fields))
}

pub(crate) fn redeem(demo: &Demo, code: &str) -> Response {
    demo.send(&post(
        "/oauth/token",
        &form(&[
            ("grant_type", "authorization_code"),
            ("client_id", "webapp"),
            ("code", code),
            ("redirect_uri", "http://127.0.0.1:7777/callback"),
            ("code_verifier", VERIFIER),
        ]),
    ))
}
