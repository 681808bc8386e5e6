//! Runs flights: one per member and process, each a task of the house that nobody cancels.
//!
//! **Invariant:** whoever waits for a flight may leave; the flight goes on to its save. A flight
//! that ends in whatever way, panic included, leaves the map, so that no member hangs.
//! **Neighbours:** `credentials::flight` decides, `credentials::run` does.

use std::{sync::Arc, time::Duration};

use dashmap::{DashMap, mapref::entry::Entry};
use tokio::sync::{Semaphore, watch};

use super::{Refused, Token, run::Run, shared::Shared};
use crate::{exchange::Member, keyring::Fingerprint};

/// How a flight ended, for all who wait.
pub(super) type Told = Result<Token, Refused>;

/// Which token is to be replaced, and why.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    /// The token that must not be the answer; none: there is none yet.
    pub(super) replaced: Option<Fingerprint>,
    /// Whether LinkedIn refused it, as opposed to its time being over or nearly so.
    pub(super) is_refused: bool,
}

/// The flights under way.
#[derive(Debug)]
pub(super) struct Flights {
    by_member: DashMap<Member, watch::Receiver<Option<Told>>>,
    under_way: watch::Sender<usize>,
    /// Renewals at once: LinkedIn throttles frequent minting (linkedin.md §1.5).
    pub(super) permits: Arc<Semaphore>,
}

impl Flights {
    pub(super) fn new(max_concurrent: usize) -> Self {
        Self {
            by_member: DashMap::new(),
            under_way: watch::Sender::new(0),
            permits: Arc::new(Semaphore::new(max_concurrent.max(1))),
        }
    }

    pub(super) fn is_under_way(&self, member: &Member) -> bool {
        self.by_member.contains_key(member)
    }

    /// How many flights, and other saves, are under way.
    pub(super) fn count(&self) -> usize {
        *self.under_way.borrow()
    }

    /// Resolves once nothing is under way.
    pub(super) async fn landed(&self) {
        let mut under_way = self.under_way.subscribe();
        // The sender lives as long as `self`.
        drop(under_way.wait_for(|count| *count == 0).await);
    }
}

/// Counts a piece of work for [`Flights::landed`] while it lives.
pub(super) struct UnderWay(Arc<Shared>);

impl UnderWay {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.flights.under_way.send_modify(|count| *count += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let under_way = &self.0.flights.under_way;
        under_way.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Takes the flight out of the map, whatever way it ends.
pub(super) struct Landing {
    shared: Arc<Shared>,
    member: Member,
    _counted: UnderWay,
}

impl Landing {
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.shared.flights.by_member.remove(&self.member);
    }
}

/// Joins the member's flight, or starts one.
pub(super) fn join(
    shared: &Arc<Shared>,
    member: &Member,
    goal: Goal,
) -> watch::Receiver<Option<Told>> {
    match shared.flights.by_member.entry(member.clone()) {
        Entry::Occupied(flight) => flight.get().clone(),
        Entry::Vacant(place) => {
            let (told, waiting) = watch::channel(None);
            place.insert(waiting.clone());
            let landing = Landing {
                shared: Arc::clone(shared),
                member: member.clone(),
                _counted: UnderWay::new(shared),
            };
            let run = Run::new(landing, member.clone(), goal, told);
            shared.house.spawn(run.fly());
            waiting
        }
    }
}

/// Waits until a flight has told and left the map, for at most `limit`.
pub(super) async fn gone(mut flight: watch::Receiver<Option<Told>>, limit: Duration) {
    let closing = async { while flight.changed().await.is_ok() {} };
    // Over the limit it is still saving; whoever asks again learns that.
    drop(tokio::time::timeout(limit, closing).await);
}

/// Waits for the end of a flight.
pub(super) async fn wait(mut flight: watch::Receiver<Option<Told>>) -> Told {
    let broken_off = || Refused::TryLater {
        after: Duration::from_secs(1),
        reason: "the renewal broke off".into(),
    };
    match flight.wait_for(Option::is_some).await {
        Ok(told) => told.clone().unwrap_or_else(|| Err(broken_off())),
        Err(_) => Err(broken_off()),
    }
}
