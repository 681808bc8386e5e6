//! Reaching LinkedIn: DNS, TCP, an optional corporate proxy, TLS that is always verified.
//!
//! **Invariant:** no byte of a request is written before the peer's certificate chain, name and
//! dates were checked (TLS ≥ 1.2); there is no fallback to plain text. Plain `http://` targets are
//! accepted for loopback addresses only, which [`BaseUrl`] guarantees by construction.
//! **Neighbours:** `proxy::dispatch` (the API); by [`Dialer::send`], one request at a time,
//! `credentials::oauth` (the token endpoint) and `alerts::post` (webhooks).

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use http::{
    HeaderValue, Uri,
    uri::{Authority, Scheme},
};
use hyper_util::{
    client::legacy::connect::{HttpConnector, proxy::Tunnel},
    rt::TokioIo,
};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tower::{Service as _, ServiceExt as _};

use socket::Socket;
use steps::TimedResolver;

mod roots;
mod socket;
mod steps;
mod stream;
mod trip;

pub use steps::Timed;
pub use stream::Stream;
pub use trip::{Answer, NoAnswer, retry_after};

/// An absolute base URL without query: `https://HOST[:PORT][/prefix]`, or `http://` on loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    authority: Authority,
    host: String,
    port: u16,
    tls: bool,
    path: String,
}

/// Why a text is no [`BaseUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBaseUrl {
    /// Not an absolute URL at all.
    #[error("not an absolute URL such as https://api.linkedin.com")]
    Malformed,
    /// Neither http nor https.
    #[error("only https://, or http:// for loopback addresses")]
    Scheme,
    /// Plain text to another machine would show tokens to the network.
    #[error("http:// is accepted for loopback addresses only")]
    PlainText,
    /// A query, a fragment or user information.
    #[error("a base URL has no query, fragment or user name")]
    Extra,
}

impl BaseUrl {
    /// `host[:port]` as it stands in the `Host` header.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The path prefix without a slash at its end; empty for a bare host.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Host without port or brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own where none was given.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

impl FromStr for BaseUrl {
    type Err = BadBaseUrl;

    fn from_str(text: &str) -> Result<Self, BadBaseUrl> {
        let uri: Uri = text.parse().map_err(|_| BadBaseUrl::Malformed)?;
        let authority = uri.authority().ok_or(BadBaseUrl::Malformed)?.clone();
        if uri.query().is_some() || text.contains('#') || authority.as_str().contains('@') {
            return Err(BadBaseUrl::Extra);
        }
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(_) => return Err(BadBaseUrl::Scheme),
            None => return Err(BadBaseUrl::Malformed),
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if !tls && !is_loopback(&host) {
            return Err(BadBaseUrl::PlainText);
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            authority,
            host,
            port,
            tls,
            path,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// How LinkedIn is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Extra PEM roots, for a sandbox or a corporate proxy.
    pub ca_file: Option<PathBuf>,
    /// Corporate proxy (`http://host:port`) that is asked to CONNECT.
    pub proxy_url: Option<Uri>,
    /// Value of `Proxy-Authorization` for it.
    pub proxy_authorization: Option<HeaderValue>,
    /// Limit for DNS, TCP and TLS together.
    pub connect_time: Duration,
}

/// Which protocols are offered in the TLS handshake (ALPN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 first, HTTP/1.1 as well.
    Http2OrHttp1,
}

/// A connection that was made and verified.
#[derive(Debug)]
pub struct Dialed {
    /// The plain-text side of the connection.
    pub stream: Stream,
    /// Whether HTTP/2 was agreed on.
    pub is_http2: bool,
}

/// Why no connection could be made. No byte of any request was sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// The name did not resolve.
    #[error("name resolution failed: {0}")]
    Dns(String),
    /// TCP was refused or unreachable, or the corporate proxy refused.
    #[error("connection failed: {0}")]
    Connect(String),
    /// Not done within [`Settings::connect_time`].
    #[error("connection not made within {0:?}")]
    Timeout(Duration),
    /// The TLS handshake failed, the certificate check included.
    #[error("tls handshake failed: {0}")]
    Tls(String),
}

/// Why no [`Dialer`] could be made.
#[derive(Debug, thiserror::Error)]
pub enum BadRoots {
    /// The extra root file could not be read or holds no certificate.
    #[error("{path}: {reason}")]
    File {
        /// The file named in the configuration.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refused the set-up.
    #[error("tls set-up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Makes connections to LinkedIn. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    settings: Settings,
}

impl Dialer {
    /// Loads the trusted roots: the platform's, the bundled ones where it has none, and `ca_file`.
    ///
    /// # Errors
    /// [`BadRoots`] when `ca_file` cannot be used.
    pub fn new(settings: Settings) -> Result<Self, BadRoots> {
        let roots = roots::load(settings.ca_file.as_deref())?;
        let http1 = Arc::new(tls_config(roots.clone(), &[b"http/1.1"])?);
        let http2 = Arc::new(tls_config(roots, &[b"h2", b"http/1.1"])?);
        Ok(Self(Arc::new(Shared {
            http1,
            http2,
            settings,
        })))
    }

    /// Connects to `target`. Dropping the future abandons the connection.
    ///
    /// # Errors
    /// [`DialError`]; in every case nothing was sent but handshakes.
    pub async fn dial(&self, target: &BaseUrl, alpn: Alpn) -> Result<Dialed, DialError> {
        self.dial_timed(target, alpn, &Timed::default()).await
    }

    /// The same; `times` tells how long its steps took, as far as it came.
    ///
    /// # Errors
    /// [`DialError`]; in every case nothing was sent but handshakes.
    pub async fn dial_timed(
        &self,
        target: &BaseUrl,
        alpn: Alpn,
        times: &Timed,
    ) -> Result<Dialed, DialError> {
        let limit = self.0.settings.connect_time;
        timeout(limit, self.connect(target, alpn, times))
            .await
            .unwrap_or(Err(DialError::Timeout(limit)))
    }

    async fn connect(
        &self,
        target: &BaseUrl,
        alpn: Alpn,
        times: &Timed,
    ) -> Result<Dialed, DialError> {
        let running = times.tcp();
        let tcp = self.tcp(target, times).await;
        match tcp {
            Err(DialError::Dns(_)) => running.was_not_reached(),
            _ => drop(running),
        }
        let tcp = tcp?;
        if !target.is_tls() {
            return Ok(Dialed {
                stream: Stream::Plain(tcp),
                is_http2: false,
            });
        }
        let config = match alpn {
            Alpn::Http1 => &self.0.http1,
            Alpn::Http2OrHttp1 => &self.0.http2,
        };
        let name = ServerName::try_from(target.host.clone())
            .map_err(|error| DialError::Tls(error.to_string()))?;
        let running = times.tls();
        let shaken = TlsConnector::from(Arc::clone(config))
            .connect(name, Socket::new(tcp))
            .await;
        drop(running);
        let tls = shaken.map_err(|error| DialError::Tls(error.to_string()))?;
        let is_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialed {
            stream: Stream::Tls(Box::new(tls)),
            is_http2,
        })
    }

    async fn tcp(&self, target: &BaseUrl, times: &Timed) -> Result<TcpStream, DialError> {
        let uri = Uri::builder()
            .scheme(if target.tls { "https" } else { "http" })
            .authority(target.authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|error| DialError::Connect(error.to_string()))?;
        let mut http = HttpConnector::new_with_resolver(TimedResolver::new(times));
        http.enforce_http(false);
        http.set_nodelay(true);
        let connected = match &self.0.settings.proxy_url {
            Some(proxy) if target.tls => self.tunnel(http, proxy.clone(), uri).await?,
            _ => http.oneshot(uri).await.map_err(|error| classify(&error))?,
        };
        Ok(connected.into_inner())
    }

    async fn tunnel(
        &self,
        http: HttpConnector<TimedResolver>,
        proxy: Uri,
        uri: Uri,
    ) -> Result<TokioIo<TcpStream>, DialError> {
        let mut tunnel = Tunnel::new(proxy, http);
        if let Some(value) = &self.0.settings.proxy_authorization {
            tunnel = tunnel.with_auth(value.clone());
        }
        let failed = |error: &dyn fmt::Display| DialError::Connect(format!("proxy: {error}"));
        std::future::poll_fn(|task| tunnel.poll_ready(task))
            .await
            .map_err(|e| failed(&e))?;
        tunnel.call(uri).await.map_err(|e| failed(&e))
    }
}

fn tls_config(roots: RootCertStore, alpn: &[&[u8]]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// hyper-util's connector tells DNS and TCP failures apart only in its text.
fn classify(error: &(dyn std::error::Error + 'static)) -> DialError {
    let text = chain(error);
    if text.contains("dns error") {
        DialError::Dns(text)
    } else {
        DialError::Connect(text)
    }
}

/// The error and its causes on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_that_would_leak_or_mislead_are_refused() {
        for (why, text, expected) in [
            ("the default", "https://api.linkedin.com", None),
            ("with a prefix", "https://www.linkedin.com/oauth/v2", None),
            ("plain on loopback", "http://127.0.0.1:9000", None),
            ("plain on localhost", "http://localhost:9000/", None),
            ("plain on IPv6 loopback", "http://[::1]:9000", None),
            (
                "plain elsewhere",
                "http://api.linkedin.com",
                Some(BadBaseUrl::PlainText),
            ),
            (
                "another scheme",
                "ftp://api.linkedin.com",
                Some(BadBaseUrl::Scheme),
            ),
            ("no scheme", "api.linkedin.com", Some(BadBaseUrl::Malformed)),
            (
                "a query",
                "https://api.linkedin.com/?x=1",
                Some(BadBaseUrl::Extra),
            ),
            (
                "a user",
                "https://me@api.linkedin.com",
                Some(BadBaseUrl::Extra),
            ),
        ] {
            assert_eq!(text.parse::<BaseUrl>().err(), expected, "{why}");
        }
    }

    #[test]
    fn a_base_url_prints_as_it_was_written() {
        for text in ["https://www.linkedin.com/oauth/v2", "http://127.0.0.1:9000"] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().to_string(), text);
        }
    }

    #[tokio::test]
    async fn a_step_that_never_ends_is_timed_until_it_is_given_up() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("https://{}", silent.local_addr().unwrap());
        let settings = Settings {
            ca_file: None,
            proxy_url: None,
            proxy_authorization: None,
            connect_time: Duration::from_millis(50),
        };
        let (dialer, times) = (Dialer::new(settings).unwrap(), Timed::default());

        let dialed = dialer
            .dial_timed(&target.parse().unwrap(), Alpn::Http1, &times)
            .await;

        assert!(matches!(dialed, Err(DialError::Timeout(_))));
        let steps = times.steps();
        assert!(steps.connect.is_some() && steps.dns.is_none(), "{steps:?}");
        assert!(steps.tls > Some(Duration::from_millis(10)), "{steps:?}");
    }
}
