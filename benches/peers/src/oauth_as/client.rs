use oauth_as::client::{Client, ClientAuth, ClientId, SecretHash};
use oauth_as::grant::GrantType;
use oauth_as::scope::ScopeSet;

/// A client that may do what is measured.
pub fn new(id: &str, secret: &str, redirect_uri: &str, scope: &str, default_scope: &str) -> Client {
    Client {
        client_id: ClientId::new(id),
        auth: ClientAuth::ConfidentialSecretHash { hash: SecretHash::sha256(secret) },
        grant_types: vec![
            GrantType::ClientCredentials,
            GrantType::AuthorizationCode,
            GrantType::RefreshToken,
        ],
        redirect_uris: vec![redirect_uri.to_owned()],
        allowed_scopes: ScopeSet::from_tokens(scope.split(' ')).unwrap(),
        default_scopes: ScopeSet::from_tokens([default_scope]).unwrap(),
        name: None,
        registration: None,
    }
}
