//! `oxide-auth` with its stores in memory.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oxide_auth::endpoint::{OwnerConsent, Solicitation};
use oxide_auth::frontends::simple::endpoint::{FnSolicitor, client_credentials_flow};
use oxide_auth::frontends::simple::request::{Request, Response, Status};
use oxide_auth::primitives::prelude::{Client, ClientMap, RandomGenerator, TokenMap};
use oxide_auth::primitives::registrar::RegisteredUrl;

use crate::measure::median;
use crate::server::{ASKED, REDIRECT_URI, Registration, SCOPE};

/// A sentence with what a right secret and an unknown client cost.
pub fn row(clients: &[Registration]) -> String {
    let own = &clients[0];
    let mut registrar = ClientMap::new();
    registrar.register_client(Client::confidential(
        &own.id,
        RegisteredUrl::Exact(REDIRECT_URI.parse().unwrap()),
        SCOPE.parse().unwrap(),
        own.secret.as_bytes(),
    ));
    let mut issuer = TokenMap::new(RandomGenerator::new(16));
    let mut issue = |id: &str, expected: Status| {
        let request = Request {
            urlbody: [("grant_type", "client_credentials"), ("scope", ASKED)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            auth: Some(format!("Basic {}", STANDARD.encode(format!("{id}:{}", own.secret)))),
            ..Request::default()
        };
        let mut solicitor = FnSolicitor(|_: &mut Request, asked: Solicitation<'_>| {
            OwnerConsent::<Response>::Authorized(asked.pre_grant().client_id.clone())
        });
        let begin = Instant::now();
        let response = client_credentials_flow(&registrar, &mut issuer, &mut solicitor).execute(request);
        let nanos = begin.elapsed().as_nanos() as f64;
        assert_eq!(response.unwrap().status, expected);
        nanos
    };
    let known = median((0..5).map(|_| issue(&own.id, Status::Ok)).collect());
    let unknown = median((0..100).map(|_| issue("nobody", Status::Unauthorized)).collect());
    format!(
        "issue {:.0} ms, and an unknown client is refused after {:.0} µs: the time tells which ids there are.",
        known / 1e6,
        unknown / 1e3
    )
}
