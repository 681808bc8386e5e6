//! THE REQUEST PATH: one function, the layers in the order a request meets them.
//!
//! A request is accepted by [`accept`], walks down the layers of [`request_path`] and comes back up as an
//! answer. Everything here runs on one path thread; what is rare (a renewal, a record) is asked of
//! the house by message.
//!
//! **Invariant:** a good request never leaves its thread, touches no disk and starts no timer of its own.
//! **Neighbours:** [`crate::credentials`] (two questions), [`crate::incident`] (one door).

use std::{convert::Infallible, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use hyper::body::Incoming;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, interval, sleep},
};
use tower::{Service, ServiceBuilder, service_fn};

use crate::{
    callers::Callers, clock::Clock, credentials::Credentials, dial::Dialer, incident::Recorder,
    metrics::Metrics,
};

mod accept;
mod admit;
mod alarm;
mod answer;
mod authorize;
mod backoff;
mod capture;
mod coding;
mod deadline;
mod dispatch;
mod exchange;
mod failure;
mod head_tap;
mod headers;
mod identify;
mod repeat;
mod replay;
mod reply;
mod settings;
mod thread;
mod tls;

#[cfg(test)]
mod tests;

use accept::listen::{CallerTls, Order, PathThread};
use admit::Familiar;
use answer::Answer;
use dispatch::{Lost, Sending};
use exchange::Exchange;
use head_tap::Tap;
use thread::{Common, Thread};

pub use settings::{LinkedIn, Retry, Settings, SignInLinks, TlsFiles};
pub use tls::TlsFilesError;

/// What the path needs of the rest. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Tokens.
    pub credentials: Credentials,
    /// Keys.
    pub callers: Callers,
    /// Where members sign in.
    pub sign_in_links: SignInLinks,
    /// The support log's door.
    pub recorder: Recorder,
    /// Counters.
    pub metrics: Metrics,
    /// How LinkedIn is reached.
    pub dialer: Dialer,
    /// The time of day.
    pub clock: Clock,
    /// The runtime of everything that is not the path.
    pub house: tokio::runtime::Handle,
}

/// A request as it arrives, with the tap of its connection and what is known of that.
#[derive(Debug)]
struct Arrival {
    request: http::Request<Incoming>,
    tap: Rc<Tap>,
    familiar: Rc<Familiar>,
}

/// An exchange on its way down, with the body that nobody has read yet.
#[derive(Debug)]
struct Call {
    exchange: Rc<Exchange>,
    body: Incoming,
}

/// The path of every request.
fn request_path(
    thread: &Rc<Thread>,
) -> impl Service<Arrival, Response = Answer, Error = Infallible> + Clone + use<> {
    layers_above(thread, service_fn(dispatch::attempt))
}

/// The layers in the order a request meets them, above what makes an attempt.
fn layers_above<S>(
    thread: &Rc<Thread>,
    attempt: S,
) -> impl Service<Arrival, Response = Answer, Error = Infallible> + Clone + use<S>
where
    S: Service<Sending, Response = Answer, Error = Lost> + Clone + 'static,
{
    ServiceBuilder::new()
        .layer(identify::layer(Rc::clone(thread))) // everything below is known under one id
        .layer(capture::layer()) // outside `reply`, so it keeps what the caller really got
        .layer(reply::layer()) // below may fail, above may not
        .layer(admit::layer()) // refuse before spending a token
        .layer(deadline::layer()) // attempts, waits and renewals included
        .layer(replay::layer()) // before anything that may send twice
        .layer(authorize::layer()) // outside `backoff`: "once more" holds per exchange
        .layer(backoff::layer()) // inside: a new token starts a new series
        .service(attempt)
}

/// The running path.
#[derive(Debug)]
pub struct Proxy {
    local_addr: SocketAddr,
    threads: Arc<Vec<PathThread>>,
    acceptor: JoinHandle<()>,
    sampler: JoinHandle<()>,
    tls: CallerTls,
    settings: Arc<Settings>,
}

impl Proxy {
    /// Binds the listener and starts the path threads.
    ///
    /// # Errors
    /// The listener cannot be bound, a thread cannot be started, or the TLS files are unusable.
    pub fn start(settings: Settings, parts: Parts) -> io::Result<Self> {
        let _entered = parts.house.enter();
        let tls = CallerTls::default();
        if let Some(files) = &settings.tls {
            tls.store(Some(tls::load(files).map_err(io::Error::other)?));
        }
        let listener = bind(settings.listen)?;
        let local_addr = listener.local_addr()?;
        let house = parts.house.clone();
        let common = Common::new(settings, parts, local_addr);
        let settings = Arc::clone(&common.settings);
        let start = |n| PathThread::start(common.clone(), Arc::clone(&tls), n);
        let threads: io::Result<Vec<PathThread>> =
            (0..settings.threads.max(1)).map(start).collect();
        let threads = Arc::new(threads?);
        let is_tls = settings.tls.is_some();
        let budget = Arc::clone(&common.budget);
        let acceptor = house.spawn(accept::listen::accept(
            listener,
            Arc::clone(&threads),
            common,
            is_tls,
        ));
        let sampler = house.spawn(async move {
            let mut every = interval(Duration::from_secs(1));
            loop {
                every.tick().await;
                budget.sample();
            }
        });
        Ok(Self {
            local_addr,
            threads,
            acceptor,
            sampler,
            tls,
            settings,
        })
    }

    /// Where callers connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Exchanges under way, those included whose callers left.
    pub fn in_flight(&self) -> usize {
        self.threads.iter().map(PathThread::in_flight).sum()
    }

    /// Callers' connections.
    pub fn connections(&self) -> usize {
        self.threads.iter().map(PathThread::connections).sum()
    }

    /// Reads the callers' TLS files again; connections that exist keep what they have.
    ///
    /// # Errors
    /// The files are unusable; the old ones stay in force.
    pub fn reload_tls(&self) -> Result<(), TlsFilesError> {
        if let Some(files) = &self.settings.tls {
            self.tls.store(Some(tls::load(files)?));
        }
        Ok(())
    }

    /// Stops accepting, lets the exchanges under way finish within `limit`, then closes. What is
    /// still waiting then is answered `shutting_down`, and after a moment more is cut.
    pub async fn drain(self, limit: Duration) {
        self.acceptor.abort();
        drop(self.acceptor.await);
        self.sampler.abort();
        self.threads
            .iter()
            .for_each(|thread| thread.tell(Order::Drain));
        let busy = || {
            self.threads
                .iter()
                .any(|t| t.connections() + t.in_flight() > 0)
        };
        wait_while(&busy, limit).await;
        if busy() {
            self.threads
                .iter()
                .for_each(|thread| thread.tell(Order::Stop));
            wait_while(&busy, LAST_WORDS).await;
        }
        if let Ok(threads) = Arc::try_unwrap(self.threads) {
            let joined =
                tokio::task::spawn_blocking(|| threads.into_iter().for_each(PathThread::end));
            drop(joined.await);
        }
    }
}

/// Time for `shutting_down` answers to leave.
const LAST_WORDS: Duration = Duration::from_millis(500);

async fn wait_while(busy: &impl Fn() -> bool, limit: Duration) {
    let until = Instant::now() + limit;
    while busy() && Instant::now() < until {
        // Nobody is woken by the last call's end, which the path then need not tell.
        sleep(Duration::from_millis(5)).await;
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // A restart must not wait for old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// Reads and throws away what a refused caller still sends, so that it can read its answer: hyper
/// would close after one read (RFC 9112 §9.6). The connection closes after the answer.
fn drain_unread(thread: &Rc<Thread>, exchange: &Exchange, body: Incoming) {
    use http_body::Body as _;
    if body.is_end_stream() {
        return;
    }
    exchange.closes.set(true);
    if exchange.headers.contains_key(http::header::EXPECT) {
        // The caller waits for `100 Continue` and is told no instead.
        return;
    }
    let deadline = Instant::now() + DRAIN_TIME;
    let thread = Rc::clone(thread);
    drop(tokio::task::spawn_local(async move {
        thread.alarm.at_most(deadline, read_away(body)).await;
    }));
}

/// The same for an answer that came before its request's body was through.
fn drain_rest(thread: &Rc<Thread>, exchange: &Exchange) {
    if let Some(rest) = exchange.body().take_unread() {
        drain_unread(thread, exchange, rest);
    }
}

async fn read_away(mut body: Incoming) {
    use http_body_util::BodyExt as _;
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
        if bytes > DRAIN_BYTES {
            return;
        }
    }
}

const DRAIN_TIME: Duration = Duration::from_secs(2);
const DRAIN_BYTES: usize = 1024 * 1024;
