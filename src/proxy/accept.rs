//! One caller connection from its first byte to its last: TLS, and which HTTP it speaks.
//!
//! HTTP/2 is told by ALPN, and on the plain port by its first bytes (RFC 9113 §3.3); everything else is
//! HTTP/1.1.
//!
//! **Invariant:** whatever a caller does not finish in time, from the handshake on, ends its connection.
//! **Neighbours:** `listen` hands connections over; `http1` and `http2` serve them by the same path.

use std::{convert::Infallible, pin::pin, rc::Rc, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::{Arrival, answer::Answer, head_tap::Tapped, thread::Thread};

mod http1;
mod http2;
pub(crate) mod listen;
mod preface;
pub(crate) mod rest;
mod timer;

use timer::Timer;

/// What is known of a connection's protocol before its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreed {
    /// Plain text: its first bytes tell.
    Nothing,
    Http1,
    Http2,
}

/// Serves one connection to its end. Dropping the future cuts it.
pub(crate) async fn serve<S>(
    thread: Rc<Thread>,
    path: S,
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
) where
    S: Service<Arrival, Response = Answer, Error = Infallible> + Clone + 'static,
    S::Future: 'static,
{
    // Small answers shall not wait for an acknowledgement of the ones before.
    drop(stream.set_nodelay(true));
    match tls {
        None => exchange_all(thread, path, stream, Agreed::Nothing).await,
        // In a box, so that plain connections do not keep room for it: 7 KiB each.
        Some(config) => Box::pin(serve_tls(thread, path, stream, config)).await,
    }
}

async fn serve_tls<S>(
    thread: Rc<Thread>,
    path: S,
    stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
) where
    S: Service<Arrival, Response = Answer, Error = Infallible> + Clone + 'static,
    S::Future: 'static,
{
    let limit = thread.settings.first_byte_time;
    let handshake = TlsAcceptor::from(config).accept(stream);
    match timeout(limit, handshake).await {
        Ok(Ok(stream)) => {
            let agreed = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Agreed::Http2,
                _ => Agreed::Http1,
            };
            // A stream of more than a KiB, for which each future below would keep room of its own.
            exchange_all(thread, path, Box::new(stream), agreed).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "tls handshake with a caller failed"),
        Err(_) => tracing::debug!("tls handshake with a caller took too long"),
    }
}

async fn exchange_all<S, I>(thread: Rc<Thread>, path: S, stream: I, agreed: Agreed)
where
    S: Service<Arrival, Response = Answer, Error = Infallible> + Clone + 'static,
    S::Future: 'static,
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut stream = Tapped::caller(stream);
    let mut slot = thread.connection_slot();
    let mut timer = pin!(Timer::new(&thread.settings, &stream.tap()));
    let is_http2 = match agreed {
        Agreed::Http1 => false,
        Agreed::Nothing | Agreed::Http2 => {
            let comes = preface::comes(&thread, &mut slot, &mut stream, timer.as_mut()).await;
            let Some(comes) = comes else {
                tracing::debug!("a caller left, or took too long, before it said what it wants");
                return;
            };
            comes || agreed == Agreed::Http2
        }
    };
    if is_http2 {
        // In a box, so that the more frequent HTTP/1.1 connections do not keep room for it.
        Box::pin(http2::serve(thread, path, stream, slot)).await;
    } else {
        http1::serve(thread, path, stream, slot, timer).await;
    }
}
