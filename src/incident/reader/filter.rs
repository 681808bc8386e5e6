//! Which lines a reader wants to see.

use memchr::memmem;

use super::{Record, timestamp};

/// All that is set must hold; a field left empty lets everything through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Which end first.
    pub order: Order,
    /// Not before, in Unix microseconds.
    pub since_micros: Option<i64>,
    /// Not after, in Unix microseconds.
    pub until_micros: Option<i64>,
    /// Status of the final answer.
    pub status: Option<Status>,
    /// Whose fault.
    pub fault: Option<String>,
    /// The operator's name of the member.
    pub member: Option<String>,
    /// The application whose member or own token was used.
    pub application: Option<String>,
    /// The caller's own `X-Request-Id`.
    pub caller_request_id: Option<String>,
    /// Name of the caller.
    pub caller: Option<String>,
    /// Kind of the record or note.
    pub kind: Option<String>,
    /// Method of the request.
    pub method: Option<String>,
    /// Part of the request's target.
    pub path: Option<String>,
    /// What makes incidents alike.
    pub signature: Option<String>,
    /// Any part of the line, in any case.
    pub text: Option<String>,
    /// LinkedIn's `x-li-uuid` of any attempt.
    pub x_li_uuid: Option<String>,
    /// LinkedIn's `x-li-request-id` of any attempt.
    pub request_id: Option<String>,
    /// Beginning of the exchange's id.
    pub id_prefix: Option<String>,
}

/// Which end of the log first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest line first.
    #[default]
    NewestFirst,
    /// The order of writing.
    OldestFirst,
}

/// One status, or all of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `503`.
    Exactly(u16),
    /// `5xx`: the first digit.
    Class(u16),
}

impl Filter {
    /// Whether the day that begins at `start_secs` may hold a wanted line.
    pub(super) fn may_hold(&self, start_secs: i64) -> bool {
        const DAY: i64 = 86_400;
        // A line is written after its exchange began: never on an earlier day, clocks set right.
        let since = self.since_micros.map(|since| since.div_euclid(1_000_000));
        since.is_none_or(|since| start_secs + DAY > since)
    }

    /// A cheap look at the raw line, before it is parsed.
    pub(super) fn may_match(&self, line: &[u8]) -> bool {
        let holds = |wanted: &Option<String>| {
            let wanted = wanted
                .as_deref()
                .filter(|wanted| wanted.bytes().all(is_plain));
            wanted.is_none_or(|wanted| memmem::find(line, wanted.as_bytes()).is_some())
        };
        holds(&self.id_prefix) && holds(&self.x_li_uuid) && holds(&self.request_id)
    }

    pub(super) fn matches(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, has: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| has == Some(wanted))
        };
        self.is_in_time(record)
            && self
                .status
                .is_none_or(|status| status.covers(record.status()))
            && is(&self.fault, record.fault())
            && is(&self.member, record.member())
            && is(&self.application, record.application())
            && is(&self.caller_request_id, record.caller_request_id())
            && is(&self.caller, record.caller())
            && is(&self.kind, record.kind())
            && is(&self.method, record.method())
            && is(&self.signature, record.signature())
            && self.has_part(record)
            && has_header(record, "x-li-uuid", self.x_li_uuid.as_deref())
            && has_header(record, "x-li-request-id", self.request_id.as_deref())
    }

    fn is_in_time(&self, record: &Record) -> bool {
        // All times in the log have the same form, and so sort as text.
        let time = record.time().unwrap_or_default();
        self.since_micros
            .is_none_or(|since| *time >= *timestamp(since))
            && self
                .until_micros
                .is_none_or(|until| *time <= *timestamp(until))
    }

    fn has_part(&self, record: &Record) -> bool {
        let path = self.path.as_deref();
        let prefix = self.id_prefix.as_deref();
        path.is_none_or(|path| record.url().is_some_and(|url| url.contains(path)))
            && prefix.is_none_or(|prefix| record.id().is_some_and(|id| id.starts_with(prefix)))
            && self.text.as_deref().is_none_or(|text| {
                let line = record.json().to_string().to_lowercase();
                line.contains(&text.to_lowercase())
            })
    }
}

/// Stands in JSON as it is.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')
}

impl Status {
    fn covers(self, status: Option<u16>) -> bool {
        match self {
            Self::Exactly(wanted) => status == Some(wanted),
            Self::Class(class) => status.is_some_and(|status| status / 100 == class),
        }
    }
}

/// Whether an answer of LinkedIn had this header with this value.
fn has_header(record: &Record, name: &str, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    let attempts = record
        .json()
        .pointer("/attempts")
        .and_then(|all| all.as_array());
    let is_wanted = |header: &serde_json::Value| {
        let part = |n: usize| {
            header
                .get(n)
                .and_then(|part| part.as_str())
                .unwrap_or_default()
        };
        part(0).eq_ignore_ascii_case(name) && part(1) == wanted
    };
    attempts.into_iter().flatten().any(|attempt| {
        let headers = attempt.get("headers").and_then(|all| all.as_array());
        headers.is_some_and(|headers| headers.iter().any(is_wanted))
    })
}
