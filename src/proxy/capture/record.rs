//! From an exchange's notes to an incident.
//!
//! What is handed over ends on the writer's thread, so that an allocation goes through the allocator's slow ways on
//! both: 300 instructions here, 250 there.

use std::{
    fmt::{self, Write as _},
    mem::take,
    ops::Range,
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use tokio::time::Instant;

use crate::{
    credentials::Verdict,
    exchange::{Attempt, Fault, HeaderList, KeptBody, Outcome},
    incident::{AnswerGiven, Incident, Kind, RequestSeen},
};

use super::super::{
    exchange::{Admitted, Exchange},
    failure::Failure,
    thread::Thread,
};
use super::awaited::Written;

/// What the caller was given, as far as it got.
#[derive(Debug)]
pub(super) struct Given {
    status: StatusCode,
    headers: HeaderList,
    pub(super) body: KeptBody,
}

impl Given {
    pub(super) fn head(status: StatusCode, headers: HeaderList) -> Self {
        Self {
            status,
            headers,
            body: KeptBody::default(),
        }
    }
}

/// Hands the exchange's incident to the log; none if that was done before.
pub(super) fn hand_over(
    thread: &Thread,
    exchange: &Exchange,
    kind: Kind,
    given: Option<Given>,
) -> Option<Written> {
    if exchange.is_recorded.replace(true) {
        return None;
    }
    let incident = incident(thread, exchange, kind, given);
    thread.shard.incident(incident.fault);
    let (ticket, written) = thread.awaited.ticket();
    thread.recorder.record_for(ticket, incident);
    Some(written)
}

/// The record may wait for a slow disk: its weight in memory shall be what the log counts, so bodies are copied out of
/// what they were read into.
fn incident(
    thread: &Thread,
    exchange: &Exchange,
    kind: Kind,
    mut given: Option<Given>,
) -> Incident {
    let now = thread.alarm.look();
    let (head, target) = exchange.request_head();
    let failure = exchange.failure.borrow();
    let failure = failure.as_ref();
    let member = exchange.member();
    let secrets = secrets(exchange);
    let mut body = exchange.body().seen();
    body.detach();
    let mut attempts = attempts(thread, exchange, now);
    attempts
        .iter_mut()
        .for_each(|attempt| attempt.body.detach());
    if let Some(given) = &mut given {
        given.body.detach();
    }
    if let (Some(last), Some(given), None) = (attempts.last_mut(), &given, failure) {
        // What the caller got is what LinkedIn's last answer held.
        last.body = given.body.clone();
    }
    Incident {
        id: exchange.id,
        started_micros: exchange.started_micros,
        took: now.saturating_duration_since(exchange.started),
        fault: exchange
            .verdict
            .get()
            .and_then(|verdict| blamed(verdict))
            .filter(|_| kind == Kind::Failed)
            .unwrap_or_else(|| fault(kind, failure, given.as_ref(), &attempts)),
        kind,
        code: failure.map(Failure::code),
        linkedin_code: None,
        verdict: verdict(kind, exchange, failure, &attempts),
        verdict_by_code: given
            .as_ref()
            .filter(|_| kind == Kind::Failed && failure.is_none())
            .and_then(|given| missing_scope(thread, exchange, given)),
        caller: exchange.caller(),
        member: member.cloned(),
        member_urn: member.and_then(|member| thread.credentials.urn(member)),
        client_id: member.and_then(|member| thread.credentials.client_id(&member.application)),
        data_key: member.and_then(|member| thread.credentials.data_key(member)),
        secrets,
        request: RequestSeen {
            method: exchange.method.clone(),
            target,
            version: exchange.version,
            head,
            body,
        },
        attempts,
        answer: given.map(|given| AnswerGiven {
            status: given.status,
            headers: given.headers,
            body: given.body,
        }),
        outcome: exchange.outcome.get(),
    }
}

fn attempts(thread: &Thread, exchange: &Exchange, now: Instant) -> Vec<Attempt> {
    let mut trips = exchange.trips.borrow_mut();
    let admitted = exchange.admitted.get();
    let mut url = admitted.map_or_else(String::new, |admitted| url(thread, admitted));
    let mut token_before = std::time::Duration::ZERO;
    let mut left = trips.len();
    // The room of the trips stays, and serves the next exchange.
    let trips = trips.drain(..).map(|trip| {
        left -= 1;
        let url = match left {
            0 => take(&mut url),
            _ => url.clone(),
        };
        let before = std::mem::replace(&mut token_before, trip.token_before);
        trip.into_attempt(exchange, url, before, now)
    });
    trips.collect()
}

/// The absolute URL as it was sent.
fn url(thread: &Thread, admitted: &Admitted) -> String {
    let (base, target) = (
        thread.pool(admitted.endpoint).target(),
        admitted.target.as_str(),
    );
    let mut url = String::with_capacity(USUAL_BASE + target.len());
    // Writing to a string does not fail.
    write!(url, "{base}").unwrap_or_default();
    url.push_str(target);
    url
}

/// Room for `https://api.linkedin.com`.
const USUAL_BASE: usize = 32;

/// The exchange's own secrets: tokens it carried, and what the caller presented.
pub(super) fn secrets(exchange: &Exchange) -> Vec<Bytes> {
    let (trips, presented) = (exchange.trips.borrow(), exchange.presented.borrow());
    let carried = trips.iter().filter_map(|trip| shared(&trip.token.header));
    let presented = presented.iter().filter_map(|presented| {
        let bare = bare(presented)?;
        Some(presented.slice(bare))
    });
    let asked = exchange.headers.get_all(AUTHORIZATION).iter().take(2);
    let asked = asked.filter_map(|value| {
        // A copy: the header itself pins the buffer that the whole head was read into.
        let bare = value.as_bytes().get(bare(value.as_bytes())?)?;
        Some(Bytes::copy_from_slice(bare))
    });
    carried.chain(presented).chain(asked).collect()
}

/// The secret in a header that is shared with the grant: a copy of a token of 1,000 bytes would be one more to wipe.
fn shared(header: &HeaderValue) -> Option<Bytes> {
    let bare = bare(header.as_bytes())?;
    Some(Bytes::from_owner(header.clone()).slice(bare))
}

/// Where the secret itself stands: without its scheme and without `~NAME`. Shorter ones would redact prose.
fn bare(secret: &[u8]) -> Option<Range<usize>> {
    let start = memchr::memrchr(b' ', secret).map_or(0, |space| space + 1);
    let token = secret.get(start..)?;
    let length = memchr::memchr(b'~', token).unwrap_or(token.len());
    (length >= 12).then_some(start..start + length)
}

/// A 403 may say by its own code that a scope is missing, and nobody need be asked: what is to be said then.
fn missing_scope(
    thread: &Thread,
    exchange: &Exchange,
    given: &Given,
) -> Option<(&'static str, String)> {
    // A verdict that is there already is LinkedIn's own word.
    let is_open = given.status == StatusCode::FORBIDDEN && exchange.verdict.get().is_none();
    let member = exchange.member().filter(|_| is_open)?;
    let said = thread
        .credentials
        .plain_verdict(member, 403, Some(ACCESS_DENIED))?;
    (said != Verdict::Unknown).then(|| ("100", said.to_string()))
}

/// LinkedIn's `serviceErrorCode` of a scope that is missing (linkedin.md §3).
const ACCESS_DENIED: u32 = 100;

/// Whose fault it is, where that is not what the status says.
fn blamed(verdict: &Verdict) -> Option<Fault> {
    match verdict {
        Verdict::RefusedThoughIssued => Some(Fault::LinkedIn),
        Verdict::TokenVerification { .. } => Some(Fault::Member),
        Verdict::MisconfiguredSecret => Some(Fault::Gateway),
        _ => None,
    }
}

fn fault(
    kind: Kind,
    failure: Option<&Failure>,
    given: Option<&Given>,
    attempts: &[Attempt],
) -> Fault {
    if kind == Kind::CallerLeft {
        return Fault::Caller;
    }
    if let Some(failure) = failure {
        return failure.fault();
    }
    let status = given.map_or(StatusCode::OK, |given| given.status);
    let first = attempts.first().and_then(|attempt| attempt.status);
    match (status.as_u16(), first.map(|status| status.as_u16())) {
        (401, _) => Fault::Member,
        (429 | 500.., _) => Fault::LinkedIn,
        (400..429 | 430..500, _) => Fault::Caller,
        (_, Some(401)) if kind == Kind::Recovered => Fault::Member,
        _ => Fault::LinkedIn,
    }
}

/// One sentence for support.
fn verdict(
    kind: Kind,
    exchange: &Exchange,
    failure: Option<&Failure>,
    attempts: &[Attempt],
) -> String {
    let fate = match exchange.outcome.get() {
        Outcome::Unknown if exchange.class.is_write() => "; whether it was processed is not known",
        _ => "",
    };
    let last = attempts.last().and_then(|attempt| attempt.status);
    let answered = Answered(last);
    match (kind, failure) {
        (Kind::CallerLeft, _) => format!("the caller left before its answer; {answered}{fate}"),
        (Kind::Cut, _) => format!("the answer broke off on its way to the caller{fate}"),
        (Kind::Recovered, _) => format!("recovered after {} attempts: {answered}", attempts.len()),
        (Kind::Failed | Kind::SelfTest, Some(failure)) => format!("{}{fate}", failure.advice()),
        (Kind::Failed | Kind::SelfTest, None) => match exchange.verdict.get() {
            Some(said) => format!("{answered}; it was passed on unchanged{fate}; {said}"),
            None => format!("{answered}; it was passed on unchanged{fate}"),
        },
    }
}

/// How LinkedIn answered last, in words.
struct Answered(Option<StatusCode>);

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no answer had come"),
            Some(status) => write!(f, "LinkedIn answered {}", status.as_str()),
        }
    }
}
