//! The embedded home: one SQLite file, one thread that owns the connection.
//!
//! **Invariant:** WAL with `synchronous=FULL`, so a returned write is on disk (NORMAL loses the last
//! ones at a power cut); questions wait in a bounded queue and never on the path.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking,
    },
    thread,
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{
    Change, GrantStore, KeyStore, Lease, OperatorStore, Pending, Rewrapped, Row, Show, StoreError,
    Tagged,
};
use crate::{
    callers::Key,
    clock::Clock,
    exchange::Member,
    keyring::{KeyRing, KeySource},
    operators::Operator,
};

mod keys;
mod leases;
mod marks;
mod opening;
mod operators;
mod outbox;
mod reading;
mod rows;
mod wraps;

use opening::Opening;

/// Questions that may wait for the thread; beyond, those who ask wait.
const QUEUE: usize = 256;
/// Between two tries to empty the write-ahead log.
const WIPE_AGAIN: Duration = Duration::from_secs(1);
/// How long the end of the store waits for the file to be closed: a disk may hang.
const CLOSING: Duration = Duration::from_secs(2);
/// Change notices a slow listener may be behind.
const NOTICES: usize = 1024;

/// A question to the file, or to nothing where it was not opened.
type Job = Box<dyn FnOnce(Result<&mut Connection, &StoreError>) + Send>;

/// The door to the thread that owns the file.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
    changes: broadcast::Sender<Change>,
    clock: Clock,
    /// Whether a task is at it to empty the write-ahead log.
    is_wiping: Arc<AtomicBool>,
    /// Notices in the outbox, as far as they were counted.
    waiting: outbox::Count,
    /// Dropped after `jobs`, whose end is what the thread ends by.
    _closing: Closing,
}

/// Waits, when dropped, until the thread has closed the file: a process that ends before leaves all it
/// wrote in the write-ahead log, and a copy of the file alone would lack it.
#[derive(Debug)]
struct Closing {
    ended: Mutex<blocking::Receiver<()>>,
    /// Not while it is still checked: there is nothing to close then.
    is_open: Arc<AtomicBool>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        if !self.is_open.load(Ordering::Acquire) {
            return;
        }
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(CLOSING) == Err(blocking::RecvTimeoutError::Timeout) {
            tracing::warn!("the store's file was not closed in time");
        }
    }
}

impl Sqlite {
    /// Opens the file and its key file, or refuses both before writing anything.
    ///
    /// A large file is still checked when this returns. Until then it is not written to, and every question but
    /// [`GrantStore::read_data_keys`] and [`GrantStore::read_grants`] waits; if it is damaged, all are answered so.
    pub(super) fn open(
        path: &Path,
        keys: &KeySource,
        clock: Clock,
    ) -> Result<(Self, KeyRing), StoreError> {
        Self::of(opening::begin(path, keys)?, path, clock)
    }

    fn of(opening: Opening, path: &Path, clock: Clock) -> Result<(Self, KeyRing), StoreError> {
        let ring = opening.ring().clone();
        let file = match opening.is_checking() {
            true => File::Checking(opening),
            false => File::Open(opening.finish()?),
        };
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE);
        let (closed, ended) = blocking::channel();
        let is_open = Arc::new(AtomicBool::new(matches!(file, File::Open(_))));
        let closing = Closing {
            ended: Mutex::new(ended),
            is_open: Arc::clone(&is_open),
        };
        thread::Builder::new()
            .name("linkgate-store".to_owned())
            .spawn(move || {
                file.serve(queue, &is_open);
                drop(closed);
            })
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let (changes, _) = broadcast::channel(NOTICES);
        let store = Self {
            path: path.to_owned(),
            jobs,
            changes,
            clock,
            is_wiping: Arc::default(),
            waiting: outbox::Count::default(),
            _closing: closing,
        };
        Ok((store, ring))
    }

    /// Has `read` read the file beside the thread, even while the file is still checked.
    async fn beside<F>(&self, read: F) -> Result<(), StoreError>
    where
        F: FnOnce(&Path) -> Result<(), StoreError> + Send + 'static,
    {
        let path = self.path.clone();
        let reading = tokio::task::spawn_blocking(move || read(&path)).await;
        let read = reading.unwrap_or_else(|panic| Err(StoreError::Unavailable(panic.to_string())));
        if read.is_err() {
            self.is_whole().await?;
        }
        read
    }

    /// Waits for the check of the file. What it says comes before what else went wrong in reading it.
    async fn is_whole(&self) -> Result<(), StoreError> {
        self.ask(|_| Ok(())).await
    }

    /// Has the thread answer `question`. If the asker goes away, the question is answered all the
    /// same: a write is never half asked.
    async fn ask<T, F>(&self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |file| {
            let said = file.map_err(Clone::clone).and_then(question);
            // The asker may have left; the write stands.
            drop(answer.send(said));
        });
        let gone = || StoreError::Unavailable("the store's thread has ended".to_owned());
        self.jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Empties the write-ahead log as soon as that can be done: the deletion itself is on disk.
    fn wipe_later(&self, error: &StoreError) {
        tracing::warn!(%error, "what was deleted stays in the write-ahead log for now");
        if self.is_wiping.swap(true, Ordering::Relaxed) {
            return;
        }
        let (jobs, is_wiping) = (self.jobs.downgrade(), Arc::clone(&self.is_wiping));
        tokio::spawn(async move {
            let mut is_wiped = false;
            while !is_wiped {
                tokio::time::sleep(WIPE_AGAIN).await;
                // Closing the file empties the log too.
                let Some(jobs) = jobs.upgrade() else { return };
                let (answer, answered) = oneshot::channel();
                let job: Job = Box::new(move |file| {
                    let wiped = file.map_err(Clone::clone).and_then(|file| rows::wipe(file));
                    // Nobody asks any more where the runtime has ended.
                    drop(answer.send(wiped));
                });
                if jobs.send(job).await.is_err() {
                    return;
                }
                drop(jobs);
                is_wiped = answered.await.is_ok_and(|wiped| wiped.is_ok());
            }
            is_wiping.store(false, Ordering::Relaxed);
            tracing::info!("the write-ahead log holds nothing deleted any more");
        });
    }

    fn tell(&self, change: Change) {
        // Nobody has to listen.
        drop(self.changes.send(change));
    }
}

/// What the thread owns.
enum File {
    Open(Connection),
    Checking(Opening),
}

impl File {
    /// Answers all questions until nobody can ask any more.
    fn serve(self, mut queue: mpsc::Receiver<Job>, is_open: &AtomicBool) {
        let mut opened = match self {
            Self::Open(connection) => Ok(connection),
            Self::Checking(opening) => opening.finish(),
        };
        is_open.store(opened.is_ok(), Ordering::Release);
        while let Some(job) = queue.blocking_recv() {
            job(opened.as_mut().map_err(|error| &*error));
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // SQLite's words name tables and files, never values.
        Self::Unavailable(error.to_string())
    }
}

#[async_trait]
impl GrantStore for Sqlite {
    async fn read_data_keys(&self, show: Show<Vec<u8>>) -> Result<(), StoreError> {
        self.beside(move |path| reading::data_keys(path, &*show))
            .await
    }

    async fn read_grants(&self, show: Show<Row>) -> Result<(), StoreError> {
        self.beside(move |path| reading::grants(path, &*show))
            .await?;
        self.is_whole().await
    }

    async fn grant(&self, member: &Member) -> Result<Option<Row>, StoreError> {
        let member = member.clone();
        self.ask(move |connection| rows::one(connection, &member))
            .await
    }

    async fn save(
        &self,
        member: &Member,
        row: Row,
        lease: Option<&Lease>,
    ) -> Result<(), StoreError> {
        let (changed, member, lease) = (member.clone(), member.clone(), lease.cloned());
        self.ask(move |connection| rows::save(connection, &member, &row, lease.as_ref()))
            .await?;
        self.tell(Change::Grant(changed));
        Ok(())
    }

    async fn note_used(&self, uses: Vec<(Member, i64)>) -> Result<(), StoreError> {
        self.ask(move |connection| rows::note_used(connection, &uses))
            .await
    }

    async fn note_tags(&self, tags: Vec<Tagged>) -> Result<(), StoreError> {
        self.ask(move |connection| rows::note_tags(connection, &tags))
            .await
    }

    async fn forget(&self, member: &Member) -> Result<bool, StoreError> {
        let (changed, member) = (member.clone(), member.clone());
        // In one go: an asker who leaves must not leave the log as it was.
        let forgetting = self.ask(move |connection| {
            let was_there = rows::forget(connection, &member)?;
            Ok((was_there, rows::wipe(connection)))
        });
        let (was_there, wiped) = forgetting.await?;
        self.tell(Change::Grant(changed));
        if let Err(error) = wiped {
            self.wipe_later(&error);
        }
        Ok(was_there)
    }

    async fn data_keys(&self) -> Result<Vec<(Member, Vec<u8>)>, StoreError> {
        self.ask(|connection| rows::data_keys(connection)).await
    }

    async fn keep_data_key(
        &self,
        member: &Member,
        wrapped: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let member = member.clone();
        self.ask(move |connection| rows::keep_data_key(connection, &member, &wrapped))
            .await
    }

    async fn rewrap(&self, batch: Vec<Rewrapped>) -> Result<usize, StoreError> {
        self.ask(move |connection| wraps::rewrap(connection, &batch))
            .await
    }

    async fn check_value(&self) -> Result<Vec<u8>, StoreError> {
        self.ask(|connection| wraps::check_value(connection)).await
    }

    async fn replace_check_value(&self, old: Vec<u8>, new: Vec<u8>) -> Result<(), StoreError> {
        self.ask(move |connection| wraps::replace_check_value(connection, &old, &new))
            .await
    }

    async fn rotation(&self) -> Result<Option<String>, StoreError> {
        self.ask(|connection| wraps::rotation(connection)).await
    }

    async fn mark_rotation(&self, mark: Option<String>) -> Result<(), StoreError> {
        self.ask(move |connection| wraps::mark_rotation(connection, mark.as_deref()))
            .await
    }

    async fn take_lease(
        &self,
        member: &Member,
        owner: &Arc<str>,
        lasting: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let (member, owner, now) = (member.clone(), Arc::clone(owner), self.clock.micros());
        let until = now.saturating_add(micros(lasting));
        self.ask(move |connection| leases::take(connection, &member, owner, now, until))
            .await
    }

    async fn renew_lease(
        &self,
        member: &Member,
        lease: &Lease,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        let (member, lease) = (member.clone(), lease.clone());
        let until = self.clock.micros().saturating_add(micros(lasting));
        self.ask(move |connection| leases::renew(connection, &member, &lease, until))
            .await
    }

    async fn release_lease(&self, member: &Member, lease: &Lease) -> Result<(), StoreError> {
        let (member, lease) = (member.clone(), lease.clone());
        self.ask(move |connection| leases::release(connection, &member, &lease))
            .await
    }

    async fn begin(
        &self,
        member: &Member,
        lease: &Lease,
        pending: Pending,
    ) -> Result<(), StoreError> {
        let (member, lease) = (member.clone(), lease.clone());
        self.ask(move |connection| leases::begin(connection, &member, &lease, &pending))
            .await
    }

    async fn answered(
        &self,
        member: &Member,
        lease: &Lease,
        answer: Vec<u8>,
    ) -> Result<(), StoreError> {
        let (member, lease) = (member.clone(), lease.clone());
        self.ask(move |connection| leases::answered(connection, &member, &lease, &answer))
            .await
    }

    async fn clear(&self, member: &Member, lease: &Lease) -> Result<(), StoreError> {
        let (member, lease) = (member.clone(), lease.clone());
        self.ask(move |connection| leases::clear(connection, &member, &lease))
            .await
    }

    async fn pending(&self, member: &Member) -> Result<Option<Pending>, StoreError> {
        let member = member.clone();
        self.ask(move |connection| leases::pending(connection, &member))
            .await
    }

    async fn journal(&self) -> Result<Vec<(Member, Pending)>, StoreError> {
        self.ask(|connection| leases::journal(connection)).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let now = self.clock.micros();
        self.ask(move |connection| opening::write_probe(connection, now))
            .await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

#[async_trait]
impl KeyStore for Sqlite {
    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.ask(|connection| keys::all(connection)).await
    }

    async fn keep_key(&self, key: Key) -> Result<(), StoreError> {
        self.ask(move |connection| keys::keep(connection, &key))
            .await?;
        self.tell(Change::Keys);
        Ok(())
    }

    async fn revoke_key(&self, id: &str, at: i64) -> Result<bool, StoreError> {
        let id = id.to_owned();
        let was_there = self
            .ask(move |connection| keys::revoke(connection, &id, at))
            .await?;
        self.tell(Change::Keys);
        Ok(was_there)
    }
}

#[async_trait]
impl OperatorStore for Sqlite {
    async fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        self.ask(|connection| operators::all(connection)).await
    }

    async fn keep_operator(&self, operator: Operator) -> Result<(), StoreError> {
        self.ask(move |connection| operators::keep(connection, &operator))
            .await?;
        self.tell(Change::Operators);
        Ok(())
    }

    async fn revoke_operator(&self, id: &str, at: i64) -> Result<bool, StoreError> {
        let id = id.to_owned();
        let was_there = self
            .ask(move |connection| operators::revoke(connection, &id, at))
            .await?;
        self.tell(Change::Operators);
        Ok(was_there)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
