//! A new master key: put in front, everything wrapped anew under it, the old ones taken away.
//!
//! mark in the store → key file → check value → data keys, in batches → old keys out of the file →
//! mark away. Members, callers and kept bodies notice nothing: what seals them are data keys, which
//! stay.
//!
//! **Invariant:** a kill between any two steps leaves a store that opens with the key file as it is,
//! and the mark, by which the next start or command goes on. The check value goes first, so that a key
//! file from before is refused from then on, before it can meet a row that it does not open.
//! **Neighbours:** `keyring` changes the file, `store` compares and sets.

use std::{collections::HashSet, sync::Arc};

use serde::Serialize;
use tracing::{info, warn};

use super::{Credentials, sealing::key_place, shared::Shared};
use crate::{
    keyring::{KeyFileError, KeyRing, NewKey},
    store::{Rewrapped, StoreError},
};

/// Data keys that are wrapped anew in one step: others' writes wait for one such step at most.
const BATCH: usize = 64;
/// Passes over the data keys before giving up: each finds only what came in during the one before.
const PASSES: usize = 10;

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rotated {
    /// The key that seals from now on.
    pub key: String,
    /// Whether it went on with a rotation that was cut short.
    pub is_resumed: bool,
    /// Data keys that were wrapped anew.
    pub rewrapped: usize,
    /// Data keys that do not open, and were left as they are.
    pub unopened: usize,
    /// Keys that nothing needs any more and that are out of the key file.
    pub retired: Vec<String>,
    /// Keys that nothing, or only what does not open, names, and that are kept.
    pub kept: Vec<String>,
    /// Whether the keys come from a file; if not, keys are added and taken away by hand.
    pub has_file: bool,
}

/// Why a rotation did not come to its end. Running it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Data keys kept coming in that were wrapped by an old key.
    #[error("data keys are still being wrapped by an old key: does another gateway write here?")]
    Unsettled,
}

/// The mark of a rotation under way.
struct Mark {
    key: String,
    keeps_old: bool,
}

impl Mark {
    fn text(&self) -> String {
        let word = if self.keeps_old { "keep" } else { "retire" };
        format!("{word} {}", self.key)
    }

    fn parse(text: &str) -> Option<Self> {
        let (word, key) = text.split_once(' ')?;
        Some(Self {
            key: key.to_owned(),
            keeps_old: word == "keep",
        })
    }
}

impl Credentials {
    /// Puts a new master key in front and wraps everything anew under it, while all goes on; a
    /// rotation that was cut short is brought to its end instead. Where the keys come from elsewhere
    /// than a file, wraps everything under the first key there is.
    ///
    /// # Errors
    /// [`RotateError`].
    pub async fn rotate_key(&self, keeps_old: bool) -> Result<Rotated, RotateError> {
        let shared = &self.0;
        let _one = shared.sealing.rotating.lock().await;
        let ring = &shared.sealing.ring;
        let mark = shared.store.rotation().await?;
        let begun = mark.as_deref().and_then(Mark::parse);
        let begun = begun.filter(|mark| *mark.key == *ring.first_id());
        let is_resumed = begun.is_some();
        let keeps_old = match begun {
            Some(mark) => mark.keeps_old || keeps_old,
            None if ring.has_file() => {
                begin(shared, keeps_old).await?;
                keeps_old
            }
            None => true,
        };
        finish(shared, keeps_old, is_resumed).await
    }
}

/// Brings a rotation to its end that was cut short before this start.
pub(super) async fn resume(shared: &Arc<Shared>) -> Result<(), RotateError> {
    let Some(mark) = shared.store.rotation().await? else {
        return Ok(());
    };
    let ring = &shared.sealing.ring;
    match Mark::parse(&mark).filter(|mark| *mark.key == *ring.first_id()) {
        Some(mark) => drop(finish(shared, mark.keeps_old, true).await?),
        // Cut short before the file was changed: its new key was never used, and is gone.
        None => shared.store.mark_rotation(None).await?,
    }
    Ok(())
}

async fn begin(shared: &Shared, keeps_old: bool) -> Result<(), RotateError> {
    let (ring, new) = (shared.sealing.ring.clone(), NewKey::random());
    let mark = Mark {
        key: new.id().to_string(),
        keeps_old,
    };
    info!(key = mark.key, "a rotation of the master key begins");
    shared.store.mark_rotation(Some(mark.text())).await?;
    let added = blocking(move || ring.add_first(&new)).await;
    if added.is_err() {
        shared.store.mark_rotation(None).await?;
    }
    added
}

async fn finish(
    shared: &Shared,
    keeps_old: bool,
    is_resumed: bool,
) -> Result<Rotated, RotateError> {
    let ring = &shared.sealing.ring;
    // Whoever wraps from here on does so with the first key.
    shared.sealing.settle().await;
    renew_check_value(shared).await?;
    let (rewrapped, left) = rewrap_all(shared).await?;
    let needed: HashSet<&str> = left
        .iter()
        .filter_map(|wrapped| KeyRing::key_of(wrapped))
        .collect();
    let key = ring.first_id().to_string();
    let others = || {
        ring.ids()
            .iter()
            .skip(1)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let (mut retired, mut kept) = (Vec::new(), others());
    if !kept.is_empty() && !keeps_old && ring.has_file() {
        if kept.iter().any(|id| needed.contains(id.as_str())) {
            warn!("data keys that do not open name an old key: the old keys are kept");
        } else {
            let (turning, sealing) = (ring.clone(), Arc::clone(&shared.sealing));
            let retiring = move || {
                // In memory they may still be wrapped as the start found them.
                sealing.open_all();
                turning.retire_others()
            };
            blocking(retiring).await?;
            retired = std::mem::take(&mut kept);
        }
    }
    shared.store.mark_rotation(None).await?;
    info!(
        key,
        rewrapped,
        ?retired,
        ?kept,
        "the rotation of the master key is complete"
    );
    Ok(Rotated {
        key,
        is_resumed,
        rewrapped,
        unopened: left.len(),
        retired,
        kept,
        has_file: ring.has_file(),
    })
}

async fn renew_check_value(shared: &Shared) -> Result<(), RotateError> {
    let ring = &shared.sealing.ring;
    for _ in 0..PASSES {
        let found = shared.store.check_value().await?;
        if ring.is_by_first(&found) {
            return Ok(());
        }
        match shared
            .store
            .replace_check_value(found, ring.check_value())
            .await
        {
            Err(StoreError::Moved) => {}
            replaced => return Ok(replaced?),
        }
    }
    Err(RotateError::Unsettled)
}

/// Wraps all data keys under the first key; gives how many were, and those that do not open.
async fn rewrap_all(shared: &Shared) -> Result<(usize, Vec<Vec<u8>>), RotateError> {
    let ring = &shared.sealing.ring;
    let mut done = 0;
    for _ in 0..PASSES {
        let mut all = shared.store.data_keys().await?;
        all.retain(|(_, wrapped)| !ring.is_by_first(wrapped));
        let (mut to_do, mut left) = (Vec::new(), Vec::new());
        for (member, old) in all {
            match ring.rewrap(&old, &key_place(&member)) {
                Ok(new) => to_do.push(Rewrapped { member, old, new }),
                Err(_) => left.push(old),
            }
        }
        if to_do.is_empty() {
            return Ok((done, left));
        }
        let total = done + to_do.len();
        for batch in to_do.chunks(BATCH) {
            done += shared.store.rewrap(batch.to_vec()).await?;
            info!(done, total, "data keys are wrapped by the new key");
        }
    }
    Err(RotateError::Unsettled)
}

/// Waits for the disk on a thread that may.
async fn blocking(
    change: impl FnOnce() -> Result<(), KeyFileError> + Send + 'static,
) -> Result<(), RotateError> {
    let changed = tokio::task::spawn_blocking(change).await;
    let broken = |error: tokio::task::JoinError| StoreError::Unavailable(error.to_string());
    Ok(changed.map_err(broken)??)
}
