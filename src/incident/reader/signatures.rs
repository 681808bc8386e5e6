//! What is alike: incidents grouped by their signature.
//!
//! **Invariant:** memory is bounded by [`MOST_SIGNATURES`], whatever callers send.
//!
//! **Neighbours:** `tally` brings the lines, read or from the index.

use serde::Serialize;
use uuid::Uuid;

use super::{
    Filter, Incidents,
    tally::{AllNames, Count, NameId, Pairs},
};
use crate::incident::{
    index::row::{FIELDS, Field, Numbers},
    record::timestamp,
};

/// Signatures that are told apart; what comes beyond is counted under `(others)`. Members and callers of one
/// signature are counted as far.
pub const MOST_SIGNATURES: usize = super::tally::MOST_NAMES;
/// Parts of a sparkline.
pub const PARTS: usize = 24;

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
    /// The time that `filter` asks for: a day back from its end, where no beginning is said.
    pub fn asked(filter: &Filter, now_micros: i64) -> Self {
        const DAY: i64 = 86_400_000_000;
        let until_micros = filter.until_micros.unwrap_or(now_micros);
        let since = filter.since_micros;
        Self {
            since_micros: since.unwrap_or(until_micros.saturating_sub(DAY)),
            until_micros,
        }
    }

    /// The day before `now_micros`.
    pub fn last_day(now_micros: i64) -> Self {
        Self::asked(&Filter::default(), now_micros)
    }

    /// `filter` with these times in place of its own.
    pub(super) fn of(self, filter: &Filter) -> Filter {
        Filter {
            since_micros: Some(self.since_micros),
            until_micros: Some(self.until_micros),
            ..filter.clone()
        }
    }

    /// Which of [`PARTS`] equal parts holds `micros`.
    fn part(&self, micros: i64) -> usize {
        let length = (self.until_micros.saturating_sub(self.since_micros)).max(1);
        let into = micros.saturating_sub(self.since_micros).max(0);
        let part = i128::from(into) * PARTS as i128 / i128::from(length);
        usize::try_from(part).unwrap_or(0).min(PARTS - 1)
    }
}

impl Incidents {
    /// What was alike in this time, the most frequent first. `filter` narrows it further; its own times are
    /// not asked. Reads files: not for an async worker.
    pub fn groups(&self, window: Window, filter: &Filter) -> Vec<Group> {
        let filter = window.of(filter);
        let counted = self.count(&filter, || Counting {
            window,
            groups: Vec::new(),
            members: Pairs::default(),
            callers: Pairs::default(),
        });
        let names = &counted.names;
        let groups = counted.count.groups.into_iter().zip(0..);
        let mut groups: Vec<Group> = groups
            .filter_map(|(group, signature)| group?.end(signature, names))
            .collect();
        groups.sort_by(|a, b| b.count.cmp(&a.count).then(a.signature.cmp(&b.signature)));
        groups
    }
}

/// All groups, by the number of their signature.
struct Counting {
    window: Window,
    groups: Vec<Option<Alike>>,
    members: Pairs,
    callers: Pairs,
}

/// A group that is being counted.
#[derive(Default)]
struct Alike {
    count: u64,
    /// The earliest and latest time.
    micros: Option<(i64, i64)>,
    last_id: u128,
    last_fault: NameId,
    members: u64,
    callers: u64,
    sparkline: [u64; PARTS],
}

impl Count for Counting {
    const FIELDS: &'static [Field] =
        &[Field::Signature, Field::Fault, Field::Member, Field::Caller];

    fn take(&mut self, numbers: &Numbers, names: &[NameId; FIELDS]) {
        let of = |field: Field| names.get(field.place()).copied().unwrap_or(0);
        let (signature, member, caller) =
            (of(Field::Signature), of(Field::Member), of(Field::Caller));
        let (Some(micros), true) = (numbers.micros, signature > 0) else {
            return;
        };
        if self.groups.len() <= signature {
            self.groups.resize_with(signature + 1, || None);
        }
        let Some(group) = self.groups.get_mut(signature) else {
            return;
        };
        let group = group.get_or_insert_default();
        group.count = group.count.saturating_add(numbers.count);
        let (first, last) = group.micros.unwrap_or((micros, micros));
        group.micros = Some((first.min(micros), last.max(micros)));
        if let Some(part) = group.sparkline.get_mut(self.window.part(micros)) {
            *part = part.saturating_add(numbers.count);
        }
        if numbers.id != 0 {
            group.last_id = numbers.id;
            group.last_fault = of(Field::Fault);
        }
        group.members += u64::from(member > 0 && self.members.insert(signature, member));
        group.callers += u64::from(caller > 0 && self.callers.insert(signature, caller));
    }
}

impl Alike {
    fn end(self, signature: NameId, names: &AllNames) -> Option<Group> {
        let (first, last) = self.micros?;
        let text = |field: Field, number| {
            let names = names.get(field.place());
            names.map_or_else(String::new, |names| names.text(number).to_owned())
        };
        Some(Group {
            signature: text(Field::Signature, signature),
            count: self.count,
            first_seen: timestamp(first),
            last_seen: timestamp(last),
            last_id: match self.last_id {
                0 => String::new(),
                id => Uuid::from_u128(id).to_string(),
            },
            fault: text(Field::Fault, self.last_fault),
            members: self.members,
            callers: self.callers,
            sparkline: self.sparkline.into(),
        })
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
