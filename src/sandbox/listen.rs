//! The listeners, and what is spoken on each accepted connection.
//!
//! **Invariant:** every accepted connection is counted as closed in the end, even after a panic.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::site::Site;
use super::socket::Socket;
use super::{h1, h2};

/// How every HTTP/2 connection begins (RFC 9113 §3.4), as far as HTTP/1 never does.
const PREFACE: &[u8] = b"PRI * HTTP/2";
/// A preface that comes in pieces is waited for this often, this long each time.
const PREFACE_LOOKS: u32 = 1_000;
const PREFACE_PAUSE: Duration = Duration::from_millis(1);
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after an accept that failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Counts an open connection for as long as it lives.
struct Open(Arc<Site>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.ledger.connection_closed();
    }
}

/// Accepts until the sandbox ends.
pub(crate) async fn accept(site: Arc<Site>, listener: TcpListener, tls: Option<Arc<ServerConfig>>) {
    let acceptor = tls.map(TlsAcceptor::from);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = site.stopped() => return,
        };
        let Ok((tcp, _peer)) = accepted else {
            site.pause(ACCEPT_PAUSE).await;
            continue;
        };
        // Without it small answers wait for acknowledgements; a platform without it still works.
        drop(tcp.set_nodelay(true));
        let connection = site.ledger.connection_opened();
        let open = Open(Arc::clone(&site));
        let socket = Socket::new(tcp);
        let acceptor = acceptor.clone();
        let here = Arc::clone(&site);
        site.spawn(async move {
            let _open = open;
            tokio::select! {
                () = Box::pin(converse(&here, socket, acceptor, connection)) => {}
                () = here.stopped() => {}
            }
        });
    }
}

async fn converse(
    site: &Arc<Site>,
    socket: Socket,
    acceptor: Option<TlsAcceptor>,
    connection: u64,
) {
    let Some(acceptor) = acceptor else {
        if site.options.http2 && begins_with_preface(&socket).await {
            h2::serve(site, socket.clone(), socket, connection).await;
        } else {
            h1::serve(site, socket.clone(), socket, connection).await;
        }
        return;
    };
    let handshake = tokio::time::timeout(TLS_HANDSHAKE, acceptor.accept(socket.clone()));
    let Ok(Ok(stream)) = handshake.await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        h2::serve(site, stream, socket, connection).await;
    } else {
        h1::serve(site, stream, socket, connection).await;
    }
}

/// Looks at the first bytes until they are the preface or cannot become it.
async fn begins_with_preface(socket: &Socket) -> bool {
    let mut first = [0; PREFACE.len()];
    for _ in 0..PREFACE_LOOKS {
        let Ok(length) = socket.peek(&mut first).await else {
            return false;
        };
        let start = first.get(..length).unwrap_or_default();
        if start.is_empty() || start.len() == PREFACE.len() || !PREFACE.starts_with(start) {
            return start == PREFACE;
        }
        tokio::time::sleep(PREFACE_PAUSE).await;
    }
    false
}
