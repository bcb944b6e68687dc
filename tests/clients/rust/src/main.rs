//! The Rust crate `oauth2` as a client of an example server: `oauth2-client ORIGIN`.

mod browser;

use std::error::Error;

use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RequestTokenError,
    ResourceOwnerPassword, ResourceOwnerUsername, RevocationUrl, Scope, StandardRevocableToken,
    TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};

use browser::Browser;

type Outcome<T> = Result<T, Box<dyn Error>>;
type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;

const CALLBACK: &str = "http://127.0.0.1:7777/callback";
const SECRET: &str = "s3cr3t: 100% /+=&";

fn main() -> Outcome<()> {
    let origin = std::env::args().nth(1).ok_or("usage: oauth2-client ORIGIN")?;
    let mut checks = Checks { origin, made: 0 };
    checks.run()?;
    println!("oauth2: {} checks", checks.made);
    Ok(())
}

struct Checks {
    origin: String,
    made: usize,
}

impl Checks {
    fn run(&mut self) -> Outcome<()> {
        let reports = self.client("reports", Some(SECRET))?;
        let token = reports
            .exchange_client_credentials()
            .add_scope(Scope::new("orders.read".into()))
            .add_scope(Scope::new("orders.write".into()))
            .request(&send)?;
        self.check(
            "client credentials",
            self.orders(&token)? == 200 && token.scopes().is_some_and(|s| s.len() == 2),
        )?;

        let batch = self.client("batch", Some("batch-secret"))?.set_auth_type(AuthType::RequestBody);
        let token = batch.exchange_client_credentials().request(&send)?;
        self.check("client_secret_post", self.orders(&token)? == 200)?;
        let wrong = self.client("reports", Some("wrong"))?.exchange_client_credentials().request(&send);
        self.refused("wrong secret", wrong, BasicErrorResponseType::InvalidClient)?;

        let alice = ResourceOwnerUsername::new("alice".into());
        let password = |password: &str| {
            let password = ResourceOwnerPassword::new(password.into());
            reports.exchange_password(&alice, &password).request(&send)
        };
        self.check("password", self.orders(&password("wonderland")?)? == 200)?;
        self.refused("wrong password", password("underland"), BasicErrorResponseType::InvalidGrant)?;

        self.code_flow("webapp", None)?;
        self.code_flow("reports", Some(SECRET))
    }

    fn code_flow(&mut self, id: &str, secret: Option<&str>) -> Outcome<()> {
        let client = self.client(id, secret)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let verifier = verifier.into_secret();
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("orders.read".into()))
            .set_pkce_challenge(challenge)
            .url();
        let answer = Browser::new(&self.origin).allow(url.as_str())?;
        self.check("state", answer.parameter("state").as_ref() == Some(state.secret()))?;
        self.check("iss", answer.parameter("iss").as_ref() == Some(&self.origin))?;
        let code = answer.parameter("code").ok_or("there is no code")?;
        let redeem = || {
            client
                .exchange_code(AuthorizationCode::new(code.clone()))
                .set_pkce_verifier(oauth2::PkceCodeVerifier::new(verifier.clone()))
                .request(&send)
        };

        let first = redeem()?;
        self.check("code", self.orders(&first)? == 200)?;
        let refresh = |token: &BasicTokenResponse| {
            let token = token.refresh_token().expect("there is a refresh token");
            client.exchange_refresh_token(token).request(&send)
        };
        let second = refresh(&first)?;
        let is_new = first.refresh_token().map(|token| token.secret())
            != second.refresh_token().map(|token| token.secret());
        self.check("rotation", is_new && self.orders(&second)? == 200)?;

        let api = self.client("orders-api", Some("orders-api-secret"))?;
        let told = api.introspect(second.access_token()).request(&send)?;
        self.check("introspection", told.active() && told.username() == Some("alice"))?;
        self.check("whose token", told.client_id().is_some_and(|own| own.as_str() == id))?;

        let ended = second.refresh_token().ok_or("there is no refresh token")?;
        client.revoke_token(StandardRevocableToken::from(ended))?.request(&send)?;
        self.check("revocation", !api.introspect(second.access_token()).request(&send)?.active())?;
        self.check("revoked", self.orders(&second)? == 401)?;
        self.refused("refresh after revocation", refresh(&second), BasicErrorResponseType::InvalidGrant)?;
        self.refused("spent code", redeem(), BasicErrorResponseType::InvalidGrant)
    }

    fn client(&self, id: &str, secret: Option<&str>) -> Outcome<Client> {
        let at = |path: &str| format!("{}/oauth/{path}", self.origin);
        let client = BasicClient::new(ClientId::new(id.into()))
            .set_auth_uri(AuthUrl::new(at("authorize"))?)
            .set_token_uri(TokenUrl::new(at("token"))?)
            .set_introspection_url(IntrospectionUrl::new(at("introspect"))?)
            // The crate wants `https` here, so it gets that; see `send`.
            .set_revocation_url(RevocationUrl::new(at("revoke").replacen("http", "https", 1))?)
            .set_redirect_uri(RedirectUrl::new(CALLBACK.into())?);
        Ok(match secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.into())),
            None => client,
        })
    }

    fn orders(&self, token: &BasicTokenResponse) -> Outcome<u16> {
        let bearer = format!("Bearer {}", token.access_token().secret());
        let orders = agent().get(format!("{}/api/orders", self.origin));
        Ok(orders.header("authorization", bearer).call()?.status().as_u16())
    }

    fn check(&mut self, what: &str, holds: bool) -> Outcome<()> {
        self.made += 1;
        if holds { Ok(()) } else { Err(format!("{what}: failed").into()) }
    }

    fn refused<T, E: Error>(
        &mut self,
        what: &str,
        outcome: Result<T, RequestTokenError<E, oauth2::basic::BasicErrorResponse>>,
        expected: BasicErrorResponseType,
    ) -> Outcome<()> {
        match outcome {
            Err(RequestTokenError::ServerResponse(told)) => self.check(what, *told.error() == expected),
            Err(other) => Err(format!("{what}: {other}").into()),
            Ok(_) => Err(format!("{what}: was not refused").into()),
        }
    }
}

/// Sends what the crate has made.
fn send(mut request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    let url = request.uri().to_string().replacen("https:", "http:", 1);
    *request.uri_mut() = url.parse().map_err(|_| ureq::Error::BadUri(url))?;
    let (head, mut body) = agent().run(request)?.into_parts();
    Ok(HttpResponse::from_parts(head, body.read_to_vec()?))
}

/// It keeps cookies, and leaves refusals and redirects to who asks.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    config.http_status_as_error(false).max_redirects(0).max_redirects_will_error(false).build().into()
}
