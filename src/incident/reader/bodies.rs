//! The kept bodies of a record, put beside the places that name them.
//!
//! **Invariant:** a body that does not open leaves its record as it is.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::Record;

/// A field that names a place, and those that hold what stands there: as text, or where it is none.
const PLACES: [(&str, &str, &str); 2] = [
    ("ref", "text", "base64"),
    ("raw_ref", "raw_text", "raw_base64"),
];

impl Record {
    /// The same record with `text` or `base64` beside each `ref` that `open` opens, and `raw_text` or
    /// `raw_base64` beside each `raw_ref`.
    #[must_use]
    pub fn with_bodies(&self, mut open: impl FnMut(&str) -> Option<Vec<u8>>) -> Self {
        let mut json = self.json().clone();
        fill(&mut json, &mut open);
        Self::from(json)
    }
}

/// Fills everything under a key `body`: the request's, each attempt's, the answer's.
fn fill(json: &mut Value, open: &mut dyn FnMut(&str) -> Option<Vec<u8>>) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Object(body) if name == "body" => fill_body(body, open),
                    value => fill(value, open),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, open)),
        _ => {}
    }
}

fn fill_body(body: &mut Map<String, Value>, open: &mut dyn FnMut(&str) -> Option<Vec<u8>>) {
    for (place, text, base64) in PLACES {
        let opened = body.get(place).and_then(Value::as_str).and_then(&mut *open);
        let Some(bytes) = opened else { continue };
        let (name, shown) = match String::from_utf8(bytes) {
            Ok(shown) => (text, shown),
            Err(bytes) => (base64, BASE64.encode(bytes.as_bytes())),
        };
        body.insert(name.to_owned(), Value::from(shown));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_bodies_that_open_are_filled_and_nothing_else_changes() {
        let record = Record::from(json!({
            "request": {"body": {"ref": "a"}, "headers": [["body", "x"]]},
            "attempts": [{"body": {"ref": "b", "raw_ref": "c"}}, {"body": {"ref": null}}],
            "answer": {"body": {"ref": "gone"}},
        }));

        let filled = record.with_bodies(|place| match place {
            "a" => Some(b"hello".to_vec()),
            "b" => Some("caf\u{e9}".into()),
            "c" => Some(vec![0x1f, 0x8b]),
            _ => None,
        });

        let expected = json!({
            "request": {"body": {"ref": "a", "text": "hello"}, "headers": [["body", "x"]]},
            "attempts": [
                {"body": {"ref": "b", "text": "caf\u{e9}", "raw_ref": "c", "raw_base64": "H4s="}},
                {"body": {"ref": null}},
            ],
            "answer": {"body": {"ref": "gone"}},
        });
        assert_eq!(filled.json(), &expected);
    }
}
