//! How many incidents there were, by fault, status, caller and member.
//!
//! **Invariant:** memory is bounded by [`MOST_NAMES`] for each list; what is beyond is in the total alone.

use std::collections::BTreeMap;

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::incident::reader::{Filter, Incidents, Record, Window};

/// Names of one list that are told apart.
const MOST_NAMES: usize = 10_000;

/// A name, and how many incidents had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    pub(super) name: String,
    pub(super) count: u64,
}

/// The incidents of a time; each list has the most frequent first.
#[derive(Debug, Serialize)]
pub(super) struct Counts {
    pub(super) since: String,
    pub(super) until: String,
    /// Those included that were only counted, as surplus of one signature and minute.
    pub(super) total: u64,
    pub(super) faults: Vec<Count>,
    pub(super) statuses: Vec<Count>,
    pub(super) callers: Vec<Count>,
    pub(super) members: Vec<Count>,
    pub(super) skipped: u64,
}

impl Counts {
    /// What `filter` lets through in this time; `most` names of each list. Reads the log once.
    pub(super) fn of(log: &Incidents, window: Window, filter: &Filter, most: usize) -> Self {
        let filter = Filter {
            since_micros: Some(window.since_micros),
            until_micros: Some(window.until_micros),
            ..filter.clone()
        };
        let (mut total, mut skipped) = (0_u64, 0_u64);
        let mut names: [BTreeMap<String, u64>; 4] = Default::default();
        for found in log.list(filter) {
            let Ok(record) = found else {
                skipped += 1;
                continue;
            };
            if record.kind() == Some("summary") {
                total = total.saturating_add(record.number("/count").unwrap_or_default());
            }
            if record.is_incident() {
                total = total.saturating_add(1);
                count(&mut names, &record);
            }
        }
        let [faults, statuses, callers, members] = names.map(|names| ranked(names, most));
        Self {
            since: date(window.since_micros),
            until: date(window.until_micros),
            total,
            faults,
            statuses,
            callers,
            members,
            skipped,
        }
    }
}

fn count(names: &mut [BTreeMap<String, u64>; 4], record: &Record) {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let of_record = [
        text(record.fault()),
        record.status().map(|status| status.to_string()),
        text(record.caller()),
        text(record.member()),
    ];
    for (names, name) in names.iter_mut().zip(of_record) {
        let Some(name) = name else { continue };
        if names.len() < MOST_NAMES || names.contains_key(&name) {
            *names.entry(name).or_default() += 1;
        }
    }
}

fn ranked(names: BTreeMap<String, u64>, most: usize) -> Vec<Count> {
    let mut counts: Vec<Count> = names
        .into_iter()
        .map(|(name, count)| Count { name, count })
        .collect();
    // Those alike stay in the order of their names.
    counts.sort_by_key(|count| std::cmp::Reverse(count.count));
    counts.truncate(most);
    counts
}

/// RFC 3339 in UTC, to the second.
fn date(micros: i64) -> String {
    OffsetDateTime::from_unix_timestamp(micros.div_euclid(1_000_000))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
