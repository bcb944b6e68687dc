//! The example server from outside: a process, its command line, its signals and TCP.

pub(crate) mod browser;
pub(crate) mod process;
pub(crate) mod shared_store;

use std::collections::HashSet;
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use process::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";

/// A configuration that takes plain http, for the tables that follow it.
const PLAIN: &str = "settings.require_https = false\n";
const REPORTS: &str = r#"
[[client]]
id = "reports"
secret = "reports-secret"
grants = ["client_credentials"]
scopes = ["orders.read", "orders.write"]
default_scopes = ["orders.read"]
"#;

#[test]
fn the_first_line_names_the_address_and_the_second_one_gets_a_token() {
    let demo = Demo::built_in();
    let line = demo.lines.get(1).expect("a curl line");
    assert!(line.starts_with("curl ") && line.ends_with(&format!("http://{}/oauth/token", demo.address)));
    if Command::new("curl").arg("--version").output().is_err() {
        return;
    }
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let body: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(body["scope"], "orders.read", "{body}");
}

#[test]
fn the_health_page_is_ok() {
    let demo = Demo::built_in();
    let response = demo.send(&get("/healthz"));
    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
    assert_eq!(demo.send("HEAD /healthz HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn paths_that_do_not_exist_are_not_found() {
    let demo = Demo::built_in();
    for path in
        ["/x", "/oauth", "/oauth/token/", "/oauth/Token", "/admin/tokens", "/invoke/pub.oauth/getOther"]
    {
        let response = demo.send(&get(path));
        assert_eq!((response.status, response.error()), (404, "not_found".to_owned()), "{path}");
    }
}

#[test]
fn a_connection_serves_a_hundred_requests_with_a_token_of_its_own_each() {
    let demo = Demo::start_with(&["--workers", "1"], &format!("{PLAIN}{REPORTS}"));
    let mut connection = demo.connect();
    let tokens: HashSet<String> = (0..100)
        .map(|_| {
            connection.write(&token("/oauth/token", "reports:reports-secret", CLIENT_CREDENTIALS));
            let response = connection.read();
            assert_eq!(response.status, 200, "{}", response.body);
            response.json()["access_token"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(tokens.len(), 100);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let demo = Demo::built_in();
    let mut connection = demo.connect();
    let token = token("/oauth/token", "reports:reports-secret", CLIENT_CREDENTIALS);
    connection.write(&format!("{token}{}{token}", get("/healthz")));
    assert_eq!(connection.read().json()["token_type"], "Bearer");
    assert_eq!(connection.read().body, "ok");
    assert_eq!(connection.read().json()["token_type"], "Bearer");
}

#[test]
fn seed_t16_legacy_paths_take_their_own_grants() {
    let demo = Demo::built_in();
    let ask = |service: &str, form: &str| {
        demo.send(&token(&format!("/invoke/pub.oauth/{service}"), "reports:reports-secret", form))
    };
    assert_eq!(ask("getToken", CLIENT_CREDENTIALS).status, 200);
    assert_eq!(ask("getAccessToken", CLIENT_CREDENTIALS).status, 200);
    let refused = ask("refreshAccessToken", CLIENT_CREDENTIALS);
    assert_eq!((refused.status, refused.error()), (400, "unsupported_grant_type".to_owned()));
    let refused = ask("getAccessToken", "grant_type=refresh_token&refresh_token=x");
    assert_eq!((refused.status, refused.error()), (400, "unsupported_grant_type".to_owned()));
}

#[test]
fn gen_01_other_methods_are_refused_with_those_allowed() {
    let demo = Demo::built_in();
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let response = demo.send(&format!("{method} /oauth/token HTTP/1.1\r\nHost: demo\r\n\r\n"));
        assert_eq!((response.status, response.error()), (405, "invalid_request".to_owned()), "{method}");
        assert_eq!(response.header("allow"), Some("POST"), "{method}");
    }
}

#[test]
fn gen_18_plain_http_is_refused_unless_the_file_says_otherwise() {
    let demo = Demo::start(REPORTS);
    let request = token("/oauth/token", "reports:reports-secret", CLIENT_CREDENTIALS);
    let response = demo.send(&request);
    assert_eq!((response.status, response.error()), (400, "invalid_request".to_owned()));
    let forwarded = with_header(&request, "X-Forwarded-Proto: https");
    assert_eq!(demo.send(&forwarded).status, 400, "nobody is trusted to say so");
}

#[test]
fn gen_18_a_trusted_proxy_is_believed() {
    let demo = Demo::start(&format!("settings.trusted_proxies = [\"127.0.0.1\"]\n{REPORTS}"));
    let request = token("/oauth/token", "reports:reports-secret", CLIENT_CREDENTIALS);
    assert_eq!(demo.send(&with_header(&request, "X-Forwarded-Proto: https")).status, 200);
    assert_eq!(demo.send(&with_header(&request, "X-Forwarded-Proto: http")).status, 400);
    assert_eq!(demo.send(&request).status, 400);
}

#[test]
fn a_refusal_is_one_line_with_the_client_the_reason_and_the_scopes() {
    let demo = Demo::built_in();
    let form = "grant_type=client_credentials&scope=profile";
    assert_eq!(demo.send(&token("/oauth/token", "reports:reports-secret", form)).error(), "invalid_scope");
    let log = demo.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in ["INFO", "client=reports", "invalid_scope", "\"profile\"", "\"orders.read orders.write\""] {
        assert!(lines[0].contains(part), "{part}: {log}");
    }
}

#[test]
fn every_key_of_the_contract_is_known() {
    let demo = Demo::start(EVERY_KEY);
    let forwarded = |id_and_secret: &str| {
        let request = token("/oauth/token", id_and_secret, CLIENT_CREDENTIALS);
        demo.send(&with_header(&request, "X-Forwarded-Proto: https"))
    };
    for secret in ["old", "new"] {
        assert_eq!(forwarded(&format!("reports:{secret}")).json()["expires_in"], 600, "{secret}");
    }
    let never = forwarded("batch:batch-secret").json();
    assert_eq!((&never["expires_in"], &never["scope"]), (&Value::Null, &"orders.read".into()));
    assert_eq!(forwarded("off:off-secret").error(), "invalid_client");
}

#[test]
fn a_wrong_configuration_ends_with_2_and_one_line_that_names_the_key() {
    for (text, key) in [
        ("foo = 1", "foo: unknown key"),
        ("[settings]\nfoo = 1", "settings.foo: unknown key"),
        ("[settings]\nrequire_https = \"no\"", "settings.require_https: "),
        ("[settings]\nauthorization_code_lifetime = 0", "settings.authorization_code_lifetime: "),
        ("[settings]\nauthorization_code_lifetime = 601", "settings.authorization_code_lifetime: "),
        ("[settings]\nauthorization_code_lifetime = -1", "settings.authorization_code_lifetime: "),
        ("[settings]\naccess_token_lifetime = 0", "settings.access_token_lifetime: "),
        ("[settings]\naccess_token_lifetime = \"ever\"", "settings.access_token_lifetime: "),
        ("[settings]\naccess_token_lifetime = 4294967296", "settings.access_token_lifetime: "),
        ("[settings]\nrefresh_token_lifetime = 0", "settings.refresh_token_lifetime: "),
        ("[settings]\nrefresh_token_idle_lifetime = 0", "settings.refresh_token_idle_lifetime: "),
        ("[settings]\nrefresh_retry_window = 601", "settings.refresh_retry_window: "),
        ("[settings]\nmemory_capacity = 0", "settings.memory_capacity: "),
        ("[settings]\nclient_share = 1.5", "settings.client_share: "),
        ("[settings]\nclient_share = nan", "settings.client_share: "),
        ("[settings]\ntier_memory = 0", "settings.tier_memory: "),
        ("[settings]\npassword_queue = -1", "settings.password_queue: "),
        ("[settings]\nallow_password_grant = 1", "settings.allow_password_grant: "),
        ("[settings]\nallow_plain_pkce = true\ncors_origins = [\"app\"]", "settings.cors_origins: "),
        ("[settings]\ntrusted_proxies = [\"proxy\"]", "settings.trusted_proxies: "),
        ("settings = 1", "settings: "),
        ("store = \"disk\"", "store: "),
        ("store = \"sqlite:\"", "store: the path is missing"),
        ("store = \"sqlite:/does/not/exist/grants.db\"", "store: /does/not/exist/grants.db: "),
        ("issuer = \"http://id.example.com\"", "issuer: "),
        ("server_key = \"00\"", "server_key: "),
        ("server_key = []", "server_key: "),
        ("admin = { username = \"a\" }", "admin.password: "),
        ("admin = { username = \"a\", password = \"b\", x = 1 }", "admin.x: "),
        ("[[scope]]\nname = \"a b\"", "scope[0].name: "),
        ("[[scope]]\nname = \"a\"\n[[scope]]\nname = \"a\"", "scope[1].name: "),
        ("[[scope]]\nname = \"a\"\nresources = [\"/x\"]", "scope[0].resources: "),
        ("client = 1", "client: "),
        ("client = [1]", "client[0]: "),
        ("[[client]]\nname = \"x\"", "client[0].id: "),
        ("[[client]]\nid = \"a\\nb\"", "client[0].id: "),
        ("[[user]]\nusername = \"bob\"", "user[0].password: "),
        ("[[user]]\nusername = \"bob\"\npassword = \"p\"\nage = 1", "user[0].age: "),
        ("[[user]]\nusername = \"bob\"\npassword_hash = \"p\"", "user[0].password_hash: "),
        ("[[user]]\nusername = \"\"\npassword = \"p\"", "user[0].username: "),
        ("a = [", "line 1: "),
        ("\n\n[settings\n", "line 3: "),
    ] {
        assert!(refused(text).contains(key), "{text}: {}", refused(text));
    }
    let twice = format!("{REPORTS}{REPORTS}");
    assert!(refused(&twice).contains("client[1].id: \"reports\""));
    let user = "[[user]]\nusername = \"bob\"\npassword = \"p\"\n";
    assert!(refused(&format!("{user}{user}")).contains("user[1].username: \"bob\""));
}

#[test]
fn a_wrong_client_is_named_with_the_key() {
    for (line, key) in [
        ("colour = 1", "colour"),
        ("secret = \"\"", "secret"),
        ("secret = [\"a\", \"\"]", "secret"),
        ("secret = 1", "secret"),
        ("auth_methods = [\"client_secret_basic\"]", "secret"),
        ("auth_methods = [\"tls\"]", "auth_methods"),
        ("grants = [\"implicit\"]", "grants"),
        ("grants = [\"client_credentials\"]", "grants"),
        ("grants = [\"authorization_code\"]", "redirect_uris"),
        ("grants = [\"authorization_code\"]\nredirect_uri = \"https://app.example/\"", "redirect_uri"),
        ("redirect_uris = [\"https://app.example/#x\"]", "redirect_uris"),
        ("redirect_uris = [\"javascript:alert(1)\"]", "redirect_uris"),
        ("scopes = [\"orders.raed\"]", "scopes"),
        ("scopes = [\"orders read\"]", "scopes"),
        ("default_scopes = [\"orders.read\"]", "default_scopes"),
        ("access_token_lifetime = \"always\"", "access_token_lifetime"),
        ("access_token_lifetime = 0", "access_token_lifetime"),
        ("refresh_limit = -1", "refresh_limit"),
        ("rotate_refresh_tokens = false", "rotate_refresh_tokens"),
        ("require_pkce = \"no\"", "require_pkce"),
        ("require_pkce = false", "require_pkce"),
        ("may_introspect = 1", "may_introspect"),
        ("enabled = \"yes\"", "enabled"),
    ] {
        let text = format!("[[scope]]\nname = \"orders.read\"\n[[client]]\nid = \"bob\"\n{line}\n");
        let error = refused(&text);
        assert!(error.contains(&format!("client[0].{key}: ")), "{line}: {error}");
        assert!(error.contains(r#"(client "bob")"#), "{line}: {error}");
    }
}

#[test]
fn wrong_flags_end_with_2_and_one_line() {
    for (flags, part) in [
        (&["--listen", "localhost"] as &[&str], "--listen"),
        (&["--listen"], "--listen"),
        (&["--workers", "0"], "--workers"),
        (&["--workers", "many"], "--workers"),
        (&["--colour"], "--colour"),
        (&["extra"], "extra"),
        (&["--config", "/does/not/exist.toml"], "/does/not/exist.toml"),
    ] {
        let output = run(flags);
        assert_one_line(&output, 2);
        assert!(String::from_utf8_lossy(&output.stderr).contains(part), "{flags:?}: {output:?}");
    }
    let help = run(&["--help"]);
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--config FILE"));
}

#[test]
fn an_address_that_is_taken_ends_with_1() {
    let demo = Demo::built_in();
    let output = run(&["--listen", &demo.address]);
    assert_one_line(&output, 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&demo.address));
}

#[test]
fn sighup_disables_and_enables_a_client() {
    let demo = Demo::start(&format!("{PLAIN}{REPORTS}"));
    let status = || demo.send(&token("/oauth/token", "reports:reports-secret", CLIENT_CREDENTIALS)).status;
    assert_eq!(status(), 200);
    demo.reload(&format!("{PLAIN}{REPORTS}enabled = false\n"));
    assert_eq!(status(), 401);
    demo.reload(&format!("{PLAIN}{REPORTS}"));
    assert_eq!(status(), 200);
}

#[test]
fn sighup_adds_changes_and_deletes_clients() {
    let demo = Demo::start(&format!("{PLAIN}{REPORTS}"));
    let ask = |id_and_secret| demo.send(&token("/oauth/token", id_and_secret, CLIENT_CREDENTIALS));
    let other = REPORTS.replace("reports", "other");
    demo.reload(&format!("{PLAIN}{REPORTS}{other}"));
    assert_eq!((ask("reports:reports-secret").status, ask("other:other-secret").status), (200, 200));
    demo.reload(&format!("{PLAIN}{}", other.replace("other-secret", "changed")));
    assert_eq!(ask("reports:reports-secret").status, 401);
    assert_eq!((ask("other:other-secret").status, ask("other:changed").status), (401, 200));
}

#[test]
fn sighup_with_a_broken_file_changes_nothing() {
    let demo = Demo::start(&format!("{PLAIN}{REPORTS}"));
    for (index, broken) in
        ["[", "[settings]\nauthorization_code_lifetime = 0", "[[client]]\nid = \"x\"\nfoo = 1"]
            .iter()
            .enumerate()
    {
        demo.reload(broken);
        assert_eq!(demo.log().matches("ERROR").count(), index + 1, "{}", demo.log());
        assert_eq!(
            demo.send(&token("/oauth/token", "reports:reports-secret", CLIENT_CREDENTIALS)).status,
            200
        );
    }
}

#[test]
fn sigterm_lets_a_request_finish_and_ends_with_0() {
    let mut demo = Demo::built_in();
    let idle = demo.connect();
    let mut connection = demo.connect();
    let request = with_header(
        &token("/oauth/token", "reports:reports-secret", CLIENT_CREDENTIALS),
        "Expect: 100-continue",
    );
    let (head, body) = request.split_at(request.len() - CLIENT_CREDENTIALS.len());
    connection.write(head);
    assert_eq!(connection.read().status, 100);
    demo.signal("TERM");
    assert!(until(|| TcpStream::connect(&demo.address).is_err()), "it still accepts connections");
    connection.write(body);
    let response = connection.read();
    assert_eq!(response.status, 200, "{}", response.body);
    assert!(idle.closes());
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn sigint_ends_with_0() {
    let mut demo = Demo::built_in();
    demo.signal("INT");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

const EVERY_KEY: &str = r#"
issuer = "https://id.example.com"
store = "memory"
server_key = [
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "1F1E1D1C1B1A191817161514131211100F0E0D0C0B0A09080706050403020100",
]
admin = { username = "admin", password = "admin" }

[settings]
require_https = true
cors_origins = ["https://app.example.com"]
trusted_proxies = ["127.0.0.1", "::1"]
require_post = false
authorization_code_lifetime = 60
access_token_lifetime = "never"
refresh_token_lifetime = 2592000
refresh_token_idle_lifetime = 1209600
refresh_retry_window = 0
require_pkce = true
allow_password_grant = false
allow_plain_pkce = true
require_scope = false
memory_capacity = 1000000
client_share = 1
tier_memory = 1000
tier_disk = 20000
volatile_codes = false
password_threads = 2
password_queue = 64

[[scope]]
name = "orders.read"
description = "See your orders"
resources = ["GET /api/orders", "GET /api/orders/*"]

[[client]]
id = "reports"
name = "Nightly reports"
version = "1.0"
description = "Mails a report to everyone"
secret = ["old", "new"]
auth_methods = ["client_secret_basic", "client_secret_post"]
grants = ["authorization_code", "refresh_token", "client_credentials", "password"]
redirect_uris = ["http://127.0.0.1/callback", "https://reports.example.com/cb"]
scopes = ["orders.read"]
default_scopes = ["orders.read"]
access_token_lifetime = 600
refresh_limit = 5
rotate_refresh_tokens = false
require_pkce = false
may_introspect = true
enabled = true

[[client]]
id = "batch"
secret = "batch-secret"
grants = ["client_credentials"]
scopes = ["orders.read"]
default_scopes = ["orders.read"]
access_token_lifetime = "inherit"
refresh_limit = "unlimited"
require_pkce = "inherit"

[[client]]
id = "off"
secret = "off-secret"
grants = ["client_credentials"]
refresh_limit = 0
access_token_lifetime = "never"
enabled = false

[[user]]
username = "alice"
enabled = true
password = "wonderland"
scopes = ["orders.read"]

[[user]]
username = "bob"
password_hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
"#;
