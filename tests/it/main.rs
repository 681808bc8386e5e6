//! One integration binary: stories over real sockets, real TLS and real files, against the sandbox.

#![cfg(test)]

mod alerts;
mod applications;
mod architecture;
mod bodies;
mod command_line;
mod config;
mod connecting;
mod connections;
mod corporate_proxy;
mod days;
mod disk_faults;
mod door;
mod edge;
mod expiry;
mod explain;
mod exports;
mod finding;
mod frozen;
mod ground;
mod headers;
mod http2;
mod keys;
mod kill;
mod kill_renewals;
mod leaks;
mod ledger;
mod limits;
mod members;
mod oddities;
mod outage;
mod path;
mod peers;
mod people_leave;
mod renewal;
mod repetition;
mod retries;
mod sandbox_table;
mod shutdown;
mod store_keys;
mod support;
mod unauthorized;
mod uploads;
mod verdicts;
mod wire;

use support::Storm;

/// The storms as plain `cargo test` plays them; `tests/storms` plays them at full size.
const STORM: Storm = Storm {
    failing_calls: 300,
    kills: 5,
    renewal_kills: 6,
    grants: 1_000,
    renewals_per_second: 100,
    held_calls: 3,
    is_timed: false,
};
