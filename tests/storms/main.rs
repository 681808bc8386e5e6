//! The storms at full size, and the bounds that need a machine of one's own: minutes, not seconds.
//!
//! `cargo test --release --test storms -- --test-threads=1 --nocapture`; plain `cargo test` leaves them
//! out and plays the same stories small, in `tests/it`.

#![cfg(test)]

#[path = "../it/disk_faults.rs"]
mod disk_faults;
#[path = "../it/expiry.rs"]
mod expiry;
#[path = "../it/frozen.rs"]
mod frozen;
mod hold;
#[path = "../it/kill.rs"]
mod kill;
#[path = "../it/kill_renewals.rs"]
mod kill_renewals;
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness also serves the stories that are told in tests/it alone"
)]
#[path = "../it/support/mod.rs"]
mod support;
#[path = "../it/wire.rs"]
mod wire;

use support::Storm;

/// The storms at full size.
const STORM: Storm = Storm {
    failing_calls: 11_400,
    kills: 100,
    renewal_kills: 500,
    grants: 100_000,
    renewals_per_second: 400,
    held_calls: 20,
    is_timed: true,
};
