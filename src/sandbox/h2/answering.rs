//! Answers one HTTP/2 stream, whole or spoilt as a fault says.
//!
//! **Invariant:** what HTTP/1.1 does with the connection is done here with the stream where HTTP/2
//! has a way to say it; only closes, resets and garbage end the connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::{Incoming, Shared};
use crate::sandbox::answer::Payload;
use crate::sandbox::conversation::{Manner, Turn};
use crate::sandbox::dress::{self, Dressed};
use crate::sandbox::ledger::Sent;
use crate::sandbox::site::Site;

/// A header block larger than any client accepts.
const HUGE_HEADER_BYTES: usize = 60 << 10;
const HUGE_HEADERS: usize = 8;
/// A reset overtakes frames that still wait to be written; this lets them go first.
const FRAMES_LEAVE: Duration = Duration::from_millis(50);
const SLOW_TICKS_PER_SEC: u64 = 20;

/// Answers a stream.
pub(super) async fn answer(
    site: &Arc<Site>,
    mut turn: Turn,
    mut body: Incoming,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
) {
    let gone = poll_fn(|cx| respond.poll_reset(cx));
    let answered = tokio::select! {
        answered = turn.answer(site, &mut body) => Some(answered),
        _reset = gone => None,
    };
    let Some((answer, manner)) = answered else {
        return;
    };
    match manner {
        Manner::Close => shared.cut(),
        Manner::Reset => {
            shared.socket.reset_at_close();
            shared.cut();
        }
        Manner::Hang => until_reset(site, &mut respond).await,
        Manner::Refused | Manner::GoAway => respond.send_reset(Reason::REFUSED_STREAM),
        Manner::HalfHead => respond.send_reset(Reason::INTERNAL_ERROR),
        _ => {
            if manner == Manner::Garbage {
                shared.orders.spoil();
            }
            let dressed = dress::dress(site, &turn.head, answer);
            // The only error is a stream or connection that is gone.
            drop(send(site, &turn, dressed, &manner, respond).await);
        }
    }
}

async fn until_reset(site: &Site, respond: &mut SendResponse<Bytes>) {
    tokio::select! {
        _reset = poll_fn(|cx| respond.poll_reset(cx)) => {}
        () = site.stopped() => {}
    }
}

async fn send(
    site: &Site,
    turn: &Turn,
    dressed: Dressed,
    manner: &Manner,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    if let Manner::Informational(status) = manner {
        let mut early = Response::new(());
        *early.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::EARLY_HINTS);
        respond.send_informational(early)?;
    }
    let Dressed {
        status,
        headers,
        body,
    } = dressed;
    if status < 200 {
        // HTTP/2 has no 101 (RFC 9113 §8.6); a server that wants to switch can only give up.
        respond.send_reset(Reason::HTTP_1_1_REQUIRED);
        return Ok(());
    }
    let headless = turn.head.method == "HEAD" || matches!(status, 204 | 304);
    let response = response(status, &headers, announced(&body, manner), manner);
    site.ledger.answered(turn.number, || Sent {
        status,
        head: Bytes::new(),
        headers: response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.as_str().to_owned(), value.into_owned())
            })
            .collect(),
    });
    let is_empty = headless || (body.announced() == Some(0) && !is_cut_short(manner));
    let mut stream = respond.send_response(response, is_empty)?;
    if is_empty {
        return Ok(());
    }
    let limit = limit(&body, manner);
    send_body(site, &mut stream, body, limit, manner).await?;
    match manner {
        Manner::Stall => {
            tokio::select! {
                _reset = poll_fn(|cx| stream.poll_reset(cx)) => {}
                () = site.stopped() => {}
            }
            Ok(())
        }
        Manner::HalfBody => {
            site.pause(FRAMES_LEAVE).await;
            stream.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
        // Ending the stream early is what makes the announced length wrong.
        _ => stream.send_data(Bytes::new(), true),
    }
}

fn is_cut_short(manner: &Manner) -> bool {
    matches!(
        manner,
        Manner::HalfBody | Manner::Stall | Manner::BadContentLength
    )
}

fn announced(body: &Payload, manner: &Manner) -> Option<u64> {
    let true_length = body.announced();
    match manner {
        Manner::BadContentLength => true_length.map(|length| length + 100),
        Manner::HalfBody | Manner::Stall if true_length == Some(0) => Some(64),
        _ => true_length,
    }
}

fn limit(body: &Payload, manner: &Manner) -> u64 {
    let length = body.announced().unwrap_or(128);
    match manner {
        Manner::HalfBody => length / 2,
        Manner::Stall => (length / 2).min(16),
        _ => u64::MAX,
    }
}

fn response(
    status: u16,
    headers: &[(&'static str, String)],
    length: Option<u64>,
    manner: &Manner,
) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let map = response.headers_mut();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            map.append(name, value);
        }
    }
    if let Some(length) = length.filter(|_| status != 204) {
        map.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if *manner == Manner::HugeHead {
        for _ in 0..HUGE_HEADERS {
            if let Ok(value) = HeaderValue::from_str(&"a".repeat(HUGE_HEADER_BYTES)) {
                map.append("x-li-huge", value);
            }
        }
    }
    response
}

async fn send_body(
    site: &Site,
    stream: &mut SendStream<Bytes>,
    body: Payload,
    limit: u64,
    manner: &Manner,
) -> Result<(), h2::Error> {
    let mut pieces = body.pieces(limit);
    while let Some((pause, mut piece)) = pieces.next() {
        if !pause.is_zero() {
            site.pause(pause).await;
        }
        if let Manner::Slow(bytes_per_sec) = manner {
            let step = usize::try_from(bytes_per_sec.div_ceil(SLOW_TICKS_PER_SEC))
                .unwrap_or(1)
                .max(1);
            let ticks = SLOW_TICKS_PER_SEC.min(*bytes_per_sec).max(1);
            while !piece.is_empty() {
                site.pause(Duration::from_millis(1_000 / ticks)).await;
                let bytes = piece.split_to(step.min(piece.len()));
                send_piece(stream, bytes).await?;
            }
            continue;
        }
        send_piece(stream, piece).await?;
    }
    Ok(())
}

/// Sends a piece as the client's windows allow, so that nothing piles up here.
async fn send_piece(stream: &mut SendStream<Bytes>, mut piece: Bytes) -> Result<(), h2::Error> {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        while stream.capacity() == 0 {
            match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(granted) => granted?,
                None => return Err(Reason::CANCEL.into()),
            };
        }
        let room = stream.capacity().min(piece.len());
        stream.send_data(piece.split_to(room), false)?;
    }
    Ok(())
}
