//! A store that heaps up new grants and saves a thousand in one transaction: a commit for each data key and each row
//! took nine tenths of the time of filling.
//!
//! **Invariant:** what it is given is what `Credentials` sealed; it reads nothing back, and knows no member before.
//! **Neighbours:** `main` imports over it; the store below it made the file, and holds the application's own key.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use linkgate::{
    exchange::{Member, Name},
    keyring::Tag,
    store::{Change, GrantStore, Lease, Pending, Rewrapped, Row, Show, Store, StoreError, Tagged},
};
use rusqlite::{Connection, params};
use tokio::sync::broadcast;

/// Grants in one transaction: some MiB.
const HEAP: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Heaped {
    below: Arc<dyn Store>,
    heap: Mutex<Heap>,
}

#[derive(Debug)]
struct Heap {
    file: Connection,
    keys: Vec<(Member, Vec<u8>)>,
    rows: Vec<(Member, Row)>,
}

impl Heaped {
    /// Over a store whose file is `path`.
    pub(crate) fn over(below: Arc<dyn Store>, path: &Path) -> anyhow::Result<Self> {
        let file = Connection::open(path)?;
        file.busy_timeout(Duration::from_secs(5))?;
        let heap = Heap {
            file,
            keys: Vec::with_capacity(HEAP),
            rows: Vec::with_capacity(HEAP),
        };
        Ok(Self {
            below,
            heap: Mutex::new(heap),
        })
    }

    /// Saves what is left on the heap.
    pub(crate) fn finish(&self) -> Result<(), StoreError> {
        self.with(Heap::save)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Heap) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut heap).map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

impl Heap {
    fn save(&mut self) -> rusqlite::Result<()> {
        let transaction = self.file.transaction()?;
        let insert = "INSERT INTO data_keys (application, member, wrapped) VALUES (?1, ?2, ?3)";
        let mut statement = transaction.prepare_cached(insert)?;
        for (member, wrapped) in self.keys.drain(..) {
            statement.execute(params![
                member.application.as_str(),
                name_of(&member),
                wrapped
            ])?;
        }
        drop(statement);
        let insert = "INSERT INTO grants (application, member, version, access, refresh, state, \
            acquired_at, issued_at, access_expires_at, refresh_expires_at, scopes, urn, renewals, \
            access_tag, refresh_tag) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
        let mut statement = transaction.prepare_cached(insert)?;
        for (member, row) in self.rows.drain(..) {
            statement.execute(params![
                member.application.as_str(),
                name_of(&member),
                row.version,
                row.access,
                row.refresh,
                row.state,
                row.acquired_at,
                row.issued_at,
                row.access_expires_at,
                row.refresh_expires_at,
                row.scopes,
                row.urn,
                row.renewals,
                row.access_tag.map(Tag::to_stored),
                row.refresh_tag.map(Tag::to_stored),
            ])?;
        }
        drop(statement);
        transaction.commit()
    }
}

fn name_of(member: &Member) -> &str {
    member.name.as_ref().map_or("", Name::as_str)
}

fn never<T>() -> Result<T, StoreError> {
    let words = "nothing but new grants is expected here";
    Err(StoreError::Unavailable(words.to_owned()))
}

#[async_trait]
impl GrantStore for Heaped {
    async fn read_data_keys(&self, show: Show<Vec<u8>>) -> Result<(), StoreError> {
        self.below.read_data_keys(show).await
    }

    async fn read_grants(&self, show: Show<Row>) -> Result<(), StoreError> {
        self.below.read_grants(show).await
    }

    async fn grant(&self, _: &Member) -> Result<Option<Row>, StoreError> {
        Ok(None)
    }

    async fn save(&self, member: &Member, row: Row, _: Option<&Lease>) -> Result<(), StoreError> {
        self.with(|heap| {
            heap.rows.push((member.clone(), row));
            match heap.rows.len() < HEAP {
                true => Ok(()),
                false => heap.save(),
            }
        })
    }

    async fn note_used(&self, _: Vec<(Member, i64)>) -> Result<(), StoreError> {
        never()
    }

    async fn note_tags(&self, _: Vec<Tagged>) -> Result<(), StoreError> {
        never()
    }

    async fn forget(&self, _: &Member) -> Result<bool, StoreError> {
        never()
    }

    async fn data_keys(&self) -> Result<Vec<(Member, Vec<u8>)>, StoreError> {
        self.below.data_keys().await
    }

    async fn keep_data_key(
        &self,
        member: &Member,
        wrapped: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        self.with(|heap| {
            heap.keys.push((member.clone(), wrapped.clone()));
            Ok(wrapped)
        })
    }

    async fn rewrap(&self, _: Vec<Rewrapped>) -> Result<usize, StoreError> {
        never()
    }

    async fn check_value(&self) -> Result<Vec<u8>, StoreError> {
        self.below.check_value().await
    }

    async fn replace_check_value(&self, _: Vec<u8>, _: Vec<u8>) -> Result<(), StoreError> {
        never()
    }

    async fn rotation(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn mark_rotation(&self, _: Option<String>) -> Result<(), StoreError> {
        never()
    }

    async fn take_lease(
        &self,
        _: &Member,
        _: &Arc<str>,
        _: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        never()
    }

    async fn renew_lease(&self, _: &Member, _: &Lease, _: Duration) -> Result<(), StoreError> {
        never()
    }

    async fn release_lease(&self, _: &Member, _: &Lease) -> Result<(), StoreError> {
        never()
    }

    async fn begin(&self, _: &Member, _: &Lease, _: Pending) -> Result<(), StoreError> {
        never()
    }

    async fn answered(&self, _: &Member, _: &Lease, _: Vec<u8>) -> Result<(), StoreError> {
        never()
    }

    async fn clear(&self, _: &Member, _: &Lease) -> Result<(), StoreError> {
        never()
    }

    async fn pending(&self, _: &Member) -> Result<Option<Pending>, StoreError> {
        Ok(None)
    }

    async fn journal(&self) -> Result<Vec<(Member, Pending)>, StoreError> {
        Ok(Vec::new())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        never()
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.below.changes()
    }
}
