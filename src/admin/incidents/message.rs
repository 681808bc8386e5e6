//! What was asked, sent and answered: headers side by side, bodies where they may be seen.
//!
//! **Invariant:** a body that this visitor may not see is not in the record that comes here
//! ([`crate::admin::reading`]); the page says why it shows none.

use maud::{Markup, html};
use serde_json::Value;

use super::row;
use crate::incident::{page::shown, reader::Record};

/// Characters of a body on a page; the export has all that was kept.
const LONGEST_BODY: usize = 32_768;

/// The caller's request, every attempt, the answer to the caller.
pub(super) fn exchange(record: &Record, shows_bodies: bool) -> Markup {
    let json = record.json();
    let attempts = json.pointer("/attempts").and_then(Value::as_array);
    let given = |name| json.get(name).filter(|message: &&Value| !message.is_null());
    html! {
        @if !shows_bodies {
            p.faint { "Bodies are shown to operators only (" code { "incidents.support_sees_bodies" } ")." }
        }
        h2 { "The caller's side" }
        div.sides {
            @if let Some(request) = given("request") {
                section { h3 { "Request" } (line(request)) (message(request)) }
            }
            section {
                h3 { "Answer" }
                @match given("answer") {
                    Some(answer) => { p { (status(answer)) } (message(answer)) },
                    None => p.faint { "None was given: the caller had left." },
                }
            }
        }
        @for attempt in attempts.into_iter().flatten() { (self::attempt(attempt)) }
    }
}

fn attempt(attempt: &Value) -> Markup {
    let n = attempt.get("n").and_then(Value::as_u64).unwrap_or_default();
    let sent = attempt.get("sent").unwrap_or(&Value::Null);
    html! {
        h2 { "Attempt " (n) }
        p.faint { "token " code { (text(attempt, "/token")) } (age(attempt)) ", " (text(attempt, "/version")) }
        div.sides {
            section {
                h3 { "Sent to LinkedIn" }
                (line(sent))
                @match sent.get("headers").is_some_and(Value::is_array) {
                    true => (headers(sent)),
                    false => p.faint { "Nothing left for LinkedIn." },
                }
            }
            section {
                h3 { "LinkedIn's answer" }
                @match attempt.get("status").is_some_and(Value::is_number) {
                    true => { p { (status(attempt)) } (message(attempt)) },
                    false => p.bad { (row::word(attempt.get("error").and_then(Value::as_str))) },
                }
            }
        }
    }
}

fn age(attempt: &Value) -> Markup {
    let age = attempt.get("token_age_secs").and_then(Value::as_i64);
    html! { @if let Some(age) = age { ", " (age) " s old" } }
}

fn status(message: &Value) -> Markup {
    let status = message
        .get("status")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    html! { span class=(row::class_of(status)) { (status) } }
}

/// Method and URL.
fn line(message: &Value) -> Markup {
    html! { p.line { code { (text(message, "/method")) " " (text(message, "/url")) } } }
}

fn message(message: &Value) -> Markup {
    html! {
        (headers(message))
        @if let Some(body) = message.get("body") { (self::body(body)) }
    }
}

fn headers(message: &Value) -> Markup {
    let all = message.get("headers").and_then(Value::as_array);
    html! {
        table.headers {
            tbody {
                @for header in all.into_iter().flatten() {
                    tr { th scope="row" { (text(header, "/0")) } td { code { (text(header, "/1")) } } }
                }
            }
        }
        @if message.get("latin1").is_some() { p.faint { "Not all of these are UTF-8; shown as ISO 8859-1." } }
    }
}

fn body(body: &Value) -> Markup {
    let bytes = body
        .get("bytes")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    let shown_text = ["text", "base64"]
        .into_iter()
        .find_map(|part| body.get(part)?.as_str());
    html! {
        @if bytes > 0 {
            p.faint { "Body: " (bytes) " bytes" (fate(body, shown_text.is_some())) }
            @if let Some(text) = shown_text { pre.body tabindex="0" { (lines(text)) } }
        }
    }
}

/// What became of a body that is not shown, or not whole.
fn fate(body: &Value, is_shown: bool) -> Markup {
    let is_cut = body.get("truncated").and_then(Value::as_bool) == Some(true);
    let withheld = body.get("withheld").and_then(Value::as_str);
    let is_kept = body.get("ref").is_some_and(Value::is_string);
    html! {
        @if is_cut { ", the beginning kept" }
        @if let Some(why) = withheld { ", not kept: " (shown(why)) }
        @else if !is_kept { ", not kept" }
        @else if !is_shown { ", not shown" }
    }
}

/// A body's text with its line ends, everything else that hides or turns text around shown.
fn lines(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST_BODY).collect();
    let mut lines: Vec<String> = cut
        .split('\n')
        .map(|line| shown(line.trim_end_matches('\r')))
        .collect();
    if cut.len() < text.len() {
        lines.push("… (the export has the rest)".to_owned());
    }
    lines.join("\n")
}

fn text(json: &Value, path: &str) -> String {
    match json.pointer(path) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_sent_stands_as_text_and_a_body_says_why_it_is_not_shown() {
        let record = Record::from(json!({
            "kind": "failed",
            "request": {"method": "POST", "url": "/rest/posts", "headers": [["X-<b>", "</td><script>"]],
                "body": {"bytes": 9, "ref": "x:1:9", "text": "a\nb\u{202e}<i>"}},
            "attempts": [
                {"n": 1, "sent": {"method": "POST", "url": "u", "headers": null}, "error": "connection_lost"},
                {"n": 2, "sent": {"headers": []}, "status": 422, "body": {"bytes": 4, "ref": "x:2:4"}},
                {"n": 3, "sent": {"headers": []}, "status": 500, "body": {"bytes": 4, "withheld": "no key"}},
            ],
            "answer": null,
        }));

        let told = exchange(&record, true).into_string();

        for says in [
            "X-&lt;b&gt;",
            "&lt;/td&gt;&lt;script&gt;",
            "a\nb\\u{202e}&lt;i&gt;",
            "Nothing left for LinkedIn.",
            "connection lost",
            "Body: 4 bytes, not shown",
            "not kept: no key",
            "the caller had left",
        ] {
            assert!(told.contains(says), "{says}: {told}");
        }
        assert!(!told.contains("support_sees_bodies"));
        assert!(
            exchange(&record, false)
                .into_string()
                .contains("support_sees_bodies")
        );
    }
}
