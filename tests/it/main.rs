//! One integration binary: stories over real sockets, real TLS and real files, against the sandbox.

#![cfg(test)]

mod architecture;
mod bodies;
mod command_line;
mod config;
mod corporate_proxy;
mod edge;
mod headers;
mod keys;
mod kill;
mod limits;
mod path;
mod peers;
mod renewal;
mod repetition;
mod sandbox_table;
mod support;
mod uploads;
mod wire;

use support::Storm;

/// The storms as plain `cargo test` plays them; `tests/storms` plays them at full size.
const STORM: Storm = Storm {
    failing_calls: 300,
    kills: 5,
};
