//! Reads a segment forward and puts what it says into its index.
//!
//! **Invariant:** a commit ends at the end of a line, and says where; after a failure the file is opened
//! anew, so that what is in memory and what is in the file are never apart.
//!
//! **Neighbours:** `reader::lines` splits the segment, `slim` and `words` say what a line is to the index.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Seek as _, SeekFrom},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use tokio::time::Instant;

use super::{
    Unfinished, lock_shared,
    pack::{pack, unpack},
    path_of,
    row::{self, COLUMNS, Column, FIELDS, Row},
    slim,
    sqlite::{Block, GROUP_LINES, IndexFile, Through, Unusable},
    words::Gathered,
};
use crate::incident::{
    line::MAX_LINE,
    reader::lines::Forward,
    segment::{Holds, Stamp},
};

/// Lines of a block.
pub(super) const BLOCK_LINES: usize = 4_096;
/// Beyond so many bytes of different words a group ends before it is full.
const GROUP_BYTES: usize = 1 << 20;

/// An index that is being filled.
#[derive(Debug)]
pub(super) struct Build {
    folder: PathBuf,
    file: IndexFile,
    /// The file, while it stands elsewhere than readers look: nobody else touches it, so it needs no lock.
    unfinished: Option<Unfinished>,
    segment: Forward<File>,
    /// The segment once more, to look back.
    proof: File,
    /// Where the segment stands.
    path: PathBuf,
    through: Through,
    /// Names by field, with their numbers.
    names: [HashMap<String, u64>; FIELDS],
    /// The columns of the last block, which is not full yet.
    block: Vec<Vec<u64>>,
    /// Words of the lines behind `worded`; written before each commit.
    words: Gathered,
    /// Lines whose words are written.
    worded: u64,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more to read.
    More,
    /// The end of the segment as it is now.
    End,
}

impl Build {
    /// Begins anew in a file of its own, which is made.
    pub(super) fn begin(folder: &Path, stamp: Stamp) -> Result<Self, Unusable> {
        let unfinished = Unfinished::new(folder, stamp)?;
        let file = IndexFile::create(&unfinished.path)?;
        Self::with(folder, stamp, file, Some(unfinished))
    }

    /// Goes on with the index of a segment.
    pub(super) fn resume(folder: &Path, stamp: Stamp) -> Result<Self, Unusable> {
        let _lock = lock_shared(folder)?;
        let file = IndexFile::open(&path_of(folder, stamp))?;
        Self::with(folder, stamp, file, None)
    }

    fn with(
        folder: &Path,
        stamp: Stamp,
        file: IndexFile,
        unfinished: Option<Unfinished>,
    ) -> Result<Self, Unusable> {
        let path = folder.join(stamp.file_name(Holds::Lines));
        let through = file.through()?;
        let mut segment = File::open(&path)?;
        segment.seek(SeekFrom::Start(through.bytes))?;
        let mut names: [HashMap<String, u64>; FIELDS] = Default::default();
        for (field, names) in names.iter_mut().enumerate() {
            names.extend(file.names(field)?.into_iter().zip(1..));
        }
        let build = Self {
            folder: folder.to_owned(),
            block: last_block(&file)?,
            file,
            unfinished,
            segment: Forward::new(segment, through.bytes),
            proof: File::open(&path)?,
            path,
            through,
            names,
            words: Gathered::default(),
            worded: through.lines,
        };
        prove(&build.proof, &build.through)?;
        Ok(build)
    }

    pub(super) fn through(&self) -> Through {
        self.through
    }

    /// Reads on, commits, and says whether there is more: up to `lines` lines, and not beyond `until`.
    /// After an error this build is of no use.
    pub(super) fn step(&mut self, lines: usize, until: Instant) -> Result<Step, Unusable> {
        let _lock = self.lock()?;
        if !self.file.is_in_place() || !self.reads_the_segment()? {
            return Err(Unusable::Replaced);
        }
        prove(&self.proof, &self.through)?;
        let before = self.through;
        self.file.begin()?;
        let (mut step, mut last) = (Step::More, None);
        for _ in 0..lines {
            let offset = self.segment.line_start();
            let Some(line) = self.segment.next_line()? else {
                step = Step::End;
                break;
            };
            self.through.bytes = self.segment.line_start();
            match line {
                Ok(line) => {
                    self.take(offset, &line)?;
                    last = Some(line).filter(|line| !line.is_empty()).or(last);
                }
                Err(_too_long) => self.through.skipped += 1,
            }
            if Instant::now() >= until {
                break;
            }
        }
        if self.through != before {
            self.put_words()?;
            self.put_block()?;
            if let Some(last) = last {
                self.through.last_crc = crc32fast::hash(&last);
            }
            self.file.put_through(&self.through)?;
        }
        self.file.commit()?;
        Ok(step)
    }

    /// Whether the file that is read is still the segment.
    fn reads_the_segment(&self) -> Result<bool, Unusable> {
        let (open, found) = (self.proof.metadata()?, fs::metadata(&self.path)?);
        Ok((open.dev(), open.ino()) == (found.dev(), found.ino()))
    }

    /// Notes what a line says; its CRC is due once it is known to be the last of the commit.
    fn take(&mut self, offset: u64, line: &[u8]) -> Result<(), Unusable> {
        if line.is_empty() {
            return Ok(());
        }
        self.through.last_offset = offset;
        self.through.last_length = line.len() as u64;
        let Some((row, numbers)) = slim::row(line, |row| self.numbers_of(row)) else {
            self.through.skipped += 1;
            return Ok(());
        };
        let numbers = numbers?;
        let through = &mut self.through;
        let seq = row.seq;
        through.is_odd |= seq <= through.last_seq || i64::try_from(seq).is_err();
        if through.lines == 0 {
            through.first_seq = seq;
        }
        through.last_seq = through.last_seq.max(seq);
        through.last_micros = row.micros.or(through.last_micros);
        through.lines += 1;
        self.words.take(line);
        if self.through.lines - self.worded >= GROUP_LINES || self.words.held() > GROUP_BYTES {
            self.put_words()?;
        }
        let values = row::values(&row, offset, line.len(), numbers);
        for (column, value) in self.block.iter_mut().zip(values) {
            column.push(value);
        }
        if self.lines_in_block() == BLOCK_LINES {
            self.put_block()?;
            self.block = vec![Vec::new(); COLUMNS];
        }
        Ok(())
    }

    /// Writes the words of the lines that were read since, as one group.
    fn put_words(&mut self) -> Result<(), Unusable> {
        if self.worded < self.through.lines {
            self.file.put_words(self.worded + 1, self.words.text())?;
            self.worded = self.through.lines;
            self.words.clear();
        }
        Ok(())
    }

    fn numbers_of(&mut self, row: &Row<'_>) -> Result<[u64; FIELDS], Unusable> {
        let mut numbers = [0; FIELDS];
        for ((field, name), number) in row.names.iter().enumerate().zip(&mut numbers) {
            if let Some(name) = name {
                *number = self.number_of(field, name)?;
            }
        }
        Ok(numbers)
    }

    fn number_of(&mut self, field: usize, name: &str) -> Result<u64, Unusable> {
        let Some(names) = self.names.get_mut(field) else {
            return Ok(0);
        };
        if let Some(number) = names.get(name) {
            return Ok(*number);
        }
        let number = names.len() as u64 + 1;
        self.file.put_name(field, number, name)?;
        names.insert(name.to_owned(), number);
        Ok(number)
    }

    fn lines_in_block(&self) -> usize {
        self.block.first().map_or(0, Vec::len)
    }

    fn column(&self, column: Column) -> &[u64] {
        self.block.get(column.place()).map_or(&[], Vec::as_slice)
    }

    fn put_block(&self) -> Result<(), Unusable> {
        let lines = self.lines_in_block();
        if lines == 0 {
            return Ok(());
        }
        let seqs = self.column(Column::Seq);
        let times = self.column(Column::Micros).iter();
        let times: Vec<i64> = times
            .filter_map(|time| row::micros_from_column(*time))
            .collect();
        let block = Block {
            n: (self.through.lines - 1) / BLOCK_LINES as u64,
            lines,
            first_seq: seqs.first().copied().unwrap_or(0),
            last_seq: seqs.last().copied().unwrap_or(0),
            micros: times.iter().min().copied().zip(times.iter().max().copied()),
        };
        let columns: Vec<Vec<u8>> = self.block.iter().map(|column| pack(column)).collect();
        self.file.put_block(&block, &columns)
    }

    /// Joins the words' parts; for a segment that grows no more.
    pub(super) fn optimize(&self) -> Result<(), Unusable> {
        self.file.optimize()
    }

    /// Waits until the disk has what was filled elsewhere: no commit did. Before it is put into its place, and
    /// before the lock for that is taken.
    pub(super) fn settle(&self) -> io::Result<()> {
        match &self.unfinished {
            Some(unfinished) => File::open(&unfinished.path)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Closes the file so that it stands alone; one that is not in its place is given to be put there.
    pub(super) fn seal(self) -> Result<Option<Unfinished>, Unusable> {
        let _lock = self.lock()?;
        self.file.seal()?;
        Ok(self.unfinished)
    }

    fn lock(&self) -> io::Result<Option<File>> {
        match self.unfinished {
            Some(_) => Ok(None),
            None => lock_shared(&self.folder).map(Some),
        }
    }
}

/// The columns of the last block, if it has room.
fn last_block(file: &IndexFile) -> Result<Vec<Vec<u64>>, Unusable> {
    let empty = vec![Vec::new(); COLUMNS];
    let blocks = file.blocks()?;
    let Some(block) = blocks.last().filter(|block| block.lines < BLOCK_LINES) else {
        return Ok(empty);
    };
    let mut columns = empty;
    for (n, column) in columns.iter_mut().enumerate() {
        *column = unpack(&file.column(block.n, n)?, block.lines)
            .ok_or_else(|| Unusable::Broken("a column has another length".into()))?;
    }
    Ok(columns)
}

/// Whether the segment is the one that was indexed so far.
pub(super) fn prove(segment: &File, through: &Through) -> Result<(), Unusable> {
    let other = || Unusable::Broken("it belongs to another segment".into());
    if segment.metadata()?.len() < through.bytes {
        return Err(other());
    }
    let length = usize::try_from(through.last_length).map_err(|_| other())?;
    if length > MAX_LINE {
        return Err(other());
    }
    let mut last = vec![0; length];
    segment
        .read_exact_at(&mut last, through.last_offset)
        .map_err(|_| other())?;
    match length == 0 || crc32fast::hash(&last) == through.last_crc {
        true => Ok(()),
        false => Err(other()),
    }
}
