//! LinkedIn on loopback: for the demo, the tests, support staff and app developers.
//!
//! Read `listen`, then `h1`, then `conversation`, then `api` and `oauth`, and you have followed one
//! request through LinkedIn.
//! **Invariant:** it imports nothing of the gateway, so that it cannot share its mistakes; every
//! status, body and header comes from linkedin.md.

mod admission;
mod ads;
mod answer;
mod api;
mod clock;
mod consent;
mod control;
mod conversation;
mod counts;
mod dress;
mod faults;
mod grants;
mod h1;
mod h2;
mod ledger;
mod listen;
mod oauth;
mod options;
mod people;
mod portrait;
mod posts;
mod profile;
mod query;
mod received;
mod request;
mod site;
mod socket;
mod tls;
mod tokens;
mod tunnel;
mod uploads;

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;

pub use answer::Shape;
pub use counts::{ConnectionCounts, Counts, PostCreated, Received, RouteCount};
pub use faults::{Fault, FaultId, FaultState, Kind, Route, Times};
pub use grants::TokenAnswer;
pub use options::{Application, Options};
pub use request::HttpVersion;
pub use tokens::CANARY;

use grants::Standing;
use ledger::hold;
use options::Application as App;
use site::Site;

/// How long the tasks may take to end once the sandbox is dropped.
const END: Duration = Duration::from_secs(2);
/// How long [`Sandbox::wait_for_connections_closed`] waits.
const CLOSED: Duration = Duration::from_secs(10);

/// A running LinkedIn. It lives on threads of its own until it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    site: Arc<Site>,
    addresses: Addresses,
    ca_pem: String,
    runtime: Handle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy)]
struct Addresses {
    plain: SocketAddr,
    tls: Option<SocketAddr>,
}

/// What the sandbox's thread tells once it runs.
struct Started {
    addresses: Addresses,
    runtime: Handle,
}

impl Sandbox {
    /// Starts with [`Options::default`].
    ///
    /// # Panics
    /// When loopback offers no free port; for tests, where nothing else can be done.
    #[must_use]
    pub fn start() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "documented: a test cannot go on without it"
        )]
        Self::start_with(Options::default()).expect("loopback has free ports")
    }

    /// Starts as the options say.
    ///
    /// # Errors
    /// When an address cannot be bound, the certificate cannot be made or the CA file not written.
    pub fn start_with(options: Options) -> io::Result<Self> {
        let identity = tls::identity(options.http2)?;
        if let Some(file) = &options.ca_file {
            std::fs::write(file, &identity.ca_pem)?;
            // Other users' programs must be able to trust it, whatever the umask says.
            std::fs::set_permissions(file, Permissions::from_mode(0o644))?;
        }
        let site = Arc::new(Site::new(options));
        let (tell, told) = mpsc::sync_channel(1);
        let (here, server) = (Arc::clone(&site), identity.server);
        let thread = std::thread::Builder::new()
            .name(String::from("linkedin-sandbox"))
            .spawn(move || run(&here, server, &tell))?;
        let started: Started = told.recv().map_err(io::Error::other)??;
        Ok(Self {
            site,
            addresses: started.addresses,
            ca_pem: identity.ca_pem,
            runtime: started.runtime,
            thread: Some(thread),
        })
    }

    /// Base URL of the API.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.addresses.plain)
    }

    /// URL below which `accessToken`, `authorization` and `introspectToken` live.
    #[must_use]
    pub fn oauth_url(&self) -> String {
        format!("{}/oauth/v2", self.api_url())
    }

    /// Base URL of the upload host.
    #[must_use]
    pub fn uploads_url(&self) -> String {
        self.api_url()
    }

    /// Base URL of the host where portraits lie; it speaks no TLS.
    #[must_use]
    pub fn media_url(&self) -> String {
        self.api_url()
    }

    /// Base URL of the API over TLS; empty without a TLS listener.
    #[must_use]
    pub fn tls_api_url(&self) -> String {
        let port = self.addresses.tls.map(|address| address.port());
        port.map_or_else(String::new, |port| format!("https://localhost:{port}"))
    }

    /// [`Sandbox::oauth_url`] over TLS.
    #[must_use]
    pub fn tls_oauth_url(&self) -> String {
        format!("{}/oauth/v2", self.tls_api_url())
    }

    /// [`Sandbox::uploads_url`] over TLS.
    #[must_use]
    pub fn tls_uploads_url(&self) -> String {
        self.tls_api_url()
    }

    /// Where the plain listener listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses.plain
    }

    /// Where the TLS listener listens.
    #[must_use]
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.addresses.tls
    }

    /// Certificate of the authority that signed the sandbox's own, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.ca_pem.clone()
    }

    /// Client id of the first application.
    #[must_use]
    pub fn client_id(&self) -> String {
        self.application()
            .map_or_else(String::new, |application| application.client_id.clone())
    }

    /// Client secret of the first application.
    #[must_use]
    pub fn client_secret(&self) -> String {
        self.application()
            .map_or_else(String::new, |application| application.client_secret.clone())
    }

    /// The member's pairwise `sub` for the first application; the URN is `urn:li:person:{sub}`.
    #[must_use]
    pub fn sub(&self, member: &str) -> String {
        people::sub(&self.client_id(), member)
    }

    /// A grant of all scopes of the first application, its token usable at once.
    pub fn sign_in(&self, member: &str) -> TokenAnswer {
        let answer = self.sign_in_with_lag(member);
        hold(&self.site.grants).usable_now(&answer.access_token);
        answer
    }

    /// Like [`Sandbox::sign_in`], but the fresh-token lag applies.
    pub fn sign_in_with_lag(&self, member: &str) -> TokenAnswer {
        let scopes = self
            .application()
            .map_or_else(Vec::new, |known| known.scopes.clone());
        self.site.sign_in(&self.client_id(), member, scopes)
    }

    /// A grant of these scopes for this application, its token usable at once.
    pub fn sign_in_to(&self, client_id: &str, member: &str, scopes: &[&str]) -> TokenAnswer {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let answer = self.site.sign_in(client_id, member, scopes);
        hold(&self.site.grants).usable_now(&answer.access_token);
        answer
    }

    /// All access tokens of the member are expired for the API from now on (401/65602).
    pub fn expire_access_token(&self, member: &str) {
        hold(&self.site.grants).end_access(member, Standing::Expired);
    }

    /// The member has revoked the grant: 401/65601, and the refresh tokens are dead.
    pub fn revoke(&self, member: &str) {
        let mut grants = hold(&self.site.grants);
        grants.end_access(member, Standing::Revoked);
        grants.kill_refresh(member);
    }

    /// Only the refresh tokens die.
    pub fn kill_refresh_token(&self, member: &str) {
        hold(&self.site.grants).kill_refresh(member);
    }

    /// The member is restricted: 401/65608.
    pub fn restrict(&self, member: &str) {
        hold(&self.site.grants).restrict(member);
    }

    /// Sets a fault.
    pub fn fault(&self, fault: Fault) -> FaultId {
        hold(&self.site.faults).set(fault)
    }

    /// The faults that are set and what is left of them.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultState> {
        hold(&self.site.faults).list()
    }

    /// Forgets one fault.
    pub fn clear_fault(&self, id: FaultId) {
        hold(&self.site.faults).remove(id);
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        hold(&self.site.faults).clear();
    }

    /// Calls allowed per endpoint and UTC day; `None`: any number.
    pub fn limit_daily_calls(&self, per_member: Option<u64>, per_application: Option<u64>) {
        let mut calls = hold(&self.site.daily_calls);
        calls.member_limit = per_member;
        calls.application_limit = per_application;
    }

    /// A copy of all counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.site.ledger.snapshot()
    }

    /// The recorded requests of a route (its key as in [`Counts`]), oldest first.
    #[must_use]
    pub fn received(&self, route: &str) -> Vec<Received> {
        self.site
            .ledger
            .received(|received| received.route == route)
    }

    /// All recorded requests, oldest first.
    #[must_use]
    pub fn all_received(&self) -> Vec<Received> {
        self.site.ledger.received(|_any| true)
    }

    /// Moves LinkedIn's clock forward.
    pub fn advance_clock(&self, by: Duration) {
        self.site.clock.advance(by);
    }

    /// The member's newest refresh token for the first application.
    #[must_use]
    pub fn last_refresh_token(&self, member: &str) -> Option<String> {
        hold(&self.site.grants).last_refresh_token(&self.client_id(), member)
    }

    /// The member's access tokens that would be accepted now, oldest first.
    #[must_use]
    pub fn live_access_tokens(&self, member: &str) -> Vec<String> {
        hold(&self.site.grants).live_access_tokens(self.site.clock.micros(), member)
    }

    /// Waits, blocking, until the counts satisfy the condition; whether they did within `limit`.
    ///
    /// The condition runs under the lock of the counts: it must not ask this sandbox for them.
    #[must_use]
    pub fn wait_until(
        &self,
        what: &str,
        limit: Duration,
        satisfied: impl FnMut(&Counts) -> bool,
    ) -> bool {
        let met = self.site.ledger.wait_until(limit, satisfied);
        if !met {
            tracing::warn!(what, "the sandbox waited in vain");
        }
        met
    }

    /// Waits until no connection is open, at most ten seconds; whether none is.
    pub async fn wait_for_connections_closed(&self) -> bool {
        let mut open = self.site.ledger.open_connections();
        let closed = self.runtime.spawn(async move {
            let none = open.wait_for(|open| *open == 0);
            tokio::time::timeout(CLOSED, none).await.is_ok()
        });
        closed.await.unwrap_or(false)
    }

    fn application(&self) -> Option<&App> {
        self.site.options.applications.first()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.site.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        let panicked = hold(&self.site.panicked).take();
        if std::thread::panicking() {
            return;
        }
        if let Some(panic) = panicked.or_else(|| ended.and_then(Result::err)) {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The sandbox's thread: its runtime, its listeners, until it is told to stop.
fn run(
    site: &Arc<Site>,
    server: Arc<rustls::ServerConfig>,
    tell: &mpsc::SyncSender<io::Result<Started>>,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(site.options.threads.max(1))
        .thread_name("linkedin-sandbox")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(tell.send(Err(error))),
    };
    runtime.block_on(async {
        match open(site, server).await {
            Ok(addresses) => {
                let started = Started {
                    addresses,
                    runtime: Handle::current(),
                };
                // Whoever started us waits for this; if they are gone, so are we.
                if tell.send(Ok(started)).is_ok() {
                    site.stopped().await;
                }
            }
            Err(error) => drop(tell.send(Err(error))),
        }
    });
    runtime.shutdown_timeout(END);
}

async fn open(site: &Arc<Site>, server: Arc<rustls::ServerConfig>) -> io::Result<Addresses> {
    let plain = tokio::net::TcpListener::bind(site.options.listen).await?;
    let mut addresses = Addresses {
        plain: plain.local_addr()?,
        tls: None,
    };
    site.media_url
        .get_or_init(|| format!("http://{}", addresses.plain));
    if let Some(address) = site.options.tls_listen {
        let tls = tokio::net::TcpListener::bind(address).await?;
        addresses.tls = Some(tls.local_addr()?);
        site.spawn(listen::accept(Arc::clone(site), tls, Some(server)));
    }
    site.spawn(listen::accept(Arc::clone(site), plain, None));
    Ok(addresses)
}

#[cfg(test)]
mod tests;
