//! `[[client]]`.

use std::time::Duration;

use grantor::{
    AuthMethod, Client, ClientBuilder, ClientSecret, GrantTypeName, HashedSecret, InvalidClient, RefreshLimit,
};
use serde::Deserialize;

use super::OneOrMore;
use super::scope::Known;
use super::section::{InvalidConfig, Section};

pub(super) fn read(mut section: Section, known: &Known) -> Result<Client, InvalidConfig> {
    let id: String = section.require("id")?;
    section.set_owner("client", &id);
    let mut client = begin(&mut section, id)?;
    client = section.apply::<_, String>(client, "name", ClientBuilder::name)?;
    client = section.apply::<_, String>(client, "version", ClientBuilder::version)?;
    client = section.apply::<_, String>(client, "description", ClientBuilder::description)?;
    client = section.apply::<_, Vec<AuthMethod>>(client, "auth_methods", ClientBuilder::auth_methods)?;
    client = read_grants(&mut section, client)?;
    client = section.apply(client, "redirect_uris", |client, uris: Vec<String>| {
        uris.into_iter().fold(client, ClientBuilder::redirect_uri)
    })?;
    if let Some(scopes) = known.read(&mut section, "scopes")? {
        client = client.scopes(scopes.as_str());
    }
    if let Some(scopes) = known.read(&mut section, "default_scopes")? {
        client = client.default_scopes(scopes.as_str());
    }
    client = section.apply(client, "access_token_lifetime", |client, lifetime| match lifetime {
        AccessTokenLifetime::Seconds(seconds) => client.access_token_lifetime(Duration::from_secs(seconds)),
        AccessTokenLifetime::Word(LifetimeWord::Inherit) => client,
        AccessTokenLifetime::Word(LifetimeWord::Never) => client.dangerous().access_tokens_never_expire(),
    })?;
    client = section.apply(client, "refresh_limit", |client, limit| match limit {
        Limit::Times(0) => client.refresh_limit(RefreshLimit::None),
        Limit::Times(times) => client.refresh_limit(RefreshLimit::Times(times)),
        Limit::Word(LimitWord::Unlimited) => client.refresh_limit(RefreshLimit::Unlimited),
    })?;
    client = section.apply(client, "rotate_refresh_tokens", ClientBuilder::rotate_refresh_tokens)?;
    client = section.apply(client, "require_pkce", |client, require| match require {
        RequirePkce::Own(require) => client.require_pkce(require),
        RequirePkce::Word(PkceWord::Inherit) => client,
    })?;
    client = section.apply(client, "may_introspect", ClientBuilder::may_introspect)?;
    client = section.apply(client, "enabled", ClientBuilder::enabled)?;
    // Before what is missing because of a misspelt key.
    section.finish()?;
    client.build().map_err(|error| section.error(key_of(&error), error.problem()))
}

/// A client with a secret is confidential; one without is public.
fn begin(section: &mut Section, id: String) -> Result<ClientBuilder, InvalidConfig> {
    let Some(secrets) = section.take::<OneOrMore>("secret")? else { return Ok(Client::public(id)) };
    let secrets = secrets.into_vec();
    if secrets.iter().any(String::is_empty) {
        return Err(section.error("secret", "it is empty"));
    }
    // Like generated ones, so that each request is cheap: whoever reads the file has them anyway.
    let hashed = secrets.into_iter().map(|secret| HashedSecret::sha256(&ClientSecret::new(secret)));
    Ok(hashed.fold(Client::confidential(id), ClientBuilder::secret))
}

/// A misspelt grant would only show as a refusal later.
fn read_grants(section: &mut Section, mut client: ClientBuilder) -> Result<ClientBuilder, InvalidConfig> {
    for name in section.take::<Vec<String>>("grants")?.unwrap_or_default() {
        let grant_type = match name.as_str() {
            "authorization_code" => GrantTypeName::AUTHORIZATION_CODE,
            "refresh_token" => GrantTypeName::REFRESH_TOKEN,
            "client_credentials" => GrantTypeName::CLIENT_CREDENTIALS,
            "password" => GrantTypeName::PASSWORD,
            _ => return Err(section.error("grants", format_args!("unknown grant {name:?}"))),
        };
        client = client.grant_type(grant_type);
    }
    Ok(client)
}

/// The key of the field that the library names.
fn key_of(error: &InvalidClient) -> &'static str {
    match error.field() {
        "secrets" => "secret",
        "grant_types" => "grants",
        field => field,
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "it is neither a number of seconds nor \"inherit\" nor \"never\"")]
enum AccessTokenLifetime {
    Seconds(u64),
    Word(LifetimeWord),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LifetimeWord {
    Inherit,
    Never,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "it is neither a number nor \"unlimited\"")]
enum Limit {
    Times(u32),
    Word(LimitWord),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LimitWord {
    Unlimited,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "it is neither true nor false nor \"inherit\"")]
enum RequirePkce {
    Own(bool),
    Word(PkceWord),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PkceWord {
    Inherit,
}
