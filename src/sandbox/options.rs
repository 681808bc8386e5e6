//! What a sandbox can be told before it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::tokens;

/// How the sandbox behaves; the default is what tests want.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent behaviour of LinkedIn that nobody could verify"
)]
pub struct Options {
    /// Address of the plain listener (HTTP/1.1, and HTTP/2 by prior knowledge).
    pub listen: SocketAddr,
    /// Address of the TLS listener; `None`: no TLS.
    pub tls_listen: Option<SocketAddr>,
    /// Where the throw-away CA's certificate is written (PEM).
    pub ca_file: Option<PathBuf>,
    /// Whether HTTP/2 is offered, by ALPN and by prior knowledge.
    pub http2: bool,
    /// Lifetime of a new access token.
    pub access_token_secs: u64,
    /// Lifetime of a refresh token, counted from the first grant and never extended.
    pub refresh_token_secs: u64,
    /// Whether a refresh token can be spent only once.
    pub rotate_refresh_tokens: bool,
    /// Whether a renewal revokes the member's earlier access tokens; LinkedIn's pages imply not.
    pub renewal_ends_old_tokens: bool,
    /// How long a new access token is refused with 401/65601.
    pub fresh_token_lag: Duration,
    /// Whether the applications are approved for refresh tokens.
    pub issue_refresh_tokens: bool,
    /// Whether `expires_in` is a string, as in LinkedIn's client-credentials sample.
    pub expires_in_as_string: bool,
    /// What stands between the granted scopes.
    pub scope_separator: char,
    /// LinkedIn closing kept-alive connections after that idle time; zero: right after each
    /// answer, without having said `connection: close`.
    pub idle_close: Option<Duration>,
    /// Whether the upload host demands a good token.
    pub uploads_need_token: bool,
    /// Whether `x-li-request-id` is sent, as LinkedIn did until about 2015.
    pub send_request_id: bool,
    /// The oldest active `LinkedIn-Version`, `YYYYMM`.
    pub oldest_version: u32,
    /// The newest active `LinkedIn-Version`, `YYYYMM`.
    pub newest_version: u32,
    /// Calls a member may make to one endpoint in a UTC day.
    pub member_daily_limit: Option<u64>,
    /// Calls an application may make to one endpoint in a UTC day.
    pub application_daily_limit: Option<u64>,
    /// Whether requests are kept for comparison; off for load tests.
    pub record_requests: bool,
    /// Threads that serve.
    pub threads: usize,
    /// The developer applications LinkedIn knows.
    pub applications: Vec<Application>,
}

impl Default for Options {
    fn default() -> Self {
        let ephemeral = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            listen: ephemeral,
            tls_listen: Some(ephemeral),
            ca_file: None,
            http2: true,
            access_token_secs: 5_184_000,
            refresh_token_secs: 31_536_000,
            rotate_refresh_tokens: false,
            renewal_ends_old_tokens: false,
            fresh_token_lag: Duration::ZERO,
            issue_refresh_tokens: true,
            expires_in_as_string: false,
            scope_separator: ',',
            idle_close: None,
            uploads_need_token: false,
            send_request_id: false,
            oldest_version: 202_508,
            newest_version: 202_609,
            member_daily_limit: None,
            application_daily_limit: None,
            record_requests: true,
            threads: 2,
            applications: vec![Application::default()],
        }
    }
}

/// A LinkedIn developer application.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: String,
    /// Registered redirect URIs; any loopback address is let in besides.
    pub redirect_uris: Vec<String>,
    /// The scopes its products grant.
    pub scopes: Vec<String>,
    /// Whether it may create application tokens (client credentials).
    pub application_tokens: bool,
    /// Whether a LinkedIn contact has switched on PKCE for native clients.
    pub native_pkce: bool,
}

impl Application {
    /// An application with every right, under this client id.
    #[must_use]
    pub fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            ..Self::default()
        }
    }
}

impl Default for Application {
    fn default() -> Self {
        Self {
            client_id: String::from("78sandboxapp01"),
            client_secret: tokens::client_secret(),
            redirect_uris: Vec::new(),
            scopes: EVERY_SCOPE
                .iter()
                .map(|scope| (*scope).to_owned())
                .collect(),
            application_tokens: true,
            native_pkce: true,
        }
    }
}

/// The scopes the sandbox's resources ask for (linkedin.md §9).
pub(crate) const EVERY_SCOPE: [&str; 14] = [
    "openid",
    "profile",
    "email",
    "w_member_social",
    "r_liteprofile",
    "r_basicprofile",
    "r_ads",
    "rw_ads",
    "r_ads_reporting",
    "r_organization_social",
    "w_organization_social",
    "rw_organization_admin",
    "r_events",
    "rw_events",
];
