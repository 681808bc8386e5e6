//! Times in words, as people read them: "58 days", "3 hours ago"; the exact time stands beside them.
//!
//! **Neighbours:** the pages; the API gives Unix seconds.

use maud::{Markup, html};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What is left until `at`: "58 days", "over for 3 days". All in Unix seconds.
pub(super) fn left(at: Option<i64>, now: i64, unknown: &'static str) -> Markup {
    let Some(at) = at else {
        return html! { span.faint { (unknown) } };
    };
    let seconds = at.saturating_sub(now);
    let text = match seconds {
        1.. => span(seconds),
        _ => format!("over for {}", span(seconds.saturating_neg())),
    };
    let class = match seconds {
        ..=0 => "bad",
        1..604_800 => "warn",
        _ => "",
    };
    html! { span class=(class) { (stamped(at, &text)) } }
}

/// How long ago `at` was, or `never`.
pub(super) fn ago(at: Option<i64>, now: i64, never: &'static str) -> Markup {
    match at {
        None => html! { span.faint { (never) } },
        Some(at) => stamped(at, &format!("{} ago", span(now.saturating_sub(at)))),
    }
}

/// A time in Unix microseconds as RFC 3339 in UTC; empty for one that no calendar has.
pub(super) fn exact(micros: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok();
    at.and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

fn stamped(at: i64, text: &str) -> Markup {
    let exact = OffsetDateTime::from_unix_timestamp(at).ok();
    match exact.and_then(|at| at.format(&Rfc3339).ok()) {
        Some(exact) => html! { time datetime=(exact) title=(exact) { (text) } },
        None => html! { (text) },
    }
}

/// A length of time by its largest unit.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_by_their_largest_unit() {
        for (seconds, expected) in [
            (-5, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7199, "119 minutes"),
            (7200, "2 hours"),
            (172_799, "47 hours"),
            (172_800, "2 days"),
            (5_184_000, "60 days"),
            (i64::MAX, "106751991167300 days"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }

    #[test]
    fn what_is_left_says_when_it_is_over_or_soon() {
        for (at, class, text) in [
            (Some(200), "warn", "100 seconds"),
            (Some(100 + 31_536_000), "\"\"", "365 days"),
            (Some(40), "bad", "over for 60 seconds"),
            (None, "faint", "unknown"),
            (Some(i64::MAX), "\"\"", "days"),
            (Some(i64::MIN), "bad", "over for"),
        ] {
            let told = left(at, 100, "unknown").into_string();
            assert!(
                told.contains(class) && told.contains(text),
                "{at:?}: {told}"
            );
        }
        assert!(
            left(Some(86_400), 0, "")
                .into_string()
                .contains("1970-01-02T00:00:00Z")
        );
        assert!(
            ago(Some(40), 100, "never")
                .into_string()
                .contains("60 seconds ago")
        );
    }
}
