//! Takes requests off an HTTP/1.1 connection.
//!
//! **Invariant:** a head is at most 256 KiB, a chunk-size line 1 KiB; bodies are never held.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sandbox::request::{Announced, Head, HttpVersion, RequestBody};
use crate::sandbox::site::Site;
use crate::sandbox::socket::Stream;

const MAX_HEAD_BYTES: usize = 256 << 10;
const MAX_LINE_BYTES: usize = 1 << 10;
const READ_BYTES: usize = 64 << 10;
const FIRST_READ_BYTES: usize = 4 << 10;

/// A connection and what has been read of it but not used.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    buffer: BytesMut,
}

/// Why there is no next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// The bytes are no HTTP.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// The connection broke.
    #[error("connection lost")]
    Lost,
}

impl<S: Stream> Wire<S> {
    /// A connection nothing has been read from.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// The next request's head, or `None` when the peer has ended the connection.
    pub(crate) async fn head(&mut self) -> Result<Option<Head>, HeadError> {
        let mut searched = 0;
        loop {
            let unsearched = self.buffer.get(searched..).unwrap_or_default();
            if let Some(found) = memmem::find(unsearched, b"\r\n\r\n") {
                let raw = self.buffer.split_to(searched + found + 4);
                // A copy, so that the record does not keep the read buffer alive.
                return parse(&Bytes::copy_from_slice(&raw)).map(Some);
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(HeadError::Malformed("head too large"));
            }
            searched = self.buffer.len().saturating_sub(3);
            self.buffer.reserve(FIRST_READ_BYTES);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) | Err(_) => return Err(HeadError::Lost),
                Ok(_) => {}
            }
        }
    }

    /// Reads and forgets until the peer ends the connection or the sandbox ends.
    pub(crate) async fn until_gone(&mut self, site: &Site) {
        let forget = async {
            loop {
                self.buffer.clear();
                self.buffer.reserve(FIRST_READ_BYTES);
                if !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
                    return;
                }
            }
        };
        tokio::select! {
            () = forget => {}
            () = site.stopped() => {}
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        self.buffer.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(found) = memmem::find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(found).freeze();
                self.buffer.advance(2);
                return Ok(line);
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.more().await?;
        }
    }
}

/// A request's body, read on demand.
#[derive(Debug)]
pub(crate) struct Body<'a, S> {
    wire: &'a mut Wire<S>,
    rest: Rest,
    awaits_continue: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Length(u64),
    ChunkHead,
    Chunk(u64),
    Nothing,
}

impl<'a, S: Stream> Body<'a, S> {
    /// The body this head announces.
    pub(crate) fn new(wire: &'a mut Wire<S>, head: &Head) -> Self {
        let rest = match head.announced {
            Announced::Nothing | Announced::Length(0) => Rest::Nothing,
            Announced::Length(length) => Rest::Length(length),
            Announced::Open => Rest::ChunkHead,
        };
        let expects = head
            .header("expect")
            .is_some_and(|text| text.eq_ignore_ascii_case("100-continue"));
        Self {
            wire,
            rest,
            awaits_continue: expects && rest != Rest::Nothing,
        }
    }

    /// Whether all of it has been read.
    pub(crate) fn is_through(&self) -> bool {
        self.rest == Rest::Nothing
    }

    async fn some_of(&mut self, left: u64) -> io::Result<(Bytes, u64)> {
        if self.wire.buffer.is_empty() {
            self.wire.more().await?;
        }
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(self.wire.buffer.len());
        let bytes = self.wire.buffer.split_to(wanted).freeze();
        let left = left - u64::try_from(wanted).unwrap_or(left);
        Ok((bytes, left))
    }

    async fn chunk_head(&mut self) -> io::Result<Rest> {
        let line = self.wire.line().await?;
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let text = std::str::from_utf8(digits).unwrap_or_default().trim_end();
        let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = u64::from_str_radix(text, 16).ok().filter(|_| valid);
        match size.ok_or(io::ErrorKind::InvalidData)? {
            0 => {
                while !self.wire.line().await?.is_empty() {}
                Ok(Rest::Nothing)
            }
            size => Ok(Rest::Chunk(size)),
        }
    }
}

impl<S: Stream> RequestBody for Body<'_, S> {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if std::mem::take(&mut self.awaits_continue) && self.wire.buffer.is_empty() {
            self.wire
                .stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await?;
        }
        loop {
            match self.rest {
                Rest::Nothing => return Ok(None),
                Rest::ChunkHead => self.rest = self.chunk_head().await?,
                Rest::Length(left) => {
                    let (bytes, left) = self.some_of(left).await?;
                    self.rest = if left == 0 {
                        Rest::Nothing
                    } else {
                        Rest::Length(left)
                    };
                    return Ok(Some(bytes));
                }
                Rest::Chunk(left) => {
                    let (bytes, left) = self.some_of(left).await?;
                    self.rest = Rest::Chunk(left);
                    if left == 0 {
                        self.rest = Rest::ChunkHead;
                        if !self.wire.line().await?.is_empty() {
                            return Err(io::ErrorKind::InvalidData.into());
                        }
                    }
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

fn parse(raw: &Bytes) -> Result<Head, HeadError> {
    let text = raw.strip_suffix(b"\r\n\r\n").unwrap_or_default();
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let bare_feeds = memchr::memchr_iter(b'\n', text).count();
    if bare_feeds != memmem::find_iter(text, b"\r\n").count() {
        return Err(HeadError::Malformed("bare line feed"));
    }
    let (method, target, modern) = request_line(lines.next().unwrap_or_default())?;
    let mut headers = Vec::with_capacity(16);
    for line in lines {
        headers.push(header(line)?);
    }
    let announced = framing(&headers)?;
    if headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .count()
        != 1
        && modern
    {
        return Err(HeadError::Malformed("not exactly one host"));
    }
    let said = |word: &str| {
        values(&headers, "connection").any(|value| value.to_ascii_lowercase().contains(word))
    };
    let keep_alive = if modern {
        !said("close")
    } else {
        said("keep-alive")
    };
    let head = Head {
        method,
        target,
        version: HttpVersion::Http1,
        headers,
        announced,
        keep_alive,
        raw: raw.clone(),
    };
    Ok(head)
}

fn request_line(line: &[u8]) -> Result<(String, String, bool), HeadError> {
    let bad = HeadError::Malformed("request line");
    let text = std::str::from_utf8(line).map_err(|_bytes| bad)?;
    let mut words = text.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad);
    };
    let modern = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Err(bad),
    };
    let method_fits = !method.is_empty() && method.bytes().all(is_token_byte);
    let target_fits = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
    if !method_fits || !(target_fits || target == "*") {
        return Err(HeadError::Malformed("method or target"));
    }
    Ok((method.to_owned(), target.to_owned(), modern))
}

fn header(line: &[u8]) -> Result<(String, Bytes), HeadError> {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
        return Err(HeadError::Malformed("header without a colon"));
    };
    if name.is_empty() || !name.iter().copied().all(is_token_byte) {
        return Err(HeadError::Malformed("header name"));
    }
    let value = value.trim_ascii();
    if value
        .iter()
        .any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f)
    {
        return Err(HeadError::Malformed("control character in a header value"));
    }
    Ok((
        String::from_utf8_lossy(name).into_owned(),
        Bytes::copy_from_slice(value),
    ))
}

fn framing(headers: &[(String, Bytes)]) -> Result<Announced, HeadError> {
    let mut lengths = values(headers, "content-length");
    let mut codings = values(headers, "transfer-encoding");
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.next().is_some() || codings.next().is_some() {
        return Err(HeadError::Malformed("framing said twice"));
    }
    match (length, coding) {
        (Some(_), Some(_)) => Err(HeadError::Malformed("both content-length and chunked")),
        (None, None) => Ok(Announced::Nothing),
        (Some(length), None) => {
            let valid = length.len() < 19 && length.bytes().all(|byte| byte.is_ascii_digit());
            let length = length.parse().ok().filter(|_| valid);
            length
                .map(Announced::Length)
                .ok_or(HeadError::Malformed("content-length"))
        }
        (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => Ok(Announced::Open),
        (None, Some(_)) => Err(HeadError::Malformed("transfer-encoding")),
    }
}

fn values<'a>(headers: &'a [(String, Bytes)], name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
        .map(|(_, value)| std::str::from_utf8(value).unwrap_or_default())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Result<Head, HeadError> {
        parse(&Bytes::copy_from_slice(head.as_bytes()))
    }

    #[test]
    fn odd_framing_is_found_out() {
        for odd in [
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert!(parsed(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn header_names_and_order_stay_as_they_came() {
        let raw =
            "POST /a?b=%3A( HTTP/1.1\r\nHOST: a\r\nx-A: 1\r\nX-a:2 \r\nContent-Length: 0\r\n\r\n";
        let head = parsed(raw).unwrap();
        assert_eq!(head.target, "/a?b=%3A(");
        let names: Vec<&str> = head.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["HOST", "x-A", "X-a", "Content-Length"]);
        assert_eq!(head.announced, Announced::Length(0));
        assert_eq!(head.raw, raw.as_bytes());
    }
}
