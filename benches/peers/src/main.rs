//! grantor beside the libraries that one would take instead, and beside a hand-written floor.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml                 some minutes
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --quick     half a minute
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --grants 10000000
//! ```
//!
//! All sides run in turns, in short batches, in one process, on one core: each round gives one
//! ratio to the floor of *issue* without a draw from the operating system, and the table shows the
//! median. It is written to `benches/RESULTS.md`, too, and drawn in `benches/plots`, unless it is a
//! quick run. `benches/token_endpoint` has the floor, and what is timed.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures and stops at what it does not expect"
)]

#[path = "../../token_endpoint/floor.rs"]
mod floor;
mod measure;
mod oauth_as;
mod oxide;
mod plot;
#[path = "../../token_endpoint/server.rs"]
mod server;
mod threads;
#[path = "../../token_endpoint/workload.rs"]
mod workload;

use std::fmt::Write as _;
use std::path::Path;

use measure::{Measured, OPERATIONS};
use server::Registration;

/// Many enough not to be all in the nearest cache.
const CLIENTS: usize = 100;

fn main() -> Result<(), lexopt::Error> {
    use lexopt::prelude::*;
    let (mut quick, mut grants) = (false, Vec::new());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => quick = true,
            Long("grants") => grants.push(parser.value()?.parse::<usize>()?),
            _ => return Err(argument.unexpected()),
        }
    }
    if grants.is_empty() {
        grants = if quick { vec![1_024] } else { vec![1_024, 100_000, 1_000_000] };
    }
    let rounds = if quick { 40 } else { 200 };
    let clients: Vec<Registration> = (0..CLIENTS).map(Registration::new).collect();

    let mut text = String::new();
    let mut say = |line: String| {
        println!("{line}");
        let _ = writeln!(text, "{line}");
    };
    say("## Time, in process\n".to_owned());
    say("| operation | live grants | floor of issue, ns | own floor | grantor | oauth-as | grantor, ns | oauth-as, ns |"
        .to_owned());
    say("|---|--:|--:|--:|--:|--:|--:|--:|".to_owned());
    let mut measured = Vec::new();
    for operation in &OPERATIONS {
        for count in &grants {
            let row = Measured::of(operation, *count, &clients, rounds);
            say(row.to_string());
            measured.push(row);
        }
    }
    say("\n`oxide-auth`, which hashes secrets with Argon2 on the caller's thread:\n".to_owned());
    say(oxide::row(&clients));
    say("\n## Allocations and bytes\n".to_owned());
    say("| what | grantor | oauth-as | floor |".to_owned());
    say("|---|--:|--:|--:|".to_owned());
    measure::allocations(&clients, &mut say);
    measure::bytes(*grants.last().unwrap(), &clients, &mut say);
    say("\n## Revoking one grant of the code flow\n".to_owned());
    say("| live grants | grantor, ns | oauth-as, ns |".to_owned());
    say("|--:|--:|--:|".to_owned());
    measure::revocations(&grants, &clients, &mut say);
    say("\n## Two threads\n".to_owned());
    say("| operation | grantor, two threads ÷ one | oauth-as |".to_owned());
    say("|---|--:|--:|".to_owned());
    threads::rows(if quick { 0.3 } else { 2.0 }, &clients, &mut say);

    if !quick {
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        std::fs::write(benches.join("RESULTS.md"), format!("{}\n{text}", measure::HEAD)).unwrap();
        plot::cost(&measured, &benches.join("plots"));
    }
    Ok(())
}
