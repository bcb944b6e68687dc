//! A process that is killed in the middle of its work: what it had acknowledged holds.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use grantor::store::{ClientRegistry as _, SqliteStore};
use grantor::testing::{block_on, mint};
use grantor::{AuthorizationServer, Client};

use super::Directory;

const FILE: &str = "GRANTOR_TEST_CRASH_FILE";

fn server(path: &Path) -> AuthorizationServer {
    let store = SqliteStore::open(path).unwrap();
    block_on(store.put_client(Client::public("app").scopes("a").build().unwrap())).unwrap();
    AuthorizationServer::builder("https://as.example").clients(store.clone()).tokens(store).build().unwrap()
}

/// The process that is killed: issues tokens, revokes every other one, and says so.
#[test]
fn what_was_acknowledged_before_a_kill_holds_child() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let server = server(path.as_ref());
    let say = |what: &str, token: &str| {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "\n{what} {token}").and_then(|()| stdout.flush()).unwrap();
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for count in 0_u64.. {
                    let scope = "a".parse().unwrap();
                    let token = block_on(mint(&server, "app".parse().unwrap(), None, scope)).unwrap();
                    say("issued", token.expose());
                    if count % 2 == 0 {
                        say("revoking", token.expose());
                        assert!(block_on(server.revoke(token.expose())).unwrap());
                        say("revoked", token.expose());
                    }
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_before_a_kill_holds() {
    let directory = Directory::new();
    let mut said: [HashSet<String>; 3] = Default::default();
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "sqlite::crash::what_was_acknowledged_before_a_kill_holds_child",
            ])
            .env(FILE, directory.file())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = round * 150;
        let mut killed = false;
        for line in lines.map_while(Result::ok) {
            // The last line may be cut off.
            let Some((what, token)) = line.split_once(' ').filter(|(_, token)| token.len() == 64) else {
                continue;
            };
            let Some(at) = ["issued", "revoking", "revoked"].iter().position(|own| *own == what) else {
                continue;
            };
            said[at].insert(token.to_owned());
            if said[2].len() >= enough && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "it ended by itself");
        child.wait().unwrap();

        let server = server(&directory.file());
        let is_active = |token: &str| block_on(server.introspect(token)).unwrap().is_active();
        let [issued, revoking, revoked] = &said;
        assert!(revoked.iter().all(|token| !is_active(token)), "a revocation is lost");
        assert!(issued.difference(revoking).all(|token| is_active(token)), "a token is lost");
        assert!(issued.len() > revoking.len());
    }
    let raw = rusqlite::Connection::open(directory.file()).unwrap();
    let verdict: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}
