//! A line as far as its completeness goes: what is not asked about is passed over, not kept.

use std::borrow::Cow;

use serde::Deserialize;

use crate::incident::micros_of;

type Text<'a> = Option<Cow<'a, str>>;

#[derive(Debug, Deserialize)]
pub(super) struct Seen<'a> {
    #[serde(borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) seq: u64,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    time: Text<'a>,
    #[serde(borrow)]
    pub(super) cause: Text<'a>,
    pub(super) dropped: Option<u64>,
    pub(super) lines: Option<u64>,
    pub(super) first_seq: Option<u64>,
    pub(super) late: Option<u64>,
    pub(super) count: Option<u64>,
    #[serde(borrow)]
    pub(super) since: Text<'a>,
    #[serde(borrow)]
    pub(super) until: Text<'a>,
    #[serde(borrow)]
    pub(super) reason: Text<'a>,
    #[serde(borrow)]
    request: Option<Part<'a>>,
    #[serde(borrow, default)]
    attempts: Vec<Part<'a>>,
    #[serde(borrow)]
    answer: Option<Part<'a>>,
}

#[derive(Debug, Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    body: Option<Body<'a>>,
}

#[derive(Debug, Deserialize)]
struct Body<'a> {
    #[serde(borrow, rename = "ref")]
    reference: Text<'a>,
    #[serde(borrow)]
    raw_ref: Text<'a>,
}

impl<'a> Seen<'a> {
    /// Reads a line; none if it is none of ours.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// When it happened, in Unix microseconds.
    pub(super) fn micros(&self) -> Option<i64> {
        micros_of(self.time.as_deref()?)
    }

    /// The places of its bodies, each once.
    pub(super) fn references(&self) -> impl Iterator<Item = &str> {
        let parts = self
            .request
            .iter()
            .chain(&self.attempts)
            .chain(&self.answer);
        let bodies = parts.filter_map(|part| part.body.as_ref());
        let mut all: Vec<&str> = bodies
            .flat_map(|body| [body.reference.as_deref(), body.raw_ref.as_deref()])
            .flatten()
            .collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }
}
