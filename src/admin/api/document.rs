//! What the API is, for programs (`OpenAPI` 3.1).
//!
//! **Invariant:** `openapi.json` has every route that the listener has below `/api`, and no other; a test
//! holds it to that, and an outside tool (tests/api) to the answers. What a record is stands once, in
//! docs/incident.schema.json, and is put in as `record.…`.

use std::sync::LazyLock;

use axum::{
    Extension,
    response::{IntoResponse as _, Response},
};
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::Who;

const DOCUMENT: &str = include_str!("openapi.json");
const RECORD: &str = include_str!("../../../docs/incident.schema.json");

static WHOLE: LazyLock<Option<String>> = LazyLock::new(whole);

pub(super) async fn show(Extension(visitor): Who) -> Response {
    visitor.did("look", "the API's document");
    let document = WHOLE.as_deref().unwrap_or(DOCUMENT);
    ([(CONTENT_TYPE, "application/json")], document).into_response()
}

/// The document with the record's schemas; none if one of the two is no such thing, which a test rules out.
fn whole() -> Option<String> {
    let record = RECORD.replace("\"#/$defs/", "\"#/components/schemas/record.");
    let record: Value = serde_json::from_str(&record).ok()?;
    let mut document: Value = serde_json::from_str(DOCUMENT).ok()?;
    let schemas = document.pointer_mut("/components/schemas")?;
    for (name, schema) in record.get("$defs")?.as_object()? {
        let name = format!("record.{name}");
        schemas.as_object_mut()?.insert(name, schema.clone());
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_document_leads_to_a_thing_in_it() {
        let document: Value = serde_json::from_str(&whole().unwrap()).unwrap();
        let mut checked = 0;
        let mut left = vec![&document];
        while let Some(value) = left.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let place = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(place).is_some(), "{reference}");
                checked += 1;
            }
            left.extend(value.as_object().into_iter().flat_map(|all| all.values()));
            left.extend(value.as_array().into_iter().flatten());
        }
        assert!(checked > 100, "only {checked}");
    }
}
