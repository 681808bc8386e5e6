//! Watches the frames that leave, to put into a GOAWAY what the h2 crate would not say.
//!
//! The crate's GOAWAY names the last stream it has *received*; a server that leaves a stream
//! unprocessed names an earlier one (RFC 9113 §6.8). Only those four bytes are changed.
//! **Invariant:** all other bytes pass unchanged and in order.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::sandbox::socket::Stream;

const FRAME_HEAD_BYTES: usize = 9;
const GOAWAY: u8 = 0x7;

/// What the tasks of a connection want done to its frames.
#[derive(Debug, Default)]
pub(crate) struct FrameOrders {
    leaving: AtomicBool,
    last_stream: AtomicU32,
    garbage: AtomicBool,
}

impl FrameOrders {
    /// Every GOAWAY from now on says that streams after this one were not processed.
    pub(crate) fn leave_after(&self, last_stream: u32) {
        self.last_stream.store(last_stream, Ordering::Relaxed);
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether such a GOAWAY has been ordered.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// The next frame is replaced by bytes that are none.
    pub(crate) fn spoil(&self) {
        self.garbage.store(true, Ordering::Release);
    }
}

/// A stream whose written frames are watched.
#[derive(Debug)]
pub(crate) struct Frames<S> {
    inner: S,
    orders: Arc<FrameOrders>,
    place: Place,
    /// The frame that is being collected because it may have to be changed.
    collected: Vec<u8>,
    /// Bytes that have been accepted but not written.
    pending: VecDeque<u8>,
}

/// Where in a frame the written bytes have come to.
#[derive(Debug, Default)]
struct Place {
    head: Vec<u8>,
    payload_left: usize,
}

impl Place {
    fn advance(&mut self, mut written: &[u8]) {
        while let Some(&first) = written.first() {
            if self.payload_left > 0 {
                let passed = self.payload_left.min(written.len());
                self.payload_left -= passed;
                written = written.get(passed..).unwrap_or_default();
                continue;
            }
            self.head.push(first);
            written = written.get(1..).unwrap_or_default();
            if self.head.len() == FRAME_HEAD_BYTES {
                self.payload_left = payload_length(&self.head);
                self.head.clear();
            }
        }
    }

    /// Bytes to the next place where something is known; zero between two frames.
    fn to_boundary(&self) -> usize {
        match (self.payload_left, self.head.len()) {
            (0, 0) => 0,
            (0, begun) => FRAME_HEAD_BYTES - begun,
            (left, _) => left,
        }
    }
}

fn payload_length(head: &[u8]) -> usize {
    match head {
        [high, middle, low, ..] => {
            usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low)
        }
        _ => 0,
    }
}

impl<S: Stream> Frames<S> {
    /// Watches this stream.
    pub(crate) fn new(inner: S, orders: Arc<FrameOrders>) -> Self {
        Self {
            inner,
            orders,
            place: Place::default(),
            collected: Vec::new(),
            pending: VecDeque::new(),
        }
    }

    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let (front, _) = self.pending.as_slices();
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, front))?;
            self.pending.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes bytes of the frame that is being collected; gives how many.
    fn collect(&mut self, bytes: &[u8]) -> usize {
        let wanted = if self.collected.len() < FRAME_HEAD_BYTES {
            FRAME_HEAD_BYTES
        } else {
            FRAME_HEAD_BYTES + payload_length(&self.collected)
        };
        let taken = (wanted - self.collected.len()).min(bytes.len());
        self.collected
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        let complete = self.collected.len() >= FRAME_HEAD_BYTES
            && self.collected.len() == FRAME_HEAD_BYTES + payload_length(&self.collected);
        if complete {
            self.rewrite();
            self.pending.extend(self.collected.drain(..));
        }
        taken
    }

    fn rewrite(&mut self) {
        if self.collected.get(3) != Some(&GOAWAY) {
            return;
        }
        let last = self
            .orders
            .last_stream
            .load(Ordering::Relaxed)
            .to_be_bytes();
        let place = self.collected.iter_mut().skip(FRAME_HEAD_BYTES);
        for (byte, new) in place.zip(last) {
            *byte = new;
        }
    }
}

impl<S: Stream> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: Stream> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_pending(cx))?;
        if this.orders.garbage.swap(false, Ordering::AcqRel) {
            this.pending.extend(super::super::conversation::garbage());
            return Poll::Ready(Ok(bytes.len()));
        }
        let boundary = this.place.to_boundary();
        let bytes = match (this.orders.is_leaving(), boundary) {
            (false, _) => bytes,
            (true, 0) => return Poll::Ready(Ok(this.collect(bytes))),
            (true, left) => bytes.get(..left).unwrap_or(bytes),
        };
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, bytes))?;
        this.place.advance(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
