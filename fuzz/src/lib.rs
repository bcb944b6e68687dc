//! What is done with the bytes that a fuzzer makes up: a function for each target, which panics when
//! the library does not do as it should.
//!
//! Where there is another reader of the same thing, both have to agree.

mod oauth;
mod parsers;

pub use oauth::{authorize, router, token};
pub use parsers::{basic, form, pkce, record, redirect_uri, scope};

// Its own modules lie beside it.
#[allow(dead_code, unused_imports, reason = "the example uses more of it")]
#[path = "../../examples/demo"]
mod demo {
    pub(crate) mod config;
}

/// The configuration of the examples.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = demo::config::Config::parse(text) {
        assert!(!error.to_string().contains('\n'), "one line for the operator: {error}");
    }
}
