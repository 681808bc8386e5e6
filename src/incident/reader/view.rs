//! One segment as one question sees it: its index, and the lines behind the index.
//!
//! **Invariant:** answers what a plain reading of the segment's lines would; a damaged index costs time and
//! is deleted, never an answer.
//!
//! **Neighbours:** `index::snapshot` names lines, `lines` reads those that it does not know.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Seek as _, SeekFrom},
    ops::ControlFlow,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{
    Filter, Listing, Order, Record, Unreadable,
    lines::{Forward, Line},
    read,
    stop::Stop,
};
use crate::incident::{
    index::{
        self,
        row::{FIELDS, Field, Numbers, Row},
        snapshot::{Candidates, Snapshot, Through, Unusable, Way},
    },
    line::MAX_LINE,
    segment::{Holds, Stamp},
};

/// A segment, opened.
#[derive(Debug)]
pub(super) struct View {
    folder: PathBuf,
    stamp: Stamp,
    name: String,
    file: File,
    index: Option<Snapshot>,
    /// Told when nobody waits for what is read.
    stop: Stop,
}

/// What is looked for, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) filter: &'a Filter,
    /// Only lines behind this number, in the filter's order.
    pub(super) after: Option<u64>,
    /// Lines at most.
    pub(super) limit: usize,
    /// Lines that may be looked at in vain.
    pub(super) patience: usize,
    /// Lines that are looked at before the index is asked for the beginning of a word: what is frequent is
    /// found among them.
    pub(super) look_first: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// In the filter's order.
    pub(super) records: Vec<Record>,
    pub(super) skipped: u64,
    /// Lines that were looked at in vain.
    pub(super) in_vain: usize,
    /// Lines that were looked at before the index was asked for words.
    pub(super) looked_first: usize,
    /// The last line looked at, when patience ended before the lines did.
    pub(super) gave_up_at: Option<u64>,
}

/// One line, and what is known of its names.
pub(super) enum Seen<'a> {
    /// As it was read.
    Line(&'a Row<'a>),
    /// As the index has it: numbers of names.
    Indexed(&'a Numbers, &'a [u64; FIELDS]),
}

impl View {
    /// Opens a segment; none if it went meanwhile.
    ///
    /// # Errors
    /// It is there, and cannot be opened: what it holds is missing from any answer, and must be told.
    pub(super) fn open(folder: &Path, stamp: Stamp, stop: Stop) -> io::Result<Option<Self>> {
        let name = stamp.file_name(Holds::Lines);
        let file = match File::open(folder.join(&name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let index = match Snapshot::open(folder, stamp, &file) {
            Ok(index) => Some(index).filter(|index| !index.through().is_odd),
            Err(unusable) => {
                give_up(folder, stamp, &unusable);
                None
            }
        };
        Ok(Some(Self {
            folder: folder.to_owned(),
            stamp,
            name,
            file,
            index,
            stop,
        }))
    }

    /// What the index knows; none if there is none.
    pub(super) fn through(&self) -> Option<&Through> {
        self.index.as_ref().map(Snapshot::through)
    }

    /// The number of its first line, or of its last one, as `order` comes upon them.
    pub(super) fn begins_with(&self, order: Order) -> Option<u64> {
        if let Some(through) = self.through() {
            let is_whole = self
                .file
                .metadata()
                .is_ok_and(|found| found.len() == through.bytes);
            match order {
                Order::OldestFirst if through.lines > 0 => return Some(through.first_seq),
                Order::NewestFirst if is_whole => return Some(through.last_seq),
                _ => {}
            }
        }
        let filter = Filter {
            order,
            ledger: true,
            ..Filter::default()
        };
        self.listing(filter)
            .flatten()
            .find_map(|record| record.seq())
    }

    /// Whether any line of it can come behind the place where the list goes on.
    pub(super) fn may_go_on_behind(&self, wanted: Wanted<'_>) -> bool {
        let Some(after) = wanted.after else {
            return true;
        };
        match wanted.filter.order {
            Order::NewestFirst => self
                .begins_with(Order::OldestFirst)
                .is_some_and(|seq| seq < after),
            Order::OldestFirst => self
                .begins_with(Order::NewestFirst)
                .is_some_and(|seq| seq > after),
        }
    }

    fn listing(&self, filter: Filter) -> Listing {
        let stamps = vec![self.stamp];
        Listing::new(self.folder.clone(), stamps, filter, self.stop.clone())
    }

    /// The lines that are wanted.
    pub(super) fn gather(&self, wanted: Wanted<'_>) -> Gathered {
        if let Some(index) = &self.index {
            match self.gather_with(index, wanted) {
                Ok(gathered) => return gathered,
                Err(unusable) => give_up(&self.folder, self.stamp, &unusable),
            }
        }
        self.gather_all(wanted)
    }

    /// Reads every line.
    fn gather_all(&self, wanted: Wanted<'_>) -> Gathered {
        let mut gathered = Gathered::default();
        for found in self.listing(wanted.filter.clone()) {
            match found {
                Ok(record) if wanted.is_due(&record) => gathered.records.push(record),
                Ok(_) => {}
                Err(_) => gathered.skipped += 1,
            }
            if gathered.records.len() >= wanted.limit {
                break;
            }
        }
        gathered
    }

    fn gather_with(&self, index: &Snapshot, wanted: Wanted<'_>) -> Result<Gathered, Unusable> {
        let mut gathered = Gathered {
            skipped: index.through().skipped,
            ..Gathered::default()
        };
        let is_full = |gathered: &Gathered| gathered.records.len() >= wanted.limit;
        if wanted.filter.order == Order::NewestFirst {
            self.gather_tail(index, wanted, &mut gathered)?;
        }
        if !is_full(&gathered) {
            self.gather_indexed(index, wanted, &mut gathered)?;
        }
        let went_through = !is_full(&gathered) && gathered.gave_up_at.is_none();
        if wanted.filter.order == Order::OldestFirst && went_through {
            self.gather_tail(index, wanted, &mut gathered)?;
        }
        Ok(gathered)
    }

    /// The lines behind the index.
    fn gather_tail(
        &self,
        index: &Snapshot,
        wanted: Wanted<'_>,
        gathered: &mut Gathered,
    ) -> Result<(), Unusable> {
        let room = wanted.limit.saturating_sub(gathered.records.len());
        let mut last = VecDeque::new();
        let skipped = &mut gathered.skipped;
        self.each_tail_line(index, wanted.filter, |found| {
            match found {
                Ok(record) if wanted.is_due(&record) => last.push_back(record),
                Ok(_) => {}
                Err(_) => *skipped += 1,
            }
            match wanted.filter.order {
                Order::OldestFirst if last.len() >= room => return ControlFlow::Break(()),
                Order::NewestFirst if last.len() > room => drop(last.pop_front()),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        match wanted.filter.order {
            Order::OldestFirst => gathered.records.extend(last),
            Order::NewestFirst => gathered.records.extend(last.into_iter().rev()),
        }
        Ok(())
    }

    /// Every wanted line behind the index, in the order of writing.
    fn each_tail_line(
        &self,
        index: &Snapshot,
        filter: &Filter,
        mut visit: impl FnMut(Result<Record, super::SkippedLine>) -> ControlFlow<()>,
    ) -> Result<(), Unusable> {
        let from = index.through().bytes;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(from))?;
        let mut lines = Forward::new(file, from);
        while !self.stop.is_told() {
            let line: Line = match lines.next_line()? {
                Some(line) => line,
                None => match lines.rest() {
                    Some(line) => line,
                    None => return Ok(()),
                },
            };
            let found = read(&self.name, line, filter);
            if found.is_some_and(|found| visit(found).is_break()) {
                break;
            }
        }
        Ok(())
    }

    fn gather_indexed(
        &self,
        index: &Snapshot,
        wanted: Wanted<'_>,
        gathered: &mut Gathered,
    ) -> Result<(), Unusable> {
        let Some(mut candidates) = index.candidates(wanted.filter)? else {
            return Ok(());
        };
        let way = way(wanted.filter.order);
        if let Some(after) = wanted.after {
            index.narrow(&mut candidates, after, way)?;
        }
        // The beginning of a word may be that of many: those lists are long, but then not needed.
        let words = wanted.filter.words();
        if wanted.look_first > 0 && words.iter().any(|word| word.is_beginning) {
            let mut last = None;
            index.walk(&candidates, way, |line| {
                gathered.looked_first += 1;
                last = Some(index.place(line)?.seq);
                let flow = self.look(index, line, wanted, gathered)?;
                let goes_on = flow.is_continue() && gathered.looked_first < wanted.look_first;
                Ok(if goes_on {
                    flow
                } else {
                    ControlFlow::Break(())
                })
            })?;
            if gathered.looked_first < wanted.look_first || gathered.is_done(wanted) {
                return Ok(());
            }
            if let Some(seq) = last {
                index.narrow(&mut candidates, seq, way)?;
            }
        }
        index.walk_words(&candidates, wanted.filter, way, |line| {
            self.look(index, line, wanted, gathered)
        })
    }

    /// Reads one line and takes it if it is wanted.
    fn look(
        &self,
        index: &Snapshot,
        line: u64,
        wanted: Wanted<'_>,
        gathered: &mut Gathered,
    ) -> Result<ControlFlow<()>, Unusable> {
        if self.stop.is_told() {
            return Ok(ControlFlow::Break(()));
        }
        let place = index.place(line)?;
        let record = self.fetch(place.offset, place.length, wanted.filter)?;
        match record {
            Some(record) => gathered.records.push(record),
            None => gathered.in_vain += 1,
        }
        if gathered.records.len() >= wanted.limit {
            return Ok(ControlFlow::Break(()));
        }
        if gathered.in_vain >= wanted.patience {
            gathered.gave_up_at = Some(place.seq);
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn fetch(
        &self,
        offset: u64,
        length: usize,
        filter: &Filter,
    ) -> Result<Option<Record>, Unusable> {
        if length > MAX_LINE {
            return Err(Unusable::Broken("a line is too long".into()));
        }
        let mut line = vec![0; length];
        self.file.read_exact_at(&mut line, offset)?;
        match read(&self.name, Ok(line), filter) {
            None => Ok(None),
            Some(Ok(record)) => Ok(Some(record)),
            Some(Err(skipped)) => match skipped.why {
                Unreadable::Segment(error) => Err(error.into()),
                _ => Err(Unusable::Broken("it names a place where no line is".into())),
            },
        }
    }

    /// Every wanted line, in the order of writing; `visit` may have been told some when this fails.
    pub(super) fn each(
        &self,
        filter: &Filter,
        mut visit: impl FnMut(Seen<'_>),
    ) -> Result<u64, Unusable> {
        let Some(index) = &self.index else {
            let mut skipped = 0;
            for found in self.listing(filter.clone()) {
                match found {
                    Ok(record) => visit(Seen::Line(&Row::of(&record))),
                    Err(_) => skipped += 1,
                }
            }
            return Ok(skipped);
        };
        let mut skipped = index.through().skipped;
        match index.candidates(filter)? {
            Some(candidates) if filter.needs_line() => {
                self.each_read(index, &candidates, filter, &mut visit)?;
            }
            Some(_) if self.stop.is_told() => {}
            Some(candidates) => index.rows(&candidates, |numbers, names| {
                visit(Seen::Indexed(numbers, names));
            })?,
            None => {}
        }
        self.each_tail_line(index, filter, |found| {
            match found {
                Ok(record) => visit(Seen::Line(&Row::of(&record))),
                Err(_) => skipped += 1,
            }
            ControlFlow::Continue(())
        })?;
        Ok(skipped)
    }

    fn each_read(
        &self,
        index: &Snapshot,
        candidates: &Candidates,
        filter: &Filter,
        visit: &mut impl FnMut(Seen<'_>),
    ) -> Result<(), Unusable> {
        index.walk_words(candidates, filter, Way::Up, |line| {
            if self.stop.is_told() {
                return Ok(ControlFlow::Break(()));
            }
            let place = index.place(line)?;
            if let Some(record) = self.fetch(place.offset, place.length, filter)? {
                visit(Seen::Line(&Row::of(&record)));
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The same without its index: for when that turned out damaged.
    pub(super) fn without_index(mut self, why: &Unusable) -> Self {
        give_up(&self.folder, self.stamp, why);
        self.index = None;
        self
    }

    /// All names of a field that the index has.
    pub(super) fn names(&self, field: Field) -> Result<Vec<String>, Unusable> {
        self.index
            .as_ref()
            .map_or_else(|| Ok(Vec::new()), |index| index.names(field))
    }
}

impl Wanted<'_> {
    /// Whether a line comes behind the place where the list goes on.
    fn is_due(&self, record: &Record) -> bool {
        let Some(after) = self.after else { return true };
        record.seq().is_some_and(|seq| match self.filter.order {
            Order::NewestFirst => seq < after,
            Order::OldestFirst => seq > after,
        })
    }
}

impl Gathered {
    fn is_done(&self, wanted: Wanted<'_>) -> bool {
        self.records.len() >= wanted.limit || self.gave_up_at.is_some()
    }
}

fn way(order: Order) -> Way {
    match order {
        Order::NewestFirst => Way::Down,
        Order::OldestFirst => Way::Up,
    }
}

/// Tells why an index is not used; one that is damaged goes, to be made anew by whoever keeps it.
fn give_up(folder: &Path, stamp: Stamp, why: &Unusable) {
    match why {
        Unusable::Missing => {}
        Unusable::Broken(_) => {
            let gone = index::forget(folder, stamp);
            tracing::warn!(%why, ?stamp, ?gone, "an index of the support log goes");
        }
        Unusable::Replaced | Unusable::Refused(_) => {
            tracing::debug!(%why, ?stamp, "a segment is read without its index");
        }
    }
}
