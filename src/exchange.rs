//! The nouns that every part shares: exchange, member, attempt, outcome, fault.
//!
//! An *exchange* is one caller request and all that was done to answer it; an *attempt* is one trip
//! to LinkedIn inside it. The path fills these in, the support log writes them down; neither
//! needs to know the other for that.
//!
//! **Invariant:** everything here may hold raw headers and bodies, and so secrets. Nothing here is
//! ever printed or stored as it stands: the support log's redaction door (`incident::redact`)
//! stands between these types and any disk.

use std::{
    borrow::Cow,
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use uuid::Uuid;

mod header_list;
mod template;

pub use header_list::HeaderList;
pub use template::template;

/// Identifies one exchange, and the incident it may become: a `UUIDv7`, so ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(Uuid);

impl ExchangeId {
    /// A new id.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// A new id for who has just looked at the clock, `micros` since the Unix epoch: later than all that were
    /// made here before. A version 7 UUID whose 12 bits behind the milliseconds say their part (RFC 9562
    /// §6.2, method 3); made on the path, where [`ExchangeId::new`] costs 300 instructions more.
    pub fn at(micros: i64) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let micros = u64::try_from(micros).unwrap_or(0);
        let tick = ((micros / 1000) << 12) | ((micros % 1000) * 4096 / 1000);
        let later = |last: u64| tick.max(last.saturating_add(1));
        let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            Some(later(last))
        });
        let (Ok(last) | Err(last)) = last;
        let tick = later(last);
        let head = ((tick >> 12) << 16) | 0x7000 | (tick & 0xfff);
        let tail = (1 << 63) | (rand::random::<u64>() >> 2);
        Self(Uuid::from_u64_pair(head, tail))
    }

    /// Writes the usual 36 characters without allocating.
    pub fn encode<'a>(&self, buffer: &'a mut [u8; 36]) -> &'a str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl Default for ExchangeId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for ExchangeId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// A name that an operator chose for a member or an application: `[A-Za-z0-9._-]{1,64}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Text that is no [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 64 characters of A-Z a-z 0-9 . _ -")]
pub struct NotAName;

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(NotAName)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Whose token a call uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Member {
    /// The LinkedIn developer application that was authorised.
    pub application: Name,
    /// The operator's name for the member; none means the application's own token
    /// (client credentials, `~/APPLICATION`).
    pub name: Option<Name>,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}/{}", self.application),
            None => write!(f, "/{}", self.application),
        }
    }
}

/// Support's first question: whose fault was it?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The calling app: bad key, bad request, refused by LinkedIn with a 4xx.
    Caller,
    /// The member must act: sign in again, restricted.
    Member,
    /// LinkedIn: 5xx, 429, cut, late or unreadable answers.
    LinkedIn,
    /// Linkgate itself.
    Gateway,
}

impl Fault {
    /// Every fault, in the order of the metrics table.
    pub const ALL: [Self; 4] = [Self::Caller, Self::Member, Self::LinkedIn, Self::Gateway];

    /// The word used in records, filters and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Member => "member",
            Self::LinkedIn => "linkedin",
            Self::Gateway => "gateway",
        }
    }
}

/// What became of the caller's request, as far as LinkedIn's state is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// LinkedIn answered, and its answer says what happened.
    Answered,
    /// No byte of it reached LinkedIn: safe to send again.
    NotSent,
    /// LinkedIn refused it before acting: safe to send again.
    Refused,
    /// It may or may not have been acted upon.
    Unknown,
}

impl Outcome {
    /// Every outcome, in the order of the metrics table.
    pub const ALL: [Self; 4] = [Self::Answered, Self::NotSent, Self::Refused, Self::Unknown];

    /// The word used in problem answers, records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NotSent => "not_sent",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// The headers of one message.
#[derive(Clone, Debug)]
pub enum Head {
    /// The bytes of the whole head as they stood on an HTTP/1 connection, first line included.
    Wire(Bytes),
    /// The headers as decoded (HTTP/2, or where the wire's bytes could not be told apart).
    Decoded(HeaderList),
}

/// The part of a body that was kept for the record.
#[derive(Clone, Debug, Default)]
pub struct KeptBody {
    /// The first bytes, up to the capture limit: usually in one piece.
    first: Bytes,
    rest: Vec<Bytes>,
    /// How many bytes passed in all.
    pub bytes: u64,
    /// Whether more passed than was kept.
    pub truncated: bool,
    /// Whether the end was seen.
    pub complete: bool,
}

impl KeptBody {
    /// Notes `chunk` as passed, keeping what still fits below `limit` bytes.
    pub fn note(&mut self, chunk: &Bytes, limit: usize) {
        let fits = chunk.len().min(limit.saturating_sub(self.kept()));
        match chunk.slice(..fits) {
            empty if empty.is_empty() => {}
            chunk if self.first.is_empty() => self.first = chunk,
            chunk => self.rest.push(chunk),
        }
        self.truncated |= fits < chunk.len();
        self.bytes += chunk.len() as u64;
    }

    /// Copies what was kept: as slices, the pieces pin the whole buffers that they were read into.
    pub fn detach(&mut self) {
        self.first = match &*self.text() {
            [] => return,
            text => Bytes::copy_from_slice(text),
        };
        self.rest = Vec::new();
    }

    /// What was kept.
    pub fn text(&self) -> Cow<'_, [u8]> {
        if self.rest.is_empty() {
            return Cow::Borrowed(&self.first);
        }
        let mut text = Vec::with_capacity(self.kept());
        text.extend_from_slice(&self.first);
        self.rest
            .iter()
            .for_each(|piece| text.extend_from_slice(piece));
        Cow::Owned(text)
    }

    /// Whether what is known of `other` is known of this one as well.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let traits = |body: &Self| (body.bytes, body.truncated, body.complete);
        traits(self) == traits(other) && self.text() == other.text()
    }

    /// How many bytes were kept.
    pub fn kept(&self) -> usize {
        self.first.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }
}

/// The token an attempt carried, named without showing it.
#[derive(Clone, Debug)]
pub struct TokenUsed {
    /// Keyed fingerprint, as in every record.
    pub fingerprint: Arc<str>,
    /// Seconds since LinkedIn issued it, where known.
    pub age_secs: Option<i64>,
}

/// How an attempt failed below HTTP, or before an answer could be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// The name did not resolve.
    Dns,
    /// The TCP connection was refused or could not be made.
    Connect,
    /// The connection attempt took longer than its limit.
    ConnectTimeout,
    /// The TLS handshake failed, the certificate included.
    Tls,
    /// The connection was lost before the answer's head.
    Cut,
    /// LinkedIn refused the stream unprocessed (HTTP/2 `REFUSED_STREAM` or GOAWAY).
    RefusedStream,
    /// No answer within the limit of one attempt, or of the whole exchange.
    Timeout,
    /// The answer was no HTTP, or one we must not pass on (101).
    Protocol,
    /// The caller's own body broke off or was malformed.
    RequestBody,
    /// The caller left and the attempt was given up.
    Abandoned,
}

impl Broken {
    /// The word used in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Cut => "cut",
            Self::RefusedStream => "refused_stream",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::RequestBody => "request_body",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Where an attempt's time went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Waited by us before the attempt: backoff, `Retry-After`, LinkedIn's lag.
    pub waited: Duration,
    /// Waited for a token before the attempt.
    pub token: Duration,
    /// Steps of making the connection, if one was made for it.
    pub steps: Option<Steps>,
    /// From the attempt's start until a connection was there: next to nothing for a pooled one.
    pub connected: Option<Duration>,
    /// From the attempt's start until all of the request had been taken from the caller and there was a connection
    /// for it; none while some of it was missing.
    pub sent: Option<Duration>,
    /// From the attempt's start until the first byte of the answer's head.
    pub first_byte: Option<Duration>,
    /// From the attempt's start until the answer's body ended, or the attempt did without one.
    pub ended: Option<Duration>,
}

/// How long each step of making a connection took; none for a step that was not needed or not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Looking up the host's name, or the corporate proxy's.
    pub dns: Option<Duration>,
    /// TCP, and the corporate proxy's CONNECT.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
}

/// One trip to LinkedIn.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it began, from the exchange's start.
    pub started: Duration,
    /// The token it carried.
    pub token: Option<TokenUsed>,
    /// Method as sent.
    pub method: Method,
    /// Absolute URL as sent, byte for byte.
    pub url: String,
    /// What was sent; none if nothing left.
    pub sent: Option<Head>,
    /// Bytes that left on the connection for this attempt, head and body.
    pub sent_bytes: u64,
    /// `HTTP/1.1` or `HTTP/2`.
    pub version: Version,
    /// Whether the connection had carried an exchange before.
    pub reused_connection: bool,
    /// The answer's status, if a head came.
    pub status: Option<StatusCode>,
    /// The answer's head, if one came.
    pub head: Option<Head>,
    /// Heads of 1xx answers that came before (RFC 9110 §15.2).
    pub informational: Vec<StatusCode>,
    /// The part of the answer's body that was kept.
    pub body: KeptBody,
    /// How it broke, if it did.
    pub broken: Option<(Broken, String)>,
    /// Where the time went.
    pub timings: Timings,
    /// What was done next and why: `sent again, because …`, `not sent again, because …`.
    pub then: Option<String>,
}

/// The caller as the records know it.
#[derive(Clone, Debug)]
pub struct CallerSeen {
    /// The caller's name.
    pub name: Name,
    /// Public id of the key it used.
    pub key_id: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_their_time_and_come_in_order() {
        // Later than the clock of any other test here.
        let micros = 4_102_444_800_123_456;
        let ids = [micros, micros, micros - 5_000_000, micros + 1_000].map(ExchangeId::at);

        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        assert_eq!(ids[0].0.get_version(), Some(uuid::Version::SortRand));
        assert_eq!(ids[0].0.get_variant(), uuid::Variant::RFC4122);
        for id in ids {
            let (secs, nanos) = id.0.get_timestamp().unwrap().to_unix();
            assert_eq!((secs, nanos / 10_000_000), (4_102_444_800, 12), "{id}");
        }
    }

    #[test]
    fn names_outside_the_alphabet_or_length_are_refused() {
        for (why, text, good) in [
            ("plain", "ada", true),
            ("all kinds", "Ada.L_2-x", true),
            ("64 long", &*"a".repeat(64), true),
            ("65 long", &*"a".repeat(65), false),
            ("empty", "", false),
            ("slash", "a/b", false),
            ("newline", "a\nb", false),
            ("not ascii", "adä", false),
        ] {
            assert_eq!(text.parse::<Name>().is_ok(), good, "{why}");
        }
    }

    #[test]
    fn a_kept_body_stops_at_its_limit_and_says_so() {
        let mut body = KeptBody::default();

        body.note(&Bytes::from_static(b"hello "), 8);
        body.note(&Bytes::from_static(b"world"), 8);

        assert_eq!(&*body.text(), b"hello wo");
        assert_eq!((body.bytes, body.truncated), (11, true));
        body.detach();
        assert_eq!((&*body.text(), body.kept()), (&b"hello wo"[..], 8));
    }
}
