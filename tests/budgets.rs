//! What a request may allocate, and how large what it makes and what it waits in may be.
//!
//! Counted, not timed: whoever adds an allocation or a copy to the way of a request finds a figure
//! in `budgets.txt` that it is over.

#![allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    dead_code,
    reason = "what is measured here is shared with programs that do more"
)]

#[path = "../benches/token_endpoint/server.rs"]
mod server;
#[path = "../benches/token_endpoint/workload.rs"]
mod workload;

use grantor::grant::Grant;
use grantor::http::Request;
use grantor::{TokenRequest, TokenResponse};
use server::{Grantor, Registration};
use workload::{BATCH, Exchange, Introspect, Issue, Refresh, Side, allocations};

fn clients() -> Vec<Registration> {
    (0..4).map(Registration::new).collect()
}

fn side(clients: &[Registration]) -> Side<'_, Grantor> {
    Side::new(Grantor::new(clients), clients)
}

/// Of `tests/budgets.txt`.
fn budget(what: &str) -> f64 {
    let lines = include_str!("budgets.txt").lines().filter(|line| !line.starts_with('#'));
    let budget = lines.filter_map(|line| line.strip_prefix(what)?.trim().parse().ok()).next();
    budget.unwrap_or_else(|| panic!("there is no budget for {what}"))
}

#[track_caller]
fn within(what: &str, figure: f64) {
    let budget = budget(what);
    assert!(figure <= budget, "{what}: {figure:.2}, and the budget is {budget}");
    // One that is far too large guards nothing.
    assert!(figure >= budget * 0.8, "{what}: {figure:.2} only, lower the budget of {budget}");
}

#[test]
fn requests_allocate_no_more_than_they_may() {
    const GRANTS: usize = 4 * BATCH;
    let clients = clients();
    within("allocations issue", allocations(&mut Issue::new(side(&clients), GRANTS)));
    within("allocations exchange", allocations(&mut Exchange::new(side(&clients), GRANTS)));
    within("allocations refresh", allocations(&mut Refresh::new(side(&clients), GRANTS)));
    within("allocations introspection", allocations(&mut Introspect::new(side(&clients), GRANTS)));
}

#[test]
fn grants_take_no_more_memory_than_they_may() {
    let clients = clients();
    within("bytes client-credentials-grant", side(&clients).bytes_per_issue(4096));
    within("bytes code-flow-grant", side(&clients).bytes_per_exchange(4096));
}

#[test]
fn what_a_task_holds_is_no_larger_than_it_may_be() {
    let clients = clients();
    let server = Grantor::new(&clients);
    within("bytes record", size_of::<Grant>() as f64);
    let request = TokenRequest::new("client_credentials");
    let token = server.server().token(&request);
    within("bytes token-future", size_of_val(&token) as f64);
    drop(token);
    let request = Request::new("POST", "/oauth/token");
    let handle = server.router().handle(&request);
    within("bytes handle-future", size_of_val(&handle) as f64);
    drop(handle);
    assert!(size_of::<TokenResponse>() <= 256);
}
