//! How many trips LinkedIn failed, and how many members that hit: counted where incidents are written,
//! so that the path counts nothing more.
//!
//! **Invariant:** noted on the writer's thread alone; the members that are remembered are bounded.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Incident;
use crate::exchange::{Attempt, Broken, Member};

/// Members remembered, at most: beyond, "several" is beyond doubt.
const REMEMBERED: usize = 1000;

/// What LinkedIn failed, since the start.
#[derive(Debug, Default)]
pub struct Trouble {
    failed: AtomicU64,
    members: Mutex<HashMap<Member, Instant>>,
}

impl Trouble {
    /// Trips that met a 5xx, were lost, or came too late.
    pub fn failed_attempts(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Members for whom such a trip was made in the last while, at most 1,000.
    pub fn members_within(&self, last: Duration) -> usize {
        let now = Instant::now();
        let mut members = self.members();
        members.retain(|_, at| now.saturating_duration_since(*at) <= last);
        members.len()
    }

    /// Takes an incident into account.
    pub(super) fn note(&self, incident: &Incident) {
        let failed = incident.attempts.iter().filter(|trip| is_linkedins(trip));
        let failed = failed.count() as u64;
        if failed == 0 {
            return;
        }
        self.failed.fetch_add(failed, Ordering::Relaxed);
        if let Some(member) = &incident.member {
            let mut members = self.members();
            if members.len() < REMEMBERED || members.contains_key(member) {
                members.insert(member.clone(), Instant::now());
            }
        }
    }

    fn members(&self) -> MutexGuard<'_, HashMap<Member, Instant>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this trip failed on LinkedIn's side, or on the way there.
fn is_linkedins(trip: &Attempt) -> bool {
    match (&trip.broken, trip.status) {
        (Some((Broken::RequestBody | Broken::Abandoned | Broken::RefusedStream, _)), _) => false,
        (Some(_), _) => true,
        (None, status) => status.is_some_and(|status| status.is_server_error()),
    }
}
