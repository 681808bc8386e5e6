//! What is old goes, a segment at a time: by age, then by size.
//!
//! **Invariant:** never touches a file that is not named like a segment, nor the newest one.

use std::{fs, io, path::Path};

use super::{
    index,
    segment::{Holds, Stamp, list},
};

/// How long and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A segment goes once this much time has passed since its day or hour began …
    pub(super) keep_secs: i64,
    /// … or when all together are larger than this, the oldest first.
    pub(super) max_bytes: u64,
}

/// Drops what `limits` do not cover at `now_secs`; returns how many segments went.
pub(super) fn sweep(
    folder: &Path,
    holds: Holds,
    limits: Limits,
    now_secs: i64,
) -> io::Result<usize> {
    let stamps = list(folder, holds)?;
    let mut kept: Vec<(Stamp, u64)> = Vec::with_capacity(stamps.len());
    let mut gone = 0;
    for stamp in stamps {
        if now_secs.saturating_sub(stamp.start_secs) >= limits.keep_secs {
            gone += usize::from(remove(folder, holds, stamp)?);
        } else {
            let size =
                fs::metadata(folder.join(stamp.file_name(holds))).map_or(0, |found| found.len());
            kept.push((stamp, size));
        }
    }
    let mut total: u64 = kept.iter().map(|(_, size)| size).sum();
    let older = kept.len().saturating_sub(1);
    for (stamp, size) in kept.into_iter().take(older) {
        if total <= limits.max_bytes {
            break;
        }
        gone += usize::from(remove(folder, holds, stamp)?);
        total = total.saturating_sub(size);
    }
    Ok(gone)
}

/// Bytes of all segments in `folder`, and when the oldest began.
pub(super) fn measure(folder: &Path, holds: Holds) -> io::Result<(u64, Option<i64>)> {
    let stamps = list(folder, holds)?;
    let oldest_secs = stamps.first().map(|stamp| stamp.start_secs);
    let size = |stamp: Stamp| {
        fs::metadata(folder.join(stamp.file_name(holds))).map_or(0, |found| found.len())
    };
    Ok((stamps.into_iter().map(size).sum(), oldest_secs))
}

/// Whether a file was there to be removed. What was made of it goes after it, if that can be done at once:
/// whatever holds up the index must not hold up the log, and `index::keeper` finds what stays.
fn remove(folder: &Path, holds: Holds, stamp: Stamp) -> io::Result<bool> {
    let was_there = match fs::remove_file(folder.join(stamp.file_name(holds))) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if holds == Holds::Lines {
        let gone = index::forget(folder, stamp);
        if !matches!(gone, Ok(true)) {
            tracing::debug!(
                ?stamp,
                ?gone,
                "the index of a dropped segment stays for now"
            );
        }
    }
    Ok(was_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), [b'x'; 100]).unwrap();
        }
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn old_segments_go_and_other_files_stay() {
        let folder = folder_with(&[
            "incidents-1970-01-01.ndjson",
            "incidents-1970-01-02.ndjson",
            "incidents-1970-01-04.ndjson",
            "notes.txt",
            "incidents-1970-01-01.ndjson.gz",
        ]);
        let limits = Limits {
            keep_secs: 2 * DAY,
            max_bytes: 1_000,
        };

        let gone = sweep(folder.path(), Holds::Lines, limits, 3 * DAY).unwrap();

        assert_eq!(gone, 2);
        let left = [
            "incidents-1970-01-01.ndjson.gz",
            "incidents-1970-01-04.ndjson",
            "notes.txt",
        ];
        assert_eq!(names(folder.path()), left);
    }

    #[test]
    fn a_segment_goes_whatever_stands_in_the_way_of_its_index() {
        type Obstacle = fn(&Path) -> Option<fs::File>;
        let obstacles: [(&str, Obstacle); 2] = [
            ("another process holds the lock", |index| {
                let lock = fs::File::create(index.join("lock")).unwrap();
                lock.lock_shared().unwrap();
                Some(lock)
            }),
            ("the lock cannot be opened", |index| {
                fs::create_dir(index.join("lock")).unwrap();
                None
            }),
        ];
        for (why, obstacle) in obstacles {
            let folder = folder_with(&["incidents-1970-01-01.ndjson"]);
            let index = folder.path().join(index::FOLDER);
            fs::create_dir(&index).unwrap();
            fs::write(index.join("1970-01-01.sqlite"), "x").unwrap();
            let _held = obstacle(&index);
            let limits = Limits {
                keep_secs: DAY,
                max_bytes: 1_000,
            };

            let gone = sweep(folder.path(), Holds::Lines, limits, 2 * DAY);

            assert_eq!(gone.unwrap(), 1, "{why}");
            assert_eq!(names(folder.path()), ["index"], "{why}");
        }
    }

    #[test]
    fn the_oldest_go_first_when_all_are_too_large_and_the_newest_stays() {
        let folder = folder_with(&[
            "1970-01-01T00.seg",
            "1970-01-01T00.1.seg",
            "1970-01-01T01.seg",
        ]);
        let limits = Limits {
            keep_secs: DAY,
            max_bytes: 200,
        };

        assert_eq!(
            sweep(folder.path(), Holds::Bodies, limits, 4_000).unwrap(),
            1
        );
        assert_eq!(
            names(folder.path()),
            ["1970-01-01T00.1.seg", "1970-01-01T01.seg"]
        );

        let limits = Limits {
            max_bytes: 0,
            ..limits
        };
        assert_eq!(
            sweep(folder.path(), Holds::Bodies, limits, 4_000).unwrap(),
            1
        );
        assert_eq!(names(folder.path()), ["1970-01-01T01.seg"]);
    }
}
