//! A LinkedIn made by hand: keeps every request byte for byte and answers with given bytes, whatever
//! they are. For what the sandbox is too well-behaved to do.

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
}

impl Peer {
    /// Gives each request these bytes and keeps the connection.
    pub(crate) async fn answering(answer: impl Into<Bytes>) -> Self {
        Self::start(answer.into(), None).await
    }

    /// The same behind TLS.
    pub(crate) async fn answering_over_tls(
        answer: impl Into<Bytes>,
        config: rustls::ServerConfig,
    ) -> Self {
        Self::start(answer.into(), Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start(answer: Bytes, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let (here, is_tls) = (Arc::clone(&seen), tls.is_some());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                here.connections.fetch_add(1, Ordering::SeqCst);
                let (seen, answer, tls) = (Arc::clone(&here), answer.clone(), tls.clone());
                drop(tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &seen, &answer).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &seen, &answer).await;
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

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, seen: &Seen, answer: &Bytes) {
    let mut buffer = Vec::new();
    loop {
        while let Some(length) = whole(&buffer) {
            let rest = buffer.split_off(length);
            seen.requests.lock().unwrap().push(buffer.into());
            buffer = rest;
            if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
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
