//! Searching the log: one page at a time, and where the next one begins.
//!
//! **Invariant:** a page costs what it shows, not what the log holds; a cursor is a line's number, so a list
//! stays whole while lines are written and old segments go.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::Serialize;

use super::{Filter, Incidents, Order, Record};

/// Lines of one page at most.
pub const MOST: usize = 1_000;

/// Where a list goes on: behind the line with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Cursor(u64);

impl Cursor {
    /// The cursor behind `record`; none for a line that has no number.
    pub fn behind(record: &Record) -> Option<Self> {
        record.seq().map(Self)
    }

    /// Whether a line with this number comes behind it, in this order.
    fn is_before(self, seq: u64, order: Order) -> bool {
        match order {
            Order::NewestFirst => seq < self.0,
            Order::OldestFirst => seq > self.0,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

/// How far the index has read the log; lines behind that are found too, by reading them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IndexedThrough {
    /// Number of the last line it knows; none if there is no index.
    pub seq: Option<u64>,
    /// When that line's exchange began.
    pub time: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What was found, in the filter's order.
    pub records: Vec<Record>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<Cursor>,
    /// How far the index reached.
    pub indexed_through: IndexedThrough,
    /// Lines that could not be read, and were passed over.
    pub skipped: u64,
}

impl Incidents {
    /// The lines that `filter` lets through behind `after`: [`MOST`] at most. Reads files: not for an async
    /// worker.
    pub fn search(&self, filter: &Filter, after: Option<Cursor>, limit: usize) -> Page {
        let limit = limit.clamp(1, MOST);
        let mut page = Page::default();
        for found in self.list(filter.clone()) {
            let Ok(record) = found else {
                page.skipped += 1;
                continue;
            };
            let is_due = |cursor: Cursor| {
                record
                    .seq()
                    .is_some_and(|seq| cursor.is_before(seq, filter.order))
            };
            if !after.is_none_or(is_due) {
                continue;
            }
            if page.records.len() == limit {
                page.next = page.records.last().and_then(Cursor::behind);
                break;
            }
            page.records.push(record);
        }
        page
    }
}
