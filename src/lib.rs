//! Linkgate: the outbound gateway that apps use as their base URL for the LinkedIn API.
//!
//! ```text
//! caller ──▶ proxy ─────────────────────────────────────▶ LinkedIn
//!              │ token? renew!        │ this went wrong
//!              ▼                      ▼
//!         credentials            incident
//!         (cache, flights,       (redaction, one writer,
//!          store)                 segments, readers)
//! ```
//!
//! To follow one request, read [`proxy`] and its files in the order listed there. The words: a *caller*
//! presents a *key*; a *member* authorised an *application* and so there is a *grant*; one caller
//! request and all that is done to answer it is an *exchange*, each trip to LinkedIn an *attempt*, and
//! the record of an exchange that went wrong an *incident*.

/// An exchange takes some twenty pieces of memory and 64 exchanges at once want them again: glibc's
/// caches keep seven of a size. A tenth of a request's CPU less than with it (benches/README.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// The request path.
pub mod proxy;

// What it asks: tokens, and a place for what went wrong.
pub mod credentials;
pub mod incident;

// Nouns and tools that all parts share; they import no part.
pub mod bearer;
pub mod callers;
pub mod clock;
pub mod dial;
pub mod exchange;
pub mod keyring;
pub mod metrics;
pub mod operators;
pub mod secret;
pub mod store;
pub mod telemetry;
pub mod web;

// The members' door.
pub mod connect;

// The operator's side.
pub mod admin;
pub mod alerts;
pub mod app;
pub mod cli;
pub mod config;

// LinkedIn on loopback, for the demo, the tests and app developers.
pub mod sandbox;
