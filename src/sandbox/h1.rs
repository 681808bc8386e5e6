//! HTTP/1.1 as LinkedIn speaks it, with every way in which an answer can go wrong.
//!
//! **Invariant:** framing is read strictly (RFC 9112), so that a client that sends anything odd is
//! found out: it gets 400 and a close, and the ledger says why.
//! **Neighbours:** `h1::reader` takes requests off the wire, `h1::writer` puts answers on it.

mod reader;
mod writer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::conversation::{Manner, Turn};
use super::dress;
use super::request::Head;
use super::site::Site;
use super::socket::{Socket, Stream};
use reader::{Body, HeadError, Wire};

/// How long a new connection may stay silent, and a kept one without `idle_close`.
const IDLE: Duration = Duration::from_secs(75);
/// How long the rest of a request is read after an early answer.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves one connection until either side ends it.
pub(crate) async fn serve<S: Stream>(site: &Arc<Site>, stream: S, socket: Socket, connection: u64) {
    let mut wire = Wire::new(stream);
    let mut idle = IDLE;
    loop {
        let head = match tokio::time::timeout(idle, wire.head()).await {
            Ok(Ok(Some(head))) => head,
            Ok(Err(HeadError::Malformed(why))) => {
                site.ledger.malformed(why);
                // The peer may be gone already.
                drop(wire.stream.write_all(BAD_REQUEST).await);
                drop(wire.stream.shutdown().await);
                return;
            }
            Ok(Ok(None) | Err(HeadError::Lost)) | Err(_) => break,
        };
        match exchange(site, &mut wire, head, &socket, connection).await {
            Ok(After::Keep) => {}
            Ok(After::Close) => break,
            Ok(After::Cut) | Err(_) => return,
        }
        if let Some(limit) = site.options.idle_close {
            if limit.is_zero() {
                break;
            }
            idle = limit;
        }
    }
    // Says goodbye in TLS too; the peer may be gone already.
    drop(wire.stream.shutdown().await);
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Keep,
    Close,
    /// Ends without a goodbye.
    Cut,
}

async fn exchange<S: Stream>(
    site: &Arc<Site>,
    wire: &mut Wire<S>,
    head: Head,
    socket: &Socket,
    connection: u64,
) -> io::Result<After> {
    let mut turn = Turn::begin(site, head, connection);
    let mut body = Body::new(wire, &turn.head);
    let (answer, manner) = turn.answer(site, &mut body).await;
    let unread = !body.is_through();
    let keep = turn.head.keep_alive && manner == Manner::Whole && answer.status != 101;
    match manner {
        Manner::Close | Manner::GoAway | Manner::Refused => return Ok(After::Cut),
        Manner::Reset => {
            socket.reset_at_close();
            return Ok(After::Cut);
        }
        Manner::Hang => {
            wire.until_gone(site).await;
            return Ok(After::Cut);
        }
        Manner::Garbage => {
            wire.stream
                .write_all(&super::conversation::garbage())
                .await?;
            return Ok(After::Close);
        }
        _ => {}
    }
    let dressed = dress::dress(site, &turn.head, answer);
    let kept = matches!(manner, Manner::Informational(_)) && turn.head.keep_alive;
    let announce_close = !(keep || kept);
    let whole = writer::write(site, wire, &turn, dressed, &manner, announce_close).await?;
    if manner == Manner::Early && unread {
        // The rest of the request is thrown away for a while, or the close would destroy the answer.
        wire.stream.shutdown().await?;
        drop(tokio::time::timeout(DRAIN, wire.until_gone(site)).await);
        return Ok(After::Cut);
    }
    Ok(match (whole, announce_close) {
        (false, _) => After::Cut,
        (true, true) => After::Close,
        (true, false) => After::Keep,
    })
}

const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\
    Content-Length: 22\r\nConnection: close\r\n\r\n<h1>Bad Request</h1>\r\n";
