//! How a registration is written down, for stores that keep it as text (feature `serde`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::{Lifetime, Timestamp};
use crate::id::GrantTypeName;
use crate::redirect_uri::RedirectUriRules;
use crate::scope::Scope;

use super::{AuthMethod, Client, ClientBuilder, HashedSecret, InvalidClient, RefreshLimit};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    auth_methods: Vec<AuthMethod>,
    secrets: Vec<StoredSecret>,
    grant_types: Vec<String>,
    redirect_uris: Vec<String>,
    scopes: Scope,
    default_scopes: Scope,
    access_token_lifetime: StoredLifetime,
    refresh_limit: RefreshLimit,
    rotate_refresh_tokens: bool,
    require_pkce: Option<bool>,
    may_introspect: bool,
    enabled: bool,
    valid_after: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSecret {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phc: Option<String>,
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredLifetime {
    Inherit,
    Seconds(u64),
    Never,
}

impl Serialize for Client {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let secrets = self.secrets.iter().map(|secret| StoredSecret {
            sha256: secret.as_sha256().map(|digest| URL_SAFE_NO_PAD.encode(digest)),
            phc: secret.as_phc().map(|hash| hash.as_str().to_owned()),
            expires_at: secret.expiry(),
        });
        let access_token_lifetime = match self.access_token_lifetime.map(Lifetime::duration) {
            None => StoredLifetime::Inherit,
            Some(None) => StoredLifetime::Never,
            Some(Some(duration)) => StoredLifetime::Seconds(duration.as_secs()),
        };
        let stored = Stored {
            id: self.id.as_str().to_owned(),
            name: self.name.clone(),
            version: self.version.clone(),
            description: self.description.clone(),
            auth_methods: self.auth_methods.clone(),
            secrets: secrets.collect(),
            grant_types: self.grant_types.iter().map(|own| own.as_str().to_owned()).collect(),
            redirect_uris: self.redirect_uris.iter().map(|own| own.as_str().to_owned()).collect(),
            scopes: self.scopes.clone(),
            default_scopes: self.default_scopes.clone(),
            access_token_lifetime,
            refresh_limit: self.refresh_limit,
            rotate_refresh_tokens: self.rotate_refresh_tokens,
            require_pkce: self.require_pkce,
            may_introspect: self.may_introspect,
            enabled: self.enabled,
            valid_after: self.valid_after,
        };
        stored.serialize(serializer)
    }
}

/// Reads a registration, and refuses what [`ClientBuilder::build`] refuses.
impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let secrets: Result<Vec<_>, _> = stored.secrets.iter().map(StoredSecret::read).collect();
        let grant_types: Result<Vec<_>, _> =
            stored.grant_types.iter().map(|name| GrantTypeName::new(name.clone())).collect();
        let secrets = secrets.map_err(D::Error::custom)?;
        let grant_types = grant_types.map_err(D::Error::custom)?;
        stored.build(secrets, grant_types).map_err(D::Error::custom)
    }
}

impl Stored {
    fn build(
        self,
        secrets: Vec<HashedSecret>,
        grant_types: Vec<GrantTypeName>,
    ) -> Result<Client, InvalidClient> {
        let mut builder = ClientBuilder::new(self.id, self.auth_methods)
            // What was registered before is not refused now.
            .redirect_uri_rules(RedirectUriRules::default().any_private_scheme(true))
            .scopes(self.scopes.as_str())
            .default_scopes(self.default_scopes.as_str())
            .refresh_limit(self.refresh_limit)
            .rotate_refresh_tokens(self.rotate_refresh_tokens)
            .may_introspect(self.may_introspect)
            .enabled(self.enabled)
            .valid_after(self.valid_after);
        builder = secrets.into_iter().fold(builder, ClientBuilder::secret);
        builder = grant_types.into_iter().fold(builder, ClientBuilder::grant_type);
        builder = self.redirect_uris.into_iter().fold(builder, ClientBuilder::redirect_uri);
        builder = self.name.into_iter().fold(builder, ClientBuilder::name);
        builder = self.version.into_iter().fold(builder, ClientBuilder::version);
        builder = self.description.into_iter().fold(builder, ClientBuilder::description);
        builder = self.require_pkce.into_iter().fold(builder, ClientBuilder::require_pkce);
        match self.access_token_lifetime {
            StoredLifetime::Inherit => builder,
            StoredLifetime::Seconds(secs) => builder.access_token_lifetime(Duration::from_secs(secs)),
            StoredLifetime::Never => builder.dangerous().access_tokens_never_expire(),
        }
        .build()
    }
}

impl StoredSecret {
    fn read(&self) -> Result<HashedSecret, &'static str> {
        let secret = match (&self.sha256, &self.phc) {
            (Some(digest), None) => {
                let bytes = URL_SAFE_NO_PAD.decode(digest).ok();
                let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                HashedSecret::from_sha256(bytes.ok_or("sha256 is not 43 characters of base64url")?)
            }
            (None, Some(phc)) => {
                HashedSecret::chosen(phc.parse().map_err(|_| "phc is not a hash that is accepted")?)
            }
            _ => return Err("a secret has sha256 or phc"),
        };
        Ok(self.expires_at.into_iter().fold(secret, HashedSecret::expires_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ClientSecret;

    fn client() -> ClientBuilder {
        let secret = HashedSecret::sha256(&ClientSecret::new("s3cr3t"));
        Client::confidential("c")
            .secret(secret.clone())
            .secret(secret.expires_at(Timestamp::from_secs(9)))
            .grant_type(GrantTypeName::AUTHORIZATION_CODE)
            .redirect_uri("com.example.app:/cb")
            .scopes("a b")
            .default_scopes("a")
            .require_pkce(false)
            .refresh_limit(RefreshLimit::Times(3))
            .rotate_refresh_tokens(false)
    }

    #[test]
    fn a_registration_is_read_back_whole() {
        for client in [
            client().build(),
            client()
                .name("C")
                .version("1")
                .description("d")
                .access_token_lifetime(Duration::from_secs(5))
                .build(),
            client().dangerous().access_tokens_never_expire().enabled(false).may_introspect(true).build(),
            Client::public("p").build(),
        ] {
            let client = client.unwrap();
            let text = serde_json::to_string(&client).unwrap();
            assert!(!text.contains("s3cr3t"));
            assert_eq!(serde_json::from_str::<Client>(&text).unwrap(), client, "{text}");
        }
    }

    #[test]
    fn what_could_not_be_registered_is_not_read() {
        let good = serde_json::to_value(client().build().unwrap()).unwrap();
        for (field, value) in [
            ("id", "".into()),
            ("scopes", "a  b".into()),
            ("auth_methods", serde_json::json!(["none"])),
            ("grant_types", serde_json::json!(["a b"])),
            ("redirect_uris", serde_json::json!(["javascript:alert(1)"])),
            ("secrets", serde_json::json!([{"sha256": "short", "expires_at": null}])),
            ("unknown", true.into()),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert!(serde_json::from_value::<Client>(bad).is_err(), "{field}");
        }
    }
}
