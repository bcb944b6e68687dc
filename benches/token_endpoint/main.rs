//! What the token endpoint costs, in time and in allocations, against a hand-written floor.
//!
//! ```text
//! cargo bench --bench token_endpoint                       about a minute
//! cargo bench --bench token_endpoint -- --quick            a few seconds
//! cargo bench --bench token_endpoint -- --grants 1000000   another number of live grants
//! cargo bench --bench token_endpoint -- --only refresh     one operation, for a profiler
//! cargo bench --bench token_endpoint -- --count refresh    nothing but that, for `scripts/instructions`
//! ```
//!
//! Issue, exchange and refresh are measured from the bytes of a request to the reply,
//! introspection from the token to what it stands for. All sides run in turns, in short
//! batches, in one process: each round gives one ratio, and the table shows the median.
//! `floor` says what is on the other side. The floor of *issue*, without a draw from the
//! operating system, is one yardstick for all; beside it stands the floor of the same
//! operation, which draws as grantor does.

#![allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures and stops at what it does not expect"
)]

mod floor;
mod server;
mod workload;

use std::time::Instant;

use floor::{Floor, System, UserSpace};
use server::{Grantor, Registration};
use workload::{BATCH, Exchange, Introspect, Issue, Refresh, Side, Workload, allocations};

/// A service with so many clients that they are not all in the nearest cache.
const CLIENTS: usize = 100;

struct Operation {
    name: &'static str,
    /// What grantor may take in floors, and in allocations.
    budget: (f64, f64),
    sides: fn(&[Registration], usize) -> Sides<'_>,
}

/// Each with as many live grants.
struct Sides<'a> {
    grantor: Box<dyn Workload + 'a>,
    floor_of_issue: Box<dyn Workload + 'a>,
    own_floor: Box<dyn Workload + 'a>,
}

const OPERATIONS: [Operation; 4] = [
    Operation {
        name: "issue",
        budget: (1.8, 10.0),
        sides: |clients, grants| Sides {
            grantor: Box::new(Issue::new(grantor(clients), grants)),
            floor_of_issue: floor_of_issue(clients, grants),
            own_floor: Box::new(Issue::new(floor(clients), grants)),
        },
    },
    Operation {
        name: "exchange",
        budget: (1.3, 14.0),
        sides: |clients, grants| Sides {
            grantor: Box::new(Exchange::new(grantor(clients), grants)),
            floor_of_issue: floor_of_issue(clients, grants),
            own_floor: Box::new(Exchange::new(floor(clients), grants)),
        },
    },
    Operation {
        name: "refresh",
        budget: (2.0, 14.0),
        sides: |clients, grants| Sides {
            grantor: Box::new(Refresh::new(grantor(clients), grants)),
            floor_of_issue: floor_of_issue(clients, grants),
            own_floor: Box::new(Refresh::new(floor(clients), grants)),
        },
    },
    Operation {
        name: "introspection",
        budget: (1.2, 14.0),
        sides: |clients, grants| Sides {
            grantor: Box::new(Introspect::new(grantor(clients), grants)),
            floor_of_issue: floor_of_issue(clients, grants),
            own_floor: Box::new(Introspect::new(floor(clients), grants)),
        },
    },
];

fn grantor(clients: &[Registration]) -> Side<'_, Grantor> {
    Side::new(Grantor::new(clients), clients)
}

/// It draws as grantor does.
fn floor(clients: &[Registration]) -> Side<'_, Floor<System>> {
    Side::new(Floor::new(clients), clients)
}

fn floor_of_issue(clients: &[Registration], grants: usize) -> Box<dyn Workload + '_> {
    Box::new(Issue::new(Side::new(Floor::<UserSpace>::new(clients), clients), grants))
}

fn main() -> Result<(), lexopt::Error> {
    let Some(arguments) = Arguments::read()? else {
        println!("nothing measured: this is for `cargo bench`");
        return Ok(());
    };
    let clients: Vec<Registration> = (0..CLIENTS).map(Registration::new).collect();
    if let Some(name) = &arguments.count {
        count(name, &clients);
        return Ok(());
    }
    println!(
        "| operation | live grants | grantor, ns (least) | budget | floor of issue, ns | ratio \
         | own floor, ns | ratio | allocations | budget | of own floor |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let wanted = |operation: &&Operation| arguments.only.as_ref().is_none_or(|only| only == operation.name);
    for operation in OPERATIONS.iter().filter(wanted) {
        for grants in &arguments.grants {
            println!("{}", row(operation, *grants, (operation.sides)(&clients, *grants), arguments.rounds));
        }
    }
    println!();
    for grants in &arguments.grants {
        let issue = grantor(&clients).bytes_per_issue(*grants);
        let exchange = grantor(&clients).bytes_per_exchange(*grants);
        println!(
            "Bytes per live grant at {grants}: {issue:.0} of client credentials, {exchange:.0} of the code \
             flow with refresh."
        );
    }
    println!(
        "\nThe own floors draw from the operating system as grantor does, the floor of issue does not. \
         Times are medians of {} rounds of {BATCH}.",
        arguments.rounds
    );
    Ok(())
}

struct Arguments {
    grants: Vec<usize>,
    rounds: usize,
    only: Option<String>,
    count: Option<String>,
}

impl Arguments {
    /// `None` unless `cargo bench` runs this: `cargo test --benches` does, too.
    fn read() -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        if !std::env::args().any(|argument| argument == "--bench") {
            return Ok(None);
        }
        let mut arguments = Self { grants: Vec::new(), rounds: 400, only: None, count: None };
        let (mut quick, mut test) = (false, false);
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("bench") => {}
                Long("test") => test = true,
                Long("quick") => quick = true,
                Long("grants") => arguments.grants.push(parser.value()?.parse::<usize>()?.max(2 * BATCH)),
                Long("count") => arguments.count = Some(parser.value()?.string()?),
                Long("only") => arguments.only = Some(parser.value()?.string()?),
                _ => return Err(argument.unexpected()),
            }
        }
        if quick {
            arguments.rounds = 40;
        }
        if arguments.grants.is_empty() {
            arguments.grants = if quick { vec![1_000] } else { vec![1_000, 100_000] };
        }
        Ok(Some(arguments).filter(|_| !test))
    }
}

/// Runs grantor's side of an operation, and says how often.
fn count(name: &str, clients: &[Registration]) {
    const GRANTS: usize = 4 * BATCH;
    let mut side: Box<dyn Workload> = match name {
        "issue" => Box::new(Issue::new(grantor(clients), GRANTS)),
        "exchange" => Box::new(Exchange::new(grantor(clients), GRANTS)),
        "refresh" => Box::new(Refresh::new(grantor(clients), GRANTS)),
        _ => Box::new(Introspect::new(grantor(clients), GRANTS)),
    };
    for _ in 0..8 {
        side.prepare();
        side.run();
        side.clean();
    }
    println!("{}", 8 * BATCH);
}

fn row(operation: &Operation, grants: usize, sides: Sides<'_>, rounds: usize) -> String {
    let mut sides = [sides.grantor, sides.floor_of_issue, sides.own_floor];
    let allocations = sides.each_mut().map(|side| allocations(&mut **side));
    let mut times = [const { Vec::new() }; 3];
    // Counting costs time; what is timed is not counted.
    allocation_counter::opt_out(|| times = time(&mut sides, rounds));
    let [grantor, floor_of_issue, own_floor] = &times;
    let to_issue = median(&ratios(grantor, floor_of_issue));
    let to_own = median(&ratios(grantor, own_floor));
    let least = grantor.iter().copied().fold(f64::INFINITY, f64::min);
    let (most_time, most_allocations) = operation.budget;
    let verdict = |within: bool| if within { "" } else { " over" };
    format!(
        "| {} | {grants} | {:.0} ({least:.0}) | {most_time} | {:.0} | {to_issue:.2}{} | {:.0} | {to_own:.2}{} \
         | {:.1} | {most_allocations}{} | {:.1} |",
        operation.name,
        median(grantor),
        median(floor_of_issue),
        verdict(to_issue <= most_time),
        median(own_floor),
        verdict(to_own <= most_time),
        allocations[0],
        verdict(allocations[0] <= most_allocations),
        allocations[2],
    )
}

/// Nanoseconds per operation, for each side and round.
fn time(sides: &mut [Box<dyn Workload + '_>; 3], rounds: usize) -> [Vec<f64>; 3] {
    let mut times = [const { Vec::new() }; 3];
    for round in 0..rounds {
        sides.iter_mut().for_each(|side| side.prepare());
        // Nobody always follows the same one.
        let order = if round % 2 == 0 { [0, 1, 2] } else { [2, 1, 0] };
        for at in order.map(|at| (at + round / 2) % 3) {
            let begin = Instant::now();
            sides[at].run();
            times[at].push(begin.elapsed().as_nanos() as f64 / BATCH as f64);
        }
        sides.iter_mut().for_each(|side| side.clean());
    }
    times
}

fn ratios(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| one / other).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
