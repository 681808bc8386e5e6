//! The text for LinkedIn's form: what its support asks for (linkedin.md §7), and nothing it must not have.
//!
//! Of the call, what was sent to LinkedIn counts, and of its attempts the last one that went wrong.
//!
//! **Invariant:** a token is its fingerprint; every time is UTC; no character that a terminal would obey.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    Circumstances, Standing,
    case::{self, Body},
};
use crate::incident::{
    page::shown,
    reader::{self, Record, header},
    record::timestamp,
};

/// The whole text.
pub(super) fn write(records: &[Record], beside: &Circumstances) -> String {
    let mut ticket = Ticket(String::new());
    ticket.opening(records, beside);
    for (at, record) in records.iter().enumerate() {
        ticket.line("");
        let id = shown(record.id().unwrap_or("-"));
        ticket.line(&format!(
            "=== Case {} of {}: incident {id}",
            at + 1,
            records.len()
        ));
        ticket.case(record, beside);
    }
    ticket.0
}

struct Ticket(String);

impl Ticket {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn row(&mut self, name: &str, value: &str) {
        // Writing to a string cannot fail.
        writeln!(self.0, "{name}: {value}").unwrap_or_default();
    }

    fn opening(&mut self, records: &[Record], beside: &Circumstances) {
        let mut clients: Vec<&str> = records.iter().filter_map(client_id).collect();
        clients.sort_unstable();
        clients.dedup();
        self.row(
            "Application Client ID",
            &shown(&or_dash(&clients.join(", "))),
        );
        self.row("Form Type", "Developer Support");
        self.row("API Product", "(please choose in the form)");
        self.line("");
        self.line(&format!(
            "Description (prepared by Linkgate {}, {}; all times are UTC)",
            env!("CARGO_PKG_VERSION"),
            timestamp(beside.now_micros)
        ));
        self.line(
            "[redacted:...] stands for a secret, which LinkedIn's rules keep out of tickets; equal marks are equal secrets.",
        );
    }

    fn case(&mut self, record: &Record, beside: &Circumstances) {
        let attempt = decisive(record);
        self.line("");
        self.story(record, attempt);
        self.line("");
        self.line("Request");
        match attempt {
            Some(attempt) => self.sent(record, attempt),
            None => self.line("  Nothing was sent to LinkedIn for this call."),
        }
        self.row(
            "  Application client ID",
            &shown(client_id(record).unwrap_or("-")),
        );
        if let Some(attempt) = attempt {
            self.token(record, attempt, beside);
            self.line("");
            self.line("Response");
            self.response(attempt);
        }
    }

    /// What was expected, what happened, how often.
    fn story(&mut self, record: &Record, attempt: Option<&Value>) {
        let method = shown(record.method().unwrap_or("-"));
        let url = attempt.and_then(|attempt| case::text(attempt, "/sent/url"));
        let url = shown(url.or(record.url()).unwrap_or("-"));
        self.row(
            "What was expected",
            &format!("a success (2xx) in answer to {method} {url}"),
        );
        let happened = attempt.map_or("it was not sent".to_owned(), ending);
        let verdict = shown(record.verdict().unwrap_or_default());
        let time = shown(record.time().unwrap_or("-"));
        self.row(
            "What happened",
            &format!("{happened}, at {time}. {verdict}"),
        );
        let attempts = record.attempts();
        let failed = attempts.iter().filter(|attempt| is_failed(attempt)).count();
        self.row(
            "How often",
            &format!(
                "{failed} of {} attempts within this call failed",
                attempts.len()
            ),
        );
        for (n, attempt) in (1..).zip(attempts) {
            self.attempt(n, record, attempt);
        }
    }

    fn attempt(&mut self, n: usize, record: &Record, attempt: &Value) {
        let began = case::began(record, attempt).map_or("-".into(), timestamp);
        let took = case::millis(attempt, "/timings/ended_ms")
            .or(case::millis(attempt, "/timings/first_byte_ms"));
        let took = took.map_or(String::new(), |took| format!(" after {took} ms"));
        let uuid = header(attempt, "x-li-uuid");
        let uuid = uuid.map_or(String::new(), |uuid| format!(", x-li-uuid {}", shown(uuid)));
        self.line(&format!("  {n}. {began}: {}{took}{uuid}", ending(attempt)));
    }

    fn sent(&mut self, record: &Record, attempt: &Value) {
        let text = |path| shown(case::text(attempt, path).unwrap_or("-"));
        self.row("  Request URL", &text("/sent/url"));
        self.row("  Method", &text("/sent/method"));
        self.line("  Headers:");
        for (name, value) in attempt.get("sent").into_iter().flat_map(reader::headers) {
            self.line(&format!("    {}: {}", shown(name), shown(value)));
        }
        if let Some(request) = record.json().get("request") {
            self.body(request);
        }
    }

    /// Its fingerprint, and how it stands.
    fn token(&mut self, record: &Record, attempt: &Value, beside: &Circumstances) {
        let fingerprint = case::text(attempt, "/token");
        let age = attempt.pointer("/token_age_secs").and_then(Value::as_i64);
        let age = age.map_or(String::new(), |age| format!(", {age} s old"));
        self.row(
            "  Access token",
            &format!("fingerprint {}{age}", shown(fingerprint.unwrap_or("-"))),
        );
        self.row("  Token status", &status_then(record, attempt));
        let standing = beside.standings.iter().find(|standing| {
            standing.member.as_deref() == record.member()
                && Some(standing.application.as_str()) == record.application()
        });
        if let Some(standing) = standing {
            self.row("  Token status now", &status_now(standing, fingerprint));
        }
    }

    fn response(&mut self, attempt: &Value) {
        self.row("  Status", &ending(attempt));
        for name in ["x-li-uuid", "x-li-fabric", "x-li-request-id"] {
            let value = header(attempt, name).unwrap_or("(none)");
            self.row(&format!("  {name}"), &shown(value));
        }
        if attempt.get("status").is_some_and(Value::is_number) {
            self.body(attempt);
        }
    }

    fn body(&mut self, message: &Value) {
        let bytes = case::bytes(message);
        let note = match Body::of(message) {
            Body::Empty => "(empty)".to_owned(),
            Body::Unopened => format!("{bytes} bytes, {}", case::UNOPENED),
            Body::Gone => format!("{bytes} bytes, not kept any more"),
            Body::Withheld(why) => format!("{bytes} bytes, not kept: {}", shown(why)),
            Body::Binary(_) => format!("{bytes} bytes, no text"),
            Body::Text(_) if case::is_cut(message) => format!("{bytes} bytes, of which the first"),
            Body::Text(_) => format!("{bytes} bytes"),
        };
        self.row("  Body", &note);
        if let Body::Text(text) = Body::of(message) {
            for line in text.lines() {
                self.line(&format!("    {}", shown(line)));
            }
        }
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

fn client_id(record: &Record) -> Option<&str> {
    record.text("/application/client_id")
}

/// The attempt that is told: the last one that went wrong, else the last.
fn decisive(record: &Record) -> Option<&Value> {
    let attempts = record.attempts();
    let failed = attempts.iter().rev().find(|attempt| is_failed(attempt));
    failed.or(attempts.last())
}

fn is_failed(attempt: &Value) -> bool {
    case::number(attempt, "/status").is_none_or(|status| status >= 400)
        || attempt.get("error").is_some_and(Value::is_string)
}

/// How an attempt ended.
fn ending(attempt: &Value) -> String {
    let status =
        case::number(attempt, "/status").map(|status| format!("LinkedIn answered {status}"));
    let error = case::text(attempt, "/error").map(|error| {
        let detail = case::text(attempt, "/error_detail").unwrap_or_default();
        format!("the connection broke ({}: {})", shown(error), shown(detail))
    });
    match (status, error) {
        (Some(status), Some(error)) => format!("{status}, then {error}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "no answer".to_owned(),
    }
}

/// How the token stood by LinkedIn's own answer to the call (linkedin.md §3.2).
fn status_then(record: &Record, attempt: &Value) -> String {
    if case::number(attempt, "/status") != Some(401) {
        return "unknown; LinkedIn's answer to this call does not tell".to_owned();
    }
    let error: Value = match Body::of(attempt) {
        Body::Text(text) => serde_json::from_str(text).unwrap_or_default(),
        _ => Value::Null,
    };
    let told = case::number(&error, "/serviceErrorCode").map(|code| code.to_string());
    // The body may be gone; the record keeps the last attempt's code.
    let code = told.or(record.text("/linkedin_code").map(str::to_owned));
    match code.as_deref() {
        Some("65602") => "expired, as LinkedIn answered this call (65602)".to_owned(),
        Some("65601") => "revoked, as LinkedIn answered this call (65601)".to_owned(),
        Some(code) => format!("unknown; LinkedIn answered this call 401 ({})", shown(code)),
        None => "unknown; LinkedIn answered this call 401".to_owned(),
    }
}

/// How the token stands that is in use now, which may be another one.
fn status_now(standing: &Standing, then: Option<&str>) -> String {
    let which = match (standing.fingerprint.as_deref(), then) {
        (Some(now), Some(then)) if now == then => "the same token".to_owned(),
        (Some(now), Some(_)) => format!("another token, fingerprint {}", shown(now)),
        _ => "the token in use".to_owned(),
    };
    format!(
        "{}, by introspection at {} ({which})",
        shown(&standing.status),
        timestamp(standing.asked_micros)
    )
}
