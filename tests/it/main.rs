//! What grantor does, by specification and theme. Tests that prove a numbered rule carry
//! its id.

#![allow(unreachable_pub, reason = "there is no crate to be reached from")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that fails may panic"
)]

mod concurrency;
mod extension_grant;
mod faults;
mod refresh_token;
mod stores;
mod support;
