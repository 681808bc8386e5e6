//! An incident as it stands in the log: names, order and meaning of every field, redacted.
//!
//! **Invariant:** all text that came from outside goes through the [`Redactor`] here, field by field;
//! there is no second way into a line.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    AnswerGiven, Incident, RequestSeen, Settings,
    body::{self, BodyNote, Keep},
    redact::{End, Redaction, Redactor},
    wire::{self, Line},
};
use crate::exchange::{Attempt, template};

/// Version of the record's form.
pub(super) const VERSION: u8 = 1;

/// The line of one exchange.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    v: u8,
    id: String,
    pub(super) seq: u64,
    time: String,
    took_ms: f64,
    fault: &'static str,
    kind: &'static str,
    signature: String,
    code: Option<&'static str>,
    linkedin_code: Option<String>,
    verdict: String,
    caller: Option<String>,
    key_id: Option<String>,
    member: Option<MemberSeen>,
    application: Option<ApplicationSeen>,
    request: Request,
    attempts: Vec<AttemptMade>,
    answer: Option<Answer>,
    outcome: &'static str,
    linkedin: Option<LinkedInIds>,
    gateway: Gateway,
    /// Whether headers were cut because the line would have been too long to read back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shortened: bool,
}

#[derive(Debug, Serialize)]
struct MemberSeen {
    name: Option<String>,
    urn: Option<String>,
}

#[derive(Debug, Serialize)]
struct ApplicationSeen {
    name: String,
    client_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct Request {
    method: String,
    url: String,
    version: String,
    #[serde(flatten)]
    head: HeadersSeen,
    body: BodyNote,
}

/// Every header line in order, names and values as they stood.
#[derive(Debug, Default, Serialize)]
struct HeadersSeen {
    headers: Option<Vec<(String, String)>>,
    /// Whether some value is not UTF-8 and is shown as ISO 8859-1.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    latin1: bool,
}

#[derive(Debug, Serialize)]
struct AttemptMade {
    n: usize,
    started_ms: f64,
    token: Option<String>,
    token_age_secs: Option<i64>,
    version: String,
    reused_connection: bool,
    sent: Sent,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    informational: Vec<u16>,
    status: Option<u16>,
    error: Option<&'static str>,
    error_detail: Option<String>,
    #[serde(flatten)]
    head: HeadersSeen,
    body: BodyNote,
    timings: TimingsSeen,
    then: Option<String>,
}

#[derive(Debug, Serialize)]
struct Sent {
    method: String,
    url: String,
    #[serde(flatten)]
    head: HeadersSeen,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct TimingsSeen {
    connected_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    ended_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Answer {
    status: u16,
    #[serde(flatten)]
    head: HeadersSeen,
    body: BodyNote,
}

/// What LinkedIn's support asks for, from the last answer that had any of it.
#[derive(Debug, Serialize)]
struct LinkedInIds {
    x_li_uuid: Option<String>,
    x_li_request_id: Option<String>,
    x_li_fabric: Option<String>,
    /// LinkedIn's own clock, as its `x-li-uuid` tells it.
    time: Option<String>,
}

#[derive(Debug, Serialize)]
struct Gateway {
    version: &'static str,
    instance: String,
    config: String,
}

/// What makes incidents alike: method, URL template, status, code. Not redacted.
pub(super) fn signature(incident: &Incident) -> String {
    let target = String::from_utf8_lossy(&incident.request.target);
    let last = incident.attempts.last().and_then(|attempt| attempt.status);
    let status = incident
        .answer
        .as_ref()
        .map(|answer| answer.status)
        .or(last);
    let status = status.map_or("-".into(), |status| status.as_u16().to_string());
    let code = incident.code.or(incident.linkedin_code.as_deref());
    format!(
        "{} {} {status} {}",
        incident.request.method,
        template(&target),
        code.unwrap_or("-")
    )
}

impl Record {
    /// Redacts `incident`; its sequence number and the places of its bodies are still open.
    pub(super) fn of(incident: &Incident, redaction: &Redaction, settings: &Settings) -> Self {
        let own = own_secrets(incident);
        let pen = Pen {
            redactor: redaction.of(&own),
            keep: match incident.data_key {
                Some(_) if settings.keep_bodies_hours > 0 => Keep::Sealed,
                _ => Keep::Nothing,
            },
        };
        let attempts = (1..)
            .zip(&incident.attempts)
            .map(|(n, attempt)| pen.attempt(n, attempt));
        Self {
            v: VERSION,
            id: incident.id.to_string(),
            seq: 0,
            time: timestamp(incident.started_micros),
            took_ms: millis(incident.took),
            fault: incident.fault.as_str(),
            kind: incident.kind.as_str(),
            signature: pen.text(&signature(incident)),
            code: incident.code,
            linkedin_code: incident.linkedin_code.as_deref().map(|code| pen.text(code)),
            verdict: pen.text(&incident.verdict),
            caller: incident
                .caller
                .as_ref()
                .map(|caller| caller.name.to_string()),
            key_id: incident
                .caller
                .as_ref()
                .map(|caller| caller.key_id.to_string()),
            member: incident.member.as_ref().map(|member| MemberSeen {
                name: member.name.as_ref().map(ToString::to_string),
                urn: incident.member_urn.as_deref().map(Into::into),
            }),
            application: incident.member.as_ref().map(|member| ApplicationSeen {
                name: member.application.to_string(),
                client_id: incident.client_id.as_deref().map(Into::into),
            }),
            request: pen.request(&incident.request),
            attempts: attempts.collect(),
            answer: incident.answer.as_ref().map(|answer| pen.answer(answer)),
            outcome: incident.outcome.as_str(),
            linkedin: incident
                .attempts
                .iter()
                .rev()
                .find_map(|attempt| pen.linkedin(attempt)),
            gateway: Gateway {
                version: env!("CARGO_PKG_VERSION"),
                instance: settings.instance.clone(),
                config: settings.config_hash.clone(),
            },
            shortened: false,
        }
    }

    /// All bodies, in the order in which they passed.
    pub(super) fn bodies_mut(&mut self) -> impl Iterator<Item = &mut BodyNote> {
        let attempts = self.attempts.iter_mut().map(|attempt| &mut attempt.body);
        std::iter::once(&mut self.request.body)
            .chain(attempts)
            .chain(self.answer.as_mut().map(|answer| &mut answer.body))
    }

    /// Cuts every header value down to `longest` characters; at 0 the lists go altogether.
    pub(super) fn shorten(&mut self, longest: usize) {
        self.shortened = true;
        let Self {
            request,
            attempts,
            answer,
            ..
        } = self;
        let attempts = attempts
            .iter_mut()
            .flat_map(|attempt| [&mut attempt.sent.head, &mut attempt.head]);
        let heads = std::iter::once(&mut request.head)
            .chain(attempts)
            .chain(answer.as_mut().map(|answer| &mut answer.head));
        for head in heads {
            if longest == 0 {
                head.headers = None;
            }
            for (name, value) in head.headers.iter_mut().flatten() {
                *name = name.chars().take(longest).collect();
                *value = value.chars().take(longest).collect();
            }
        }
    }
}

/// The exchange's secrets, and whatever else stood in its Authorization headers: a caller that sends a
/// token in place of a key, for one.
fn own_secrets(incident: &Incident) -> Vec<Bytes> {
    let sent = incident
        .attempts
        .iter()
        .filter_map(|attempt| attempt.sent.as_ref());
    let credentials = std::iter::once(&incident.request.head)
        .chain(sent)
        .flat_map(wire::lines)
        .filter(|line| line.name.eq_ignore_ascii_case(b"authorization"))
        .filter_map(|line| credential(&line.value));
    let mut secrets = incident.secrets.clone();
    for credential in credentials {
        if !secrets.contains(&credential) {
            secrets.push(credential);
        }
    }
    secrets
}

/// Shorter than this it is no credential, but may be an English word.
const SHORTEST_CREDENTIAL: usize = 12;

fn credential(value: &[u8]) -> Option<Bytes> {
    let secret = value.rsplit(|byte| *byte == b' ').next()?;
    let key = secret.split(|byte| *byte == b'~').next()?;
    let secret = if key.starts_with(b"lgk_") {
        key
    } else {
        secret
    };
    (secret.len() >= SHORTEST_CREDENTIAL).then(|| Bytes::copy_from_slice(secret))
}

/// Writes one exchange down.
struct Pen<'a> {
    redactor: Redactor<'a>,
    keep: Keep,
}

impl Pen<'_> {
    fn text(&self, text: &str) -> String {
        readable(&self.redactor.text(text.as_bytes(), End::Whole)).0
    }

    fn request(&self, request: &RequestSeen) -> Request {
        let lines = wire::lines(&request.head);
        Request {
            method: self.text(request.method.as_str()),
            url: readable(&self.redactor.text(&request.target, End::Whole)).0,
            version: format!("{:?}", request.version),
            body: self.body(&request.body, &lines),
            head: self.headers(&lines),
        }
    }

    fn attempt(&self, n: usize, attempt: &Attempt) -> AttemptMade {
        let sent = attempt.sent.as_ref().map(wire::lines);
        let head = attempt.head.as_ref().map(wire::lines);
        let headers = |lines: &Option<Vec<Line>>| {
            lines
                .as_deref()
                .map(|lines| self.headers(lines))
                .unwrap_or_default()
        };
        AttemptMade {
            n,
            started_ms: millis(attempt.started),
            token: attempt
                .token
                .as_ref()
                .map(|token| token.fingerprint.to_string()),
            token_age_secs: attempt.token.as_ref().and_then(|token| token.age_secs),
            version: format!("{:?}", attempt.version),
            reused_connection: attempt.reused_connection,
            sent: Sent {
                method: self.text(attempt.method.as_str()),
                url: self.text(&attempt.url),
                head: headers(&sent),
                bytes: attempt.sent_bytes,
            },
            informational: attempt
                .informational
                .iter()
                .map(|status| status.as_u16())
                .collect(),
            status: attempt.status.map(|status| status.as_u16()),
            error: attempt.broken.as_ref().map(|(broken, _)| broken.as_str()),
            error_detail: attempt.broken.as_ref().map(|(_, detail)| self.text(detail)),
            body: self.body(&attempt.body, head.as_deref().unwrap_or_default()),
            head: headers(&head),
            timings: TimingsSeen {
                connected_ms: attempt.timings.connected.map(millis),
                first_byte_ms: attempt.timings.first_byte.map(millis),
                ended_ms: attempt.timings.ended.map(millis),
            },
            then: attempt.then.as_deref().map(|then| self.text(then)),
        }
    }

    fn answer(&self, answer: &AnswerGiven) -> Answer {
        let lines = wire::decoded_lines(&answer.headers);
        Answer {
            status: answer.status.as_u16(),
            body: self.body(&answer.body, &lines),
            head: self.headers(&lines),
        }
    }

    fn body(&self, kept: &crate::exchange::KeptBody, lines: &[Line]) -> BodyNote {
        let encoding = wire::value(lines, "content-encoding").unwrap_or_default();
        body::note(kept, encoding, &self.redactor, self.keep)
    }

    fn headers(&self, lines: &[Line]) -> HeadersSeen {
        let mut latin1 = false;
        let mut read = |bytes: &[u8]| {
            let (text, is_latin1) = readable(bytes);
            latin1 |= is_latin1;
            text
        };
        let headers = lines
            .iter()
            .map(|line| {
                let name = read(&self.redactor.text(&line.name, End::Whole));
                let value = read(&self.redactor.header(&line.name, &line.value));
                (name, value)
            })
            .collect();
        HeadersSeen {
            headers: Some(headers),
            latin1,
        }
    }

    fn linkedin(&self, attempt: &Attempt) -> Option<LinkedInIds> {
        let lines = wire::lines(attempt.head.as_ref()?);
        let value = |name| {
            let value = wire::value(&lines, name)?;
            Some(readable(&self.redactor.text(value, End::Whole)).0)
        };
        let x_li_uuid: Option<String> = value("x-li-uuid");
        let ids = LinkedInIds {
            time: x_li_uuid.as_deref().and_then(uuid_micros).map(timestamp),
            x_li_uuid,
            x_li_request_id: value("x-li-request-id"),
            x_li_fabric: value("x-li-fabric"),
        };
        let has_any =
            ids.x_li_uuid.is_some() || ids.x_li_request_id.is_some() || ids.x_li_fabric.is_some();
        has_any.then_some(ids)
    }
}

/// `bytes` as text, and whether they had to be read as ISO 8859-1 for that.
fn readable(bytes: &[u8]) -> (String, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (bytes.iter().copied().map(char::from).collect(), true),
    }
}

/// LinkedIn has told micros since the epoch there since 2020, and little-endian nanoseconds before
/// (derived from samples; no page documents it).
fn uuid_micros(x_li_uuid: &str) -> Option<i64> {
    const YEAR_2008: i64 = 1_199_145_600_000_000;
    const YEAR_2100: i64 = 4_102_444_800_000_000;
    let bytes: [u8; 16] = BASE64.decode(x_li_uuid.as_bytes()).ok()?.try_into().ok()?;
    let (time, _) = bytes.split_first_chunk::<8>()?;
    let is_plausible = |micros: &i64| (YEAR_2008..YEAR_2100).contains(micros);
    let today = Some(i64::from_be_bytes(*time)).filter(is_plausible);
    today.or_else(|| Some(i64::from_le_bytes(*time) / 1_000).filter(is_plausible))
}

/// RFC 3339 in UTC with microseconds.
pub(super) fn timestamp(micros: i64) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
    );
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(format)
        .unwrap_or_default()
}

/// Milliseconds with three decimals.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linkedins_own_clock_is_read_from_its_uuid() {
        for (uuid, time) in [
            ("AAYFBPDs9ZaGJ88vWwff2w==", Some("2023-09-10T17:57:20.333")),
            ("AAZUgZz3kgisAYOjiNI6dw==", Some("2026-06-18T06:52:01.24")),
            ("q0SEmZ0/0BOAZp3TbSsAAA==", Some("2015-03-30T10:23:47")),
            ("AAAAAAAAAAAAAAAAAAAAAA==", None),
            ("not base64", None),
            ("AAYF", None),
        ] {
            let read = uuid_micros(uuid).map(timestamp);
            let is_same = match (&read, time) {
                (Some(read), Some(time)) => read.starts_with(time),
                (read, time) => read.is_none() && time.is_none(),
            };
            assert!(is_same, "{uuid}: {read:?}");
        }
    }
}
