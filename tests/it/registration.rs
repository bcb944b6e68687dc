//! What a registration and the settings say, and what becomes of tokens when that changes.

use std::time::Duration;

use grantor::store::{ClientRegistry, ClientStore, MemoryClientStore, MemoryTokenStore};
use grantor::testing::block_on;
use grantor::{
    AuthMethod, AuthorizationServer, Client, ClientBuilder, GrantTypeName, InvalidServer, Lifetime,
    RefreshLimit, Settings, Timestamp,
};

use crate::authorize::{accepted, authorize, page};
use crate::support::*;

const YEAR: u64 = 365 * 24 * 3600;

/// The setting that a server with `settings` is refused for.
fn refused_setting(settings: Settings) -> Option<&'static str> {
    let builder = AuthorizationServer::builder("https://as.example").settings(settings);
    match builder.clients(MemoryClientStore::new()).tokens(MemoryTokenStore::new()).build() {
        Ok(_) => None,
        Err(InvalidServer::Setting(setting)) => {
            assert!(setting.to_string().contains(setting.setting()), "{setting}");
            Some(setting.setting())
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn seed_c01_codes_live_from_one_second_to_ten_minutes() {
    let with = |lifetime| Settings::default().authorization_code_lifetime(lifetime);
    for (millis, setting) in [
        (0, Some("authorization_code_lifetime")),
        (999, Some("authorization_code_lifetime")),
        (1000, None),
        (60_000, None),
        (600_000, None),
        (600_001, Some("authorization_code_lifetime")),
        (601_000, Some("authorization_code_lifetime")),
        (u64::MAX, Some("authorization_code_lifetime")),
    ] {
        assert_eq!(refused_setting(with(Duration::from_millis(millis))), setting, "{millis} ms");
    }
    // The default is a minute.
    let h = Harness::new();
    let (in_time, late) = (exchange_form(&h.code()), exchange_form(&h.code()));
    h.advance(59);
    h.token(&in_time).ok();
    h.advance(1);
    h.token(&late).refused(400, "invalid_grant");
}

#[test]
fn seed_c02_an_access_token_lifetime_is_inherited_or_the_clients_own() {
    let inherits = || app();
    let own = || confidential("own").access_token_lifetime(Duration::from_secs(10));
    let back = || {
        let client = confidential("back").access_token_lifetime(Duration::from_secs(10)).build().unwrap();
        client.to_builder().inherit_access_token_lifetime()
    };
    for (settings, inherited) in [
        (Settings::default(), 3600),
        (Settings::default().access_token_lifetime(Duration::from_secs(120)), 120),
    ] {
        let h = Setup::default().clients([inherits(), own(), back()]).settings(settings).build();
        for (client, lifetime) in [("app", inherited), ("own", 10), ("back", inherited)] {
            let answer = h.send(Http::form("grant_type=client_credentials").basic(client, SECRET)).ok();
            assert_eq!(answer.json["expires_in"].as_u64(), Some(lifetime), "{client}");
        }
    }
}

#[test]
fn seed_c02_never_is_dangerous_and_has_no_expires_in() {
    let own = confidential("never").dangerous().access_tokens_never_expire();
    let fixed = confidential("fixed").rotate_refresh_tokens(false).dangerous().access_tokens_never_expire();
    let all = || Settings::default().dangerous().access_tokens_never_expire();
    for (what, setup, client) in [
        ("for one client without rotation", Setup::default().clients([fixed]), "fixed"),
        ("for one client", Setup::default().clients([app(), own]), "never"),
        ("for all", Setup::default().settings(all()), "app"),
    ] {
        let h = setup.build();
        assert_eq!(h.events.saw("access_tokens_never_expire"), what == "for all", "{what}");
        let send = |form: &str| h.send(Http::form(form).basic(client, SECRET)).ok();
        let login = send(&exchange_form(&h.code_for(client, "a")));
        let refreshed = send(&refresh_form(login.refresh_token()));
        for answer in [&send("grant_type=client_credentials"), &login, &refreshed] {
            assert!(answer.json.get("expires_in").is_none(), "{what}: {answer:?}");
            assert_eq!(h.introspect(answer.access_token()).active().unwrap().expires_at(), None, "{what}");
        }
        h.advance(10 * YEAR);
        assert!(h.is_active(login.access_token()), "{what}");
        assert!(!h.is_active(login.refresh_token()), "{what}: refresh tokens still end");
        block_on(h.server.purge_expired(100)).unwrap();
        assert!(h.is_active(login.access_token()) && h.is_active(refreshed.access_token()), "{what}");
        assert!(block_on(h.server.revoke(login.access_token())).unwrap(), "{what}: it can be revoked");
        assert!(!h.is_active(refreshed.access_token()), "{what}");
    }
    // A client with a lifetime of its own keeps it.
    let own = confidential("own").access_token_lifetime(Duration::from_secs(10));
    let h = Setup::default().clients([own]).settings(all()).build();
    let answer = h.send(Http::form("grant_type=client_credentials").basic("own", SECRET)).ok();
    assert_eq!(answer.json["expires_in"], 10);
}

#[test]
fn settings_out_of_range_are_named() {
    let second = Duration::from_secs(1);
    let base = Settings::default;
    let long = Duration::from_secs(1 << 33);
    for (settings, setting) in [
        (base(), None),
        (base().access_token_lifetime(Duration::ZERO), Some("access_token_lifetime")),
        (base().access_token_lifetime(Duration::from_millis(1500)), Some("access_token_lifetime")),
        (base().access_token_lifetime(long), Some("access_token_lifetime")),
        (base().refresh_token_lifetime(Duration::ZERO), Some("refresh_token_lifetime")),
        (base().refresh_token_idle_lifetime(Duration::ZERO), Some("refresh_token_idle_lifetime")),
        (base().refresh_retry_window(600 * second), None),
        (base().refresh_retry_window(601 * second), Some("refresh_retry_window")),
        (base().refresh_retry_window(Duration::ZERO), None),
        (base().access_tokens_per_grant(0), Some("access_tokens_per_grant")),
        (base().access_tokens_per_grant(1), None),
        (base().access_tokens_per_grant(256), None),
        (base().access_tokens_per_grant(257), Some("access_tokens_per_grant")),
        (base().token_prefix("grt_1-.~"), None),
        (base().token_prefix("a b"), Some("token_prefix")),
        (base().token_prefix("a&b"), Some("token_prefix")),
        (base().token_prefix("x".repeat(32)), None),
        (base().token_prefix("x".repeat(33)), Some("token_prefix")),
    ] {
        assert_eq!(refused_setting(settings.clone()), setting, "{settings:?}");
    }
}

/// A registration in which no field has its default.
fn full() -> ClientBuilder {
    Client::confidential("full")
        .name("The Full")
        .version("1.2")
        .description("has it all")
        .secret(hashed("one"))
        .secret(hashed("two").expires_at(START.plus(Duration::from_secs(60))))
        .auth_methods([AuthMethod::ClientSecretPost])
        .grant_type(GrantTypeName::AUTHORIZATION_CODE)
        .grant_type(GrantTypeName::REFRESH_TOKEN)
        .redirect_uri("https://full.example/cb")
        .redirect_uri("com.example.full:/cb")
        .scopes("x y z")
        .default_scopes("x")
        .access_token_lifetime(Duration::from_secs(17))
        .refresh_limit(RefreshLimit::Times(3))
        .rotate_refresh_tokens(false)
        .require_pkce(false)
        .may_introspect(true)
        .enabled(false)
        .valid_after(Timestamp::from_secs(7))
}

#[test]
fn seed_c05_each_field_of_a_registration_is_kept() {
    let built = full().build().unwrap();
    let store = MemoryClientStore::new();
    block_on(store.put_client(built.clone())).unwrap();
    let kept = block_on(store.client(built.id())).unwrap().unwrap();
    assert_eq!(kept.id().as_str(), "full");
    assert_eq!(
        (kept.name(), kept.version(), kept.description()),
        ("The Full", Some("1.2"), Some("has it all"))
    );
    assert!(!kept.is_public());
    assert_eq!(kept.auth_methods(), [AuthMethod::ClientSecretPost]);
    let expiries: Vec<_> = kept.secrets().iter().map(grantor::HashedSecret::expiry).collect();
    assert_eq!(expiries, [None, Some(START.plus(Duration::from_secs(60)))]);
    assert_eq!(kept.grant_types(), [GrantTypeName::AUTHORIZATION_CODE, GrantTypeName::REFRESH_TOKEN]);
    let uris: Vec<_> = kept.redirect_uris().iter().map(grantor::RedirectUri::as_str).collect();
    assert_eq!(uris, ["https://full.example/cb", "com.example.full:/cb"]);
    assert_eq!((kept.scopes().as_str(), kept.default_scopes().as_str()), ("x y z", "x"));
    assert_eq!(kept.access_token_lifetime().and_then(Lifetime::duration), Some(Duration::from_secs(17)));
    assert_eq!((kept.refresh_limit(), kept.rotates_refresh_tokens()), (RefreshLimit::Times(3), false));
    assert_eq!((kept.requires_pkce(), kept.may_introspect()), (Some(false), true));
    assert_eq!((kept.is_enabled(), kept.valid_after()), (false, Timestamp::from_secs(7)));
    // A change of one field leaves the others as they are.
    let changed = kept.to_builder().name("Another").build().unwrap();
    assert_ne!(changed, *kept);
    assert_eq!(changed.to_builder().name("The Full").build().unwrap(), *kept);
    // And what is not said has these defaults.
    let bare = Client::public("bare").build().unwrap();
    assert_eq!((bare.name(), bare.version(), bare.description()), ("bare", None, None));
    assert!(bare.is_public() && bare.is_enabled() && bare.rotates_refresh_tokens() && !bare.may_introspect());
    assert_eq!((bare.refresh_limit(), bare.requires_pkce()), (RefreshLimit::Unlimited, None));
    assert_eq!((bare.access_token_lifetime(), bare.valid_after()), (None, Timestamp::EPOCH));
    assert!(bare.scopes().is_empty() && bare.redirect_uris().is_empty() && bare.grant_types().is_empty());
}

#[test]
fn seed_c07_disabling_a_client_puts_its_tokens_out_of_force() {
    let fixed = confidential("fixed").rotate_refresh_tokens(false);
    let h = Setup::default().clients([app(), fixed, spa()]).build();
    for id in ["app", "fixed", "spa"] {
        let send = |form: &str| match id {
            "spa" => h.send(Http::form(format!("{form}&client_id=spa"))),
            _ => h.send(Http::form(form).basic(id, SECRET)),
        };
        let login = send(&exchange_form(&h.code_for(id, "a"))).ok();
        let refreshed = send(&refresh_form(login.refresh_token())).ok();
        let code = h.code_for(id, "a");
        let request = authorization_request(id, "a");
        let consent = accepted(id, authorize(&h, &request));
        let tokens = [login.access_token(), refreshed.access_token(), refreshed.refresh_token()];
        let bystander =
            h.send(Http::form("grant_type=client_credentials").basic(other_than(id), SECRET)).ok();

        h.change_client(id, |client| client.enabled(false));
        assert!(tokens.iter().all(|token| !h.is_active(token)), "{id}");
        assert!(h.is_active(bystander.access_token()), "{id}: another client's");
        send(&exchange_form(&code)).refused(401, "invalid_client");
        send(&refresh_form(refreshed.refresh_token())).refused(401, "invalid_client");
        send("grant_type=client_credentials").refused(401, "invalid_client");
        page(id, authorize(&h, &request));
        let approve = grantor::ConsentDecision::Approve(scope("a"));
        page(id, block_on(h.server.decide(consent.ticket(), SESSION, &alice(), START, approve)));

        h.change_client(id, |client| client.enabled(true));
        assert!(tokens.iter().all(|token| h.is_active(token)), "{id}");
        send(&exchange_form(&code)).ok();
        send(&refresh_form(refreshed.refresh_token())).ok();
    }
}

fn other_than(id: &str) -> &'static str {
    if id == "app" { "fixed" } else { "app" }
}

/// Nobody learns from the answer that a client is disabled, and not unknown.
#[test]
fn seed_c07_a_disabled_client_looks_like_an_unknown_one() {
    let h = Setup::default().clients([app().enabled(false), spa().enabled(false)]).build();
    let form = "grant_type=client_credentials";
    let unknown = h.send(Http::form(form).basic("nobody", SECRET)).refused(401, "invalid_client");
    for http in [
        Http::form(form).basic("app", SECRET),
        Http::form(format!("{form}&client_id=app&client_secret={SECRET}")),
        Http::form(format!("{form}&client_id=spa")),
    ] {
        assert_eq!(h.send(http).refused(401, "invalid_client").body, unknown.body);
    }
}

#[test]
fn valid_after_ends_what_began_before_and_nothing_else() {
    type End = fn(&Harness, Timestamp);
    let of_the_client: End = |h, moment| h.change_client("app", |app| app.valid_after(moment));
    let of_the_server: End = |h, moment| block_on(h.clients.set_valid_after(moment)).unwrap();
    for (what, end, ends_others) in
        [("of the client", of_the_client, false), ("of the server", of_the_server, true)]
    {
        let fixed = || app().rotate_refresh_tokens(false);
        let h = Setup::default().clients([fixed(), confidential("other")]).build();
        let login = h.login();
        let child = h.token(&refresh_form(login.refresh_token())).ok();
        let own = h.token("grant_type=client_credentials").ok();
        let other = h.send(Http::form("grant_type=client_credentials").basic("other", SECRET)).ok();
        let code = h.code();
        h.clock.advance(Duration::from_millis(1));
        end(&h, h.clock_now());
        for token in [login.access_token(), login.refresh_token(), child.access_token(), own.access_token()] {
            assert!(!h.is_active(token), "{what}");
        }
        assert_eq!(h.is_active(other.access_token()), !ends_others, "{what}");
        h.token(&exchange_form(&code)).refused(400, "invalid_grant");
        h.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");

        let again = h.login();
        let child = h.token(&refresh_form(again.refresh_token())).ok();
        let own = h.token("grant_type=client_credentials").ok();
        for token in [again.access_token(), again.refresh_token(), child.access_token(), own.access_token()] {
            assert!(h.is_active(token), "{what}");
        }
    }
}

/// Removing a scope from a registration does not touch issued tokens; a refresh looks again.
#[test]
fn seed_c09_a_scope_that_a_client_loses_stays_in_issued_tokens_and_not_in_new_ones() {
    let h = Harness::new();
    let login = h.login();
    h.change_client("app", |app| app.scopes("a").default_scopes("a"));
    assert_eq!(h.introspect(login.access_token()).active().unwrap().scope().as_str(), "a b");
    let refreshed = h.token(&refresh_form(login.refresh_token())).ok();
    assert_eq!(refreshed.scope(), "a");
    let still = format!("{}&scope=a+b", refresh_form(refreshed.refresh_token()));
    h.token(&still).refused(400, "invalid_scope");
}
