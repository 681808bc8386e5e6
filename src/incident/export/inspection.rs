//! An export at the redaction door.
//!
//! **Invariant:** all that a document says is shown to the door: as it stands, but for bodies in base64,
//! which are shown as what they mean. Random bytes in base64 look like a token every few thousand
//! characters.

use std::borrow::Cow;

use data_encoding::BASE64;
use memchr::memmem;
use serde_json::Value;

use super::{ByShape, Document, Door, Refused, case};
use crate::incident::{
    page::{self, is_unsafe},
    reader::Record,
    redact::Find,
};

/// A body in base64 that is shorter is shown as it stands.
const SHORTEST_BLOB: usize = 64;
/// Places that are told.
const MOST_PLACES: usize = 8;

/// Lets `document` pass, or says what the door found in it.
pub(super) fn pass(
    document: &Document,
    records: &[Record],
    door: &dyn Door,
) -> Result<(), Refused> {
    let blobs = blobs(records);
    let mut finds: Vec<Find> = Vec::new();
    let mut note = |text: &[u8]| {
        for find in door.finds(text)? {
            if !finds.contains(&find) {
                finds.push(find);
            }
        }
        Ok::<(), Refused>(())
    };
    note(document.name.as_bytes())?;
    note(&without(&document.bytes, &blobs))?;
    for blob in blobs {
        // What is no base64 after all stands in the document, and is read there.
        if let Ok(body) = BASE64.decode(blob.as_bytes()) {
            note(&body)?;
        }
    }
    if finds.is_empty() {
        return Ok(());
    }
    let places = records.iter().flat_map(places).take(MOST_PLACES).collect();
    Err(Refused::Secret { finds, places })
}

/// The bodies that stand in base64, or may: a text that no terminal should see.
fn blobs(records: &[Record]) -> Vec<Cow<'_, str>> {
    let bodies = || records.iter().flat_map(case::bodies);
    let binary = bodies()
        .filter_map(|body| body.get("base64")?.as_str())
        .filter(|blob| BASE64.decode(blob.as_bytes()).is_ok())
        .map(Cow::Borrowed);
    let texts = bodies()
        .filter_map(|body| body.get("text")?.as_str())
        .filter(|text| text.contains(is_unsafe))
        .map(|text| Cow::Owned(BASE64.encode(text.as_bytes())));
    let mut blobs: Vec<Cow<'_, str>> = binary
        .chain(texts)
        .filter(|blob| blob.len() >= SHORTEST_BLOB)
        .collect();
    blobs.sort_unstable_by_key(|blob| std::cmp::Reverse(blob.len()));
    blobs.dedup();
    blobs
}

/// `text` with each blob cut out.
fn without(text: &[u8], blobs: &[Cow<'_, str>]) -> Vec<u8> {
    let mut text = text.to_vec();
    for blob in blobs {
        let mut rest = Vec::with_capacity(text.len());
        let mut from = 0;
        for at in memmem::find_iter(&text, blob.as_bytes()) {
            rest.extend_from_slice(text.get(from..at).unwrap_or_default());
            from = at + blob.len();
        }
        rest.extend_from_slice(text.get(from..).unwrap_or_default());
        text = rest;
    }
    text
}

/// Where in a record something looks like a secret.
fn places(record: &Record) -> Vec<String> {
    let mut found = Vec::new();
    walk(record.json(), "", &mut |path, text| {
        if ByShape
            .finds(text.as_bytes())
            .is_ok_and(|finds| !finds.is_empty())
        {
            let id = record.id().unwrap_or("-");
            found.push(page::shown(&format!("{id} {path}")));
        }
    });
    found
}

fn walk(json: &Value, path: &str, found: &mut impl FnMut(&str, &str)) {
    let below = |step: &str| match path {
        "" => step.to_owned(),
        path => format!("{path}.{step}"),
    };
    match json {
        Value::String(text) => found(path, text),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &below(&at.to_string()), found);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                // A name may be a secret itself, and is not told then.
                let is_plain = ByShape
                    .finds(name.as_bytes())
                    .is_ok_and(|finds| finds.is_empty());
                let path = below(if is_plain { name } else { "?" });
                if !is_plain {
                    found(&path, name);
                }
                walk(value, &path, found);
            }
        }
        _ => {}
    }
}
