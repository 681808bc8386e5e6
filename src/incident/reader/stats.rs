//! What the log holds in a time, counted: by fault, status, kind, caller, member, application, signature, hour.
//!
//! **Invariant:** every list is bounded; what is beyond is in the total.
//!
//! **Neighbours:** `tally` brings the lines, read or from the index.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Filter, Incidents, IndexedThrough, Window,
    tally::{self, AllNames, NameId},
};
use crate::incident::{
    index::row::{FIELDS, Field, Numbers},
    record::timestamp,
};

/// Names of one list at most.
pub const MOST_COUNTS: usize = 1_000;
/// Hours that are told apart; more are not listed.
const MOST_HOURS: usize = 24 * 400;
const HOUR: i64 = 3_600_000_000;

/// A name, and how many incidents had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// A fault, a status, a caller, …
    pub name: String,
    /// How many, those that were only counted included.
    pub count: u64,
}

/// An hour in which there were any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hour {
    /// When it began: RFC 3339 in UTC.
    pub start: String,
    /// How many incidents began in it.
    pub count: u64,
}

/// The log in numbers. Every list has the most frequent first, but for the hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Not before: RFC 3339 in UTC.
    pub since: String,
    /// Not after.
    pub until: String,
    /// Incidents, those included that were only counted (surplus of one signature and minute).
    pub total: u64,
    /// How many of them were only counted: they have no line, and stand in `signatures` and `hours` alone.
    pub only_counted: u64,
    /// By whose fault.
    pub faults: Vec<Count>,
    /// By the status of the final answer.
    pub statuses: Vec<Count>,
    /// By why they were kept.
    pub kinds: Vec<Count>,
    /// By caller.
    pub callers: Vec<Count>,
    /// By member.
    pub members: Vec<Count>,
    /// By application.
    pub applications: Vec<Count>,
    /// By what makes them alike.
    pub signatures: Vec<Count>,
    /// By hour, the oldest first; hours without any are left out.
    pub hours: Vec<Hour>,
    /// Records that the log says it lost.
    pub dropped: u64,
    /// Answers that the log says did not wait for their records.
    pub late: u64,
    /// How far the index reached.
    pub indexed_through: IndexedThrough,
    /// Lines that could not be read, and were passed over.
    pub skipped: u64,
}

impl Incidents {
    /// Counts what is in this time: `top` names a list, [`MOST_COUNTS`] at most. `filter` narrows it further;
    /// its own times are not asked. Reads files: not for an async worker.
    pub fn stats(&self, window: Window, filter: &Filter, top: usize) -> Stats {
        let top = top.clamp(1, MOST_COUNTS);
        let filter = window.of(filter);
        let indexed_through = self.indexed_through();
        let counted = self.count(&filter, Counting::default);
        let (names, counting) = (&counted.names, counted.count);
        let list = |field: Field| counting.list(field, names, top);
        let of_kind = |kind: &str| counting.of_kind(kind, names);
        let all: u64 = counting
            .counts(Field::Kind, names)
            .map(|(_, count)| count)
            .sum();
        let no_incidents: u64 = NO_INCIDENTS.into_iter().map(of_kind).sum();
        Stats {
            since: timestamp(window.since_micros),
            until: timestamp(window.until_micros),
            total: all.saturating_sub(no_incidents),
            only_counted: of_kind("summary"),
            faults: list(Field::Fault),
            statuses: counting.statuses(top),
            kinds: list(Field::Kind),
            callers: list(Field::Caller),
            members: list(Field::Member),
            applications: list(Field::Application),
            signatures: list(Field::Signature),
            dropped: of_kind("gap"),
            late: of_kind("late"),
            hours: counting.hours(),
            indexed_through,
            skipped: counted.skipped,
        }
    }
}

/// Kinds of notes that stand for no incident.
const NO_INCIDENTS: [&str; 2] = ["gap", "late"];

#[derive(Default)]
struct Counting {
    /// By field and by number of the name.
    names: [Vec<u64>; FIELDS],
    statuses: BTreeMap<u16, u64>,
    hours: BTreeMap<i64, u64>,
    /// The hour counted last: most lines fall into it.
    hour: Option<(i64, u64)>,
}

impl tally::Count for Counting {
    const FIELDS: &'static [Field] = &[
        Field::Fault,
        Field::Kind,
        Field::Caller,
        Field::Member,
        Field::Application,
        Field::Signature,
    ];

    fn take(&mut self, numbers: &Numbers, names: &[NameId; FIELDS]) {
        for field in Self::FIELDS {
            let id = names.get(field.place()).copied().unwrap_or(0);
            let Some(counts) = self.names.get_mut(field.place()) else {
                continue;
            };
            if counts.len() <= id {
                counts.resize(id + 1, 0);
            }
            if let Some(count) = counts.get_mut(id) {
                *count = count.saturating_add(numbers.count);
            }
        }
        if numbers.status > 0 {
            *self.statuses.entry(numbers.status).or_default() += numbers.count;
        }
        // What has no signature is a note of the log about itself.
        let has_signature = names
            .get(Field::Signature.place())
            .is_some_and(|id| *id > 0);
        if let Some(micros) = numbers.micros.filter(|_| has_signature) {
            self.note_hour(micros.div_euclid(HOUR), numbers.count);
        }
    }
}

impl Counting {
    fn note_hour(&mut self, hour: i64, count: u64) {
        match &mut self.hour {
            Some((of, sum)) if *of == hour => *sum = sum.saturating_add(count),
            _ => {
                self.end_hour();
                self.hour = Some((hour, count));
            }
        }
    }

    fn end_hour(&mut self) {
        let Some((hour, count)) = self.hour.take() else {
            return;
        };
        if self.hours.len() < MOST_HOURS || self.hours.contains_key(&hour) {
            let sum = self.hours.entry(hour).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    fn hours(mut self) -> Vec<Hour> {
        self.end_hour();
        let hour = |(hour, count): (i64, u64)| Hour {
            start: timestamp(hour.saturating_mul(HOUR)),
            count,
        };
        self.hours.into_iter().map(hour).collect()
    }

    /// The names of a field with their counts.
    fn counts<'a>(
        &'a self,
        field: Field,
        names: &'a AllNames,
    ) -> impl Iterator<Item = (&'a str, u64)> {
        let counts = self.names.get(field.place()).map_or(&[][..], Vec::as_slice);
        let texts = names.get(field.place());
        counts
            .iter()
            .enumerate()
            .skip(1)
            .filter_map(move |(id, count)| Some((texts?.text(id), *count)))
    }

    fn of_kind(&self, kind: &str, names: &AllNames) -> u64 {
        self.counts(Field::Kind, names)
            .filter(|(name, _)| *name == kind)
            .map(|(_, count)| count)
            .sum()
    }

    fn list(&self, field: Field, names: &AllNames, top: usize) -> Vec<Count> {
        let is_incident = |name: &str| field != Field::Kind || !NO_INCIDENTS.contains(&name);
        let counts = self
            .counts(field, names)
            .filter(|(name, _)| is_incident(name));
        most_frequent(counts.map(|(name, count)| (name.to_owned(), count)), top)
    }

    fn statuses(&self, top: usize) -> Vec<Count> {
        let counts = self
            .statuses
            .iter()
            .map(|(status, count)| (status.to_string(), *count));
        most_frequent(counts, top)
    }
}

fn most_frequent(counts: impl Iterator<Item = (String, u64)>, top: usize) -> Vec<Count> {
    let mut list: Vec<Count> = counts
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| Count { name, count })
        .collect();
    list.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    list.truncate(top);
    list
}
