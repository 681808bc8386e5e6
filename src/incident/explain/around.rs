//! What else failed when an incident happened: one search.
//!
//! **Invariant:** one question to the log, of [`MOST`] lines at most, whatever happened there.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::incident::reader::{Filter, Incidents, MOST, Record};

/// So far back and ahead is looked.
const REACH_MICROS: i64 = 5 * 60 * 1_000_000;

/// What failed within five minutes before and after an incident, itself included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Around {
    /// Incidents with its signature.
    pub alike: u64,
    /// Members they hit.
    pub alike_members: u64,
    /// Times that LinkedIn failed: 5xx, no connection, no answer, an answer cut off.
    pub failing: u64,
    /// Members that these hit.
    pub failing_members: u64,
    /// Callers that these hit.
    pub failing_callers: u64,
    /// Whether there were more than were looked at.
    pub is_more: bool,
}

impl Incidents {
    /// What happened around `record`. Reads files: not for an async worker.
    pub fn around(&self, record: &Record) -> Around {
        let Some(at) = record.micros().filter(|_| record.is_incident()) else {
            return Around::default();
        };
        let is_linkedins = record.fault() == Some("linkedin");
        let filter = Filter {
            since_micros: Some(at.saturating_sub(REACH_MICROS)),
            until_micros: Some(at.saturating_add(REACH_MICROS)),
            fault: is_linkedins.then(|| "linkedin".to_owned()),
            signature: record
                .signature()
                .filter(|_| !is_linkedins)
                .map(str::to_owned),
            ..Filter::default()
        };
        let page = self.search(&filter, None, MOST);
        let mut around = count(record.signature(), &page.records);
        around.is_more = page.next.is_some();
        around
    }
}

fn count(signature: Option<&str>, records: &[Record]) -> Around {
    let mut around = Around::default();
    let mut alike_members = BTreeSet::new();
    let (mut members, mut callers) = (BTreeSet::new(), BTreeSet::new());
    for record in records {
        // A summary counts records that were not written one by one.
        let count = record.number("/count").unwrap_or(1);
        if record.signature() == signature {
            around.alike = around.alike.saturating_add(count);
            alike_members.extend(record.member());
        }
        if is_failing(record) {
            around.failing = around.failing.saturating_add(count);
            members.extend(record.member());
            callers.extend(record.caller());
        }
    }
    around.alike_members = alike_members.len() as u64;
    around.failing_members = members.len() as u64;
    around.failing_callers = callers.len() as u64;
    around
}

/// Whether LinkedIn failed here; throttling is no failure.
fn is_failing(record: &Record) -> bool {
    let is_throttled = record.status() == Some(429);
    record.is_incident() && record.fault() == Some("linkedin") && !is_throttled && !is_ours(record)
}

/// Whether it is a renewal that has no end yet, which says nothing of the API.
fn is_ours(record: &Record) -> bool {
    matches!(
        record.text("/code"),
        Some("renewal_unavailable" | "renewed_send_again")
    )
}
