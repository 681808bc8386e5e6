//! The answer's body on its way to the caller: LinkedIn's stream, or bytes of our own.
//!
//! One enum instead of a box. LinkedIn's stream gives its connection back to the pool when it was
//! read to its end, and tells the exchange how it ended.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::exchange::{Broken, KeptBody};

use super::{
    capture::{Kept, Unkept},
    dispatch::pool::Lease,
    exchange::Exchange,
    replay::Pace,
};

/// An answer on its way through the layers, and as hyper takes it. What is large in its body stands in a
/// box: an answer is moved once for every layer that hands it up, and again by hyper.
pub(crate) type Answer = Response<AnswerBody>;

/// An answer's body.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// Whole and in memory: our own answers, refused 401s, rewritten upload answers.
    Whole(Option<Bytes>),
    /// LinkedIn's, as it comes.
    Streamed(Box<Streamed>),
    /// A good one, watched for breaking off.
    Watched(Unkept),
    /// One that becomes an incident: kept, and its end held back until the record is written.
    Kept(Box<Kept>),
}

/// Why an answer's body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerBroken {
    /// LinkedIn's connection was lost inside the body, or its framing broke.
    #[error("linkedin's answer broke off")]
    Cut,
    /// LinkedIn sent too little for too long.
    #[error("linkedin's answer stalled")]
    Stalled,
    /// The member was disconnected, and that stops exchanges here.
    #[error("the member was disconnected")]
    LoggedOut,
    /// A bug of ours.
    #[error("the gateway failed inside the answer")]
    Panicked,
}

impl AnswerBroken {
    /// How the attempt is said to have broken.
    pub(crate) fn as_broken(self) -> Broken {
        match self {
            Self::Cut | Self::LoggedOut | Self::Panicked => Broken::Cut,
            Self::Stalled => Broken::Timeout,
        }
    }
}

impl AnswerBody {
    /// These bytes.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }

    /// Fetches the first frame if it is there already: head and body then leave in one write.
    pub(crate) fn poll_first(&mut self, task: &mut Context<'_>) {
        if let Self::Streamed(streamed) = self {
            streamed.poll_first(task);
        }
    }

    /// What is left, if that is one frame and at hand.
    pub(crate) fn take_last(&mut self) -> Option<Frame<Bytes>> {
        match self {
            Self::Whole(bytes) => bytes.take().map(Frame::data),
            Self::Streamed(streamed) => streamed.take_last(),
            Self::Watched(_) | Self::Kept(_) => None,
        }
    }

    /// Whether all of LinkedIn's came, though it may not have been passed on yet.
    pub(crate) fn has_come(&self) -> bool {
        match self {
            Self::Streamed(streamed) => streamed.has_ended,
            Self::Whole(_) | Self::Watched(_) | Self::Kept(_) => self.is_end_stream(),
        }
    }

    /// A bug of ours broke it off: its record says so.
    fn note_panic(&mut self) {
        tracing::error!("an answer's body panicked: this is a bug");
        match self {
            Self::Watched(unkept) => unkept.note_panic(),
            Self::Kept(kept) => kept.note_panic(),
            Self::Whole(_) | Self::Streamed(_) => {}
        }
    }

    fn poll_inner(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBroken>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(streamed) => streamed.poll_frame(task),
            Self::Watched(unkept) => unkept.poll_frame(task),
            Self::Kept(kept) => kept.poll_frame(task),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBroken>>> {
        let this = self.get_mut();
        // A bug in here costs this exchange, not the connection's task and what else runs in it.
        catch_unwind(AssertUnwindSafe(|| this.poll_inner(task))).unwrap_or_else(|_| {
            this.note_panic();
            Poll::Ready(Some(Err(AnswerBroken::Panicked)))
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Streamed(streamed) => streamed.is_end_stream(),
            Self::Watched(unkept) => unkept.is_end_stream(),
            Self::Kept(kept) => kept.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Streamed(streamed) => streamed.size_hint(),
            Self::Watched(unkept) => unkept.size_hint(),
            Self::Kept(kept) => kept.size_hint(),
        }
    }
}

/// LinkedIn's answer as it comes.
#[derive(Debug)]
pub(crate) struct Streamed {
    /// Frames that were fetched before the answer was passed on; the first of a good one stands apart,
    /// so that no room is made for it.
    ahead: VecDeque<Frame<Bytes>>,
    first: Option<Frame<Bytes>>,
    body: Incoming,
    /// Gone once the connection was given back.
    lease: Option<Lease>,
    exchange: Rc<Exchange>,
    pace: Pace,
    has_ended: bool,
    /// It broke off. hyper tells that once and then calls it a good end.
    is_cut: bool,
    passes_trailers: bool,
    /// Plays a bug of ours: being asked for a frame panics.
    #[cfg(test)]
    pub(crate) panics: bool,
}

impl Streamed {
    pub(crate) fn new(
        body: Incoming,
        lease: Lease,
        exchange: Rc<Exchange>,
        pace: Pace,
        passes_trailers: bool,
    ) -> Self {
        let lease = Some(lease);
        Self {
            ahead: VecDeque::new(),
            first: None,
            body,
            lease,
            exchange,
            pace,
            has_ended: false,
            is_cut: false,
            passes_trailers,
            #[cfg(test)]
            panics: false,
        }
    }

    fn poll_first(&mut self, task: &mut Context<'_>) {
        match self.poll_body(task) {
            Poll::Ready(Some(Ok(frame))) => self.first = Some(frame),
            // Told when the body is asked for.
            Poll::Ready(Some(Err(_))) => {
                self.is_cut = true;
                return;
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        self.end_if_through();
    }

    fn take_last(&mut self) -> Option<Frame<Bytes>> {
        let at_hand = self.ahead.len() + usize::from(self.first.is_some());
        let is_last = self.has_ended && !self.is_cut && at_hand == 1;
        let frame = is_last.then(|| self.ahead.pop_front().or_else(|| self.first.take()));
        frame.flatten()
    }

    fn poll_body(&mut self, task: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &self.lease {
            Some(lease) => lease.poll_frame(&mut self.body, task),
            None => Pin::new(&mut self.body).poll_frame(task),
        }
    }

    /// HTTP/2 may tell the end in an empty frame of its own, for which nobody asks who has been given
    /// all of the promised length: hyper's server among them.
    fn end_if_through(&mut self) {
        if self.body.is_end_stream() || self.body.size_hint().exact() == Some(0) {
            self.end();
        }
    }

    /// The answer was read to its end: the connection goes back to the pool. Heads that may still be
    /// wanted for a record are copied out before it serves the next exchange.
    fn end(&mut self) {
        if self.has_ended {
            return;
        }
        self.has_ended = true;
        if self.exchange.is_worth_recording() {
            self.exchange
                .with_trip(|trip| trip.keep_heads(&self.exchange));
        }
        self.exchange.with_trip(|trip| trip.tap = None);
        // An answer that came early leaves a connection on which the request is still on its way.
        if let Some(lease) = self.lease.take()
            && self.exchange.body().is_through()
        {
            lease.give_back();
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBroken>>> {
        #[cfg(test)]
        assert!(!self.panics, "a test asked for it");
        if let Some(frame) = self.ahead.pop_front().or_else(|| self.first.take()) {
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.is_cut {
            return Poll::Ready(Some(Err(AnswerBroken::Cut)));
        }
        if self.has_ended {
            return Poll::Ready(None);
        }
        let polled = self.poll_body(task);
        if self.pace.is_stalled(polled.is_pending(), task) {
            return Poll::Ready(Some(Err(AnswerBroken::Stalled)));
        }
        match ready!(polled) {
            Some(Ok(frame)) if frame.is_trailers() && !self.passes_trailers => {
                self.end();
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                self.pace.note(frame.data_ref().map_or(0, Bytes::len));
                self.end_if_through();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(_)) => {
                self.is_cut = true;
                Poll::Ready(Some(Err(AnswerBroken::Cut)))
            }
            None => {
                self.end();
                Poll::Ready(None)
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.first.is_none() && self.has_ended
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint();
        let ahead: usize = self
            .ahead
            .iter()
            .chain(&self.first)
            .filter_map(Frame::data_ref)
            .map(Bytes::len)
            .sum();
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(rest + ahead as u64),
            None => SizeHint::default(),
        }
    }
}

/// What was read of a body in advance.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    frames: Vec<Bytes>,
    bytes: usize,
    /// Whether the end was seen.
    pub(crate) is_whole: bool,
}

impl Gathered {
    /// Reads `body` to its end, or until more than `limit` bytes came or it broke off. What was read
    /// stays here when the future is dropped.
    pub(crate) async fn read(&mut self, body: &mut AnswerBody, limit: usize) {
        while self.bytes <= limit {
            match std::future::poll_fn(|task| Pin::new(&mut *body).poll_frame(task)).await {
                Some(Ok(frame)) => {
                    let chunk = frame.into_data().unwrap_or_default();
                    self.bytes += chunk.len();
                    self.frames.push(chunk);
                }
                Some(Err(_)) => return,
                None => {
                    self.is_whole = true;
                    return;
                }
            }
        }
    }

    /// All bytes in one piece.
    pub(crate) fn concat(&self) -> Bytes {
        match self.frames.as_slice() {
            [only] => only.clone(),
            frames => frames.concat().into(),
        }
    }

    /// The same for the record.
    pub(crate) fn kept(&self, limit: usize) -> KeptBody {
        let mut kept = KeptBody::default();
        kept.complete = self.is_whole;
        self.frames.iter().for_each(|chunk| kept.note(chunk, limit));
        kept
    }

    /// The body as if nothing had been read of it.
    pub(crate) fn put_back(self, body: AnswerBody) -> AnswerBody {
        if let AnswerBody::Streamed(mut streamed) = body {
            let frames = self.frames.into_iter().map(Frame::data);
            streamed.ahead = frames.chain(streamed.ahead).collect();
            return AnswerBody::Streamed(streamed);
        }
        AnswerBody::whole(self.concat())
    }
}
