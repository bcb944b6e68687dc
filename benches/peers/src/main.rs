//! grantor beside the libraries that one would take instead, and beside a hand-written floor.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml                 half an hour, 10 GB
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --quick     a minute
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --only http --server axum
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --only threads
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --only parts
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --only in-process --grants 1000000
//! ```
//!
//! All sides run in turns, in short batches, in one process, on one core: each round gives one
//! ratio to the floor of *issue* without a draw from the operating system, and the table shows the
//! median. Over HTTP, the servers are processes of their own. All is written to
//! `benches/RESULTS.md`, too, and drawn in `benches/plots`, unless it is a quick run or a part. `benches/token_endpoint` has the floor, and what is timed.

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
mod over_http;
mod oxide;
mod parts;
mod plot;
#[path = "../../token_endpoint/server.rs"]
mod server;
mod threads;
#[path = "../../token_endpoint/workload.rs"]
mod workload;

use std::path::Path;

use measure::{Measured, OPERATIONS};
use server::Registration;

/// Many enough not to be all in the nearest cache.
const CLIENTS: usize = 100;

#[derive(Default)]
struct Options {
    quick: bool,
    in_process: bool,
    /// What is measured in process anyhow, alone.
    parts: bool,
    threads: bool,
    over_http: bool,
    servers: Vec<String>,
    grants: Vec<usize>,
}

const OVER_HTTP: &str = "## Over HTTP\n";
const PARTS: &str = "## Parts\n";
const REVOKING: &str = "## Revoking one grant of the code flow\n";
const TWO_THREADS: &str = "## Two threads\n";

fn main() -> Result<(), lexopt::Error> {
    let options = Options::from_env()?;
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (results, plots) = (benches.join("RESULTS.md"), benches.join("plots"));
    // What is not measured this time stays as it is.
    let old = std::fs::read_to_string(&results).unwrap_or_default();
    let (mut in_process, mut over_http) = match old.split_once(OVER_HTTP) {
        Some((before, after)) => (before.to_owned(), after.to_owned()),
        None => (old, String::new()),
    };
    if options.in_process {
        in_process = format!("{}\n", measure::HEAD);
        let measured = options.measure(&mut say_into(&mut in_process));
        if !options.quick {
            plot::cost(&measured, &plots);
        }
    }
    if options.parts
        && let Some((before, rest)) = in_process.split_once(PARTS)
        && let Some((_, after)) = rest.split_once(REVOKING)
    {
        let (mut parts, after) = (before.to_owned(), format!("{REVOKING}{after}"));
        let clients: Vec<Registration> = (0..CLIENTS).map(Registration::new).collect();
        options.measure_parts(&clients, &mut say_into(&mut parts));
        in_process = parts + &after;
    }
    if options.threads {
        let before = in_process.split_once(TWO_THREADS).map_or(&*in_process, |(before, _)| before).to_owned();
        in_process = before;
        options.measure_threads(&mut say_into(&mut in_process));
        in_process.push('\n');
    }
    if options.over_http {
        over_http = "\n".to_owned();
        let served = over_http::rows(options.quick, &options.servers, &mut say_into(&mut over_http));
        if !options.quick && options.servers.is_empty() {
            plot::over_http(&served, &plots);
        }
    }
    if !options.quick && options.servers.is_empty() {
        std::fs::write(results, in_process + OVER_HTTP + &over_http).unwrap();
    }
    Ok(())
}

fn say_into(text: &mut String) -> impl FnMut(String) {
    |line| {
        println!("{line}");
        text.push_str(&line);
        text.push('\n');
    }
}

impl Options {
    fn from_env() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self { in_process: true, threads: true, over_http: true, ..Self::default() };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("quick") => options.quick = true,
                Long("only") => {
                    let part = parser.value()?.string()?;
                    options.in_process = part == "in-process";
                    options.parts = part == "parts";
                    options.threads = part == "threads";
                    options.over_http = part == "http";
                }
                Long("server") => options.servers.push(parser.value()?.string()?),
                Long("grants") => options.grants.push(parser.value()?.parse()?),
                _ => return Err(argument.unexpected()),
            }
        }
        if options.grants.is_empty() {
            options.grants =
                if options.quick { vec![1_024] } else { vec![1_024, 100_000, 1_000_000, 10_000_000] };
        }
        Ok(options)
    }

    fn measure(&self, say: &mut impl FnMut(String)) -> Vec<Measured> {
        let rounds = if self.quick { 40 } else { 200 };
        let clients: Vec<Registration> = (0..CLIENTS).map(Registration::new).collect();
        say("## Time, in process\n".to_owned());
        say("| operation | live grants | floor of issue, ns | own floor | grantor | oauth-as | grantor, ns | oauth-as, ns |"
            .to_owned());
        say("|---|--:|--:|--:|--:|--:|--:|--:|".to_owned());
        let mut measured = Vec::new();
        for operation in &OPERATIONS {
            for count in &self.grants {
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
        measure::allocations(&clients, say);
        measure::bytes(self.up_to_a_million(), &clients, say);
        say(String::new());
        self.measure_parts(&clients, say);
        say(REVOKING.to_owned());
        say("| live grants | floor, ns | grantor, ns | oauth-as, ns |".to_owned());
        say("|--:|--:|--:|--:|".to_owned());
        measure::revocations(&self.grants, &clients, say);
        say(String::new());
        measured
    }

    fn measure_parts(&self, clients: &[Registration], say: &mut impl FnMut(String)) {
        say(PARTS.to_owned());
        say("| reading | ns |".to_owned());
        say("|---|--:|".to_owned());
        parts::parsers(clients, say);
        say(String::new());
        parts::steps(clients, say);
        say("\n| issuing, one after the other, the quietest of five runs | median, µs | 99.99 %, µs | longest, µs |".to_owned());
        say("|---|--:|--:|--:|".to_owned());
        parts::longest(self.up_to_a_million(), clients, say);
        say(String::new());
        parts::burst(say);
        say(String::new());
    }

    /// Of the numbers of grants to be measured at, the largest that is not beyond a million.
    fn up_to_a_million(&self) -> usize {
        self.grants.iter().copied().filter(|count| *count <= 1_000_000).max().unwrap_or(1_024)
    }

    fn measure_threads(&self, say: &mut impl FnMut(String)) {
        let clients: Vec<Registration> = (0..CLIENTS).map(Registration::new).collect();
        say(TWO_THREADS.to_owned());
        say("| operation | grantor, two threads ÷ one | oauth-as |".to_owned());
        say("|---|--:|--:|".to_owned());
        threads::rows(if self.quick { 0.3 } else { 2.0 }, &clients, say);
    }
}
