//! One integration binary: stories over real sockets, real TLS and real files, against the sandbox.

#![cfg(test)]

mod architecture;
mod command_line;
mod config;
mod connections;
mod corporate_proxy;
mod edge;
mod headers;
mod keys;
mod kill;
mod path;
mod people_leave;
mod renewal;
mod repetition;
mod retries;
mod sandbox_table;
mod support;
mod unauthorized;
mod wire;

use support::Storm;

/// The storms as plain `cargo test` plays them; `tests/storms` plays them at full size.
const STORM: Storm = Storm {
    failing_calls: 300,
    kills: 5,
};
