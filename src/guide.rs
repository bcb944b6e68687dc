//! Pages to read. Every example in them is compiled and run with the tests.
//!
//! * [`quickstart`]: from an empty project to a token in ten minutes, then the
//!   authorization code flow.
//! * [`first_store`]: keep clients and grants where your data is.
//! * [`certified_store`]: a store over a database, and how you come to trust it.
//! * [`sqlite`]: `SQLite` in production: backup, size, several processes, outages.
//! * [`tiered`]: the same with records in memory in front, and a limit.
//! * [`postgres`]: `PostgreSQL`: setting up, pools and proxies, outages, upgrades, backup.
//! * [`redis`]: Redis and its cluster: what can be lost, outages, memory.
//! * [`choosing_store`]: which of them, with figures.
//! * [`several_machines`]: what servers share, how large, what to watch.
//! * [`life_of_a_grant`]: what a request does to the record, and why two at once do no harm.
//! * [`choosing_grants`]: which grant types a client is registered for.
//! * [`adapters`]: the fifteen lines between it and your web framework, and proxies.
//! * [`consent_page`]: your login, your templates, and what the user allows.
//! * [`protecting_resources`]: bearer tokens at your API, in the same process or elsewhere.
//! * [`administration`]: who has access to what, and how to end it.
//! * [`passwords`]: why applications should not see them, and how to check them if you must.
//! * [`custom_grants`]: a grant type of your own.
//! * [`errors`]: what clients are told, and what you are.
//! * [`events`]: every decision the server reports, and the name of every reason.
//! * [`defaults_and_why`]: every setting.
//! * [`security`]: what attackers try, what is done about it, and the test that shows it.
//! * [`migrating_from_webmethods`]: the services and settings of `pub.oauth`, row by row.
//! * [`testing`]: time, randomness, failures and lost answers in your tests.

// The pages link to what some features bring.
#![cfg_attr(
    not(all(
        feature = "argon2",
        feature = "http",
        feature = "memory",
        feature = "postgres",
        feature = "redis",
        feature = "sqlite",
        feature = "testing",
        feature = "tiered",
        feature = "tracing"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

#[doc = include_str!("guide/quickstart.md")]
pub mod quickstart {}

#[doc = include_str!("guide/first_store.md")]
pub mod first_store {}

#[doc = include_str!("guide/certified_store.md")]
pub mod certified_store {}

#[doc = include_str!("guide/sqlite.md")]
pub mod sqlite {}

#[doc = include_str!("guide/tiered.md")]
pub mod tiered {}

#[doc = include_str!("guide/postgres.md")]
pub mod postgres {}

#[doc = include_str!("guide/redis.md")]
pub mod redis {}

#[doc = include_str!("guide/choosing_store.md")]
pub mod choosing_store {}

#[doc = include_str!("guide/several_machines.md")]
pub mod several_machines {}

#[doc = include_str!("guide/life_of_a_grant.md")]
pub mod life_of_a_grant {}

#[doc = include_str!("guide/choosing_grants.md")]
pub mod choosing_grants {}

#[doc = include_str!("guide/adapters.md")]
pub mod adapters {}

#[doc = include_str!("guide/consent_page.md")]
pub mod consent_page {}

#[doc = include_str!("guide/protecting_resources.md")]
pub mod protecting_resources {}

#[doc = include_str!("guide/administration.md")]
pub mod administration {}

#[doc = include_str!("guide/passwords.md")]
pub mod passwords {}

#[doc = include_str!("guide/custom_grants.md")]
pub mod custom_grants {}

#[doc = include_str!("guide/errors.md")]
pub mod errors {}

#[doc = include_str!("guide/events.md")]
pub mod events {}

#[doc = include_str!("guide/defaults_and_why.md")]
pub mod defaults_and_why {}

#[doc = include_str!("guide/security.md")]
pub mod security {}

#[doc = include_str!("guide/migrating_from_webmethods.md")]
pub mod migrating_from_webmethods {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}
