//! The path's side of the configuration.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use crate::{dial::BaseUrl, exchange::Member};

/// The path's side of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where callers connect.
    pub listen: SocketAddr,
    /// Certificate chain and key for TLS from callers; none means plain text.
    pub tls: Option<TlsFiles>,
    /// Host names that callers may use for this gateway, beside IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The gateway's own URL as callers see it, for upload URLs; none: from the request's Host.
    pub public_url: Option<String>,
    /// Path threads, each with a runtime and a pool of its own.
    pub threads: usize,
    /// Connections of callers at once; beyond, 503 and close.
    pub max_connections: usize,
    /// Exchanges at once; beyond, 503 `overloaded`.
    pub max_in_flight: usize,
    /// Bytes of a request's head.
    pub max_head_bytes: usize,
    /// Bytes of a request's target.
    pub max_uri_bytes: usize,
    /// Bytes of a request's body; none: unlimited.
    pub max_body_bytes: Option<u64>,
    /// From a connection's first byte of a head to its last.
    pub head_time: Duration,
    /// From accept to the first byte, TLS handshake included.
    pub first_byte_time: Duration,
    /// Longest silence inside a body, either way.
    pub body_idle: Duration,
    /// Slowest acceptable body, in bytes a second, measured over `body_idle`.
    pub min_body_rate: u64,
    /// Longest silence of a kept-alive connection.
    pub keep_alive_idle: Duration,
    /// Writes that may run on after their callers left.
    pub max_detached: usize,
    /// Whether a disconnected member's exchanges are stopped; else they finish.
    pub stops_on_disconnect: bool,
    /// LinkedIn's side.
    pub linkedin: LinkedIn,
    /// What is sent again, and when.
    pub retry: Retry,
}

/// Gives the link by which a member signs in, for `connect_url`; by default there is none. Asked for
/// answers `sign_in_needed` only.
#[derive(Clone)]
pub struct SignInLinks(Arc<Giving>);

type Giving = dyn Fn(&Member) -> Option<String> + Send + Sync;

impl SignInLinks {
    /// Gives what `giving` gives; it must not wait for anything.
    pub fn given_by(giving: impl Fn(&Member) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(giving))
    }

    /// A link for this member.
    pub(crate) fn link(&self, member: &Member) -> Option<String> {
        (self.0)(member)
    }
}

impl Default for SignInLinks {
    fn default() -> Self {
        Self::given_by(|_| None)
    }
}

impl fmt::Debug for SignInLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignInLinks")
    }
}

/// Files of the callers' TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// PEM certificate chain, leaf first.
    pub cert_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
}

/// LinkedIn as the path sees it.
#[derive(Clone, Debug)]
pub struct LinkedIn {
    /// `https://api.linkedin.com`.
    pub api_url: BaseUrl,
    /// `https://www.linkedin.com`; `/dms-uploads/**` goes there.
    pub uploads_url: BaseUrl,
    /// Whether upload URLs in answers become the gateway's own.
    pub rewrite_upload_urls: bool,
    /// Whether `Via` is added (RFC 9110 §7.6.3).
    pub send_via: bool,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
    /// A pooled connection idle for longer is closed; below LinkedIn's own limit.
    pub idle_time: Duration,
    /// A write takes no pooled HTTP/1 connection idle for longer.
    pub write_idle_time: Duration,
    /// A connection is not reused beyond this age, so that DNS changes are followed.
    pub max_connection_age: Duration,
    /// From an attempt's start to its answer's head.
    pub attempt_time: Duration,
}

/// What is sent again, and when.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Attempts after the first, for 429, 5xx and lost connections.
    pub max_retries: u32,
    /// First wait; doubles, full jitter.
    pub base_delay: Duration,
    /// Longest wait; also the longest `Retry-After` that is waited for.
    pub max_delay: Duration,
    /// From the request's head to the answer's head, waits and renewals included.
    pub total_time: Duration,
    /// Whether writes are sent again after a 401 with a code (linkedin.md §6.4).
    pub writes_after_401: bool,
    /// Bytes of a request's body kept for a second attempt.
    pub keep_body_bytes: usize,
    /// The same for all exchanges together.
    pub keep_body_total_bytes: usize,
}
