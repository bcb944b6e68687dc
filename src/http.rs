//! HTTP without a framework: bytes in, [`Reply`] out.
//!
//! An adapter copies the parts of its framework's request into a [`Request`], asks the
//! [`Router`] and copies the [`Reply`] back: some fifteen lines. With the feature `http`
//! the copying is done for the types of the `http` crate.

mod basic;
#[cfg(feature = "http")]
mod convert;
mod cors;
mod form;
mod form_post;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod metadata;
mod parse;
mod reply;
mod request;
mod router;
mod token;
mod token_query;

pub use reply::{Headers, Reply};
pub use request::Request;
pub use router::{DangerousRouterBuilder, InvalidRouter, Router, RouterBuilder};
