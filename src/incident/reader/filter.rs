//! Which lines a reader wants to see.

use memchr::memmem;

use super::{Record, headers};
use crate::incident::{
    Kind,
    index::words::{self, Text, Word},
    ledger,
};

pub mod said;

/// Kind of the lines with which the log tests itself.
const SELF_TEST: &str = Kind::SelfTest.as_str();

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
    /// Public id of the caller's key.
    pub key_id: Option<String>,
    /// What became of the request: `answered`, `not_sent`, `refused` or `unknown`.
    pub outcome: Option<String>,
    /// Part of the request's target.
    pub path: Option<String>,
    /// What makes incidents alike.
    pub signature: Option<String>,
    /// Text that stands in the line, in any case, and begins where a word begins.
    pub text: Option<String>,
    /// LinkedIn's `x-li-uuid` of any attempt.
    pub x_li_uuid: Option<String>,
    /// LinkedIn's `x-li-request-id` of any attempt.
    pub request_id: Option<String>,
    /// Beginning of the exchange's id.
    pub id_prefix: Option<String>,
    /// Whether successful writes are wanted too; asking for their kind says so as well.
    pub ledger: bool,
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
        // A line is written after its exchange began, and within a day of that, clocks set right.
        let secs = |micros: i64| micros.div_euclid(1_000_000);
        self.since_micros
            .is_none_or(|since| start_secs + DAY > secs(since))
            && self
                .until_micros
                .is_none_or(|until| start_secs - DAY <= secs(until))
    }

    /// A look at the raw line before it is parsed: cheap, and all there is to say about free text.
    pub(super) fn may_match(&self, line: &[u8]) -> bool {
        let holds = |wanted: &Option<String>| {
            let wanted = wanted
                .as_deref()
                .filter(|wanted| wanted.bytes().all(is_plain));
            wanted.is_none_or(|wanted| memmem::find(line, wanted.as_bytes()).is_some())
        };
        let has_text =
            |text: &String| text.is_empty() || Text::new(text).is_in(&words::lower_line(line));
        holds(&self.id_prefix)
            && holds(&self.x_li_uuid)
            && holds(&self.request_id)
            && holds(&self.caller_request_id)
            && holds(&self.member)
            && self.text.as_ref().is_none_or(has_text)
    }

    /// Whether a line that passed [`Filter::may_match`] is wanted.
    pub(super) fn matches(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, has: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| has == Some(wanted))
        };
        self.is_in_time(record.micros())
            && self.lets_through(record.kind())
            && self
                .status
                .is_none_or(|status| status.covers(record.status()))
            && is(&self.fault, record.fault())
            && is(&self.member, record.member())
            && is(&self.application, record.application())
            && is(&self.caller_request_id, record.caller_request_id())
            && is(&self.caller, record.caller())
            && is(&self.key_id, record.key_id())
            && is(&self.outcome, record.outcome())
            && is(&self.method, record.method())
            && is(&self.signature, record.signature())
            && self.has_part(record)
            && has_header(record, "x-li-uuid", self.x_li_uuid.as_deref())
            && has_header(record, "x-li-request-id", self.request_id.as_deref())
    }

    /// A line without a time is in none.
    pub(in crate::incident) fn is_in_time(&self, micros: Option<i64>) -> bool {
        self.since_micros
            .is_none_or(|since| micros.is_some_and(|micros| micros >= since))
            && self
                .until_micros
                .is_none_or(|until| micros.is_some_and(|micros| micros <= until))
    }

    /// Kinds that only those see who ask for them, or who have the id: the ledger, and self-tests.
    pub(in crate::incident) fn hidden_kinds(&self) -> &'static [&'static str] {
        match (&self.kind, &self.id_prefix) {
            (None, None) if self.ledger => &[SELF_TEST],
            (None, None) => &[ledger::KIND, SELF_TEST],
            _ => &[],
        }
    }

    fn lets_through(&self, kind: Option<&str>) -> bool {
        match self.kind.as_deref() {
            Some(wanted) => kind == Some(wanted),
            None => kind.is_none_or(|kind| !self.hidden_kinds().contains(&kind)),
        }
    }

    fn has_part(&self, record: &Record) -> bool {
        let path = self.path.as_deref();
        let prefix = self.id_prefix.as_deref();
        path.is_none_or(|path| record.url().is_some_and(|url| url.contains(path)))
            && prefix.is_none_or(|prefix| record.id().is_some_and(|id| id.starts_with(prefix)))
    }

    /// Words that every wanted line has.
    pub(in crate::incident) fn words(&self) -> Vec<Word> {
        let of_text = |text: &String| Text::new(text).words();
        let values = [&self.x_li_uuid, &self.request_id, &self.caller_request_id];
        let values = values.into_iter().flatten();
        let mut all: Vec<Word> = values.flat_map(|value| words::of_value(value)).collect();
        all.extend(self.id_prefix.iter().flat_map(|id| words::of_beginning(id)));
        all.extend(self.text.iter().flat_map(of_text));
        all.extend(self.path.iter().flat_map(|path| words::of_part(path)));
        all
    }

    /// Whether only the line itself can tell that it is wanted.
    pub(in crate::incident) fn needs_line(&self) -> bool {
        let Self {
            caller_request_id,
            path,
            text,
            x_li_uuid,
            request_id,
            id_prefix,
            ..
        } = self;
        let asked = [
            caller_request_id,
            path,
            text,
            x_li_uuid,
            request_id,
            id_prefix,
        ];
        asked.into_iter().any(Option::is_some)
    }
}

/// Stands in JSON as it is.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')
}

impl Status {
    pub(in crate::incident) fn covers(self, status: Option<u16>) -> bool {
        match self {
            Self::Exactly(wanted) => status == Some(wanted),
            Self::Class(class) => status.is_some_and(|status| status / 100 == class),
        }
    }
}

/// Whether an answer of LinkedIn had this header with this value.
fn has_header(record: &Record, name: &str, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    let noted = format!("/linkedin/{}", name.replace('-', "_"));
    if record.text(&noted) == Some(wanted) {
        return true;
    }
    let is_wanted =
        |(found, value): (&str, &str)| found.eq_ignore_ascii_case(name) && value == wanted;
    let mut attempts = record.attempts().iter();
    attempts.any(|attempt| headers(attempt).any(is_wanted))
}
