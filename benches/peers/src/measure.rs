//! What is measured on one thread.

use std::fmt;
use std::time::Instant;

use crate::floor::{Floor, System, UserSpace};
use crate::oauth_as::OauthAs;
use crate::server::{Grantor, Registration, Server};
use crate::workload::{self, BATCH, Exchange, Introspect, Issue, Refresh, Side, Workload};

pub const HEAD: &str = "# What grantor costs, and what others cost

`cargo run --release --manifest-path benches/peers/Cargo.toml` writes this file. Columns without a unit are ratios \
to the floor of *issue*: the least that issuing can be done with, hand-written, drawing its randomness without the \
operating system. The own floor is the least for the same operation, drawing 32 bytes from the operating system as \
grantor does. From the bytes of a request to those of the answer, but for introspection: there, from the token to \
what it stands for, which `oauth-as` answers without a look at its client or at a revocation of all.
";

pub struct Operation {
    pub name: &'static str,
    sides: fn(&[Registration], usize) -> Sides<'_>,
}

type Sides<'a> = [Box<dyn Workload + 'a>; 4];

pub const OPERATIONS: [Operation; 4] = [
    Operation {
        name: "issue",
        sides: |clients, grants| {
            [
                floor_of_issue(clients, grants),
                Box::new(Issue::new(floor(clients), grants)),
                Box::new(Issue::new(grantor(clients), grants)),
                Box::new(Issue::new(oauth_as(clients), grants)),
            ]
        },
    },
    Operation {
        name: "exchange",
        sides: |clients, grants| {
            [
                floor_of_issue(clients, grants),
                Box::new(Exchange::new(floor(clients), grants)),
                Box::new(Exchange::new(grantor(clients), grants)),
                beside_large(grants, || Exchange::new(oauth_as(clients), grants)),
            ]
        },
    },
    Operation {
        name: "refresh",
        sides: |clients, grants| {
            [
                floor_of_issue(clients, grants),
                Box::new(Refresh::new(floor(clients), grants)),
                Box::new(Refresh::new(grantor(clients), grants)),
                beside_large(grants, || Refresh::new(oauth_as(clients), grants)),
            ]
        },
    },
    Operation {
        name: "introspection",
        sides: |clients, grants| {
            [
                floor_of_issue(clients, grants),
                Box::new(Introspect::new(floor(clients), grants)),
                Box::new(Introspect::new(grantor(clients), grants)),
                Box::new(Introspect::new(oauth_as(clients), grants)),
            ]
        },
    },
];

fn grantor(clients: &[Registration]) -> Side<'_, Grantor> {
    Side::new(Grantor::new(clients), clients)
}

fn oauth_as(clients: &[Registration]) -> Side<'_, OauthAs> {
    Side::new(OauthAs::new(clients), clients)
}

fn floor(clients: &[Registration]) -> Side<'_, Floor<System>> {
    Side::new(Floor::new(clients), clients)
}

fn floor_of_issue(clients: &[Registration], grants: usize) -> Box<dyn Workload + '_> {
    Box::new(Issue::new(Side::new(Floor::<UserSpace>::new(clients), clients), grants))
}

/// Grants of the code flow of `oauth-as` are so large that ten million do not fit beside the others.
const MOST_BESIDE: usize = 2_000_000;

fn beside_large<'a, W: Workload + 'a>(grants: usize, make: impl FnOnce() -> W) -> Box<dyn Workload + 'a> {
    if grants > MOST_BESIDE { Box::new(Absent) } else { Box::new(make()) }
}

struct Absent;

/// Nothing takes less nanoseconds than this but what is not there.
pub const NOTHING: f64 = 10.0;

impl Workload for Absent {
    fn prepare(&mut self) {}
    fn run(&mut self) {}
    fn clean(&mut self) {}
}

/// Nanoseconds of the floor of issue, the own floor, grantor and `oauth-as`; and the median of
/// what the last three are to the first.
pub struct Measured {
    pub operation: &'static str,
    pub grants: usize,
    pub nanos: [f64; 4],
    pub ratios: [f64; 4],
}

impl Measured {
    pub fn of(operation: &Operation, grants: usize, clients: &[Registration], rounds: usize) -> Self {
        let mut sides = (operation.sides)(clients, grants);
        let mut times = [const { Vec::new() }; 4];
        // Counting costs time; what is timed is not counted.
        allocation_counter::opt_out(|| {
            for round in 0..rounds {
                sides.iter_mut().for_each(|side| side.prepare());
                for at in 0..sides.len() {
                    let at = if round % 2 == 0 { at } else { sides.len() - 1 - at };
                    let at = (at + round / 2) % sides.len();
                    let begin = Instant::now();
                    sides[at].run();
                    times[at].push(begin.elapsed().as_nanos() as f64 / BATCH as f64);
                }
                sides.iter_mut().for_each(|side| side.clean());
            }
        });
        let ratios = times.each_ref().map(|side| {
            let of_rounds = side.iter().zip(&times[0]);
            median(of_rounds.map(|(one, floor)| one / floor).collect())
        });
        Self { operation: operation.name, grants, nanos: times.map(median), ratios }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [floor, _, grantor, oauth_as] = self.nanos;
        let [_, own, to_floor, peer] = self.ratios;
        let Self { operation, grants, .. } = self;
        let [peer, oauth_as] = if oauth_as < NOTHING {
            ["–".to_owned(), "–".to_owned()]
        } else {
            [format!("{peer:.2}"), format!("{oauth_as:.0}")]
        };
        write!(
            f,
            "| {operation} | {grants} | {floor:.0} | {own:.2} | **{to_floor:.2}** | {peer} | {grantor:.0} | {oauth_as} |"
        )
    }
}

/// Allocations of one operation at a thousand grants.
pub fn allocations(clients: &[Registration], say: &mut impl FnMut(String)) {
    for operation in &OPERATIONS {
        let sides = (operation.sides)(clients, 4 * BATCH);
        let [_, floor, grantor, oauth_as] = sides.map(|mut side| workload::allocations(&mut *side));
        say(format!("| allocations, {} | {grantor:.1} | {oauth_as:.1} | {floor:.1} |", operation.name));
    }
}

pub fn bytes(grants: usize, clients: &[Registration], say: &mut impl FnMut(String)) {
    let [one, other, least] = [
        grantor(clients).bytes_per_issue(grants),
        oauth_as(clients).bytes_per_issue(grants),
        floor(clients).bytes_per_issue(grants),
    ];
    say(format!("| bytes of a client-credentials token at {grants} | {one:.0} | {other:.0} | {least:.0} |"));
    let [one, other, least] = [
        grantor(clients).bytes_per_exchange(grants),
        oauth_as(clients).bytes_per_exchange(grants),
        floor(clients).bytes_per_exchange(grants),
    ];
    say(format!("| bytes of a code-flow grant at {grants} | {one:.0} | {other:.0} | {least:.0} |"));
}

pub fn revocations(grants: &[usize], clients: &[Registration], say: &mut impl FnMut(String)) {
    for count in grants {
        let server = Grantor::new(clients);
        let tokens = Side::new(&server, clients).fill_with_exchanges(*count);
        let one = nanos(&tokens, 500, |_, token| server.revoke(token));
        drop((server, tokens));
        let server = Floor::<System>::new(clients);
        let tokens = Side::new(&server, clients).fill_with_exchanges(*count);
        let least = nanos(&tokens, 500, |_, token| server.revoke(token));
        drop((server, tokens));
        let other = (*count <= MOST_BESIDE).then(|| revocation_of_oauth_as(*count, clients));
        let other = other.map_or("–".to_owned(), |nanos| format!("{nanos:.0}"));
        say(format!("| {count} | {least:.0} | {one:.0} | {other} |"));
    }
}

fn revocation_of_oauth_as(grants: usize, clients: &[Registration]) -> f64 {
    let server = OauthAs::new(clients);
    let tokens = Side::new(&server, clients).fill_with_exchanges(grants);
    // It scans all that there is.
    let times = (20_000_000 / grants).clamp(3, 500);
    nanos(&tokens, times, |client, token| server.revoke_grant(client, token))
}

fn nanos(tokens: &[(&Registration, String)], times: usize, revoke: impl Fn(&Registration, &str)) -> f64 {
    let step = (tokens.len() / times).max(1);
    let each = tokens.iter().step_by(step).take(times).map(|(client, token)| {
        let begin = Instant::now();
        revoke(client, token);
        begin.elapsed().as_nanos() as f64
    });
    median(each.collect())
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
