//! What the caller really got: counted always, kept for support where something went wrong.
//!
//! Armed for every exchange, it pays only when it fires: an answer known to fail is copied (bounded)
//! as it passes and its end (all of it, where that is at hand) held back until its record is written; one that breaks off, or whose
//! caller leaves, is recorded from what the exchange noted.
//!
//! **Invariant:** an exchange makes at most one incident. A caller that has read a failed answer to its
//! end finds its id in the log (docs/contract.md: "Support log"), unless `hold_ms` ran out, which is counted.
//! **Neighbours:** outside `reply`, so that it sees what goes out; `incident::Recorder` is the door.

use std::{
    cell::Cell,
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;
use tower::{Layer, Service, layer::layer_fn, service_fn};

use crate::{exchange::HeaderList, incident::Kind};

use super::{
    Call,
    alarm::Watch,
    answer::{Answer, AnswerBody, AnswerBroken, Gathered, Streamed},
    exchange::Exchange,
    failure::Failure,
    thread::Thread,
};

mod awaited;
mod outlive;
mod record;
mod written;

pub(crate) use awaited::Awaited;
use awaited::Written;
use outlive::Outliving;
use record::Given;

/// Counts and keeps.
pub(crate) fn layer<S>()
-> impl Layer<S, Service = impl Service<Call, Response = Answer, Error = Infallible> + Clone> + Clone
where
    S: Service<Call, Response = Answer, Error = Infallible> + Clone + 'static,
{
    layer_fn(|inner: S| {
        service_fn(move |call: Call| {
            let exchange = Rc::clone(&call.exchange);
            Outliving::new(run(inner.clone(), call), exchange)
        })
    })
}

async fn run<S>(mut inner: S, call: Call) -> Result<Answer, Infallible>
where
    S: Service<Call, Response = Answer, Error = Infallible>,
{
    let exchange = Rc::clone(&call.exchange);
    let thread = &exchange.thread;
    let cut_short = CutShort {
        exchange: &exchange,
        is_armed: Cell::new(true),
    };
    let answer = inner.call(call).await?;
    cut_short.is_armed.set(false);
    count(thread, &exchange);
    written::note(thread, &exchange, &answer);
    Ok(match worth(&exchange, &answer) {
        Some(kind) => keep(&exchange, kind, answer).await,
        None => watched(&exchange, answer),
    })
}

/// Records an exchange whose future is dropped before it had an answer: the caller hung up.
struct CutShort<'a> {
    exchange: &'a Exchange,
    is_armed: Cell<bool>,
}

impl Drop for CutShort<'_> {
    fn drop(&mut self) {
        if !self.is_armed.get() {
            return;
        }
        self.exchange.caller_left.set(true);
        self.exchange.note_abandoned();
        let thread = &self.exchange.thread;
        count(thread, self.exchange);
        drop(record::hand_over(
            thread,
            self.exchange,
            Kind::CallerLeft,
            None,
        ));
    }
}

fn count(thread: &Thread, exchange: &Exchange) {
    let shard = &thread.shard;
    shard.exchange(exchange.outcome.get());
    if exchange.caller_left.get() {
        shard.caller_left();
    }
    shard.overhead(exchange.own_time());
}

/// What kind of incident the answer is; none if it is a good one.
fn worth(exchange: &Exchange, answer: &Answer) -> Option<Kind> {
    let failed = answer.status().as_u16() >= 400 || exchange.failure.borrow().is_some();
    match () {
        () if exchange.caller_left.get() => Some(Kind::CallerLeft),
        () if failed => Some(Kind::Failed),
        () if exchange.trips.borrow().len() > 1 => Some(Kind::Recovered),
        () => None,
    }
}

async fn keep(exchange: &Rc<Exchange>, kind: Kind, answer: Answer) -> Answer {
    let (parts, body) = answer.into_parts();
    let given = Given::head(parts.status, HeaderList::of(&parts.headers));
    let mut kept = Box::new(Kept::new(exchange, kind, given, body));
    kept.take_last();
    if kept.body.is_end_stream() {
        // Nothing follows that is not at hand: the head itself waits for the record, and what is held back leaves
        // with it in one write. A write of its own for the end took a tenth of a failed call.
        std::future::poll_fn(|task| kept.poll_recorded(task)).await;
    }
    Response::from_parts(parts, AnswerBody::Kept(kept))
}

fn watched(exchange: &Rc<Exchange>, mut answer: Answer) -> Answer {
    let body = answer.body_mut();
    *body = match std::mem::replace(body, AnswerBody::Whole(None)) {
        AnswerBody::Streamed(streamed) => AnswerBody::Watched(Unkept {
            streamed,
            watch: Armed::new(exchange, None),
        }),
        own => own,
    };
    answer
}

/// Hands an incident over should the body it belongs to be dropped before its end.
#[derive(Debug)]
struct Armed {
    exchange: Rc<Exchange>,
    /// What is kept of the answer; nothing of a good one.
    given: Option<Box<Given>>,
    has_ended: bool,
}

impl Armed {
    fn new(exchange: &Rc<Exchange>, given: Option<Given>) -> Self {
        Self {
            exchange: Rc::clone(exchange),
            given: given.map(Box::new),
            has_ended: false,
        }
    }

    fn is_logged_out(&self) -> bool {
        self.exchange.thread.is_logged_out(&self.exchange)
    }

    /// The answer broke off: its record is made at once.
    fn break_off(&mut self, error: AnswerBroken) {
        if error == AnswerBroken::Panicked {
            self.exchange.failure.replace(Some(Failure::Internal));
        }
        self.exchange
            .note_broken(error.as_broken(), error.to_string());
        self.exchange
            .note_then("not sent again, because the answer was on its way".to_owned());
        drop(self.record(Kind::Cut));
    }

    /// Hands the incident over, once.
    fn record(&mut self, kind: Kind) -> Option<Written> {
        self.has_ended = true;
        let given = self.given.take().map_or_else(
            || Given::head(self.exchange.last_status(), HeaderList::default()),
            |given| *given,
        );
        record::hand_over(&self.exchange.thread, &self.exchange, kind, Some(given))
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        if !self.has_ended {
            self.exchange.caller_left.set(true);
            self.exchange.thread.shard.caller_left();
            self.exchange
                .with_trip(|trip| trip.keep_heads(&self.exchange));
            drop(self.record(Kind::CallerLeft));
        }
    }
}

/// A good answer's body: nothing is kept, but breaking off is noticed.
#[derive(Debug)]
pub(crate) struct Unkept {
    streamed: Box<Streamed>,
    watch: Armed,
}

impl Unkept {
    pub(crate) fn poll_frame(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBroken>>> {
        let polled = match self.watch.is_logged_out() {
            true => Some(Err(AnswerBroken::LoggedOut)),
            false => ready!(self.streamed.poll_frame(task)),
        };
        if let Some(Err(error)) = &polled {
            self.watch.break_off(*error);
        }
        self.watch.has_ended |= self.streamed.is_end_stream();
        Poll::Ready(polled)
    }

    /// A bug of ours broke it off.
    pub(crate) fn note_panic(&mut self) {
        self.watch.break_off(AnswerBroken::Panicked);
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.streamed.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.streamed.size_hint()
    }
}

impl Drop for Unkept {
    fn drop(&mut self) {
        // A body that hyper need not poll (HEAD, 204, 304) has ended without a word.
        self.watch.has_ended |= self.streamed.is_end_stream();
    }
}

/// The body of an answer that becomes an incident: copied as it passes, one frame behind, so that its
/// last frame can wait for the record.
#[derive(Debug)]
pub(crate) struct Kept {
    body: AnswerBody,
    armed: Armed,
    kind: Kind,
    /// The frame that is held back until it is known whether another follows.
    ahead: Option<Frame<Bytes>>,
    state: State,
    /// What the caller is told about the length; the frame held back is part of it.
    passed: u64,
    length: Option<u64>,
}

#[derive(Debug)]
enum State {
    Streaming,
    /// The record is on its way to the disk; the last frame waits until this moment at most.
    Recording(Written, Watch),
    Done,
}

impl Kept {
    fn new(exchange: &Rc<Exchange>, kind: Kind, given: Given, body: AnswerBody) -> Self {
        Self {
            length: body.size_hint().exact(),
            body,
            armed: Armed::new(exchange, Some(given)),
            kind,
            ahead: None,
            state: State::Streaming,
            passed: 0,
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBroken>>> {
        loop {
            match &self.state {
                State::Streaming => {}
                State::Recording(..) => ready!(self.poll_recorded(task)),
                State::Done => {
                    return Poll::Ready(self.ahead.take().map(|frame| Ok(self.pass(frame))));
                }
            }
            if self.body.is_end_stream() {
                ready!(self.poll_recorded(task));
                continue;
            }
            let polled = match self.armed.is_logged_out() {
                true => Some(Err(AnswerBroken::LoggedOut)),
                false => ready!(Pin::new(&mut self.body).poll_frame(task)),
            };
            match polled {
                Some(Ok(frame)) => {
                    self.keep(&frame);
                    if let Some(before) = self.ahead.replace(frame) {
                        return Poll::Ready(Some(Ok(self.pass(before))));
                    }
                }
                Some(Err(error)) => {
                    self.break_off(error);
                    return Poll::Ready(Some(Err(error)));
                }
                None => ready!(self.poll_recorded(task)),
            }
        }
    }

    /// Holds back the end of a body that is at hand.
    fn take_last(&mut self) {
        if self.armed.is_logged_out() {
            return;
        }
        if let Some(frame) = self.body.take_last() {
            self.keep(&frame);
            self.ahead = Some(frame);
        }
    }

    fn break_off(&mut self, error: AnswerBroken) {
        self.armed.break_off(error);
        self.state = State::Done;
        self.ahead = None;
    }

    /// A bug of ours broke it off.
    pub(crate) fn note_panic(&mut self) {
        self.break_off(AnswerBroken::Panicked);
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let (Some(chunk), Some(given)) = (frame.data_ref(), &mut self.armed.given) {
            let limit = self.armed.exchange.thread.replay_limits.show_bytes;
            given.body.note(chunk, limit);
        }
    }

    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        self.passed += frame.data_ref().map_or(0, Bytes::len) as u64;
        frame
    }

    /// Hands the incident over and waits until it is written, or the hold is over.
    fn poll_recorded(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if let State::Streaming = self.state {
            if let Some(given) = &mut self.armed.given {
                given.body.complete = true;
            }
            let written = self.armed.record(self.kind);
            let thread = &self.armed.exchange.thread;
            self.state = match written {
                Some(written) if self.kind == Kind::Failed => {
                    // The record has just looked at the clock.
                    let until = thread.alarm.last_look() + thread.recorder.hold();
                    State::Recording(written, thread.alarm.watch(until))
                }
                _ => State::Done,
            };
        }
        if let State::Recording(written, watch) = &mut self.state {
            if Pin::new(written).poll(task).is_pending() {
                ready!(watch.poll_late(task));
                self.armed.exchange.thread.recorder.late();
            }
            self.state = State::Done;
        }
        Poll::Ready(())
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Done) && self.ahead.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.passed)),
            None => SizeHint::default(),
        }
    }
}

/// Reads the answer that nobody waits for any more, so that its record is whole.
async fn absorb(thread: Rc<Thread>, answer: Answer) {
    let mut body = answer.into_body();
    let deadline = Instant::now() + ABSORB_TIME;
    let mut gathered = Gathered::default();
    thread
        .alarm
        .at_most(deadline, gathered.read(&mut body, ABSORB_BYTES))
        .await;
}

const ABSORB_TIME: std::time::Duration = std::time::Duration::from_secs(10);
const ABSORB_BYTES: usize = 1024 * 1024;
