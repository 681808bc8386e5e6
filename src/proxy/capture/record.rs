//! From an exchange's notes to an incident.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};

use crate::{
    credentials::Verdict,
    exchange::{Attempt, Fault, KeptBody, Outcome},
    incident::{AnswerGiven, Incident, Kind, RequestSeen, Written},
};

use super::super::{
    authorize::service_error_code,
    exchange::{Exchange, Trip},
    failure::Failure,
    thread::Thread,
};

/// What the caller was given, as far as it got.
#[derive(Debug)]
pub(super) struct Given {
    status: StatusCode,
    headers: HeaderMap,
    pub(super) body: KeptBody,
}

impl Given {
    pub(super) fn head(status: StatusCode, headers: HeaderMap) -> Self {
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
    Some(thread.recorder.record(incident))
}

/// The record may wait for a slow disk: its weight in memory shall be what the log counts, so bodies are copied out of
/// what they were read into.
fn incident(
    thread: &Thread,
    exchange: &Exchange,
    kind: Kind,
    mut given: Option<Given>,
) -> Incident {
    let (head, target) = exchange.request_head();
    let failure = exchange.failure.borrow().clone();
    let member = exchange.member();
    let secrets = secrets(exchange);
    let mut body = exchange.body().seen();
    body.detach();
    let mut attempts = attempts(thread, exchange);
    attempts
        .iter_mut()
        .for_each(|attempt| attempt.body.detach());
    if let Some(given) = &mut given {
        given.body.detach();
    }
    if let (Some(last), Some(given), None) = (attempts.last_mut(), &given, &failure) {
        // What the caller got is what LinkedIn's last answer held.
        last.body = given.body.clone();
    }
    note_missing_scope(
        thread,
        exchange,
        given.as_ref().filter(|_| failure.is_none()),
    );
    Incident {
        id: exchange.id,
        started_micros: exchange.started_micros,
        took: exchange.started.elapsed(),
        fault: exchange
            .verdict
            .get()
            .and_then(|verdict| blamed(verdict))
            .filter(|_| kind == Kind::Failed)
            .unwrap_or_else(|| fault(kind, failure.as_ref(), given.as_ref(), &attempts)),
        kind,
        code: failure.as_ref().map(Failure::code),
        linkedin_code: None,
        verdict: verdict(kind, exchange, failure.as_ref(), &attempts),
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

fn attempts(thread: &Thread, exchange: &Exchange) -> Vec<Attempt> {
    let trips = std::mem::take(&mut *exchange.trips.borrow_mut());
    let url = exchange
        .admitted
        .get()
        .map_or_else(String::new, |admitted| {
            format!(
                "{}{}",
                thread.pool(admitted.endpoint).target(),
                admitted.target
            )
        });
    let mut token_before = std::time::Duration::ZERO;
    trips
        .into_iter()
        .map(|trip| {
            let before = std::mem::replace(&mut token_before, trip.token_before);
            trip.into_attempt(exchange, url.clone(), before)
        })
        .collect()
}

/// The exchange's own secrets: tokens it carried, and what the caller presented.
pub(super) fn secrets(exchange: &Exchange) -> Vec<Bytes> {
    let trips = exchange.trips.borrow();
    let carried = |trip: &Trip| Bytes::copy_from_slice(trip.token.header.as_bytes());
    let mut secrets: Vec<Bytes> = trips.iter().map(carried).collect();
    secrets.extend(exchange.presented.borrow().iter().cloned());
    for value in exchange.headers.get_all(AUTHORIZATION).iter().take(2) {
        secrets.push(Bytes::copy_from_slice(value.as_bytes()));
    }
    secrets.iter().filter_map(bare).collect()
}

/// The secret itself: without its scheme and without `~NAME`. Shorter ones would redact prose.
fn bare(secret: &Bytes) -> Option<Bytes> {
    let start = memchr::memrchr(b' ', secret).map_or(0, |space| space + 1);
    let token = secret.get(start..)?;
    let token = token.get(..memchr::memchr(b'~', token).unwrap_or(token.len()))?;
    (token.len() >= 12).then(|| secret.slice_ref(token))
}

/// A 403 says by its own code that a scope is missing: nobody need be asked.
fn note_missing_scope(thread: &Thread, exchange: &Exchange, given: Option<&Given>) {
    let forbidden = given.filter(|given| given.status == StatusCode::FORBIDDEN);
    let (Some(given), Some(member)) = (forbidden, exchange.member()) else {
        return;
    };
    let body = given.body.chunks.concat().into();
    let Some(code) = service_error_code(&given.headers, &body) else {
        return;
    };
    let said = thread.credentials.plain_verdict(member, 403, Some(code));
    if let Some(verdict) = said.filter(|said| *said != Verdict::Unknown) {
        // One that is there already was LinkedIn's own word.
        exchange.verdict.get_or_init(|| Box::new(verdict));
    }
}

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
    let answered = last.map_or_else(
        || "no answer had come".to_owned(),
        |status| format!("LinkedIn answered {}", status.as_u16()),
    );
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
