//! Where an exchange's time went: its attempts one below the other, each as a bar from its start to its end.
//!
//! Drawn as SVG whose lengths are attributes, since the page's policy allows no style of its own.
//!
//! **Invariant:** every bar lies within the drawing, whatever times a record says; what a bar shows stands
//! beside it in words.

use maud::{Markup, html};
use serde_json::Value;

use super::row;
use crate::incident::{page::shown, reader::Record};

/// Rows that are drawn; an exchange has a handful.
const MOST: usize = 50;

/// What the colours mean.
const LEGEND: [(&str, &str); 6] = [
    ("pause", "our own wait"),
    ("token", "a token"),
    ("connect", "connecting"),
    ("send", "sending"),
    ("wait", "LinkedIn's first byte"),
    ("body", "the body"),
];

/// A stretch of time within an attempt.
struct Stretch {
    /// Names its colour, and what it is.
    class: &'static str,
    name: &'static str,
    /// In milliseconds from the exchange's start.
    from: f64,
    until: f64,
}

/// All attempts of a record.
pub(super) fn attempts(record: &Record) -> Markup {
    let all = record.json().pointer("/attempts").and_then(Value::as_array);
    let all: Vec<&Value> = all.into_iter().flatten().take(MOST).collect();
    let whole = whole(record, &all);
    html! {
        @if all.is_empty() {
            p.faint { "Nothing was sent to LinkedIn." }
        } @else {
            ol.waterfall {
                @for attempt in all { (bar(attempt, whole)) }
            }
            p.legend.faint {
                @for (class, name) in LEGEND {
                    span class={ "key " (class) } {} " " (name) " "
                }
                "· the whole exchange took " (spoken(whole))
            }
        }
    }
}

/// How long the drawing is, in milliseconds.
fn whole(record: &Record, attempts: &[&Value]) -> f64 {
    let took = number(record.json(), "/took_ms").unwrap_or_default();
    let ends = attempts.iter().filter_map(|attempt| {
        let started = number(attempt, "/started_ms")?;
        Some(started + number(attempt, "/timings/ended_ms").unwrap_or_default())
    });
    ends.fold(took, f64::max).max(0.001)
}

fn bar(attempt: &Value, whole: f64) -> Markup {
    let stretches = stretches(attempt);
    let started = number(attempt, "/started_ms").unwrap_or_default();
    let share = |milliseconds: f64| (milliseconds / whole * 100.0).clamp(0.0, 100.0);
    html! {
        li {
            p {
                "Attempt " (number(attempt, "/n").unwrap_or_default()) ": " (ended(attempt))
                " " span.faint { "begun after " (spoken(started)) @for one in &stretches { ", " (one.name) " " (spoken(one.until - one.from)) } (connecting(attempt)) }
            }
            svg.bar width="100%" height="14" role="img" aria-label="its share of the whole time" {
                rect.ground width="100%" height="14" {}
                @for one in &stretches {
                    @let from = share(one.from);
                    rect class=(one.class) x={ (format!("{from:.2}")) "%" } height="14"
                        width={ (format!("{:.2}", (share(one.until) - from).max(0.3))) "%" } {}
                }
            }
            @if let Some(then) = attempt.get("then").and_then(Value::as_str) { p.then { "Then: " (shown(then)) } }
        }
    }
}

/// How it ended.
fn ended(attempt: &Value) -> Markup {
    let text = |name| attempt.get(name).and_then(Value::as_str);
    html! {
        @if let Some(status) = attempt.get("status").and_then(Value::as_u64) {
            span class=(row::class_of(status)) { (status) }
        }
        @if let Some(error) = text("error") {
            " " span.bad { (row::word(Some(error))) }
            @if let Some(detail) = text("error_detail") { " " (row::short(detail, 300)) }
        }
    }
}

/// Its parts, as far as they are known: what was waited for before it, then each from where the one before ended.
fn stretches(attempt: &Value) -> Vec<Stretch> {
    let started = number(attempt, "/started_ms").unwrap_or_default();
    let before = |path| number(attempt, path).unwrap_or_default().max(0.0);
    let token = before("/timings/token_ms");
    let mut from = -token - before("/timings/wait_ms");
    let mut all = Vec::new();
    for (class, name, until) in [
        ("pause", "our own wait", Some(-token)),
        ("token", "waiting for a token", Some(0.0)),
        (
            "connect",
            "connecting",
            number(attempt, "/timings/connected_ms"),
        ),
        ("send", "sending", number(attempt, "/timings/sent_ms")),
        (
            "wait",
            "waiting for LinkedIn",
            number(attempt, "/timings/first_byte_ms"),
        ),
        ("body", "reading", number(attempt, "/timings/ended_ms")),
    ] {
        let Some(until) = until.filter(|until| *until > from) else {
            continue;
        };
        all.push(Stretch {
            class,
            name,
            from: started + from,
            until: started + until,
        });
        from = until;
    }
    all
}

/// What making a connection consisted of, where it was made for this attempt.
fn connecting(attempt: &Value) -> Markup {
    let steps = [
        ("DNS", "/timings/dns_ms"),
        ("TCP", "/timings/connect_ms"),
        ("TLS", "/timings/tls_ms"),
    ];
    html! {
        @for (name, path) in steps {
            @if let Some(took) = number(attempt, path) { ", " (name) " " (spoken(took)) }
        }
    }
}

fn number(json: &Value, path: &str) -> Option<f64> {
    json.pointer(path)?.as_f64()
}

/// A length of time in words: `3.2 ms`, `1.25 s`.
pub(super) fn spoken(milliseconds: f64) -> String {
    match milliseconds {
        1_000.0.. => format!("{:.2} s", milliseconds / 1_000.0),
        10.0.. => format!("{milliseconds:.0} ms"),
        _ => format!("{milliseconds:.1} ms"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bar_stays_within_the_drawing_whatever_a_record_says() {
        for (why, timings, started) in [
            (
                "as it should be",
                json!({"wait_ms": 0.5, "token_ms": 1e9, "dns_ms": 0.1, "connected_ms": 1.0, "first_byte_ms": 5.0, "ended_ms": 9.0}),
                1.0,
            ),
            ("nothing known", json!({}), 0.0),
            (
                "out of order",
                json!({"connected_ms": 9.0, "first_byte_ms": 5.0, "ended_ms": -1.0}),
                3.0,
            ),
            ("beyond all bounds", json!({"ended_ms": 1e300}), 1e300),
            ("before the start", json!({"ended_ms": 5.0}), -1e9),
        ] {
            let record = Record::from(json!({
                "kind": "failed", "took_ms": 10.0,
                "attempts": [{"n": 1, "started_ms": started, "status": 503, "timings": timings}],
            }));

            let drawn = attempts(&record).into_string();

            for part in drawn.split("x=\"").skip(1) {
                let x: f64 = part.split('%').next().unwrap().parse().unwrap();
                assert!((0.0..=100.0).contains(&x), "{why}: {drawn}");
            }
            assert!(!drawn.contains("style="), "the policy forbids it: {drawn}");
            assert!(drawn.contains("503"), "{why}: {drawn}");
        }
    }

    #[test]
    fn lengths_are_told_as_people_read_them() {
        for (milliseconds, told) in [(0.25, "0.2 ms"), (12.4, "12 ms"), (1_250.0, "1.25 s")] {
            assert_eq!(spoken(milliseconds), told);
        }
    }
}
