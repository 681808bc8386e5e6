//! The calls under way on one HTTP/2 connection: counted, driven, and ended where a caller stalls.
//!
//! hyper asks a [`Streams`] to run each call's future. It waits for the caller's window before it asks an
//! answer's body for more, for as long as the caller likes; only who owns that future can end it.
//!
//! **Invariant:** hyper calls the service and hands over the call's future in one go, so that the future
//! belongs to the call begun last. A caller that takes nothing of an answer for `body_idle` (longer if
//! `min_body_rate` allows it for what it was given) loses it by `RST_STREAM`.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::super::super::{
    alarm::Watch,
    answer::{Answer, AnswerBody, AnswerBroken},
    thread::Thread,
};

/// Calls that a connection may take back before they are answered: at once, and each second.
const MAX_TAKEN_BACK: u64 = 500;
const TAKEN_BACK_A_SECOND: u64 = 50;

/// The calls of one connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Streams(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    thread: Rc<Thread>,
    /// The call whose future is about to be handed over.
    begun: RefCell<Option<Rc<Call>>>,
    open: Cell<usize>,
    /// The connection's task, which is to see that the last call has ended.
    connection: RefCell<Option<Waker>>,
    taken_back: TakenBack,
}

/// One call.
#[derive(Debug)]
struct Call {
    on: Rc<Shared>,
    is_answered: Cell<bool>,
    /// Length of a frame that the caller was given and has yet to take.
    given: Cell<Option<usize>>,
    /// Whether the time for it is running.
    is_timed: Cell<bool>,
}

impl Streams {
    pub(super) fn new(thread: &Rc<Thread>) -> Self {
        Self(Rc::new(Shared {
            thread: Rc::clone(thread),
            begun: RefCell::default(),
            open: Cell::new(0),
            connection: RefCell::default(),
            taken_back: TakenBack::new(Instant::now()),
        }))
    }

    /// Begins a call whose answer `work` will be.
    pub(super) fn begin<F>(&self, work: F) -> Answering<F> {
        self.0.open.set(self.0.open.get() + 1);
        let call = Rc::new(Call {
            on: Rc::clone(&self.0),
            is_answered: Cell::new(false),
            given: Cell::new(None),
            is_timed: Cell::new(false),
        });
        self.0.begun.replace(Some(Rc::clone(&call)));
        Answering { work, call }
    }

    /// Whether any call is under way.
    pub(super) fn are_open(&self) -> bool {
        self.0.open.get() > 0
    }

    /// Remembers the connection's task; a task's waker stays the same, so once is enough.
    pub(super) fn remember(&self, waker: &Waker) {
        self.0
            .connection
            .borrow_mut()
            .get_or_insert_with(|| waker.clone());
    }

    /// Whether the caller takes back more than one who means well does.
    pub(super) fn are_abused(&self) -> bool {
        self.0.taken_back.count.get() > MAX_TAKEN_BACK
    }
}

/// How many calls were taken back, less what time forgives.
#[derive(Debug)]
struct TakenBack {
    count: Cell<u64>,
    since: Cell<Instant>,
}

impl TakenBack {
    fn new(now: Instant) -> Self {
        Self {
            count: Cell::new(0),
            since: Cell::new(now),
        }
    }

    fn note(&self, now: Instant) {
        let seconds = now.saturating_duration_since(self.since.get()).as_secs();
        if seconds > 0 {
            self.since.set(now);
        }
        let left = self
            .count
            .get()
            .saturating_sub(seconds * TAKEN_BACK_A_SECOND);
        self.count.set(left + 1);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let on = &self.on;
        on.open.set(on.open.get().saturating_sub(1));
        if on.open.get() == 0
            && let Some(connection) = &*on.connection.borrow()
        {
            connection.wake_by_ref();
        }
        if !self.is_answered.get() {
            on.taken_back.note(Instant::now());
        }
    }
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, work: F) {
        let call = self.0.begun.take();
        let watch = self.0.thread.alarm.watch_unset();
        drop(tokio::task::spawn_local(Driven { work, call, watch }));
    }
}

pin_project! {
    /// A call's future, which sends its answer too.
    struct Driven<F> {
        #[pin]
        work: F,
        call: Option<Rc<Call>>,
        watch: Watch,
    }
}

impl<F: Future<Output = ()>> Future for Driven<F> {
    type Output = ();

    /// Ready early if the caller stalls: dropping the work resets its stream.
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.work.poll(task).is_ready() {
            return Poll::Ready(());
        }
        let Some(call) = this.call else {
            return Poll::Pending;
        };
        let Some(given) = call.given.get() else {
            return Poll::Pending;
        };
        if !call.is_timed.replace(true) {
            let settings = &call.on.thread.settings;
            let at_the_slowest = given as u64 / settings.min_body_rate.max(1);
            let limit = settings.body_idle.max(Duration::from_secs(at_the_slowest));
            this.watch.reset(Instant::now() + limit);
        }
        ready!(this.watch.poll_late(task));
        tracing::debug!("a caller does not take its answer: the call is reset");
        Poll::Ready(())
    }
}

pin_project! {
    /// A call until its answer's head.
    pub(super) struct Answering<F> {
        #[pin]
        work: F,
        call: Rc<Call>,
    }
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<Answer, Infallible>>,
{
    type Output = Result<Response<Handed>, Infallible>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.work.poll(task))?;
        this.call.is_answered.set(true);
        let call = Rc::clone(this.call);
        Poll::Ready(Ok(answer.map(|body| Handed { body, call })))
    }
}

/// An answer's body that says when the caller lets it wait.
#[derive(Debug)]
pub(super) struct Handed {
    body: AnswerBody,
    call: Rc<Call>,
}

impl Body for Handed {
    type Data = Bytes;
    type Error = AnswerBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBroken>>> {
        let this = self.get_mut();
        this.call.given.set(None);
        let polled = ready!(Pin::new(&mut this.body).poll_frame(task));
        if let Some(Ok(frame)) = &polled {
            this.call
                .given
                .set(Some(frame.data_ref().map_or(0, Bytes::len)));
            this.call.is_timed.set(false);
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
