//! Ending a read that nobody waits for any more.
//!
//! **Invariant:** a read that was told to stop ends at the next line or segment; what it answers then is not
//! whole, and is meant for nobody.
//! **Neighbours:** `view` and `listing` look at it; the admin listener holds the other end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::Incidents;

/// Whether to stop: looked at between lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Held by whoever waits for a read; dropped, the read ends.
#[derive(Debug)]
pub struct Waiter(Stop);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Incidents {
    /// The same log for one read that ends once the [`Waiter`] is dropped.
    pub fn while_awaited(&self) -> (Self, Waiter) {
        let stop = Stop::default();
        let incidents = Self {
            folder: self.folder.clone(),
            stop: stop.clone(),
        };
        (incidents, Waiter(stop))
    }
}
