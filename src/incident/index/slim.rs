//! A line read for its row alone: what no row holds is skipped, and nothing is copied.
//!
//! To read a whole line took more than to index it; a row needs twenty of its two hundred values.
//!
//! **Invariant:** says of a line of JSON what [`Row::of`] says of the whole [`Record`]; a line with anything odd about it
//! is read whole.
//!
//! **Neighbours:** `build` asks; `row` says what a row is.

use std::{borrow::Cow, sync::LazyLock};

use memchr::memmem;
use serde::Deserialize;
use uuid::Uuid;

use super::row::{Numbers, Row};
use crate::incident::{micros_of, reader::Record};

/// The numbers of `line`, and what `take` makes of its row; none if it is no line of ours.
pub(super) fn row<T>(line: &[u8], take: impl FnOnce(&Row<'_>) -> T) -> Option<(Numbers, T)> {
    if let Some(slim) = Slim::read(&without_headers(line)) {
        let row = slim.row();
        return Some((row.numbers, take(&row)));
    }
    let record = Record::parse(line)?;
    let row = Row::of(&record);
    Some((row.numbers, take(&row)))
}

/// Characters by number. Made once: making one takes as long as a search.
static ESCAPES: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\\u"));

/// How a list of header lines begins: in a text these quotation marks would not stand as such.
static HEADERS: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(LIST_BEGINS));
const LIST_BEGINS: &[u8] = br#""headers":[[""#;
/// How it ends, unless the quotation mark is escaped.
static LIST_ENDS: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(r#""]]"#));

/// `line` with empty lists in place of its header lines, which are most of it. Where that is not sure, as it is.
fn without_headers(line: &[u8]) -> Cow<'_, [u8]> {
    // Half a character is an error to who reads it, and so is what is no UTF-8.
    let is_odd = |headers: &[u8]| !headers.is_ascii() || ESCAPES.find(headers).is_some();
    let mut rest = line;
    let mut short = Vec::new();
    while let Some(start) = HEADERS.find(rest) {
        let inside = start + LIST_BEGINS.len();
        let (before, list) = rest.split_at(inside);
        let Some((headers, after)) = LIST_ENDS.find(list).map(|end| list.split_at(end)) else {
            return line.into();
        };
        // A mark that is escaped, or behind an escaped backslash, or that begins a text.
        let is_no_end = [&b"\\"[..], b",", b"["]
            .iter()
            .any(|before| headers.ends_with(before));
        if is_no_end || is_odd(headers) {
            return line.into();
        }
        short.reserve(line.len() / 2);
        short.extend_from_slice(before.strip_suffix(b"[\"").unwrap_or(before));
        rest = after.strip_prefix(b"\"]").unwrap_or(after);
    }
    if short.is_empty() {
        return line.into();
    }
    short.extend_from_slice(rest);
    short.into()
}

/// Borrowed where the line has no escapes in it.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn text<'t>(text: &'t Option<Text<'_>>) -> Option<&'t str> {
    text.as_ref().map(|text| &*text.0)
}

/// The places of a line that a row is made of.
#[derive(Deserialize)]
struct Slim<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    fault: Option<Text<'a>>,
    #[serde(borrow)]
    caller: Option<Text<'a>>,
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    outcome: Option<Text<'a>>,
    #[serde(borrow)]
    time: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    seq: Option<u64>,
    count: Option<u64>,
    dropped: Option<u64>,
    late: Option<u64>,
    #[serde(borrow)]
    member: Option<Named<'a>>,
    #[serde(borrow)]
    application: Option<Named<'a>>,
    #[serde(borrow)]
    request: Option<Asked<'a>>,
    answer: Option<Answered>,
    attempts: Option<Vec<Answered>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    method: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Answered {
    status: Option<u64>,
}

impl<'a> Slim<'a> {
    /// None if it has to be read whole.
    fn read(line: &'a [u8]) -> Option<Self> {
        // Half a character is an error to who reads it, and none to who skips it.
        let is_half = |place: usize| matches!(line.get(place + 2), Some(b'd' | b'D'));
        let is_odd = ESCAPES.find_iter(line).any(is_half);
        let line = std::str::from_utf8(line).ok().filter(|_| !is_odd)?;
        serde_json::from_str(line).ok()
    }

    fn row(&self) -> Row<'_> {
        let id = self.id.as_ref().and_then(|id| Uuid::try_parse(&id.0).ok());
        let kind = &*self.kind.0;
        let count = match kind {
            "summary" => self.count,
            "gap" => self.dropped,
            "late" => self.late,
            _ => None,
        };
        let last = || self.attempts.as_ref()?.last()?.status;
        let status = self
            .answer
            .as_ref()
            .and_then(|answer| answer.status)
            .or_else(last);
        Row {
            numbers: Numbers {
                seq: self.seq.unwrap_or(0),
                micros: self.time.as_ref().and_then(|time| micros_of(&time.0)),
                id: id.map_or(0, |id| id.as_u128()),
                status: status
                    .and_then(|status| u16::try_from(status).ok())
                    .unwrap_or(0),
                count: count.unwrap_or(1),
            },
            names: [
                text(&self.fault),
                Some(kind),
                self.request
                    .as_ref()
                    .and_then(|request| text(&request.method)),
                text(&self.caller),
                text(&self.key_id),
                self.member.as_ref().and_then(|member| text(&member.name)),
                self.application
                    .as_ref()
                    .and_then(|application| text(&application.name)),
                text(&self.signature),
                text(&self.outcome),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the whole record says, and what is read slim where that can be.
    fn both(line: &str) -> (Option<String>, Option<String>, bool) {
        let shown = |row: &Row<'_>| format!("{row:?}");
        let whole = Record::parse(line.as_bytes()).map(|record| shown(&Row::of(&record)));
        let slim = row(line.as_bytes(), shown).map(|(_, shown)| shown);
        (whole, slim, Slim::read(line.as_bytes()).is_some())
    }

    #[test]
    fn header_lines_are_left_out_where_that_is_sure() {
        for (why, line, short) in [
            (
                "twice",
                r#"{"a":{"headers":[["a","b"],["c","]"]],"b":1},"headers":[["d","e"]]}"#,
                r#"{"a":{"headers":[],"b":1},"headers":[]}"#,
            ),
            ("none", r#"{"headers":[]}"#, r#"{"headers":[]}"#),
            (
                "a mark that is escaped",
                r#"{"headers":[["a","\"]] x"]]}"#,
                r#"{"headers":[["a","\"]] x"]]}"#,
            ),
            (
                "brackets that begin a text",
                r#"{"headers":[["c","]],x"]],"kind":"cut"}"#,
                r#"{"headers":[["c","]],x"]],"kind":"cut"}"#,
            ),
            (
                "beyond ASCII",
                r#"{"headers":[["a","é"]]}"#,
                r#"{"headers":[["a","é"]]}"#,
            ),
        ] {
            let found = without_headers(line.as_bytes());
            assert_eq!(std::str::from_utf8(&found), Ok(short), "{why}");
        }
    }

    #[test]
    fn a_line_with_header_lines_says_what_the_whole_one_does() {
        for (why, line, is_slim) in [
            (
                "header lines",
                r#"{"kind":"cut","request":{"method":"PUT","headers":[["a","b"],["c",""]],"body":{}},"attempts":[{"headers":[["d","[[e]]"]],"status":401}],"answer":{"status":7}}"#,
                true,
            ),
            (
                "header lines with quotation marks and backslashes",
                r#"{"kind":"cut","request":{"headers":[["a","\\"]],"method":"PUT"},"attempts":[{"headers":[["d","\"]],\"status\":8,[[\""]],"status":401}]}"#,
                true,
            ),
            (
                "header lines that begin with brackets",
                r#"{"kind":"cut","request":{"headers":[["]]a","]],\"b"],["]]","]]"]],"method":"PUT"}}"#,
                true,
            ),
            (
                "a text that looks like them",
                r#"{"kind":"cut","signature":"\"headers\":[[\"a","request":{"method":"PUT","headers":[]},"outcome":"\"]]"}"#,
                true,
            ),
            (
                "half a header line",
                r#"{"kind":"cut","request":{"headers":[["a","b"#,
                false,
            ),
            (
                "half a character in them",
                r#"{"kind":"cut","request":{"headers":[["a","\ud800"]]}}"#,
                false,
            ),
        ] {
            let (whole, read, was_slim) = both(line);
            assert_eq!(read, whole, "{why}");
            assert_eq!(was_slim, is_slim, "{why}");
        }
    }

    #[test]
    fn a_line_read_slim_says_what_the_whole_one_does() {
        for (why, line, is_slim) in [
            (
                "an incident",
                r#"{"v":1,"id":"019ab1c2-3d4e-7f50-8a6b-9c0d1e2f3a4b","seq":7,"time":"2026-11-23T10:00:00.000001Z","took_ms":1.5,"fault":"linkedin","kind":"failed","signature":"GET /a 503 -","code":null,"caller":"crm","key_id":"a1","member":{"name":"ada","urn":null},"application":{"name":"default"},"request":{"method":"GET","headers":[["a","b"]]},"attempts":[{"status":401},{"status":503}],"answer":{"status":502},"outcome":"unknown"}"#,
                true,
            ),
            (
                "the last attempt's status",
                r#"{"kind":"cut","attempts":[{"status":401},{"status":503}],"answer":null}"#,
                true,
            ),
            (
                "no attempt",
                r#"{"kind":"cut","attempts":[],"answer":{}}"#,
                true,
            ),
            (
                "escapes",
                r#"{"kind":"failed","signature":"a \"b\" \u0007"}"#,
                true,
            ),
            ("a gap", r#"{"kind":"gap","dropped":12,"seq":3}"#, true),
            (
                "a summary",
                r#"{"kind":"summary","count":5,"dropped":1}"#,
                true,
            ),
            ("late ones", r#"{"kind":"late","late":2}"#, true),
            (
                "a status beyond all",
                r#"{"kind":"failed","answer":{"status":70000}}"#,
                true,
            ),
            ("no kind", r#"{"seq":1}"#, false),
            ("a kind that is none", r#"{"kind":7}"#, false),
            (
                "another type",
                r#"{"kind":"failed","seq":"7","caller":3,"member":"ada"}"#,
                false,
            ),
            ("a negative number", r#"{"kind":"failed","seq":-7}"#, false),
            (
                "twice the same",
                r#"{"kind":"failed","seq":1,"seq":2}"#,
                false,
            ),
            (
                "half a character",
                r#"{"kind":"failed","request":{"url":"\ud800"}}"#,
                false,
            ),
            ("no JSON", "GET / HTTP/1.1", false),
            ("an end too soon", r#"{"kind":"failed""#, false),
            ("more behind it", r#"{"kind":"failed"} x"#, false),
        ] {
            let (whole, read, was_slim) = both(line);
            assert_eq!(read, whole, "{why}");
            assert_eq!(was_slim, is_slim, "{why}");
        }
    }
}
