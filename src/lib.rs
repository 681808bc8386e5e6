//! Linkgate: the outbound gateway that apps use as their base URL for the LinkedIn API.

pub mod admin;
pub mod app;
pub mod callers;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod dial;
pub mod exchange;
pub mod incident;
pub mod keyring;
pub mod metrics;
pub mod proxy;
pub mod sandbox;
pub mod secret;
pub mod telemetry;
