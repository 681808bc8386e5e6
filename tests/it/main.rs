//! Tests.

mod sandbox_table;
