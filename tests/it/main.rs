//! One integration binary: stories over real sockets, real TLS and real files, against the sandbox.

#![cfg(test)]

mod edge;
mod path;
mod sandbox_table;
mod support;
