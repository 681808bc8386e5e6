//! HTTP/2 from a caller: many calls on one connection, each on the path that an HTTP/1.1 call takes.
//!
//! hyper and the h2 crate own the protocol. What they leave open is held here: what a connection may
//! write at once (`gathered`), how long it may be idle (`farewell`), how long a caller may let an answer
//! wait and how often it may take back what it asked (`streams`).
//!
//! **Invariant:** what a caller can make us keep is bounded for the connection: heads, windows, streams,
//! and the bytes that wait for it.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
};

use http::Request;
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::Service;

use super::super::{
    Arrival,
    admit::Familiar,
    answer::Answer,
    dispatch::http2_cause,
    head_tap::{Tap, Tapped},
    thread::{ConnectionSlot, Thread},
};

mod farewell;
mod gathered;
mod streams;

use farewell::{Farewell, Next, Sight};
use gathered::Gathered;
use streams::{Answering, Streams};

/// Bytes of one request's body that may come before they are taken.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all of a connection's: one upload that waits must not stop the others at once.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Of one answer, bytes that wait for the caller's window.
const SEND_BUFFER: usize = 64 * 1024;
/// Names, values and 32 bytes each (RFC 9113 §6.5.2). hyper's default answers 431 to a head of 20 KiB.
const MAX_HEADER_LIST: u32 = 64 * 1024;
/// Calls at once on one connection; more are refused by `REFUSED_STREAM`.
const MAX_STREAMS: u32 = 100;
/// Calls taken back before anybody looked at them: beyond, GOAWAY (CVE-2023-44487).
const MAX_UNSEEN_RESETS: usize = 20;
/// Calls that we reset for what the caller did to them: beyond, GOAWAY (CVE-2025-8671).
const MAX_OWN_RESETS: usize = 256;

/// Serves the connection to its end.
pub(super) async fn serve<S, I>(
    thread: Rc<Thread>,
    path: S,
    stream: Tapped<I>,
    mut slot: ConnectionSlot,
) where
    S: Service<Arrival, Response = Answer, Error = Infallible> + Clone + 'static,
    S::Future: 'static,
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let tap = stream.tap();
    let gathered = Gathered::new(stream);
    let streams = Streams::new(&thread);
    let service = Entrance::new(path, &streams);
    let connection = builder(&streams).serve_connection(TokioIo::new(gathered.clone()), service);
    let mut connection = pin!(connection);
    let mut farewell = pin!(Farewell::new(&thread.settings));
    let ended = std::future::poll_fn(|task: &mut Context<'_>| {
        slot.remember(task.waker());
        streams.remember(task.waker());
        if streams.are_abused() {
            return Poll::Ready(End::Abused);
        }
        if thread.is_draining() && farewell.as_mut().begin() {
            connection.as_mut().graceful_shutdown();
        }
        let polled = connection.as_mut().poll(task);
        // All that this poll wrote leaves now, at once.
        let sent = gathered.poll_send(task);
        if let Poll::Ready(ended) = polled {
            return Poll::Ready(End::Closed(ended));
        }
        if let Poll::Ready(Err(error)) = sent {
            return Poll::Ready(End::Lost(error));
        }
        match farewell.as_mut().poll_next(sight(&streams, &tap), task) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Next::Cut) => Poll::Ready(End::Idle),
            Poll::Ready(Next::SayIt) => {
                connection.as_mut().graceful_shutdown();
                task.waker().wake_by_ref();
                Poll::Pending
            }
        }
    });
    let end = ended.await;
    if matches!(end, End::Closed(Ok(())))
        && farewell.as_mut().may_leave_bytes(sight(&streams, &tap))
    {
        await_close(&gathered, &streams, &tap, farewell).await;
    }
    note(&thread, &end);
}

/// Waits until the caller closes too. A socket that is closed while the caller still sends, as it does to
/// widen its windows, is reset, and what it holds for the caller is lost.
async fn await_close<I: AsyncRead + Unpin>(
    gathered: &Gathered<Tapped<I>>,
    streams: &Streams,
    tap: &Tap,
    mut farewell: Pin<&mut Farewell>,
) {
    let mut stream = gathered.clone();
    std::future::poll_fn(|task: &mut Context<'_>| {
        let mut room = [0; 512];
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut stream).poll_read(task, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        farewell
            .as_mut()
            .poll_next(sight(streams, tap), task)
            .map(|_| ())
    })
    .await;
}

fn sight(streams: &Streams, tap: &Tap) -> Sight {
    Sight {
        is_busy: streams.are_open(),
        passed: tap.bytes_read() + tap.bytes_written(),
    }
}

fn builder(streams: &Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
        .max_local_error_reset_streams(MAX_OWN_RESETS);
    builder
}

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// By hyper's word.
    Closed(hyper::Result<()>),
    /// It does not take what we write any more.
    Lost(io::Error),
    /// Nobody asked anything for long, or it was drained.
    Idle,
    /// Too many calls were taken back.
    Abused,
}

fn note(thread: &Thread, end: &End) {
    match end {
        End::Closed(Err(error)) if http2_cause(error).is_some_and(h2::Error::is_library) => {
            thread.shard.parser_refusal();
            tracing::info!(%error, "a caller broke the rules of HTTP/2 and was sent away");
        }
        End::Abused => {
            thread.shard.parser_refusal();
            tracing::info!("a caller took back too many calls and was sent away");
        }
        End::Closed(Err(error)) => tracing::debug!(%error, "a caller's connection ended"),
        End::Lost(error) => tracing::debug!(%error, "a caller's connection was lost"),
        End::Idle => tracing::debug!("a caller's connection was idle and was closed"),
        End::Closed(Ok(())) => {}
    }
}

/// Where hyper hands requests to the path.
struct Entrance<S> {
    path: S,
    /// Shows nothing: HTTP/2 packs its heads, so records show them as decoded.
    tap: Rc<Tap>,
    familiar: Rc<Familiar>,
    streams: Streams,
}

impl<S> Entrance<S> {
    fn new(path: S, streams: &Streams) -> Self {
        Self {
            path,
            tap: Tap::silent(),
            familiar: Rc::default(),
            streams: streams.clone(),
        }
    }
}

impl<S> hyper::service::Service<Request<Incoming>> for Entrance<S>
where
    S: Service<Arrival, Response = Answer, Error = Infallible> + Clone,
{
    type Response = http::Response<streams::Handed>;
    type Error = Infallible;
    /// In a box: what hyper and tokio move about for each call is small then, and not the whole path's future.
    type Future = Answering<Pin<Box<S::Future>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let arrival = Arrival {
            request,
            tap: Rc::clone(&self.tap),
            familiar: Rc::clone(&self.familiar),
        };
        self.streams
            .begin(Box::pin(self.path.clone().call(arrival)))
    }
}
