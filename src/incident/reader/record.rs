//! One line of the log, asked by what it says.

use serde_json::Value;

use crate::incident::{line, micros_of};

/// One line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record(Value);

impl From<Value> for Record {
    fn from(json: Value) -> Self {
        Self(json)
    }
}

impl Record {
    pub(in crate::incident) fn parse(line: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(line).ok()?;
        value.get("kind")?.as_str()?;
        Some(Self(value))
    }

    /// The whole line, as it is printed with `--json`.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// The whole line as it stands in the log, without its end: no character in it that a terminal would obey.
    pub fn line(&self) -> String {
        let mut line = Vec::new();
        // A value that was read writes without error, and in UTF-8.
        line::push(&mut line, &self.0).unwrap_or_default();
        let line = String::from_utf8(line).unwrap_or_default();
        line.trim_end_matches('\n').to_owned()
    }

    /// The text at `path`, such as `/request/url`.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.0.pointer(path)?.as_str()
    }

    /// The number at `path`.
    pub fn number(&self, path: &str) -> Option<u64> {
        self.0.pointer(path)?.as_u64()
    }

    /// Number of the line in the log.
    pub fn seq(&self) -> Option<u64> {
        self.number("/seq")
    }

    /// When the exchange began, or a note was made: RFC 3339 in UTC.
    pub fn time(&self) -> Option<&str> {
        self.text("/time")
    }

    /// The same in Unix microseconds.
    pub fn micros(&self) -> Option<i64> {
        micros_of(self.time()?)
    }

    /// The exchange's id; notes have none.
    pub fn id(&self) -> Option<&str> {
        self.text("/id")
    }

    /// Status of the final answer, else of the last attempt.
    pub fn status(&self) -> Option<u16> {
        let last = || self.attempts().last()?.get("status")?.as_u64();
        let status = self.number("/answer/status").or_else(last)?;
        u16::try_from(status).ok()
    }

    /// The trips to LinkedIn, the first one first.
    pub fn attempts(&self) -> &[Value] {
        let attempts = self.0.get("attempts").and_then(Value::as_array);
        attempts.map(Vec::as_slice).unwrap_or_default()
    }

    /// Whose fault: `caller`, `member`, `linkedin` or `gateway`.
    pub fn fault(&self) -> Option<&str> {
        self.text("/fault")
    }

    /// `failed`, `recovered`, `cut`, `caller_left`; for notes `gap`, `late`, `summary`; for the ledger
    /// `written`; for what the start tested itself with `self_test`.
    pub fn kind(&self) -> Option<&str> {
        self.text("/kind")
    }

    /// Whether this is the record of an exchange that went wrong: no note of the log about itself, no line
    /// of the ledger, no self-test.
    pub fn is_incident(&self) -> bool {
        !matches!(
            self.kind(),
            Some("gap" | "late" | "summary" | "written" | "self_test")
        )
    }

    /// The operator's name of the member.
    pub fn member(&self) -> Option<&str> {
        self.text("/member/name")
    }

    /// The application whose member or own token was used.
    pub fn application(&self) -> Option<&str> {
        self.text("/application/name")
    }

    /// The caller's own `X-Request-Id`.
    pub fn caller_request_id(&self) -> Option<&str> {
        header(self.0.get("request")?, "x-request-id")
    }

    /// Name of the caller.
    pub fn caller(&self) -> Option<&str> {
        self.text("/caller")
    }

    /// Public id of the caller's key.
    pub fn key_id(&self) -> Option<&str> {
        self.text("/key_id")
    }

    /// What became of the request: `answered`, `not_sent`, `refused` or `unknown`.
    pub fn outcome(&self) -> Option<&str> {
        self.text("/outcome")
    }

    /// Method of the caller's request.
    pub fn method(&self) -> Option<&str> {
        self.text("/request/method")
    }

    /// Target of the caller's request.
    pub fn url(&self) -> Option<&str> {
        self.text("/request/url")
    }

    /// One sentence for support.
    pub fn verdict(&self) -> Option<&str> {
        self.text("/verdict")
    }

    /// What makes incidents alike.
    pub fn signature(&self) -> Option<&str> {
        self.text("/signature")
    }
}

/// The headers of the request, an attempt, what an attempt sent, or the answer.
pub(in crate::incident) fn headers(message: &Value) -> impl Iterator<Item = (&str, &str)> {
    let headers = message.get("headers").and_then(Value::as_array);
    headers.into_iter().flatten().filter_map(|header| {
        let part = |at| header.get(at).and_then(Value::as_str);
        Some((part(0)?, part(1)?))
    })
}

/// The first value of a header, whatever its case.
pub(in crate::incident) fn header<'a>(message: &'a Value, name: &str) -> Option<&'a str> {
    let is_it = |(found, _): &(&str, &str)| found.eq_ignore_ascii_case(name);
    headers(message).find(is_it).map(|(_, value)| value)
}
