//! Where everything durable rests but the support log: one trait per part, one home per database.
//!
//! [`GrantStore`] is what credentials ask, [`KeyStore`] what holds callers' keys, [`OperatorStore`]
//! what holds operators' tokens, [`Outbox`] what alerts ask, [`MarkStore`] what support decided about signatures; a home is a [`Store`] and answers them all. Tokens are sealed before they come here, so no store ever sees
//! one. A renewal works on its member's row under a lease (owner and fence), and every save names
//! the version it was made from.
//!
//! **Invariant:** when a write returns `Ok`, it survives a power cut; a refused open has written
//! nothing. SQL stands below `store::sqlite` and nowhere else.
//! **Neighbours:** `credentials` (the only one to take leases), `alerts` (the outbox), `app`
//! (callers' keys, operators' tokens, marks), `admin` (marks).

use std::{borrow::Cow, fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::{
    callers::Key,
    clock::Clock,
    exchange::Member,
    keyring::{KeyFileError, KeyRing, KeySource, Tag},
    operators::Operator,
};

mod marks;
mod outbox;
mod sqlite;

#[cfg(test)]
mod suite;

pub use marks::{Decision, MOST_MARKS, Mark, MarkStore, NotADecision, NotASignature, markable};
pub use outbox::{Lost, Next, Outbox, Telling, Waiting};

/// A grant as it rests: what is secret is sealed, the rest is plain for lists and questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Counts the saves of this member's row, from 1.
    pub version: i64,
    /// Access token, sealed.
    pub access: Vec<u8>,
    /// Refresh token, sealed; none where LinkedIn gave none.
    pub refresh: Option<Vec<u8>>,
    /// `live`, or why the grant ended.
    pub state: Cow<'static, str>,
    /// When it ended, in Unix seconds.
    pub ended_at: Option<i64>,
    /// When the access token came to us, in Unix seconds.
    pub acquired_at: i64,
    /// When LinkedIn issued the access token, in Unix seconds; none if that is not known.
    pub issued_at: Option<i64>,
    /// When the access token expires, in Unix seconds.
    pub access_expires_at: Option<i64>,
    /// When the refresh token expires, in Unix seconds.
    pub refresh_expires_at: Option<i64>,
    /// Scopes, one space apart.
    pub scopes: String,
    /// LinkedIn's URN of the member.
    pub urn: Option<String>,
    /// Renewals so far.
    pub renewals: i64,
    /// When the last renewal was, in Unix seconds.
    pub renewed_at: Option<i64>,
    /// When the token was last used, in Unix seconds; a save never takes it back.
    pub used_at: Option<i64>,
    /// Who the member is, sealed; none where nobody asked.
    pub profile: Option<Vec<u8>>,
    /// Why it ended, as JSON; none while it lives or where nobody asked.
    pub verdict: Option<String>,
    /// The access token's fingerprint; none where an earlier version saved it.
    pub access_tag: Option<Tag>,
    /// The refresh token's; none where there is none, or an earlier version saved it.
    pub refresh_tag: Option<Tag>,
}

/// Who is shown a member's row or data key: by several threads at once, in no order.
pub type Show<T> = Arc<dyn Fn(Member, T) + Send + Sync>;

/// The fingerprints of a row that an earlier version saved without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Whose it is.
    pub member: Member,
    /// Of which version of the row they are; to any other they mean nothing.
    pub version: i64,
    /// The access token's.
    pub access: Tag,
    /// The refresh token's, where there is one.
    pub refresh: Option<Tag>,
}

/// The right to renew one member's grant, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which process.
    pub owner: Arc<str>,
    /// Grows with every lease of this member: a late writer is told by its smaller fence.
    pub fence: i64,
}

/// A renewal that was begun: what the journal holds until the new grant is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Counts the uses of the row's refresh token whose answers nobody knows, this one included,
    /// from 1.
    pub number: i64,
    /// Version of the row the renewal began from; 0 where there was none.
    pub base: i64,
    /// When it began, in Unix seconds.
    pub begun_at: i64,
    /// LinkedIn's answer, sealed; none if none is known.
    pub answer: Option<Vec<u8>>,
}

/// A wrapped data key and the same one wrapped by another master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// Whose it is.
    pub member: Member,
    /// As it was read.
    pub old: Vec<u8>,
    /// What takes its place.
    pub new: Vec<u8>,
}

/// What changed, told to everybody who asked for [`GrantStore::changes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This member's grant.
    Grant(Member),
    /// The callers' keys.
    Keys,
    /// The operators' tokens.
    Operators,
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is damaged or not ours. Nothing was written.
    #[error("store {path} is damaged or no linkgate store: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the database said.
        reason: String,
    },
    /// The file was written by a later version. Nothing was written.
    #[error("store {path} has layout {found}, this version knows up to {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Layout of the file.
        found: i64,
        /// Last layout known here.
        known: i64,
    },
    /// The store holds data and its keys are gone. Nothing was written.
    #[error("store is not empty, but its {keys} is missing; restore it")]
    MissingKey {
        /// Where they should be.
        keys: String,
    },
    /// The keys are another store's, or from before a rotation. Nothing was written.
    #[error(
        "{keys} does not belong to this store: key {needed} is needed, with which the store was \
         sealed last (were the keys restored from before a rotation?)"
    )]
    WrongKey {
        /// Where the keys come from.
        keys: String,
        /// The id of the key that is needed.
        needed: String,
    },
    /// The keys cannot be used. Nothing was written to the store.
    #[error("the keys cannot be used: {0}")]
    KeyFile(Arc<KeyFileError>),
    /// The URL names no store that is known here.
    #[error("store url must be sqlite:PATH")]
    UnknownUrl,
    /// The database refused: disk full, locked, input or output error.
    #[error("store is not available: {0}")]
    Unavailable(String),
    /// The row changed since it was read, or is gone.
    #[error("row was changed by another")]
    Moved,
    /// The lease was lost to another owner.
    #[error("lease was lost")]
    Fenced,
}

/// A home for everything: what [`open`] gives.
pub trait Store: GrantStore + KeyStore + OperatorStore + Outbox + MarkStore {}

impl<S: GrantStore + KeyStore + OperatorStore + Outbox + MarkStore> Store for S {}

/// Grants, leases and the renewal journal. Every home answers the same test suite.
#[async_trait]
pub trait GrantStore: Send + Sync + fmt::Debug {
    /// Shows all wrapped data keys. They may be shown before the store is proven whole.
    ///
    /// Dropping the future does not stop it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the store turns out to be damaged, here and below; [`StoreError::Unavailable`].
    async fn read_data_keys(&self, show: Show<Vec<u8>>) -> Result<(), StoreError>;

    /// Shows all grants; what is saved meanwhile may be missing. When this returns `Ok`, the store is proven whole:
    /// nobody may be served before.
    ///
    /// Dropping the future does not stop it.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn read_grants(&self, show: Show<Row>) -> Result<(), StoreError>;

    /// One member's grant.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn grant(&self, member: &Member) -> Result<Option<Row>, StoreError>;

    /// Saves a row whose version is one more than that of the row it was made from (1: there was
    /// none). With a lease, the fence is checked and the journal entry is cleared in the same step.
    ///
    /// # Errors
    /// [`StoreError::Moved`], [`StoreError::Fenced`].
    async fn save(
        &self,
        member: &Member,
        row: Row,
        lease: Option<&Lease>,
    ) -> Result<(), StoreError>;

    /// Notes when grants were last used, in Unix seconds: all in one step, and no version changes. A
    /// use that is no later than the one known, or of a member that is unknown, changes nothing.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn note_used(&self, uses: Vec<(Member, i64)>) -> Result<(), StoreError>;

    /// Notes fingerprints of rows that have none, all in one step; no version changes. A row that changed since is left
    /// as it is.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn note_tags(&self, tags: Vec<Tagged>) -> Result<(), StoreError>;

    /// Forgets a member: row, journal and data key. Returns whether there was a row.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn forget(&self, member: &Member) -> Result<bool, StoreError>;

    /// All wrapped data keys.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn data_keys(&self) -> Result<Vec<(Member, Vec<u8>)>, StoreError>;

    /// Keeps a wrapped data key unless there is one; returns the one that is kept.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn keep_data_key(&self, member: &Member, wrapped: Vec<u8>)
    -> Result<Vec<u8>, StoreError>;

    /// Replaces wrapped data keys that are still as they were; returns how many were. All that are
    /// replaced are so in one step.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn rewrap(&self, batch: Vec<Rewrapped>) -> Result<usize, StoreError>;

    /// The value that tells whether a key ring is this store's.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn check_value(&self) -> Result<Vec<u8>, StoreError>;

    /// Replaces the check value that was `old`.
    ///
    /// # Errors
    /// [`StoreError::Moved`] if it is another by now.
    async fn replace_check_value(&self, old: Vec<u8>, new: Vec<u8>) -> Result<(), StoreError>;

    /// The mark of a rotation of the master keys that has begun and not ended.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn rotation(&self) -> Result<Option<String>, StoreError>;

    /// Sets that mark, or takes it away: then nothing of what was replaced is left on disk either.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn mark_rotation(&self, mark: Option<String>) -> Result<(), StoreError>;

    /// Takes the lease if it is free, over, or the owner's own; none while another holds it. It is
    /// measured by the store's one clock, so that processes whose clocks differ agree on its end.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn take_lease(
        &self,
        member: &Member,
        owner: &Arc<str>,
        lasting: Duration,
    ) -> Result<Option<Lease>, StoreError>;

    /// Lets a lease last longer.
    ///
    /// # Errors
    /// [`StoreError::Fenced`].
    async fn renew_lease(
        &self,
        member: &Member,
        lease: &Lease,
        lasting: Duration,
    ) -> Result<(), StoreError>;

    /// Gives a lease back; one that was lost is no error.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn release_lease(&self, member: &Member, lease: &Lease) -> Result<(), StoreError>;

    /// Writes "about to spend the refresh token" into the journal, over any earlier entry.
    ///
    /// # Errors
    /// [`StoreError::Fenced`].
    async fn begin(
        &self,
        member: &Member,
        lease: &Lease,
        pending: Pending,
    ) -> Result<(), StoreError>;

    /// Writes LinkedIn's sealed answer beside the entry that [`GrantStore::begin`] made.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]; [`StoreError::Moved`] if the entry is gone.
    async fn answered(
        &self,
        member: &Member,
        lease: &Lease,
        answer: Vec<u8>,
    ) -> Result<(), StoreError>;

    /// Removes the journal entry: the refresh token was certainly not spent, or all is saved.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the entry may be another's by now.
    async fn clear(&self, member: &Member, lease: &Lease) -> Result<(), StoreError>;

    /// One member's journal entry.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn pending(&self, member: &Member) -> Result<Option<Pending>, StoreError>;

    /// All journal entries.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn journal(&self) -> Result<Vec<(Member, Pending)>, StoreError>;

    /// Writes something small, to learn whether writing works.
    ///
    /// # Errors
    /// See [`GrantStore::read_data_keys`].
    async fn probe(&self) -> Result<(), StoreError>;

    /// What changes from now on. A slow listener loses the oldest notices and is told so.
    fn changes(&self) -> broadcast::Receiver<Change>;
}

/// Callers' keys.
#[async_trait]
pub trait KeyStore: Send + Sync + fmt::Debug {
    /// All callers' keys, revoked ones included.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], here and below.
    async fn keys(&self) -> Result<Vec<Key>, StoreError>;

    /// Keeps a new key.
    ///
    /// # Errors
    /// [`StoreError::Moved`] if the id is taken.
    async fn keep_key(&self, key: Key) -> Result<(), StoreError>;

    /// Notes that a key is revoked; returns whether there is such a key. A second call changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn revoke_key(&self, id: &str, at: i64) -> Result<bool, StoreError>;
}

/// Operators' tokens.
#[async_trait]
pub trait OperatorStore: Send + Sync + fmt::Debug {
    /// All operators' tokens, revoked ones included.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], here and below.
    async fn operators(&self) -> Result<Vec<Operator>, StoreError>;

    /// Keeps a new token.
    ///
    /// # Errors
    /// [`StoreError::Moved`] if the id is taken.
    async fn keep_operator(&self, operator: Operator) -> Result<(), StoreError>;

    /// Notes that a token is revoked at `at` (Unix seconds); returns whether there is such a token. A
    /// second call changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn revoke_operator(&self, id: &str, at: i64) -> Result<bool, StoreError>;
}

/// Opens the store and its keys.
///
/// The key file is made only where the store is empty; a store with data and a missing or wrong key
/// is refused before anything is written. A large store may still be checked when this returns; if it is damaged, every
/// question is answered so, and nothing is written.
///
/// # Errors
/// [`StoreError`].
pub async fn open(
    url: &str,
    keys: impl Into<KeySource>,
) -> Result<(Arc<dyn Store>, KeyRing), StoreError> {
    let path = url.strip_prefix("sqlite:").ok_or(StoreError::UnknownUrl)?;
    if path.is_empty() || path.starts_with("//") {
        return Err(StoreError::UnknownUrl);
    }
    let (path, keys) = (PathBuf::from(path), keys.into());
    // Leases measure how long a process may be silent: the system's clock, never a shifted one.
    let opening = move || sqlite::Sqlite::open(&path, &keys, Clock::system());
    let opened = tokio::task::spawn_blocking(opening).await;
    let (store, ring) = opened.map_err(|error| StoreError::Unavailable(error.to_string()))??;
    Ok((Arc::new(store), ring))
}
