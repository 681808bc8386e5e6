//! The pen: takes an exchange's words one by one through the redaction door, and writes them down.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;

use super::{
    Answer, AttemptMade, HeadersSeen, LinkedInIds, Means, Request, Sent, TimingsSeen, timestamp,
};
use crate::{
    exchange::{Attempt, KeptBody, Timings, TokenUsed},
    incident::{
        Incident, RequestSeen,
        body::{self, BodyNote, Keep},
        redact::{End, Own, Redactor},
        wire::{self, Line, Lines},
    },
    keyring::Fingerprint,
};

/// The heads of an exchange, split into lines once: five parts of its record ask about them.
struct ExchangeHeads<'i> {
    request: Lines<'i>,
    trips: Vec<TripHeads<'i>>,
    answer: Lines<'i>,
}

/// Those of one attempt; none if nothing left, or nothing came.
struct TripHeads<'i> {
    sent: Option<Lines<'i>>,
    came: Option<Lines<'i>>,
}

impl<'i> ExchangeHeads<'i> {
    fn of(incident: &'i Incident) -> Self {
        let trip = |attempt: &'i Attempt| TripHeads {
            sent: attempt.sent.as_ref().map(wire::lines),
            came: attempt.head.as_ref().map(wire::lines),
        };
        let answer = incident.answer.as_ref();
        Self {
            request: wire::lines(&incident.request.head),
            trips: incident.attempts.iter().map(trip).collect(),
            answer: answer.map_or_else(Lines::default, |answer| {
                wire::decoded_lines(&answer.headers)
            }),
        }
    }
}

/// The exchange's secrets, and whatever else stood in its Authorization headers: a caller that sends a
/// token in place of a key, for one.
fn own_secrets(incident: &Incident, heads: &ExchangeHeads<'_>) -> Vec<Own> {
    let named = |secret: &Bytes| Own {
        secret: secret.clone(),
        fingerprint: None,
    };
    let mut secrets: Vec<Own> = incident.secrets.iter().map(named).collect();
    let mut add = |lines: &Lines<'_>, token: Option<&TokenUsed>| {
        for credential in lines.all.iter().filter_map(credential) {
            // What we send carries the attempt's token and nothing else.
            let fingerprint = token.map(|token| Fingerprint::from_stored(&token.fingerprint));
            match secrets.iter_mut().find(|own| own.secret == credential) {
                Some(own) => own.fingerprint = own.fingerprint.take().or(fingerprint),
                None => secrets.push(Own {
                    secret: Bytes::copy_from_slice(credential),
                    fingerprint,
                }),
            }
        }
    };
    add(&heads.request, None);
    for (trip, attempt) in heads.trips.iter().zip(&incident.attempts) {
        if let Some(sent) = &trip.sent {
            add(sent, attempt.token.as_ref());
        }
    }
    secrets
}

/// Shorter than this it is no credential, but may be an English word.
const SHORTEST_CREDENTIAL: usize = 12;

/// The secret in an Authorization header.
fn credential<'a>(line: &'a Line<'_>) -> Option<&'a [u8]> {
    if !line.name.eq_ignore_ascii_case(b"authorization") {
        return None;
    }
    let start = memchr::memrchr(b' ', &line.value).map_or(0, |space| space + 1);
    let secret = line.value.get(start..)?;
    let key = secret.get(..memchr::memchr(b'~', secret).unwrap_or(secret.len()))?;
    let secret = if key.starts_with(b"lgk_") {
        key
    } else {
        secret
    };
    (secret.len() >= SHORTEST_CREDENTIAL).then_some(secret)
}

/// Writes one exchange down.
pub(super) struct Pen<'a> {
    id: String,
    redactor: Redactor<'a>,
    heads: ExchangeHeads<'a>,
    means: Means<'a>,
    keep: Keep,
}

impl<'a> Pen<'a> {
    pub(super) fn new(incident: &'a Incident, means: Means<'a>) -> Self {
        let heads = ExchangeHeads::of(incident);
        Self {
            id: incident.id.to_string(),
            redactor: means.redaction.of_own(own_secrets(incident, &heads)),
            heads,
            means,
            keep: match incident.data_key {
                Some(_) if means.settings.keep_bodies_hours > 0 => Keep::Sealed,
                _ => Keep::Nothing,
            },
        }
    }

    /// What the exchange is called.
    pub(super) fn id(&self) -> String {
        self.id.clone()
    }

    pub(super) fn text(&self, text: &str) -> String {
        readable(&self.redactor.text(text.as_bytes(), End::Whole)).0
    }

    pub(super) fn request(&self, request: &RequestSeen) -> Request {
        let lines = &self.heads.request;
        Request {
            method: self.text(request.method.as_str()),
            url: readable(&self.redactor.text(&request.target, End::Whole)).0,
            version: format!("{:?}", request.version),
            body: self.body(&request.body, Some(lines)),
            head: self.headers(Some(lines)),
        }
    }

    pub(super) fn attempts(&self, incident: &Incident) -> Vec<AttemptMade> {
        let heads = self.heads.trips.iter();
        let attempts = (1..).zip(heads.zip(&incident.attempts));
        attempts
            .map(|(n, (heads, attempt))| self.attempt(n, attempt, heads))
            .collect()
    }

    fn attempt(&self, n: usize, attempt: &Attempt, heads: &TripHeads<'_>) -> AttemptMade {
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
                head: self.headers(heads.sent.as_ref()),
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
            body: self.body(&attempt.body, heads.came.as_ref()),
            head: self.headers(heads.came.as_ref()),
            timings: timings(&attempt.timings),
            then: attempt.then.as_deref().map(|then| self.text(then)),
        }
    }

    /// What the caller was given; `last` is what the last attempt became.
    pub(super) fn answer(&self, incident: &Incident, last: Option<&AttemptMade>) -> Option<Answer> {
        let answer = incident.answer.as_ref()?;
        let lines = &self.heads.answer;
        let body = self.passed_on(incident, last).cloned();
        Some(Answer {
            status: answer.status.as_u16(),
            body: body.unwrap_or_else(|| self.body(&answer.body, Some(lines))),
            head: self.headers(Some(lines)),
        })
    }

    /// What is noted of LinkedIn's last body, if the caller was given just that: the door need not see it again.
    fn passed_on<'m>(
        &self,
        incident: &Incident,
        last: Option<&'m AttemptMade>,
    ) -> Option<&'m BodyNote> {
        let (attempt, answer) = (incident.attempts.last()?, incident.answer.as_ref()?);
        let came = self.heads.trips.last()?.came.as_ref();
        let is_same = attempt.body.is_same_as(&answer.body)
            && encoding(came) == encoding(Some(&self.heads.answer));
        last.filter(|_| is_same).map(|last| &last.body)
    }

    fn body(&self, kept: &KeptBody, lines: Option<&Lines<'_>>) -> BodyNote {
        body::note(kept, encoding(lines), &self.redactor, self.keep)
    }

    fn headers(&self, lines: Option<&Lines<'_>>) -> HeadersSeen {
        let Means {
            heads, redaction, ..
        } = self.means;
        let Some(lines) = lines else {
            return HeadersSeen::default();
        };
        let headers = heads.shown(lines, &self.id, &self.redactor, redaction);
        HeadersSeen {
            latin1: headers.iter().any(|shown| shown.latin1),
            headers: Some(headers),
        }
    }

    /// The version of LinkedIn's API that was asked for.
    pub(super) fn linkedin_version(&self) -> Option<String> {
        let last = self.heads.trips.last();
        let sent = last.and_then(|heads| heads.sent.as_ref());
        let version = sent
            .unwrap_or(&self.heads.request)
            .value("linkedin-version")?;
        Some(readable(&self.redactor.text(version, End::Whole)).0)
    }

    /// What LinkedIn's support asks for, from the last answer that had any of it.
    pub(super) fn linkedin(&self, incident: &Incident) -> Option<LinkedInIds> {
        let trips = self.heads.trips.iter().zip(&incident.attempts).rev();
        let mut ids = trips.filter_map(|(heads, attempt)| {
            self.ids(attempt, heads.came.as_ref()?, incident.started_micros)
        });
        ids.next()
    }

    /// `started_micros` is when the exchange began.
    fn ids(&self, attempt: &Attempt, came: &Lines<'_>, started_micros: i64) -> Option<LinkedInIds> {
        let value = |name| {
            let value = came.value(name)?;
            Some(readable(&self.redactor.text(value, End::Whole)).0)
        };
        let x_li_uuid: Option<String> = value("x-li-uuid");
        let theirs = x_li_uuid.as_deref().and_then(uuid_micros);
        let ids = LinkedInIds {
            time: theirs.map(timestamp),
            skew_ms: theirs.and_then(|theirs| skew_ms(theirs, attempt, started_micros)),
            x_li_uuid,
            x_li_request_id: value("x-li-request-id"),
            x_li_fabric: value("x-li-fabric"),
        };
        let has_any =
            ids.x_li_uuid.is_some() || ids.x_li_request_id.is_some() || ids.x_li_fabric.is_some();
        has_any.then_some(ids)
    }
}

/// How a body is packed, by the head before it.
fn encoding<'a>(lines: Option<&'a Lines<'_>>) -> &'a [u8] {
    let value = lines.and_then(|lines| lines.value("content-encoding"));
    value.unwrap_or_default()
}

fn timings(timings: &Timings) -> TimingsSeen {
    let steps = timings.steps.unwrap_or_default();
    TimingsSeen {
        wait_ms: millis(timings.waited),
        token_ms: millis(timings.token),
        dns_ms: steps.dns.map(millis),
        connect_ms: steps.connect.map(millis),
        tls_ms: steps.tls.map(millis),
        connected_ms: timings.connected.map(millis),
        sent_ms: timings.sent.map(millis),
        first_byte_ms: timings.first_byte.map(millis),
        ended_ms: timings.ended.map(millis),
    }
}

/// `bytes` as text, and whether they had to be read as ISO 8859-1 for that.
pub(super) fn readable(bytes: &[u8]) -> (String, bool) {
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

/// By how many milliseconds LinkedIn's clock is ahead of ours at the answer's first byte.
fn skew_ms(theirs: i64, attempt: &Attempt, started_micros: i64) -> Option<i64> {
    let first_byte = attempt.started + attempt.timings.first_byte?;
    let ours = started_micros.saturating_add(i64::try_from(first_byte.as_micros()).ok()?);
    Some(theirs.saturating_sub(ours) / 1_000)
}

/// Milliseconds with three decimals.
pub(super) fn millis(time: Duration) -> f64 {
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
