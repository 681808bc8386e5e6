//! Tests.

#![cfg(test)]

mod architecture;
mod sandbox_table;
