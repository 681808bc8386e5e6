//! When each grant was last used, kept in the store: in batches, each minute and at the end.
//!
//! **Invariant:** no call waits for it and no call writes for it; what a sudden end loses is the last
//! minute's uses, and nothing else depends on them.
//! **Neighbours:** `credentials::cache` notes the uses.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::MissedTickBehavior;
use tracing::warn;

use super::shared::Shared;
use crate::store::StoreError;

/// Between two looks at what was used.
const EACH: Duration = Duration::from_secs(60);
/// Uses in one transaction: the store's thread has others to serve in between.
const BATCH: usize = 1000;

/// Keeps last uses, and lets go of tokens that are not needed any more, until the credentials are gone or drained.
pub(super) async fn keep(shared: Weak<Shared>) {
    let mut each = tokio::time::interval(EACH);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        each.tick().await;
        let Some(shared) = shared.upgrade().filter(|shared| !shared.ahead.is_closed()) else {
            return;
        };
        flush(&shared).await;
        let tidying = Arc::clone(&shared);
        let tidied = shared
            .house
            .spawn_blocking(move || tidying.cache.let_go(tidying.now()));
        // Not done at the runtime's end, it need not be done at all.
        drop(tidied.await);
    }
}

/// Keeps what was used since the last time. What the store does not take now is kept the next time.
pub(super) async fn flush(shared: &Arc<Shared>) {
    let looking = Arc::clone(shared);
    // A million grants take a while to look through, for which the house's threads are too few.
    let new = shared
        .house
        .spawn_blocking(move || looking.cache.new_uses());
    for uses in new.await.unwrap_or_default().chunks(BATCH) {
        let kept: Result<(), StoreError> = shared.store.note_used(uses.to_vec()).await;
        if let Err(error) = kept {
            warn!(%error, "last uses were not kept");
            return;
        }
        shared.cache.kept_uses(uses);
    }
}
