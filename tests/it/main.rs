//! Tests.

#![cfg(test)]

mod architecture;
mod command_line;
mod config;
mod path;
mod sandbox_table;
mod support;
