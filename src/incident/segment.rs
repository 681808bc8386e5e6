//! Files that only grow, named by the UTC day or hour of writing.
//!
//! `incidents-2026-11-23.ndjson` holds a day of lines, `bodies/2026-11-23T14.seg` an hour of bodies. One
//! that grows too large is followed by `….1.ndjson`, so that old bytes can be dropped while a bad day
//! is still going on.
//!
//! **Invariant:** after a failed append the file ends where it ended before, at the latest when it is opened
//! again; what a kill tore is closed off and told. A file that was moved or removed under us is noticed after
//! the write, and the bytes are written again. What was written stays known as unsynced until a sync reached it or
//! somebody else took that over, whatever became of the appender's own file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use time::OffsetDateTime;

use super::{
    line::MAX_LINE,
    reader::lines::Forward,
    sync::{self, Files},
};

/// What a segment holds, and so how long one lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A day of lines.
    Lines,
    /// An hour of bodies.
    Bodies,
}

impl Holds {
    fn prefix(self) -> &'static str {
        match self {
            Self::Lines => "incidents-",
            Self::Bodies => "",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Lines => ".ndjson",
            Self::Bodies => ".seg",
        }
    }

    /// Seconds that one segment covers.
    pub(super) fn span_secs(self) -> i64 {
        match self {
            Self::Lines => 86_400,
            Self::Bodies => 3_600,
        }
    }
}

/// Which segment: they sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Stamp {
    /// Start of the day or hour, in Unix seconds.
    pub(super) start_secs: i64,
    /// 0 for the first of that time, 1 for the one after it was full, …
    pub(super) part: u32,
}

impl Stamp {
    /// The first segment of the time that holds `now_secs`.
    pub(super) fn at(holds: Holds, now_secs: i64) -> Self {
        let start_secs = now_secs - now_secs.rem_euclid(holds.span_secs());
        Self {
            start_secs,
            part: 0,
        }
    }

    /// The name without folder, prefix and suffix: `2026-11-23`, `2026-11-23T14.1`.
    pub(super) fn stem(self, holds: Holds) -> String {
        let start = OffsetDateTime::from_unix_timestamp(self.start_secs)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let date = start.date();
        let hour = match holds {
            Holds::Lines => String::new(),
            Holds::Bodies => format!("T{:02}", start.hour()),
        };
        let part = match self.part {
            0 => String::new(),
            part => format!(".{part}"),
        };
        format!("{date}{hour}{part}")
    }

    /// Reads what [`Stamp::stem`] wrote.
    pub(super) fn parse(holds: Holds, stem: &str) -> Option<Self> {
        let (time, part) = match stem.split_once('.') {
            Some((time, part)) => (time, part.parse().ok().filter(|part| *part > 0)?),
            None => (stem, 0),
        };
        let (date, hour) = match (holds, time.split_once('T')) {
            (Holds::Lines, None) => (time, 0),
            (Holds::Bodies, Some((date, hour))) => (date, hour.parse().ok()?),
            (Holds::Lines, Some(_)) | (Holds::Bodies, None) => return None,
        };
        let format = time::macros::format_description!("[year]-[month]-[day]");
        let date = time::Date::parse(date, format).ok()?;
        let start_secs = date
            .with_hms(hour, 0, 0)
            .ok()?
            .assume_utc()
            .unix_timestamp();
        let stamp = Self { start_secs, part };
        (stamp.stem(holds) == stem).then_some(stamp)
    }

    pub(super) fn file_name(self, holds: Holds) -> String {
        format!("{}{}{}", holds.prefix(), self.stem(holds), holds.suffix())
    }
}

/// Every segment in `folder`, oldest first. A folder that is not there holds none.
pub(super) fn list(folder: &Path, holds: Holds) -> io::Result<Vec<Stamp>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut stamps = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| {
            name.strip_prefix(holds.prefix())?
                .strip_suffix(holds.suffix())
        });
        stamps.extend(stem.and_then(|stem| Stamp::parse(holds, stem)));
    }
    stamps.sort_unstable();
    Ok(stamps)
}

/// Something that happened to the file and belongs into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The last line had no end: it was closed off.
    TornLine,
    /// The file was moved or removed while in use; its first line had this number.
    Moved { first_seq: Option<u64> },
}

/// Appends to the segment of the hour.
#[derive(Debug)]
pub(super) struct Appender {
    folder: PathBuf,
    holds: Holds,
    /// Beyond this size the next part begins.
    part_bytes: u64,
    open: Option<Open>,
    /// What a failed append could not take back: done at the next opening, before anything else is written.
    undo: Option<Undo>,
    mishaps: Vec<Mishap>,
    /// Files, and the folder of new ones, that no sync has reached since they were written.
    unsynced: Files,
}

/// A file that holds more than its readers were promised.
#[derive(Debug)]
struct Undo {
    path: PathBuf,
    identity: (u64, u64),
    length: u64,
}

impl Undo {
    /// Does what [`Open::shrink_to`] could not do, if the same file is there still.
    fn take_back(&self) -> io::Result<()> {
        let mut how = OpenOptions::new();
        let file = match how.read(true).append(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let found = file.metadata()?;
        if identity(&found) == self.identity && self.length < found.len() {
            file.set_len(self.length)?;
        }
        Ok(())
    }
}

/// How far the first number of a lost file is looked for: behind a line that cannot be read, too.
const FIRST_LINES: u64 = 4 * MAX_LINE as u64;

/// What all lines have.
#[derive(serde::Deserialize)]
struct Numbered {
    seq: u64,
}

#[derive(Debug)]
struct Open {
    stamp: Stamp,
    path: PathBuf,
    file: Arc<File>,
    length: u64,
    identity: (u64, u64),
}

impl Appender {
    pub(super) fn new(folder: PathBuf, holds: Holds, part_bytes: u64) -> Self {
        Self {
            folder,
            holds,
            part_bytes,
            open: None,
            undo: None,
            mishaps: Vec::new(),
            unsynced: Files::new(),
        }
    }

    /// Opens the segment that `now_secs` belongs to; returns its stem and length.
    pub(super) fn ready(&mut self, now_secs: i64) -> io::Result<(String, u64)> {
        let first = Stamp::at(self.holds, now_secs);
        let fits = |open: &Open| {
            open.stamp.start_secs == first.start_secs && open.length < self.part_bytes
        };
        if !self.open.as_ref().is_some_and(fits) {
            self.open = None;
            self.open_last_of(first)?;
        }
        let open = self.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok((open.stamp.stem(self.holds), open.length))
    }

    /// Closes off what a kill tore in the newest segment, should that not be the one that is written next.
    pub(super) fn mend(&mut self) -> io::Result<()> {
        let Some(stamp) = list(&self.folder, self.holds)?.pop() else {
            return Ok(());
        };
        let path = self.folder.join(stamp.file_name(self.holds));
        if Open::at(path, stamp)?.close_torn_line()? {
            self.mishaps.push(Mishap::TornLine);
        }
        Ok(())
    }

    /// Opens the last part of `first`'s time, or the one after it if that is full.
    fn open_last_of(&mut self, first: Stamp) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        if let Some(undo) = &self.undo {
            undo.take_back()?;
        }
        self.undo = None;
        let mut stamp = list(&self.folder, self.holds)?
            .into_iter()
            .rfind(|stamp| stamp.start_secs == first.start_secs)
            .unwrap_or(first);
        let path = self.folder.join(stamp.file_name(self.holds));
        if fs::metadata(path).is_ok_and(|found| found.len() >= self.part_bytes) {
            stamp.part = stamp.part.saturating_add(1);
        }
        let mut open = Open::at(self.folder.join(stamp.file_name(self.holds)), stamp)?;
        // Of those that were dropped for their age or for space, nothing is left to be safe.
        sync::forget_removed(&mut self.unsynced);
        if open.length == 0 {
            let folder = File::open(&self.folder)?;
            let identity = identity(&folder.metadata()?);
            self.unsynced.insert(identity, Arc::new(folder));
        }
        if self.holds == Holds::Lines && open.close_torn_line()? {
            self.mishaps.push(Mishap::TornLine);
        }
        self.open = Some(open);
        Ok(())
    }

    /// Appends `bytes`, all or nothing as far as a reader is concerned.
    pub(super) fn append(&mut self, bytes: &[u8], now_secs: i64) -> io::Result<()> {
        self.ready(now_secs)?;
        let open = self.open.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let length = open.length;
        if !bytes.is_empty() {
            self.unsynced.insert(open.identity, Arc::clone(&open.file));
        }
        let written = open.append(bytes);
        let is_in_place = written.is_ok() && open.is_in_place();
        if is_in_place {
            return Ok(());
        }
        // A file that failed or went elsewhere is opened anew before the next try.
        let open = self.open.take();
        match &written {
            // Nothing stood in it: nothing is lost with it.
            Ok(()) if length == 0 && bytes.is_empty() => {}
            Ok(()) => {
                let first_seq = open.and_then(|open| open.first_seq());
                self.mishaps.push(Mishap::Moved { first_seq });
            }
            Err(_) => {
                self.undo = open.and_then(|open| open.shrink_to(length).err());
            }
        }
        written
    }

    /// Makes what was written safe against a power cut; what fails is tried again by the next.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let synced = sync::sync_all(&mut self.unsynced);
        sync::forget_out_of_reach(&mut self.unsynced, &[&self.folder]);
        synced
    }

    /// The files that have to be synced, and the folder if a name in it is new; for whoever has the time.
    pub(super) fn unsynced(&self) -> &Files {
        &self.unsynced
    }

    /// Somebody else answers for them now.
    pub(super) fn handed_over(&mut self) {
        self.unsynced.clear();
    }

    /// Nobody else answers for them any more.
    pub(super) fn handed_back(&mut self, files: Files) {
        self.unsynced.extend(files);
    }

    /// The segment written last, if its file is still where readers look for it.
    pub(super) fn in_place(&self) -> Option<Stamp> {
        self.open.as_ref().map(|open| open.stamp)
    }

    pub(super) fn take_mishaps(&mut self) -> Vec<Mishap> {
        std::mem::take(&mut self.mishaps)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn holds(&self) -> Holds {
        self.holds
    }
}

impl Open {
    fn at(path: PathBuf, stamp: Stamp) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)?;
        let found = file.metadata()?;
        Ok(Self {
            stamp,
            path,
            length: found.len(),
            identity: identity(&found),
            file: Arc::new(file),
        })
    }

    /// A process that was killed in the middle of a write leaves a line without end.
    fn close_torn_line(&mut self) -> io::Result<bool> {
        let Some(last) = self.length.checked_sub(1) else {
            return Ok(false);
        };
        let mut end = [0];
        self.file.read_exact_at(&mut end, last)?;
        if end == *b"\n" {
            return Ok(false);
        }
        self.append(b"\n")?;
        Ok(true)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Takes back what a failed append left; what cannot be taken back now is for the next opening.
    fn shrink_to(&self, length: u64) -> Result<(), Undo> {
        self.file.set_len(length).map_err(|also| {
            tracing::debug!(%also, "a half-written line stays until the next opening");
            Undo {
                path: self.path.clone(),
                identity: self.identity,
                length,
            }
        })
    }

    /// Number of the first line, wherever the file is by now.
    fn first_seq(&self) -> Option<u64> {
        (&*self.file).rewind().ok()?;
        let mut lines = Forward::new(&*self.file, 0);
        while lines.offset() <= FIRST_LINES {
            let line = lines.next_line().ok()??;
            let numbered = line.map(|line| serde_json::from_slice::<Numbered>(&line));
            if let Ok(Ok(numbered)) = numbered {
                return Some(numbered.seq);
            }
        }
        None
    }

    fn is_in_place(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity)
    }
}

/// What a file is, wherever it is moved.
fn identity(found: &fs::Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_790_000_000 - 1_790_000_000 % 86_400 + 43_200;

    /// The segment that is written at noon.
    fn at_noon(folder: &Path) -> PathBuf {
        folder.join(Stamp::at(Holds::Lines, NOON).file_name(Holds::Lines))
    }

    #[test]
    fn a_stem_is_read_back_and_nothing_else_is() {
        for (holds, stem, good) in [
            (Holds::Lines, "2026-11-23", true),
            (Holds::Lines, "2026-11-23.2", true),
            (Holds::Lines, "2026-11-23.0", false),
            (Holds::Lines, "2026-11-23T14", false),
            (Holds::Lines, "2026-13-23", false),
            (Holds::Lines, "2026-11-23.+1", false),
            (Holds::Bodies, "2026-11-23T14", true),
            (Holds::Bodies, "2026-11-23T24", false),
            (Holds::Bodies, "2026-11-23T7", false),
            (Holds::Bodies, "../2026-11-23T14", false),
        ] {
            let read = Stamp::parse(holds, stem);
            assert_eq!(read.is_some(), good, "{stem}");
        }
    }

    #[test]
    fn a_full_part_is_followed_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Appender::new(folder.path().join("deep/er"), Holds::Lines, 8);

        for line in ["{\"a\":1}\n", "{\"b\":2}\n", "{\"c\":3}\n"] {
            lines.append(line.as_bytes(), NOON).unwrap();
        }

        let parts: Vec<u32> = list(lines.folder(), Holds::Lines)
            .unwrap()
            .iter()
            .map(|stamp| stamp.part)
            .collect();
        assert_eq!(parts, [0, 1, 2]);
    }

    #[test]
    fn what_was_written_is_unsynced_across_part_changes_until_a_sync() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Appender::new(folder.path().into(), Holds::Lines, 8);

        for line in ["{\"a\":1}\n", "{\"b\":2}\n", "{\"c\":3}\n"] {
            lines.append(line.as_bytes(), NOON).unwrap();
        }

        let mut expected: Vec<(u64, u64)> = list(folder.path(), Holds::Lines)
            .unwrap()
            .iter()
            .map(|stamp| folder.path().join(stamp.file_name(Holds::Lines)))
            .chain([folder.path().to_owned()])
            .map(|path| identity(&fs::metadata(path).unwrap()))
            .collect();
        let mut unsynced: Vec<(u64, u64)> = lines.unsynced().keys().copied().collect();
        expected.sort_unstable();
        unsynced.sort_unstable();
        assert_eq!(unsynced, expected);
        assert_eq!(unsynced.len(), 4);
        lines.sync().unwrap();
        assert!(lines.unsynced().is_empty());
    }

    #[test]
    fn what_was_written_before_a_failure_is_unsynced_still() {
        let folder = tempfile::tempdir().unwrap();
        let path = at_noon(folder.path());
        let mut lines = Appender::new(folder.path().into(), Holds::Lines, 1_000);
        lines.append(b"{\"a\":1}\n", NOON).unwrap();
        let written = identity(&fs::metadata(&path).unwrap());
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();

        lines.append(b"{\"b\":2}\n", NOON).unwrap();
        lines.append(b"{\"b\":2}\n", NOON).unwrap();

        assert!(lines.unsynced().contains_key(&written));
        let anew = identity(&fs::metadata(&path).unwrap());
        assert!(lines.unsynced().contains_key(&anew));
    }

    #[test]
    fn a_segment_that_was_dropped_meanwhile_is_no_longer_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = at_noon(folder.path());
        let mut lines = Appender::new(folder.path().into(), Holds::Lines, 8);
        lines.append(b"{\"a\":1}\n", NOON).unwrap();
        let dropped = identity(&fs::metadata(&path).unwrap());
        fs::remove_file(&path).unwrap();

        lines.append(b"{\"b\":2}\n", NOON).unwrap();

        assert!(!lines.unsynced().contains_key(&dropped));
    }

    #[test]
    fn files_and_folders_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Appender::new(folder.path().join("incidents"), Holds::Lines, 1_000);

        lines.append(b"{}\n", NOON).unwrap();

        let path = lines
            .folder()
            .join(Stamp::at(Holds::Lines, NOON).file_name(Holds::Lines));
        assert_eq!(fs::metadata(lines.folder()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_torn_by_a_crash_is_closed_off_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = at_noon(folder.path());
        fs::write(&path, "{\"a\":1}\n{\"b\":").unwrap();
        let mut lines = Appender::new(folder.path().into(), Holds::Lines, 1_000);

        lines.append(b"{\"c\":3}\n", NOON).unwrap();

        assert_eq!(lines.take_mishaps(), [Mishap::TornLine]);
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "{\"a\":1}\n{\"b\":\n{\"c\":3}\n"
        );
    }

    #[test]
    fn what_could_not_be_taken_back_is_even_if_another_file_is_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Appender::new(folder.path().into(), Holds::Lines, 1_000);
        lines.append(b"{\"a\":1}\n{\"b\":", NOON).unwrap();
        let open = lines.open.take().unwrap();
        let (path, identity) = (open.path.clone(), open.identity);
        lines.undo = Some(Undo {
            path: open.path,
            identity,
            length: 8,
        });

        lines.append(b"{\"c\":3}\n", NOON + 86_400).unwrap();

        assert_eq!(fs::read_to_string(path).unwrap(), "{\"a\":1}\n");
        assert!(lines.undo.is_none());
    }

    #[test]
    fn an_empty_file_that_is_moved_away_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = at_noon(folder.path());
        let mut lines = Appender::new(folder.path().into(), Holds::Lines, 1_000);
        lines.ready(NOON).unwrap();
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();

        lines.append(b"", NOON).unwrap();

        assert_eq!(lines.take_mishaps(), []);
    }

    #[test]
    fn a_file_moved_away_is_noticed_at_the_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = at_noon(folder.path());
        let mut lines = Appender::new(folder.path().into(), Holds::Lines, 1_000);
        lines.append(b"{\"a\":1}\n", NOON).unwrap();
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();

        lines.append(b"{\"b\":2}\n", NOON).unwrap();

        assert_eq!(lines.in_place(), None);
        assert_eq!(lines.take_mishaps(), [Mishap::Moved { first_seq: None }]);
    }
}
