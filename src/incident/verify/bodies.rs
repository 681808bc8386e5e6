//! Whether a body is where its record says. Whether it opens, only its member's key can tell.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    clock::Clock,
    incident::{
        segment::{Holds, Stamp, list},
        shelf,
    },
};

/// The kept bodies.
#[derive(Debug)]
pub(super) struct Bodies {
    folder: PathBuf,
    keep_secs: i64,
    clock: Clock,
    /// Those that were there when it was looked last.
    stamps: Vec<Stamp>,
    /// The one that was asked for last: records name them in order.
    open: Option<(Stamp, File)>,
}

/// What came of looking for a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    There,
    /// Its time is over, or it went for space with all that are older.
    Over,
    Missing(&'static str),
}

impl Bodies {
    pub(super) fn below(folder: &Path, keep: Duration, clock: &Clock) -> io::Result<Self> {
        let folder = folder.join(shelf::FOLDER);
        Ok(Self {
            stamps: list(&folder, Holds::Bodies)?,
            keep_secs: i64::try_from(keep.as_secs()).unwrap_or(i64::MAX),
            clock: clock.clone(),
            folder,
            open: None,
        })
    }

    pub(super) fn look(&mut self, reference: &str) -> Look {
        let Some((stamp, offset, length)) = shelf::place(reference) else {
            return Look::Missing("its place makes no sense");
        };
        if self.clock.seconds().saturating_sub(stamp.start_secs) >= self.keep_secs {
            return Look::Over;
        }
        if self.open.as_ref().is_none_or(|(open, _)| *open != stamp) {
            let path = self.folder.join(stamp.file_name(Holds::Bodies));
            match File::open(path) {
                Ok(file) => self.open = Some((stamp, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return self.gone(stamp),
                Err(_) => return Look::Missing("its segment cannot be read"),
            }
        }
        let is_there = self
            .open
            .as_ref()
            .is_some_and(|(_, file)| is_whole(file, offset, length));
        match is_there {
            true => Look::There,
            false => Look::Missing("its segment ends before it, or holds something else there"),
        }
    }

    /// The oldest go first when they are too large together: one that is gone while an older one stays was
    /// not dropped by us.
    fn gone(&mut self, stamp: Stamp) -> Look {
        if let Ok(stamps) = list(&self.folder, Holds::Bodies) {
            self.stamps = stamps;
        }
        match self.stamps.first() {
            Some(first) if *first > stamp => Look::Over,
            _ => Look::Missing("its segment is gone before its time"),
        }
    }
}

/// Whether a whole entry for so long a body stands there.
fn is_whole(file: &File, offset: u64, length: u64) -> bool {
    let mut sealed = [0; 4];
    let Ok(size) = file.metadata().map(|found| found.len()) else {
        return false;
    };
    if file.read_exact_at(&mut sealed, offset).is_err() {
        return false;
    }
    let sealed = u64::from(u32::from_be_bytes(sealed));
    let end = offset
        .checked_add(4)
        .and_then(|start| start.checked_add(sealed));
    sealed > length && end.is_some_and(|end| end <= size)
}
