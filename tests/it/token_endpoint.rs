//! What holds for each token request (RFC 6749 §3.2 and §5), whatever its grant type, and
//! for the tokens that come out of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::grant::{Grant, Revision};
use grantor::store::{
    GrantQuery, Insert, MemoryClientStore, MemoryTokenStore, Page, Read, Remove, Replace, StoreError,
    TokenStore,
};
use grantor::testing::{SeededEntropy, block_on};
use grantor::{
    AuthMethod, Client, ClientBuilder, CodeVerifier, GrantId, GrantTypeName, RefreshLimit, ScopePolicy,
    Settings, SystemEntropy, Timestamp,
};
use serde_json::Value;

use crate::support::*;

const CREDENTIALS: &str = "grant_type=client_credentials";

#[test]
fn te_01_a_request_without_grant_type_is_malformed() {
    let h = Harness::new();
    for form in ["", "scope=a", "grant_type=", "grant_type", "Grant_Type=client_credentials"] {
        let answer = h.token(form);
        assert_eq!(answer.error(), Some("invalid_request"), "{form:?}");
        answer.refused(400, "invalid_request");
    }
}

#[test]
fn te_02_a_grant_that_is_unknown_here_is_unsupported() {
    let h = Harness::new();
    for grant_type in [
        "urn:x:nope",
        "implicit",
        "token",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ] {
        let answer = h.token(&format!("grant_type={grant_type}&scope=a"));
        assert_eq!(answer.error(), Some("unsupported_grant_type"), "{grant_type}");
        answer.refused(400, "unsupported_grant_type");
    }
}

/// The three grant types, each with a request that would do for a client that may use it.
fn one_request_each(h: &Harness) -> [(GrantTypeName, String); 3] {
    let refresh = h.login().refresh_token().to_owned();
    [
        (GrantTypeName::AUTHORIZATION_CODE, exchange_form(&h.code())),
        (GrantTypeName::CLIENT_CREDENTIALS, CREDENTIALS.to_owned()),
        (GrantTypeName::REFRESH_TOKEN, refresh_form(&refresh)),
    ]
}

fn all_but_one_grant_type_is_unauthorized() {
    let h = Harness::new();
    for (grant_type, form) in one_request_each(&h) {
        let others = one_request_each(&h).map(|(name, _)| name).into_iter().filter(|own| *own != grant_type);
        h.change_client("app", |app| others.fold(app.without_grant_types(), ClientBuilder::grant_type));
        let answer = h.token(&form);
        assert_eq!(answer.error(), Some("unauthorized_client"), "{grant_type}");
        answer.refused(400, "unauthorized_client");
        h.change_client("app", |app| app.grant_type(grant_type));
        // Nothing was spent by the attempt.
        h.token(&form).ok();
    }
}

#[test]
fn te_03_a_grant_that_the_client_may_not_use_is_unauthorized() {
    all_but_one_grant_type_is_unauthorized();
}

#[test]
fn seed_t10_a_client_not_registered_for_a_grant_is_unauthorized() {
    all_but_one_grant_type_is_unauthorized();
    // Off on the server comes before off for the client.
    let password = GrantTypeName::new("password").unwrap();
    let h = Setup::default().clients([app(), confidential("registered").grant_type(password)]).build();
    for client in ["app", "registered"] {
        let form = Http::form("grant_type=password&username=alice&password=x").basic(client, SECRET);
        h.send(form).refused(400, "unsupported_grant_type");
    }
}

#[test]
fn te_04_grant_names_are_compared_exactly() {
    let h = Harness::new();
    let code = h.code();
    for name in [
        "Authorization_Code",
        "AUTHORIZATION_CODE",
        "authorization_code+",
        "+authorization_code",
        "authorization-code",
        "authorization_cod",
    ] {
        let answer = h.token(&exchange_form(&code).replace("=authorization_code", &format!("={name}")));
        assert_eq!(answer.error(), Some("unsupported_grant_type"), "{name}");
        answer.refused(400, "unsupported_grant_type");
    }
    h.token(&exchange_form(&code)).ok();
}

#[test]
fn te_05_client_authentication_comes_before_grant_parameters() {
    let h = Harness::new();
    let code = h.code();
    let refresh = h.login().refresh_token().to_owned();
    for form in [
        &exchange_form(&code),
        &refresh_form(&refresh),
        "grant_type=authorization_code",
        "grant_type=authorization_code&code=garbage",
        "grant_type=authorization_code&client_id=another",
        "grant_type=client_credentials&scope=nope",
        "grant_type=urn:x:nope",
        "grant_type=refresh_token",
    ] {
        for http in [
            Http::form(form).basic("app", "wrong"),
            Http::form(form).basic("nobody", SECRET),
            Http::form(format!("{form}&client_secret=wrong")),
            Http::form(form),
        ] {
            let answer = h.send(http.clone());
            assert_eq!(answer.error(), Some("invalid_client"), "{form} with {:?}", http.headers);
            answer.refused(401, "invalid_client");
        }
    }
    h.token(&exchange_form(&code)).ok();
    h.token(&refresh_form(&refresh)).ok();
}

#[test]
fn te_06_success_has_an_access_token_and_its_type() {
    let h = Harness::new();
    for (grant_type, form) in one_request_each(&h) {
        let answer = h.token(&form).ok();
        assert!(h.is_active(answer.access_token()), "{grant_type}");
        assert!(answer.text("token_type").is_some_and(|kind| !kind.is_empty()), "{grant_type}: {answer:?}");
    }
}

#[test]
fn te_07_expires_in_is_the_real_lifetime_as_a_number() {
    for lifetime in [1, 90, 3600, 86_400] {
        let short_lived = app().access_token_lifetime(Duration::from_secs(lifetime));
        let h = Setup::default().clients([short_lived]).build();
        // Not on a full second, where rounding would not show.
        h.clock.advance(Duration::from_millis(400));
        for (grant_type, form) in one_request_each(&h) {
            let issued = h.clock_now();
            let answer = h.token(&form).ok();
            assert_eq!(answer.json["expires_in"], Value::from(lifetime), "{grant_type}");
            let introspected = h.introspect(answer.access_token());
            let token = introspected.active().unwrap();
            let end = issued.plus(Duration::from_secs(lifetime));
            assert_eq!((token.issued_at(), token.expires_at()), (issued, Some(end)), "{grant_type}");
            h.clock.advance(end.since(issued) - Duration::from_millis(1));
            assert!(h.is_active(answer.access_token()), "{grant_type}: in its last moment");
            h.clock.advance(Duration::from_millis(1));
            assert!(!h.is_active(answer.access_token()), "{grant_type}: past its end");
        }
    }
}

/// The answer to a repeated refresh is the access token that there is, with its remaining
/// life.
#[test]
fn te_07_expires_in_is_positive_to_the_last_moment() {
    let h = Setup::default().clients([app().access_token_lifetime(Duration::from_secs(2))]).build();
    let login = h.login();
    h.token(&refresh_form(login.refresh_token())).ok();
    for millis in [1, 500, 600, 800] {
        h.clock.advance(Duration::from_millis(millis));
        let again = h.token(&refresh_form(login.refresh_token())).ok();
        let expires_in = again.json["expires_in"].as_u64().unwrap();
        let introspected = h.introspect(again.access_token());
        let left = introspected.active().unwrap().expires_at().unwrap().since(h.clock_now());
        assert!(expires_in > 0, "{left:?} are left");
        assert!(Duration::from_secs(expires_in).abs_diff(left) <= Duration::from_secs(1), "{left:?}");
    }
}

#[test]
fn te_08_the_token_type_is_bearer() {
    let h = Harness::new();
    for (grant_type, form) in one_request_each(&h) {
        let answer = h.token(&form).ok();
        let kind = answer.text("token_type").unwrap();
        assert!(kind.eq_ignore_ascii_case("bearer"), "{grant_type}: {kind}");
    }
}

#[test]
fn te_09_the_granted_scope_is_stated() {
    let h = Setup::default().settings(Settings::default().scope_policy(ScopePolicy::Narrow)).build();
    for (asked, granted) in
        [("&scope=a+x", "a"), ("&scope=a+b+c", "a b c"), ("&scope=a+b", "a b"), ("", "a b")]
    {
        let answer = h.token(&format!("{CREDENTIALS}{asked}")).ok();
        assert_eq!(answer.scope(), granted, "{asked}");
    }
    let refresh = h.login().refresh_token().to_owned();
    assert_eq!(h.token(&format!("{}&scope=b", refresh_form(&refresh))).ok().scope(), "b");
}

#[test]
fn te_10_absent_members_are_left_out() {
    let never = confidential("other").dangerous().access_tokens_never_expire();
    let no_refresh = never.refresh_limit(RefreshLimit::None);
    let h = Setup::default().clients([app(), no_refresh]).build();
    let code = h.code_for("other", "a");
    let answers = [
        h.login(),
        h.token(CREDENTIALS).ok(),
        h.send(Http::form(CREDENTIALS).basic("other", SECRET)).ok(),
        h.send(Http::form(exchange_form(&code)).basic("other", SECRET)).ok(),
        h.token("grant_type=nope"),
        h.token(&exchange_form("garbage")),
        h.send(Http::form(CREDENTIALS)),
    ];
    for answer in &answers {
        let members = answer.json.as_object().unwrap();
        assert!(!members.is_empty(), "{answer:?}");
        for (name, value) in members {
            assert!(!value.is_null() && value.as_str() != Some(""), "{name} in {answer:?}");
        }
    }
    let has = |at: usize, name: &str| answers[at].json.get(name).is_some();
    assert!(has(0, "refresh_token") && has(0, "expires_in"));
    assert!(!has(1, "refresh_token") && has(1, "expires_in"));
    assert!(!has(3, "refresh_token") && !has(3, "expires_in"));
}

/// Codes, access tokens and refresh tokens from the system's randomness, a third of `count`
/// each.
fn many_tokens(count: usize) -> [Vec<String>; 3] {
    let setup = Setup::default();
    let clients = Arc::new(grantor::store::MemoryClientStore::from_iter(setup.clients.clone()));
    let tokens = MemoryTokenStore::builder().capacity(count).build().unwrap();
    let h = setup.build_with(Arc::clone(&clients), tokens, clients, |builder| builder.entropy(SystemEntropy));
    let mut kinds = [const { Vec::new() }; 3];
    for _ in 0..count / 3 {
        let code = h.code();
        let answer = h.token(&exchange_form(&code)).ok();
        let tokens = [code, answer.access_token().to_owned(), answer.refresh_token().to_owned()];
        for (kind, token) in kinds.iter_mut().zip(tokens) {
            kind.push(token);
        }
    }
    kinds
}

#[test]
fn te_11_tokens_are_unreserved_characters() {
    for token in many_tokens(1_002).iter().flatten() {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(token.len() >= 22 && token.bytes().all(unreserved), "{token}");
    }
}

#[test]
fn te_12_tokens_cannot_be_guessed() {
    let kinds = many_tokens(10_002);
    let seen: HashSet<&str> = kinds.iter().flatten().map(String::as_str).collect();
    assert_eq!(seen.len(), 10_002);
    // Each kind has at least 160 bits that are as often set as not, over more than 3,000
    // tokens; and so has the difference of what one grant shows of itself: neither part
    // tells the other.
    let [codes, access, refresh] = &kinds;
    for kind in [codes, access, refresh] {
        let bits = balanced_bits(kind.iter().map(|token| decode(token)));
        assert!(bits >= 160, "only {bits} random bits");
    }
    for (one, other) in [(codes, access), (access, refresh), (codes, refresh)] {
        let differences = one.iter().zip(other).map(|(one, other)| {
            decode(one).iter().zip(decode(other)).map(|(one, other)| one ^ other).collect::<Vec<_>>()
        });
        let bits = balanced_bits(differences);
        assert!(bits >= 160, "only {bits} independent bits");
    }
}

/// A generator that is kept in memory would go on in the same way in each copy of the machine.
#[test]
fn each_request_draws_anew_and_once() {
    let setup = Setup::default();
    let entropy = SeededEntropy::new(1);
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let own = entropy.clone();
    let server = setup
        .build_with(Arc::clone(&clients), MemoryTokenStore::new(), clients, |builder| builder.entropy(own));
    let mut before = entropy.draws();
    let mut drawn = || {
        let now = entropy.draws();
        std::mem::replace(&mut before, now).abs_diff(now)
    };
    server.token("grant_type=client_credentials&scope=a").ok();
    assert_eq!(drawn(), 1);
    let code = server.code();
    assert_eq!(drawn(), 1, "for the code");
    let login = server.token(&exchange_form(&code)).ok();
    assert_eq!(drawn(), 1);
    server.token(&refresh_form(login.refresh_token())).ok();
    assert_eq!(drawn(), 1);
    assert!(server.is_active(login.access_token()));
    assert_eq!(drawn(), 0);
}

#[test]
fn the_size_of_a_record_counts_its_texts_and_its_parent() {
    let h = Setup::default().clients([app().rotate_refresh_tokens(false)]).build();
    let size = |h: &Harness, part: fn(&Grant) -> bool| {
        let page = block_on(h.server.grants(&GrantQuery::new())).unwrap();
        let sizes: Vec<usize> =
            page.grants.iter().filter(|grant| part(grant)).map(|grant| grant.size()).collect();
        assert_eq!(sizes.len(), 1);
        sizes[0]
    };
    h.token("grant_type=client_credentials&scope=a").ok();
    let narrow = size(&h, |grant| grant.scope().as_str() == "a");
    h.token("grant_type=client_credentials&scope=a+b+c").ok();
    assert_eq!(size(&h, |grant| grant.scope().as_str() == "a b c"), narrow + " b c".len());

    let long_uri = format!("{REDIRECT_URI}/far/away");
    let long = app().redirect_uri(&*long_uri).build().unwrap();
    let sizes_of_codes = [REDIRECT_URI, &*long_uri].map(|uri| {
        let h = Setup { clients: vec![long.clone()], ..Setup::default() }.build();
        let challenge = CodeVerifier::new(VERIFIER).unwrap().challenge();
        let request = bare_authorization_request("app", "a b")
            .parameter("redirect_uri", uri)
            .parameter("code_challenge", challenge.as_str())
            .parameter("code_challenge_method", "S256");
        h.approve(&request, "a b");
        size(&h, |_| true)
    });
    assert_eq!(sizes_of_codes[1], sizes_of_codes[0] + "/far/away".len());

    let login = h.login();
    h.token(&refresh_form(login.refresh_token())).ok();
    let child = size(&h, |grant| grant.parent().is_some());
    assert_eq!(child, narrow + " b".len() + "alice".len() + size_of::<GrantId>());
}

#[test]
fn a_revision_is_shown_in_sixteen_digits() {
    let h = Harness::new();
    h.login();
    let page = block_on(h.server.grants(&GrantQuery::new())).unwrap();
    let revision = page.grants[0].revision();
    assert_eq!(format!("{revision:?}"), format!("{:016x}", revision.as_u64()));
}

fn decode(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token).unwrap()
}

/// At how many positions is a bit set in 44 to 56 % of the values? (By chance alone, a
/// fair bit of 3,334 values is outside in one of 10^11 cases.)
fn balanced_bits(values: impl Iterator<Item = Vec<u8>>) -> usize {
    let values: Vec<_> = values.collect();
    let set = |bit: usize| values.iter().filter(|value| value[bit / 8] >> (bit % 8) & 1 == 1).count();
    let fair = values.len() * 44 / 100..=values.len() * 56 / 100;
    (0..values[0].len() * 8).filter(|bit| fair.contains(&set(*bit))).count()
}

/// Writes down all that a token store is given.
struct Recording {
    store: MemoryTokenStore,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Recording {
    fn note(&self, grant: &Grant) {
        self.seen.lock().unwrap().push(format!("{grant:?}\n{grant:#?}"));
    }
}

impl TokenStore for Recording {
    async fn insert(&self, grant: Arc<Grant>) -> Result<Insert, StoreError> {
        self.note(&grant);
        self.store.insert(grant).await
    }

    async fn load(&self, id: GrantId, read: Read) -> Result<Option<Arc<Grant>>, StoreError> {
        self.store.load(id, read).await
    }

    async fn replace(&self, grant: Arc<Grant>, expected: Revision) -> Result<Replace, StoreError> {
        self.note(&grant);
        self.store.replace(grant, expected).await
    }

    async fn remove(&self, id: GrantId, expected: Option<Revision>) -> Result<Remove, StoreError> {
        self.store.remove(id, expected).await
    }

    async fn find(&self, query: &GrantQuery) -> Result<Page, StoreError> {
        self.store.find(query).await
    }

    async fn purge_expired(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.purge_expired(now, limit).await
    }
}

#[test]
fn te_13_the_store_sees_no_usable_token() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let store = MemoryTokenStore::builder().capacity(1000).build().unwrap();
    let recording = Recording { store, seen: Arc::clone(&seen) };
    let fixed = confidential("fixed").rotate_refresh_tokens(false);
    let h = Setup::default().clients([app(), fixed]).build_on(recording);

    let mut tokens = Vec::new();
    for client in ["app", "fixed"] {
        let send = |form: &str| h.send(Http::form(form).basic(client, SECRET)).ok();
        let code = h.code_for(client, "a b");
        let login = send(&exchange_form(&code));
        let refreshed = send(&refresh_form(login.refresh_token()));
        let narrowed = send(&format!("{}&scope=a", refresh_form(refreshed.refresh_token())));
        let answers = [login, refreshed, narrowed, send(CREDENTIALS)];
        tokens.push(code);
        tokens.extend(answers.iter().map(|answer| answer.access_token().to_owned()));
        tokens.extend(answers.iter().filter_map(|answer| answer.text("refresh_token")).map(str::to_owned));
    }
    let seen = seen.lock().unwrap().join("\n");
    let flat: String = seen.split_whitespace().collect();
    assert!(seen.contains("alice") && seen.contains("fixed"), "the records do show");
    assert_eq!(tokens.len(), 2 * (1 + 4 + 3));
    for token in &tokens {
        let bytes = decode(token);
        let (id, secret) = bytes.split_at(16);
        assert!(seen.contains(&URL_SAFE_NO_PAD.encode(id)), "the id of {token} does show");
        let rotating = &secret[16..];
        for part in [secret, &secret[..16], rotating] {
            let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            let list = format!("{part:?}").replace(' ', "");
            let inner = list.trim_matches(['[', ']']);
            assert!(!flat.contains(inner) && !flat.contains(&hex), "{token} as bytes");
            assert!(!flat.contains(&URL_SAFE_NO_PAD.encode(part)), "{token} as base64");
        }
        assert!(!seen.contains(token) && !seen.contains(&token[22..]), "{token}");
    }
}

#[test]
fn te_14_unknown_and_foreign_look_the_same() {
    let h = Harness::new();
    let foreign_login =
        h.send(Http::form(exchange_form(&h.code_for("other", "a"))).basic("other", SECRET)).ok();
    let foreign_code = h.code_for("other", "a b");
    let damaged = |token: &str| format!("{}{}", &token[..63], if token.ends_with('A') { 'E' } else { 'A' });
    let answers: Vec<_> = [
        exchange_form(&foreign_code),
        exchange_form(&damaged(&foreign_code)),
        exchange_form(&"A".repeat(64)),
        exchange_form(foreign_login.access_token()),
        exchange_form("garbage"),
        exchange_form(&foreign_code).replace(VERIFIER, &"x".repeat(43)),
        exchange_form(&foreign_code).replace("app.example", "evil.example"),
        refresh_form(foreign_login.refresh_token()),
        refresh_form(&damaged(foreign_login.refresh_token())),
        refresh_form(&"A".repeat(64)),
        refresh_form(foreign_login.access_token()),
        refresh_form("garbage"),
    ]
    .into_iter()
    .map(|form| (h.token(&form), form))
    .collect();
    let (first, _) = &answers[0];
    for (answer, form) in &answers {
        answer.clone().refused(400, "invalid_grant");
        assert_eq!((&answer.body, &answer.headers), (&first.body, &first.headers), "{form}");
    }
    // None of it has hurt their owner.
    h.send(Http::form(exchange_form(&foreign_code)).basic("other", SECRET)).ok();
    h.send(Http::form(refresh_form(foreign_login.refresh_token())).basic("other", SECRET)).ok();
}

#[test]
fn seed_t01_three_grants_work_and_password_is_off() {
    let h = Harness::new();
    for (grant_type, form) in one_request_each(&h) {
        assert!(h.is_active(h.token(&form).ok().access_token()), "{grant_type}");
    }
    h.token("grant_type=password&username=alice&password=x").refused(400, "unsupported_grant_type");
    let mut on: Vec<_> = h.server.grant_types().map(GrantTypeName::as_str).collect();
    on.sort_unstable();
    assert_eq!(on, ["authorization_code", "client_credentials", "refresh_token"]);
}

#[test]
fn seed_t04_a_client_id_in_the_body_names_the_authenticated_client() {
    let h = Harness::new();
    for (grant_type, form) in one_request_each(&h) {
        for other in ["other", "spa", "nobody", "App", "app+"] {
            let answer = h.token(&format!("{form}&client_id={other}"));
            assert_eq!(answer.error(), Some("invalid_request"), "{grant_type} as {other}");
            answer.refused(400, "invalid_request");
        }
        let answer = h.token(&format!("{form}&client_id=app")).ok();
        let introspected = h.introspect(answer.access_token());
        assert_eq!(introspected.active().unwrap().client().as_str(), "app", "{grant_type}");
    }
}

#[test]
fn all_codes_and_tokens_begin_with_the_prefix() {
    let with = |prefix: &str| Setup::default().settings(Settings::default().token_prefix(prefix)).build();
    let (plain, h) = (with(""), with("grt_"));
    let code = h.code();
    let login = h.token(&exchange_form(&code)).ok();
    let refreshed = h.token(&refresh_form(login.refresh_token())).ok();
    for token in [&code, login.access_token(), login.refresh_token(), refreshed.access_token()] {
        assert!(token.starts_with("grt_"), "{token}");
    }
    assert!(h.is_active(refreshed.access_token()));
    let bare = &refreshed.access_token()[4..];
    for other in [bare.to_owned(), format!("GRT_{bare}"), format!("grt_grt_{bare}")] {
        assert!(!h.is_active(&other), "{other}");
    }
    // A server without a prefix does not take tokens with one.
    assert!(!plain.is_active(refreshed.access_token()));
    assert!(plain.is_active(plain.login().access_token()));
}

#[test]
fn a_public_client_is_known_by_its_client_id() {
    let h = Setup::default().clients([
        spa(),
        Client::public("empty"),
        app().auth_methods([AuthMethod::ClientSecretBasic]),
    ]);
    let h = h.build();
    let form = exchange_form(&h.code_for("spa", "a"));
    h.send(Http::form(form.as_str())).refused(401, "invalid_client");
    h.send(Http::form(format!("{form}&client_id=empty"))).refused(400, "unauthorized_client");
    h.send(Http::form(format!("{form}&client_id=spa"))).ok();
}
