//! The records as they stand: an array, a record a line. And how JSON is laid out for people.

use serde_json::Value;

use super::Refused;
use crate::incident::{
    line::{self, is_unsafe},
    reader::Record,
};

/// Escaped as the log's own lines are, so that a terminal is not fooled.
pub(super) fn write(records: &[Record]) -> Result<Vec<u8>, Refused> {
    let mut out = b"[\n".to_vec();
    for (at, record) in records.iter().enumerate() {
        line::push(&mut out, record.json())
            .map_err(|error| Refused::Unwritable(error.to_string()))?;
        if at + 1 < records.len() {
            // The line's own end goes behind the comma.
            out.pop();
            out.extend_from_slice(b",\n");
        }
    }
    out.extend_from_slice(b"]\n");
    Ok(out)
}

/// A document with a field a line, in which nothing stands that a terminal would obey.
pub(super) fn pretty(document: &Value) -> Result<Vec<u8>, Refused> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| Refused::Unwritable(error.to_string()))?;
    let mut out = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        match character {
            // Line ends inside of texts are escaped already: each one here is the layout's.
            '\n' => out.push('\n'),
            // All of these have four digits, and stand inside of texts only.
            unsafe_one if is_unsafe(unsafe_one) => {
                out.push_str(&format!("\\u{:04x}", u32::from(unsafe_one)));
            }
            other => out.push(other),
        }
    }
    out.push('\n');
    Ok(out.into_bytes())
}
