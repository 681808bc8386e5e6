//! When written lines are made safe against a power cut, and the thread that does it beside the writer.
//!
//! **Invariant:** at an interval, nobody waits for the disk's confirmation: the writer hands files over and goes
//! on. What the disk does not confirm is counted, told by `/readyz`, and tried again: a file is forgotten when the
//! disk has it, or when it is removed or its disk replaced, not before.
//!
//! **Neighbours:** `segment` knows what it wrote, `writer` hands it over.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::Shared;
use crate::{clock::Clock, metrics::Shard};

/// When what was written is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Whenever the system likes (half a minute on Linux).
    Never,
    /// So often, on a thread of its own, if something was written.
    Interval(Duration),
    /// Before each failed answer's end is let go.
    Always,
}

/// Files by device and inode, open and shared with whoever writes them: each is synced once, and none has to be
/// opened for that. As many as were written and not removed since the disk confirmed last.
pub(super) type Files = HashMap<(u64, u64), Arc<File>>;

/// The thread that syncs at an interval.
#[derive(Debug)]
pub(super) struct Syncer {
    work: mpsc::SyncSender<Files>,
    thread: thread::JoinHandle<Files>,
}

impl Syncer {
    /// `folders` are those of the log: where its files stand as long as their disk is in place.
    pub(super) fn start(
        folders: [PathBuf; 2],
        clock: Clock,
        metrics: Arc<Shard>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        // One is in work: a disk that is slower than the interval is asked again when it is done.
        let (work, files) = mpsc::sync_channel::<Files>(0);
        let thread = thread::Builder::new()
            .name("support-log-sync".into())
            .spawn(move || {
                let mut left = Files::new();
                for files in files {
                    left.extend(files);
                    note(sync_all(&mut left), &clock, &metrics, &shared);
                    let folders = folders.each_ref().map(PathBuf::as_path);
                    forget_out_of_reach(&mut left, &folders);
                }
                left
            })?;
        Ok(Self { work, thread })
    }

    /// Has `files` synced, and those with which it failed before, unless the thread is still at it.
    pub(super) fn take(&self, files: Files) -> Result<(), StillSyncing> {
        self.work.try_send(files).map_err(|_busy| StillSyncing)
    }

    /// Ends the thread; gives back what the disk did not confirm to it.
    pub(super) fn close(self) -> Files {
        drop(self.work);
        self.thread.join().unwrap_or_else(|_panic| {
            tracing::error!("the thread that syncs the support log has panicked");
            Files::new()
        })
    }
}

/// Returns once the disk has what was written to all `files`; those that failed stay, for the next time.
pub(super) fn sync_all(files: &mut Files) -> io::Result<()> {
    let mut outcome = Ok(());
    files.retain(|_, file| match sync_data(file) {
        Ok(()) => false,
        Err(error) => {
            outcome = Err(error);
            true
        }
    });
    outcome
}

/// Lets go of those that failed and that no reader of `folders` will ever find again: they are removed, or the disk
/// in its place is another one. A dead disk confirms nothing to its last day.
pub(super) fn forget_out_of_reach(files: &mut Files, folders: &[&Path]) {
    if files.is_empty() {
        return;
    }
    forget_removed(files);
    let disk = |folder: &&Path| Some(fs::metadata(folder).ok()?.dev());
    let disks: Vec<u64> = folders.iter().filter_map(disk).collect();
    // Without its folders, nothing is known of the disk.
    if !disks.is_empty() {
        files.retain(|(disk, _), _| disks.contains(disk));
    }
}

/// Lets go of those that no name leads to any more: else a disk that never confirms would keep them open.
pub(super) fn forget_removed(files: &mut Files) {
    files.retain(|_, file| file.metadata().map_or(true, |found| found.nlink() > 0));
}

fn sync_data(file: &File) -> io::Result<()> {
    match file.sync_data() {
        // A special file that knows no syncing (fsync(2)): it keeps nothing that could be lost.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// The thread has not finished.
#[derive(Debug)]
pub(super) struct StillSyncing;

/// What a sync came to, for health and metrics.
pub(super) fn note(synced: io::Result<()>, clock: &Clock, metrics: &Shard, shared: &Shared) {
    match synced {
        Ok(()) => {
            shared.extent.synced(clock.micros());
            shared.condition.synced();
        }
        Err(error) => {
            metrics.log_sync_failed();
            shared.condition.unsynced(&error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _};

    use super::*;

    /// One that cannot be synced: it was opened as a place alone.
    fn unsyncable(path: &Path) -> Arc<File> {
        let place = rustix::fs::OFlags::PATH.bits().cast_signed();
        let mut how = OpenOptions::new();
        Arc::new(how.read(true).custom_flags(place).open(path).unwrap())
    }

    #[test]
    fn a_sync_that_fails_is_tried_again_and_holds_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let mut files: Files = (0..8)
            .map(|n| ((1, n), Arc::new(file(&n.to_string()))))
            .collect();
        let failing = (1, 3);
        files.insert(failing, unsyncable(&folder.path().join("3")));

        let first = sync_all(&mut files);
        let left: Vec<(u64, u64)> = files.keys().copied().collect();
        let again = sync_all(&mut files);
        files.insert(failing, Arc::new(file("3")));

        assert!(first.is_err() && again.is_err(), "{first:?} {again:?}");
        assert_eq!(left, [failing]);
        assert!(sync_all(&mut files).is_ok());
        assert!(files.is_empty());
    }

    #[test]
    fn one_that_failed_is_let_go_when_its_disk_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        File::create(&path).unwrap();
        let here = fs::metadata(folder.path()).unwrap().dev();
        let elsewhere = here.wrapping_add(1);
        let on = |disk| ((disk, 1), unsyncable(&path));
        let mut files = Files::from([on(here), on(elsewhere)]);

        forget_out_of_reach(&mut files, &[&folder.path().join("gone")]);
        assert_eq!(files.len(), 2, "nothing is known of a folder that is gone");
        forget_out_of_reach(&mut files, &[folder.path()]);

        assert_eq!(files.into_keys().collect::<Vec<_>>(), [(here, 1)]);
    }

    #[test]
    fn one_that_failed_and_was_removed_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let kept = folder.path().join("kept");
        File::create(&path).unwrap();
        File::create(&kept).unwrap();
        let mut files = Files::from([((1, 1), unsyncable(&path)), ((1, 2), unsyncable(&kept))]);

        fs::remove_file(&path).unwrap();
        forget_removed(&mut files);

        assert_eq!(files.into_keys().collect::<Vec<_>>(), [(1, 2)]);
    }
}
