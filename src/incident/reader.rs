//! Reading the log: find by id, list by filter, follow what is being written. Needs no key.
//!
//! **Invariant:** a torn or hostile line costs itself and is told, never the lines around it; memory
//! does not grow with the log.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    record::timestamp,
    segment::{Holds, Stamp, list},
    shelf,
};
use crate::keyring::DataKey;

mod filter;
mod follow;
mod lines;

pub use super::shelf::NoBody;
pub use filter::{Filter, Order, Status};
pub use follow::Follow;

use lines::{Backward, Forward, TooLong};

/// Shortest beginning of an id that is looked for.
pub const SHORTEST_PREFIX: usize = 8;

/// One line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record(Value);

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

/// Lines of one segment, from either end.
#[derive(Debug)]
enum Lines {
    Forward(Forward<File>),
    Backward(Backward),
}

/// An iterator over lines of the log.
#[derive(Debug)]
pub struct Listing {
    folder: PathBuf,
    /// What is still to be read; the next one is last.
    stamps: Vec<Stamp>,
    filter: Filter,
    open: Option<(String, Lines)>,
}

impl Listing {
    fn new(folder: PathBuf, stamps: Vec<Stamp>, filter: Filter) -> Self {
        Self {
            folder,
            stamps,
            filter,
            open: None,
        }
    }

    /// The next line of the open segment, its last one without end included.
    fn next_line(&mut self) -> io::Result<Option<lines::Line>> {
        match &mut self.open {
            None => Ok(None),
            Some((_, Lines::Backward(lines))) => lines.next_line(),
            Some((_, Lines::Forward(lines))) => match lines.next_line()? {
                Some(line) => Ok(Some(line)),
                None => Ok(lines.rest()),
            },
        }
    }

    fn open_next(&mut self) -> Option<Result<(), SkippedLine>> {
        let name = self.stamps.pop()?.file_name(Holds::Lines);
        let lines = match self.filter.order {
            Order::NewestFirst => File::open(self.folder.join(&name))
                .and_then(Backward::new)
                .map(Lines::Backward),
            Order::OldestFirst => File::open(self.folder.join(&name))
                .map(|file| Lines::Forward(Forward::new(file, 0))),
        };
        Some(match lines {
            Ok(lines) => {
                self.open = Some((name, lines));
                Ok(())
            }
            // Dropped for its age since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(skipped(&name, error.into())),
        })
    }
}

impl Iterator for Listing {
    type Item = Result<Record, SkippedLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((name, _)) = &self.open else {
                match self.open_next()? {
                    Ok(()) => continue,
                    Err(skipped) => return Some(Err(skipped)),
                }
            };
            let name = name.clone();
            match self.next_line() {
                Ok(Some(line)) => {
                    if let Some(item) = read(&name, line, &self.filter) {
                        return Some(item);
                    }
                }
                Ok(None) => self.open = None,
                Err(error) => {
                    self.open = None;
                    return Some(Err(skipped(&name, error.into())));
                }
            }
        }
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

impl Record {
    fn parse(line: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(line).ok()?;
        value.get("kind")?.as_str()?;
        Some(Self(value))
    }

    /// The whole line, as it is printed with `--json`.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// The text at `path`, such as `/request/url`.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.0.pointer(path)?.as_str()
    }

    /// The number at `path`.
    pub fn number(&self, path: &str) -> Option<u64> {
        self.0.pointer(path)?.as_u64()
    }

    /// Number of the line in the log.
    pub fn seq(&self) -> Option<u64> {
        self.number("/seq")
    }

    /// When the exchange began, or a note was made: RFC 3339 in UTC.
    pub fn time(&self) -> Option<&str> {
        self.text("/time")
    }

    /// The exchange's id; notes have none.
    pub fn id(&self) -> Option<&str> {
        self.text("/id")
    }

    /// Status of the final answer, else of the last attempt.
    pub fn status(&self) -> Option<u16> {
        let last = || {
            let attempts = self.0.pointer("/attempts")?.as_array()?;
            attempts.last()?.get("status")?.as_u64()
        };
        let status = self.number("/answer/status").or_else(last)?;
        u16::try_from(status).ok()
    }

    /// Whose fault: `caller`, `member`, `linkedin` or `gateway`.
    pub fn fault(&self) -> Option<&str> {
        self.text("/fault")
    }

    /// `failed`, `recovered`, `cut`, `caller_left`; for notes `gap`, `late`, `summary`.
    pub fn kind(&self) -> Option<&str> {
        self.text("/kind")
    }

    /// Whether this is an exchange's record, and not a note of the log about itself.
    pub fn is_incident(&self) -> bool {
        !matches!(self.kind(), Some("gap" | "late" | "summary"))
    }

    /// The operator's name of the member.
    pub fn member(&self) -> Option<&str> {
        self.text("/member/name")
    }

    /// Name of the caller.
    pub fn caller(&self) -> Option<&str> {
        self.text("/caller")
    }

    /// Method of the caller's request.
    pub fn method(&self) -> Option<&str> {
        self.text("/request/method")
    }

    /// Target of the caller's request.
    pub fn url(&self) -> Option<&str> {
        self.text("/request/url")
    }

    /// One sentence for support.
    pub fn verdict(&self) -> Option<&str> {
        self.text("/verdict")
    }

    /// What makes incidents alike.
    pub fn signature(&self) -> Option<&str> {
        self.text("/signature")
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
