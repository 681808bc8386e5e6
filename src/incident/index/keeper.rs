//! Keeps the index up while the log is written: one thread beside the gateway's others.
//!
//! The newest segment goes first, a short commit at a time, so that it lags by little; older ones without an
//! index are filled a slice at a time in between.
//!
//! **Invariant:** whatever the disk does, the thread goes on and tries again; readers do without meanwhile. A
//! segment that cannot be indexed waits by itself, and holds up no other. It touches nothing but the index
//! folder.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Alone, FOLDER, UNFINISHED,
    build::{Build, Step},
    forget, path_of,
    sqlite::Unusable,
    stamp_of,
};
use crate::incident::segment::{Holds, Stamp, list};

/// How long the newest lines wait to be indexed.
const PAUSE: Duration = Duration::from_millis(250);
/// How long one commit gathers lines.
const SLICE: Duration = Duration::from_millis(250);
/// Lines of one commit.
const SLICE_LINES: usize = 4_096;
/// After the disk refused the folder, or the newest segment.
const RETRY: Duration = Duration::from_secs(2);
/// After it refused an older one.
const RETRY_OLDER: Duration = Duration::from_secs(30);
/// How often files that belong to nothing are looked for.
const TIDY: Duration = Duration::from_secs(60);
/// A file that is being filled, and was not touched for so long, was left behind by a process that is gone.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

/// How the index is doing. Clones look at the same.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    behind_bytes: AtomicU64,
    /// Why it is not kept up; none while it is.
    trouble: Mutex<Option<String>>,
}

impl Health {
    /// Bytes of the log that are not indexed yet.
    pub fn behind_bytes(&self) -> u64 {
        self.0.behind_bytes.load(Ordering::Relaxed)
    }

    /// Why the index is not kept up; none while it is. Searches read the log instead.
    pub fn trouble(&self) -> Option<String> {
        self.locked().clone()
    }

    fn failed(&self, why: &Unusable) {
        if self.locked().replace(why.to_string()).is_none() {
            tracing::warn!(%why, "the index of the support log is not kept up; searches read the log");
        }
    }

    fn worked(&self) {
        if self.locked().take().is_some() {
            tracing::info!("the index of the support log is kept up again");
        }
    }

    fn locked(&self) -> MutexGuard<'_, Option<String>> {
        let trouble = self.0.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running thread: whoever holds it decides when it ends.
#[derive(Debug)]
pub struct Keeper {
    stop: Sender<()>,
    thread: JoinHandle<()>,
    health: Health,
}

impl Keeper {
    /// Starts to keep the index of the log in `folder`, which need not be there yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(folder: PathBuf) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let health = Health::default();
        let mut work = Work::new(folder, health.clone());
        let thread = std::thread::Builder::new()
            .name("support-index".into())
            .spawn(move || work.run(&stopped))?;
        Ok(Self {
            stop,
            thread,
            health,
        })
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Ends it after the commit under way. Blocks so long.
    pub fn stop(self) {
        // Gone already, if it cannot be told.
        self.stop.send(()).ok();
        if self.thread.join().is_err() {
            tracing::error!("the index of the support log ended by a panic");
        }
    }
}

/// What the thread knows.
#[derive(Debug)]
struct Work {
    folder: PathBuf,
    health: Health,
    /// The index that is written in place.
    open: Option<(Stamp, Build)>,
    /// One that is filled elsewhere.
    filling: Option<(Stamp, Build)>,
    /// Segments that were read to their end, and how long they were then.
    read: HashMap<Stamp, u64>,
    /// Segments that could not be indexed, and when they are tried again.
    refused: HashMap<Stamp, Instant>,
    tidied: Option<Instant>,
    /// When the newest segment had its turn.
    newest_at: Option<Instant>,
}

/// How far a segment was brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// There is more to read.
    Part,
    /// It was read, but another holds the lock.
    Waits,
    /// To its end.
    All,
}

/// A segment and its length.
type Segment = (Stamp, u64);

impl Work {
    fn new(folder: PathBuf, health: Health) -> Self {
        Self {
            folder,
            health,
            open: None,
            filling: None,
            read: HashMap::new(),
            refused: HashMap::new(),
            tidied: None,
            newest_at: None,
        }
    }

    fn run(&mut self, stopped: &Receiver<()>) {
        loop {
            let pause = match self.turn() {
                Ok(Step::More) => Duration::ZERO,
                Ok(Step::End) => PAUSE,
                Err(why) => {
                    self.health.failed(&why);
                    RETRY
                }
            };
            match stopped.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    /// One commit, or none if there is nothing to do.
    fn turn(&mut self) -> Result<Step, Unusable> {
        let segments = self.segments()?;
        if self.tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY) {
            self.tidied = Some(Instant::now());
            let is_there = |stamp: &Stamp| segments.iter().any(|(of, _)| of == stamp);
            self.read.retain(|stamp, _| is_there(stamp));
            self.refused.retain(|stamp, _| is_there(stamp));
            self.tidy(LEFT_BEHIND);
        }
        let lagging: Vec<Segment> = segments
            .iter()
            .copied()
            .filter(|segment| self.lags(segment))
            .collect();
        self.note_lag(&lagging);
        let due: Vec<Segment> = lagging
            .into_iter()
            .filter(|(stamp, _)| self.may_be_tried(*stamp))
            .collect();
        let newest = segments.last().map(|(stamp, _)| *stamp);
        let Some((stamp, length)) = self.choose(&due, newest) else {
            self.worked();
            return Ok(Step::End);
        };
        let others = if due.len() > 1 { Step::More } else { Step::End };
        let done = self.advance(stamp).and_then(|step| {
            self.refused.remove(&stamp);
            self.worked();
            match step {
                Step::More => Ok(Done::Part),
                Step::End => self.end(stamp, newest),
            }
        });
        match done {
            Ok(Done::Part) => {}
            // Tried again after a pause: whoever has the lock needs it for a moment.
            Ok(Done::Waits) => return Ok(Step::End),
            Ok(Done::All) => {
                self.read.insert(stamp, length);
                return Ok(others);
            }
            Err(Unusable::Broken(why)) => {
                tracing::warn!(why, ?stamp, "an index of the support log is made anew");
                self.close(stamp);
                match forget(&self.folder, stamp) {
                    Ok(true) => {}
                    Ok(false) => return Ok(Step::End),
                    Err(error) => self.refuse(stamp, newest, &error.into()),
                }
            }
            Err(Unusable::Replaced | Unusable::Missing) => {
                self.close(stamp);
                return Ok(Step::End);
            }
            Err(refused) => {
                self.close(stamp);
                self.refuse(stamp, newest, &refused);
                return Ok(others);
            }
        }
        Ok(Step::More)
    }

    /// A segment waits until it is tried again.
    fn refuse(&mut self, stamp: Stamp, newest: Option<Stamp>, why: &Unusable) {
        let is_newest = Some(stamp) == newest;
        let wait = if is_newest { RETRY } else { RETRY_OLDER };
        self.refused.insert(stamp, Instant::now() + wait);
        self.health.failed(why);
    }

    fn worked(&self) {
        if self.refused.is_empty() {
            self.health.worked();
        }
    }

    /// The newest goes first, but not again within a pause while others wait.
    fn choose(&mut self, due: &[Segment], newest: Option<Stamp>) -> Option<Segment> {
        let (last, others) = due.split_last()?;
        let is_newest = Some(last.0) == newest;
        let had_its_turn = self.newest_at.is_some_and(|at| at.elapsed() < PAUSE);
        match others.last() {
            Some(other) if is_newest && had_its_turn => Some(*other),
            _ => {
                if is_newest {
                    self.newest_at = Some(Instant::now());
                }
                Some(*last)
            }
        }
    }

    /// All segments with their lengths, the oldest first.
    fn segments(&self) -> Result<Vec<Segment>, Unusable> {
        let mut segments = Vec::new();
        for stamp in list(&self.folder, Holds::Lines)? {
            // One that is dropped for its age meanwhile is no longer due.
            if let Ok(found) = fs::metadata(self.folder.join(stamp.file_name(Holds::Lines))) {
                segments.push((stamp, found.len()));
            }
        }
        Ok(segments)
    }

    fn may_be_tried(&self, stamp: Stamp) -> bool {
        let until = self.refused.get(&stamp);
        until.is_none_or(|until| Instant::now() >= *until)
    }

    fn lags(&self, (stamp, length): &Segment) -> bool {
        self.read.get(stamp) != Some(length) || !path_of(&self.folder, *stamp).exists()
    }

    fn note_lag(&self, due: &[Segment]) {
        let behind = |(stamp, length): &Segment| {
            let builds = [&self.open, &self.filling].into_iter().flatten();
            let mut known = builds
                .filter(|(of, _)| of == stamp)
                .map(|(_, build)| build.through().bytes);
            let known = known
                .next()
                .or_else(|| self.read.get(stamp).copied())
                .unwrap_or(0);
            length.saturating_sub(known)
        };
        let sum = due.iter().map(behind).fold(0, u64::saturating_add);
        self.health.0.behind_bytes.store(sum, Ordering::Relaxed);
    }

    /// Reads on in a segment: in its index, or in a file beside it while there is none.
    fn advance(&mut self, stamp: Stamp) -> Result<Step, Unusable> {
        let until = Instant::now() + SLICE;
        let slot = match path_of(&self.folder, stamp).exists() {
            true => &mut self.open,
            false => &mut self.filling,
        };
        if slot.as_ref().is_none_or(|(of, _)| *of != stamp) {
            let is_there = path_of(&self.folder, stamp).exists();
            let build = match is_there {
                true => Build::resume(&self.folder, stamp)?,
                false => Build::begin(&self.folder, stamp)?,
            };
            *slot = Some((stamp, build));
        }
        match slot {
            Some((_, build)) => build.step(SLICE_LINES, until),
            None => Ok(Step::End),
        }
    }

    /// A segment was read to its end: a filled file goes into its place, an old one is closed.
    fn end(&mut self, stamp: Stamp, newest: Option<Stamp>) -> Result<Done, Unusable> {
        if let Some((_, build)) = self.filling.as_ref().filter(|(of, _)| *of == stamp) {
            if Some(stamp) != newest {
                build.optimize()?;
            }
            build.settle()?;
            let Some(lock) = Alone::at_once(&self.folder)? else {
                return Ok(Done::Waits);
            };
            if let Some((_, build)) = self.filling.take()
                && let Some(filled) = build.seal()?
            {
                filled.install(&self.folder, &lock)?;
            }
        }
        if Some(stamp) != newest
            && let Some((_, build)) = self.open.take_if(|(of, _)| *of == stamp)
        {
            build.seal()?;
        }
        Ok(Done::All)
    }

    /// Whatever is open of a segment is of no use.
    fn close(&mut self, stamp: Stamp) {
        self.open.take_if(|(of, _)| *of == stamp);
        self.filling.take_if(|(of, _)| *of == stamp);
        self.read.remove(&stamp);
    }

    /// Deletes index files whose segment is gone, and what processes that are gone were filling.
    fn tidy(&self, left_behind: Duration) {
        let Ok(entries) = fs::read_dir(self.folder.join(FOLDER)) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_orphan = stamp_of(name).is_some_and(|stamp| {
                !self.folder.join(stamp.file_name(Holds::Lines)).exists()
                    && !forget(&self.folder, stamp).is_ok_and(|is_gone| is_gone)
            });
            let is_left = name.ends_with(UNFINISHED)
                && is_older(&entry.path(), left_behind)
                && fs::remove_file(entry.path()).is_err();
            if is_orphan || is_left {
                tracing::debug!(name, "a file of the index stays");
            }
        }
    }
}

fn is_older(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|found| found.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|passed| passed >= age))
}
