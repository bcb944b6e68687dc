//! Extension grants, through the trait that the built-in ones use (RFC 6749 §4.5).

use grantor::error::GrantFailure;
use grantor::grant_type::{Approval, Authenticated, GrantType, Member};
use grantor::store::MemoryTokenStore;
use grantor::{Error, GrantTypeName, Parameter, Timestamp};

use crate::support::*;

const VOUCHER: &str = "urn:example:voucher";

/// Whoever knows the voucher acts for alice, with no more than `a b`.
struct VoucherGrant;

impl GrantType for VoucherGrant {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::new(VOUCHER).unwrap()
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        match request.own_parameter("voucher")? {
            Some("open sesame") => {}
            Some(_) => return Err(GrantFailure::Unknown.into()),
            None => {
                return Err(grantor::error::RequestFailure::Missing(Parameter::Extension("voucher")).into());
            }
        }
        let approval =
            Approval::for_subject(alice()).at_most(scope("a b")).authenticated_at(Timestamp::EPOCH);
        let approval = approval
            .member("seat \"map\"", Member::Text("a\\b\n\u{e9}".into()))
            .member("seats", Member::Number(2))
            .member("window", Member::Truth(true))
            .member("seats", Member::Number(3))
            .member("access_token", Member::Text("stolen".into()));
        let seats = request.repeatable_parameter("seat").count();
        Ok(if seats > 1 { approval.without_refresh_token() } else { approval })
    }
}

fn server() -> Harness {
    let setup = Setup::default().clients([app().grant_type(VoucherGrant.name()), confidential("other")]);
    let clients = std::sync::Arc::new(grantor::store::MemoryClientStore::from_iter(setup.clients.clone()));
    let registry = std::sync::Arc::clone(&clients);
    setup.build_with(clients, MemoryTokenStore::new(), registry, |builder| builder.grant_type(VoucherGrant))
}

fn form(rest: &str) -> String {
    format!("grant_type=urn%3Aexample%3Avoucher{rest}")
}

#[test]
fn an_extension_grant_gets_what_the_built_in_ones_get() {
    let server = server();
    let answer = server.token(&form("&voucher=open+sesame&scope=a")).ok();
    assert_eq!(answer.scope(), "a");
    let introspected = server.introspect(answer.access_token());
    let token = introspected.active().unwrap();
    assert_eq!((token.sub(), token.auth_time()), ("alice", Some(Timestamp::EPOCH)));
    server.token(&refresh_form(answer.refresh_token())).ok();
    assert!(server.token(&form("&voucher=open+sesame&seat=1&seat=2")).ok().text("refresh_token").is_none());
}

/// Says what, when and from where it was asked.
struct EchoGrant;

impl GrantType for EchoGrant {
    fn name(&self) -> GrantTypeName {
        GrantTypeName::new("urn:example:echo").unwrap()
    }

    async fn approve(&self, request: &Authenticated<'_>) -> Result<Approval, Error> {
        let from = request.peer().map_or_else(String::new, |peer| peer.to_string());
        Ok(Approval::for_client()
            .member("now", Member::Number(request.now().as_secs()))
            .member("from", Member::Text(from))
            .member("shown", Member::Text(format!("{request:?}")))
            .member("said", Member::Text(request.required_own_parameter("say")?.to_owned())))
    }
}

#[test]
fn it_is_told_the_parameters_the_time_and_the_address_of_the_request() {
    let setup = Setup::default().clients([app().grant_type(EchoGrant.name())]);
    let clients = std::sync::Arc::new(grantor::store::MemoryClientStore::from_iter(setup.clients.clone()));
    let registry = std::sync::Arc::clone(&clients);
    let server =
        setup.build_with(clients, MemoryTokenStore::new(), registry, |builder| builder.grant_type(EchoGrant));
    server.advance(7);
    let http = Http::form("grant_type=urn:example:echo&say=hello".to_owned()).basic("app", SECRET);
    let answer = server.send(Http { peer: Some("192.0.2.1".parse().unwrap()), ..http }).ok();
    assert_eq!(answer.json["now"], server.clock_now().as_secs());
    assert_eq!((&answer.json["from"], &answer.json["said"]), (&"192.0.2.1".into(), &"hello".into()));
    assert!(answer.json["shown"].as_str().unwrap().starts_with("Authenticated"), "{}", answer.body);
    for form in ["", "&say=", "&say=a&say=b"] {
        server.token(&format!("grant_type=urn:example:echo{form}")).refused(400, "invalid_request");
    }
}

#[test]
fn it_adds_members_to_the_answer_and_replaces_none() {
    let answer = server().token(&form("&voucher=open+sesame")).ok();
    assert_eq!(answer.json["seat \"map\""], "a\\b\n\u{e9}");
    assert_eq!((&answer.json["seats"], &answer.json["window"]), (&2.into(), &true.into()));
    assert_ne!(answer.access_token(), "stolen");
    assert_eq!(answer.body.matches("access_token").count(), 1);
}

#[test]
fn its_errors_and_limits_hold() {
    let server = server();
    server.token(&form("")).refused(400, "invalid_request");
    server.token(&form("&voucher=")).refused(400, "invalid_request");
    server.token(&form("&voucher=open+sesame&voucher=x")).refused(400, "invalid_request");
    server.token(&form("&voucher=wrong")).refused(400, "invalid_grant");
    server.token(&form("&voucher=open+sesame&scope=c")).refused(400, "invalid_scope");
    server
        .send(Http::form(form("&voucher=open+sesame")).basic("app", "wrong"))
        .refused(401, "invalid_client");
    server
        .send(Http::form(form("&voucher=open+sesame")).basic("other", SECRET))
        .refused(400, "unauthorized_client");
    Harness::new().token(&form("&voucher=open+sesame")).refused(400, "unsupported_grant_type");
}
