//! The second listener: health and metrics for operators.

use std::net::SocketAddr;

/// The admin listener's side of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where operators connect.
    pub listen: SocketAddr,
    /// Host names that may be used for it, beside IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Connections at once; beyond, closed.
    pub max_connections: usize,
}
