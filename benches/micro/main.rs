//! What we own, each by itself: `cargo bench --bench micro [PART]`.
//!
//! Everything is asked by the crate's public door, as a reader of the code would use it. Two things
//! have none of their own: the body that is kept for a second attempt and the table of what may be sent
//! again. Opening a door for a bench alone would be a promise that nobody needs, so `exchange` measures
//! whole calls with and without them: what is kept shows as a difference, and the table, a match over
//! three small values, stays far below what a call costs. `benches/instructions` counts both.
//!
//! **Neighbours:** `benches/compare` and `benches/scale` measure the whole gateway.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot go on has nothing to say"
)]

use criterion::{criterion_group, criterion_main};

mod exchange;
#[path = "../grants.rs"]
mod grants;
mod lookups;
mod records;
mod redaction;

criterion_group!(
    micro,
    lookups::keys,
    lookups::tokens,
    redaction::texts,
    redaction::exchange,
    records::written,
    exchange::calls
);
criterion_main!(micro);
