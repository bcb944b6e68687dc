//! What a token stands for, and how it is ended, as a host asks for it (RFC 7662, RFC 7009):
//! the library calls behind the two endpoints.

use std::time::Duration;

use grantor::testing::block_on;
use grantor::{RefreshLimit, Settings, TokenKind};

use crate::support::*;

#[test]
fn introspection_tells_what_a_token_stands_for() {
    let fixed = confidential("fixed").rotate_refresh_tokens(false);
    for client in [app(), fixed] {
        let client = client.build().unwrap();
        let id = client.id().as_str().to_owned();
        let h = Setup { clients: vec![client], ..Setup::default() }.build();
        let send = |form: &str| h.send(Http::form(form).basic(&id, SECRET));
        let code = h.code_for(&id, "a b");
        let authenticated = h.clock_now();
        h.advance(30);
        let redeemed = h.clock_now();
        let login = send(&exchange_form(&code)).ok();
        let access = h.introspect(login.access_token());
        let access = access.active().unwrap();
        assert_eq!(access.kind(), TokenKind::Access);
        assert_eq!((access.client().as_str(), access.sub()), (id.as_str(), "alice"));
        assert_eq!((access.subject(), access.auth_time()), (Some(&alice()), Some(authenticated)));
        assert_eq!(access.scope().as_str(), "a b");
        assert_eq!(access.issued_at(), redeemed);
        assert_eq!(access.expires_at(), Some(redeemed.plus(Duration::from_secs(3600))));

        h.advance(10);
        let refreshed_at = h.clock_now();
        let refreshed = send(&format!("{}&scope=b", refresh_form(login.refresh_token()))).ok();
        let access = h.introspect(refreshed.access_token());
        let access = access.active().unwrap();
        assert_eq!((access.scope().as_str(), access.issued_at()), ("b", refreshed_at));
        assert_eq!((access.sub(), access.auth_time()), ("alice", Some(authenticated)));

        let refresh = h.introspect(refreshed.refresh_token());
        let refresh = refresh.active().unwrap();
        assert_eq!((refresh.kind(), refresh.sub()), (TokenKind::Refresh, "alice"));
        assert_eq!(refresh.scope().as_str(), "a b", "what it can be exchanged for");
    }
}

/// RFC 7662 §2.2: `iat` is when this token was issued, and not when its user was asked.
#[test]
fn introspection_tells_when_a_refresh_token_was_issued_and_ends() {
    let h = Harness::new();
    let code = h.code();
    h.advance(30);
    let login = h.token(&exchange_form(&code)).ok();
    let introspected = h.introspect(login.refresh_token());
    let token = introspected.active().unwrap();
    let idle = Duration::from_secs(14 * 24 * 3600);
    assert_eq!((token.issued_at(), token.expires_at()), (h.clock_now(), Some(h.clock_now().plus(idle))));
    h.advance(100);
    let refreshed = h.token(&refresh_form(login.refresh_token())).ok();
    let introspected = h.introspect(refreshed.refresh_token());
    let token = introspected.active().unwrap();
    assert_eq!((token.issued_at(), token.expires_at()), (h.clock_now(), Some(h.clock_now().plus(idle))));
}

#[test]
fn introspection_of_anything_else_is_inactive() {
    let h = Setup::default().settings(Settings::default().refresh_retry_window(Duration::ZERO)).build();
    let code = h.code();
    let login = h.login();
    let access = login.access_token();
    let damaged = format!("{}{}", &access[..63], if access.ends_with('A') { 'E' } else { 'A' });
    let rotated = h.login().refresh_token().to_owned();
    h.token(&refresh_form(&rotated)).ok();
    let longer = format!("{access}A");
    h.change_client("other", |other| other.refresh_limit(RefreshLimit::Times(1)));
    let once = exchange_form(&h.code_for("other", "a"));
    let once = h.send(Http::form(once).basic("other", SECRET)).ok().refresh_token().to_owned();
    assert!(h.is_active(&once));
    let used_up =
        h.send(Http::form(refresh_form(&once)).basic("other", SECRET)).ok().refresh_token().to_owned();
    for (what, token) in [
        ("a code", code.as_str()),
        ("nothing", ""),
        ("garbage", "garbage"),
        ("no base64", &"!".repeat(64)),
        ("an unknown token", &"A".repeat(64)),
        ("a token of a known grant with a wrong secret", &damaged),
        ("a longer token", &longer),
        ("a shorter token", &access[..63]),
        ("a refresh token that was replaced", &rotated),
        ("a refresh token that was used up", &used_up),
    ] {
        assert!(!h.is_active(token), "{what}");
    }
    assert!(h.is_active(access) && h.is_active(login.refresh_token()));
    h.advance(3600);
    assert!(!h.is_active(access) && h.is_active(login.refresh_token()), "each has its own end");
    h.advance(14 * 24 * 3600);
    assert!(!h.is_active(login.refresh_token()));
}

#[test]
fn revoking_either_token_ends_both() {
    for (name, pick) in [("access", 0), ("refresh", 1)] {
        let h = Harness::new();
        let (login, bystander) = (h.login(), h.login());
        let tokens = [login.access_token(), login.refresh_token()];
        assert!(block_on(h.server.revoke(tokens[pick])).unwrap(), "{name}");
        assert!(!h.is_active(tokens[0]) && !h.is_active(tokens[1]), "{name}");
        h.token(&refresh_form(tokens[1])).refused(400, "invalid_grant");
        assert!(!block_on(h.server.revoke(tokens[pick])).unwrap(), "{name}: nothing is left");
        assert!(h.is_active(bystander.access_token()) && h.is_active(bystander.refresh_token()));
        assert_eq!(h.grants(), 1, "{name}");
    }
}

#[test]
fn revoking_what_is_no_token_does_nothing() {
    let h = Harness::new();
    let code = h.code();
    let login = h.login();
    let access = login.access_token();
    let damaged = format!("{}{}", &access[..63], if access.ends_with('A') { 'E' } else { 'A' });
    for token in ["", "garbage", &"A".repeat(64), &damaged, &code] {
        assert!(!block_on(h.server.revoke(token)).unwrap(), "{token:?}");
    }
    assert!(h.is_active(access) && h.is_active(login.refresh_token()));
    h.token(&exchange_form(&code)).ok();
}

#[test]
fn revoking_a_child_ends_its_parent_and_its_siblings() {
    let h = Setup::default().clients([app().rotate_refresh_tokens(false)]).build();
    let login = h.login();
    let children = [0, 1].map(|_| h.token(&refresh_form(login.refresh_token())).ok());
    assert!(children.iter().all(|child| h.is_active(child.access_token())));
    assert!(block_on(h.server.revoke(children[0].access_token())).unwrap());
    for token in [login.access_token(), login.refresh_token()]
        .into_iter()
        .chain(children.iter().map(Answer::access_token))
    {
        assert!(!h.is_active(token), "{token}");
    }
    h.token(&refresh_form(login.refresh_token())).refused(400, "invalid_grant");
    for child in &children {
        let revoked = block_on(h.server.revoke(child.access_token())).unwrap();
        assert!(!revoked, "a child whose parent is gone was no longer good");
    }
}
