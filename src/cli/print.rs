//! Standard output: JSON for programs, tables for people.
//!
//! **Invariant:** text from outside never reaches a terminal as it stands: control characters are
//! escaped. No colours are used, so `NO_COLOR` needs no asking.

use std::io::{self, Write as _};

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::incident::page;

mod listing;

pub(super) use listing::{Form, Listing};

/// One line.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// A remark for people, beside the output that programs read.
pub(super) fn remark(text: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{text}")
}

/// One JSON document.
pub(super) fn json(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}

/// A list as a table: these fields of each item, under their names.
pub(super) fn table(items: &[Value], fields: &[&str]) -> io::Result<()> {
    Listing::new(Form::Table, fields).page(items, &mut io::stdout().lock())
}

/// One item, a field a line.
pub(super) fn fields(item: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (name, value) in item.as_object().into_iter().flatten() {
        writeln!(out, "{:<18} {}", name.replace('_', " "), cell(name, value))?;
    }
    Ok(())
}

/// A value as people read it: dates for times, control characters escaped.
pub(super) fn cell(field: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => page::shown(text),
        Value::Number(seconds) if is_time(field) => seconds
            .as_i64()
            .and_then(date)
            .unwrap_or_else(|| seconds.to_string()),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items
            .iter()
            .map(|item| cell(field, item))
            .collect::<Vec<_>>()
            .join(" "),
        other => other.to_string(),
    }
}

/// Unix seconds stand under these names; programs get them as they are, people as dates.
fn is_time(field: &str) -> bool {
    field.ends_with("_at") || field.ends_with("_since") || field.starts_with("last_")
}

fn date(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_shows_text_plainly_and_never_a_control_character() {
        for (field, value, shown) in [
            ("name", json!("ada"), "ada"),
            ("name", json!(null), "-"),
            ("scopes", json!([]), "-"),
            ("scopes", json!(["a", "b"]), "a b"),
            ("count", json!(7), "7"),
            ("created_at", json!(86_400), "1970-01-02T00:00:00Z"),
            ("last_used", json!(null), "-"),
        ] {
            assert_eq!(cell(field, &value), shown);
        }
        let hostile = cell("name", &json!("a\u{1b}[31m\nb"));
        assert!(!hostile.contains(char::is_control), "{hostile:?}");
    }
}
