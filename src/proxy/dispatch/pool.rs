//! The connections to LinkedIn of one path thread.
//!
//! HTTP/1 connections are kept in a stack, the warmest on top; an HTTP/2 connection is shared by as
//! many exchanges as LinkedIn allows streams. Nothing crosses threads.
//!
//! **Invariant:** a request goes onto a pooled connection only after the reactor has been asked
//! whether LinkedIn closed it meanwhile (for writes), it is younger than `max_connection_age` and idle
//! for less than `idle_time` (`write_idle_time` for writes).

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::Either;
use http::Request;
use http_body::{Body as _, Frame};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use crate::dial::{Alpn, BaseUrl, DialError, Dialer, Stream, Timed};

use super::{
    super::{
        alarm::Alarm,
        head_tap::{Tap, Tapped},
        replay::Replayed,
    },
    local::LocalExecutor,
};

mod muffle;

use muffle::Muffle;

/// Largest receive window of an HTTP/2 stream: what a stalled caller can make us hold.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for a whole connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Read and write buffer of one HTTP/1 connection, at most: it grows while a body fills it. 1 MiB answers cost 447 µs with
/// it, 658 with 64 KiB, 425 with 408 KiB; a stalled caller can make us hold as much as by HTTP/2.
const BUFFER: usize = 256 * 1024;
/// LinkedIn's answers have heads of 1 to 2 KiB.
const MAX_ANSWER_HEAD: u32 = 64 * 1024;
/// HTTP/2 pings while streams are open: a dead connection is noticed within twice this.
const PING_EVERY: Duration = Duration::from_secs(10);

/// How pooled connections are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) http2: bool,
    pub(crate) idle_time: Duration,
    pub(crate) write_idle_time: Duration,
    pub(crate) max_age: Duration,
}

/// The connections to one of LinkedIn's hosts.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    target: BaseUrl,
    dialer: Dialer,
    limits: Limits,
    alarm: Alarm,
    idle: RefCell<Vec<Idle>>,
    shared: RefCell<Vec<Rc<Multiplexed>>>,
    /// What the last handshake agreed on; none before the first.
    speaks_http2: Cell<Option<bool>>,
    /// Held while a connection is made that may turn out to be HTTP/2 and serve all who wait.
    first: Rc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Idle {
    connection: Plain,
    since: Instant,
}

/// An HTTP/1 connection.
#[derive(Debug)]
struct Plain {
    sender: http1::SendRequest<Replayed>,
    tap: Rc<Tap>,
    muffle: Arc<Muffle>,
    born: Instant,
}

/// An HTTP/2 connection and how many exchanges are on it.
#[derive(Debug)]
struct Multiplexed {
    sender: http2::SendRequest<Replayed>,
    tap: Rc<Tap>,
    born: Instant,
    streams: Cell<usize>,
    max_streams: Rc<Cell<usize>>,
}

/// A connection taken for one exchange. Dropping it closes an HTTP/1 connection, unless
/// [`Lease::give_back`] was called.
#[derive(Debug)]
pub(crate) struct Lease {
    kind: Kind,
    pool: Pool,
    /// Whether it had served an exchange before.
    pub(crate) is_reused: bool,
    /// When it was taken.
    pub(crate) taken: Instant,
}

#[derive(Debug)]
enum Kind {
    Http1(Plain),
    Http2(Stream2),
}

/// One stream's place on an HTTP/2 connection.
#[derive(Debug)]
struct Stream2(Rc<Multiplexed>);

impl Stream2 {
    fn take(connection: &Rc<Multiplexed>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self(Rc::clone(connection))
    }
}

impl Drop for Stream2 {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
    }
}

impl Pool {
    pub(crate) fn new(target: BaseUrl, dialer: Dialer, limits: Limits, alarm: Alarm) -> Self {
        Self(Rc::new(Shared {
            target,
            dialer,
            limits,
            alarm,
            idle: RefCell::default(),
            shared: RefCell::default(),
            speaks_http2: Cell::new(None),
            first: Rc::default(),
        }))
    }

    /// Whom it connects to.
    pub(crate) fn target(&self) -> &BaseUrl {
        &self.0.target
    }

    /// Takes a pooled connection or makes one; `now` is the moment of the call. `times` is asked for only
    /// where one is made, and told how long that took.
    ///
    /// # Errors
    /// [`DialError`]: nothing was sent.
    pub(crate) async fn take(
        &self,
        is_write: bool,
        now: Instant,
        times: impl FnOnce() -> Timed,
    ) -> Result<Lease, DialError> {
        if let Some(lease) = self.pooled(is_write, now).await {
            return Ok(lease);
        }
        if !self.may_speak_http2() {
            return Box::pin(self.connect(Alpn::Http1, times())).await;
        }
        // Whoever comes first connects; the others may find a shared connection when it is made.
        let first = Rc::clone(&self.0.first);
        let _turn = first.lock().await;
        match self.multiplexed() {
            Some(lease) => Ok(lease),
            None => Box::pin(self.connect(Alpn::Http2OrHttp1, times())).await,
        }
    }

    fn may_speak_http2(&self) -> bool {
        self.0.limits.http2 && self.0.target.is_tls() && self.0.speaks_http2.get() != Some(false)
    }

    async fn pooled(&self, is_write: bool, now: Instant) -> Option<Lease> {
        if let Some(lease) = self.multiplexed() {
            return Some(lease);
        }
        let mut has_asked_reactor = false;
        loop {
            let Idle {
                mut connection,
                since: taken,
            } = self.warmest(is_write, now)?;
            if is_write && !has_asked_reactor {
                // Lets the reactor deliver a close that has already arrived: a write must not meet it.
                tokio::task::yield_now().await;
                has_asked_reactor = true;
            }
            let sender = &mut connection.sender;
            if sender.is_closed() || (!sender.is_ready() && sender.ready().await.is_err()) {
                continue;
            }
            return Some(Lease {
                kind: Kind::Http1(connection),
                pool: self.clone(),
                is_reused: true,
                taken,
            });
        }
    }

    /// The connection used last that is still good by the clock, idle no longer from now on; drops
    /// those that are not.
    fn warmest(&self, is_write: bool, now: Instant) -> Option<Idle> {
        let limits = &self.0.limits;
        let mut idle = self.0.idle.borrow_mut();
        while let Some(mut warmest) = idle.pop() {
            let quiet = now.duration_since(warmest.since);
            if quiet >= limits.idle_time {
                // All below it have been idle for longer.
                idle.clear();
                return None;
            }
            if now.duration_since(warmest.connection.born) >= limits.max_age {
                continue;
            }
            if is_write && quiet >= limits.write_idle_time {
                idle.push(warmest);
                return None;
            }
            warmest.since = now;
            return Some(warmest);
        }
        None
    }

    fn multiplexed(&self) -> Option<Lease> {
        let max_age = self.0.limits.max_age;
        let mut connections = self.0.shared.borrow_mut();
        connections.retain(|c| !c.sender.is_closed() && c.born.elapsed() < max_age);
        let free = connections
            .iter()
            .find(|c| c.streams.get() < c.max_streams.get())?;
        let is_reused = true;
        Some(Lease {
            kind: Kind::Http2(Stream2::take(free)),
            pool: self.clone(),
            is_reused,
            taken: Instant::now(),
        })
    }

    async fn connect(&self, alpn: Alpn, times: Timed) -> Result<Lease, DialError> {
        let dialer = &self.0.dialer;
        let dialed = dialer.dial_timed(&self.0.target, alpn, &times).await?;
        if alpn == Alpn::Http2OrHttp1 {
            self.0.speaks_http2.set(Some(dialed.is_http2));
        }
        let stream = Tapped::linkedin(dialed.stream);
        let kind = if dialed.is_http2 {
            self.http2(stream).await
        } else {
            Self::http1(stream).await
        };
        let kind = kind.map_err(|error| DialError::Connect(crate::dial::chain(&error)))?;
        Ok(Lease {
            kind,
            pool: self.clone(),
            is_reused: false,
            taken: Instant::now(),
        })
    }

    async fn http1(stream: Tapped<Stream>) -> hyper::Result<Kind> {
        let tap = stream.tap();
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .max_header_size(MAX_ANSWER_HEAD as usize)
            .handshake(TokioIo::new(stream))
            .await?;
        let muffle = Arc::new(Muffle::default());
        let (muffled, waker) = (Arc::clone(&muffle), Waker::from(Arc::clone(&muffle)));
        tokio::task::spawn_local(async move {
            let mut connection = pin!(connection);
            let ended = poll_fn(|task| {
                muffled.stand_before(task.waker());
                connection.as_mut().poll(&mut Context::from_waker(&waker))
            });
            // How the connection ended is told to the exchange on it, if there is one.
            drop(ended.await);
        });
        Ok(Kind::Http1(Plain {
            sender,
            tap,
            muffle,
            born: Instant::now(),
        }))
    }

    async fn http2(&self, stream: Tapped<Stream>) -> hyper::Result<Kind> {
        let tap = stream.tap();
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(hyper_util::rt::TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_ANSWER_HEAD)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .handshake(TokioIo::new(stream))
            .await?;
        let max_streams = Rc::new(Cell::new(connection.current_max_send_streams().min(100)));
        let told = Rc::clone(&max_streams);
        tokio::task::spawn_local(async move {
            let mut connection = connection;
            let ended = poll_fn(|task| {
                let polled = Pin::new(&mut connection).poll(task);
                told.set(connection.current_max_send_streams());
                polled
            });
            drop(ended.await);
        });
        let (born, streams) = (Instant::now(), Cell::new(0));
        let connection = Rc::new(Multiplexed {
            sender,
            tap,
            born,
            streams,
            max_streams,
        });
        let stream = Stream2::take(&connection);
        self.0.shared.borrow_mut().push(connection);
        Ok(Kind::Http2(stream))
    }

    /// Drops an HTTP/2 connection on which LinkedIn said GOAWAY: no new stream goes onto it.
    fn forget(&self, gone: &Rc<Multiplexed>) {
        self.0
            .shared
            .borrow_mut()
            .retain(|connection| !Rc::ptr_eq(connection, gone));
    }

    /// Closes connections that have been idle for too long or were closed by LinkedIn.
    pub(crate) fn sweep(&self) {
        let limit = self.0.limits.idle_time;
        let is_good =
            |idle: &Idle| idle.since.elapsed() < limit && !idle.connection.sender.is_closed();
        self.0.idle.borrow_mut().retain(is_good);
        self.0
            .shared
            .borrow_mut()
            .retain(|connection| !connection.sender.is_closed());
    }
}

impl Lease {
    /// The connection's tap.
    pub(crate) fn tap(&self) -> Rc<Tap> {
        match &self.kind {
            Kind::Http1(connection) => Rc::clone(&connection.tap),
            Kind::Http2(stream) => Rc::clone(&stream.0.tap),
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.kind, Kind::Http2(_))
    }

    /// Sends `request` and waits for the answer's head.
    ///
    /// # Errors
    /// hyper's, with the request if it provably was not sent.
    pub(crate) fn send(
        &mut self,
        request: Request<Replayed>,
    ) -> impl Future<Output = Result<http::Response<Incoming>, TrySendError<Request<Replayed>>>> + use<>
    {
        // Handed over at once, so that what is awaited has no room for the request.
        match &mut self.kind {
            Kind::Http1(connection) => Either::Left(connection.sender.try_send_request(request)),
            Kind::Http2(stream) => Either::Right(stream.0.sender.clone().try_send_request(request)),
        }
    }

    /// Polls the body of the answer that comes on this connection.
    pub(crate) fn poll_frame(
        &self,
        body: &mut Incoming,
        task: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &self.kind {
            Kind::Http1(connection) => connection.muffle.around(|| {
                let polled = Pin::new(&mut *body).poll_frame(task);
                (polled, body.is_end_stream())
            }),
            Kind::Http2(_) => Pin::new(body).poll_frame(task),
        }
    }

    /// The exchange is over and the answer was read to its end: the connection may serve the next.
    pub(crate) fn give_back(self) {
        if let Kind::Http1(connection) = self.kind
            && !connection.sender.is_closed()
        {
            let since = self.pool.0.alarm.last_look();
            let idle = Idle { connection, since };
            self.pool.0.idle.borrow_mut().push(idle);
        }
    }

    /// LinkedIn wants no more streams on this connection.
    pub(crate) fn retire(self) {
        if let Kind::Http2(stream) = &self.kind {
            self.pool.forget(&stream.0);
        }
    }
}
