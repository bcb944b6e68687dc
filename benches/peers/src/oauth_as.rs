//! `oauth-as` with its store in memory, through its own HTTP service.

mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use oauth_as::authorization::AuthorizationRequest;
use oauth_as::client::ClientId;
use oauth_as::http::{AuthorizationService, ServiceBuilder};
use oauth_as::server::{AuthorizationServer, Clock, ServerConfig, UserApproval};
use oauth_as::store::{MemoryStorage, Storage as _};
use oauth_as::token::{IssuedToken, TokenTypeHint};

use grantor::CodeVerifier;

use crate::server::{ASKED, Post, REDIRECT_URI, Registration, SCOPE, Server, VERIFIER, ready};

pub struct OauthAs {
    server: Arc<AuthorizationServer<MemoryStorage, Ahead>>,
    service: AuthorizationService<MemoryStorage, Ahead>,
    ahead: Arc<AtomicU64>,
    subjects: AtomicU64,
}

/// The system's clock, some hours ahead.
#[derive(Clone)]
struct Ahead(Arc<AtomicU64>);

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

pub struct Answer(Bytes);

impl OauthAs {
    pub fn new(registrations: &[Registration]) -> Self {
        let ahead = Arc::new(AtomicU64::new(0));
        let config = ServerConfig::new("https://id.example.com", "https://id.example.com/device");
        let server = AuthorizationServer::with_clock(config, MemoryStorage::new(), Ahead(Arc::clone(&ahead)));
        for own in registrations {
            let client = client::new(&own.id, &own.secret, REDIRECT_URI, SCOPE, ASKED);
            ready(server.register_client(client)).unwrap();
        }
        let server = Arc::new(server);
        let service =
            ServiceBuilder::new(Arc::clone(&server)).dangerously_disable_verification_protections().build();
        Self { server, service: service.unwrap(), ahead, subjects: AtomicU64::new(0) }
    }
}

impl OauthAs {
    /// As its revocation endpoint does with a refresh token.
    pub fn revoke_grant(&self, client: &Registration, refresh_token: &str) {
        let id = ClientId::new(client.id.as_str());
        let hint = Some(TokenTypeHint::RefreshToken);
        ready(self.server.revoke(&id, Some(&client.secret), refresh_token, hint)).unwrap();
    }
}

impl Server for OauthAs {
    type Reply = Answer;
    type Introspection = Arc<IssuedToken>;

    fn token(&self, post: &Post) -> Answer {
        let request = http::Request::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", &*post.authorization)
            .body(Full::new(Bytes::copy_from_slice(&post.body)))
            .unwrap();
        let response = ready(self.service.handle(request));
        assert_eq!(response.status(), 200);
        Answer(response.into_body().into_bytes())
    }

    fn body(reply: &Answer) -> &[u8] {
        &reply.0
    }

    fn introspect(&self, token: &str) -> Option<Arc<IssuedToken>> {
        ready(self.server.introspect(token)).unwrap()
    }

    fn code(&self, client: &Registration) -> String {
        let challenge = CodeVerifier::new(VERIFIER).unwrap().challenge();
        let mut request = AuthorizationRequest::default();
        request.response_type = Some("code".into());
        request.client_id = Some(client.id.as_str().into());
        request.redirect_uri = Some(REDIRECT_URI.into());
        request.scope = Some(ASKED.into());
        request.code_challenge = Some(challenge.as_str().into());
        request.code_challenge_method = Some("S256".into());
        let valid = ready(self.server.validate_authorization_request(&request)).unwrap();
        let subject = format!("user-{:08}", self.subjects.fetch_add(1, Ordering::Relaxed));
        ready(self.server.issue_authorization_code(UserApproval::granted(&valid, subject))).unwrap().code
    }

    /// Of client credentials: it takes one token away, and knows no grant by it.
    fn revoke(&self, token: &str) {
        ready(self.server.store().delete_token(token)).unwrap();
    }

    fn pass_an_hour(&self) {
        self.ahead.fetch_add(3600, Ordering::Relaxed);
    }
}
