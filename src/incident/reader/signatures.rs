//! What is alike: incidents grouped by their signature.
//!
//! **Invariant:** memory is bounded by [`MOST_SIGNATURES`], whatever callers send.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::{Filter, Incidents, Order, Record};

/// Signatures that are told apart; what comes beyond is counted under `(others)`.
pub const MOST_SIGNATURES: usize = 10_000;
/// Members and callers that are counted for one signature; more show as this many.
const MOST_NAMES: usize = 10_000;
/// Parts of a sparkline.
pub const PARTS: usize = 24;
/// The row of all that found no place of its own.
const OTHERS: &str = "(others)";

/// All incidents of one signature in the time that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Method, URL template, status and code.
    pub signature: String,
    /// How many there were, those included that were only counted.
    pub count: u64,
    /// When the first began: RFC 3339 in UTC.
    pub first_seen: String,
    /// When the last began.
    pub last_seen: String,
    /// Id of the last.
    pub last_id: String,
    /// Whose fault the last was.
    pub fault: String,
    /// Members hit.
    pub members: u64,
    /// Callers hit.
    pub callers: u64,
    /// How many in each of [`PARTS`] equal parts of the time that was asked for, the oldest first.
    pub sparkline: Vec<u64>,
}

/// From when to when, in Unix microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Not before.
    pub since_micros: i64,
    /// Not after.
    pub until_micros: i64,
}

impl Window {
    /// Which of [`PARTS`] equal parts holds `micros`.
    fn part(&self, micros: i64) -> usize {
        let length = (self.until_micros.saturating_sub(self.since_micros)).max(1);
        let into = micros.saturating_sub(self.since_micros).max(0);
        let part = i128::from(into) * PARTS as i128 / i128::from(length);
        usize::try_from(part).unwrap_or(0).min(PARTS - 1)
    }
}

/// A group that is being counted.
#[derive(Default)]
struct Counting {
    group: Option<Group>,
    members: BTreeSet<String>,
    callers: BTreeSet<String>,
}

impl Incidents {
    /// What was alike in this time, the most frequent first. `filter` narrows it further; its own times are
    /// not asked. Reads files: not for an async worker.
    pub fn groups(&self, window: Window, filter: &Filter) -> Vec<Group> {
        let filter = Filter {
            order: Order::OldestFirst,
            since_micros: Some(window.since_micros),
            until_micros: Some(window.until_micros),
            ..filter.clone()
        };
        let mut groups: HashMap<String, Counting> = HashMap::new();
        for record in self.list(filter).flatten() {
            let Some(signature) = record.signature() else {
                continue;
            };
            let is_known = groups.contains_key(signature);
            let name = match is_known || groups.len() < MOST_SIGNATURES {
                true => signature,
                false => OTHERS,
            };
            groups
                .entry(name.to_owned())
                .or_default()
                .take(name, &record, window);
        }
        let mut groups: Vec<Group> = groups.into_values().filter_map(Counting::end).collect();
        groups.sort_by(|a, b| b.count.cmp(&a.count).then(a.signature.cmp(&b.signature)));
        groups
    }
}

impl Counting {
    fn take(&mut self, signature: &str, record: &Record, window: Window) {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let time = text(record.time());
        // A summary counts records that were not written one by one.
        let count = record.number("/count").unwrap_or(1);
        let group = self.group.get_or_insert_with(|| Group {
            signature: signature.to_owned(),
            count: 0,
            first_seen: time.clone(),
            last_seen: time.clone(),
            last_id: String::new(),
            fault: String::new(),
            members: 0,
            callers: 0,
            sparkline: vec![0; PARTS],
        });
        group.count = group.count.saturating_add(count);
        if let Some(part) = record
            .micros()
            .and_then(|micros| group.sparkline.get_mut(window.part(micros)))
        {
            *part = part.saturating_add(count);
        }
        if time >= group.last_seen {
            group.last_seen = time;
        }
        if let Some(id) = record.id() {
            group.last_id = id.to_owned();
            group.fault = text(record.fault());
        }
        for (name, names) in [
            (record.member(), &mut self.members),
            (record.caller(), &mut self.callers),
        ] {
            if let Some(name) = name.filter(|_| names.len() < MOST_NAMES) {
                names.insert(name.to_owned());
            }
        }
    }

    fn end(self) -> Option<Group> {
        let mut group = self.group?;
        group.members = self.members.len() as u64;
        group.callers = self.callers.len() as u64;
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_its_part() {
        let window = Window {
            since_micros: 1_000,
            until_micros: 25_000,
        };
        for (micros, part) in [
            (0, 0),
            (1_000, 0),
            (1_999, 0),
            (2_000, 1),
            (24_999, 23),
            (25_000, 23),
        ] {
            assert_eq!(window.part(micros), part, "{micros}");
        }
    }
}
