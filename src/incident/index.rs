//! THE INDEX: a shorter way to the lines of the support log, made of them and never the truth.
//!
//! One file a segment, `index/2026-11-25.2.sqlite` beside `incidents-2026-11-25.2.ndjson`: dropping a segment
//! drops its index by deleting a file. What the index does not know yet is read from the segment behind the
//! place where the index ends; a segment without a good index is read whole.
//!
//! **Invariant:** every line that is answered was read from its segment and asked the whole question again,
//! so that an index can hide nothing but by being incomplete, and is only complete up to
//! [`sqlite::Through`], which proves that the segment is the one it was made of. Files are replaced under a
//! lock, so that nobody meets a new file beside an old one's journal. Nobody waits for that lock without an
//! end, but for a command whose work it is; who writes the log never waits for it.
//!
//! **Neighbours:** `reader` answers from it, [`keeper`] keeps it up in a running gateway, [`rebuild`] makes
//! it anew.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use uuid::Uuid;

use super::segment::{Holds, Stamp};

mod build;
pub mod keeper;
mod pack;
pub mod rebuild;
pub(super) mod row;
mod slim;
pub(super) mod snapshot;
mod sqlite;
#[cfg(test)]
mod tests;
mod texts;
pub(super) mod words;

/// The folder of the index files, below that of the segments.
pub(super) const FOLDER: &str = "index";
/// How the name of an index file ends.
const SUFFIX: &str = ".sqlite";
/// How the name of a file ends that is being filled.
const UNFINISHED: &str = ".new";
/// Looks at a lock that another holds, one a [`LOCK_PAUSE`], before a commit or a reader goes without it.
const LOCK_TRIES: u32 = 200;
/// Between two of them.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// A file in which an index is filled, with a name that no other process or thread uses. It goes with this,
/// unless it was put into its place.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
    stamp: Stamp,
}

impl Unfinished {
    /// A name in the folder of the index, which is made if it is not there.
    fn new(folder: &Path, stamp: Stamp) -> io::Result<Self> {
        open_lock(folder)?;
        let stem = stamp.stem(Holds::Lines);
        let name = format!("{stem}.{}{UNFINISHED}", Uuid::now_v7().simple());
        let path = folder.join(FOLDER).join(name);
        Ok(Self { path, stamp })
    }

    /// Puts it into the place of whatever stands there.
    fn install(self, folder: &Path, _lock: &Alone) -> io::Result<()> {
        let path = path_of(folder, self.stamp);
        remove_companions(&path)?;
        fs::rename(&self.path, path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Of no use to anybody; one that stays is found by `keeper`.
        fs::remove_file(&self.path).ok();
    }
}

/// Where the index of a segment stands.
pub(super) fn path_of(folder: &Path, stamp: Stamp) -> PathBuf {
    let name = format!("{}{SUFFIX}", stamp.stem(Holds::Lines));
    folder.join(FOLDER).join(name)
}

/// Which segment an index file belongs to.
pub(super) fn stamp_of(file_name: &str) -> Option<Stamp> {
    Stamp::parse(Holds::Lines, file_name.strip_suffix(SUFFIX)?)
}

/// Deletes the index of a segment, and says whether there is none now: not while another holds the lock.
/// Never waits.
pub(super) fn forget(folder: &Path, stamp: Stamp) -> io::Result<bool> {
    let path = path_of(folder, stamp);
    if !path.exists() {
        return Ok(true);
    }
    let Some(_lock) = Alone::at_once(folder)? else {
        return Ok(false);
    };
    remove_companions(&path)?;
    remove(&path)?;
    Ok(true)
}

/// `-wal` and `-shm` of an index file.
fn remove_companions(path: &Path) -> io::Result<()> {
    for companion in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(companion);
        remove(Path::new(&name))?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The lock of the index folder, held to replace or delete a file.
#[derive(Debug)]
struct Alone(#[expect(dead_code, reason = "held, and given back when it is dropped")] File);

impl Alone {
    /// Waits as long as it takes: for a command.
    fn wait(folder: &Path) -> io::Result<Self> {
        let file = open_lock(folder)?;
        file.lock()?;
        Ok(Self(file))
    }

    /// None while another holds it.
    fn at_once(folder: &Path) -> io::Result<Option<Self>> {
        let file = open_lock(folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Takes the lock of the index folder with others, to open a file or to commit to one; dropping it gives it
/// back. Waits a second at most: it is held alone for as long as a file takes to be renamed.
fn lock_shared(folder: &Path) -> io::Result<File> {
    let file = open_lock(folder)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock_shared() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    let held = "another process holds the lock of the index";
    Err(io::Error::new(io::ErrorKind::TimedOut, held))
}

/// The file that is locked, in the folder of the index, which is made if it is not there.
fn open_lock(folder: &Path) -> io::Result<File> {
    let folder = folder.join(FOLDER);
    let open = || {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("lock"))
    };
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).create(&folder)?;
            open()
        }
        opened => opened,
    }
}
