//! The example server with its stores in a file: its configuration, its end and its start.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use grantor::AuthorizationServer;
use grantor::store::{SqliteStore, UserStore as _};
use grantor::testing::block_on;

use crate::demo::process::*;

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";

fn config(store: &Path, rest: &str) -> String {
    format!("store = \"sqlite:{}\"\nsettings.require_https = false\n{rest}", store.display())
}

fn client(id: &str) -> String {
    format!(
        "[[client]]\nid = \"{id}\"\nsecret = \"{id}-secret\"\ngrants = [\"client_credentials\"]\n\
         scopes = [\"orders.read\"]\ndefault_scopes = [\"orders.read\"]\n"
    )
}

fn user(name: &str) -> String {
    format!("[[user]]\nusername = \"{name}\"\npassword = \"wonderland\"\n")
}

/// The access token that `client` gets.
fn issue(demo: &Demo, client: &str) -> Option<String> {
    let credentials = format!("{client}:{client}-secret");
    let response = demo.send(&token("/oauth/token", &credentials, CLIENT_CREDENTIALS));
    (response.status == 200).then(|| response.json()["access_token"].as_str().unwrap().to_owned())
}

/// Looks into the file beside whoever has it open.
fn is_active(path: &Path, token: &str) -> bool {
    let store = SqliteStore::open(path).unwrap();
    let server = AuthorizationServer::builder("https://id.example.com").clients(store.clone());
    let server = server.users(store.clone()).tokens(store).build().unwrap();
    block_on(server.introspect(token)).unwrap().is_active()
}

#[test]
fn tokens_outlive_the_server_that_issued_them() {
    let files = Files::new();
    let path = files.path().join("grants.db");
    let mut demo = Demo::start(&config(&path, &client("app")));
    let first = issue(&demo, "app").unwrap();
    demo.signal("TERM");
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
    let demo = Demo::start(&config(&path, &client("app")));
    let second = issue(&demo, "app").unwrap();
    assert!(is_active(&path, &first) && is_active(&path, &second));
}

#[test]
fn two_servers_serve_one_file_at_once() {
    let files = Files::new();
    let path = files.path().join("grants.db");
    let servers = [0, 1].map(|_| Demo::start(&config(&path, &client("app"))));
    let tokens = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for server in servers.iter().cycle().take(8) {
            let tokens = &tokens;
            scope.spawn(move || {
                let own: Vec<_> = (0..25).map(|_| issue(server, "app").unwrap()).collect();
                tokens.lock().unwrap().extend(own);
            });
        }
    });
    let tokens = tokens.into_inner().unwrap();
    assert_eq!(tokens.len(), 200);
    let store = SqliteStore::open(&path).unwrap();
    let server =
        AuthorizationServer::builder("https://id.example.com").clients(store.clone()).tokens(store).build();
    let server = server.unwrap();
    for token in &tokens {
        assert!(block_on(server.introspect(token)).unwrap().is_active());
    }
}

#[test]
fn a_server_that_is_killed_has_kept_every_token_it_gave_and_every_revocation() {
    let files = Files::new();
    let path = files.path().join("grants.db");
    for _ in 0..3 {
        let mut demo = Demo::start(&config(&path, &client("app")));
        let (given, revoked) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        // Gives up when the server is gone; a token whose revocation is not answered may be
        // either.
        let work = || {
            let mut connection = demo.try_connect()?;
            for count in 0_u64.. {
                let response =
                    connection.ask(&token("/oauth/token", "app:app-secret", CLIENT_CREDENTIALS))?;
                let own = response.json()["access_token"].as_str()?.to_owned();
                if count % 2 == 0 {
                    given.lock().unwrap().push(own);
                    continue;
                }
                let response =
                    connection.ask(&token("/oauth/revoke", "app:app-secret", &format!("token={own}")))?;
                assert_eq!(response.status, 200);
                revoked.lock().unwrap().push(own);
            }
            Some(())
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(work);
            }
            assert!(until(|| revoked.lock().unwrap().len() >= 100));
            demo.signal("KILL");
        });
        demo.child.wait().unwrap();
        assert!(given.into_inner().unwrap().iter().all(|token| is_active(&path, token)));
        assert!(!revoked.into_inner().unwrap().iter().any(|token| is_active(&path, token)));
    }
}

#[test]
fn the_file_wins_at_start_and_at_sighup() {
    let files = Files::new();
    let path = files.path().join("grants.db");
    let all = format!("{}{}{}{}", client("app"), client("other"), user("alice"), user("bob"));
    let mut demo = Demo::start(&config(&path, &all));
    let [kept, gone] = ["app", "other"].map(|client| issue(&demo, client).unwrap());
    let of_user = |name: &str| {
        let store = SqliteStore::open(&path).unwrap();
        block_on(store.user(name)).unwrap().is_some()
    };
    assert!(of_user("alice") && of_user("bob"));

    // At SIGHUP the users, at the next start the clients.
    demo.reload(&config(&path, &format!("{}{}{}", client("app"), client("other"), user("bob"))));
    assert!(!of_user("alice") && of_user("bob") && is_active(&path, &gone));
    demo.signal("TERM");
    demo.child.wait().unwrap();
    let demo = Demo::start(&config(&path, &client("app")));
    assert!(!of_user("bob") && is_active(&path, &kept));
    assert!(issue(&demo, "other").is_none());
    demo.reload(&config(&path, &format!("{}{}", client("app"), client("other"))));
    assert!(issue(&demo, "other").is_some());
    assert!(!is_active(&path, &gone), "who comes back under the same name does not find the old tokens");
    demo.reload(&config(&path, &format!("{}enabled = false\n", client("app"))));
    assert!(issue(&demo, "app").is_none() && !is_active(&path, &kept));
}

#[test]
#[cfg(unix)]
fn the_server_key_is_made_once_and_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let files = Files::new();
    let path = files.path().join("grants.db");
    let key_path = files.path().join("grants.db.key");
    let with_key = format!("server_key = \"{}\"\n{}", "ab".repeat(32), config(&path, ""));
    drop(Demo::start(&with_key));
    assert!(!key_path.exists(), "one that is given is not kept");
    drop(Demo::start(&config(&path, "")));
    let key = fs::read_to_string(&key_path).unwrap();
    assert_eq!(key.len(), 64);
    assert_eq!(fs::metadata(&key_path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(Demo::start(&config(&path, "")));
    assert_eq!(fs::read_to_string(&key_path).unwrap(), key);
    assert_eq!(fs::read_dir(files.path()).unwrap().filter(is_draft).count(), 0);
    fs::write(&key_path, "short").unwrap();
    assert!(refused(&config(&path, "")).contains("store: "));
}

fn is_draft(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().unwrap().file_name().to_string_lossy().contains(".key.")
}

#[test]
fn a_file_that_cannot_be_used_ends_with_2_and_one_line() {
    let files = Files::new();
    let path = files.path().join("grants.db");
    drop(SqliteStore::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 2).unwrap();
    drop(raw);
    let line = refused(&config(&path, ""));
    assert!(line.contains("store: ") && line.contains("newer"), "{line}");
    let text = files.path().join("text");
    fs::write(&text, "no database".repeat(100)).unwrap();
    let line = refused(&config(&text, ""));
    assert!(line.contains("store: ") && line.contains("damaged"), "{line}");
    assert!(refused(&config(files.path(), "")).contains("store: "));
}
