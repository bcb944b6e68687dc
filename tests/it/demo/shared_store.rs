//! What holds for example servers that share a store over the network.

use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use super::process::{Demo, refused, token, until};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const ASK: &str = "grant_type=client_credentials";

fn config(store: &str, rest: &str) -> String {
    format!(
        "store = \"{store}\"\nserver_key = \"{KEY}\"\nsettings.require_https = false\n{rest}\n\
         [[scope]]\nname = \"a\"\ndescription = \"A\"\n{}",
        client("app")
    )
}

fn client(id: &str) -> String {
    format!(
        "[[client]]\nid = \"{id}\"\nsecret = \"{id}-secret\"\ngrants = [\"client_credentials\"]\n\
         scopes = [\"a\"]\ndefault_scopes = [\"a\"]\n"
    )
}

fn ask(demo: &Demo, path: &str, form: &str) -> Value {
    let response = demo.send(&token(path, "app:app-secret", form));
    assert_eq!(response.status, 200);
    if response.body.is_empty() { Value::Null } else { response.json() }
}

fn issue(demo: &Demo) -> String {
    ask(demo, "/oauth/token", ASK)["access_token"].as_str().unwrap().to_owned()
}

fn is_active(demo: &Demo, token: &str) -> bool {
    ask(demo, "/oauth/introspect", &format!("token={token}"))["active"] == true
}

/// Two processes are one server, on each framework; a key is required; clients that the file has no
/// more are gone with their tokens.
pub(crate) fn processes_share(store: &str) {
    let text = config(store, &client("other"));
    let servers =
        [Demo::start_on("hyper", &text), Demo::start_on("axum", &text), Demo::start_on("actix", &text)];
    for (index, server) in servers.iter().enumerate() {
        let own = issue(server);
        let next = &servers[(index + 1) % 3];
        assert!(is_active(next, &own));
        ask(next, "/oauth/revoke", &format!("token={own}"));
        assert!(!is_active(server, &own));
    }
    let request = token("/oauth/token", "other:other-secret", ASK);
    assert_eq!(servers[0].send(&request).status, 200);
    servers[0].reload(&config(store, ""));
    assert!(until(|| servers[0].send(&request).status == 401));
    let without_key = text.replace("server_key", "#");
    assert!(refused(&without_key).contains("server_key"));
}

/// What a server has answered before it was killed is true after it.
pub(crate) fn nothing_is_lost_with_a_process(store: &str) {
    let text = config(store, "");
    for _ in 0..2 {
        let mut demo = Demo::start(&text);
        let (given, revoked) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let work = || {
            let mut connection = demo.try_connect()?;
            for count in 0_u64.. {
                let response = connection.ask(&token("/oauth/token", "app:app-secret", ASK))?;
                let own = response.json()["access_token"].as_str()?.to_owned();
                if count % 2 == 0 {
                    given.lock().unwrap().push(own);
                    continue;
                }
                let form = format!("token={own}");
                let response = connection.ask(&token("/oauth/revoke", "app:app-secret", &form))?;
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
        let demo = Demo::start(&text);
        assert!(given.into_inner().unwrap().iter().all(|token| is_active(&demo, token)));
        assert!(!revoked.into_inner().unwrap().iter().any(|token| is_active(&demo, token)));
    }
}

/// A store that cannot be reached or used: one line that names the key.
pub(crate) fn an_unreachable_store_ends_with_2(store: &str) {
    let line = refused(&config(store, ""));
    assert!(line.contains("store: "), "{line}");
}
