//! What grantor does, by specification and theme. Tests that prove a numbered rule carry
//! its id.

mod concurrency;
mod faults;
mod refresh_token;
mod support;
