//! Keeps the request's body so that it can be sent again, up to a limit.
//!
//! The body is streamed to LinkedIn while its frames are remembered (shared, not copied). Beyond the
//! limit nothing is kept any more and the request can be sent once only. The kept part is also what
//! the support log shows.
//!
//! **Invariant:** at most `keep_body_bytes` per exchange and `keep_body_total_bytes` in all are kept
//! for a second attempt; over either, the exchange goes on without one.
//! **Neighbours:** stands before anything that may send twice; `authorize` and `backoff` ask
//! [`Replay::can_repeat`].

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::exchange::KeptBody;

use super::alarm::Alarm;

use tower::{Layer, Service, layer::layer_fn, service_fn};

use super::{Call, answer::Answer, exchange::Exchange, failure::Failure};

mod pace;

pub(crate) use pace::{Pace, PaceLimits};

/// Takes the body over.
pub(crate) fn layer<S>()
-> impl Layer<S, Service = impl Service<Call, Response = Answer, Error = Failure> + Clone> + Clone
where
    S: Service<Rc<Exchange>, Response = Answer, Error = Failure> + Clone,
{
    layer_fn(|inner: S| service_fn(move |call| run(inner.clone(), call)))
}

async fn run<S>(mut inner: S, call: Call) -> Result<Answer, Failure>
where
    S: Service<Rc<Exchange>, Response = Answer, Error = Failure>,
{
    let Call { exchange, body } = call;
    let thread = &exchange.thread;
    let limits = &thread.replay_limits;
    if limits
        .max_bytes
        .is_some_and(|limit| body.size_hint().lower() > limit)
    {
        super::drain_unread(thread, &exchange, body);
        return Err(Failure::BodyTooLarge);
    }
    // Set here alone, once per exchange.
    drop(exchange.body.set(Replay::new(body, limits, &thread.alarm)));
    inner.call(exchange).await
}

/// Why a body can be sent again, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CanRepeat {
    /// Nothing of it has been taken from the caller beyond what is kept.
    Yes,
    /// It was larger than what may be kept.
    TooLarge,
    /// The caller's side of it broke.
    Broken,
}

/// How the caller's side of a body broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyBroken {
    /// It broke off or was malformed.
    #[error("the request's body broke off")]
    Cut,
    /// Too slow.
    #[error("the request's body did not arrive in time")]
    TooSlow,
    /// Over `max_body_bytes`.
    #[error("the request's body is too large")]
    TooLarge,
}

/// Bytes kept by all exchanges of the process.
#[derive(Clone, Debug)]
pub(crate) struct KeptTotal {
    now: Arc<AtomicUsize>,
    limit: usize,
}

impl KeptTotal {
    /// No bytes kept, `limit` allowed.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            now: Arc::default(),
            limit,
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let before = self.now.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= self.limit;
        if !fits {
            self.now.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        self.now.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The body of one request, sendable again while it is kept. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replay(Option<Rc<Shared>>);

#[derive(Debug)]
struct Shared {
    source: RefCell<Option<Incoming>>,
    length: Option<u64>,
    frames: RefCell<Vec<Bytes>>,
    kept_bytes: Cell<usize>,
    keep_limit: Cell<usize>,
    total: KeptTotal,
    is_kept: Cell<bool>,
    seen: RefCell<KeptBody>,
    show_limit: usize,
    max_bytes: Option<u64>,
    is_complete: Cell<bool>,
    /// When the body began to flow, when it last did, and whether it is through.
    flow: Cell<Option<(Instant, Instant)>>,
    idle: Duration,
    broken: Cell<Option<BodyBroken>>,
    pace: RefCell<Pace>,
}

/// Limits for one body.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes kept for a second attempt.
    pub(crate) keep_bytes: usize,
    /// The same for the process.
    pub(crate) total: KeptTotal,
    /// Bytes kept for the record.
    pub(crate) show_bytes: usize,
    /// Largest body accepted.
    pub(crate) max_bytes: Option<u64>,
    /// Slowest body accepted.
    pub(crate) pace: PaceLimits,
}

impl Replay {
    /// Takes over the caller's body; a request without one costs nothing.
    pub(crate) fn new(source: Incoming, limits: &Limits, alarm: &Alarm) -> Self {
        if source.is_end_stream() {
            return Self(None);
        }
        let length = source.size_hint().exact();
        let fits = length.is_none_or(|length| length <= limits.keep_bytes as u64);
        Self(Some(Rc::new(Shared {
            source: RefCell::new(Some(source)),
            length,
            frames: RefCell::default(),
            kept_bytes: Cell::new(0),
            keep_limit: Cell::new(limits.keep_bytes),
            total: limits.total.clone(),
            is_kept: Cell::new(fits),
            seen: RefCell::default(),
            show_limit: limits.show_bytes,
            max_bytes: limits.max_bytes,
            is_complete: Cell::new(false),
            flow: Cell::new(None),
            idle: limits.pace.idle,
            broken: Cell::new(None),
            pace: RefCell::new(Pace::new(limits.pace, alarm)),
        })))
    }

    /// Its length, where the caller said it.
    pub(crate) fn length(&self) -> Option<u64> {
        self.0.as_ref().map_or(Some(0), |shared| shared.length)
    }

    /// Whether it can be sent (again).
    pub(crate) fn can_repeat(&self) -> CanRepeat {
        match &self.0 {
            None => CanRepeat::Yes,
            Some(shared) if shared.broken.get().is_some() => CanRepeat::Broken,
            Some(shared) if shared.is_kept.get() => CanRepeat::Yes,
            Some(shared) if shared.seen.borrow().bytes == 0 => CanRepeat::Yes,
            Some(_) => CanRepeat::TooLarge,
        }
    }

    /// Whether the caller has sent all of it and it was taken.
    pub(crate) fn is_through(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|shared| shared.is_complete.get())
    }

    /// A deadline that stands still while the body flows: its end counts from there, and while it
    /// flows only silence does.
    pub(crate) fn moved(&self, base: Instant) -> Instant {
        let Some(shared) = &self.0 else { return base };
        match shared.flow.get() {
            None => base,
            Some((began, last)) if shared.is_complete.get() => base + last.duration_since(began),
            Some((_, last)) => base.max(last + shared.idle),
        }
    }

    /// When its last bytes came, if they were waited for.
    pub(crate) fn came(&self) -> Option<Instant> {
        let (_, last) = self.0.as_ref()?.flow.get()?;
        Some(last)
    }

    /// How the caller's side broke, if it did.
    pub(crate) fn broken(&self) -> Option<BodyBroken> {
        self.0.as_ref().and_then(|shared| shared.broken.get())
    }

    /// The part kept for the record.
    pub(crate) fn seen(&self) -> KeptBody {
        self.0
            .as_ref()
            .map(|shared| shared.seen.borrow().clone())
            .unwrap_or_default()
    }

    /// The body for the next attempt: what was kept, then the rest from the caller.
    pub(crate) fn again(&self) -> Replayed {
        Replayed {
            shared: self.0.clone(),
            next: 0,
        }
    }

    /// Reads the rest of a body that may still be repeated; true once it is through and kept.
    pub(crate) async fn read_rest(&self) -> bool {
        let mut rest = self.again();
        loop {
            match std::future::poll_fn(|task| Pin::new(&mut rest).poll_frame(task)).await {
                None => return self.can_repeat() == CanRepeat::Yes,
                Some(Ok(_)) if self.can_repeat() == CanRepeat::Yes => {}
                Some(_) => return false,
            }
        }
    }

    /// Takes what is left of the caller's body, to be read and thrown away.
    pub(crate) fn take_unread(&self) -> Option<Incoming> {
        let shared = self.0.as_ref()?;
        if shared.is_complete.get() {
            None
        } else {
            shared.source.borrow_mut().take()
        }
    }
}

impl Shared {
    fn poll_source(&self, task: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyBroken>>> {
        let mut source = self.source.borrow_mut();
        let Some(body) = source.as_mut() else {
            return Poll::Ready(self.broken.get().map(Err));
        };
        let polled = Pin::new(&mut *body).poll_frame(task);
        self.note_flow(polled.is_pending());
        if self.pace.borrow_mut().is_stalled(polled.is_pending(), task) {
            return Poll::Ready(Some(Err(self.break_off(BodyBroken::TooSlow))));
        }
        match ready!(polled) {
            // Request trailers are dropped (docs/contract.md: "Not sent to LinkedIn").
            Some(Ok(frame)) => {
                let taken = self.take(frame.into_data().unwrap_or_default());
                // Whoever has sent the announced length does not ask for an end.
                if taken.is_ok() && body.is_end_stream() {
                    self.complete(&mut source);
                }
                Poll::Ready(Some(taken))
            }
            Some(Err(_)) => Poll::Ready(Some(Err(self.break_off(BodyBroken::Cut)))),
            None => {
                self.complete(&mut source);
                Poll::Ready(None)
            }
        }
    }

    fn complete(&self, source: &mut Option<Incoming>) {
        self.is_complete.set(true);
        self.seen.borrow_mut().complete = true;
        *source = None;
    }

    /// A body that is there at once costs no look at the clock.
    fn note_flow(&self, is_pending: bool) {
        match self.flow.get() {
            None if is_pending => self.flow.set(Some((Instant::now(), Instant::now()))),
            Some((began, _)) if !is_pending => self.flow.set(Some((began, Instant::now()))),
            None | Some(_) => {}
        }
    }

    fn take(&self, chunk: Bytes) -> Result<Bytes, BodyBroken> {
        self.pace.borrow_mut().note(chunk.len());
        let mut seen = self.seen.borrow_mut();
        seen.note(&chunk, self.show_limit);
        if self.max_bytes.is_some_and(|limit| seen.bytes > limit) {
            drop(seen);
            return Err(self.break_off(BodyBroken::TooLarge));
        }
        if self.is_kept.get() {
            self.keep(&chunk);
        }
        Ok(chunk)
    }

    fn keep(&self, chunk: &Bytes) {
        let kept = self.kept_bytes.get() + chunk.len();
        if kept <= self.keep_limit.get() && self.total.take(chunk.len()) {
            self.kept_bytes.set(kept);
            self.frames.borrow_mut().push(chunk.clone());
        } else {
            self.forget();
        }
    }

    /// Keeps nothing any more. Called while the caller is read from, so the sending under way has
    /// passed on all that was kept.
    fn forget(&self) {
        self.is_kept.set(false);
        self.frames.borrow_mut().clear();
        self.total.give_back(self.kept_bytes.replace(0));
    }

    fn break_off(&self, why: BodyBroken) -> BodyBroken {
        self.broken.set(Some(why));
        why
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.total.give_back(self.kept_bytes.get());
    }
}

/// One sending of a [`Replay`].
#[derive(Debug)]
pub(crate) struct Replayed {
    shared: Option<Rc<Shared>>,
    next: usize,
}

impl Body for Replayed {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let this = self.get_mut();
        let Some(shared) = &this.shared else {
            return Poll::Ready(None);
        };
        let kept = shared.frames.borrow().get(this.next).cloned();
        if let Some(chunk) = kept {
            this.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let chunk = ready!(shared.poll_source(task));
        this.next = shared.frames.borrow().len();
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| {
            shared.is_complete.get() && self.next >= shared.frames.borrow().len()
                || shared.length == Some(0)
        })
    }

    fn size_hint(&self) -> SizeHint {
        match self.shared.as_ref().map(|shared| shared.length) {
            None => SizeHint::with_exact(0),
            Some(Some(length)) => SizeHint::with_exact(length),
            Some(None) => SizeHint::default(),
        }
    }
}
