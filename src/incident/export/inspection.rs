//! An export at the redaction door.
//!
//! **Invariant:** all that a document says is shown to the door: as it stands, but for bodies in base64,
//! which are shown as what they mean. Random bytes in base64 look like a token every few thousand
//! characters.

use std::{borrow::Cow, collections::HashMap};

use data_encoding::BASE64;
use serde_json::Value;

use super::{ByShape, Document, Door, Refused, case};
use crate::incident::{line::is_unsafe, page, reader::Record, redact::Find};

/// Base64 that is shorter is shown as it stands: it is too short to look like a token.
const SHORTEST_BLOB: usize = 42;
/// Places that are told.
const MOST_PLACES: usize = 8;

/// The door, and what an export's documents repeat: each body in base64 is searched once.
pub(super) struct Inspection<'a> {
    door: &'a dyn Door,
    /// The records' bodies in base64, and whether they were searched.
    blobs: HashMap<Cow<'a, [u8]>, bool>,
}

impl<'a> Inspection<'a> {
    /// Of all documents that are made from `records`.
    pub(super) fn new(records: &'a [Record], door: &'a dyn Door) -> Self {
        let blobs = blobs(records).map(|blob| (blob, false)).collect();
        Self { door, blobs }
    }

    /// Lets `document` pass, or says what the door found in it, and where in `records`.
    pub(super) fn pass(&mut self, document: &Document, records: &[Record]) -> Result<(), Refused> {
        let door = self.door;
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
        let (rest, bodies) = self.apart(&document.bytes);
        note(&rest)?;
        bodies.iter().try_for_each(|body| note(body))?;
        if finds.is_empty() {
            return Ok(());
        }
        let places = records.iter().flat_map(|record| self.places(record));
        Err(Refused::Secret {
            finds,
            places: places.take(MOST_PLACES).collect(),
        })
    }

    /// `text` without the blobs in it, and what those mean that were not searched yet.
    fn apart(&mut self, text: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut rest = Vec::with_capacity(text.len());
        let mut bodies = Vec::new();
        // A blob stands between quotes or blanks: it is a whole run of its alphabet.
        for run in text.chunk_by(|left, right| is_base64(*left) == is_base64(*right)) {
            let may_be = (run.len() >= SHORTEST_BLOB).then_some(run);
            match may_be.and_then(|run| self.blobs.get_mut(run)) {
                Some(is_searched) => {
                    if !std::mem::replace(is_searched, true) {
                        bodies.extend(BASE64.decode(run));
                    }
                }
                None => rest.extend_from_slice(run),
            }
        }
        (rest, bodies)
    }

    /// Where in a record something looks like a secret.
    fn places(&self, record: &Record) -> Vec<String> {
        let mut found = Vec::new();
        walk(record.json(), "", &mut |path, text| {
            let blob = self.blobs.get(text.as_bytes());
            let body = blob.and_then(|_| BASE64.decode(text.as_bytes()).ok());
            let text = body.as_deref().unwrap_or(text.as_bytes());
            if ByShape.finds(text).is_ok_and(|finds| !finds.is_empty()) {
                let id = record.id().unwrap_or("-");
                found.push(page::shown(&format!("{id} {path}")));
            }
        });
        found
    }
}

/// The bodies that stand in base64, or may: a text that no terminal should see. What is no base64 after all
/// is none, and is read where it stands.
fn blobs(records: &[Record]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let opened = records.iter().flat_map(case::bodies).flat_map(case::opened);
    let blobs = opened.filter_map(|(is_base64, text)| match is_base64 {
        true => {
            let is_valid = BASE64.decode(text.as_bytes()).is_ok();
            is_valid.then_some(Cow::Borrowed(text.as_bytes()))
        }
        false => {
            let is_shown = !text.contains(is_unsafe);
            (!is_shown).then(|| Cow::Owned(BASE64.encode(text.as_bytes()).into_bytes()))
        }
    });
    blobs.filter(|blob| blob.len() >= SHORTEST_BLOB)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
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
