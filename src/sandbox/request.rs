//! A request as it reached LinkedIn, whichever protocol carried it.
//!
//! **Invariant:** target and header values are the bytes that came; nothing is normalised.

use std::io;

use bytes::Bytes;

/// The protocol a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1 or 1.0.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What a request's head says about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announced {
    /// Neither a length nor chunks: there is no body.
    Nothing,
    /// `Content-Length`.
    Length(u64),
    /// Chunked, or an HTTP/2 stream without a length.
    Open,
}

/// A request's head.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: HttpVersion,
    pub(crate) headers: Vec<(String, Bytes)>,
    /// The head's bytes on HTTP/1; empty on HTTP/2.
    pub(crate) raw: Bytes,
    pub(crate) announced: Announced,
    /// Whether the connection may carry another request after this one.
    pub(crate) keep_alive: bool,
}

impl Head {
    /// The target up to the question mark.
    pub(crate) fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(&self.target, |(path, _)| path)
    }

    /// The target after the question mark.
    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The first header of this name, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Bytes of the whole head as LinkedIn counts them (linkedin.md §6.2).
    pub(crate) fn size(&self) -> usize {
        if !self.raw.is_empty() {
            return self.raw.len();
        }
        let lines = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        self.method.len() + self.target.len() + lines.sum::<usize>()
    }
}

/// A request's body as it arrives.
pub(crate) trait RequestBody: Send {
    /// The next bytes, or `None` at the end.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;
}
