//! Models of what several threads do with the same thing, for `loom`, which tries every order.
//!
//! ```text
//! LOOM_MAX_PREEMPTIONS=3 cargo test --release --manifest-path models/Cargo.toml
//! ```

#![cfg(test)]

#[allow(dead_code, reason = "the pool uses more of it")]
#[path = "../../src/password/answer.rs"]
mod answer;
mod pool;
#[path = "../../src/password/queue.rs"]
mod queue;
mod sync;
