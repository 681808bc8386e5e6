//! The attempts under each other, and where the time of each went: a picture of letters, and the numbers.
//!
//! **Invariant:** a row has a bounded width, whatever times a record claims.

use serde_json::Value;

use super::{Page, value};
use crate::incident::reader::Record;

/// Letters for the whole exchange.
const LETTERS: u32 = 48;
const WIDTH: f64 = LETTERS as f64;

/// The parts of an attempt's time, in order: its letter, its name, where it begins, and its length.
struct Part {
    letter: char,
    name: &'static str,
    begin: f64,
    length: f64,
}

impl Page {
    pub(super) fn timeline(&mut self, record: &Record) {
        let attempts = record.attempts();
        let ends = attempts
            .iter()
            .map(|attempt| number(attempt, "/started_ms") + number(attempt, "/timings/ended_ms"));
        let took = number(record.json(), "/took_ms");
        let whole = ends.fold(took, f64::max).max(0.001);
        if attempts.is_empty() {
            return;
        }
        self.title(&format!("where the time went: {took} ms"));
        for attempt in attempts {
            let parts = parts(attempt);
            let status = match attempt.get("status").is_some_and(Value::is_number) {
                true => value(attempt, "/status"),
                false => value(attempt, "/error"),
            };
            let n = value(attempt, "/n");
            self.line(&format!("{n:>3}  {status:<9} |{}|", picture(&parts, whole)));
            let spent: Vec<String> = parts
                .iter()
                .filter(|part| part.length > 0.0)
                .map(|part| format!("{} {:.1}", part.name, part.length))
                .collect();
            self.line(&format!("     {:<9}  {} ms", "", spent.join(", ")));
            if attempt.get("then").is_some_and(Value::is_string) {
                self.line(&format!("     {:<9}  {}", "", value(attempt, "/then")));
            }
        }
        self.line(&format!(
            "     {:<9}  w our wait, t token, d DNS, c connect, s TLS, > sending, l LinkedIn, b body",
            ""
        ));
    }
}

fn parts(attempt: &Value) -> Vec<Part> {
    let at = |path| attempt.pointer(path).and_then(Value::as_f64);
    let started = number(attempt, "/started_ms");
    let mut parts = Vec::new();
    let (wait, token) = (
        number(attempt, "/timings/wait_ms"),
        number(attempt, "/timings/token_ms"),
    );
    let mut add = |letter, name, begin: f64, end: f64| {
        parts.push(Part {
            letter,
            name,
            begin,
            length: (end - begin).max(0.0),
        });
        begin.max(end)
    };
    let before = add('t', "token", started - wait - token, started - wait);
    add('w', "our wait", before, started);
    let mut now = started;
    for (letter, name, path) in [
        ('d', "DNS", "/timings/dns_ms"),
        ('c', "connect", "/timings/connect_ms"),
        ('s', "TLS", "/timings/tls_ms"),
    ] {
        now = add(letter, name, now, now + at(path).unwrap_or(0.0));
    }
    for (letter, name, path) in [
        ('c', "connection", "/timings/connected_ms"),
        ('>', "sending", "/timings/sent_ms"),
        ('l', "LinkedIn", "/timings/first_byte_ms"),
    ] {
        now = add(letter, name, now, at(path).map_or(now, |end| started + end));
    }
    let has_answer = at("/timings/first_byte_ms").is_some();
    let (letter, name) = if has_answer {
        ('b', "body")
    } else {
        ('l', "LinkedIn, in vain")
    };
    add(
        letter,
        name,
        now,
        at("/timings/ended_ms").map_or(now, |end| started + end),
    );
    parts
}

/// One letter for each share of the time; a part that took any time has one at least.
fn picture(parts: &[Part], whole: f64) -> String {
    let mut row = [' '; LETTERS as usize];
    for part in parts.iter().filter(|part| part.length > 0.0) {
        let place = |ms: f64| (ms / whole * WIDTH).clamp(0.0, WIDTH);
        let (from, until) = (place(part.begin), place(part.begin + part.length));
        for (at, letter) in row.iter_mut().enumerate() {
            let middle = at as f64 + 0.5;
            let is_only = *letter == ' ' && at as f64 <= from && from < at as f64 + 1.0;
            if (from..until).contains(&middle) || is_only {
                *letter = part.letter;
            }
        }
    }
    row.iter().collect()
}

fn number(json: &Value, path: &str) -> f64 {
    let number = json.pointer(path).and_then(Value::as_f64);
    number.filter(|number| number.is_finite()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_time_of_an_attempt_is_shared_out_and_the_shares_add_up() {
        let attempt = json!({"started_ms": 100.0, "timings": {
            "wait_ms": 20.0, "token_ms": 30.0, "dns_ms": 1.0, "connect_ms": 2.0, "tls_ms": 3.0,
            "connected_ms": 7.0, "sent_ms": 9.0, "first_byte_ms": 40.0, "ended_ms": 50.0,
        }});

        let parts = parts(&attempt);

        let told: Vec<(char, f64)> = parts
            .iter()
            .map(|part| (part.letter, part.length))
            .collect();
        let expected = [
            ('t', 30.0),
            ('w', 20.0),
            ('d', 1.0),
            ('c', 2.0),
            ('s', 3.0),
            ('c', 1.0),
            ('>', 2.0),
            ('l', 31.0),
            ('b', 10.0),
        ];
        assert_eq!(told, expected);
        let picture = picture(&parts, 150.0);
        assert_eq!(picture.chars().count(), LETTERS as usize);
        assert!(picture.contains("tttttttttwwwww"), "{picture}");
    }

    #[test]
    fn no_times_however_odd_make_a_row_longer() {
        for timings in [
            json!(null),
            json!({"wait_ms": -5, "token_ms": 1e300, "connected_ms": -1, "ended_ms": 1e308}),
            json!({"first_byte_ms": "x", "ended_ms": 0}),
        ] {
            let parts = parts(&json!({"started_ms": -3, "timings": timings}));
            assert_eq!(picture(&parts, 0.001).chars().count(), LETTERS as usize);
        }
    }
}
