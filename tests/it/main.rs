//! Tests.

#![cfg(test)]

mod sandbox_table;
