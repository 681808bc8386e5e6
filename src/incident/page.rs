//! An incident as people read it in a terminal.
//!
//! **Invariant:** nothing that came from outside reaches the terminal as a control character: no
//! colours, no cursor, no direction of writing, no line that only looks like one of ours.

use std::fmt::Write as _;

use serde_json::Value;

use super::{explain::Finding, line::is_unsafe, reader::Record};

mod timeline;
mod why;

pub use why::explained;

/// One row of a list.
pub fn line(record: &Record) -> String {
    let time = shown(record.time().unwrap_or("-"));
    if !record.is_incident() {
        return format!("{time}  ----  {}", note(record));
    }
    let text = |text: Option<&str>| shown(text.unwrap_or("-"));
    let status = record
        .status()
        .map_or("---".into(), |status| status.to_string());
    format!(
        "{time}  {status}  {:8}  {:11}  {}  {} {}  {}",
        text(record.fault()),
        text(record.kind()),
        text(record.id()),
        text(record.method()),
        text(record.url()),
        who(record)
    )
}

/// What a note of the log about itself says.
pub fn note(record: &Record) -> String {
    let number = |path| record.number(path).unwrap_or_default();
    let text = |path| shown(record.text(path).unwrap_or("-"));
    match record.kind() {
        Some("gap") => format!(
            "gap: {} records missing since {}: {}",
            number("/dropped"),
            text("/since"),
            text("/reason")
        ),
        Some("late") => format!(
            "late: {} answers since {}: {}",
            number("/late"),
            text("/since"),
            text("/reason")
        ),
        Some("summary") => format!(
            "and {} more like {} (first {}, last {})",
            number("/count"),
            text("/signature"),
            text("/first_id"),
            text("/last_id")
        ),
        Some("written") => format!(
            "written: {} {} {} by {}, made {}",
            number("/answer/status"),
            text("/request/method"),
            text("/request/url"),
            who(record),
            text("/x_restli_id")
        ),
        Some("self_test") => "the log tested itself".to_owned(),
        other => shown(other.unwrap_or("-")),
    }
}

fn who(record: &Record) -> String {
    let caller = shown(record.caller().unwrap_or("-"));
    match record.member() {
        Some(member) => format!("{caller} for {}", shown(member)),
        None => caller,
    }
}

/// The whole page of one record, with why it happened at the top.
pub fn whole(record: &Record, findings: &[Finding]) -> String {
    let mut page = Page(String::new());
    if !record.is_incident() {
        page.row("note", &note(record));
        return page.0;
    }
    page.line(&shown(record.verdict().unwrap_or("-")));
    page.line("");
    page.findings(findings);
    page.summary(record);
    page.timeline(record);
    page.request(record);
    for attempt in record.attempts() {
        page.attempt(attempt);
    }
    if let Some(answer) = record
        .json()
        .get("answer")
        .filter(|answer| !answer.is_null())
    {
        page.title(&format!(
            "answer to the caller: {}",
            value(answer, "/status")
        ));
        page.message(answer);
    }
    page.linkedin(record);
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn row(&mut self, name: &str, value: &str) {
        // Writing to a string cannot fail.
        writeln!(self.0, "{name:<12} {value}").unwrap_or_default();
    }

    fn title(&mut self, title: &str) {
        writeln!(self.0, "\n── {title}").unwrap_or_default();
    }

    fn summary(&mut self, record: &Record) {
        let json = record.json();
        self.row("incident", &value(json, "/id"));
        let took = format!(
            "{} (took {} ms)",
            value(json, "/time"),
            value(json, "/took_ms")
        );
        self.row("time", &took);
        self.row("fault", &value(json, "/fault"));
        self.row("kind", &value(json, "/kind"));
        self.row("outcome", &value(json, "/outcome"));
        for (name, path) in [
            ("code", "/code"),
            ("linkedin code", "/linkedin_code"),
            ("it is about", "/linkedin_about"),
            ("api version", "/linkedin_version"),
            ("signature", "/signature"),
            ("caller", "/caller"),
            ("key", "/key_id"),
            ("member", "/member/name"),
            ("member urn", "/member/urn"),
            ("application", "/application/name"),
            ("client id", "/application/client_id"),
        ] {
            if record.text(path).is_some() {
                self.row(name, &value(json, path));
            }
        }
        let gateway = ["/gateway/version", "/gateway/instance", "/gateway/config"];
        let [version, instance, config] = gateway.map(|path| value(json, path));
        self.row(
            "gateway",
            &format!("{version} on {instance}, configuration {config}"),
        );
        if json.get("shortened").is_some() {
            self.row(
                "note",
                "headers were cut: the record would have been too long",
            );
        }
    }

    fn request(&mut self, record: &Record) {
        let Some(request) = record.json().get("request") else {
            return;
        };
        self.title("request of the caller");
        let [method, url, version] =
            ["/method", "/url", "/version"].map(|path| value(request, path));
        self.line(&format!("{method} {url} {version}"));
        self.message(request);
    }

    fn attempt(&mut self, attempt: &Value) {
        let [n, started, token] = ["/n", "/started_ms", "/token"].map(|path| value(attempt, path));
        self.title(&format!(
            "attempt {n}, {started} ms after the start, token {token}"
        ));
        if attempt.get("token_age_secs").is_some_and(Value::is_number) {
            let age = value(attempt, "/token_age_secs");
            self.row("token age", &format!("{age} s"));
        }
        let [method, url, bytes] =
            ["/sent/method", "/sent/url", "/sent/bytes"].map(|path| value(attempt, path));
        self.line(&format!("{method} {url} ({bytes} bytes sent)"));
        match attempt.get("sent") {
            Some(sent) if sent.get("headers").is_some_and(Value::is_array) => self.headers(sent),
            _ => self.line("  nothing left for LinkedIn"),
        }
        self.line("");
        if attempt.get("status").is_some_and(Value::is_number) {
            let [version, status] = ["/version", "/status"].map(|path| value(attempt, path));
            self.line(&format!("{version} {status}"));
            self.message(attempt);
        }
        if attempt.get("error").is_some_and(Value::is_string) {
            let [error, detail] = ["/error", "/error_detail"].map(|path| value(attempt, path));
            self.row("broke", &format!("{error}: {detail}"));
        }
        let is_reused = attempt.get("reused_connection") == Some(&Value::Bool(true));
        let connection = if is_reused { "pooled" } else { "made for it" };
        self.row("connection", connection);
        if attempt.get("then").is_some_and(Value::is_string) {
            self.row("then", &value(attempt, "/then"));
        }
    }

    fn message(&mut self, message: &Value) {
        self.headers(message);
        if let Some(body) = message.get("body") {
            self.body(body);
        }
    }

    fn headers(&mut self, message: &Value) {
        for header in message
            .get("headers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let [name, text] = ["/0", "/1"].map(|path| value(header, path));
            self.line(&format!("  {name}: {text}"));
        }
        if message.get("latin1").is_some() {
            self.line("  (not all of these are UTF-8; shown as ISO 8859-1)");
        }
    }

    fn body(&mut self, body: &Value) {
        let bytes = body
            .get("bytes")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        if bytes == 0 {
            return;
        }
        let captured = value(body, "/captured");
        let place = match (body.get("ref"), body.get("withheld")) {
            (Some(Value::String(_)), _) => format!("kept at {}", value(body, "/ref")),
            (_, Some(_)) => format!("not kept: {}", value(body, "/withheld")),
            _ => "not kept".into(),
        };
        self.row(
            "body",
            &format!("{bytes} bytes, {captured} captured, {place}"),
        );
        for part in ["text", "base64"] {
            if let Some(text) = body.get(part).and_then(Value::as_str) {
                for line in text.lines() {
                    self.line(&format!("  | {}", shown(line)));
                }
            }
        }
    }

    fn linkedin(&mut self, record: &Record) {
        let Some(linkedin) = record.json().get("linkedin").filter(|ids| ids.is_object()) else {
            return;
        };
        self.title("for LinkedIn's support");
        for (name, path) in [
            ("x-li-uuid", "/x_li_uuid"),
            ("x-li-request-id", "/x_li_request_id"),
            ("x-li-fabric", "/x_li_fabric"),
            ("their clock", "/time"),
            ("ahead by", "/skew_ms"),
        ] {
            let unit = if path == "/skew_ms" { " ms" } else { "" };
            if linkedin.pointer(path).is_some_and(|id| !id.is_null()) {
                self.row(name, &(value(linkedin, path) + unit));
            }
        }
    }
}

/// What stands at `path`, safe to show.
fn value(json: &Value, path: &str) -> String {
    match json.pointer(path) {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}

/// `text` with everything escaped that a terminal would obey or hide.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}
