//! One integration binary: stories over real sockets, real TLS and real files, against the sandbox.

#![cfg(test)]

mod architecture;
mod command_line;
mod config;
mod edge;
mod headers;
mod keys;
mod path;
mod renewal;
mod repetition;
mod sandbox_table;
mod support;
