//! The second listener: health and metrics, for operators and their machines.
//!
//! It serves nothing about members: that waits until operators can sign in.
//!
//! **Invariant:** what it tells is asked of the parts at each request, through [`Source`]; it knows
//! none of them, and a slow or hostile visitor of this listener can slow no exchange.
//! **Neighbours:** `app` starts it before the path and stops it last, so that `/readyz` can say why.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{info, warn};

mod answer;
mod authority;

/// From a connection's start, or the answer before, to the end of the next request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Longest life of a connection: whoever reads an answer slower than this is no operator.
const CONNECTION_TIME: Duration = Duration::from_secs(600);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Time that answers under way are given at the end.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// The admin listener's side of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where operators connect.
    pub listen: SocketAddr,
    /// Host names that may be used for it, beside IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Connections at once; further ones wait to be accepted.
    pub max_connections: usize,
}

/// One reason why no traffic should be sent here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NotReady {
    /// One word: `draining`, `support_log`, `store`.
    pub reason: &'static str,
    /// One sentence.
    pub detail: String,
}

/// Whom the listener asks.
pub trait Source: Send + Sync + 'static {
    /// Everything that speaks against being ready; nothing if ready.
    fn not_ready(&self) -> Vec<NotReady>;
    /// The metrics in Prometheus' text form.
    fn metrics(&self) -> String;
}

/// The running listener.
#[derive(Debug)]
pub struct Admin {
    local: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

struct Desk<S> {
    source: S,
    hosts: Vec<String>,
}

impl Admin {
    /// Binds the listener and serves on the runtime that calls.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(settings: Settings, source: impl Source) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let local = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let desk = Arc::new(Desk {
            source,
            hosts: settings.hosts,
        });
        let room = Arc::new(Semaphore::new(settings.max_connections));
        let accepting = tokio::spawn(accept(listener, desk, room, stopped));
        info!(address = %local, "admin listener is up");
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

async fn accept<S: Source>(
    listener: TcpListener,
    desk: Arc<Desk<S>>,
    room: Arc<Semaphore>,
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
            Ok((stream, _)) => {
                let (desk, stopped) = (Arc::clone(&desk), stopped.clone());
                tokio::spawn(async move {
                    serve(stream, desk, stopped).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: others must close some first.
                warn!(%error, "admin listener cannot accept");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Resolves once the listener is told to stop.
async fn is_set(stopped: &mut watch::Receiver<bool>) {
    stopped.wait_for(|stopped| *stopped).await.map(drop).ok();
}

async fn serve<S: Source>(
    stream: TcpStream,
    desk: Arc<Desk<S>>,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let answer = answer::to(&request.into_parts().0, &desk.hosts, &desk.source);
        async move { Ok::<_, std::convert::Infallible>(answer) }
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
