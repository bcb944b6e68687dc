//! A grant type of your own (RFC 6749 §4.5): users who are logged in at an old portal get
//! tokens without logging in again.
//!
//! ```sh
//! cargo run --example custom_grant --features testing
//! # Behind an HTTP server, a client would send:
//! curl -u app:SECRET -d grant_type=urn:example:portal-session -d session=SESSION https://id.example.com/oauth/token
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::collections::HashMap;

use grantor::error::GrantFailure;
use grantor::grant_type::{Approval, Authenticated, GrantType, Member};
use grantor::http::{Request, Router};
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::block_on;
use grantor::{AuthMethod, AuthorizationServer, Client, Error, GrantTypeName, Scope, Subject};

/// What the old portal knows of a session. A real one would be asked over the network.
struct Session {
    subject: Subject,
    may_write: bool,
    minutes_left: u64,
}

struct PortalSessionGrant {
    sessions: HashMap<String, Session>,
    name: GrantTypeName,
    read_only: Scope,
}

impl GrantType for PortalSessionGrant {
    /// Extension grants are named by a URI of whoever defines them.
    fn name(&self) -> GrantTypeName {
        self.name.clone()
    }

    /// The server has authenticated the client and seen that it may use this grant type. What
    /// is left is to say who the subject is and how much that is worth; the server narrows
    /// scopes, mints the tokens and stores them.
    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        let session = request.required_own_parameter("session")?;
        let session = self.sessions.get(session).ok_or(GrantFailure::Unknown)?;
        let approval = Approval::for_subject(session.subject.clone())
            // The portal would have to be asked again.
            .without_refresh_token()
            .member("portal_minutes_left", Member::Number(session.minutes_left));
        Ok(if session.may_write { approval } else { approval.at_most(self.read_only.clone()) })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = GrantTypeName::new("urn:example:portal-session")?;
    let (secret, hashed) = Client::generate_secret()?;
    let app = Client::confidential("app")
        .secret(hashed)
        .auth_methods([AuthMethod::ClientSecretPost])
        .grant_type(name.clone())
        .scopes("orders.read orders.write")
        .default_scopes("orders.read")
        .build()?;
    let session = Session { subject: Subject::new("alice")?, may_write: false, minutes_left: 17 };
    let server = AuthorizationServer::builder("https://id.example.com")
        .clients(MemoryClientStore::from_iter([app]))
        .tokens(MemoryTokenStore::new())
        .grant_type(PortalSessionGrant {
            sessions: HashMap::from([("s-4711".to_owned(), session)]),
            name,
            read_only: "orders.read".parse()?,
        })
        .build()?;
    let router = Router::builder(server).build()?;

    for more in [
        "&session=s-4711",
        "&session=s-4711&scope=orders.write",
        "&session=s-4712",
        "&session=1&session=2",
        "",
    ] {
        let credentials = format!("client_id=app&client_secret={}", secret.expose());
        let body = format!("grant_type=urn%3Aexample%3Aportal-session&{credentials}{more}");
        let request = Request::new("POST", "/oauth/token")
            .header("content-type", b"application/x-www-form-urlencoded")
            .body(body.as_bytes())
            .secure(true);
        let reply = block_on(router.handle(&request)).ok_or("it is one of the router's paths")?;
        println!("{more:40} {} {}", reply.status(), String::from_utf8_lossy(reply.body()));
    }
    Ok(())
}
