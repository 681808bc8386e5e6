//! The lock on the data folder: one gateway, or one command, at a time.
//!
//! **Invariant:** held by an open file, so the system frees it whatever ends the process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::make_folder_of;

/// The lock; dropping it frees the folder.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the folder is not ours.
#[derive(Debug, thiserror::Error)]
pub enum NotLocked {
    /// Another process has it.
    #[error("another linkgate has {path} locked: only one may use a data folder at a time")]
    Held {
        /// The lock file.
        path: PathBuf,
    },
    /// The file cannot be used.
    #[error("lock file {path}: {source}")]
    File {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock at `path`, making the file and its folder where they are missing.
    ///
    /// # Errors
    /// [`NotLocked`], at once: it never waits.
    pub fn take(path: &Path) -> Result<Self, NotLocked> {
        let failed = |source| NotLocked::File {
            path: path.to_owned(),
            source,
        };
        make_folder_of(path).map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(NotLocked::Held {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_and_free_again_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/linkgate.lock");

        let first = Lock::take(&path).unwrap();

        assert!(matches!(Lock::take(&path), Err(NotLocked::Held { .. })));
        drop(first);
        assert!(Lock::take(&path).is_ok());
    }
}
