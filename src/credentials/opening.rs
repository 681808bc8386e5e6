//! What the store holds comes into memory on all cores, still sealed; later all of it is looked through, slowly.
//!
//! **Invariant:** nothing here waits on an async worker. What does not open is told, left as it is, and costs no other.
//!
//! **Neighbours:** `store` shows the rows, `recovery` asks for them, `sealing` opens one, `cache` opens it when it is asked for.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tracing::{error, warn};

use super::{scheduler::Planned, shared::Shared};
use crate::{
    exchange::Member,
    keyring::{Tag, Unsealable},
    store::{Row, StoreError, Tagged},
};

/// Fingerprints in one transaction: the store's thread has others to serve in between.
const TAGGED: usize = 1_000;
/// Grants that are looked at in one go, 10 µs each, and the rest after it: two percent of a core, so that a million
/// take eight minutes and calls notice nothing.
const LOOKED_AT: usize = 64;
const REST: Duration = Duration::from_millis(32);

/// What came of reading all grants.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Members that were known and have no row.
    pub(super) gone: HashSet<Member>,
    /// What [`keep_tags`] keeps: fingerprints of grants that an earlier version saved without.
    pub(super) untagged: Vec<Tagged>,
    /// Of grants that nobody can be served yet, all fingerprints: of a million each by itself would take a second.
    tags: Vec<Tag>,
    /// Renewals, for the same reason.
    planned: Vec<Planned>,
}

/// Takes the members' data keys, which are opened when they are asked for.
pub(super) async fn keys(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let taking = Arc::clone(shared);
    let take = move |member, wrapped| taking.sealing.keep(member, wrapped);
    shared.store.read_data_keys(Arc::new(take)).await
}

/// Serves the grants, which are opened when they are asked for. Those that an earlier version saved without
/// fingerprints are opened for these now.
///
/// To be awaited to its end: fingerprints and renewals become known behind the last row.
pub(super) async fn grants(
    shared: &Arc<Shared>,
    known: HashSet<Member>,
) -> Result<Read, StoreError> {
    // Later somebody is served, though maybe nobody of these: then each is known before it is.
    let is_first = !shared.live.has_first();
    let read = Arc::new(Mutex::new(Read {
        gone: known,
        ..Read::default()
    }));
    let (serving, noting) = (Arc::clone(shared), Arc::clone(&read));
    let show = move |member: Member, mut row: Row| {
        let tagged = tag(&serving, &member, &mut row);
        let tags = [row.access_tag, row.refresh_tag].into_iter().flatten();
        if !is_first {
            tags.clone().for_each(|tag| serving.live.add_tag(tag));
        }
        let served = tagged.and_then(|tagged| Ok((tagged, serving.rest(&member, &row)?)));
        let mut noted = locked(&noting);
        noted.gone.remove(&member);
        noted.tags.extend(tags.filter(|_| is_first));
        match served {
            Ok((tagged, planned)) => {
                noted.untagged.extend(tagged);
                noted.planned.extend(planned);
            }
            Err(error) => error!(%member, %error, "a grant does not open; it is left as it is"),
        }
    };
    let done = shared.store.read_grants(Arc::new(show)).await;
    let telling = Arc::clone(shared);
    // Of those that came, though others did not.
    let told = tokio::task::spawn_blocking(move || {
        let mut read = std::mem::take(&mut *locked(&read));
        if is_first {
            telling.live.add_first(std::mem::take(&mut read.tags));
        }
        telling.cache.plan_all(std::mem::take(&mut read.planned));
        read
    });
    let told = told.await;
    done?;
    told.map_err(|panic| StoreError::Unavailable(panic.to_string()))
}

fn locked(read: &Mutex<Read>) -> MutexGuard<'_, Read> {
    read.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fills in the fingerprints of a row that has none; gives them, since the store does not have them.
fn tag(shared: &Shared, member: &Member, row: &mut Row) -> Result<Option<Tagged>, Unsealable> {
    if row.access_tag.is_some() && row.refresh.is_some() == row.refresh_tag.is_some() {
        return Ok(None);
    }
    let tagged = shared.sealing.tagged(member, row)?;
    row.access_tag = Some(tagged.access);
    row.refresh_tag = tagged.refresh;
    Ok(Some(tagged))
}

/// Keeps fingerprints; what the store does not take, the next start makes again.
pub(super) async fn keep_tags(shared: Arc<Shared>, mut tags: Vec<Tagged>) {
    while !tags.is_empty() {
        let batch = tags.split_off(tags.len().saturating_sub(TAGGED));
        if let Err(error) = shared.store.note_tags(batch).await {
            warn!(%error, "fingerprints of tokens were not kept");
            return;
        }
    }
}

/// Looks once whether all grants open, until the credentials are gone or drained: one that does not is told before
/// anybody needs it.
pub(super) async fn look_through(shared: Weak<Shared>) {
    let Some(members) = shared.upgrade().map(|shared| shared.cache.members()) else {
        return;
    };
    let members = Vec::from_iter(members);
    for some in members.chunks(LOOKED_AT) {
        let Some(shared) = shared.upgrade().filter(|shared| !shared.ahead.is_closed()) else {
            return;
        };
        some.iter().for_each(|member| shared.cache.prove(member));
        drop(shared);
        tokio::time::sleep(REST).await;
    }
}
