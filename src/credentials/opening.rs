//! Opens what the store holds on all cores: of a start with a million grants, that is the longest part.
//!
//! **Invariant:** nothing here waits on an async worker. What does not open is told, left as it is, and costs no other.
//!
//! **Neighbours:** `recovery` reads the rows, `sealing` opens one, `shared` serves it.

use std::{num::NonZero, sync::Arc, thread};

use tracing::error;

use super::shared::Shared;
use crate::{
    exchange::Member,
    store::{Row, StoreError},
};

/// Below, a thread costs more than it saves.
const WORTH_A_THREAD: usize = 1_000;

/// Takes the members' data keys.
///
/// Dropping the future does not stop it.
pub(super) async fn keys(
    shared: &Arc<Shared>,
    wrapped: Vec<(Member, Vec<u8>)>,
) -> Result<(), StoreError> {
    let shared = Arc::clone(shared);
    on_all_cores(wrapped, move |(member, wrapped)| {
        if let Err(error) = shared.sealing.learn(&member, &wrapped) {
            error!(%member, %error, "a data key does not open; the member must sign in again");
        }
    })
    .await
}

/// Serves the grants.
///
/// Dropping the future does not stop it.
pub(super) async fn grants(
    shared: &Arc<Shared>,
    rows: Vec<(Member, Row)>,
) -> Result<(), StoreError> {
    let shared = Arc::clone(shared);
    on_all_cores(rows, move |(member, row)| {
        match shared.sealing.grant(&member, &row) {
            Ok(grant) => shared.serve(&member, grant),
            Err(error) => error!(%member, %error, "a grant does not open; it is left as it is"),
        }
    })
    .await
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
