//! What a request may allocate, and how large what it makes and what it waits in may be.
//!
//! Counted, not timed: whoever adds an allocation or a copy to the way of a request finds a figure
//! here that is over its budget. Budgets are what is there now; they go down when it does.

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

/// Allocations of one operation.
const ISSUE: f64 = 9.5;
const EXCHANGE: f64 = 14.0;
const REFRESH: f64 = 13.0;
const INTROSPECTION: f64 = 3.0;

/// Bytes of a live grant, in a memory store of 4096.
const CLIENT_CREDENTIALS_GRANT: f64 = 290.0;
const CODE_FLOW_GRANT: f64 = 525.0;

/// Bytes of a record, and of what a task holds while it waits for a store.
const RECORD: usize = 200;
const TOKEN_FUTURE: usize = 1704;
const HANDLE_FUTURE: usize = 2200;

fn clients() -> Vec<Registration> {
    (0..4).map(Registration::new).collect()
}

fn side(clients: &[Registration]) -> Side<'_, Grantor> {
    Side::new(Grantor::new(clients), clients)
}

#[track_caller]
fn within(what: &str, figure: f64, budget: f64) {
    assert!(figure <= budget, "{what}: {figure:.2}, and the budget is {budget}");
    // One that is far too large guards nothing.
    assert!(figure >= budget * 0.8, "{what}: {figure:.2} only, lower the budget of {budget}");
}

#[test]
fn requests_allocate_no_more_than_they_may() {
    const GRANTS: usize = 4 * BATCH;
    let clients = clients();
    within("allocations of an issue", allocations(&mut Issue::new(side(&clients), GRANTS)), ISSUE);
    within("allocations of an exchange", allocations(&mut Exchange::new(side(&clients), GRANTS)), EXCHANGE);
    within("allocations of a refresh", allocations(&mut Refresh::new(side(&clients), GRANTS)), REFRESH);
    let mut introspect = Introspect::new(side(&clients), GRANTS);
    within("allocations of an introspection", allocations(&mut introspect), INTROSPECTION);
}

#[test]
fn grants_take_no_more_memory_than_they_may() {
    let clients = clients();
    let bytes = side(&clients).bytes_per_issue(4096);
    within("bytes of a client-credentials grant", bytes, CLIENT_CREDENTIALS_GRANT);
    within("bytes of a code-flow grant", side(&clients).bytes_per_exchange(4096), CODE_FLOW_GRANT);
}

#[test]
fn what_a_task_holds_is_no_larger_than_it_may_be() {
    let clients = clients();
    let server = Grantor::new(&clients);
    within("a record", size_of::<Grant>() as f64, RECORD as f64);
    let request = TokenRequest::new("client_credentials");
    let token = server.server().token(&request);
    within("the future of `token`", size_of_val(&token) as f64, TOKEN_FUTURE as f64);
    drop(token);
    let request = Request::new("POST", "/oauth/token");
    let handle = server.router().handle(&request);
    within("the future of `Router::handle`", size_of_val(&handle) as f64, HANDLE_FUTURE as f64);
    drop(handle);
    assert!(size_of::<TokenResponse>() <= 256);
}
