//! One attempt: headers for LinkedIn, a connection from the pool, the answer's head.
//!
//! **Invariant:** host, port, SNI and `Host` come from the configuration alone; path and query are the
//! caller's bytes. Redirects are passed on, never followed; an answer of 101 never switches anything.
//! **Neighbours:** `backoff` calls it once per attempt and decides what a failure means.

use std::{future::poll_fn, pin::pin, rc::Rc, task::Poll, time::Duration};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING, VIA},
    uri::{PathAndQuery, Scheme},
};
use hyper::{body::Incoming, client::conn::TrySendError};
use tokio::time::Instant;

use crate::{
    credentials::Token,
    dial::{BaseUrl, DialError, chain},
    exchange::{Broken, HeaderList},
};

use super::{
    alarm::Late,
    answer::{Answer, AnswerBody, Streamed},
    exchange::{Admitted, Endpoint, Exchange},
    failure::Failure,
    headers::{self, Fate, HopNames, OurHop},
    replay::{BodyBroken, Pace, Replayed},
    thread::Thread,
};

mod local;
pub(crate) mod pool;
mod uploads;

use pool::{Lease, Pool};

/// One attempt to be made.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) exchange: Rc<Exchange>,
    pub(crate) token: Token,
}

impl Sending {
    /// The attempt made last, to be made once more.
    pub(crate) fn again(exchange: &Rc<Exchange>) -> Result<Self, Failure> {
        let trips = exchange.trips.borrow();
        let last = trips.last().ok_or(Failure::Internal)?;
        Ok(Self {
            exchange: Rc::clone(exchange),
            token: last.token.clone(),
        })
    }
}

/// How an attempt failed.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    /// What the caller is told if it is not sent again.
    pub(crate) failure: Failure,
    /// Proof that no byte of the request reached LinkedIn's application.
    pub(crate) nothing_sent: bool,
}

/// Makes one attempt; it ends in an answer of any status, or is lost.
pub(crate) async fn attempt(sending: Sending) -> Result<Answer, Lost> {
    let Sending { exchange, token } = sending;
    let thread = &exchange.thread;
    let Some(admitted) = exchange.admitted.get() else {
        return Err(Lost {
            failure: Failure::Internal,
            nothing_sent: true,
        });
    };
    let reason = exchange.next_reason.get();
    thread.shard.attempt(reason);
    let began = thread.alarm.look();
    let header = token.header.clone();
    exchange.begin_trip(began, token);

    let settings = &thread.settings.linkedin;
    let total = exchange.deadline.get();
    let limit = total.min(began + settings.attempt_time);
    let pool = thread.pool(admitted.endpoint);
    // Pinned here, so that only a reference is moved into what follows.
    let trip = pin!(round_trip(thread, &exchange, admitted, header, pool, began));
    let ended = thread
        .alarm
        .until_moving(|| exchange.moved(limit), trip)
        .await;

    let lost = match ended {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(lost)) => lost,
        Err(Late) => late(&exchange, began.elapsed()),
    };
    exchange.note_lost();
    exchange.end_trip();
    Err(lost)
}

async fn round_trip(
    thread: &Rc<Thread>,
    exchange: &Rc<Exchange>,
    admitted: &Admitted,
    token: HeaderValue,
    pool: &Pool,
    began: Instant,
) -> Result<Answer, Lost> {
    let mut lease = pool
        .take(exchange.class.is_write(), began, || exchange.time_steps())
        .await
        .map_err(|error| not_connected(exchange, &error))?;
    exchange.take_connection(&lease);
    let is_http2 = lease.is_http2();
    let request = build(thread, exchange, admitted, token, pool.target(), is_http2);
    match lease.send(request).await {
        Ok(response) => {
            let mut answer = pass_on(thread, exchange, lease, response)?;
            poll_fn(|task| {
                answer.body_mut().poll_first(task);
                Poll::Ready(())
            })
            .await;
            if is_http2 && !answer.body().has_come() {
                // It may yet break off.
                exchange.note_decoded(answer.headers());
            }
            if !uploads::are_told(thread, exchange, answer.status()) {
                return Ok(answer);
            }
            let began = Instant::now();
            let rewritten = Box::pin(uploads::rewrite(thread, exchange, answer)).await;
            exchange.add_linkedin_time(began.elapsed());
            Ok(rewritten)
        }
        Err(error) => Err(broken(exchange, lease, error)),
    }
}

/// Builds what LinkedIn gets.
fn build(
    thread: &Thread,
    exchange: &Exchange,
    admitted: &Admitted,
    token: HeaderValue,
    target: &BaseUrl,
    is_http2: bool,
) -> Request<Replayed> {
    let mut request = Request::new(exchange.body().again());
    *request.method_mut() = exchange.method.clone();
    *request.uri_mut() = uri(admitted, target, is_http2);
    *request.version_mut() = if is_http2 {
        Version::HTTP_2
    } else {
        Version::HTTP_11
    };
    *request.headers_mut() = build_headers(thread, exchange, admitted, token, is_http2);
    request
}

/// The headers that an attempt on HTTP/2 with `token` was sent with, for its record.
pub(crate) fn sent_headers(exchange: &Exchange, token: &Token) -> Option<HeaderList> {
    let admitted = exchange.admitted.get()?;
    let (thread, is_http2) = (&exchange.thread, true);
    let headers = build_headers(thread, exchange, admitted, token.header.clone(), is_http2);
    let list = HeaderList::of(&headers);
    thread.spare_maps.give(headers);
    Some(list)
}

/// The caller's headers in their order, ours in the place of theirs; the same each time.
fn build_headers(
    thread: &Thread,
    exchange: &Exchange,
    admitted: &Admitted,
    token: HeaderValue,
    is_http2: bool,
) -> HeaderMap {
    let mut headers = thread.spare_maps.take(exchange.headers.len() + 3);
    let out = &mut headers;
    let connection = HopNames::of(&exchange.headers, exchange.present.connection);
    let (mut has_host, mut token) = (is_http2, Some(token));
    for (name, value) in &exchange.headers {
        match headers::fate(name, &connection) {
            Fate::Kept => drop(out.append(headers::copied(name), value.clone())),
            Fate::Token => {
                if let Some(token) = token.take() {
                    out.append(AUTHORIZATION, token);
                }
            }
            Fate::Host if !has_host => {
                has_host = true;
                out.append(HOST, thread.host(admitted.endpoint));
            }
            Fate::Framing => frame(out, exchange, value, is_http2),
            Fate::Host | Fate::Dropped => {}
        }
    }
    if !has_host {
        out.insert(HOST, thread.host(admitted.endpoint));
    }
    if let Some(token) = token {
        out.insert(AUTHORIZATION, token);
    }
    if exchange.version == Version::HTTP_2 {
        join_cookies(out);
        frame_unframed(out, exchange, is_http2);
    }
    if thread.settings.linkedin.send_via {
        out.append(VIA, HeaderValue::from_static("1.1 linkgate"));
    }
    headers
}

/// The caller's framing becomes ours, in its place: exact length or chunked (RFC 9112 §6).
fn frame(out: &mut HeaderMap, exchange: &Exchange, value: &HeaderValue, is_http2: bool) {
    match exchange.body().length() {
        Some(_) if exchange.present.transfer_encoding => {}
        // HTTP/2 takes an empty length for 0; on HTTP/1 it would be malformed.
        Some(length) if value.is_empty() => drop(out.insert(CONTENT_LENGTH, length.into())),
        Some(_) => drop(out.insert(CONTENT_LENGTH, value.clone())),
        None if is_http2 => {}
        None => drop(out.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))),
    }
}

/// HTTP/2 lets a caller cut its `Cookie` into crumbs; nobody else knows them (RFC 9113 §8.2.3).
fn join_cookies(out: &mut HeaderMap) {
    let crumbs = out.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let crumbs: Vec<&[u8]> = crumbs.collect();
    if crumbs.len() < 2 {
        return;
    }
    if let Ok(mut whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        whole.set_sensitive(true);
        out.insert(COOKIE, whole);
    }
}

/// An HTTP/2 caller need not say how long its body is: what stands behind us must be told. LinkedIn
/// answers 411 to a POST without a length (RFC 9110 §8.6).
fn frame_unframed(out: &mut HeaderMap, exchange: &Exchange, is_http2: bool) {
    if out.contains_key(CONTENT_LENGTH) || out.contains_key(TRANSFER_ENCODING) {
        return;
    }
    let wants_length = [Method::POST, Method::PUT, Method::PATCH].contains(&exchange.method);
    match exchange.body().length() {
        Some(0) if wants_length => drop(out.insert(CONTENT_LENGTH, 0.into())),
        None if !is_http2 => {
            out.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Some(_) | None => {}
    }
}

/// HTTP/1 wants origin form, HTTP/2 the whole; path and query are the caller's bytes either way.
fn uri(admitted: &Admitted, target: &BaseUrl, is_http2: bool) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(with_prefix(target, &admitted.target));
    if is_http2 {
        parts.scheme = Some(if target.is_tls() {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        });
        parts.authority = Some(target.authority().clone());
    }
    Uri::from_parts(parts).unwrap_or_default()
}

fn with_prefix(target: &BaseUrl, path: &PathAndQuery) -> PathAndQuery {
    if target.path().is_empty() {
        return path.clone();
    }
    format!("{}{path}", target.path())
        .parse()
        .unwrap_or_else(|_| path.clone())
}

/// LinkedIn answered: its headers without one hop's, its body as it comes.
fn pass_on(
    thread: &Rc<Thread>,
    exchange: &Rc<Exchange>,
    lease: Lease,
    response: Response<Incoming>,
) -> Result<Answer, Lost> {
    let (mut parts, body) = response.into_parts();
    exchange.note_head(parts.status);
    let is_decoded = lease.is_http2();
    if is_decoded && exchange.is_worth_recording() {
        exchange.note_decoded(&parts.headers);
    }
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        exchange
            .with_trip(|trip| trip.broken = Some((Broken::Protocol, "101 answered".to_owned())));
        let failure = Failure::ProtocolError("it wants to switch protocols (101)");
        return Err(Lost {
            failure,
            nothing_sent: false,
        });
    }
    let ours = OurHop::of(exchange.version, &exchange.headers, exchange.present);
    headers::strip_hop(&mut parts.headers, ours, |whole| {
        if is_decoded {
            exchange.note_decoded(whole);
        }
    });
    parts.version = Version::HTTP_11;
    let reason = parts.extensions.remove::<hyper::ext::ReasonPhrase>();
    parts.extensions = http::Extensions::new();
    reason.map(|reason| parts.extensions.insert(reason));

    let pace = Pace::new(thread.pace(), &thread.alarm);
    let body = Streamed::new(body, lease, Rc::clone(exchange), pace, ours.takes_trailers);
    let body = AnswerBody::Streamed(Box::new(body));
    Ok(Response::from_parts(parts, body))
}

fn not_connected(exchange: &Exchange, error: &DialError) -> Lost {
    let broken = match error {
        DialError::Dns(_) => Broken::Dns,
        DialError::Connect(_) => Broken::Connect,
        DialError::Timeout(_) => Broken::ConnectTimeout,
        DialError::Tls(_) => Broken::Tls,
    };
    exchange.note_broken(broken, error.to_string());
    Lost {
        failure: Failure::Unreachable(broken),
        nothing_sent: true,
    }
}

/// Sorts out what a failed send means. Nothing was sent if hyper gives the request back, if the
/// connection's own counter did not move, or if LinkedIn said so on HTTP/2.
fn broken(exchange: &Exchange, lease: Lease, mut error: TrySendError<Request<Replayed>>) -> Lost {
    let came_back = error.take_message().is_some();
    let error = error.into_error();
    let refused = is_refused_stream(&error);
    let is_http2 = lease.is_http2();
    if refused || came_back {
        lease.retire();
    }
    let silent = !is_http2 && !exchange.has_sent_bytes();
    if let Some(body) = exchange.body().broken() {
        exchange.note_broken(Broken::RequestBody, body.to_string());
        return Lost {
            failure: of_body(body),
            nothing_sent: false,
        };
    }
    let kind = match () {
        () if refused => Broken::RefusedStream,
        () if is_no_http(&error) => Broken::Protocol,
        () => Broken::Cut,
    };
    exchange.note_broken(kind, chain(&error));
    let failure = match kind {
        Broken::Protocol => Failure::ProtocolError("it is no HTTP"),
        _ => Failure::Unreachable(kind),
    };
    Lost {
        failure,
        nothing_sent: refused || came_back || silent,
    }
}

fn of_body(body: BodyBroken) -> Failure {
    match body {
        BodyBroken::Cut => Failure::Malformed("its body broke off"),
        BodyBroken::TooSlow => Failure::RequestTimeout,
        BodyBroken::TooLarge => Failure::BodyTooLarge,
    }
}

/// A remote GOAWAY that leaves the stream out, or `REFUSED_STREAM`: not processed (RFC 9113 §8.7).
fn is_refused_stream(error: &hyper::Error) -> bool {
    http2_cause(error).is_some_and(|h2| {
        h2.is_remote() && (h2.is_go_away() || h2.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

/// What came is no HTTP, of either version.
fn is_no_http(error: &hyper::Error) -> bool {
    error.is_parse() || http2_cause(error).is_some_and(h2::Error::is_library)
}

/// What HTTP/2 itself had to say of an error.
pub(crate) fn http2_cause(error: &hyper::Error) -> Option<&h2::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(h2) = inner.downcast_ref::<h2::Error>() {
            return Some(h2);
        }
        cause = inner.source();
    }
    None
}

/// The attempt's or the exchange's time was over.
fn late(exchange: &Exchange, spent: Duration) -> Lost {
    if let Some(body) = exchange.body().broken() {
        exchange.note_broken(Broken::RequestBody, body.to_string());
        return Lost {
            failure: of_body(body),
            nothing_sent: false,
        };
    }
    let connected = exchange.is_connected();
    let nothing_sent = !connected || (!exchange.is_on_http2() && !exchange.has_sent_bytes());
    let kind = if connected {
        Broken::Timeout
    } else {
        Broken::ConnectTimeout
    };
    exchange.note_broken(kind, format!("no answer within {} ms", spent.as_millis()));
    let failure = if connected {
        Failure::LinkedInTimeout
    } else {
        Failure::Unreachable(kind)
    };
    Lost {
        failure,
        nothing_sent,
    }
}

/// The member's attempts go to one of two hosts.
impl Endpoint {
    pub(crate) fn of(path: &str) -> Self {
        if path.starts_with("/dms-uploads/") {
            Self::Uploads
        } else {
            Self::Api
        }
    }
}
