//! Stores that fail, lose answers, send twice or never answer, at each call in turn.

use std::sync::Arc;

use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{Fault, Faults, FaultyStore, Method, block_on, drop_after};
use grantor::{RefreshLimit, Settings};

use crate::support::*;

/// All stores of one server, with faults.
struct Faulty {
    server: Harness,
    faults: Faults,
}

impl Faulty {
    fn new(setup: Setup) -> Self {
        let faults = Faults::new();
        let registry = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
        let clients = FaultyStore::new(Arc::clone(&registry), &faults);
        let tokens = FaultyStore::new(MemoryTokenStore::new(), &faults);
        let users = FaultyStore::new(users_with_alice(), &faults);
        let server = setup.build_with(clients, tokens, registry, |builder| builder.users(users));
        Self { server, faults }
    }
}

/// Something that a client asks of the server, in the form of its grant type.
#[derive(Clone, Copy, Debug)]
enum Request {
    ClientCredentials,
    Exchange,
    Rotate,
    Retry,
    Count,
    Child,
}

const REQUESTS: [Request; 6] = [
    Request::ClientCredentials,
    Request::Exchange,
    Request::Rotate,
    Request::Retry,
    Request::Count,
    Request::Child,
];

impl Request {
    fn setup(self) -> Setup {
        let app = match self {
            Self::Count => app().rotate_refresh_tokens(false).refresh_limit(RefreshLimit::Times(3)),
            Self::Child => app().rotate_refresh_tokens(false),
            _ => app(),
        };
        Setup::default().clients([app])
    }

    /// What comes before, and the request itself.
    fn prepare(self, server: &Harness) -> String {
        match self {
            Self::ClientCredentials => "grant_type=client_credentials".to_owned(),
            Self::Exchange => exchange_form(&server.code()),
            Self::Rotate | Self::Count => refresh_form(server.login().refresh_token()),
            Self::Retry => {
                let form = refresh_form(server.login().refresh_token());
                server.token(&form).ok();
                format!("{form}&scope=a")
            }
            Self::Child => {
                let form = refresh_form(server.login().refresh_token());
                // Far enough for the idle time to be written, too.
                server.advance(2 * 24 * 3600);
                form
            }
        }
    }

    /// How many store calls the request makes when nothing is wrong.
    fn calls(self) -> usize {
        let faulty = Faulty::new(self.setup());
        let form = self.prepare(&faulty.server);
        faulty.faults.restart();
        faulty.server.token(&form).ok();
        faulty.faults.calls().len()
    }
}

/// Runs `check` for each request and each of its store calls. `check` gets the server, the
/// request's form and what to call the case.
fn at_each_call(fault: Fault, check: impl Fn(&Faulty, &str, &str)) {
    for request in REQUESTS {
        for call in 0..request.calls() {
            let faulty = Faulty::new(request.setup());
            let form = request.prepare(&faulty.server);
            faulty.faults.restart();
            faulty.faults.at(call, fault);
            check(&faulty, &form, &format!("{request:?}, {fault:?} at call {call}"));
        }
    }
}

/// A success that holds what it promises.
#[track_caller]
fn check_success(server: &Harness, answer: &Answer, case: &str) {
    assert_eq!(answer.status, 200, "{case}: {answer:?}");
    assert!(server.is_active(answer.access_token()), "{case}");
    if let Some(token) = answer.text("refresh_token") {
        let next = server.token(&refresh_form(token));
        assert_eq!(next.status, 200, "{case}: {next:?}");
    }
}

#[test]
fn a_request_makes_no_more_calls_to_the_token_store_than_it_must() {
    let calls = |request: Request| {
        let faulty = Faulty::new(request.setup());
        let form = match request {
            Request::Child => refresh_form(faulty.server.login().refresh_token()),
            _ => request.prepare(&faulty.server),
        };
        faulty.faults.restart();
        let answer = faulty.server.token(&form).ok();
        let for_request = tokens_only(faulty.faults.calls());
        faulty.faults.restart();
        assert!(faulty.server.is_active(answer.access_token()));
        (for_request, tokens_only(faulty.faults.calls()))
    };
    use Method::{Insert, Load, Replace};
    assert_eq!(calls(Request::ClientCredentials), (vec![Insert], vec![Load]));
    assert_eq!(calls(Request::Exchange), (vec![Load, Replace], vec![Load]));
    assert_eq!(calls(Request::Rotate), (vec![Load, Replace], vec![Load]));
    assert_eq!(calls(Request::Count), (vec![Load, Replace], vec![Load]));
    assert_eq!(calls(Request::Child), (vec![Load, Insert], vec![Load, Load]), "a child asks for its parent");
}

fn tokens_only(mut calls: Vec<Method>) -> Vec<Method> {
    calls.retain(|method| !matches!(method, Method::Client | Method::ValidAfter | Method::Subject));
    calls
}

#[test]
fn gen_20_a_failed_call_is_an_error_or_looked_at_again_and_the_same_request_then_succeeds() {
    for (fault, status, error) in
        [(Fault::Fail, 500, "server_error"), (Fault::FailUnavailable, 503, "temporarily_unavailable")]
    {
        at_each_call(fault, |faulty, form, case| {
            let answer = faulty.server.token(form);
            faulty.faults.clear();
            if answer.status == 200 {
                check_success(&faulty.server, &answer, case);
            } else {
                let answer = answer.refused(status, error);
                assert!(!answer.body.contains("store"), "{case}: {answer:?}");
                check_success(&faulty.server, &faulty.server.token(form), case);
            }
        });
    }
}

#[test]
fn a_write_that_fails_once_is_tried_again() {
    for request in REQUESTS {
        let faulty = Faulty::new(request.setup());
        let form = request.prepare(&faulty.server);
        faulty.faults.restart();
        let calls = {
            let probe = Faulty::new(request.setup());
            let form = request.prepare(&probe.server);
            probe.faults.restart();
            probe.server.token(&form).ok();
            probe.faults.calls()
        };
        let write = calls.iter().position(|method| matches!(method, Method::Insert | Method::Replace));
        faulty.faults.at(write.unwrap(), Fault::Fail);
        check_success(&faulty.server, &faulty.server.token(&form), &format!("{request:?}"));
    }
}

#[test]
fn a_write_that_keeps_failing_issues_nothing() {
    for request in REQUESTS {
        let faulty = Faulty::new(request.setup());
        let form = request.prepare(&faulty.server);
        let before = faulty.server.grants();
        for method in [Method::Insert, Method::Replace] {
            faulty.faults.on(method, Fault::FailUnavailable);
        }
        faulty.server.token(&form).refused(503, "temporarily_unavailable");
        faulty.faults.clear();
        assert_eq!(faulty.server.grants(), before, "{request:?}");
        check_success(&faulty.server, &faulty.server.token(&form), &format!("{request:?}"));
    }
}

#[test]
fn a_lost_answer_is_found_to_be_a_success() {
    at_each_call(Fault::LoseAnswer, |faulty, form, case| {
        let answer = faulty.server.token(form);
        let lost_a_read = answer.status != 200;
        faulty.faults.clear();
        if lost_a_read {
            answer.refused(503, "temporarily_unavailable");
            check_success(&faulty.server, &faulty.server.token(form), case);
        } else {
            check_success(&faulty.server, &answer, case);
        }
    });
}

#[test]
fn writes_whose_answers_are_all_lost_are_still_made_once() {
    for request in REQUESTS {
        let faulty = Faulty::new(request.setup());
        let form = request.prepare(&faulty.server);
        let before = faulty.server.grants();
        for method in [Method::Insert, Method::Replace] {
            faulty.faults.on(method, Fault::LoseAnswer);
        }
        let answer = faulty.server.token(&form);
        faulty.faults.clear();
        let made = match request {
            Request::ClientCredentials | Request::Child => 1,
            _ => 0,
        };
        assert_eq!(faulty.server.grants(), before + made, "{request:?}");
        check_success(&faulty.server, &answer, &format!("{request:?}"));
    }
}

#[test]
fn a_write_that_is_sent_twice_is_a_success() {
    at_each_call(Fault::Twice, |faulty, form, case| {
        let answer = faulty.server.token(form);
        faulty.faults.clear();
        check_success(&faulty.server, &answer, case);
    });
}

#[test]
fn every_write_sent_twice_changes_nothing() {
    for request in REQUESTS {
        let faulty = Faulty::new(request.setup());
        for method in [Method::Insert, Method::Replace, Method::Remove] {
            faulty.faults.on(method, Fault::Twice);
        }
        let form = request.prepare(&faulty.server);
        let answer = faulty.server.token(&form);
        check_success(&faulty.server, &answer, &format!("{request:?}"));
        assert!(block_on(faulty.server.server.revoke(answer.access_token())).is_ok());
        assert!(!faulty.server.is_active(answer.access_token()), "{request:?}");
    }
}

#[test]
fn a_request_dropped_at_each_poll_leaves_the_old_or_the_new_state() {
    for request in REQUESTS {
        for polls in 0..40 {
            let faulty = Faulty::new(request.setup());
            let form = request.prepare(&faulty.server);
            // Each call waits before and after it acts.
            for method in [
                Method::Client,
                Method::ValidAfter,
                Method::Subject,
                Method::Load,
                Method::Insert,
                Method::Replace,
            ] {
                faulty.faults.on(method, Fault::Delay(1));
            }
            let outcome = block_on(drop_after(polls, faulty.server.token_async(&form)));
            faulty.faults.clear();
            if let Some(answer) = &outcome {
                check_success(&faulty.server, answer, &format!("{request:?}, whole"));
                break;
            }
            let again = faulty.server.token(&form);
            let case = format!("{request:?}, dropped after {polls} polls");
            match request {
                // Its answer was lost after the commit, and a code has no second one.
                Request::Exchange if again.status == 400 => {
                    again.refused(400, "invalid_grant");
                    assert_eq!(faulty.server.grants(), 0, "{case}");
                }
                _ => check_success(&faulty.server, &again, &case),
            }
            assert!(polls < 39, "{case}: never comes to an end");
        }
    }
}

#[test]
fn a_store_that_hangs_after_writing_leaves_the_new_state() {
    let faulty = Faulty::new(Setup::default());
    let login = faulty.server.login();
    faulty.faults.on(Method::Replace, Fault::HangAfter);
    let form = refresh_form(login.refresh_token());
    assert!(block_on(drop_after(50, faulty.server.token_async(&form))).is_none());
    faulty.faults.clear();
    check_success(&faulty.server, &faulty.server.token(&form), "the answer is given again");
}

#[test]
fn a_replay_is_removed_whatever_the_store_does_to_the_removal() {
    for fault in [Fault::Fail, Fault::FailUnavailable, Fault::LoseAnswer, Fault::Twice] {
        let faulty = Faulty::new(Setup::default());
        let form = exchange_form(&faulty.server.code());
        let first = faulty.server.token(&form).ok();
        faulty.faults.restart();
        // The removal is the last call of a replay: find it, and let it go wrong once.
        let at = {
            let probe = Faulty::new(Setup::default());
            let form = exchange_form(&probe.server.code());
            probe.server.token(&form).ok();
            probe.faults.restart();
            probe.server.token(&form).refused(400, "invalid_grant");
            probe.faults.calls().len() - 1
        };
        faulty.faults.at(at, fault);
        faulty.server.events.take();
        faulty.server.token(&form).refused(400, "invalid_grant");
        let events = faulty.server.events.take().join("\n");
        assert!(events.contains("reason: CodeReplayed }") || fault == Fault::Twice, "{fault:?}: {events}");
        assert!(events.contains("TokenRefused") && events.contains("reason: CodeReplayed"), "{events}");
        assert!(!faulty.server.is_active(first.access_token()), "{fault:?}");
        assert_eq!(faulty.server.grants(), 0, "{fault:?}");
    }
}

#[test]
fn a_removal_that_keeps_failing_is_an_error_and_not_a_refusal() {
    let faulty = Faulty::new(Setup::default());
    let form = exchange_form(&faulty.server.code());
    faulty.server.token(&form).ok();
    faulty.faults.on(Method::Remove, Fault::FailUnavailable);
    faulty.server.token(&form).refused(503, "temporarily_unavailable");
    faulty.faults.clear();
    faulty.server.token(&form).refused(400, "invalid_grant");
    assert_eq!(faulty.server.grants(), 0);
}

#[test]
fn revocation_survives_failures_of_the_store() {
    for fault in [Fault::Fail, Fault::LoseAnswer, Fault::Twice] {
        let faulty = Faulty::new(Setup::default());
        let login = faulty.server.login();
        faulty.faults.restart();
        faulty.faults.at(1, fault);
        assert!(block_on(faulty.server.server.revoke(login.refresh_token())).unwrap(), "{fault:?}");
        faulty.faults.clear();
        assert!(!faulty.server.is_active(login.access_token()), "{fault:?}");
    }
    let faulty = Faulty::new(Setup::default());
    let login = faulty.server.login();
    faulty.faults.on(Method::Remove, Fault::Fail);
    assert!(block_on(faulty.server.server.revoke(login.refresh_token())).is_err());
    faulty.faults.clear();
    assert!(faulty.server.is_active(login.access_token()), "an error says that it may still be valid");
}

#[test]
fn a_store_that_went_back_in_time_is_looked_at_again_and_logs_nobody_out() {
    // A server on a copy of the store from before the last rotation.
    let before = Arc::new(MemoryTokenStore::new());
    let server = Setup::default().build_on(Arc::clone(&before));
    let login = server.login();
    let grant = block_on(server.server.grants(&grantor::store::GrantQuery::new())).unwrap().grants.remove(0);
    let current = server.token(&refresh_form(login.refresh_token())).ok();

    let restored = MemoryTokenStore::new();
    let inserted = block_on(grantor::store::TokenStore::insert(&restored, grant));
    assert_eq!(inserted.unwrap(), grantor::store::Insert::Inserted);
    let server = Setup::default().build_on(restored);
    server.token(&refresh_form(current.refresh_token())).refused(400, "invalid_grant");
    assert!(server.events.saw("RefreshAhead"));
    assert_eq!(server.grants(), 1, "nothing is removed");
    server.token(&refresh_form(login.refresh_token())).ok();
}

#[test]
fn without_randomness_nothing_is_issued() {
    let setup = Setup::default();
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let registry = Arc::clone(&clients);
    let entropy = grantor::testing::SeededEntropy::new(1).failing_at(0);
    let server =
        setup.build_with(clients, MemoryTokenStore::new(), registry, |builder| builder.entropy(entropy));
    server.token("grant_type=client_credentials").refused(500, "server_error");
    assert_eq!(server.grants(), 0);
    server.token("grant_type=client_credentials").ok();
}

#[test]
fn a_full_store_answers_503_and_gives_room_back() {
    let settings = Settings::default().access_token_lifetime(std::time::Duration::from_secs(10));
    let mut setup = Setup::default().settings(settings);
    setup.capacity = 10;
    let server = setup.build();
    let issued: Vec<Answer> = std::iter::repeat_with(|| server.token("grant_type=client_credentials"))
        .take_while(|answer| answer.status == 200)
        .collect();
    assert!(issued.len() >= 7, "a client may use what is free down to its share: {}", issued.len());
    server.token("grant_type=client_credentials").refused(503, "temporarily_unavailable");
    for answer in &issued {
        assert!(server.is_active(answer.access_token()));
    }
    let other = Http::form("grant_type=client_credentials").basic("other", SECRET);
    server.send(other).ok();
    server.advance(10);
    server.token("grant_type=client_credentials").ok();
}
