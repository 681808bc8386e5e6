//! An incident as it stands in the log: names, order and meaning of every field, redacted.
//!
//! **Invariant:** all text that came from outside goes through the `Redactor` here, field by field;
//! there is no second way into a line.

use std::borrow::Cow;

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Incident, Settings, advice,
    body::{BodyNote, ErrorSaid, Errors},
    redact::Redaction,
    whose::{ApplicationSeen, MemberSeen},
    wire,
};
use crate::exchange::template;

mod heads;
mod pen;

pub(super) use heads::Heads;

use heads::Shown;
use pen::{Pen, millis};

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
    /// What LinkedIn's error is about: a resource, URN, version, field or limit.
    linkedin_about: Option<String>,
    verdict: String,
    /// What to do about it.
    r#try: Option<&'static str>,
    caller: Option<String>,
    key_id: Option<String>,
    member: Option<MemberSeen>,
    application: Option<ApplicationSeen>,
    request: Request,
    attempts: Vec<AttemptMade>,
    answer: Option<Answer>,
    outcome: &'static str,
    /// `LinkedIn-Version` as it was sent, or asked for by a caller of whom nothing was sent.
    linkedin_version: Option<String>,
    linkedin: Option<LinkedInIds>,
    gateway: Gateway,
    /// Whether headers were cut because the line would have been too long to read back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shortened: bool,
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
    headers: Option<Vec<Shown>>,
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
    /// Waited by us before the attempt.
    wait_ms: f64,
    /// Waited for a token before the attempt.
    token_ms: f64,
    /// The three steps of making its connection; a pooled one needs none.
    dns_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    /// These four from the attempt's start.
    connected_ms: Option<f64>,
    sent_ms: Option<f64>,
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
    /// By how much that is ahead of our clock when the answer's first byte came; LinkedIn's own working time
    /// makes it a little negative.
    skew_ms: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Gateway {
    version: &'static str,
    instance: String,
    config: String,
}

/// Errors whose bodies are longer are no errors in words.
const LONGEST_ERROR: u64 = 16 * 1024;

/// What LinkedIn's last answer says of itself, if it was an error.
pub(super) fn error_said(incident: &Incident, errors: &mut Errors) -> ErrorSaid {
    let mut said = || {
        let attempt = incident.attempts.last()?;
        let is_error = |status: &http::StatusCode| status.as_u16() >= 400;
        attempt.status.filter(is_error)?;
        let encoding = wire::value(attempt.head.as_ref()?, "content-encoding");
        let mut said = errors.said(&attempt.body, &encoding.unwrap_or_default());
        said.about = said.about.filter(|_| attempt.body.bytes <= LONGEST_ERROR);
        Some(said)
    };
    said().unwrap_or_default()
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

/// What is said for support, once LinkedIn's code is known.
fn verdict(incident: &Incident) -> Cow<'_, str> {
    match &incident.verdict_by_code {
        Some((code, more)) if incident.linkedin_code.as_deref() == Some(*code) => {
            format!("{}; {more}", incident.verdict).into()
        }
        _ => (&*incident.verdict).into(),
    }
}

/// What records are made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means<'a> {
    pub(super) redaction: &'a Redaction,
    pub(super) heads: &'a Heads,
    pub(super) settings: &'a Settings,
}

impl Record {
    /// Redacts `incident`, whose error is about `about`; its sequence number and the places of its bodies are still
    /// open.
    pub(super) fn of(incident: &Incident, about: Option<&str>, means: Means<'_>) -> Self {
        let settings = means.settings;
        let pen = Pen::new(incident, means);
        let attempts = pen.attempts(incident);
        Self {
            v: VERSION,
            id: pen.id(),
            seq: 0,
            time: timestamp(incident.started_micros),
            took_ms: millis(incident.took),
            fault: incident.fault.as_str(),
            kind: incident.kind.as_str(),
            signature: pen.text(&signature(incident)),
            code: incident.code,
            linkedin_code: incident.linkedin_code.as_deref().map(|code| pen.text(code)),
            linkedin_about: about.map(|about| pen.text(about)),
            verdict: pen.text(&verdict(incident)),
            r#try: advice::of(incident),
            caller: incident
                .caller
                .as_ref()
                .map(|caller| caller.name.to_string()),
            key_id: incident
                .caller
                .as_ref()
                .map(|caller| caller.key_id.to_string()),
            member: MemberSeen::of(incident.member.as_ref(), incident.member_urn.as_deref()),
            application: ApplicationSeen::of(
                incident.member.as_ref(),
                incident.client_id.as_deref(),
            ),
            request: pen.request(&incident.request),
            answer: pen.answer(incident, attempts.last()),
            attempts,
            outcome: incident.outcome.as_str(),
            linkedin_version: pen.linkedin_version(),
            linkedin: pen.linkedin(incident),
            gateway: Gateway {
                version: env!("CARGO_PKG_VERSION"),
                instance: settings.instance.clone(),
                config: settings.config_hash.clone(),
            },
            shortened: false,
        }
    }

    /// `signature` as it may be written, for a record that is only counted.
    pub(super) fn signature_of(incident: &Incident, means: Means<'_>) -> String {
        Pen::new(incident, means).text(&signature(incident))
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
            let lines = head.headers.iter_mut().flatten();
            lines.for_each(|line| line.shorten(longest));
        }
    }
}

/// Reads a time as [`timestamp`] writes it, or any other of RFC 3339: Unix microseconds.
pub fn micros_of(time: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000).ok()
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
