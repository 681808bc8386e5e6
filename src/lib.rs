//! Linkgate: the outbound gateway that apps use as their base URL for the LinkedIn API.

pub mod sandbox;
