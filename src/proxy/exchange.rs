//! The exchange under way: what the layers of the path share about one caller request.
//!
//! One `Rc` on one thread. Layers note facts here; `capture` reads them at the end and turns them
//! into metrics and, where it is worth keeping, into an incident.
//!
//! **Invariant:** nothing here is copied for the record while all goes well: heads stay in the
//! connections' taps until something fails.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, Method, StatusCode, Uri, Version,
    uri::{Authority, PathAndQuery},
};
use tokio::time::Instant;

use crate::{
    callers::Key,
    credentials::{Refused, Token, Verdict},
    dial::Timed,
    exchange::{
        Attempt, Broken, CallerSeen, ExchangeId, Head, HeaderList, KeptBody, Member, Outcome,
        Timings, TokenUsed,
    },
    metrics::AttemptReason,
};

use super::{
    admit::Familiar,
    dispatch::{pool::Lease, sent_headers},
    failure::Failure,
    head_tap::{Tap, request_line},
    headers::Present,
    repeat::Class,
    replay::Replay,
    thread::{InFlight, Thread},
};

/// One caller request and all that is done to answer it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) id: ExchangeId,
    pub(crate) started: Instant,
    pub(crate) started_micros: i64,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// Which of those that we ask about are among them.
    pub(crate) present: Present,
    /// The caller's connection; its tap holds the request's head until the exchange ends.
    pub(crate) tap: Rc<Tap>,
    /// What is known of that connection from the requests before.
    pub(crate) familiar: Rc<Familiar>,
    pub(crate) class: Class,
    /// Set by `admit`.
    pub(crate) admitted: OnceCell<Admitted>,
    /// Secrets the caller presented that are no known key: redacted by value all the same.
    pub(crate) presented: RefCell<Vec<Bytes>>,
    /// Total time is up at this moment.
    pub(crate) deadline: Cell<Instant>,
    /// The request's body; set by `replay`.
    pub(crate) body: OnceCell<Replay>,
    /// The connection is to be closed after this exchange.
    pub(crate) closes: Cell<bool>,
    pub(crate) trips: RefCell<Vec<Trip>>,
    /// Why the next attempt will be made.
    pub(crate) next_reason: Cell<AttemptReason>,
    pub(crate) caller_left: Cell<bool>,
    /// What became of it, once that is known to differ from [`Outcome::Answered`].
    pub(crate) outcome: Cell<Outcome>,
    /// Time that was LinkedIn's: attempts until their heads, waits it asked for.
    pub(crate) linkedin_time: Cell<Duration>,
    /// Time spent waiting for a token.
    pub(crate) token_time: Cell<Duration>,
    /// Waited by us since the last attempt.
    pub(crate) waited: Cell<Duration>,
    /// The rest, once it was asked for.
    pub(crate) own_time: Cell<Option<Duration>>,
    /// Why the answer is our own, if it is.
    pub(crate) failure: RefCell<Option<Failure>>,
    /// What LinkedIn said of the token, where it was asked.
    pub(crate) verdict: OnceCell<Box<Verdict>>,
    /// Which disconnects of members it has looked at ([`Thread::is_logged_out`]).
    ///
    /// [`Thread::is_logged_out`]: super::thread::Thread::is_logged_out
    pub(crate) logouts: Cell<u32>,
    /// Whether its incident has been handed over.
    pub(crate) is_recorded: Cell<bool>,
    /// Counts it as under way; none if there are too many.
    pub(crate) in_flight: Option<InFlight>,
    pub(crate) thread: Rc<Thread>,
}

impl Drop for Exchange {
    /// The exchange is over: the next bytes on the caller's connection begin a new head.
    fn drop(&mut self) {
        self.tap.begin(self.thread.alarm.last_look());
        if self.closes.get() {
            self.tap.set_last();
        }
        let headers = std::mem::take(&mut self.headers);
        self.thread.spare_maps.give(headers);
        self.thread.take_room(std::mem::take(self.trips.get_mut()));
    }
}

/// What `admit` found out.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) key: Arc<Key>,
    pub(crate) member: Member,
    /// Path and query for LinkedIn, byte for byte.
    pub(crate) target: PathAndQuery,
    pub(crate) endpoint: Endpoint,
    /// What [`crate::credentials::Credentials::token`] said; taken by `authorize`.
    pub(crate) token: RefCell<Option<Result<Option<Token>, Refused>>>,
}

/// Which of LinkedIn's hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `linkedin.api_url`.
    Api,
    /// `linkedin.uploads_url`, for `/dms-uploads/**` alone.
    Uploads,
}

/// An attempt as the path keeps it: cheap while all goes well.
#[derive(Debug)]
pub(crate) struct Trip {
    pub(crate) began: Instant,
    pub(crate) token: Token,
    /// The connection, once there is one.
    pub(crate) tap: Option<Rc<Tap>>,
    pub(crate) is_http2: bool,
    pub(crate) is_reused: bool,
    /// The connection's byte counter when the attempt took it.
    pub(crate) written_before: u64,
    /// Waited by us before it.
    pub(crate) waited: Duration,
    /// Waited for tokens in the whole exchange, when it began.
    pub(crate) token_before: Duration,
    /// How long making its connection took, if one was made.
    pub(crate) steps: Option<Timed>,
    pub(crate) connected: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    /// When it was over, if another thing came behind it.
    pub(crate) ended: Option<Duration>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) broken: Option<(Broken, String)>,
    pub(crate) then: Option<String>,
    pub(crate) informational: Vec<StatusCode>,
    pub(crate) body: KeptBody,
    /// Heads, copied out once the attempt turned out to be worth recording.
    pub(crate) kept: Option<Box<KeptHeads>>,
    /// HTTP/2 only: the headers as they came, where a record may ask for them.
    pub(crate) answer_headers: Option<HeaderList>,
}

/// What was copied out of a connection's tap before it went on to serve others.
#[derive(Debug, Default)]
pub(crate) struct KeptHeads {
    pub(crate) sent: Option<Head>,
    pub(crate) answer: Option<Head>,
    pub(crate) sent_bytes: u64,
}

impl Trip {
    pub(crate) fn new(
        began: Instant,
        token: Token,
        waited: Duration,
        token_before: Duration,
    ) -> Self {
        Self {
            began,
            token,
            waited,
            token_before,
            steps: None,
            ended: None,
            tap: None,
            is_http2: false,
            is_reused: false,
            written_before: 0,
            connected: None,
            first_byte: None,
            status: None,
            broken: None,
            then: None,
            informational: Vec::new(),
            body: KeptBody::default(),
            kept: None,
            answer_headers: None,
        }
    }

    /// Bytes that left on the connection for this attempt. HTTP/2 connections are shared: there the
    /// counter of the connection says "possibly".
    pub(crate) fn sent_bytes(&self) -> u64 {
        match (&self.kept, &self.tap) {
            (Some(kept), _) => kept.sent_bytes,
            (None, Some(tap)) => tap.bytes_written().saturating_sub(self.written_before),
            (None, None) => 0,
        }
    }

    /// Copies the heads out of the tap, before the connection serves the next exchange. HTTP/2 has none
    /// there: what was sent is told by building it again.
    pub(crate) fn keep_heads(&mut self, exchange: &Exchange) {
        if self.kept.is_some() {
            return;
        }
        let sent_bytes = self.sent_bytes();
        let on_wire = self.tap.take().filter(|_| !self.is_http2);
        self.informational = on_wire
            .as_ref()
            .map(|tap| tap.informational())
            .unwrap_or_default();
        let sent = match &on_wire {
            Some(tap) if sent_bytes > 0 => tap.written_head().map(Head::Wire),
            None if self.is_http2 => sent_headers(exchange, &self.token).map(Head::Decoded),
            Some(_) | None => None,
        };
        let answer = match (&on_wire, self.status) {
            (Some(tap), Some(_)) => tap.read_head().map(Head::Wire),
            _ => None,
        };
        self.kept = Some(Box::new(KeptHeads {
            sent,
            answer: answer.or_else(|| self.answer_headers.take().map(Head::Decoded)),
            sent_bytes,
        }));
    }

    /// Until the request was whole, and there was a connection for it.
    fn sent(&self, exchange: &Exchange) -> Option<Duration> {
        let body = exchange.body();
        let connected = self.connected.filter(|_| body.is_through())?;
        let came = body.came();
        let came = came.map(|came| came.saturating_duration_since(self.began));
        Some(connected.max(came.unwrap_or_default()))
    }

    /// The attempt as the record knows it; `token_before` is what had been waited for tokens before the
    /// attempt in front of it.
    pub(crate) fn into_attempt(
        mut self,
        exchange: &Exchange,
        url: String,
        token_before: Duration,
        now: Instant,
    ) -> Attempt {
        self.keep_heads(exchange);
        let timings = Timings {
            waited: self.waited,
            token: self.token_before.saturating_sub(token_before),
            steps: self.steps.as_ref().map(Timed::steps),
            connected: self.connected,
            sent: self.sent(exchange),
            first_byte: self.first_byte,
            ended: Some(
                self.ended
                    .unwrap_or(now.saturating_duration_since(self.began)),
            ),
        };
        let kept = *self.kept.unwrap_or_default();
        let now_secs = exchange.started_micros / 1_000_000;
        Attempt {
            started: self.began.saturating_duration_since(exchange.started),
            token: Some(TokenUsed {
                fingerprint: Arc::clone(self.token.fingerprint.as_arc()),
                age_secs: self
                    .token
                    .issued_at
                    .map(|issued| (now_secs - issued).max(0)),
            }),
            method: exchange.method.clone(),
            url,
            sent: kept.sent,
            sent_bytes: kept.sent_bytes,
            version: if self.is_http2 {
                Version::HTTP_2
            } else {
                Version::HTTP_11
            },
            reused_connection: self.is_reused,
            status: self.status,
            head: kept.answer,
            informational: self.informational,
            body: self.body,
            broken: self.broken,
            timings,
            then: self.then,
        }
    }
}

impl Exchange {
    /// Whether `head`, as it stands in the tap, is this request's: with pipelining it need not be.
    pub(crate) fn is_own_head(&self, head: &[u8]) -> bool {
        self.is_line_of(head)
            || request_line(head).is_some_and(|(method, target)| {
                method == self.method.as_str().as_bytes() && begins_with_target(target, &self.uri)
            })
    }

    /// Whether `head` begins with just what hyper understood as the request line, nothing cut off: the
    /// usual case, told by comparing alone.
    pub(crate) fn is_line_of(&self, head: &[u8]) -> bool {
        let target = self.uri.path_and_query().map_or("", PathAndQuery::as_str);
        let rest = head.strip_prefix(self.method.as_str().as_bytes());
        let rest = rest.and_then(|rest| rest.strip_prefix(b" "));
        let rest = rest.and_then(|rest| rest.strip_prefix(target.as_bytes()));
        rest.is_some_and(|rest| rest.starts_with(b" HTTP/1."))
    }

    /// The request's head for the record, and its target as it stood on the request line.
    pub(crate) fn request_head(&self) -> (Head, Bytes) {
        let on_wire = self.tap.read_head().filter(|head| self.is_own_head(head));
        match on_wire {
            Some(head) => {
                let target = request_line(&head).map(|(_, target)| head.slice_ref(target));
                let target = target.unwrap_or_default();
                (Head::Wire(head), target)
            }
            None => {
                let headers = HeaderList::of(&self.headers);
                (Head::Decoded(headers), self.decoded_target())
            }
        }
    }

    /// HTTP/2 takes the authority from the target: it is told where it is not simply our own.
    fn decoded_target(&self) -> Bytes {
        let authority = self.uri.authority().map(Authority::as_str);
        let is_ours = authority.is_some_and(|authority| self.thread.hosts.are_ours(authority));
        match self.uri.path_and_query() {
            Some(path) if is_ours && self.version == Version::HTTP_2 => path.to_string().into(),
            _ => self.uri.to_string().into(),
        }
    }

    /// The member the call is for; none before `admit`.
    pub(crate) fn member(&self) -> Option<&Member> {
        self.admitted.get().map(|admitted| &admitted.member)
    }

    /// Who called, for a record; none before `admit`.
    pub(crate) fn caller(&self) -> Option<CallerSeen> {
        self.admitted.get().map(|admitted| CallerSeen {
            name: admitted.key.caller.clone(),
            key_id: admitted.key.id.clone(),
        })
    }

    /// Begins an attempt.
    pub(crate) fn begin_trip(&self, began: Instant, token: Token) {
        let trip = Trip::new(began, token, self.waited.take(), self.token_time.get());
        self.trips.borrow_mut().push(trip);
    }

    /// The attempt is over, and something else comes behind it.
    pub(crate) fn end_trip(&self) {
        self.with_trip(|trip| {
            trip.ended.get_or_insert_with(|| trip.began.elapsed());
        });
    }

    /// A connection is made for the attempt: takes down how long that takes.
    pub(crate) fn time_steps(&self) -> Timed {
        let steps = Timed::default();
        self.with_trip(|trip| trip.steps = Some(steps.clone()));
        steps
    }

    /// Notes a wait of ours before the next attempt. It is LinkedIn's doing, and so its time.
    pub(crate) fn note_wait(&self, wait: Duration) {
        self.waited.set(self.waited.get() + wait);
        self.add_linkedin_time(wait);
    }

    /// The attempt has a connection.
    pub(crate) fn take_connection(&self, lease: &Lease) {
        let tap = lease.tap();
        if !lease.is_http2() {
            tap.begin(lease.taken);
        }
        self.with_trip(|trip| {
            trip.connected = Some(lease.taken.saturating_duration_since(trip.began));
            trip.is_http2 = lease.is_http2();
            trip.is_reused = lease.is_reused;
            trip.written_before = tap.bytes_written();
            trip.tap = Some(tap);
        });
    }

    /// The answer's head came; what follows is no time of LinkedIn's any more.
    pub(crate) fn note_head(&self, status: StatusCode) {
        self.with_trip(|trip| {
            let first_byte = match &trip.tap {
                // Its tap looked at the clock when the head began.
                Some(tap) if !trip.is_http2 => tap.since().saturating_duration_since(trip.began),
                Some(_) | None => trip.began.elapsed(),
            };
            self.add_linkedin_time(first_byte);
            trip.first_byte = Some(first_byte);
            trip.status = Some(status);
        });
    }

    /// The answer's headers as HTTP/2 decoded them: no tap holds them.
    pub(crate) fn note_decoded(&self, headers: &HeaderMap) {
        self.with_trip(|trip| {
            trip.answer_headers
                .get_or_insert_with(|| HeaderList::of(headers));
        });
    }

    /// The attempt broke; its heads are copied out while its connection is still at hand.
    pub(crate) fn note_broken(&self, broken: Broken, text: String) {
        self.with_trip(|trip| {
            trip.broken = Some((broken, text));
            trip.keep_heads(self);
        });
    }

    /// The attempt under way was given up because the caller left.
    pub(crate) fn note_abandoned(&self) {
        let is_open = self.class.is_write() && self.has_sent_bytes();
        self.with_trip(|trip| {
            if trip.status.is_none() && trip.broken.is_none() {
                trip.broken = Some((Broken::Abandoned, "the caller left".to_owned()));
                if is_open {
                    self.outcome.set(Outcome::Unknown);
                }
            }
            trip.keep_heads(self);
        });
    }

    /// The attempt under way ended without an answer's head.
    pub(crate) fn note_lost(&self) {
        let spent = self.trips.borrow().last().and_then(|trip| {
            let headless = trip.first_byte.is_none();
            headless.then(|| trip.began.elapsed())
        });
        self.add_linkedin_time(spent.unwrap_or_default());
    }

    /// Says what was done after the attempt, and why.
    pub(crate) fn note_then(&self, then: String) {
        self.with_trip(|trip| trip.then = Some(then));
    }

    /// Whether the attempt under way got a connection.
    pub(crate) fn is_connected(&self) -> bool {
        self.trips
            .borrow()
            .last()
            .is_some_and(|trip| trip.connected.is_some())
    }

    /// How LinkedIn answered last; 200 if it did not.
    pub(crate) fn last_status(&self) -> StatusCode {
        let trips = self.trips.borrow();
        trips
            .last()
            .and_then(|trip| trip.status)
            .unwrap_or_default()
    }

    /// Whether the attempt under way is on HTTP/2.
    pub(crate) fn is_on_http2(&self) -> bool {
        self.trips.borrow().last().is_some_and(|trip| trip.is_http2)
    }

    /// Whether something happened that makes a record likely: the heads are copied in time.
    pub(crate) fn is_worth_recording(&self) -> bool {
        let trips = self.trips.borrow();
        let failed = |trip: &Trip| trip.status.is_none_or(|status| status.as_u16() >= 400);
        trips.len() > 1 || trips.last().is_some_and(failed) || self.caller_left.get()
    }

    /// Changes the trip under way.
    pub(crate) fn with_trip(&self, change: impl FnOnce(&mut Trip)) {
        if let Some(trip) = self.trips.borrow_mut().last_mut() {
            change(trip);
        }
    }

    /// Whether the trip under way has sent anything.
    pub(crate) fn has_sent_bytes(&self) -> bool {
        self.trips
            .borrow()
            .last()
            .is_some_and(|trip| trip.sent_bytes() > 0)
    }

    /// The request's body; empty before `replay` took it over.
    pub(crate) fn body(&self) -> Replay {
        self.body.get().cloned().unwrap_or_default()
    }

    /// `base`, moved by the time in which body bytes flowed.
    pub(crate) fn moved(&self, base: Instant) -> Instant {
        self.body.get().map_or(base, |body| body.moved(base))
    }

    /// When the total time is over.
    pub(crate) fn deadline(&self) -> Instant {
        self.moved(self.deadline.get())
    }

    /// Time left until the deadline.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// Time spent in Linkgate itself until the answer's head; measured once, when first asked for.
    pub(crate) fn own_time(&self) -> Duration {
        let measure = || {
            let others = self.linkedin_time.get() + self.token_time.get();
            self.started.elapsed().saturating_sub(others)
        };
        let own = self.own_time.get().unwrap_or_else(measure);
        self.own_time.set(Some(own));
        own
    }

    /// Adds to the time that was not ours.
    pub(crate) fn add_linkedin_time(&self, spent: Duration) {
        self.linkedin_time.set(self.linkedin_time.get() + spent);
    }
}

/// hyper cuts a fragment off, so the wire's target may be longer than what it understood.
fn begins_with_target(target: &[u8], uri: &Uri) -> bool {
    match uri.scheme_str() {
        None => {
            let understood = uri
                .path_and_query()
                .map_or(uri.path(), PathAndQuery::as_str);
            target.starts_with(understood.as_bytes())
        }
        Some(scheme) => target
            .get(..scheme.len())
            .is_some_and(|s| s.eq_ignore_ascii_case(scheme.as_bytes())),
    }
}
