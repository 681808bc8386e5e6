//! The Prometheus text form of the table.
