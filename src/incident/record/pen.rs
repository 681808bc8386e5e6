//! The pen: takes an exchange's words one by one through the redaction door, and writes them down.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;

use super::{
    Answer, AttemptMade, HeadersSeen, LinkedInIds, Means, Request, Sent, TimingsSeen, heads::Shown,
    timestamp,
};
use crate::{
    exchange::{Attempt, KeptBody, Timings},
    incident::{
        AnswerGiven, Incident, RequestSeen,
        body::{self, BodyNote, Keep},
        redact::{End, Redactor},
        wire::{self, Line},
    },
};

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
    let start = memchr::memrchr(b' ', value).map_or(0, |space| space + 1);
    let secret = value.get(start..)?;
    let key = secret.get(..memchr::memchr(b'~', secret).unwrap_or(secret.len()))?;
    let secret = if key.starts_with(b"lgk_") {
        key
    } else {
        secret
    };
    (secret.len() >= SHORTEST_CREDENTIAL).then(|| Bytes::copy_from_slice(secret))
}

/// Writes one exchange down.
pub(super) struct Pen<'a> {
    redactor: Redactor<'a>,
    means: Means<'a>,
    keep: Keep,
}

impl<'a> Pen<'a> {
    pub(super) fn new(incident: &Incident, means: Means<'a>) -> Self {
        Self {
            redactor: means.redaction.of(&own_secrets(incident)),
            means,
            keep: match incident.data_key {
                Some(_) if means.settings.keep_bodies_hours > 0 => Keep::Sealed,
                _ => Keep::Nothing,
            },
        }
    }

    pub(super) fn text(&self, text: &str) -> String {
        readable(&self.redactor.text(text.as_bytes(), End::Whole)).0
    }

    pub(super) fn request(&self, request: &RequestSeen) -> Request {
        let lines = wire::lines(&request.head);
        Request {
            method: self.text(request.method.as_str()),
            url: readable(&self.redactor.text(&request.target, End::Whole)).0,
            version: format!("{:?}", request.version),
            body: self.body(&request.body, &lines),
            head: self.headers(&lines),
        }
    }

    pub(super) fn attempt(&self, n: usize, attempt: &Attempt) -> AttemptMade {
        let sent = attempt.sent.as_ref().map(wire::lines);
        let head = attempt.head.as_ref().map(wire::lines);
        let headers = |lines: &Option<Vec<Line<'_>>>| {
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
            timings: timings(&attempt.timings),
            then: attempt.then.as_deref().map(|then| self.text(then)),
        }
    }

    pub(super) fn answer(&self, answer: &AnswerGiven) -> Answer {
        let lines = wire::decoded_lines(&answer.headers);
        Answer {
            status: answer.status.as_u16(),
            body: self.body(&answer.body, &lines),
            head: self.headers(&lines),
        }
    }

    fn body(&self, kept: &KeptBody, lines: &[Line<'_>]) -> BodyNote {
        let encoding = wire::value(lines, "content-encoding").unwrap_or_default();
        body::note(kept, encoding, &self.redactor, self.keep)
    }

    fn headers(&self, lines: &[Line<'_>]) -> HeadersSeen {
        let Means {
            heads, redaction, ..
        } = self.means;
        let shown = |line| heads.shown(line, &self.redactor, redaction);
        let headers: Vec<Shown> = lines.iter().map(shown).collect();
        HeadersSeen {
            latin1: headers.iter().any(|shown| shown.latin1),
            headers: Some(headers),
        }
    }

    /// The version of LinkedIn's API that was asked for.
    pub(super) fn linkedin_version(&self, incident: &Incident) -> Option<String> {
        let last = incident.attempts.last();
        let sent = last.and_then(|attempt| attempt.sent.as_ref());
        let lines = wire::lines(sent.unwrap_or(&incident.request.head));
        let version = wire::value(&lines, "linkedin-version")?;
        Some(readable(&self.redactor.text(version, End::Whole)).0)
    }

    /// `started_micros` is when the exchange began.
    pub(super) fn linkedin(&self, attempt: &Attempt, started_micros: i64) -> Option<LinkedInIds> {
        let lines = wire::lines(attempt.head.as_ref()?);
        let value = |name| {
            let value = wire::value(&lines, name)?;
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
