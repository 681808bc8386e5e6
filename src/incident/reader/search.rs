//! Searching the log: one page at a time, and where the next one begins.
//!
//! **Invariant:** of what is indexed in a segment, a page reads what it shows and [`PATIENCE`] lines in vain at most,
//! whatever the segment holds; what is not indexed, and segments whose numbers overlap, are read until the page is
//! full. A cursor is a line's number, so a list stays whole while lines are written and old segments go. Lines come in
//! the order of their numbers.

use std::{fmt, io, num::ParseIntError, str::FromStr};

use serde::Serialize;

use super::{
    Filter, Incidents, Order, Record,
    view::{View, Wanted},
};
use crate::incident::{record::timestamp, segment::Stamp};

/// Lines of one page at most.
pub const MOST: usize = 1_000;
/// Lines that one page looks at before it asks for the beginning of a word.
const LOOK_FIRST: usize = 2_048;
/// Lines that one page looks at in vain, where there is an index; then it ends short.
const PATIENCE: usize = 20_000;

/// Where a list goes on: behind the line with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Cursor(u64);

impl Cursor {
    /// The cursor behind `record`; none for a line that has no number.
    pub fn behind(record: &Record) -> Option<Self> {
        record.seq().map(Self)
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
    /// What was found, in the filter's order. A page may be short, even empty, and not be the last: then
    /// much was looked at in vain.
    pub records: Vec<Record>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<Cursor>,
    /// How far the index reached.
    pub indexed_through: IndexedThrough,
    /// Lines that could not be read, and were passed over; a segment that cannot be opened counts as one.
    pub skipped: u64,
}

impl Incidents {
    /// The lines that `filter` lets through behind `after`: [`MOST`] at most. Reads files: not for an async
    /// worker.
    pub fn search(&self, filter: &Filter, after: Option<Cursor>, limit: usize) -> Page {
        let limit = limit.clamp(1, MOST);
        let mut wanted = Wanted {
            filter,
            after: after.map(|Cursor(seq)| seq),
            limit: limit + 1,
            patience: PATIENCE,
            look_first: LOOK_FIRST,
        };
        let mut page = Page {
            indexed_through: self.indexed_through(),
            ..Page::default()
        };
        let (views, unreadable) = self.views(filter);
        page.skipped = unreadable;
        for (n, (begin, view)) in views.iter().enumerate() {
            let last = page.records.get(limit).and_then(Record::seq);
            if last.is_some_and(|last| !comes_before(*begin, last, filter.order)) {
                break;
            }
            if !view.may_go_on_behind(wanted) {
                continue;
            }
            let mut gathered = view.gather(wanted);
            let next = views.get(n + 1).map(|(begin, _)| *begin);
            let is_mixed = |seq| next.is_some_and(|next| comes_before(next, seq, filter.order));
            if gathered.gave_up_at.is_some_and(is_mixed) {
                gathered = view.gather(Wanted {
                    patience: usize::MAX,
                    ..wanted
                });
            }
            wanted.look_first = wanted.look_first.saturating_sub(gathered.looked_first);
            page.skipped += gathered.skipped;
            page.records.append(&mut gathered.records);
            sort(&mut page.records, filter.order);
            page.records.truncate(limit + 1);
            if gathered.gave_up_at.is_some() && page.records.len() <= limit {
                page.next = gathered.gave_up_at.map(Cursor);
                return page;
            }
        }
        if page.records.len() > limit {
            page.records.truncate(limit);
            page.next = page.records.last().and_then(Cursor::behind);
        }
        page
    }

    /// How far the index has read the log: it knows the newest segment to there.
    pub fn indexed_through(&self) -> IndexedThrough {
        let stamps = self.segments(&Filter::default());
        let newest = stamps.into_iter().rev().find_map(|stamp| {
            let view = self.view(stamp).ok().flatten()?;
            view.through().copied().filter(|through| through.lines > 0)
        });
        IndexedThrough {
            seq: newest.map(|through| through.last_seq),
            time: newest
                .and_then(|through| through.last_micros)
                .map(timestamp),
        }
    }

    /// Opens a segment; none if it went meanwhile, or nobody waits any more.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn view(&self, stamp: Stamp) -> io::Result<Option<View>> {
        match self.stop.is_told() {
            true => Ok(None),
            false => View::open(&self.folder, stamp, self.stop.clone()),
        }
    }

    /// The segments that may hold something wanted, in the filter's order of their lines, each with the number
    /// it begins with; and how many cannot be opened.
    pub(super) fn views(&self, filter: &Filter) -> (Vec<(u64, View)>, u64) {
        let (mut views, mut unreadable) = (Vec::new(), 0);
        for stamp in self.segments(filter) {
            match self.view(stamp) {
                Ok(Some(view)) => {
                    views.push((view.begins_with(filter.order).unwrap_or(0), view));
                }
                Ok(None) => {}
                Err(_) => unreadable += 1,
            }
        }
        views.sort_by_key(|(begin, _)| *begin);
        if filter.order == Order::NewestFirst {
            views.reverse();
        }
        (views, unreadable)
    }
}

fn comes_before(one: u64, other: u64, order: Order) -> bool {
    match order {
        Order::NewestFirst => one > other,
        Order::OldestFirst => one < other,
    }
}

fn sort(records: &mut [Record], order: Order) {
    records.sort_by_key(|record| record.seq().unwrap_or(0));
    if order == Order::NewestFirst {
        records.reverse();
    }
}
