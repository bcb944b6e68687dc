//! What grantor does, by specification and theme. Tests that prove a numbered rule carry
//! its id.

#![allow(unreachable_pub, reason = "there is no crate to be reached from")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that fails may panic"
)]

mod administration;
mod answers;
mod authorization_code;
mod authorize;
mod built_in_grants;
mod client_authentication;
mod client_credentials;
mod client_secrets;
mod concurrency;
mod consent;
mod cors_and_proxies;
mod demo;
mod demo_connections;
mod demo_leaks;
mod demo_site;
mod demo_sqlite;
mod extension_grant;
mod faults;
mod form_post;
mod hostile_input;
mod http_and_forms;
mod http_router;
mod introspection;
mod introspection_endpoint;
mod leaks;
mod metadata;
mod model;
mod noise;
mod on_runtime;
mod passwords;
mod pkce;
mod policy;
mod postgres;
mod redirect_uri;
mod redis;
mod refresh_token;
mod refresh_without_rotation;
mod registration;
mod resource;
mod revocation;
mod scope;
mod sqlite;
mod stores;
mod support;
mod threats;
mod tiered;
mod token_endpoint;
