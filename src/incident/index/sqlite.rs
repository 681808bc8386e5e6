//! One index file: the SQL of it, and nothing of what it means.
//!
//! Lines are kept in blocks of columns, words in a full-text table without content. A line's place among
//! those of its segment, from 1 on, is its number in the columns. Words are kept by groups of up to
//! [`GROUP_LINES`] lines that follow each other, under the number of the first.
//!
//! **Invariant:** all that a commit says is there, or nothing; a file of another layout or a damaged one is
//! [`Unusable::Broken`], never half believed.
//!
//! **Neighbours:** `build` writes, `snapshot` reads. The index holds nothing that its segment does not.

use std::{
    fs, io,
    ops::ControlFlow,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};

use super::{row::COLUMNS, words::Word};

/// Number of this layout, and of what counts as a word.
const LAYOUT: i64 = 3;
const PAGE_BYTES: u32 = 16 << 10;
/// Lines at most whose words are kept together. Most words of a line stand in its neighbours as well: writing them
/// once for each line took most of a failed call. More lines would save little, since what is a line's own is written
/// in any case, and would name more lines in vain where two frequent words are asked for.
pub(super) const GROUP_LINES: u64 = 16;
/// A checkpoint by another connection, or a commit, takes no longer.
const BUSY: Duration = Duration::from_secs(2);
/// Words that are gathered before they are written out, in bytes.
const WORDS_HELD: u32 = 16 << 20;

const SCHEMA: &str = "
CREATE TABLE through (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  bytes INTEGER NOT NULL, lines INTEGER NOT NULL, skipped INTEGER NOT NULL,
  last_offset INTEGER NOT NULL, last_length INTEGER NOT NULL, last_crc INTEGER NOT NULL,
  first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, last_micros INTEGER, is_odd INTEGER NOT NULL
);
CREATE TABLE blocks (
  n INTEGER PRIMARY KEY, lines INTEGER NOT NULL,
  first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, first_micros INTEGER, last_micros INTEGER
);
CREATE TABLE columns (place INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE names (
  field INTEGER NOT NULL, id INTEGER NOT NULL, text TEXT NOT NULL,
  PRIMARY KEY (field, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX names_by_text ON names (field, text);
CREATE VIRTUAL TABLE words USING fts5 (
  said, content = '', columnsize = 0, detail = none, tokenize = 'ascii'
);
";

/// Why an index file does not serve.
#[derive(Debug, thiserror::Error)]
pub(in crate::incident) enum Unusable {
    /// There is none.
    #[error("there is no index file")]
    Missing,
    /// Damaged, of another layout, or of another segment.
    #[error("the index file is damaged or of another version: {0}")]
    Broken(String),
    /// Another one stands in its place by now.
    #[error("the index file was replaced")]
    Replaced,
    /// The disk or a lock refused.
    #[error("the index file: {0}")]
    Refused(String),
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Broken(error.to_string())
            }
            Some(_) => Self::Refused(error.to_string()),
            // A value of an unexpected type: not written by us.
            None => Self::Broken(error.to_string()),
        }
    }
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Refused(error.to_string()),
        }
    }
}

/// How far an index has read its segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::incident) struct Through {
    /// Bytes of the segment, up to the end of a line.
    pub(in crate::incident) bytes: u64,
    /// Lines that it knows.
    pub(in crate::incident) lines: u64,
    /// Lines that were none of ours.
    pub(in crate::incident) skipped: u64,
    /// Where the last line it read stands …
    pub(in crate::incident) last_offset: u64,
    /// … how long it is …
    pub(in crate::incident) last_length: u64,
    /// … and its CRC-32: proof that the segment is still the same.
    pub(in crate::incident) last_crc: u32,
    pub(in crate::incident) first_seq: u64,
    pub(in crate::incident) last_seq: u64,
    pub(in crate::incident) last_micros: Option<i64>,
    /// Whether numbers are missing or do not rise: such a segment is read line by line.
    pub(in crate::incident) is_odd: bool,
}

/// What a block's lines have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::incident) struct Block {
    pub(in crate::incident) n: u64,
    pub(in crate::incident) lines: usize,
    pub(in crate::incident) first_seq: u64,
    pub(in crate::incident) last_seq: u64,
    /// The earliest and latest time; none if no line has one.
    pub(in crate::incident) micros: Option<(i64, i64)>,
}

/// Which way through the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::incident) enum Way {
    Up,
    Down,
}

/// An open index file.
#[derive(Debug)]
pub(in crate::incident) struct IndexFile {
    connection: Connection,
    path: PathBuf,
    identity: (u64, u64),
}

impl IndexFile {
    /// Makes a file for a first fill: fast, and worth nothing until it was filled and moved into its place.
    pub(super) fn create(path: &Path) -> Result<Self, Unusable> {
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "user_version", LAYOUT)?;
        Self::ready_to_write(connection, path)
    }

    /// Opens a file to go on with it.
    pub(super) fn open(path: &Path) -> Result<Self, Unusable> {
        fs::metadata(path)?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        check_layout(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Self::ready_to_write(connection, path)
    }

    fn ready_to_write(connection: Connection, path: &Path) -> Result<Self, Unusable> {
        let hold = "INSERT INTO words (words, rank) VALUES ('hashsize', ?1)";
        connection.execute(hold, [WORDS_HELD])?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }

    /// Opens a file to read it, as it is at this moment.
    pub(super) fn look(path: &Path) -> Result<Self, Unusable> {
        let identity = identity(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("BEGIN")?;
        check_layout(&connection)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            identity,
        })
    }

    /// Whether this file still stands where it was opened.
    pub(super) fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.identity)
    }

    pub(super) fn through(&self) -> Result<Through, Unusable> {
        let question =
            "SELECT bytes, lines, skipped, last_offset, last_length, last_crc, first_seq,
            last_seq, last_micros, is_odd FROM through";
        let found = self.connection.query_row(question, [], |row| {
            Ok(Through {
                bytes: unsigned(row, 0)?,
                lines: unsigned(row, 1)?,
                skipped: unsigned(row, 2)?,
                last_offset: unsigned(row, 3)?,
                last_length: unsigned(row, 4)?,
                last_crc: row.get(5)?,
                first_seq: unsigned(row, 6)?,
                last_seq: unsigned(row, 7)?,
                last_micros: row.get(8)?,
                is_odd: row.get(9)?,
            })
        });
        Ok(found.optional()?.unwrap_or_default())
    }

    pub(super) fn blocks(&self) -> Result<Vec<Block>, Unusable> {
        let question = "SELECT n, lines, first_seq, last_seq, first_micros, last_micros FROM blocks ORDER BY n";
        let mut statement = self.connection.prepare(question)?;
        let blocks = statement.query_map([], |row| {
            let (first, last): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
            Ok(Block {
                n: unsigned(row, 0)?,
                lines: usize::try_from(unsigned(row, 1)?).unwrap_or(usize::MAX),
                first_seq: unsigned(row, 2)?,
                last_seq: unsigned(row, 3)?,
                micros: first.zip(last),
            })
        })?;
        Ok(blocks.collect::<Result<_, _>>()?)
    }

    /// A column of a block, packed.
    pub(super) fn column(&self, block: u64, column: usize) -> Result<Vec<u8>, Unusable> {
        let question = "SELECT data FROM columns WHERE place = ?1";
        let mut statement = self.connection.prepare_cached(question)?;
        Ok(statement.query_row([signed(place(block, column))], |row| row.get(0))?)
    }

    /// The number of a name in this segment; none if no line has it.
    pub(super) fn number_of(&self, field: usize, text: &str) -> Result<Option<u64>, Unusable> {
        let question = "SELECT id FROM names WHERE field = ?1 AND text = ?2";
        let number = self
            .connection
            .query_row(question, params![small(field), text], |row| {
                unsigned(row, 0)
            });
        Ok(number.optional()?)
    }

    /// The names of a field, by their numbers from 1 on.
    pub(super) fn names(&self, field: usize) -> Result<Vec<String>, Unusable> {
        let question = "SELECT text FROM names WHERE field = ?1 ORDER BY id";
        let mut statement = self.connection.prepare_cached(question)?;
        let names = statement.query_map([small(field)], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Lines between `first` and `last` whose group has all `words`, each once, until `visit` has enough.
    pub(super) fn lines_with(
        &self,
        words: &[Word],
        (first, last): (u64, u64),
        way: Way,
        mut visit: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(), Unusable> {
        let order = match way {
            Way::Up => "ASC",
            Way::Down => "DESC",
        };
        let question = format!(
            "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid {order}"
        );
        let mut statement = self.connection.prepare(&question)?;
        let before = first.saturating_sub(GROUP_LINES - 1);
        let mut rows = statement.query(params![matching(words), signed(before), signed(last)])?;
        // What is not visited yet: a group that is not full ends where the next one begins.
        let (mut low, mut high) = (first, last);
        while let Some(row) = rows.next()? {
            let group = unsigned(row, 0)?;
            let end = group.saturating_add(GROUP_LINES - 1);
            let lines = group.max(low)..=end.min(high);
            let flow = match way {
                Way::Up => lines.clone().try_for_each(&mut visit),
                Way::Down => lines.clone().rev().try_for_each(&mut visit),
            };
            if flow.is_break() {
                break;
            }
            match way {
                Way::Up => low = low.max(end.saturating_add(1)),
                Way::Down => high = high.min(group.saturating_sub(1)),
            }
        }
        Ok(())
    }

    pub(super) fn begin(&self) -> Result<(), Unusable> {
        Ok(self.connection.execute_batch("BEGIN IMMEDIATE")?)
    }

    pub(super) fn commit(&self) -> Result<(), Unusable> {
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    /// The words of the group whose first line is `first`.
    pub(super) fn put_words(&self, first: u64, words: &str) -> Result<(), Unusable> {
        let insert = "INSERT INTO words (rowid, said) VALUES (?1, ?2)";
        self.connection
            .prepare_cached(insert)?
            .execute(params![signed(first), words])?;
        Ok(())
    }

    pub(super) fn put_name(&self, field: usize, number: u64, text: &str) -> Result<(), Unusable> {
        let insert = "INSERT INTO names (field, id, text) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(insert)?.execute(params![
            small(field),
            signed(number),
            text
        ])?;
        Ok(())
    }

    /// Writes a block, in place of what stood there.
    pub(super) fn put_block(&self, block: &Block, columns: &[Vec<u8>]) -> Result<(), Unusable> {
        let insert = "INSERT OR REPLACE INTO blocks (n, lines, first_seq, last_seq, first_micros, last_micros)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (first, last) = block.micros.unzip();
        self.connection.prepare_cached(insert)?.execute(params![
            signed(block.n),
            small(block.lines),
            signed(block.first_seq),
            signed(block.last_seq),
            first,
            last
        ])?;
        let insert = "INSERT OR REPLACE INTO columns (place, data) VALUES (?1, ?2)";
        let mut statement = self.connection.prepare_cached(insert)?;
        for (n, column) in columns.iter().enumerate() {
            statement.execute(params![signed(place(block.n, n)), column])?;
        }
        Ok(())
    }

    pub(super) fn put_through(&self, through: &Through) -> Result<(), Unusable> {
        let insert =
            "INSERT OR REPLACE INTO through VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.connection.prepare_cached(insert)?.execute(params![
            signed(through.bytes),
            signed(through.lines),
            signed(through.skipped),
            signed(through.last_offset),
            signed(through.last_length),
            through.last_crc,
            signed(through.first_seq),
            signed(through.last_seq),
            through.last_micros,
            through.is_odd,
        ])?;
        Ok(())
    }

    /// Joins what the words were written out in into one, for a segment that grows no more.
    pub(super) fn optimize(&self) -> Result<(), Unusable> {
        let command = "INSERT INTO words (words) VALUES ('optimize')";
        self.connection.execute(command, [])?;
        Ok(())
    }

    /// Ends a file that grows no more: it stands alone then, to be read from a disk that cannot be written.
    pub(super) fn seal(self) -> Result<(), Unusable> {
        self.connection
            .pragma_update(None, "journal_mode", "DELETE")?;
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(())
    }
}

/// SQLite knows signed numbers only: the same bits.
fn signed(value: u64) -> i64 {
    value.cast_signed()
}

fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn small(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn place(block: u64, column: usize) -> u64 {
    debug_assert!(column < COLUMNS, "a column too many");
    block.saturating_mul(32).saturating_add(column as u64)
}

fn check_layout(connection: &Connection) -> Result<(), Unusable> {
    let layout: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match layout {
        LAYOUT => Ok(()),
        other => Err(Unusable::Broken(format!("its layout is {other}"))),
    }
}

/// `"get" AND "rest" AND "po"*`: a word has no quotation mark.
fn matching(words: &[Word]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| {
            format!(
                "\"{}\"{}",
                word.text,
                if word.is_beginning { "*" } else { "" }
            )
        })
        .collect();
    quoted.join(" AND ")
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}
