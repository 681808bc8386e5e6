//! HTTP/2 as LinkedIn speaks it, down to the single frames a fault asks for.
//!
//! **Invariant:** whether a stream is processed is decided in the order of the streams, so a GOAWAY
//! never disowns a stream that has been processed.
//! **Neighbours:** `h2::frames` puts the true last stream into a GOAWAY.

mod answering;
mod frames;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use tokio::sync::{Notify, watch};

use super::conversation::Turn;
use super::faults::Kind;
use super::request::{Announced, Head, HttpVersion, RequestBody};
use super::site::Site;
use super::socket::{Socket, Stream};
use frames::{FrameOrders, Frames};

const IDLE: Duration = Duration::from_secs(75);
const WINDOW: u32 = 1 << 20;
const MAX_STREAMS: u32 = 250;
const MAX_HEADER_LIST: u32 = 256 << 10;
/// How long a disowned stream is left alone, so that the GOAWAY is what ends it for the client.
const DISOWNED: Duration = Duration::from_secs(2);

/// What the tasks of one connection share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) orders: Arc<FrameOrders>,
    pub(crate) socket: Socket,
    /// The connection shall end at once.
    cut: Notify,
    /// Streams under way.
    active: watch::Sender<u32>,
}

impl Shared {
    /// Ends the connection without a goodbye.
    pub(crate) fn cut(&self) {
        self.cut.notify_one();
    }
}

/// A stream under way.
struct Active(Arc<Shared>);

impl Active {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.active.send_modify(|active| *active += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.send_modify(|active| *active -= 1);
    }
}

/// Serves one connection until either side ends it.
pub(crate) async fn serve<S: Stream>(site: &Arc<Site>, stream: S, socket: Socket, connection: u64) {
    let orders = Arc::new(FrameOrders::default());
    let shared = Arc::new(Shared {
        orders: Arc::clone(&orders),
        socket,
        cut: Notify::new(),
        active: watch::Sender::new(0),
    });
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_send_buffer_size(256 << 10);
    let handshake = builder.handshake(Frames::new(stream, orders));
    match tokio::time::timeout(IDLE, handshake).await {
        Ok(Ok(wire)) => {
            tokio::select! {
                () = streams(site, wire, &shared, connection) => {}
                () = shared.cut.notified() => {}
            }
        }
        Ok(Err(_)) => site.ledger.malformed("http/2 preface"),
        Err(_) => {}
    }
}

async fn streams<S: Stream>(
    site: &Arc<Site>,
    mut wire: Connection<Frames<S>, Bytes>,
    shared: &Arc<Shared>,
    connection: u64,
) {
    let mut ending = false;
    let mut served = false;
    loop {
        let accepted = tokio::select! {
            accepted = wire.accept() => accepted,
            () = idle(site, shared, served), if !ending => {
                ending = true;
                wire.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((request, respond))) = accepted else {
            return;
        };
        if shared.orders.is_leaving() {
            // Sent before the client knew; the GOAWAY covers it, so it must not be processed.
            site.spawn(disown(respond));
            continue;
        }
        served = true;
        let (parts, body) = request.into_parts();
        let turn = Turn::begin(site, head(&parts, &body), connection);
        match turn.fault() {
            Some(Kind::GoAway) => {
                let last = respond.stream_id().as_u32().saturating_sub(2);
                shared.orders.leave_after(last);
                ending = true;
                wire.graceful_shutdown();
                site.spawn(disown(respond));
            }
            Some(Kind::RefusedStream) => {
                let mut respond = respond;
                respond.send_reset(Reason::REFUSED_STREAM);
            }
            _ => {
                let (here, active) = (Arc::clone(site), Active::begin(shared));
                site.spawn(async move {
                    answering::answer(&here, turn, Incoming(body), respond, &active.0).await;
                });
            }
        }
    }
}

async fn disown(respond: SendResponse<Bytes>) {
    tokio::time::sleep(DISOWNED).await;
    drop(respond);
}

/// Resolves when no stream has been under way for as long as LinkedIn keeps a connection.
async fn idle(site: &Site, shared: &Shared, served: bool) {
    let limit = site.options.idle_close.filter(|_| served).unwrap_or(IDLE);
    let mut active = shared.active.subscribe();
    loop {
        // The sender lives in `shared`, so waiting cannot fail.
        drop(active.wait_for(|active| *active == 0).await);
        if limit.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(limit) => return,
            _changed = active.wait_for(|active| *active > 0) => {}
        }
    }
}

fn head(parts: &http::request::Parts, body: &RecvStream) -> Head {
    let headers: Vec<(String, Bytes)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                Bytes::copy_from_slice(value.as_bytes()),
            )
        })
        .collect();
    let length = parts
        .headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    let announced = match length {
        Some(length) => Announced::Length(length),
        None if body.is_end_stream() => Announced::Nothing,
        None => Announced::Open,
    };
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    Head {
        method: parts.method.as_str().to_owned(),
        target: target.to_owned(),
        version: HttpVersion::Http2,
        headers,
        raw: Bytes::new(),
        announced,
        keep_alive: true,
    }
}

/// A request's body.
pub(crate) struct Incoming(RecvStream);

impl RequestBody for Incoming {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self.0.data().await {
            None => Ok(None),
            Some(Ok(bytes)) => {
                // Fails only when the stream is gone, which the next read tells too.
                drop(self.0.flow_control().release_capacity(bytes.len()));
                Ok(Some(bytes))
            }
            Some(Err(error)) => Err(io::Error::other(error)),
        }
    }
}
