//! An index as one question sees it: which lines may be wanted, and what is known of each.
//!
//! **Invariant:** what it names is more than what is wanted, never less, as far as [`Snapshot::through`].
//!
//! **Neighbours:** `reader::view` reads the lines that are named here.

use std::{cell::RefCell, fs::File, ops::ControlFlow, path::Path};

use super::{
    build::{BLOCK_LINES, prove},
    lock_shared,
    pack::unpack,
    path_of,
    row::{Column, FIELDS, Field, Numbers, micros_from_column},
    sqlite::{Block, IndexFile},
};
use crate::incident::{
    reader::{Filter, Status},
    segment::Stamp,
};

pub(in crate::incident) use super::sqlite::{Through, Unusable, Way};

/// An index, as it was when it was opened.
#[derive(Debug)]
pub(in crate::incident) struct Snapshot {
    file: IndexFile,
    through: Through,
    blocks: Vec<Block>,
    /// The columns looked at last, all of one block.
    held: RefCell<Held>,
}

#[derive(Debug, Default)]
struct Held {
    block: u64,
    columns: Vec<(Column, Vec<u64>)>,
}

/// What a column must say.
#[derive(Clone, Copy, Debug)]
enum Test {
    Is(Column, u64),
    IsNot(Column, u64),
    Status(Status),
    Within(Option<i64>, Option<i64>),
}

/// The lines of a segment that a filter may want.
#[derive(Debug)]
pub(in crate::incident) struct Candidates {
    tests: Vec<Test>,
    /// The first and the last by number; from 1 on.
    range: (u64, u64),
}

/// Where a line stands in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::incident) struct Place {
    pub(in crate::incident) offset: u64,
    pub(in crate::incident) length: usize,
    pub(in crate::incident) seq: u64,
}

type Answer<T> = Result<T, Unusable>;

impl Snapshot {
    /// The index of `segment`, if there is one that fits.
    pub(in crate::incident) fn open(folder: &Path, stamp: Stamp, segment: &File) -> Answer<Self> {
        let path = path_of(folder, stamp);
        if !path.exists() {
            return Err(Unusable::Missing);
        }
        // Whoever may not touch the lock reads without it: at worst beside a file that is being replaced.
        let _lock = lock_shared(folder).ok();
        let file = IndexFile::look(&path)?;
        let through = file.through()?;
        prove(segment, &through)?;
        Ok(Self {
            blocks: file.blocks()?,
            file,
            through,
            held: RefCell::default(),
        })
    }

    pub(in crate::incident) fn through(&self) -> &Through {
        &self.through
    }

    /// What `filter` may want; none if nothing here can be.
    pub(in crate::incident) fn candidates(&self, filter: &Filter) -> Answer<Option<Candidates>> {
        let mut tests = Vec::new();
        let names = [
            (Field::Fault, &filter.fault),
            (Field::Kind, &filter.kind),
            (Field::Method, &filter.method),
            (Field::Caller, &filter.caller),
            (Field::Key, &filter.key_id),
            (Field::Member, &filter.member),
            (Field::Application, &filter.application),
            (Field::Signature, &filter.signature),
            (Field::Outcome, &filter.outcome),
        ];
        for (field, name) in names {
            let Some(name) = name else { continue };
            match self.file.number_of(field.place(), name)? {
                Some(number) => tests.push(Test::Is(Column::Name(field), number)),
                None => return Ok(None),
            }
        }
        for hidden in filter.hidden_kinds() {
            if let Some(hidden) = self.file.number_of(Field::Kind.place(), hidden)? {
                tests.push(Test::IsNot(Column::Name(Field::Kind), hidden));
            }
        }
        tests.extend(filter.status.map(Test::Status));
        let (since, until) = (filter.since_micros, filter.until_micros);
        if since.is_some() || until.is_some() {
            tests.push(Test::Within(since, until));
        }
        let mut blocks = self
            .blocks
            .iter()
            .filter(|block| is_within(block, since, until));
        let Some(first) = blocks.next() else {
            return Ok(None);
        };
        let last = blocks.next_back().unwrap_or(first);
        Ok(Some(Candidates {
            tests,
            range: (first_line(first), last_line(last)),
        }))
    }

    /// Narrows `candidates` to lines behind the one numbered `seq`.
    pub(in crate::incident) fn narrow(
        &self,
        candidates: &mut Candidates,
        seq: u64,
        way: Way,
    ) -> Answer<()> {
        // Lines whose number is smaller than `seq`, or not greater.
        let is_before = |of: u64| match way {
            Way::Down => of < seq,
            Way::Up => of <= seq,
        };
        let whole = self
            .blocks
            .partition_point(|block| is_before(block.last_seq));
        let mut before = whole
            .checked_sub(1)
            .and_then(|n| self.blocks.get(n))
            .map_or(0, last_line);
        if let Some(block) = self.blocks.get(whole) {
            let within = self.with_column(block, Column::Seq, |seqs| {
                seqs.partition_point(|of| is_before(*of))
            })?;
            before = (first_line(block) - 1).saturating_add(within as u64);
        }
        match way {
            Way::Down => candidates.range.1 = candidates.range.1.min(before),
            Way::Up => candidates.range.0 = candidates.range.0.max(before.saturating_add(1)),
        }
        Ok(())
    }

    /// Tells `visit` the candidates in their order, until it has enough.
    pub(in crate::incident) fn walk(
        &self,
        candidates: &Candidates,
        way: Way,
        mut visit: impl FnMut(u64) -> Answer<ControlFlow<()>>,
    ) -> Answer<()> {
        let (first, last) = candidates.range;
        let of_range = |block: &&Block| first_line(block) <= last && last_line(block) >= first;
        let mut blocks: Vec<&Block> = self.blocks.iter().filter(of_range).collect();
        if way == Way::Down {
            blocks.reverse();
        }
        for block in blocks {
            let mut lines = self.wanted(block, candidates)?;
            if way == Way::Down {
                lines.reverse();
            }
            for line in lines {
                if visit(line)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The same for candidates that have all `words`.
    pub(in crate::incident) fn walk_words(
        &self,
        candidates: &Candidates,
        filter: &Filter,
        way: Way,
        mut visit: impl FnMut(u64) -> Answer<ControlFlow<()>>,
    ) -> Answer<()> {
        let words = filter.words();
        if words.is_empty() {
            return self.walk(candidates, way, visit);
        }
        let mut end = Ok(());
        self.file
            .lines_with(&words, candidates.range, way, |line| {
                let told = match self.is_wanted(line, candidates) {
                    Ok(true) => visit(line),
                    Ok(false) => Ok(ControlFlow::Continue(())),
                    Err(error) => Err(error),
                };
                told.unwrap_or_else(|error| {
                    end = Err(error);
                    ControlFlow::Break(())
                })
            })?;
        end
    }

    /// Where a line stands.
    pub(in crate::incident) fn place(&self, line: u64) -> Answer<Place> {
        let [offset, length, seq] =
            self.values(line, [Column::Offset, Column::Length, Column::Seq])?;
        Ok(Place {
            offset,
            length: usize::try_from(length).unwrap_or(usize::MAX),
            seq,
        })
    }

    /// Tells `visit` what is known of the candidates, in rising order: their numbers, and those of their names.
    pub(in crate::incident) fn rows(
        &self,
        candidates: &Candidates,
        mut visit: impl FnMut(&Numbers, &[u64; FIELDS]),
    ) -> Answer<()> {
        let (first, last) = candidates.range;
        let of_range = |block: &&Block| first_line(block) <= last && last_line(block) >= first;
        for block in self.blocks.iter().filter(of_range) {
            let lines = self.wanted(block, candidates)?;
            if lines.is_empty() {
                continue;
            }
            for column in NUMBERS.into_iter().chain(Field::ALL.map(Column::Name)) {
                self.with_column(block, column, |_| ())?;
            }
            let held = self.held.borrow();
            let numbers = NUMBERS.map(|column| held.column(column));
            let names = Field::ALL.map(|field| held.column(Column::Name(field)));
            let start = first_line(block);
            for line in lines {
                let within = usize::try_from(line - start).map_err(|_| cut())?;
                let of = |column: &[u64]| column.get(within).copied().unwrap_or(0);
                visit(&numbers_of(numbers.map(of)), &names.map(of));
            }
        }
        Ok(())
    }

    /// All names of a field, by their numbers from 1 on.
    pub(in crate::incident) fn names(&self, field: Field) -> Answer<Vec<String>> {
        self.file.names(field.place())
    }

    fn values<const N: usize>(&self, line: u64, columns: [Column; N]) -> Answer<[u64; N]> {
        let (block, within) = self.block_of(line)?;
        let mut values = [0; N];
        for (value, column) in values.iter_mut().zip(columns) {
            *value = self
                .with_column(block, column, |of| of.get(within).copied())?
                .ok_or_else(cut)?;
        }
        Ok(values)
    }

    fn block_of(&self, line: u64) -> Answer<(&Block, usize)> {
        let from_zero = line.checked_sub(1).ok_or_else(cut)?;
        let n = from_zero / BLOCK_LINES as u64;
        let block = usize::try_from(n).ok().and_then(|n| self.blocks.get(n));
        let block = block.filter(|block| block.n == n).ok_or_else(cut)?;
        let within = usize::try_from(from_zero % BLOCK_LINES as u64).map_err(|_| cut())?;
        Ok((block, within))
    }

    /// A block's lines that pass every test, in rising order.
    fn wanted(&self, block: &Block, candidates: &Candidates) -> Answer<Vec<u64>> {
        let (first, last) = candidates.range;
        let mut lines: Vec<u64> =
            (first_line(block).max(first)..=last_line(block).min(last)).collect();
        let start = first_line(block);
        for test in &candidates.tests {
            if lines.is_empty() {
                break;
            }
            self.with_column(block, test.column(), |values| {
                lines.retain(|line| {
                    let within = usize::try_from(line - start).unwrap_or(usize::MAX);
                    values.get(within).is_some_and(|value| test.passes(*value))
                });
            })?;
        }
        Ok(lines)
    }

    fn is_wanted(&self, line: u64, candidates: &Candidates) -> Answer<bool> {
        for test in &candidates.tests {
            let [value] = self.values(line, [test.column()])?;
            if !test.passes(value) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn with_column<T>(
        &self,
        block: &Block,
        column: Column,
        ask: impl FnOnce(&[u64]) -> T,
    ) -> Answer<T> {
        let mut held = self.held.borrow_mut();
        if held.block != block.n {
            *held = Held {
                block: block.n,
                columns: Vec::new(),
            };
        }
        if let Some((_, values)) = held.columns.iter().find(|(of, _)| *of == column) {
            return Ok(ask(values));
        }
        let packed = self.file.column(block.n, column.place())?;
        let values = unpack(&packed, block.lines).ok_or_else(cut)?;
        let answer = ask(&values);
        held.columns.push((column, values));
        Ok(answer)
    }
}

impl Held {
    fn column(&self, column: Column) -> &[u64] {
        let found = self.columns.iter().find(|(of, _)| *of == column);
        found.map_or(&[], |(_, values)| values)
    }
}

/// What makes up a line's [`Numbers`].
const NUMBERS: [Column; 6] = [
    Column::Seq,
    Column::Micros,
    Column::Status,
    Column::Count,
    Column::IdHigh,
    Column::IdLow,
];

fn numbers_of([seq, micros, status, count, id_high, id_low]: [u64; 6]) -> Numbers {
    Numbers {
        seq,
        micros: micros_from_column(micros),
        id: (u128::from(id_high) << 64) | u128::from(id_low),
        status: u16::try_from(status).unwrap_or(0),
        count,
    }
}

impl Test {
    fn column(self) -> Column {
        match self {
            Self::Is(column, _) | Self::IsNot(column, _) => column,
            Self::Status(_) => Column::Status,
            Self::Within(..) => Column::Micros,
        }
    }

    fn passes(self, value: u64) -> bool {
        match self {
            Self::Is(_, wanted) => value == wanted,
            Self::IsNot(_, unwanted) => value != unwanted,
            Self::Status(status) => {
                status.covers(u16::try_from(value).ok().filter(|status| *status > 0))
            }
            Self::Within(since, until) => {
                let micros = micros_from_column(value);
                micros.is_some_and(|micros| {
                    since.is_none_or(|since| micros >= since)
                        && until.is_none_or(|until| micros <= until)
                })
            }
        }
    }
}

fn is_within(block: &Block, since: Option<i64>, until: Option<i64>) -> bool {
    if since.is_none() && until.is_none() {
        return true;
    }
    block.micros.is_some_and(|(first, last)| {
        since.is_none_or(|since| last >= since) && until.is_none_or(|until| first <= until)
    })
}

fn first_line(block: &Block) -> u64 {
    block.n.saturating_mul(BLOCK_LINES as u64).saturating_add(1)
}

fn last_line(block: &Block) -> u64 {
    (first_line(block) - 1).saturating_add(block.lines as u64)
}

fn cut() -> Unusable {
    Unusable::Broken("a block is not as long as it says".into())
}
