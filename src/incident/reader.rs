//! Reading the log: find by id, list by filter, follow what is being written. Needs no key.
//!
//! **Invariant:** a torn or hostile line costs itself and is told, never the lines around it; memory
//! does not grow with the log.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    segment::{Holds, Stamp, list},
    shelf,
};
use crate::keyring::DataKey;

mod bodies;
mod filter;
mod find;
mod follow;
pub(super) mod lines;
mod listing;
mod raw;
mod record;
mod search;
mod signatures;
mod stats;
mod stop;
mod tally;
mod view;

pub use super::shelf::NoBody;
pub use filter::{Filter, Order, Status, said};
pub use find::{Found, begins_id};
pub use follow::Follow;
pub use listing::Listing;
pub use record::Record;
pub(super) use record::{header, headers};
pub use search::{Cursor, IndexedThrough, MOST, Page};
pub use signatures::{Group, MOST_SIGNATURES, PARTS, Window};
pub use stats::{Count, Hour, MOST_COUNTS, Stats};
pub use stop::Waiter;

use lines::TooLong;

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

/// The log as its readers see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Incidents {
    folder: PathBuf,
    /// Told when nobody waits for what is read.
    stop: stop::Stop,
}

impl Incidents {
    /// The log in `folder`; it need not be there yet.
    pub fn open(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            stop: stop::Stop::default(),
        }
    }

    /// Every line that `filter` lets through.
    pub fn list(&self, filter: Filter) -> Listing {
        let stamps = self.segments(&filter);
        Listing::new(self.folder.clone(), stamps, filter, self.stop.clone())
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

/// The highest number at the end of any segment: the clock may have been set back, so that the newest by
/// name is not always the one written last. What cannot be read is passed over, and told in the operations log.
///
/// # Errors
/// The folder cannot be listed.
pub(super) fn last_seq(folder: &Path) -> io::Result<Option<u64>> {
    let mut highest = None;
    for stamp in list(folder, Holds::Lines)? {
        let name = stamp.file_name(Holds::Lines);
        match last_seq_of(&folder.join(&name)) {
            Ok(last) => highest = highest.max(last),
            Err(error) => {
                tracing::warn!(%error, segment = name, "the end of a segment cannot be read");
            }
        }
    }
    Ok(highest)
}

fn last_seq_of(path: &Path) -> io::Result<Option<u64>> {
    /// Lines that are looked at: a torn or hostile end must not hide the count.
    const LINES: usize = 1_000;
    let mut lines = lines::Backward::new(File::open(path)?)?;
    for _ in 0..LINES {
        let Some(line) = lines.next_line()? else {
            break;
        };
        let record = line.ok().and_then(|line| Record::parse(&line));
        if let Some(seq) = record.and_then(|record| record.seq()) {
            return Ok(Some(seq));
        }
    }
    Ok(None)
}
