//! A LinkedIn made by hand: keeps every request byte for byte and answers with given bytes, whatever
//! they are. For what the sandbox is too well-behaved to do, and for receivers of notices.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use memchr::memmem;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// Listens on loopback until it is dropped.
pub(crate) struct Peer {
    address: SocketAddr,
    is_tls: bool,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Bytes>>,
    connections: AtomicUsize,
    bytes: Mutex<Vec<u8>>,
    answer: Mutex<Bytes>,
}

impl Peer {
    /// Gives each request these bytes and keeps the connection; with none, the request waits.
    pub(crate) async fn answering(answer: impl Into<Bytes>) -> Self {
        Self::answering_at("127.0.0.1:0".parse().unwrap(), answer).await
    }

    /// The same at this address.
    pub(crate) async fn answering_at(at: SocketAddr, answer: impl Into<Bytes>) -> Self {
        Self::start(at, answer.into(), None).await
    }

    /// The same behind TLS.
    pub(crate) async fn answering_over_tls(
        answer: impl Into<Bytes>,
        config: rustls::ServerConfig,
    ) -> Self {
        let tls = Some(TlsAcceptor::from(Arc::new(config)));
        Self::start("127.0.0.1:0".parse().unwrap(), answer.into(), tls).await
    }

    /// Gives these bytes from now on.
    pub(crate) fn now_answers(&self, answer: impl Into<Bytes>) {
        *self.seen.answer.lock().unwrap() = answer.into();
    }

    async fn start(at: SocketAddr, answer: Bytes, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        *seen.answer.lock().unwrap() = answer;
        let (here, is_tls) = (Arc::clone(&seen), tls.is_some());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                here.connections.fetch_add(1, Ordering::SeqCst);
                let (seen, tls) = (Arc::clone(&here), tls.clone());
                drop(tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &seen).await;
                            }
                        }
                    }
                }));
            }
        });
        Self {
            address,
            is_tls,
            seen,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `localhost`, so that a certificate can name it.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.address.port())
    }

    /// The whole requests, oldest first.
    pub(crate) fn requests(&self) -> Vec<Bytes> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The last request as text.
    pub(crate) fn last(&self) -> String {
        let last = self.requests().pop().expect("a request came");
        String::from_utf8_lossy(&last).into_owned()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Every byte that came, behind TLS the decrypted ones.
    pub(crate) fn all_bytes(&self) -> Vec<u8> {
        self.seen.bytes.lock().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, seen: &Seen) {
    let mut buffer = Vec::new();
    loop {
        while let Some(length) = whole(&buffer) {
            let rest = buffer.split_off(length);
            seen.requests.lock().unwrap().push(buffer.into());
            buffer = rest;
            let answer = seen.answer.lock().unwrap().clone();
            if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
        let before = buffer.len();
        match stream.read_buf(&mut buffer).await {
            Ok(1..) => seen
                .bytes
                .lock()
                .unwrap()
                .extend_from_slice(&buffer[before..]),
            Ok(0) | Err(_) => return,
        }
    }
}

/// The length of the first request, once all of it is there. Bodies hold no `0\r\n\r\n` of their own.
fn whole(buffer: &[u8]) -> Option<usize> {
    let head = memmem::find(buffer, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    if text.contains("\r\ntransfer-encoding: chunked\r\n") {
        return Some(head + memmem::find(&buffer[head..], b"0\r\n\r\n")? + 5);
    }
    let length = text.split("\r\ncontent-length: ").nth(1);
    let length: usize = length.map_or(0, |rest| {
        rest.split("\r\n").next().unwrap().parse().unwrap()
    });
    (buffer.len() >= head + length).then_some(head + length)
}
