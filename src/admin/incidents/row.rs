//! An incident as one row of a table: the same in lists, in the live tail and beside a member.
//!
//! **Invariant:** whatever a caller or LinkedIn wrote reaches the page as text, with every character shown
//! that would hide or turn around others, and cut to a length that a table can hold.

use maud::{Markup, html};

use crate::incident::{
    page::{note, shown},
    reader::Record,
};

/// Characters of a URL in a table.
const LONGEST_URL: usize = 160;
/// Of a verdict.
const LONGEST_VERDICT: usize = 240;

/// The headings of such a table, in order.
const HEADINGS: [&str; 6] = [
    "Time (UTC)",
    "Status",
    "Fault",
    "Call",
    "For",
    "What was so",
];

/// A table of incidents; `tail` is where new rows of it come from, if they shall.
pub(in crate::admin) fn table(records: &[Record], tail: Option<&str>) -> Markup {
    html! {
        table.cards.incidents data-tail=[tail] {
            thead { tr { @for heading in HEADINGS { th scope="col" { (heading) } } } }
            tbody { @for record in records { (row(record)) } }
        }
    }
}

/// One row.
pub(super) fn row(record: &Record) -> Markup {
    let Some(id) = record.id() else {
        return html! {
            tr {
                td data-label="Time (UTC)" { (time(record)) }
                td.faint colspan="5" { (note(record)) }
            }
        };
    };
    html! {
        tr {
            td data-label="Time (UTC)" { a href={ "/incidents/" (id) } { (time(record)) } }
            td data-label="Status" { (status(record)) }
            td data-label="Fault" { div { (fault(record)) " " span.faint { (word(record.kind())) } } }
            td data-label="Call" {
                code { (shown(record.method().unwrap_or("-"))) " " (short(record.url().unwrap_or("-"), LONGEST_URL)) }
            }
            td data-label="For" { div { (whom(record)) } }
            td data-label="What was so" { div { (short(record.verdict().unwrap_or("-"), LONGEST_VERDICT)) } }
        }
    }
}

/// Date and time to the second; the exact one beside it.
pub(super) fn time(record: &Record) -> Markup {
    moment(record.time().unwrap_or_default())
}

/// The same for a time as the log writes it.
pub(in crate::admin) fn moment(exact: &str) -> Markup {
    let exact = shown(exact);
    let text = match (exact.get(..10), exact.get(11..19)) {
        (Some(date), Some(clock)) => format!("{date} {clock}"),
        _ => exact.clone(),
    };
    html! { time datetime=(exact) title=(exact) { (text) } }
}

/// The status, coloured by its class.
pub(super) fn status(record: &Record) -> Markup {
    match record.status() {
        Some(status) => html! { span class=(class_of(u64::from(status))) { (status) } },
        None => html! { span.faint { "none" } },
    }
}

/// How a status is coloured.
pub(super) fn class_of(status: u64) -> &'static str {
    match status {
        500.. => "bad",
        400.. => "warn",
        _ => "good",
    }
}

/// Whose fault, coloured by who must act.
pub(super) fn fault(record: &Record) -> Markup {
    let class = match record.fault() {
        Some("gateway" | "linkedin") => "bad",
        _ => "warn",
    };
    html! { span class=(class) { (word(record.fault())) } }
}

fn whom(record: &Record) -> Markup {
    html! {
        (shown(record.caller().unwrap_or("-")))
        @if let Some(member) = record.member() { " for " (shown(member)) }
    }
}

/// One of our own words, as people write it.
pub(super) fn word(word: Option<&str>) -> String {
    shown(word.unwrap_or("-")).replace('_', " ")
}

/// Text cut to so many characters.
pub(in crate::admin) fn short(text: &str, longest: usize) -> String {
    let mut cut = shown(&text.chars().take(longest).collect::<String>());
    if text.chars().nth(longest).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hostile_text_stands_in_a_row_as_text() {
        let hostile = format!(
            "/<script>alert(1)</script>\u{202e}\u{7}{}",
            "a".repeat(65_536)
        );
        let record = Record::from(json!({
            "id": "0192abcd", "kind": "failed", "time": "2026-11-25T09:31:01.000001Z",
            "fault": "caller", "verdict": "\"><img src=x>", "caller": "app",
            "request": {"method": "GET", "url": hostile}, "answer": {"status": 404},
        }));

        let told = row(&record).into_string();

        assert!(
            told.contains("/&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}\\u{7}aaa"),
            "{told}"
        );
        assert!(told.contains("&quot;&gt;&lt;img"), "{told}");
        assert!(told.contains(">2026-11-25 09:31:01<"), "{told}");
        assert!(told.len() < 1_500, "{}", told.len());
        assert!(!told.contains('\n'), "one line, as an event needs it");
    }

    #[test]
    fn a_note_of_the_log_is_a_row_without_a_link() {
        let gap = Record::from(json!({
            "kind": "gap", "time": "2026-11-25T09:31:01Z", "dropped": 3, "since": "s", "reason": "<b>",
        }));

        let told = row(&gap).into_string();

        assert!(
            told.contains("gap: 3 records missing") && !told.contains("<a "),
            "{told}"
        );
        assert!(told.contains("&lt;b&gt;"), "{told}");
    }
}
