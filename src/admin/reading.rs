//! Reading the support log for pages and API.
//!
//! **Invariant:** the files are read on blocking threads, [`AT_ONCE`] readers at a time however many ask, and
//! nobody waits longer than [`LONGEST`] for an answer, nor is read for who waits no more: visitors cannot starve
//! the house. Bodies are opened
//! only for a visitor who may see them.
//! **Neighbours:** `incident::reader` reads; `credentials` holds the keys of the bodies.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{door::Visitor, house::House};
use crate::{
    credentials::Credentials,
    exchange::Member,
    incident::reader::{Incidents, Record},
    operators::Role,
};

/// Readers at a time.
const AT_ONCE: usize = 4;
/// Longest wait for a place among them.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest wait for what was read.
const LONGEST: Duration = Duration::from_secs(20);

/// The support log and its reading room. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reading {
    incidents: Incidents,
    credentials: Credentials,
    room: Arc<Semaphore>,
    support_sees_bodies: bool,
}

/// The log was not read to an end; it may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotRead {
    /// Too many read at once.
    #[error("too many are reading the support log: come again in a moment")]
    Busy,
    /// It took too long, or broke off.
    #[error("the support log was not read within {} s: ask for a shorter time", LONGEST.as_secs())]
    TooLong,
}

impl NotRead {
    /// When to come again.
    pub(super) const RETRY_AFTER_SECS: u32 = 5;
}

impl Reading {
    pub(super) fn new(
        incidents: Incidents,
        credentials: Credentials,
        support_sees_bodies: bool,
    ) -> Self {
        Self {
            incidents,
            credentials,
            room: Arc::new(Semaphore::new(AT_ONCE)),
            support_sees_bodies,
        }
    }

    /// What `work` makes of the log, done where it may block. Once nobody waits, because it took too long or the
    /// visitor left, the log given to `work` ends; its place is kept until then.
    ///
    /// # Errors
    /// [`NotRead`].
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Incidents) -> T + Send + 'static,
    ) -> Result<T, NotRead> {
        let place = self.place().await.ok_or(NotRead::Busy)?;
        // Dropped at the end of the time, or with this future when the visitor has gone.
        let (incidents, _waiter) = self.incidents.while_awaited();
        let working = tokio::task::spawn_blocking(move || {
            let done = work(&incidents);
            drop(place);
            done
        });
        match timeout(LONGEST, working).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) | Err(_) => Err(NotRead::TooLong),
        }
    }

    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let waited = timeout(PATIENCE, Arc::clone(&self.room).acquire_owned()).await;
        waited.ok()?.ok()
    }

    /// Whether this visitor may see bodies while they are kept.
    pub(super) fn shows_bodies_to(&self, visitor: &Visitor) -> bool {
        match visitor.operator.role {
            Role::Operator => true,
            Role::Support => self.support_sees_bodies,
        }
    }

    /// Opens records' bodies as far as `visitor` may see them.
    pub(super) fn opener(&self, visitor: &Visitor) -> Opener {
        Opener(self.shows_bodies_to(visitor).then(|| self.clone()))
    }
}

impl House {
    /// What `work` makes of the support log.
    ///
    /// # Errors
    /// [`NotRead`].
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Incidents) -> T + Send + 'static,
    ) -> Result<T, NotRead> {
        self.reading.read(work).await
    }
}

/// Opens the bodies of records, for one visitor. Reads files: not for an async worker.
pub(super) struct Opener(Option<Reading>);

impl Opener {
    /// The record with its bodies, where they are kept and may be seen; as it stands in the log elsewhere.
    pub(super) fn opened(&self, record: Record) -> Record {
        let Some(Reading {
            incidents,
            credentials,
            ..
        }) = &self.0
        else {
            return record;
        };
        let key = member_of(&record).and_then(|member| credentials.data_key(&member));
        match key {
            Some(key) => record.with_bodies(|place| incidents.open_body(place, &key).ok()),
            // Disconnected: nobody can open them any more.
            None => record,
        }
    }
}

/// With whose key the bodies are sealed.
pub(super) fn member_of(record: &Record) -> Option<Member> {
    Some(Member {
        application: record.application()?.parse().ok()?,
        name: record.member().map(str::parse).transpose().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;
    use crate::{admin::tests::credentials, incident::reader::Filter};

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_is_told_to_come_again() {
        let log = Incidents::open("/nowhere");
        let reading = Reading::new(log, credentials().await, false);
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let readers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (reading, ended) = (reading.clone(), Arc::clone(&ended));
                let work = move |_: &Incidents| ended.lock().unwrap().recv().is_ok();
                tokio::spawn(async move { reading.read(work).await })
            })
            .collect();
        while reading.room.available_permits() > 0 {
            tokio::task::yield_now().await;
        }

        let (asked, ()) = tokio::join!(reading.read(|_| ()), tokio::time::advance(PATIENCE));

        assert_eq!(asked, Err(NotRead::Busy));
        for _ in 0..AT_ONCE {
            end.send(()).unwrap();
        }
        for reader in readers {
            assert_eq!(reader.await.unwrap(), Ok(true));
        }
        assert_eq!(reading.read(|_| 7).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_nobody_waits_for_ends_and_gives_its_place_back() {
        let folder = tempfile::tempdir().unwrap();
        let segment = folder.path().join("incidents-2026-11-24.ndjson");
        std::fs::write(segment, "{\"seq\":1,\"kind\":\"failed\"}\n").unwrap();
        let log = Incidents::open(folder.path());
        assert_eq!(log.list(Filter::default()).count(), 1, "there is a line");
        let reading = Reading::new(log, credentials().await, false);
        let for_ever = |log: &Incidents| while log.list(Filter::default()).next().is_some() {};

        let (asked, ()) = tokio::join!(reading.read(for_ever), tokio::time::advance(LONGEST));

        assert_eq!(asked, Err(NotRead::TooLong));
        let left = tokio::spawn({
            let reading = reading.clone();
            async move { reading.read(for_ever).await }
        });
        while reading.room.available_permits() == AT_ONCE {
            tokio::task::yield_now().await;
        }
        left.abort();
        while reading.room.available_permits() < AT_ONCE {
            tokio::task::yield_now().await;
        }
    }
}
