//! When written lines are made safe against a power cut, and the thread that does it beside the writer.
//!
//! **Invariant:** at an interval, nobody waits for the disk's confirmation: the writer hands files over and goes
//! on. What the disk does not confirm is counted, told by `/readyz`, and tried again.

use std::{
    fs::File,
    io,
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

/// The thread that syncs at an interval.
#[derive(Debug)]
pub(super) struct Syncer {
    work: mpsc::SyncSender<Vec<File>>,
    thread: thread::JoinHandle<()>,
}

impl Syncer {
    pub(super) fn start(
        clock: Clock,
        metrics: Arc<Shard>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        // One is in work: a disk that is slower than the interval is asked again when it is done.
        let (work, files) = mpsc::sync_channel::<Vec<File>>(0);
        let thread = thread::Builder::new()
            .name("support-log-sync".into())
            .spawn(move || {
                for files in files {
                    let synced = files.iter().try_for_each(sync_data);
                    note(synced, &clock, &metrics, &shared);
                }
            })?;
        Ok(Self { work, thread })
    }

    /// Has `files` synced, unless the thread is still at the ones before.
    pub(super) fn take(&self, files: Vec<File>) -> Result<(), StillSyncing> {
        self.work.try_send(files).map_err(|_busy| StillSyncing)
    }

    pub(super) fn close(self) {
        drop(self.work);
        if self.thread.join().is_err() {
            tracing::error!("the thread that syncs the support log has panicked");
        }
    }
}

/// Returns once the disk has what was written to `file`.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
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
