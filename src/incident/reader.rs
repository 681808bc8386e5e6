//! Reading the log: find by id, list by filter, follow what is being written. Needs no key.
//!
//! **Invariant:** a torn or hostile line costs itself and is told, never the lines around it; memory
//! does not grow with the log.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    record::timestamp,
    segment::{Holds, Stamp, list},
    shelf,
};
use crate::keyring::DataKey;

mod bodies;
mod filter;
mod follow;
mod lines;
mod listing;
mod raw;
mod record;
mod search;
mod signatures;

pub use super::shelf::NoBody;
pub use filter::{Filter, Order, Status};
pub use follow::Follow;
pub use listing::Listing;
pub use record::Record;
pub use search::{Cursor, IndexedThrough, MOST, Page};
pub use signatures::{Group, MOST_SIGNATURES, PARTS, Window};

use lines::TooLong;

/// Shortest beginning of an id that is looked for.
pub const SHORTEST_PREFIX: usize = 8;

/// A line that is none of ours, and was passed over.
#[derive(Debug, thiserror::Error)]
#[error("a line in {segment} was skipped: {why}")]
pub struct SkippedLine {
    /// The file it stands in.
    pub segment: String,
    /// What is wrong with it.
    #[source]
    pub why: Unreadable,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Longer than any line we write.
    #[error("it is too long")]
    TooLong,
    /// Torn by a crash, or not ours.
    #[error("it is no record")]
    NotARecord,
    /// The disk refused; the rest of this segment is passed over too.
    #[error("the segment cannot be read further")]
    Segment(#[from] io::Error),
}

/// What looking for an id came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// This one.
    One(Box<Record>),
    /// Several ids begin so: the newest of them.
    Ambiguous(Vec<String>),
    /// No line has it.
    Nothing,
}

/// The log as its readers see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Incidents {
    folder: PathBuf,
}

impl Incidents {
    /// The log in `folder`; it need not be there yet.
    pub fn open(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Every line that `filter` lets through.
    pub fn list(&self, filter: Filter) -> Listing {
        Listing::new(self.folder.clone(), self.segments(&filter), filter)
    }

    fn segments(&self, filter: &Filter) -> Vec<Stamp> {
        let mut stamps = list(&self.folder, Holds::Lines).unwrap_or_default();
        stamps.retain(|stamp| filter.may_hold(stamp.start_secs));
        if filter.order == Order::OldestFirst {
            // A listing takes them from the end.
            stamps.reverse();
        }
        stamps
    }

    /// The record whose id begins with `prefix`, of at least [`SHORTEST_PREFIX`] characters.
    pub fn find(&self, prefix: &str) -> Found {
        let prefix = prefix.to_ascii_lowercase();
        if prefix.len() < SHORTEST_PREFIX {
            return Found::Nothing;
        }
        let stamps = list(&self.folder, Holds::Lines).unwrap_or_default();
        // The id tells when the exchange began; its line is hardly ever written much later.
        let is_near =
            |stamp: &Stamp| near(&prefix).is_none_or(|range| range.contains(&stamp.start_secs));
        let (near, far): (Vec<Stamp>, Vec<Stamp>) = stamps.into_iter().partition(is_near);
        match self.find_in(near, &prefix) {
            Found::Nothing => self.find_in(far, &prefix),
            found => found,
        }
    }

    fn find_in(&self, stamps: Vec<Stamp>, prefix: &str) -> Found {
        let filter = Filter {
            id_prefix: Some(prefix.to_owned()),
            ..Filter::default()
        };
        let mut found: Vec<Record> = Vec::new();
        for record in Listing::new(self.folder.clone(), stamps, filter).flatten() {
            if prefix.len() == 36 {
                return Found::One(Box::new(record));
            }
            let is_known = found.iter().any(|known| known.id() == record.id());
            if !is_known && found.len() < MAX_AMBIGUOUS {
                found.push(record);
            }
        }
        match found.len() {
            0 => Found::Nothing,
            1 => found
                .pop()
                .map_or(Found::Nothing, |one| Found::One(Box::new(one))),
            _ => Found::Ambiguous(
                found
                    .iter()
                    .filter_map(|one| Some(one.id()?.to_owned()))
                    .collect(),
            ),
        }
    }

    /// Everything that is written from now on.
    pub fn follow(&self, filter: Filter) -> Follow {
        Follow::new(self.folder.clone(), filter)
    }

    /// The body that a record names with `ref`, opened with its member's (or application's) key.
    ///
    /// # Errors
    /// [`NoBody`], most often because its time is over.
    pub fn open_body(&self, reference: &str, key: &DataKey) -> Result<Vec<u8>, NoBody> {
        shelf::open(&self.folder, reference, key)
    }
}

/// Ids that are named when a prefix fits several.
const MAX_AMBIGUOUS: usize = 16;

/// When segments begin that may hold an exchange whose id begins so.
fn near(prefix: &str) -> Option<std::ops::Range<i64>> {
    const DAY: i64 = 86_400;
    let digits: String = prefix
        .chars()
        .filter(|digit| *digit != '-')
        .take(12)
        .collect();
    let missing = 12_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
    let millis = i64::from_str_radix(&digits, 16)
        .ok()?
        .checked_shl(4 * missing)?;
    let spread = 1_i64.checked_shl(4 * missing)?;
    Some(millis / 1_000 - DAY..(millis + spread) / 1_000 + 2 * DAY)
}

/// What a line is to a reader with this filter; none if it is nothing.
fn read(segment: &str, line: lines::Line, filter: &Filter) -> Option<Result<Record, SkippedLine>> {
    let line = match line {
        Ok(line) => line,
        Err(TooLong) => return Some(Err(skipped(segment, Unreadable::TooLong))),
    };
    if line.is_empty() || !filter.may_match(&line) {
        return None;
    }
    match Record::parse(&line) {
        Some(record) if filter.matches(&record) => Some(Ok(record)),
        Some(_) => None,
        None => Some(Err(skipped(segment, Unreadable::NotARecord))),
    }
}

fn skipped(segment: &str, why: Unreadable) -> SkippedLine {
    SkippedLine {
        segment: segment.to_owned(),
        why,
    }
}

/// The highest number among the last lines of the newest segments.
pub(super) fn last_seq(folder: &Path) -> io::Result<Option<u64>> {
    /// Lines that are looked at: a torn or hostile end must not hide the count.
    const LINES: usize = 1_000;
    let mut stamps = list(folder, Holds::Lines)?;
    let mut highest = None;
    // The clock may have been set back: the newest by name is not always the last one written.
    while let Some(stamp) = stamps.pop() {
        let listing = Listing::new(folder.to_owned(), vec![stamp], Filter::default());
        let lines = listing.take(LINES).flatten();
        let here = lines.filter_map(|record| record.seq()).max();
        let is_found = highest.is_some();
        highest = highest.max(here);
        if is_found {
            break;
        }
    }
    Ok(highest)
}
