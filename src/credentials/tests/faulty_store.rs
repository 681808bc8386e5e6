//! A store that fails where a test tells it, over one that works.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{Notify, broadcast};

use crate::{
    exchange::Member,
    store::{Change, GrantStore, Lease, Pending, Rewrapped, Row, Show, StoreError, Tagged},
};

/// Which writes fail, as on a full disk.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) begin: AtomicBool,
    pub(super) answered: AtomicBool,
    pub(super) save: AtomicBool,
    pub(super) lease: AtomicBool,
    pub(super) forget: AtomicBool,
    pub(super) saves: AtomicUsize,
    /// Steps of a rotation until one fails, and all after it; one more than there are; 0: all work.
    turns: AtomicUsize,
    /// Whether a member that is forgotten waits at the gate before the asker hears of it.
    pub(super) holds_forget: AtomicBool,
    /// Told when one waits there.
    pub(super) forgotten: Notify,
    /// Opens it for one.
    pub(super) forget_gate: Notify,
}

impl Faults {
    /// Lets so many steps of a rotation work, and none after them.
    pub(super) fn let_turn(&self, steps: usize) {
        self.turns.store(steps + 1, Ordering::SeqCst);
    }

    fn turn(&self) -> Result<(), StoreError> {
        match self.turns.load(Ordering::SeqCst) {
            0 => Ok(()),
            1 => Err(StoreError::Unavailable("killed".to_owned())),
            left => {
                self.turns.store(left - 1, Ordering::SeqCst);
                Ok(())
            }
        }
    }

    /// From now on every write fails, as those of a dead process.
    pub(super) fn cut_off(&self) {
        for fault in [&self.begin, &self.answered, &self.save, &self.lease] {
            fault.store(true, Ordering::SeqCst);
        }
    }
}

/// The store before which the faults stand.
#[derive(Debug)]
pub(super) struct FaultyStore {
    pub(super) inner: Arc<dyn GrantStore>,
    pub(super) faults: Arc<Faults>,
}

fn fail_if(fault: &AtomicBool) -> Result<(), StoreError> {
    match fault.load(Ordering::SeqCst) {
        true => Err(StoreError::Unavailable("disk full".to_owned())),
        false => Ok(()),
    }
}

#[async_trait]
impl GrantStore for FaultyStore {
    async fn read_data_keys(&self, show: Show<Vec<u8>>) -> Result<(), StoreError> {
        self.inner.read_data_keys(show).await
    }
    async fn read_grants(&self, show: Show<Row>) -> Result<(), StoreError> {
        self.inner.read_grants(show).await
    }
    async fn grant(&self, member: &Member) -> Result<Option<Row>, StoreError> {
        self.inner.grant(member).await
    }
    async fn save(
        &self,
        member: &Member,
        row: Row,
        lease: Option<&Lease>,
    ) -> Result<(), StoreError> {
        self.faults.saves.fetch_add(1, Ordering::SeqCst);
        fail_if(&self.faults.save)?;
        self.inner.save(member, row, lease).await
    }
    async fn note_used(&self, uses: Vec<(Member, i64)>) -> Result<(), StoreError> {
        fail_if(&self.faults.save)?;
        self.inner.note_used(uses).await
    }
    async fn note_tags(&self, tags: Vec<Tagged>) -> Result<(), StoreError> {
        fail_if(&self.faults.save)?;
        self.inner.note_tags(tags).await
    }
    async fn forget(&self, member: &Member) -> Result<bool, StoreError> {
        fail_if(&self.faults.forget)?;
        let forgotten = self.inner.forget(member).await;
        if self.faults.holds_forget.load(Ordering::SeqCst) {
            self.faults.forgotten.notify_one();
            self.faults.forget_gate.notified().await;
        }
        forgotten
    }
    async fn data_keys(&self) -> Result<Vec<(Member, Vec<u8>)>, StoreError> {
        self.inner.data_keys().await
    }
    async fn keep_data_key(
        &self,
        member: &Member,
        wrapped: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        self.inner.keep_data_key(member, wrapped).await
    }
    async fn rewrap(&self, batch: Vec<Rewrapped>) -> Result<usize, StoreError> {
        self.faults.turn()?;
        self.inner.rewrap(batch).await
    }
    async fn check_value(&self) -> Result<Vec<u8>, StoreError> {
        self.inner.check_value().await
    }
    async fn replace_check_value(&self, old: Vec<u8>, new: Vec<u8>) -> Result<(), StoreError> {
        self.faults.turn()?;
        self.inner.replace_check_value(old, new).await
    }
    async fn rotation(&self) -> Result<Option<String>, StoreError> {
        self.inner.rotation().await
    }
    async fn mark_rotation(&self, mark: Option<String>) -> Result<(), StoreError> {
        self.faults.turn()?;
        self.inner.mark_rotation(mark).await
    }
    async fn take_lease(
        &self,
        member: &Member,
        owner: &Arc<str>,
        lasting: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        fail_if(&self.faults.lease)?;
        self.inner.take_lease(member, owner, lasting).await
    }
    async fn renew_lease(
        &self,
        member: &Member,
        lease: &Lease,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        self.inner.renew_lease(member, lease, lasting).await
    }
    async fn release_lease(&self, member: &Member, lease: &Lease) -> Result<(), StoreError> {
        self.inner.release_lease(member, lease).await
    }
    async fn begin(
        &self,
        member: &Member,
        lease: &Lease,
        pending: Pending,
    ) -> Result<(), StoreError> {
        fail_if(&self.faults.begin)?;
        self.inner.begin(member, lease, pending).await
    }
    async fn answered(
        &self,
        member: &Member,
        lease: &Lease,
        answer: Vec<u8>,
    ) -> Result<(), StoreError> {
        fail_if(&self.faults.answered)?;
        self.inner.answered(member, lease, answer).await
    }
    async fn clear(&self, member: &Member, lease: &Lease) -> Result<(), StoreError> {
        self.inner.clear(member, lease).await
    }
    async fn pending(&self, member: &Member) -> Result<Option<Pending>, StoreError> {
        self.inner.pending(member).await
    }
    async fn journal(&self) -> Result<Vec<(Member, Pending)>, StoreError> {
        self.inner.journal().await
    }
    async fn probe(&self) -> Result<(), StoreError> {
        fail_if(&self.faults.save)?;
        self.inner.probe().await
    }
    fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes()
    }
}
