//! What the sandbox has received and done, for tests to assert on.
//!
//! **Invariant:** memory is bounded: old requests, posts and connections make room for new ones.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::request::HttpVersion;

/// A snapshot of everything the sandbox counts.
///
/// A route's key is the method and the path as they came, an id in the path written `{id}`
/// (`POST /rest/posts`, `GET /rest/posts/{id}`, `PUT /dms-uploads`); an action or a grant type is
/// counted once more under its own key (`POST /rest/images initializeUpload`,
/// `POST /oauth/v2/accessToken refresh_token`).
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Requests by route.
    pub routes: BTreeMap<String, RouteCount>,
    /// Posts in the order of their creation.
    pub posts: VecDeque<PostCreated>,
    /// Posts ever created.
    pub posts_created: u64,
    /// Successful renewals by member.
    pub renewals: BTreeMap<String, u64>,
    /// Rotated refresh tokens that were spent a second time.
    pub refresh_replays: u64,
    /// Calls of the token endpoint.
    pub token_calls: u64,
    /// Calls of the token endpoint under way now.
    pub token_calls_now: u64,
    /// The most that were under way at once.
    pub token_calls_at_once: u64,
    /// Connections.
    pub connections: ConnectionCounts,
    /// Requests that came by HTTP/1.
    pub http1_requests: u64,
    /// Requests that came by HTTP/2.
    pub http2_requests: u64,
    /// Heads or bodies that were no HTTP, and why; the last thousand.
    pub malformed: VecDeque<String>,
    /// Requests whose body ended before its announced length.
    pub broken_bodies: u64,
    /// Bytes of request bodies.
    pub body_bytes: u64,
}

/// How often a route was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteCount {
    /// Requests whose head arrived.
    pub received: u64,
    /// Requests that did what they asked for, whatever became of the answer.
    pub processed: u64,
}

/// A post that exists because of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostCreated {
    /// Its URN.
    pub urn: String,
    /// The author the body named.
    pub author: String,
    /// The member whose token was used.
    pub member: Option<String>,
    /// The first 256 characters of its text.
    pub text: String,
    /// CRC-32 of the whole text.
    pub text_crc32: u32,
    /// Microseconds since the epoch, on LinkedIn's clock.
    pub at_micros: u64,
}

/// Connections of all listeners.
#[derive(Debug, Clone, Default)]
pub struct ConnectionCounts {
    /// Accepted.
    pub accepted: u64,
    /// Closed.
    pub closed: u64,
    /// Requests by connection, the last 20,000 connections.
    pub requests: BTreeMap<u64, u64>,
}

impl ConnectionCounts {
    /// Open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.closed)
    }
}

impl Counts {
    /// Requests received on a route.
    #[must_use]
    pub fn received(&self, route: &str) -> u64 {
        self.routes.get(route).map_or(0, |count| count.received)
    }

    /// Requests processed on a route.
    #[must_use]
    pub fn processed(&self, route: &str) -> u64 {
        self.routes.get(route).map_or(0, |count| count.processed)
    }

    /// Requests received on all routes, each once.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.http1_requests + self.http2_requests
    }

    /// Renewals of all members.
    #[must_use]
    pub fn all_renewals(&self) -> u64 {
        self.renewals.values().sum()
    }
}

/// A request as it reached LinkedIn, and what went back.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its number, counted over all requests.
    pub number: u64,
    /// The connection it came on.
    pub connection: u64,
    /// Its route's key.
    pub route: String,
    /// The method.
    pub method: String,
    /// The target as it came.
    pub target: String,
    /// The protocol.
    pub version: HttpVersion,
    /// The headers in order; names as on the wire on HTTP/1.
    pub headers: Vec<(String, Bytes)>,
    /// The exact bytes of the head on HTTP/1, the empty line included; empty on HTTP/2.
    pub raw_head: Bytes,
    /// Length of the body so far.
    pub body_bytes: u64,
    /// The first 64 KiB of the body.
    pub body: Bytes,
    /// CRC-32 of the whole body.
    pub body_crc32: u32,
    /// The status that went back, if one did.
    pub status: Option<u16>,
    /// The exact bytes of the head that went back on HTTP/1.
    pub sent_head: Bytes,
    /// The headers that went back; on HTTP/1 those that the head's framing adds are in `sent_head` only.
    pub sent_headers: Vec<(String, String)>,
}

impl Received {
    /// The first header of this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// What this request costs in memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 64);
        512 + self.raw_head.len() + self.body.len() + headers.sum::<usize>()
    }
}
