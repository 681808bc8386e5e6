//! HeadTap: the wire's own truth about heads, sizes and progress.
//!
//! Wraps the plain-text side of a connection (inside TLS) and keeps the raw bytes of the current
//! head in each direction, byte counters, and when something last moved. It finds lines, it does
//! not parse HTTP: that stays hyper's work, and what hyper understood is compared with what stood
//! on the wire wherever the two could differ.
//!
//! **Invariant:** at most [`HEAD_LIMIT`] bytes a direction are kept, in buffers that are reused.
//! **Neighbours:** `accept` taps callers, `dispatch::pool` taps LinkedIn; `identify`, `capture` and
//! `backoff` ask.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    sync::LazyLock,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;
use memchr::{memchr, memchr2, memmem};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// A head beyond this is not kept whole (hyper refuses a caller's head well before twice this).
const HEAD_LIMIT: usize = 64 * 1024 + 4096;

/// Copying so many bytes costs less than writev(2) does over send(2): 150 ns.
const SMALL: usize = 4096;

thread_local! {
    /// Where they are copied to: empty but for the time of a write.
    static WHOLE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What the tap knows, shared with whoever follows the exchange on this connection.
#[derive(Debug)]
pub(crate) struct Tap {
    read: RefCell<HeadBuffer>,
    written: RefCell<HeadBuffer>,
    bytes_read: Cell<u64>,
    bytes_written: Cell<u64>,
    write_is_blocked: Cell<bool>,
    /// The stream (TLS) took bytes that have not left yet.
    flush_is_blocked: Cell<bool>,
    /// When the head under way began, or the connection fell silent.
    since: Cell<Instant>,
    /// The read that began the head under way ended it, too.
    is_one_read: Cell<bool>,
    is_busy: Cell<bool>,
    /// The exchange under way, or the one before, is the connection's last.
    is_last: Cell<bool>,
    /// The caller was silent for long enough.
    is_let_rest: Cell<bool>,
    informational: RefCell<Vec<StatusCode>>,
}

/// Built once: making a searcher costs as much as searching a head with it. Begins with LF, as a
/// search for two line ends stumbles over each one.
static EMPTY_LINE: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(b"\n\r\n"));

/// Where the head ends: behind the first empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = EMPTY_LINE.find(bytes.get(from..)?) {
        from += at + 1;
        let before = bytes.get(..from - 1)?;
        if before.ends_with(b"\r") {
            return Some(from + 2);
        }
    }
    None
}

/// More 1xx heads than this before one answer are not worth remembering.
const MAX_INFORMATIONAL: usize = 8;

/// One direction's current head.
#[derive(Debug, Default)]
struct HeadBuffer {
    bytes: Vec<u8>,
    /// Length of the head with its empty line, once that was seen.
    complete: Option<usize>,
    /// More came than [`HEAD_LIMIT`] before the head ended.
    is_cut: bool,
}

impl HeadBuffer {
    fn reset(&mut self) {
        self.bytes.clear();
        self.complete = None;
        self.is_cut = false;
    }

    /// Takes what belongs to the head; returns what came after its end. Empty lines before it are no
    /// part of it (RFC 9112 §2.2).
    fn feed<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let begins = chunk.iter().position(|byte| !b"\r\n".contains(byte));
        let chunk = match begins {
            _ if !self.bytes.is_empty() => chunk,
            Some(start) => chunk.get(start..).unwrap_or_default(),
            None => &[],
        };
        if self.complete.is_some() || self.is_cut || chunk.is_empty() {
            return chunk;
        }
        let room = HEAD_LIMIT.saturating_sub(self.bytes.len());
        let taken = chunk.get(..room).unwrap_or(chunk);
        let end = self.end_in(taken);
        let (head, rest) = taken.split_at(end.unwrap_or(taken.len()));
        self.bytes.extend_from_slice(head);
        if end.is_none() {
            self.is_cut = taken.len() < chunk.len();
            return rest;
        }
        self.complete = Some(self.bytes.len());
        chunk.get(head.len()..).unwrap_or_default()
    }

    /// How much of `chunk` belongs to the head, if that ends there. Looked for before anything is copied: a body
    /// may stand behind it. The empty line may straddle two reads.
    fn end_in(&self, chunk: &[u8]) -> Option<usize> {
        let before = self.bytes.len().saturating_sub(3);
        let before = self.bytes.get(before..).unwrap_or_default();
        if !before.is_empty() {
            let seam = [before, chunk.get(..3).unwrap_or(chunk)].concat();
            if let Some(end) = end_of_head(&seam) {
                return Some(end.saturating_sub(before.len()));
            }
        }
        end_of_head(chunk)
    }

    /// Whether this is the head of a 1xx answer (RFC 9110 §15.2): the final one follows it.
    fn is_informational(&self) -> bool {
        self.head()
            .is_some_and(|head| head.starts_with(b"HTTP/") && head.get(9) == Some(&b'1'))
    }

    fn head(&self) -> Option<&[u8]> {
        self.bytes.get(..self.complete?)
    }
}

impl Tap {
    /// For an exchange that has no head of its own on the wire: HTTP/2 packs it.
    pub(crate) fn silent() -> Rc<Self> {
        Self::new()
    }

    fn new() -> Rc<Self> {
        Rc::new(Self {
            read: RefCell::default(),
            written: RefCell::default(),
            bytes_read: Cell::new(0),
            bytes_written: Cell::new(0),
            write_is_blocked: Cell::new(false),
            flush_is_blocked: Cell::new(false),
            since: Cell::new(Instant::now()),
            is_one_read: Cell::new(false),
            is_busy: Cell::new(false),
            is_last: Cell::new(false),
            is_let_rest: Cell::new(false),
            informational: RefCell::default(),
        })
    }

    /// Forgets both heads: the next bytes either way begin a new message.
    pub(crate) fn begin(&self, now: Instant) {
        self.read.borrow_mut().reset();
        self.written.borrow_mut().reset();
        self.informational.borrow_mut().clear();
        self.since.set(now);
        self.is_one_read.set(false);
        self.is_busy.set(false);
    }

    /// An exchange is under way on this connection until [`Tap::begin`] is called.
    pub(crate) fn set_busy(&self) {
        self.is_busy.set(true);
        self.is_let_rest.set(false);
    }

    /// No exchange follows on this connection.
    pub(crate) fn set_last(&self) {
        self.is_last.set(true);
    }

    /// Lets the connection rest where it may; says whether that is news.
    pub(crate) fn let_rest(&self) -> bool {
        self.is_silent() && !self.is_let_rest.replace(true)
    }

    /// Whether the connection was let rest, and nothing came or waits to leave since; told once.
    pub(crate) fn may_rest(&self) -> bool {
        self.is_let_rest.get() && self.is_silent() && self.is_let_rest.replace(false)
    }

    fn is_silent(&self) -> bool {
        !self.is_busy.get()
            && !self.is_last.get()
            && !self.write_is_blocked.get()
            && !self.flush_is_blocked.get()
            && self.read.borrow().bytes.is_empty()
    }

    /// Whether an exchange is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.get()
    }

    /// The 1xx answers that came before the final one (RFC 9110 §15.2).
    pub(crate) fn informational(&self) -> Vec<StatusCode> {
        self.informational.borrow().clone()
    }

    /// Looks at the head read last, if it is complete.
    pub(crate) fn with_read_head<T>(&self, look: impl FnOnce(Option<&[u8]>) -> T) -> T {
        look(self.read.borrow().head())
    }

    /// Looks at bytes that came and are no complete head.
    pub(crate) fn with_partial_head<T>(&self, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let head = self.read.borrow();
        head.complete.is_none().then(|| look(&head.bytes))
    }

    /// Whether bytes of a head came that is not complete yet.
    pub(crate) fn is_inside_head(&self) -> bool {
        let head = self.read.borrow();
        head.complete.is_none() && !head.bytes.is_empty()
    }

    /// A copy of the head read last.
    pub(crate) fn read_head(&self) -> Option<Bytes> {
        self.read.borrow().head().map(Bytes::copy_from_slice)
    }

    /// A copy of the head written last.
    pub(crate) fn written_head(&self) -> Option<Bytes> {
        self.written.borrow().head().map(Bytes::copy_from_slice)
    }

    /// Bytes read since the connection began.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.get()
    }

    /// Bytes handed to the connection since it began.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written.get()
    }

    /// Whether the peer does not take what we have to write.
    pub(crate) fn write_is_blocked(&self) -> bool {
        self.write_is_blocked.get()
    }

    /// When the head under way began; else since when nothing is under way.
    pub(crate) fn since(&self) -> Instant {
        self.since.get()
    }

    /// When the head read last was there, if that is known: it came in one piece.
    pub(crate) fn head_came(&self) -> Option<Instant> {
        self.is_one_read.get().then(|| self.since.get())
    }

    fn note_read(&self, chunk: &[u8], skips_informational: bool) {
        if chunk.is_empty() {
            return;
        }
        self.bytes_read
            .set(self.bytes_read.get() + chunk.len() as u64);
        let mut head = self.read.borrow_mut();
        let was_empty = head.bytes.is_empty();
        let mut rest = head.feed(chunk);
        if was_empty && !head.bytes.is_empty() {
            self.since.set(Instant::now());
            self.is_one_read.set(head.complete.is_some());
        }
        while skips_informational && head.is_informational() {
            self.note_informational(&head);
            head.reset();
            rest = head.feed(rest);
        }
    }

    fn note_informational(&self, head: &HeadBuffer) {
        let mut seen = self.informational.borrow_mut();
        let status = head.head().and_then(|head| head.get(9..12));
        if let Some(status) = status.and_then(|status| StatusCode::from_bytes(status).ok())
            && seen.len() < MAX_INFORMATIONAL
        {
            seen.push(status);
        }
    }

    /// What a caller was given is kept elsewhere: only heads for LinkedIn stay here.
    fn note_written(&self, slices: &[IoSlice<'_>], mut written: usize, keeps_head: bool) {
        self.bytes_written
            .set(self.bytes_written.get() + written as u64);
        if !keeps_head {
            return;
        }
        let mut head = self.written.borrow_mut();
        for slice in slices {
            let taken = written.min(slice.len());
            head.feed(slice.get(..taken).unwrap_or_default());
            written -= taken;
            if written == 0 {
                break;
            }
        }
    }
}

/// A stream whose bytes pass under a [`Tap`].
#[derive(Debug)]
pub(crate) struct Tapped<S> {
    stream: S,
    tap: Rc<Tap>,
    /// Whether we are the client here: answers may be preceded by 1xx heads.
    is_client: bool,
    /// Read to see which protocol it is, noted, and still to be given to the reader.
    ahead: BytesMut,
}

impl<S> Tapped<S> {
    /// Taps a caller's connection.
    pub(crate) fn caller(stream: S) -> Self {
        Self {
            stream,
            tap: Tap::new(),
            is_client: false,
            ahead: BytesMut::new(),
        }
    }

    /// Taps a connection to LinkedIn.
    pub(crate) fn linkedin(stream: S) -> Self {
        Self {
            stream,
            tap: Tap::new(),
            is_client: true,
            ahead: BytesMut::new(),
        }
    }

    /// The shared knowledge.
    pub(crate) fn tap(&self) -> Rc<Tap> {
        Rc::clone(&self.tap)
    }

    /// What was read ahead and nobody took yet.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }
}

impl<S: AsyncRead + Unpin> Tapped<S> {
    /// Reads some more ahead, at most [`SMALL`] bytes; how many came, none at the end.
    pub(crate) fn poll_ahead(&mut self, task: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [0; SMALL];
        let mut buffer = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(task, &mut buffer))?;
        self.tap.note_read(buffer.filled(), self.is_client);
        self.ahead.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn give_ahead(&mut self, buffer: &mut ReadBuf<'_>) {
        let taken = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(self.ahead.get(..taken).unwrap_or_default());
        self.ahead.advance(taken);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            this.give_ahead(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(task, buffer);
        if let Poll::Ready(Ok(())) = polled {
            let chunk = buffer.filled().get(before..).unwrap_or_default();
            this.tap.note_read(chunk, this.is_client);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(task, bytes);
        this.tap.write_is_blocked.set(polled.is_pending());
        if let Poll::Ready(Ok(written)) = polled {
            this.tap
                .note_written(&[IoSlice::new(bytes)], written, this.is_client);
        }
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // One piece is sent for less without a list around it, and a small one is soon made of two.
        if let [only] = slices {
            return self.poll_write(task, only);
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total <= SMALL {
            let mut whole = WHOLE.take();
            slices
                .iter()
                .for_each(|slice| whole.extend_from_slice(slice));
            let polled = self.poll_write(task, &whole);
            whole.clear();
            WHOLE.set(whole);
            return polled;
        }
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(task, slices);
        this.tap.write_is_blocked.set(polled.is_pending());
        if let Poll::Ready(Ok(written)) = polled {
            this.tap.note_written(slices, written, this.is_client);
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(task);
        this.tap.flush_is_blocked.set(polled.is_pending());
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}

/// The method and target of a raw request head, as far as they can be told apart.
pub(crate) fn request_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr2(b'\r', b'\n', head).unwrap_or(head.len());
    let (method, rest) = split_at_space(head.get(..end)?)?;
    let (target, version) = split_at_space(rest)?;
    let is_version = version.starts_with(b"HTTP/") && !version.contains(&b' ');
    is_version.then_some((method, target))
}

fn split_at_space(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, from) = bytes.split_at_checked(memchr(b' ', bytes)?)?;
    Some((before, from.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(chunks: &[&[u8]]) -> HeadBuffer {
        let mut buffer = HeadBuffer::default();
        for chunk in chunks {
            buffer.feed(chunk);
        }
        buffer
    }

    #[test]
    fn a_head_is_found_however_the_reads_cut_it() {
        let wire = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nbody";
        for cut in 1..wire.len() {
            let (one, two) = wire.split_at(cut);
            assert_eq!(
                fed(&[one, two]).head().unwrap(),
                &wire[..27],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn empty_lines_before_a_head_are_no_part_of_it() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for chunks in [
            &[&b"\r\n"[..], head][..],
            &[b"\r", b"\n\n", head],
            &[&[&b"\r\n\r\n"[..], head].concat()],
        ] {
            assert_eq!(fed(chunks).head().unwrap(), head, "{chunks:?}");
        }
    }

    #[test]
    fn the_request_line_ends_at_either_kind_of_line_end() {
        for head in [
            &b"GET /a HTTP/1.1\r\nHost: x\r\n"[..],
            b"GET /a HTTP/1.1\nHost: x\n",
        ] {
            assert_eq!(request_line(head), Some((&b"GET"[..], &b"/a"[..])));
        }
    }

    #[test]
    fn what_stands_behind_a_head_is_not_copied() {
        let head = b"POST / HTTP/1.1\r\nHost: x\r\n\r\n";
        let (one, two) = head.split_at(12);
        let body = [b'a'; 64 * 1024];

        for buffer in [
            fed(&[&[&head[..], &body].concat()]),
            fed(&[one, &[two, &body].concat()]),
        ] {
            assert_eq!(buffer.head().unwrap(), head);
            assert!(buffer.bytes.capacity() < 128, "{}", buffer.bytes.capacity());
        }
    }

    #[test]
    fn an_endless_head_is_not_kept_whole() {
        let buffer = fed(&[&vec![b'a'; HEAD_LIMIT], b"more"]);

        assert!(buffer.is_cut && buffer.head().is_none());
        assert_eq!(buffer.bytes.len(), HEAD_LIMIT);
    }

    #[test]
    fn the_final_head_stands_after_an_informational_one() {
        let tap = Tap::new();

        tap.note_read(b"HTTP/1.1 100 Continue\r\n\r\n", true);
        tap.note_read(
            b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n",
            true,
        );
        tap.note_read(b"A: b\r\n\r\n", true);

        assert_eq!(
            &*tap.read_head().unwrap(),
            b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
        );
    }

    /// Takes everything and lets nothing go, as TLS does while the connection under it is full.
    struct Full;

    impl AsyncWrite for Full {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_connection_with_bytes_that_have_not_left_is_not_let_rest() {
        let mut task = Context::from_waker(std::task::Waker::noop());
        let mut stream = Tapped::caller(Full);
        let tap = stream.tap();
        assert!(tap.let_rest() && tap.may_rest(), "nothing is under way");
        assert!(tap.let_rest());

        assert!(
            Pin::new(&mut stream)
                .poll_write(&mut task, b"answer")
                .is_ready()
        );
        assert!(Pin::new(&mut stream).poll_flush(&mut task).is_pending());

        assert!(!tap.may_rest());
    }

    #[tokio::test]
    async fn what_was_read_ahead_is_noted_once_and_read_like_the_rest() {
        use tokio::io::AsyncReadExt;
        let wire = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nbody";
        for cut in 1..wire.len() {
            let (one, two) = wire.split_at(cut);
            let mut stream = Tapped::caller(AsyncReadExt::chain(one, two));
            let tap = stream.tap();

            let ahead = std::future::poll_fn(|task| stream.poll_ahead(task)).await;
            assert_eq!((ahead.unwrap(), stream.ahead()), (cut, one));
            let mut read = Vec::new();
            let mut piece = [0; 3];
            while let Ok(1..) = stream.read(&mut piece[..]).await.inspect(|count| {
                read.extend_from_slice(&piece[..*count]);
            }) {}

            assert_eq!(read, wire, "cut at {cut}");
            assert_eq!(tap.bytes_read(), wire.len() as u64);
            assert_eq!(&*tap.read_head().unwrap(), &wire[..27]);
        }
    }
}
