//! Puts answers on an HTTP/1.1 connection, whole or spoilt as a fault says.
//!
//! **Invariant:** a head is written in LinkedIn's case and order, and the record holds its bytes.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;

use super::reader::Wire;
use crate::sandbox::answer::Payload;
use crate::sandbox::conversation::{Manner, Turn};
use crate::sandbox::dress::Dressed;
use crate::sandbox::ledger::Sent;
use crate::sandbox::site::Site;
use crate::sandbox::socket::Stream;

/// Bodies up to here leave in one write with the head.
const JOINED_BYTES: usize = 16 << 10;
const HUGE_HEAD_BYTES: usize = 512 << 10;
/// How often a slow body gives its next bytes.
const SLOW_TICKS_PER_SEC: u64 = 20;

/// How the body leaves.
struct Course {
    chunked: bool,
    limit: u64,
    bytes_per_sec: Option<u64>,
}

/// Writes an answer; says whether it went out whole.
pub(super) async fn write<S: Stream>(
    site: &Site,
    wire: &mut Wire<S>,
    turn: &Turn,
    dressed: Dressed,
    manner: &Manner,
    close: bool,
) -> io::Result<bool> {
    if let Manner::Informational(status) = manner {
        let early = format!(
            "HTTP/1.1 {status} {}\r\nLink: </style.css>; rel=preload\r\n\r\n",
            reason(*status)
        );
        wire.stream.write_all(early.as_bytes()).await?;
    }
    let Dressed {
        status,
        headers,
        body,
    } = dressed;
    let headless = turn.head.method == "HEAD" || status < 200 || matches!(status, 204 | 304);
    let length = announced(&body, manner);
    let head = head_text(
        status,
        &headers,
        length.filter(|_| status >= 200 && status != 204),
        close,
        manner,
    );
    let head = Bytes::from(head);
    site.ledger.answered(turn.number, || Sent {
        status,
        head: head.clone(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    });
    if *manner == Manner::HalfHead {
        let half = head.slice(..head.len() / 2);
        wire.stream.write_all(&half).await?;
        wire.stream.flush().await?;
        return Ok(false);
    }
    if headless {
        wire.stream.write_all(&head).await?;
        wire.stream.flush().await?;
        return Ok(true);
    }
    let course = course(&body, manner, length);
    write_body(site, wire, head, body, &course).await?;
    match manner {
        Manner::Stall => {
            wire.until_gone(site).await;
            Ok(false)
        }
        Manner::HalfBody | Manner::BadContentLength => Ok(false),
        _ => Ok(true),
    }
}

fn announced(body: &Payload, manner: &Manner) -> Option<u64> {
    let true_length = body.announced();
    match manner {
        Manner::BadContentLength => true_length.map(|length| length + 100),
        // Half of nothing is nothing: promise something instead.
        Manner::HalfBody | Manner::Stall if true_length == Some(0) => Some(64),
        _ => true_length,
    }
}

fn course(body: &Payload, manner: &Manner, length: Option<u64>) -> Course {
    let limit = match (manner, body.announced()) {
        (Manner::HalfBody, Some(length)) => length / 2,
        (Manner::HalfBody, None) => 64_256,
        (Manner::Stall, Some(length)) => (length / 2).min(16),
        (Manner::Stall, None) => 16,
        _ => u64::MAX,
    };
    let bytes_per_sec = match manner {
        Manner::Slow(bytes_per_sec) => Some(*bytes_per_sec),
        _ => None,
    };
    Course {
        chunked: length.is_none(),
        limit,
        bytes_per_sec,
    }
}

fn head_text(
    status: u16,
    headers: &[(&'static str, String)],
    length: Option<u64>,
    close: bool,
    manner: &Manner,
) -> String {
    let mut text = String::with_capacity(1_024);
    let mut line = |parts: [&str; 4]| parts.iter().for_each(|part| text.push_str(part));
    line(["HTTP/1.1 ", &status.to_string(), " ", reason(status)]);
    line(["\r\n", "", "", ""]);
    for (name, value) in headers {
        line([name, ": ", value, "\r\n"]);
    }
    if *manner == Manner::HugeHead {
        line(["X-Li-Huge: ", &"a".repeat(HUGE_HEAD_BYTES), "\r\n", ""]);
    }
    match length {
        Some(length) => line(["Content-Length: ", &length.to_string(), "\r\n", ""]),
        None if status >= 200 && status != 204 => {
            line(["Transfer-Encoding: chunked", "\r\n", "", ""]);
        }
        None => {}
    }
    if status != 101 {
        line([
            "Connection: ",
            if close { "close" } else { "keep-alive" },
            "\r\n",
            "",
        ]);
    }
    line(["\r\n", "", "", ""]);
    text
}

async fn write_body<S: Stream>(
    site: &Site,
    wire: &mut Wire<S>,
    head: Bytes,
    body: Payload,
    course: &Course,
) -> io::Result<()> {
    let mut pieces = body.pieces(course.limit);
    let mut head = Some(head);
    while let Some((pause, piece)) = pieces.next() {
        if !pause.is_zero() {
            site.pause(pause).await;
        }
        if let Some(rate) = course.bytes_per_sec {
            if let Some(head) = head.take() {
                wire.stream.write_all(&head).await?;
            }
            trickle(site, wire, piece, rate, course.chunked).await?;
            continue;
        }
        let small = piece.len() <= JOINED_BYTES && !course.chunked;
        match head.take() {
            Some(head) if small => {
                let mut joined = BytesMut::with_capacity(head.len() + piece.len());
                joined.extend_from_slice(&head);
                joined.extend_from_slice(&piece);
                wire.stream.write_all(&joined).await?;
                continue;
            }
            Some(head) => wire.stream.write_all(&head).await?,
            None => {}
        }
        write_piece(wire, &piece, course.chunked).await?;
    }
    if let Some(head) = head {
        wire.stream.write_all(&head).await?;
    }
    if course.chunked && course.limit == u64::MAX {
        wire.stream.write_all(b"0\r\n\r\n").await?;
    }
    wire.stream.flush().await
}

async fn trickle<S: Stream>(
    site: &Site,
    wire: &mut Wire<S>,
    piece: Bytes,
    bytes_per_sec: u64,
    chunked: bool,
) -> io::Result<()> {
    let step = usize::try_from(bytes_per_sec.div_ceil(SLOW_TICKS_PER_SEC))
        .unwrap_or(1)
        .max(1);
    // Below the tick rate one byte comes at a time, further apart.
    let ticks = SLOW_TICKS_PER_SEC.min(bytes_per_sec.max(1));
    for bytes in piece.chunks(step) {
        site.pause(Duration::from_millis(1_000 / ticks)).await;
        write_piece(wire, bytes, chunked).await?;
        wire.stream.flush().await?;
    }
    Ok(())
}

async fn write_piece<S: Stream>(wire: &mut Wire<S>, piece: &[u8], chunked: bool) -> io::Result<()> {
    if chunked {
        wire.stream
            .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
            .await?;
        wire.stream.write_all(piece).await?;
        return wire.stream.write_all(b"\r\n").await;
    }
    wire.stream.write_all(piece).await
}

fn reason(status: u16) -> &'static str {
    match status {
        999 => "Request denied",
        103 => "Early Hints",
        _ => http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Unknown"),
    }
}
