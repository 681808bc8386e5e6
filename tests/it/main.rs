//! One integration binary: stories over real sockets, real TLS and real files, against the sandbox.

#![cfg(test)]

mod architecture;
mod bodies;
mod command_line;
mod config;
mod edge;
mod headers;
mod keys;
mod limits;
mod path;
mod peers;
mod renewal;
mod repetition;
mod sandbox_table;
mod support;
mod uploads;
