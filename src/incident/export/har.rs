//! HAR 1.2: an entry for each trip to LinkedIn, and the caller's own exchange beside them.
//!
//! What HAR has no word for stands under keys that begin with `_`. A call of which nothing was sent has one
//! entry, `_attempt` 0: the caller's exchange with the gateway.
//!
//! **Invariant:** unknown times and sizes are -1, as HAR wants it; a URL is one even where a mark stands in it.

use data_encoding::HEXUPPER;
use serde_json::{Value, json};

use super::{
    Refused,
    case::{self, Body},
};
use crate::incident::{
    reader::{self, Record, header},
    record::timestamp,
};

/// The whole document.
pub(super) fn write(records: &[Record]) -> Result<Vec<u8>, Refused> {
    let entries: Vec<Value> = records.iter().flat_map(entries).collect();
    let exchanges: Vec<Value> = records.iter().map(exchange).collect();
    let document = json!({"log": {
        "version": "1.2",
        "creator": {"name": "Linkgate", "version": env!("CARGO_PKG_VERSION")},
        "entries": entries,
        "_exchanges": exchanges,
    }});
    super::json::pretty(&document)
}

fn entries(record: &Record) -> Vec<Value> {
    let attempts = record.attempts();
    if attempts.is_empty() {
        return vec![unsent(record)];
    }
    (1..)
        .zip(attempts)
        .map(|(n, attempt)| entry(n, record, attempt))
        .collect()
}

fn entry(n: u64, record: &Record, attempt: &Value) -> Value {
    let sent = attempt.get("sent").unwrap_or(&Value::Null);
    // What was sent has the caller's body, unless nothing of it went.
    let body = record.json().get("request").unwrap_or(&Value::Null);
    let timings = timings(attempt);
    let began = case::began(record, attempt).unwrap_or_default();
    json!({
        "startedDateTime": timestamp(began),
        "time": total(&timings),
        "request": request(sent, body, case::text(attempt, "/version")),
        "response": response(attempt, case::text(attempt, "/version")),
        "cache": {},
        "timings": timings,
        "comment": case::text(attempt, "/then").unwrap_or_default(),
        "_exchange_id": record.id(),
        "_attempt": n,
        "_x_li_uuid": header(attempt, "x-li-uuid"),
        "_x_li_request_id": header(attempt, "x-li-request-id"),
        "_x_li_fabric": header(attempt, "x-li-fabric"),
        "_token": attempt.get("token"),
        "_token_age_secs": attempt.get("token_age_secs"),
        "_error": attempt.get("error"),
        "_error_detail": attempt.get("error_detail"),
        "_timings": attempt.get("timings"),
    })
}

/// The caller's exchange as an entry, where nothing went to LinkedIn.
fn unsent(record: &Record) -> Value {
    let none = Value::Null;
    let asked = record.json().get("request").unwrap_or(&none);
    let answer = record.json().get("answer").unwrap_or(&none);
    let host = header(asked, "host").unwrap_or("linkgate.invalid");
    let target = case::text(asked, "/url").unwrap_or("/");
    let mut request = request(asked, asked, case::text(asked, "/version"));
    let url = match target.starts_with('/') {
        true => format!("http://{host}{target}"),
        false => target.to_owned(),
    };
    let url = address(&url);
    set(&mut request, "queryString", query(&url));
    set(&mut request, "url", Value::from(url));
    let took = case::millis(record.json(), "/took_ms")
        .unwrap_or_default()
        .max(0.0);
    json!({
        "startedDateTime": timestamp(record.micros().unwrap_or_default()),
        "time": took,
        "request": request,
        "response": response(answer, case::text(asked, "/version")),
        "cache": {},
        "timings": {"send": -1, "wait": took, "receive": -1},
        "comment": "nothing was sent to LinkedIn: this is the caller's exchange with the gateway",
        "_exchange_id": record.id(),
        "_attempt": 0,
    })
}

fn set(json: &mut Value, name: &str, value: Value) {
    if let Some(fields) = json.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// The caller's side of a record, and what was made of it.
fn exchange(record: &Record) -> Value {
    let json = record.json();
    let none = Value::Null;
    let asked = json.get("request").unwrap_or(&none);
    let mut exchange = json!({
        "_exchange_id": record.id(),
        "startedDateTime": timestamp(record.micros().unwrap_or_default()),
        "time": json.get("took_ms"),
        "request": request(asked, asked, case::text(asked, "/version")),
        "response": json.get("answer").filter(|answer| answer.is_object())
            .map(|answer| response(answer, case::text(asked, "/version"))),
    });
    for name in [
        "fault",
        "kind",
        "signature",
        "code",
        "linkedin_code",
        "verdict",
        "caller",
        "member",
        "application",
        "outcome",
        "gateway",
    ] {
        set(
            &mut exchange,
            name,
            json.get(name).cloned().unwrap_or_default(),
        );
    }
    exchange
}

/// `head` has method, URL and headers, `body` the body.
fn request(head: &Value, body: &Value, version: Option<&str>) -> Value {
    let url = address(case::text(head, "/url").unwrap_or_default());
    let mut request = json!({
        "method": case::text(head, "/method").unwrap_or_default(),
        "httpVersion": version.unwrap_or_default(),
        "cookies": [],
        "headers": headers(head),
        "queryString": query(&url),
        "url": url,
        "headersSize": -1,
        "bodySize": size(body),
    });
    if case::bytes(body) > 0 {
        let media_type = header(head, "content-type").unwrap_or_default();
        let mut data = json!({"mimeType": media_type});
        match Body::of(body) {
            Body::Text(text) => set(&mut data, "text", text.into()),
            Body::Binary(base64) => {
                set(&mut data, "text", base64.into());
                set(&mut data, "_encoding", "base64".into());
            }
            other => set(&mut data, "comment", remark(other).into()),
        }
        note_cut(&mut data, body);
        set(&mut request, "postData", data);
    }
    request
}

fn response(message: &Value, version: Option<&str>) -> Value {
    let status = case::number(message, "/status");
    let mut content = json!({
        "size": size(message).max(0),
        "mimeType": header(message, "content-type").unwrap_or_default(),
    });
    match Body::of(message) {
        Body::Empty => {}
        Body::Text(text) => set(&mut content, "text", text.into()),
        Body::Binary(base64) => {
            set(&mut content, "text", base64.into());
            set(&mut content, "encoding", "base64".into());
        }
        other => set(&mut content, "comment", remark(other).into()),
    }
    note_cut(&mut content, message);
    json!({
        // HAR viewers take 0 for an answer that never came.
        "status": status.unwrap_or_default(),
        "statusText": "",
        "httpVersion": version.filter(|_| status.is_some()).unwrap_or_default(),
        "cookies": [],
        "headers": headers(message),
        "content": content,
        "redirectURL": address(header(message, "location").unwrap_or_default()),
        "headersSize": -1,
        "bodySize": if status.is_some() { size(message) } else { -1 },
    })
}

fn remark(body: Body<'_>) -> String {
    match body {
        Body::Withheld(why) => format!("not kept: {why}"),
        Body::Unopened => case::UNOPENED.to_owned(),
        _ => "not kept any more".to_owned(),
    }
}

/// Says where a text is only the beginning of the body.
fn note_cut(part: &mut Value, message: &Value) {
    if case::is_cut(message) && part.get("text").is_some() {
        let bytes = case::bytes(message);
        set(
            part,
            "comment",
            format!("only the beginning of {bytes} bytes was kept").into(),
        );
    }
}

/// Bytes of the body, -1 where that is not known.
fn size(message: &Value) -> i64 {
    let bytes = case::number(message, "/body/bytes");
    bytes
        .and_then(|bytes| i64::try_from(bytes).ok())
        .unwrap_or(-1)
}

fn headers(message: &Value) -> Value {
    let header = |(name, value)| json!({"name": name, "value": value});
    reader::headers(message).map(header).collect()
}

fn query(url: &str) -> Value {
    let url = url.split('#').next().unwrap_or_default();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect()
}

/// The URL with everything percent-encoded that no URL may hold (RFC 3986 §2), such as a mark's brackets.
fn address(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        let is_allowed = byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(&byte);
        if is_allowed {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&HEXUPPER.encode(&[byte]));
        }
    }
    out
}

/// HAR's phases, as far as the record tells them apart; our own waits came before, and stand in `_timings`.
fn timings(attempt: &Value) -> Value {
    let at = |name: &str| case::millis(attempt, &format!("/timings/{name}_ms"));
    let between = |from: Option<f64>, to: Option<f64>| match (from, to) {
        (Some(from), Some(to)) if to >= from => rounded(to - from),
        _ => -1.0,
    };
    let known = |phase: Option<f64>| phase.filter(|millis| *millis >= 0.0).map_or(-1.0, rounded);
    let reused = attempt.get("reused_connection").and_then(Value::as_bool) == Some(true);
    let connected = at("connected");
    // HAR counts TLS into `connect`; a record of an earlier version has the sum alone.
    let steps = at("connect").map(|connect| connect + at("tls").unwrap_or_default());
    let connect = steps.or(connected).filter(|_| !reused);
    let begun = connected.or(Some(0.0));
    let sent = at("sent").or(begun);
    json!({
        "blocked": -1,
        "dns": known(at("dns")),
        "connect": known(connect),
        "ssl": known(at("tls")),
        "send": between(begun, sent).max(0.0),
        "wait": between(sent, at("first_byte")),
        "receive": between(at("first_byte"), at("ended")),
    })
}

/// The sum of what is known, as HAR defines an entry's time; `ssl` is a part of `connect`.
fn total(timings: &Value) -> f64 {
    let phases = ["blocked", "dns", "connect", "send", "wait", "receive"];
    let known = phases
        .iter()
        .filter_map(|phase| timings.get(phase)?.as_f64());
    rounded(known.filter(|millis| *millis > 0.0).sum())
}

fn rounded(millis: f64) -> f64 {
    (millis * 1_000.0).round() / 1_000.0
}
