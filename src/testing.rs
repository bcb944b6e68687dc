//! Clocks, randomness, stores and checks for tests: those of this crate and of its users.
//!
//! | to | start from |
//! |---|---|
//! | check a store of your own | [`contract`] |
//! | move the time | [`ManualClock`] |
//! | get the same tokens at each run | [`SeededEntropy`] |
//! | explore requests at once in every order | [`contract::Exploration`] |
//! | get a token for the test of a protected API | [`mint`] |
//! | show races that a store in memory hides | [`LatencyStore`] |
//! | lose answers, send twice, hang, count calls | [`FaultyStore`] and [`Faults`] |
//! | run futures without a runtime | [`block_on`], [`join_all`], [`drop_after`] |
//!
//! Nothing in here needs a runtime, a timer or a thread of its own.

mod clock;
pub mod contract;
mod entropy;
pub mod erased;
mod faults;
mod latency;
mod mint;
mod polling;
#[cfg(test)]
mod reference;
pub(crate) mod samples;
mod wrapper;

pub use clock::ManualClock;
pub use entropy::SeededEntropy;
pub use faults::{Fault, Faults, FaultyStore};
pub use latency::LatencyStore;
pub use mint::mint;
pub use polling::{block_on, drop_after, join_all, yield_for};
pub use wrapper::Method;
