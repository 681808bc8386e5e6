//! Gathers what an HTTP/2 connection writes, so that it leaves once for each poll of the connection.
//!
//! The h2 crate flushes each DATA frame of more than a few hundred bytes before it encodes the next: ten
//! answers that are ready together cost ten send(2). Gathered they cost one (benches/README.md).
//!
//! **Invariant:** bytes leave in the order they were written, none is lost, and whoever polls the connection
//! sends what is left by [`Gathered::poll_send`] afterwards; `poll_flush` alone does nothing. At most
//! [`ROOM`] bytes wait; when they cannot leave, nothing more is taken. A connection at rest has no buffer.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Four full frames.
const ROOM: usize = 4 * (16 * 1024 + 9);

thread_local! {
    /// The buffer of whichever connection is polled: empty between polls.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A stream that hyper writes to, and its connection's task sends on. Clones share it.
#[derive(Debug)]
pub(super) struct Gathered<S>(Rc<RefCell<Gathering<S>>>);

#[derive(Debug)]
struct Gathering<S> {
    stream: S,
    waiting: Vec<u8>,
    /// How many of those have left.
    sent: usize,
    /// The stream itself may hold bytes back, as TLS does.
    wants_flush: bool,
}

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Rc::new(RefCell::new(Gathering {
            stream,
            waiting: Vec::new(),
            sent: 0,
            wants_flush: false,
        })))
    }

    /// Sends all that was written; to be called at the end of each poll of the connection.
    pub(super) fn poll_send(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(task)
    }
}

impl<S: AsyncWrite + Unpin> Gathering<S> {
    fn poll_send(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drained(task))?;
        if self.wants_flush {
            ready!(Pin::new(&mut self.stream).poll_flush(task))?;
            self.wants_flush = false;
        }
        if self.waiting.capacity() > 0 {
            SPARE.set(std::mem::take(&mut self.waiting));
        }
        Poll::Ready(Ok(()))
    }

    /// Hands what waits to the stream; ready once nothing does.
    fn poll_drained(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.waiting.get(self.sent..) {
            match ready!(Pin::new(&mut self.stream).poll_write(task, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
            self.wants_flush = true;
        }
        self.waiting.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_take(
        &mut self,
        task: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if self.waiting.len() + total > ROOM {
            ready!(self.poll_drained(task))?;
        }
        if total > ROOM {
            self.wants_flush = true;
            return Pin::new(&mut self.stream).poll_write_vectored(task, slices);
        }
        if self.waiting.capacity() == 0 {
            self.waiting = SPARE.take();
        }
        slices
            .iter()
            .for_each(|slice| self.waiting.extend_from_slice(slice));
        Poll::Ready(Ok(total))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(task, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(task, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(task, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Not yet: the end of the connection's poll does it.
    fn poll_flush(self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathering = self.0.borrow_mut();
        ready!(gathering.poll_send(task))?;
        Pin::new(&mut gathering.stream).poll_shutdown(task)
    }
}

#[cfg(test)]
mod tests;
