//! THE INDEX: a shorter way to the lines of the support log, made of them and never the truth.
//!
//! One file a segment, `index/2026-11-25.2.sqlite` beside `incidents-2026-11-25.2.ndjson`: dropping a segment
//! drops its index by deleting a file. What the index does not know yet is read from the segment behind the
//! place where the index ends; a segment without a good index is read whole.
//!
//! **Invariant:** every line that is answered was read from its segment and asked the whole question again,
//! so that an index can hide nothing but by being incomplete, and is only complete up to
//! [`sqlite::Through`], which proves that the segment is the one it was made of. Files are replaced under a
//! lock, so that nobody meets a new file beside an old one's journal.
//!
//! **Neighbours:** `reader` answers from it, [`keeper`] keeps it up in a running gateway, [`rebuild`] makes
//! it anew.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::segment::{Holds, Stamp};

mod build;
pub mod keeper;
mod pack;
pub mod rebuild;
pub(super) mod row;
pub(super) mod snapshot;
mod sqlite;
#[cfg(test)]
mod tests;
pub(super) mod words;

/// The folder of the index files, below that of the segments.
pub(super) const FOLDER: &str = "index";
/// How the name of an index file ends.
const SUFFIX: &str = ".sqlite";
/// How the name of a file ends that is being filled.
const UNFINISHED: &str = ".new";

/// Where an index of a segment is filled, by this process.
fn unfinished_path(folder: &Path, stamp: Stamp) -> PathBuf {
    let stem = stamp.stem(Holds::Lines);
    let name = format!("{stem}.{}{UNFINISHED}", std::process::id());
    folder.join(FOLDER).join(name)
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

/// Deletes the index of a segment, if there is one.
pub(super) fn forget(folder: &Path, stamp: Stamp) -> io::Result<()> {
    let path = path_of(folder, stamp);
    if !path.exists() {
        return Ok(());
    }
    let _lock = lock(folder, Hold::Alone)?;
    remove_companions(&path)?;
    remove(&path)
}

/// Puts a filled file into the place of whatever stands there.
fn install(folder: &Path, filled: &Path, stamp: Stamp) -> io::Result<()> {
    let path = path_of(folder, stamp);
    let _lock = lock(folder, Hold::Alone)?;
    remove_companions(&path)?;
    fs::rename(filled, path)
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

/// How the lock of the index folder is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// To open a file, or to commit to one.
    Shared,
    /// To replace or delete one.
    Alone,
}

/// Takes the lock of the index folder, which is made if it is not there; dropping it gives it back.
fn lock(folder: &Path, hold: Hold) -> io::Result<File> {
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
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).create(&folder)?;
            open()?
        }
        opened => opened?,
    };
    match hold {
        Hold::Shared => file.lock_shared()?,
        Hold::Alone => file.lock()?,
    }
    Ok(file)
}
