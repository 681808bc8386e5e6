//! What the listeners for browsers and operators' tools stand on: `admin` and `connect`.
//!
//! Accepting, limits, which host names are ours, and the headers that every page carries. Routes
//! are their owners'.
//!
//! **Invariant:** a slow or hostile visitor holds one of `max_connections` places for a bounded time, and
//! one network a quarter of them; it slows no exchange; nothing is served to a request that names a host which is not ours.
//! **Neighbours:** imported by `admin` and `connect`; knows neither.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower::Service as _;
use tracing::{info, warn};

pub mod answer;
mod authority;
mod body;
mod crowd;
mod network;
pub mod page;

use crowd::Crowd;
pub use network::Network;

/// From a connection's start, or the answer before, to the end of the next request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Longest life of a connection: whoever reads an answer slower than this is no visitor.
const CONNECTION_TIME: Duration = Duration::from_secs(600);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Bytes of a request's body: forms and small JSON.
const BODY_BYTES: usize = 64 * 1024;
/// Time that answers under way are given at the end.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// One listener's side of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where visitors connect.
    pub listen: SocketAddr,
    /// Host names that may be used for it, beside IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Connections at once; further ones wait to be accepted. One network (an IPv4 address, an IPv6 /64)
    /// holds a quarter of them, further ones of it are closed at once; loopback is not counted.
    pub max_connections: usize,
}

/// The other end of the connection a request came on; stands in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A running listener.
#[derive(Debug)]
pub struct Listener {
    local: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Binds and serves `routes` on the runtime that calls; `name` names it in the operations log.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(settings: Settings, name: &'static str, routes: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let local = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let hosts = Arc::new(settings.hosts);
        let routes = routes
            .layer(DefaultBodyLimit::max(BODY_BYTES))
            .layer(middleware::from_fn_with_state(hosts, guard));
        let room = Arc::new(Semaphore::new(settings.max_connections));
        let crowd = Crowd::of(settings.max_connections);
        let accepting = tokio::spawn(accept(listener, routes, (room, crowd), stopped));
        info!(address = %local, name, "listener is up");
        Ok(Self {
            local,
            stop,
            accepting,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Stops accepting and gives answers under way a moment.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // A listener that does not end is dropped with the runtime.
        timeout(DRAIN_TIME, self.accepting).await.ok();
        timeout(DRAIN_TIME, self.stop.closed()).await.ok();
    }
}

/// Refuses foreign host names (DNS rebinding) and gives every answer its guarding headers.
async fn guard(State(hosts): State<Arc<Vec<String>>>, request: Request, next: Next) -> Response {
    let is_ours = authority::is_ours(request.version(), request.uri(), request.headers(), &hosts);
    let mut answer = match is_ours {
        true => next.run(request.map(body::timely)).await,
        false => answer::problem(
            StatusCode::MISDIRECTED_REQUEST,
            "wrong_authority",
            "this host name is not one of this listener's hosts",
        )
        .into_response(),
    };
    answer::guard(answer.headers_mut());
    answer
}

async fn accept(
    listener: TcpListener,
    routes: Router,
    (room, crowd): (Arc<Semaphore>, Crowd),
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = is_set(&mut stopped) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(holding) = crowd.enter(peer.ip()) else {
                    continue;
                };
                let (routes, stopped) = (routes.clone(), stopped.clone());
                tokio::spawn(async move {
                    serve(stream, Peer(peer), routes, stopped).await;
                    drop((place, holding));
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: others must close some first.
                warn!(%error, "a listener cannot accept");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Resolves once the listener is told to stop.
async fn is_set(stopped: &mut watch::Receiver<bool>) {
    stopped.wait_for(|stopped| *stopped).await.map(drop).ok();
}

async fn serve(stream: TcpStream, peer: Peer, routes: Router, mut stopped: watch::Receiver<bool>) {
    let service =
        hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer);
            let answered = routes.clone().call(request);
            async move { answered.await.map_err(|never: Infallible| never) }
        });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let whole = async {
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = is_set(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        }
    };
    // How a visitor's connection ends concerns nobody else.
    timeout(CONNECTION_TIME, whole).await.ok();
}

#[cfg(test)]
mod tests;
