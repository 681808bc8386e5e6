//! Tests.

#![cfg(test)]

mod architecture;
mod command_line;
mod config;
mod sandbox_table;
