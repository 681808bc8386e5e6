//! A record as the forms ask it: its times, and what is left of its bodies.

use serde_json::Value;

use crate::incident::reader::Record;

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// No bytes passed.
    Empty,
    /// It is text.
    Text(&'a str),
    /// It is none; in base64.
    Binary(&'a str),
    /// Its bytes were kept, and not opened for this export: [`UNOPENED`].
    Unopened,
    /// Its bytes are not to be had.
    Gone,
    /// They never were kept, for this reason.
    Withheld(&'a str),
}

/// What is said in place of a body that was kept and not opened. The record alone does not tell which it is.
pub(super) const UNOPENED: &str = "kept apart, and not opened for this export: its maker may not see it, no gateway ran, or its time is over";

impl<'a> Body<'a> {
    /// Of the request, an attempt or the answer.
    pub(super) fn of(message: &'a Value) -> Self {
        let body = message.get("body");
        let text = |name| body?.get(name)?.as_str();
        let is_empty = bytes(message) == 0;
        match (text("text"), text("base64"), text("withheld")) {
            (Some(text), ..) => Self::Text(text),
            (_, Some(base64), _) => Self::Binary(base64),
            _ if is_empty => Self::Empty,
            (.., Some(why)) => Self::Withheld(why),
            _ if text("ref").is_some() => Self::Unopened,
            _ => Self::Gone,
        }
    }
}

/// Bytes of a message's body that passed.
pub(super) fn bytes(message: &Value) -> u64 {
    number(message, "/body/bytes").unwrap_or_default()
}

/// Whether less of a message's body was kept than passed.
pub(super) fn is_cut(message: &Value) -> bool {
    let is = |path| message.pointer(path).and_then(Value::as_bool) == Some(true);
    is("/body/truncated")
}

pub(super) fn text<'a>(json: &'a Value, path: &str) -> Option<&'a str> {
    json.pointer(path)?.as_str()
}

pub(super) fn number(json: &Value, path: &str) -> Option<u64> {
    json.pointer(path)?.as_u64()
}

/// Milliseconds with a fraction.
pub(super) fn millis(json: &Value, path: &str) -> Option<f64> {
    json.pointer(path)?
        .as_f64()
        .filter(|millis| millis.is_finite())
}

/// When an attempt began, in Unix microseconds.
pub(super) fn began(record: &Record, attempt: &Value) -> Option<i64> {
    let into = millis(attempt, "/started_ms").unwrap_or_default().max(0.0);
    let into = std::time::Duration::try_from_secs_f64(into / 1_000.0).ok()?;
    let into = i64::try_from(into.as_micros()).ok()?;
    record.micros()?.checked_add(into)
}

/// Everything under a key `body`: the request's, each attempt's, the answer's.
pub(super) fn bodies(record: &Record) -> impl Iterator<Item = &Value> {
    let json = record.json();
    let messages = [json.get("request"), json.get("answer")];
    let messages = messages.into_iter().flatten().chain(record.attempts());
    messages.filter_map(|message| message.get("body"))
}

/// What an opened body holds, and whether that is base64.
pub(super) fn opened(body: &Value) -> impl Iterator<Item = (bool, &str)> {
    [
        (false, "text"),
        (false, "raw_text"),
        (true, "base64"),
        (true, "raw_base64"),
    ]
    .into_iter()
    .filter_map(|(is_base64, name)| Some((is_base64, body.get(name)?.as_str()?)))
}
