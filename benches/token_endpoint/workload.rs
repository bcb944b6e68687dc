//! The operations, the same for each [`Server`]: what is prepared, what is timed, and what
//! puts the number of live grants back.

use std::hint::black_box;

use serde_json::Value;

use crate::server::{ASKED, Post, Registration, Server, VERIFIER};

/// One operation on one server.
pub(crate) trait Workload {
    /// Gets ready for the next batch. Not timed.
    fn prepare(&mut self);
    /// The batch.
    fn run(&mut self);
    /// Undoes what the batch did to the number of live grants. Not timed.
    fn clean(&mut self);
}

/// How many operations are timed at once.
pub(crate) const BATCH: usize = 256;

/// A server with grants in it, and what goes in and out.
pub(crate) struct Side<'a, S> {
    server: S,
    clients: &'a [Registration],
    posts: Vec<Post>,
    out: Output,
    next_client: usize,
}

/// Replies are copied here, as into the buffer of a connection, and dropped.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Output {
    fn write(&mut self, reply: &[u8]) {
        self.bytes.extend_from_slice(reply);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The value of `member` in each reply.
    fn all(&self, member: &str) -> Vec<String> {
        let begins = std::iter::once(&0).chain(&self.ends);
        let text = |(begin, end): (&usize, &usize)| {
            let reply: Value = serde_json::from_slice(&self.bytes[*begin..*end]).unwrap();
            reply[member].as_str().unwrap().to_owned()
        };
        begins.zip(&self.ends).map(text).collect()
    }
}

impl<'a, S: Server> Side<'a, S> {
    pub(crate) fn new(server: S, clients: &'a [Registration]) -> Self {
        let out = Output { bytes: Vec::with_capacity(BATCH * 512), ends: Vec::with_capacity(BATCH) };
        Self { server, clients, posts: Vec::with_capacity(BATCH), out, next_client: 0 }
    }

    fn client(&mut self) -> &'a Registration {
        self.next_client = (self.next_client + 1) % self.clients.len();
        &self.clients[self.next_client]
    }

    fn post_issues(&mut self, count: usize) {
        self.posts.clear();
        for _ in 0..count {
            let body = format!("grant_type=client_credentials&scope={ASKED}");
            let post = self.client().post(body);
            self.posts.push(post);
        }
    }

    fn post_exchanges(&mut self, count: usize) {
        self.posts.clear();
        for _ in 0..count {
            let client = self.client();
            let code = self.server.code(client);
            self.posts.push(client.post(format!(
                "grant_type=authorization_code&code={code}\
                 &redirect_uri=https%3A%2F%2Fshop.example.com%2Fsigned-in&code_verifier={VERIFIER}"
            )));
        }
    }

    fn send(&mut self) {
        self.out.clear();
        for post in &self.posts {
            let reply = self.server.token(post);
            self.out.write(S::body(&reply));
        }
    }

    fn revoke_all(&self) {
        self.out.all("access_token").iter().for_each(|token| self.server.revoke(token));
    }

    /// Makes so many client-credentials grants; gives their tokens.
    pub(crate) fn fill_with_issues(&mut self, grants: usize) -> Vec<String> {
        let mut tokens = Vec::with_capacity(grants);
        while tokens.len() < grants {
            self.post_issues(BATCH.min(grants - tokens.len()));
            self.send();
            tokens.append(&mut self.out.all("access_token"));
        }
        self.posts.clear();
        tokens
    }

    /// Makes so many code-flow grants; gives the client and the refresh token of each.
    pub(crate) fn fill_with_exchanges(&mut self, grants: usize) -> Vec<(&'a Registration, String)> {
        let mut tokens = Vec::with_capacity(grants);
        while tokens.len() < grants {
            let clients = self.clients.iter().cycle().skip(self.next_client + 1);
            self.post_exchanges(BATCH.min(grants - tokens.len()));
            self.send();
            tokens.extend(clients.zip(self.out.all("refresh_token")));
        }
        self.posts.clear();
        tokens
    }

    /// How many bytes a live grant of client credentials takes.
    pub(crate) fn bytes_per_issue(mut self, grants: usize) -> f64 {
        bytes(|| drop(self.fill_with_issues(grants))) / grants as f64
    }

    /// How many bytes a live grant of the code flow takes.
    pub(crate) fn bytes_per_exchange(mut self, grants: usize) -> f64 {
        bytes(|| drop(self.fill_with_exchanges(grants))) / grants as f64
    }
}

pub(crate) struct Issue<'a, S>(Side<'a, S>);

impl<'a, S: Server> Issue<'a, S> {
    pub(crate) fn new(mut side: Side<'a, S>, grants: usize) -> Self {
        side.fill_with_issues(grants);
        Self(side)
    }
}

impl<S: Server> Workload for Issue<'_, S> {
    fn prepare(&mut self) {
        self.0.post_issues(BATCH);
    }

    fn run(&mut self) {
        self.0.send();
    }

    fn clean(&mut self) {
        self.0.revoke_all();
    }
}

pub(crate) struct Exchange<'a, S>(Side<'a, S>);

impl<'a, S: Server> Exchange<'a, S> {
    pub(crate) fn new(mut side: Side<'a, S>, grants: usize) -> Self {
        side.fill_with_exchanges(grants);
        Self(side)
    }
}

impl<S: Server> Workload for Exchange<'_, S> {
    fn prepare(&mut self) {
        self.0.post_exchanges(BATCH);
    }

    fn run(&mut self) {
        self.0.send();
    }

    fn clean(&mut self) {
        self.0.revoke_all();
    }
}

/// All grants are refreshed in turn. Between two refreshes of one grant an hour passes, so
/// that its access token has expired, which is when clients refresh.
pub(crate) struct Refresh<'a, S> {
    side: Side<'a, S>,
    tokens: Vec<(&'a Registration, String)>,
    next: usize,
    batch: Vec<usize>,
}

impl<'a, S: Server> Refresh<'a, S> {
    pub(crate) fn new(mut side: Side<'a, S>, grants: usize) -> Self {
        let mut tokens = side.fill_with_exchanges(grants);
        shuffle(&mut tokens);
        Self { side, tokens, next: 0, batch: Vec::new() }
    }
}

impl<S: Server> Workload for Refresh<'_, S> {
    fn prepare(&mut self) {
        self.side.posts.clear();
        self.batch.clear();
        if self.next == 0 {
            self.side.server.pass_an_hour();
        }
        for at in self.next..self.next + BATCH {
            let (client, token) = &self.tokens[at];
            self.side.posts.push(client.post(format!("grant_type=refresh_token&refresh_token={token}")));
            self.batch.push(at);
        }
        self.next = next_batch(self.next, self.tokens.len());
    }

    fn run(&mut self) {
        self.side.send();
    }

    fn clean(&mut self) {
        for (at, token) in self.batch.iter().zip(self.side.out.all("refresh_token")) {
            self.tokens[*at].1 = token;
        }
    }
}

pub(crate) struct Introspect<'a, S> {
    side: Side<'a, S>,
    tokens: Vec<String>,
    next: usize,
}

impl<'a, S: Server> Introspect<'a, S> {
    pub(crate) fn new(mut side: Side<'a, S>, grants: usize) -> Self {
        let mut tokens = side.fill_with_issues(grants);
        shuffle(&mut tokens);
        Self { side, tokens, next: 0 }
    }
}

impl<S: Server> Workload for Introspect<'_, S> {
    fn prepare(&mut self) {
        self.next = next_batch(self.next, self.tokens.len());
    }

    fn run(&mut self) {
        for token in &self.tokens[self.next..self.next + BATCH] {
            black_box(self.side.server.introspect(token).unwrap());
        }
    }

    fn clean(&mut self) {}
}

/// Allocations per operation, after enough rounds for buffers to have their sizes.
#[allow(dead_code, reason = "not all that share this need it")]
pub(crate) fn allocations(workload: &mut dyn Workload) -> f64 {
    for _ in 0..4 {
        workload.prepare();
        workload.run();
        workload.clean();
    }
    workload.prepare();
    let counted = allocation_counter::measure(|| workload.run());
    workload.clean();
    counted.count_total as f64 / BATCH as f64
}

/// Where the next whole batch begins.
fn next_batch(at: usize, of: usize) -> usize {
    if at + 2 * BATCH > of { 0 } else { at + BATCH }
}

/// What `fill` leaves allocated.
fn bytes(fill: impl FnOnce()) -> f64 {
    allocation_counter::measure(fill).bytes_current as f64
}

/// So that no operation meets records in the order of their addresses.
fn shuffle<T>(items: &mut [T]) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for at in (1..items.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        items.swap(at, usize::try_from(state % (at as u64 + 1)).unwrap());
    }
}
