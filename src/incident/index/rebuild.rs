//! Makes the whole index anew, several segments at once; beside a running gateway or without one.
//!
//! **Invariant:** readers have the old file of a segment until the new one is whole; the lock is held for as
//! long as that file takes to be put into its place, never while it is filled.

use std::{
    fs, io,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use super::{
    Alone,
    build::{Build, Step},
    open_lock,
    sqlite::Unusable,
};
use crate::incident::segment::{Holds, Stamp, list};

/// Lines between two looks at the clock.
const STEP_LINES: usize = 65_536;
/// Longer than any step.
const NO_LIMIT: Duration = Duration::from_secs(86_400);

/// What became of one segment.
#[derive(Clone, Debug, Serialize)]
pub struct Rebuilt {
    /// Its file name.
    pub segment: String,
    /// Lines that are indexed.
    pub lines: u64,
    /// Lines that are none of ours.
    pub skipped: u64,
    /// Bytes of the segment that were read.
    pub bytes: u64,
    /// Bytes of its index.
    pub index_bytes: u64,
    /// How long that took.
    pub took_ms: u64,
    /// Why it has no new index; the old one stays.
    pub failed: Option<String>,
}

/// Indexes every segment in `folder` anew, `threads` at once, and tells each as it is done. Reads and writes
/// files: not for an async worker.
///
/// # Errors
/// When the folder cannot be read, or holds no index that could be written.
pub fn rebuild(
    folder: &Path,
    threads: usize,
    told: impl Fn(&Rebuilt) + Sync,
) -> io::Result<Vec<Rebuilt>> {
    let stamps = list(folder, Holds::Lines)?;
    if !stamps.is_empty() {
        open_lock(folder)?;
    }
    // They come sorted: the newest is taken first, from the end.
    let (left, done) = (Mutex::new(stamps), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(stamp) = next(&left) {
                    let rebuilt = one(folder, stamp);
                    told(&rebuilt);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(rebuilt);
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by(|one, other| one.segment.cmp(&other.segment));
    Ok(done)
}

fn next(left: &Mutex<Vec<Stamp>>) -> Option<Stamp> {
    left.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn one(folder: &Path, stamp: Stamp) -> Rebuilt {
    let begun = Instant::now();
    let mut rebuilt = Rebuilt {
        segment: stamp.file_name(Holds::Lines),
        lines: 0,
        skipped: 0,
        bytes: 0,
        index_bytes: 0,
        took_ms: 0,
        failed: None,
    };
    if let Err(why) = fill(folder, stamp, &mut rebuilt) {
        rebuilt.failed = Some(why.to_string());
    }
    rebuilt.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    rebuilt
}

fn fill(folder: &Path, stamp: Stamp, rebuilt: &mut Rebuilt) -> Result<(), Unusable> {
    let mut build = Build::begin(folder, stamp)?;
    while build.step(STEP_LINES, Instant::now() + NO_LIMIT)? == Step::More {}
    build.optimize()?;
    build.settle()?;
    let through = build.through();
    let Some(unfinished) = build.seal()? else {
        return Err(Unusable::Replaced);
    };
    rebuilt.index_bytes = fs::metadata(&unfinished.path)?.len();
    rebuilt.lines = through.lines;
    rebuilt.skipped = through.skipped;
    rebuilt.bytes = through.bytes;
    Ok(unfinished.install(folder, &Alone::wait(folder)?)?)
}
