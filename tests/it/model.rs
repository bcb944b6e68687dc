//! Days at a server, made up at random, beside a small model of the specification: requests in any
//! order, by the right client and the wrong one, with codes and tokens of any age, while the clock
//! moves, the store fails, requests are given up and the server starts anew.

use std::sync::Arc;
use std::time::Duration;

use grantor::http::Router;
use grantor::store::{MemoryClientStore, MemoryTokenStore};
use grantor::testing::{Fault, Faults, FaultyStore, LatencyStore, ManualClock, block_on, drop_after};
use grantor::{AuthorizationServer, ServerKey};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::support::*;

/// Lifetimes as in the default settings, in milliseconds.
const CODE: u64 = 60_000;
const ACCESS: u64 = 3_600_000;
const RETRY: u64 = 30_000;
/// After the retry window, for clocks that differ.
const SKEW: u64 = 5_000;
const REFRESH: u64 = 30 * 86_400_000;
const IDLE: u64 = 14 * 86_400_000;
const MOST_ACCESS_TOKENS: usize = 16;

#[derive(Clone, Debug)]
enum Step {
    Allow,
    Exchange {
        of: usize,
        by: Who,
        verifier: bool,
    },
    /// `back`: how many tokens before the last one.
    Refresh {
        of: usize,
        by: Who,
        back: usize,
    },
    /// More refreshes in an hour than a record keeps access tokens.
    Busy {
        of: usize,
    },
    Issue,
    Revoke {
        of: usize,
        refresh: bool,
    },
    Wait(u64),
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Owner,
    Other,
    WrongSecret,
}

/// What goes wrong in a step.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    Store(usize, Fault),
    GivenUp(usize),
}

fn steps() -> impl Strategy<Value = Vec<(Step, Trouble)>> {
    let who = || prop_oneof![6 => Just(Who::Owner), 1 => Just(Who::Other), 1 => Just(Who::WrongSecret)];
    // No sum of them is a lifetime. The first ones are about the retry window, the last ones about idle
    // and absolute lifetime.
    let waits = prop::sample::select(vec![
        17,
        7_013,
        29_009,
        31_019,
        31_019,
        33_023,
        61_031,
        1_800_043,
        3_601_057,
        6 * 86_400_067,
        13 * 86_400_071,
        IDLE + 3_600_073,
    ]);
    let step = prop_oneof![
        3 => Just(Step::Allow),
        5 => (any::<usize>(), who(), prop::bool::weighted(0.9))
            .prop_map(|(of, by, verifier)| Step::Exchange { of, by, verifier }),
        8 => (any::<usize>(), who(), prop_oneof![6 => Just(0), 3 => Just(1), 1 => 2..4_usize])
            .prop_map(|(of, by, back)| Step::Refresh { of, by, back }),
        1 => Just(Step::Issue),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(of, refresh)| Step::Revoke { of, refresh }),
        4 => waits.prop_map(Step::Wait),
        1 => any::<usize>().prop_map(|of| Step::Busy { of }),
        1 => Just(Step::Restart),
    ];
    let faults = vec![Fault::Fail, Fault::FailUnavailable, Fault::LoseAnswer, Fault::Twice, Fault::Delay(2)];
    let trouble = prop_oneof![
        6 => Just(Trouble::None),
        2 => (0..4_usize, prop::sample::select(faults)).prop_map(|(call, fault)| Trouble::Store(call, fault)),
        1 => (1..8_usize).prop_map(Trouble::GivenUp),
    ];
    prop::collection::vec((step, trouble), 1..60)
}

/// What the specification says of one grant.
struct Grant {
    code: String,
    allowed_at: u64,
    is_spent: bool,
    is_removed: bool,
    /// With the time of issue, newest last.
    access: Vec<(String, u64)>,
    /// Each one that there was.
    refresh: Vec<String>,
    rotated_at: u64,
}

#[derive(Debug, PartialEq)]
enum Expected {
    /// With a new refresh token, or the one that was given before.
    Tokens {
        same_refresh: bool,
    },
    Refused,
}

impl Grant {
    fn exchange(&mut self, by: Who, verifier: bool, now: u64) -> Expected {
        let proves = by == Who::Owner && verifier;
        if proves && self.is_spent {
            // A replay (RFC 6749 §4.1.2).
            self.is_removed = true;
        }
        if proves && !self.is_spent && !self.is_removed && now < self.allowed_at + CODE {
            self.is_spent = true;
            Expected::Tokens { same_refresh: false }
        } else {
            Expected::Refused
        }
    }

    fn refresh(&mut self, by: Who, back: usize, now: u64) -> Expected {
        let is_over = now >= self.allowed_at + REFRESH || now >= self.rotated_at + IDLE;
        if by != Who::Owner || self.is_removed || is_over {
            return Expected::Refused;
        }
        match (back, now - self.rotated_at) {
            (0, _) => Expected::Tokens { same_refresh: false },
            (1, since) if since <= RETRY => Expected::Tokens { same_refresh: true },
            (1, since) if since <= RETRY + SKEW => Expected::Refused,
            _ => {
                // Reuse (RFC 9700 §4.14).
                self.is_removed = true;
                Expected::Refused
            }
        }
    }

    fn is_live(&self, issued_at: u64, now: u64) -> bool {
        !self.is_removed && now < issued_at + ACCESS
    }
}

struct Day {
    clock: ManualClock,
    faults: Faults,
    tokens: Arc<MemoryTokenStore>,
    server: Harness,
    grants: Vec<Grant>,
}

impl Day {
    fn new() -> Self {
        let clock = ManualClock::new(START);
        let (faults, tokens) = (Faults::new(), Arc::new(MemoryTokenStore::new()));
        let server = start(&clock, &faults, &tokens);
        Self { clock, faults, tokens, server, grants: Vec::new() }
    }

    fn now(&self) -> u64 {
        grantor::Clock::now(&self.clock).as_millis()
    }

    /// Sends it with the trouble, and again without, as clients do that got no answer.
    fn send(&self, http: &Http, trouble: Trouble) -> (Answer, bool) {
        self.faults.restart();
        let first = match trouble {
            Trouble::None => Some(self.server.send(http.clone())),
            Trouble::Store(call, fault) => {
                self.faults.at(call, fault);
                Some(self.server.send(http.clone()))
            }
            Trouble::GivenUp(polls) => block_on(drop_after(polls, self.server.send_async(http.clone()))),
        };
        self.faults.restart();
        match first {
            Some(answer) if answer.status < 500 => (answer, false),
            _ => (self.server.send(http.clone()), true),
        }
    }

    fn play(&mut self, step: &Step, trouble: Trouble) {
        let now = self.now();
        match step {
            Step::Allow => {
                let code = self.server.code();
                self.grants.push(Grant {
                    code,
                    allowed_at: now,
                    is_spent: false,
                    is_removed: false,
                    access: Vec::new(),
                    refresh: Vec::new(),
                    rotated_at: now,
                });
            }
            Step::Exchange { of, by, verifier } => {
                let Some(at) = self.pick(*of, |_| true) else { return };
                let mut form = exchange_form(&self.grants[at].code);
                if !verifier {
                    form = form.replace(VERIFIER, &VERIFIER.to_uppercase());
                }
                let (answer, again) = self.send(&by.sign(Http::form(form)), trouble);
                let grant = &mut self.grants[at];
                let was_spent = grant.is_spent;
                let mut expected = grant.exchange(*by, *verifier, now);
                if again && !was_spent && expected != Expected::Refused && answer.status == 400 {
                    // The first one was done, so that the second was a replay.
                    grant.is_removed = true;
                    expected = Expected::Refused;
                }
                self.compare(at, &answer, &expected, *by);
            }
            Step::Refresh { of, by, back } => {
                let Some(at) = self.pick(*of, |grant| grant.refresh.len() > *back) else { return };
                let grant = &mut self.grants[at];
                let token = &grant.refresh[grant.refresh.len() - 1 - back];
                let http = by.sign(Http::form(refresh_form(token)));
                let expected = grant.refresh(*by, *back, now);
                // Whether or not the first one was done, the second gets an answer: nobody is logged out.
                let (answer, _) = self.send(&http, trouble);
                self.compare(at, &answer, &expected, *by);
            }
            Step::Busy { of } => {
                let Some(at) = self.pick(*of, |grant| !grant.refresh.is_empty()) else { return };
                for _ in 0..MOST_ACCESS_TOKENS + 2 {
                    let now = self.now();
                    let grant = &mut self.grants[at];
                    let token = grant.refresh.last().expect("it has one");
                    let http = Who::Owner.sign(Http::form(refresh_form(token)));
                    let expected = grant.refresh(Who::Owner, 0, now);
                    let displaced = grant.access.iter().map(|(token, _)| token.clone()).collect::<Vec<_>>();
                    self.compare(at, &self.server.send(http), &expected, Who::Owner);
                    let kept = &self.grants[at].access;
                    for token in displaced.iter().filter(|token| kept.iter().all(|(own, _)| own != *token)) {
                        assert!(!self.server.is_active(token), "displaced");
                    }
                    self.clock.advance(Duration::from_millis(60_037));
                }
            }
            Step::Issue => {
                let http = Http::form("grant_type=client_credentials&scope=a").basic("app", SECRET);
                let (answer, _) = self.send(&http, trouble);
                assert!(self.server.is_active(answer.ok().access_token()));
            }
            Step::Revoke { of, refresh } => {
                let Some(at) = self.pick(*of, |grant| !grant.access.is_empty()) else { return };
                let grant = &mut self.grants[at];
                let (access, issued_at) = grant.access.last().expect("it has one");
                let is_live = grant.is_live(*issued_at, now);
                let token = if *refresh { grant.refresh.last().expect("it has one") } else { access };
                if !is_live {
                    return;
                }
                let http = Http::to("revoke", format!("token={token}")).basic("app", SECRET);
                grant.is_removed = true;
                let (answer, _) = self.send(&http, trouble);
                assert_eq!(answer.status, 200, "{answer:?}");
            }
            Step::Wait(millis) => self.clock.advance(Duration::from_millis(*millis)),
            Step::Restart => self.server = start(&self.clock, &self.faults, &self.tokens),
        }
    }

    fn pick(&self, of: usize, fits: impl Fn(&Grant) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = (0..self.grants.len()).filter(|at| fits(&self.grants[*at])).collect();
        // The newest ones are of more interest.
        let recent = fitting.len().min(3);
        (recent > 0).then(|| fitting[fitting.len() - 1 - of % recent])
    }

    fn compare(&mut self, at: usize, answer: &Answer, expected: &Expected, by: Who) {
        let now = self.now();
        let grant = &mut self.grants[at];
        match expected {
            Expected::Refused if by == Who::WrongSecret => {
                answer.clone().refused(401, "invalid_client");
            }
            Expected::Refused => {
                answer.clone().refused(400, "invalid_grant");
            }
            Expected::Tokens { same_refresh } => {
                let answer = answer.clone().ok();
                let refresh = answer.refresh_token().to_owned();
                assert_eq!(grant.refresh.last() == Some(&refresh), *same_refresh, "{answer:?}");
                let access = answer.access_token().to_owned();
                let known = grant.access.iter().any(|(token, _)| *token == access);
                assert_eq!(known, *same_refresh, "the same answer again, or a new one");
                if !same_refresh {
                    grant.refresh.push(refresh);
                    grant.rotated_at = now;
                    grant.access.retain(|(_, issued_at)| now < issued_at + ACCESS);
                    grant.access.push((access, now));
                    let displaced = grant.access.len().saturating_sub(MOST_ACCESS_TOKENS);
                    grant.access.drain(..displaced);
                }
            }
        }
    }

    /// What is active is what the model says is.
    fn look_at_all(&self) {
        let now = self.now();
        for grant in &self.grants {
            for (token, issued_at) in &grant.access {
                assert_eq!(self.server.is_active(token), grant.is_live(*issued_at, now), "access token");
            }
            if let [before @ .., last] = grant.refresh.as_slice() {
                let is_over = now >= grant.allowed_at + REFRESH || now >= grant.rotated_at + IDLE;
                assert_eq!(self.server.is_active(last), !grant.is_removed && !is_over, "refresh token");
                for old in before.iter().rev().skip(1) {
                    assert!(!self.server.is_active(old), "a refresh token that was replaced long ago");
                }
            }
        }
    }
}

impl Who {
    fn sign(self, http: Http) -> Http {
        match self {
            Self::Owner => http.basic("app", SECRET),
            Self::Other => http.basic("other", SECRET),
            Self::WrongSecret => http.basic("app", "a-secret-of-nobody"),
        }
    }
}

/// Another process on the same store.
fn start(clock: &ManualClock, faults: &Faults, tokens: &Arc<MemoryTokenStore>) -> Harness {
    let setup = Setup::default();
    let clients = Arc::new(MemoryClientStore::from_iter(setup.clients.clone()));
    let server = AuthorizationServer::builder("https://as.example")
        .clients(Arc::clone(&clients))
        .tokens(FaultyStore::new(LatencyStore::new(Arc::clone(tokens)), faults))
        .clock(clock.clone())
        .server_key(ServerKey::from_bytes([7; 32]))
        .build()
        .unwrap();
    let router = Router::builder(server.clone()).build().unwrap();
    Harness { server, router, clock: clock.clone(), events: Events::default(), clients }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/it/model.seeds"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_day_goes_as_the_specification_says(steps in steps()) {
        let mut day = Day::new();
        for (step, trouble) in &steps {
            day.play(step, *trouble);
            day.look_at_all();
        }
    }
}
