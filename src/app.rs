//! Composition root: a [`Config`] becomes running tasks, started and ended in an order that holds.
//!
//! Start: lock · store and keys · credentials · callers · support log · path · alerts · admin · connect ·
//! control socket. Each needs those before it. End: `/readyz` off · time for load balancers · path drained ·
//! sign-ins and renewals finished · last alerts sent · support log flushed.
//!
//! **Invariant:** nothing here is global to the process, so that tests run several at once; signals,
//! umask and the operations log belong to `cli::serve`.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};
use tracing::{error, info, warn};

use crate::{
    admin::Admin,
    alerts::{self, Alerts},
    callers::Callers,
    clock::Clock,
    config::{Config, Drain},
    connect::Connect,
    credentials::{self, BadSettings, Credentials, Foundations},
    dial::{BadRoots, Dialer},
    incident::{Log, index::keeper::Keeper, reader::Incidents},
    keyring::{KeyRing, LiveSecrets},
    metrics::Metrics,
    operators::Operators,
    proxy::Proxy,
    store::{self, Store, StoreError},
    web::Listener,
};

mod control;
mod desk;
mod lock;
mod order;
mod starting;
mod status;

pub use control::{Control, NotReached, ask};
pub use desk::Desk;
pub use lock::{Lock, NotLocked};
pub use order::{After, Items, MemberNamed, Order, Refusal, Reply, TokenText};

use starting::{
    admin_parts, door, open, start_alerts, start_keeper, start_log, start_proxy, test_log,
};
use status::Status;

/// Time for the support log to write what waits, at the end.
const LOG_CLOSE: Duration = Duration::from_secs(5);
/// Time for what was found out last to be told, at the end; what is not stays in the outbox.
const LAST_ALERTS: Duration = Duration::from_secs(3);
/// Time for renewals and saves under way, at the end: one call to the token endpoint and its save.
const CREDENTIALS_DRAIN: Duration = Duration::from_secs(20);

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process serves this data folder.
    #[error(transparent)]
    Lock(#[from] NotLocked),
    /// The store or its key file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Settings of the credentials that contradict each other.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The trusted roots.
    #[error(transparent)]
    Roots(#[from] BadRoots),
    /// A folder or file of ours.
    #[error("{what} {path}: {source}")]
    File {
        /// What it is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A listener.
    #[error("{key} {address}: {source}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl From<credentials::StartError> for StartError {
    fn from(error: credentials::StartError) -> Self {
        match error {
            credentials::StartError::Settings(error) => error.into(),
            credentials::StartError::Store(error) => error.into(),
        }
    }
}

/// The parts below every listener: what commands need when no gateway runs.
pub struct Foundation {
    lock: Lock,
    store: Arc<dyn Store>,
    ring: KeyRing,
    live: LiveSecrets,
    clock: Clock,
    dialer: Dialer,
    metrics: Metrics,
    credentials: Credentials,
    callers: Callers,
    operators: Operators,
    incidents: Incidents,
    alerts: Alerts,
}

impl Foundation {
    /// Takes the lock, opens the store and loads what it holds.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn lay(config: &Config) -> Result<Self, StartError> {
        let lock = Lock::take(&config.places.lock_file)?;
        let (store, ring) = store::open(&config.places.store_url, &config.places.keys).await?;
        let live = LiveSecrets::new(ring.clone());
        let clock = Clock::system();
        let dialer = Dialer::new(config.dial.clone())?;
        let metrics = Metrics::default();
        let credentials = Credentials::start(
            config.credentials.clone(),
            Foundations {
                store: store.clone(),
                ring: ring.clone(),
                live: live.clone(),
                clock: clock.clone(),
                dialer: dialer.clone(),
                metrics: metrics.shard(),
                house: Handle::current(),
            },
        )
        .await?;
        let callers = Callers::new(clock.clone(), live.clone());
        callers.replace(store.keys().await?);
        let alerts = Alerts::new(
            config.alerts.clone(),
            alerts::Parts {
                store: store.clone(),
                credentials: credentials.clone(),
                dialer: dialer.clone(),
                clock: clock.clone(),
                house: Handle::current(),
            },
        );
        let operators = Operators::new(clock.clone(), live.clone());
        operators.replace(store.operators().await?);
        Ok(Self {
            lock,
            store,
            ring,
            live,
            clock,
            dialer,
            metrics,
            credentials,
            callers,
            operators,
            incidents: Incidents::open(&config.places.incidents),
            alerts,
        })
    }

    /// Executes commands on it.
    pub fn desk(&self) -> Desk {
        Desk::new(self)
    }

    /// Finishes what commands began.
    pub async fn close(self) {
        drain_credentials(&self.credentials).await;
    }
}

/// A running gateway.
pub struct App {
    foundation: Foundation,
    status: Arc<Status>,
    log: Log,
    keeper: Keeper,
    alerting: alerts::Running,
    admin: Admin,
    connect: Option<(Connect, Listener)>,
    control: Control,
    callers_address: SocketAddr,
    drain: Drain,
}

impl App {
    /// Starts everything on the runtime that calls: the house.
    ///
    /// # Errors
    /// [`StartError`]; what was started before is ended again.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let foundation = Foundation::lay(&config).await?;
        let (recorder, log) = start_log(&config, &foundation)?;
        let keeper = start_keeper(&config)?;
        test_log(&foundation, &recorder).await;
        let door = door(&config, &foundation);
        let proxy = start_proxy(&config, &foundation, recorder.clone(), door.as_ref()).await?;
        let callers_address = proxy.local_addr();
        let alerting = start_alerts(&foundation, recorder.clone(), door.clone());
        let status = Arc::new(Status::new(
            proxy,
            recorder,
            foundation.credentials.clone(),
            foundation.alerts.clone(),
            foundation.metrics.clone(),
            keeper.health(),
        ));
        let listen = config.admin.web.listen;
        let parts = admin_parts(&foundation, Arc::clone(&status), door.as_ref());
        let admin =
            Admin::start(config.admin, parts)
                .await
                .map_err(|source| StartError::Listen {
                    key: "admin.listen",
                    address: listen,
                    source,
                })?;
        let connect = open(&config.connect, door.as_ref()).await?;
        let socket = config.places.control_socket;
        let desk = foundation.desk().beside(door);
        let control = Control::start(&socket, desk).map_err(|source| StartError::File {
            what: "control socket",
            path: socket,
            source,
        })?;
        foundation.credentials.keep_fresh();
        info!(callers = %callers_address, admin = %admin.local_addr(), config = config.incidents.config_hash, "linkgate is up");
        Ok(Self {
            foundation,
            status,
            log,
            keeper,
            alerting,
            admin,
            connect,
            control,
            callers_address,
            drain: config.drain,
        })
    }

    /// Where callers connect.
    pub fn callers_address(&self) -> SocketAddr {
        self.callers_address
    }

    /// Where operators connect.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Where members' browsers come, if they do.
    pub fn connect_address(&self) -> Option<SocketAddr> {
        self.connect.as_ref().map(|(_, open)| open.local_addr())
    }

    /// Executes commands, as the control socket does.
    pub fn desk(&self) -> Desk {
        let door = self.connect.as_ref().map(|(door, _)| door.clone());
        self.foundation.desk().beside(door)
    }

    /// Reads keys, operators' tokens and certificates again. What cannot be read stays as it was.
    pub async fn reload(&self) {
        match self.foundation.store.keys().await {
            Ok(keys) => {
                info!(keys = keys.len(), "callers' keys were read again");
                self.foundation.callers.replace(keys);
            }
            Err(error) => {
                error!(%error, "callers' keys could not be read again: the old ones stay");
            }
        }
        match self.foundation.store.operators().await {
            Ok(operators) => self.foundation.operators.replace(operators),
            Err(error) => {
                error!(%error, "operators' tokens could not be read again: the old ones stay");
            }
        }
        if let Some(Err(error)) = self.status.with_proxy(Proxy::reload_tls) {
            error!(%error, "certificates could not be read again: the old ones stay");
        }
    }

    /// Notes how many lines of the operations log were dropped, for the metrics.
    pub fn note_dropped_lines(&self, lines: usize) {
        self.status
            .log_lines_dropped
            .store(lines as u64, Ordering::Relaxed);
    }

    /// Ends in order: nothing that was accepted is lost, within the configured times.
    pub async fn stop(self) {
        self.status.draining.store(true, Ordering::Relaxed);
        info!(
            delay_ms = self.drain.delay.as_millis(),
            "stopping: not ready any more"
        );
        sleep(self.drain.delay).await;
        self.control.stop().await;
        if let Some(proxy) = self.status.take_proxy() {
            proxy.drain(self.drain.limit).await;
        }
        if let Some((door, open)) = self.connect {
            // A member who comes back from LinkedIn in these seconds is still let in.
            tokio::time::timeout(CREDENTIALS_DRAIN, door.drain())
                .await
                .ok();
            open.stop().await;
        }
        drain_credentials(&self.foundation.credentials).await;
        self.alerting.stop(LAST_ALERTS).await;
        let log = self.log;
        let closed = tokio::task::spawn_blocking(move || log.close(LOG_CLOSE)).await;
        if !matches!(closed, Ok(Ok(()))) {
            error!("the support log did not finish writing");
        }
        let keeper = self.keeper;
        if tokio::task::spawn_blocking(move || keeper.stop())
            .await
            .is_err()
        {
            error!("the index of the support log did not end");
        }
        self.admin.stop().await;
        drop(self.foundation.lock);
        info!("stopped");
    }
}

async fn drain_credentials(credentials: &Credentials) {
    let drained = tokio::time::timeout(CREDENTIALS_DRAIN, credentials.drain()).await;
    if drained.is_err() {
        warn!("a renewal was still under way: its journal is read at the next start");
    }
}

/// Makes the folder of `file`, for its owner alone, where it is missing.
fn make_folder_of(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder),
        _ => Ok(()),
    }
}
