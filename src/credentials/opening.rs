//! What the store holds comes into memory on all cores, still sealed; later all of it is looked through, slowly.
//!
//! **Invariant:** nothing here waits on an async worker. What does not open is told, left as it is, and costs no other.
//!
//! **Neighbours:** `recovery` reads the rows, `sealing` opens one, `cache` opens it when it is asked for.

use std::{
    num::NonZero,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::Duration,
};

use tracing::{error, warn};

use super::shared::Shared;
use crate::{
    exchange::Member,
    keyring::Unsealable,
    store::{Row, StoreError, Tagged},
};

/// Below, a thread costs more than it saves.
const WORTH_A_THREAD: usize = 1_000;
/// Fingerprints in one transaction: the store's thread has others to serve in between.
const TAGGED: usize = 1_000;
/// Grants that are looked at in one go, 10 µs each, and the rest after it: two percent of a core, so that a million
/// take eight minutes and calls notice nothing.
const LOOKED_AT: usize = 64;
const REST: Duration = Duration::from_millis(32);

/// Takes the members' data keys, which are opened when they are asked for.
///
/// Dropping the future does not stop it.
pub(super) async fn keys(
    shared: &Arc<Shared>,
    wrapped: Vec<(Member, Vec<u8>)>,
) -> Result<(), StoreError> {
    let shared = Arc::clone(shared);
    on_all_cores(wrapped, move |(member, wrapped)| {
        shared.sealing.keep(member, wrapped);
    })
    .await
}

/// Serves the grants, which are opened when they are asked for. Those that an earlier version saved without
/// fingerprints are opened for these now; gives what [`keep_tags`] keeps.
///
/// Dropping the future does not stop it.
pub(super) async fn grants(
    shared: &Arc<Shared>,
    rows: Vec<(Member, Row)>,
) -> Result<Vec<Tagged>, StoreError> {
    let untagged: Arc<Mutex<Vec<Tagged>>> = Arc::default();
    let (serving, found) = (Arc::clone(shared), Arc::clone(&untagged));
    on_all_cores(rows, move |(member, row)| {
        match serve(&serving, &member, row) {
            Ok(None) => {}
            Ok(Some(tagged)) => {
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.push(tagged);
            }
            Err(error) => {
                error!(%member, %error, "a grant does not open; it is left as it is");
            }
        }
    })
    .await?;
    let mut untagged = untagged.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *untagged))
}

/// Makes the grant's fingerprints known and serves it; gives those that the store does not have.
fn serve(shared: &Shared, member: &Member, mut row: Row) -> Result<Option<Tagged>, Unsealable> {
    let is_tagged = row.access_tag.is_some() && row.refresh.is_some() == row.refresh_tag.is_some();
    let tagged = match is_tagged {
        true => None,
        false => Some(shared.sealing.tagged(member, &row)?),
    };
    if let Some(tagged) = &tagged {
        row.access_tag = Some(tagged.access);
        row.refresh_tag = tagged.refresh;
    }
    for tag in [row.access_tag, row.refresh_tag].into_iter().flatten() {
        shared.live.add_tag(tag);
    }
    shared.rest(member, row)?;
    Ok(tagged)
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

/// Does `each` of `all`, in no order.
async fn on_all_cores<T: Send + 'static>(
    all: Vec<T>,
    each: impl Fn(T) + Send + Sync + 'static,
) -> Result<(), StoreError> {
    let work = move || {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let share = all.len().div_ceil(cores).max(WORTH_A_THREAD);
        thread::scope(|scope| {
            for part in parts(all, share) {
                scope.spawn(|| part.into_iter().for_each(&each));
            }
        });
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_panic| StoreError::Unavailable("what it holds could not be opened".into()))
}

/// `all` in parts of `share` at most.
fn parts<T>(mut all: Vec<T>, share: usize) -> Vec<Vec<T>> {
    let mut parts = Vec::new();
    while all.len() > share {
        parts.push(all.split_off(all.len() - share));
    }
    parts.push(all);
    parts
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn each_is_done_once_however_many_there_are() {
        for count in [0, 1, WORTH_A_THREAD, 2 * WORTH_A_THREAD + 1, 50_000] {
            let done: Arc<Vec<AtomicUsize>> =
                Arc::new((0..count).map(|_| AtomicUsize::new(0)).collect());
            let seen = Arc::clone(&done);

            let all = on_all_cores((0..count).collect(), move |n: usize| {
                seen[n].fetch_add(1, Ordering::Relaxed);
            });
            all.await.unwrap();

            assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        }
    }

    #[tokio::test]
    async fn one_that_cannot_be_opened_at_all_is_an_error() {
        let result = on_all_cores(vec![1, 0], |n: u32| {
            assert!(n > 0, "what the store holds is impossible");
        });

        assert!(matches!(result.await, Err(StoreError::Unavailable(_))));
    }
}
