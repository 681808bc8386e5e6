//! TCP below TLS: no more system calls than the bytes need.
//!
//! rustls reads 4 KiB at a time, which a long answer, or many at once by HTTP/2, would pay with a recv(2)
//! each; and it writes by writev(2) even the one record that a request is (send(2) costs 150 ns less).
//!
//! **Invariant:** bytes pass unchanged and in order. What is read ahead is at most [`READ`] bytes, and
//! nothing where no more waits than TLS asked for.
//! **Neighbours:** `stream` puts TLS over it.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Read at once where more waits than TLS asked for.
const READ: usize = 16 * 1024;

thread_local! {
    /// Room for such a read, kept for the next one.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A TCP connection that TLS is spoken on.
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    /// Read and not asked for yet: from `taken` on.
    ahead: Vec<u8>,
    taken: usize,
    /// The last read filled all of its room: more waits, most likely.
    flows: bool,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self {
            tcp,
            ahead: Vec::new(),
            taken: 0,
            flows: false,
        }
    }

    /// Hands out what was read ahead; its room goes back once that is all gone.
    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = self.ahead.get(self.taken..).unwrap_or_default();
        let now = rest.get(..buffer.remaining()).unwrap_or(rest);
        buffer.put_slice(now);
        self.taken += now.len();
        if self.taken >= self.ahead.len() {
            ROOM.set(std::mem::take(&mut self.ahead));
            self.taken = 0;
        }
    }

    fn poll_read_ahead(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = ROOM.take();
        room.resize(READ, 0);
        let mut read = ReadBuf::new(&mut room);
        let polled = Pin::new(&mut self.tcp).poll_read(task, &mut read);
        let count = read.filled().len();
        self.flows = count == READ;
        room.truncate(count);
        self.ahead = room;
        self.taken = 0;
        polled
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() && !this.flows {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.tcp).poll_read(task, buffer))?;
            this.flows = buffer.remaining() == 0 && buffer.filled().len() > before;
            return Poll::Ready(Ok(()));
        }
        let polled = match this.ahead.is_empty() {
            true => this.poll_read_ahead(task),
            false => Poll::Ready(Ok(())),
        };
        this.hand_out(buffer);
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tcp = Pin::new(&mut self.get_mut().tcp);
        match slices {
            [only] => tcp.poll_write(task, only),
            several => tcp.poll_write_vectored(task, several),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(task)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap());
        let (theirs, (ours, _)) = tokio::try_join!(theirs, listener.accept()).unwrap();
        (Socket::new(ours), theirs)
    }

    #[tokio::test]
    async fn what_is_read_by_any_pieces_is_what_was_sent() {
        let sent: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        for piece in [1, 5, 4096, 20_000] {
            let (mut ours, mut theirs) = pair().await;
            let text = sent.clone();
            let sending = tokio::spawn(async move {
                theirs.write_all(&text).await.unwrap();
            });
            let (mut read, mut room) = (Vec::new(), vec![0; piece]);
            while let Ok(count @ 1..) = ours.read(&mut room).await {
                read.extend_from_slice(&room[..count]);
            }
            sending.await.unwrap();
            assert!(read == sent, "by {piece} bytes");
        }
    }

    #[tokio::test]
    async fn nothing_is_held_once_all_was_asked_for() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(&[7; 5000]).await.unwrap();

        let mut room = vec![0; 4096];
        ours.read_exact(&mut room).await.unwrap();
        let flowed = ours.flows;
        let mut read = ours.read(&mut room).await.unwrap();
        while read < 904 {
            read += ours.read(&mut room).await.unwrap();
        }

        assert!(flowed, "more than one read took was waiting");
        assert_eq!((read, ours.flows, ours.ahead.capacity()), (904, false, 0));
    }
}
