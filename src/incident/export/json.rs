//! The records as they stand: an array, a record a line.

use super::Refused;
use crate::incident::{line, reader::Record};

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
