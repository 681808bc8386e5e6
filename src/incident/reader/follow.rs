//! Following the log while it is written, across segments.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Filter, Record, SkippedLine, lines::Forward, read, skipped};
use crate::incident::segment::{Holds, Stamp, list};

/// How often the file is looked at.
const POLL: Duration = Duration::from_millis(200);

/// New lines as they are written.
#[derive(Debug)]
pub struct Follow {
    folder: PathBuf,
    filter: Filter,
    /// Segments up to this one were there before, or are read.
    last: Option<Stamp>,
    /// Seen, but the one before is looked at once more.
    next: Option<Stamp>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    stamp: Stamp,
    path: PathBuf,
    name: String,
    identity: (u64, u64),
    lines: Forward<File>,
}

impl Open {
    fn at(folder: &Path, stamp: Stamp, from_end: bool) -> std::io::Result<Self> {
        let name = stamp.file_name(Holds::Lines);
        let path = folder.join(&name);
        let mut file = File::open(&path)?;
        let found = file.metadata()?;
        let offset = if from_end { found.len() } else { 0 };
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            stamp,
            path,
            name,
            identity: (found.dev(), found.ino()),
            lines: Forward::new(file, offset),
        })
    }

    /// Whether the file is another one now, or was cut back behind what was read of it.
    fn is_stale(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| {
            (found.dev(), found.ino()) != self.identity || found.len() < self.lines.offset()
        })
    }

    /// The same segment, read on from where the last whole line ended.
    fn again(&self, folder: &Path) -> std::io::Result<Self> {
        let mut again = Self::at(folder, self.stamp, false)?;
        if again.identity == self.identity {
            let mut file = File::open(&again.path)?;
            let offset = self.lines.line_start().min(file.metadata()?.len());
            file.seek(SeekFrom::Start(offset))?;
            again.lines = Forward::new(file, offset);
        }
        Ok(again)
    }
}

impl Follow {
    pub(super) fn new(folder: PathBuf, filter: Filter) -> Self {
        let last = list(&folder, Holds::Lines).unwrap_or_default().pop();
        let open = last.and_then(|stamp| Open::at(&folder, stamp, true).ok());
        Self {
            folder,
            filter,
            last,
            next: None,
            open,
        }
    }

    /// The next line that is there; none if all are read.
    pub fn try_next(&mut self) -> Option<Result<Record, SkippedLine>> {
        loop {
            if let Some(open) = &mut self.open {
                match open.lines.next_line() {
                    Ok(Some(line)) => match read(&open.name, line, &self.filter) {
                        Some(item) => return Some(item),
                        None => continue,
                    },
                    Ok(None) => {}
                    Err(error) => {
                        let skipped = skipped(&open.name, error.into());
                        self.open = None;
                        return Some(Err(skipped));
                    }
                }
            }
            self.move_on()?;
        }
    }

    /// Goes to where more lines are; none if nowhere.
    ///
    /// The writer never returns to an older segment, so one more look at the old one after the new
    /// one was seen finds all that it will ever hold.
    fn move_on(&mut self) -> Option<()> {
        if let Some(stale) = self.open.take_if(|open| open.is_stale()) {
            self.open = stale.again(&self.folder).ok();
            return Some(());
        }
        let stamps = list(&self.folder, Holds::Lines).ok()?;
        let next = stamps
            .into_iter()
            .find(|stamp| self.last.is_none_or(|last| *stamp > last))?;
        if self.next != Some(next) {
            self.next = Some(next);
            return Some(());
        }
        self.last = self.next.take();
        self.open = Open::at(&self.folder, next, false).ok();
        Some(())
    }

    /// Waits for the next line, however long that takes.
    ///
    /// # Errors
    /// [`SkippedLine`] for a line that is no record; the next call goes on behind it.
    pub fn wait_next(&mut self) -> Result<Record, SkippedLine> {
        loop {
            match self.try_next() {
                Some(item) => return item,
                None => std::thread::sleep(POLL),
            }
        }
    }
}
