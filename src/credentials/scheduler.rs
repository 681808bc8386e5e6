//! Renewal ahead of time, though nobody calls: one task over all grants.
//!
//! A renewal ahead is begun here alone, be it by the heap or by a call that meets a due token: in
//! its application's rate, in a slot of its own, and not while the application cools down. Callers
//! who cannot go on without a renewal need none of these; a quarter of the permits is theirs.
//!
//! **Invariant:** nothing waits here but the heap: a renewal becomes a task when it begins, so that a
//! hundred thousand due grants are a hundred thousand entries. A sleep is bounded, since the clock of
//! the machine may jump.
//! **Neighbours:** `scheduler::agenda` holds the heap, `credentials::refresher` runs what is begun.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};

use super::{
    Refused,
    refresher::{self, Goal},
    shared::Shared,
};
use crate::{
    exchange::{Member, Name},
    keyring::Fingerprint,
};

mod agenda;

pub(super) use agenda::{Agenda, Planned};

/// The clock is looked at again at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// A clock that went back further than this is a jump, after which everything is planned anew.
const JUMP_SECS: i64 = 60;
/// Entries looked at in one go; then other tasks of the house have their turn.
const AT_ONCE: usize = 1000;
/// When a member is looked at again whose renewal another began, in seconds.
const LOOK_AGAIN_SECS: i64 = 60;
/// Void entries beyond twice the grants and this many are swept out.
const VOID: usize = 1024;

/// What renewals ahead need.
#[derive(Debug)]
pub(super) struct Ahead {
    pub(super) agenda: Arc<Agenda>,
    /// Renewals ahead at once: three quarters of all, so that callers find room.
    slots: Arc<Semaphore>,
    is_closed: AtomicBool,
}

impl Ahead {
    pub(super) fn new(max_concurrent: usize, agenda: Arc<Agenda>) -> Self {
        Self {
            agenda,
            slots: Arc::new(Semaphore::new((max_concurrent * 3 / 4).max(1))),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Room for one more renewal ahead, if there is some.
    fn slot(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(Slot {
            permit: Some(permit),
            agenda: Arc::clone(&self.agenda),
        })
    }

    /// No renewal ahead begins any more.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.agenda.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

/// Room for one renewal ahead. However it is given back, the scheduler hears of it: it may have met
/// full slots and rest.
struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    agenda: Arc<Agenda>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // First: whoever is woken looks whether there is room.
        drop(self.permit.take());
        self.agenda.wake();
    }
}

impl Drop for Ahead {
    /// The scheduler sees that its owner is gone.
    fn drop(&mut self) {
        self.agenda.wake();
    }
}

/// What came of a renewal that was to begin ahead of time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Yes,
    /// One of this member is under way.
    UnderWay,
    /// The member or its application cools down for so long.
    Cooling(Duration),
    /// No slot or no rate is left.
    NoRoom,
}

/// Who wants a renewal ahead of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The heap, which has given the entry away.
    Heap,
    /// A call that met a due token; the heap has the entry still.
    Call,
}

/// Begins a renewal ahead of time, if it may begin now. Nobody waits for it.
pub(super) fn begin(
    shared: &Arc<Shared>,
    member: &Member,
    replaced: &Fingerprint,
    by: By,
) -> Begun {
    if shared.flights.is_under_way(member) {
        return Begun::UnderWay;
    }
    if let Some(cooling) = cooling(shared.cooling.of(member)) {
        return cooling;
    }
    let Some(slot) = shared.ahead.slot() else {
        return Begun::NoRoom;
    };
    if !shared.ahead.agenda.spend(&member.application) {
        return Begun::NoRoom;
    }
    // Last: whoever claims and does not begin would keep the others waiting for its probe.
    if let Some(cooling) = cooling(shared.cooling.claim(member)) {
        shared.ahead.agenda.give_back(&member.application);
        return cooling;
    }
    let goal = Goal {
        replaced: Some(replaced.clone()),
        is_refused: false,
    };
    let flight = refresher::join(shared, member, goal);
    let (shared, member) = (Arc::clone(shared), member.clone());
    let house = shared.house.clone();
    house.spawn(async move {
        // Its outcome stands in the cache, in the cooling and in the counters.
        drop(refresher::wait(flight).await);
        if by == By::Heap {
            plan_again(&shared, &member, LOOK_AGAIN_SECS);
        }
        drop(slot);
    });
    Begun::Yes
}

fn cooling(refused: Option<Refused>) -> Option<Begun> {
    match refused? {
        Refused::TryLater { after, .. } => Some(Begun::Cooling(after)),
        Refused::SignInNeeded { .. } => None,
    }
}

/// Plans the renewal of a grant that is still as due as before: once it has cooled down.
fn plan_again(shared: &Shared, member: &Member, otherwise_secs: i64) {
    let now = shared.now();
    let Some(planned) = shared.cache.planned(member).filter(|p| p.due <= now) else {
        return;
    };
    let after = match cooling(shared.cooling.of(member)) {
        Some(Begun::Cooling(after)) => whole_secs(after),
        _ => otherwise_secs,
    };
    let due = now.saturating_add(after);
    shared.ahead.agenda.plan(Planned { due, ..planned });
}

/// Whole seconds, at least one and never too few.
fn whole_secs(time: Duration) -> i64 {
    i64::try_from(time.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_add(1)
}

/// Renews ahead of time until the credentials are gone or drained.
pub(super) async fn run(shared: Weak<Shared>) {
    let Some((agenda, clock)) = shared
        .upgrade()
        .map(|shared| (Arc::clone(&shared.ahead.agenda), shared.clock.clone()))
    else {
        return;
    };
    let mut last = clock.seconds();
    let mut turn = 0;
    loop {
        let Some(shared) = shared.upgrade().filter(|shared| !shared.ahead.is_closed()) else {
            return;
        };
        let now = shared.now();
        if now < last.saturating_sub(JUMP_SECS) {
            warn!(
                back_secs = last - now,
                "the clock went back: renewals are planned anew"
            );
            agenda.replace(|| shared.cache.all_planned());
        } else if agenda.len() > shared.cache.len() * 2 + VOID {
            agenda.replace(|| shared.cache.all_planned());
        }
        last = now;
        turn += 1;
        let rest = round(&shared, now, turn);
        drop(shared);
        if rest.is_zero() {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = agenda.changed() => {}
            () = clock.moved() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Begins what may begin now; returns how long nothing is to be done unless told.
fn round(shared: &Arc<Shared>, now: i64, turn: usize) -> Duration {
    let mut applications = shared.ahead.agenda.applications();
    // Each application is the first one in turn: none takes all slots from the others.
    let first = turn % applications.len().max(1);
    applications.rotate_left(first);
    let rests = applications.iter().map(|name| lane(shared, name, now));
    rests.min().unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
}

/// The same for one application.
fn lane(shared: &Arc<Shared>, application: &Name, now: i64) -> Duration {
    let agenda = &shared.ahead.agenda;
    if !shared.applications.contains_key(application) {
        // Taken out of the configuration: its grants rest in the store until it is back.
        return LONGEST_SLEEP;
    }
    for _ in 0..AT_ONCE {
        let Some(due) = agenda.first_due(application) else {
            return LONGEST_SLEEP;
        };
        if due > now {
            return Duration::from_secs(u64::try_from(due - now).unwrap_or_default());
        }
        if let Some(Begun::Cooling(after)) = cooling(shared.cooling.of_application(application)) {
            return after.max(Duration::from_millis(100));
        }
        if shared.ahead.slots.available_permits() == 0 {
            // Who gives one back wakes us.
            return LONGEST_SLEEP;
        }
        let wait = agenda.wait(application);
        if !wait.is_zero() {
            return wait.max(Duration::from_millis(1));
        }
        if let Some(planned) = agenda.take_due(application, now) {
            one(shared, planned, now);
        }
    }
    Duration::ZERO
}

/// One entry that came up: begun, planned for later, or void.
fn one(shared: &Arc<Shared>, planned: Planned, now: i64) {
    let member = &planned.member;
    let Some(current) = shared.cache.planned(member) else {
        return;
    };
    if current.version != planned.version {
        // The later version was planned when it was published.
        return;
    }
    if current.due > now {
        return shared.ahead.agenda.plan(current);
    }
    let Some(grant) = shared.cache.grant(member).filter(|g| g.is_renewable(now)) else {
        return;
    };
    match begin(shared, member, &grant.access.fingerprint, By::Heap) {
        Begun::Yes => debug!(%member, "a renewal ahead of time begins"),
        Begun::UnderWay => plan_again(shared, member, LOOK_AGAIN_SECS),
        Begun::Cooling(_) => plan_again(shared, member, 1),
        Begun::NoRoom => shared.ahead.agenda.plan(planned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slot_that_is_given_back_wakes_the_scheduler() {
        let ahead = Ahead::new(1, Arc::new(Agenda::new(1)));
        let slot = ahead.slot().unwrap();
        assert!(ahead.slot().is_none());
        let limit = Duration::from_millis(20);
        let told = tokio::time::timeout(limit, ahead.agenda.changed()).await;
        assert!(told.is_err(), "nothing was given back yet");

        drop(slot);

        ahead.agenda.changed().await;
        assert!(ahead.slot().is_some());
    }
}
