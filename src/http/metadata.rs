//! What the server says of itself (RFC 8414).

use serde::Serialize;

use crate::id::GrantTypeName;
use crate::scope::ScopeDefinition;
use crate::server::AuthorizationServer;

const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";

/// The document, and the paths it is found at.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    paths: Vec<String>,
    pub(super) json: Vec<u8>,
}

/// Only what is really on; no empty arrays (RFC 8414 §3.2).
#[derive(Serialize)]
struct Document<'a> {
    /// To the code point as it was given (RFC 8414 §3.3).
    issuer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    response_types_supported: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    response_modes_supported: &'static [&'static str],
    grant_types_supported: Vec<&'a str>,
    token_endpoint_auth_methods_supported: &'static [&'static str],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: &'static [&'static str],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    code_challenge_methods_supported: &'static [&'static str],
    authorization_response_iss_parameter_supported: bool,
}

const AUTH_METHODS: &[&str] = &["client_secret_basic", "client_secret_post", "none"];
const SECRET_METHODS: &[&str] = &["client_secret_basic", "client_secret_post"];

impl Metadata {
    /// `base` is where the endpoints are, a URL without a slash at its end.
    pub(super) fn new(server: &AuthorizationServer, base: &str) -> Self {
        let issuer = server.issuer();
        let has_code = server.grant_types().any(|name| *name == GrantTypeName::AUTHORIZATION_CODE);
        let methods: &[&str] =
            if server.settings().allow_plain_pkce { &["S256", "plain"] } else { &["S256"] };
        let document = Document {
            issuer,
            authorization_endpoint: has_code.then(|| format!("{base}/authorize")),
            token_endpoint: format!("{base}/token"),
            scopes_supported: server.scopes().iter().map(scope_name).collect(),
            // Required, also of a server that knows none (RFC 8414 §2).
            response_types_supported: &["code"],
            response_modes_supported: if has_code { &["query", "form_post"] } else { &[] },
            grant_types_supported: server.grant_types().map(GrantTypeName::as_str).collect(),
            token_endpoint_auth_methods_supported: AUTH_METHODS,
            introspection_endpoint: format!("{base}/introspect"),
            introspection_endpoint_auth_methods_supported: SECRET_METHODS,
            revocation_endpoint: format!("{base}/revoke"),
            revocation_endpoint_auth_methods_supported: AUTH_METHODS,
            code_challenge_methods_supported: if has_code { methods } else { &[] },
            authorization_response_iss_parameter_supported: true,
        };
        // Serializing plain texts into memory cannot fail.
        let json = serde_json::to_vec(&document).unwrap_or_default();
        Self { paths: paths(issuer), json }
    }

    pub(super) fn is_at(&self, path: &str) -> bool {
        self.paths.iter().any(|own| own == path)
    }
}

fn scope_name(definition: &ScopeDefinition) -> &str {
    definition.token().as_str()
}

/// Scheme and authority of an issuer.
pub(super) fn origin(issuer: &str) -> &str {
    issuer.strip_suffix(path_of(issuer)).unwrap_or(issuer)
}

fn path_of(issuer: &str) -> &str {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
}

/// Between host and path, as RFC 8414 §3.1 has it, and after the path, where some look.
fn paths(issuer: &str) -> Vec<String> {
    let path = path_of(issuer).trim_end_matches('/');
    let mut paths = vec![format!("{WELL_KNOWN}{path}")];
    if !path.is_empty() {
        paths.push(format!("{path}{WELL_KNOWN}"));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_an_origin_and_well_known_paths() {
        for (issuer, expected, where_found) in [
            ("https://as.example", "https://as.example", vec!["/.well-known/oauth-authorization-server"]),
            ("https://as.example/", "https://as.example", vec!["/.well-known/oauth-authorization-server"]),
            (
                "http://[::1]:80/t/1/",
                "http://[::1]:80",
                vec![
                    "/.well-known/oauth-authorization-server/t/1",
                    "/t/1/.well-known/oauth-authorization-server",
                ],
            ),
        ] {
            assert_eq!(origin(issuer), expected);
            assert_eq!(paths(issuer), where_found);
        }
    }
}
