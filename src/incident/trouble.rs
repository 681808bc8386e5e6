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
        let is_late = |at: &&Instant| now.saturating_duration_since(**at) <= last;
        self.members().values().filter(is_late).count()
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
            self.hit(member);
        }
    }

    /// Remembers `member`, in the place of the one that was hit longest ago if there is no room.
    fn hit(&self, member: &Member) {
        let mut members = self.members();
        if members.len() >= REMEMBERED && !members.contains_key(member) {
            let oldest = members.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(member, _)| member.clone()) {
                members.remove(&oldest);
            }
        }
        members.insert(member.clone(), Instant::now());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Member {
        Member {
            application: "default".parse().unwrap(),
            name: Some(name.parse().unwrap()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_window_takes_nothing_from_a_longer_one() {
        let trouble = Trouble::default();
        trouble.hit(&member("ada"));
        tokio::time::advance(Duration::from_secs(60)).await;
        trouble.hit(&member("grace"));

        let short = trouble.members_within(Duration::from_secs(30));
        let long = trouble.members_within(Duration::from_secs(120));

        assert_eq!((short, long), (1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_member_hit_longest_ago_makes_room() {
        let trouble = Trouble::default();
        for n in 0..=REMEMBERED {
            trouble.hit(&member(&format!("m{n}")));
            tokio::time::advance(Duration::from_secs(1)).await;
        }

        let members = trouble.members();
        assert_eq!(members.len(), REMEMBERED);
        assert!(!members.contains_key(&member("m0")));
        assert!(members.contains_key(&member(&format!("m{REMEMBERED}"))));
    }
}
