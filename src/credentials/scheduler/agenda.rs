//! What is to be renewed when: one heap per application, and the rate at which it may be taken from.
//!
//! **Invariant:** nothing is ever searched: an entry is put in when a grant is published and dropped
//! when it comes up and no longer holds (its version says so). Due times are wall time, the rate is
//! measured by the monotonic clock.
//! **Neighbours:** `credentials::cache` plans each grant it publishes, `credentials::scheduler` takes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::exchange::{Member, Name};

/// One grant's next renewal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::credentials) struct Planned {
    /// When, in Unix seconds.
    pub(in crate::credentials) due: i64,
    /// Of the grant for which it was planned; any other makes it void.
    pub(in crate::credentials) version: i64,
    pub(in crate::credentials) member: Member,
}

/// One application's renewals: LinkedIn throttles applications, so each has a rate of its own.
#[derive(Debug)]
struct Lane {
    heap: BinaryHeap<Reverse<Planned>>,
    /// Renewals that may begin now.
    tokens: f64,
    /// When `tokens` was last right.
    counted: Instant,
}

#[derive(Debug, Default)]
struct Lanes {
    by_application: BTreeMap<Name, Lane>,
    /// What was planned since a new beginning was made; none: none is being made.
    meanwhile: Option<Vec<Planned>>,
}

/// All renewals ahead.
#[derive(Debug)]
pub(in crate::credentials) struct Agenda {
    lanes: Mutex<Lanes>,
    /// Renewals that may begin in a second, in each lane; as many may begin at once.
    per_second: f64,
    changed: Notify,
}

impl Agenda {
    pub(in crate::credentials) fn new(per_second: u32) -> Self {
        Self {
            lanes: Mutex::default(),
            per_second: f64::from(per_second.max(1)),
            changed: Notify::new(),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lane<'a>(&self, lanes: &'a mut Lanes, application: &Name) -> &'a mut Lane {
        let lanes = &mut lanes.by_application;
        lanes.entry(application.clone()).or_insert_with(|| Lane {
            heap: BinaryHeap::new(),
            tokens: self.per_second,
            counted: Instant::now(),
        })
    }

    /// Puts a renewal in; whoever waits for the earliest one is told if this is it.
    pub(in crate::credentials) fn plan(&self, planned: Planned) {
        let mut lanes = self.lanes();
        if let Some(meanwhile) = &mut lanes.meanwhile {
            meanwhile.push(planned.clone());
        }
        let lane = self.lane(&mut lanes, &planned.member.application);
        let is_first = lane.heap.peek().is_none_or(|first| planned < first.0);
        lane.heap.push(Reverse(planned));
        drop(lanes);
        if is_first {
            self.wake();
        }
    }

    /// Puts very many in: those that a start finds.
    pub(in crate::credentials) fn plan_all(&self, all: Vec<Planned>) {
        let mut heaps: BTreeMap<Name, Vec<Reverse<Planned>>> = BTreeMap::new();
        for planned in all {
            let heap = heaps.entry(planned.member.application.clone());
            heap.or_default().push(Reverse(planned));
        }
        let mut lanes = self.lanes();
        for (name, heap) in heaps {
            let mut heap = BinaryHeap::from(heap);
            self.lane(&mut lanes, &name).heap.append(&mut heap);
        }
        drop(lanes);
        self.wake();
    }

    /// Has the scheduler look again.
    pub(in crate::credentials) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Resolves when there is something new to look at.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The applications that have anything planned.
    pub(super) fn applications(&self) -> Vec<Name> {
        self.lanes().by_application.keys().cloned().collect()
    }

    /// When the application's earliest renewal is due, in Unix seconds.
    pub(super) fn first_due(&self, application: &Name) -> Option<i64> {
        let lanes = self.lanes();
        Some(lanes.by_application.get(application)?.heap.peek()?.0.due)
    }

    /// Takes out the application's earliest renewal if it is due at `now`.
    pub(super) fn take_due(&self, application: &Name, now: i64) -> Option<Planned> {
        let mut lanes = self.lanes();
        let heap = &mut lanes.by_application.get_mut(application)?.heap;
        if heap.peek()?.0.due > now {
            return None;
        }
        heap.pop().map(|Reverse(planned)| planned)
    }

    /// How long until the application's rate lets another renewal begin; zero: now.
    pub(super) fn wait(&self, application: &Name) -> Duration {
        let mut lanes = self.lanes();
        let lane = self.lane(&mut lanes, application);
        lane.count(self.per_second);
        Duration::from_secs_f64((1.0 - lane.tokens).max(0.0) / self.per_second)
    }

    /// Takes from the application's rate; false: it is used up for now.
    pub(super) fn spend(&self, application: &Name) -> bool {
        let mut lanes = self.lanes();
        let lane = self.lane(&mut lanes, application);
        lane.count(self.per_second);
        let may = lane.tokens >= 1.0;
        if may {
            lane.tokens -= 1.0;
        }
        may
    }

    /// Gives back what [`Agenda::spend`] took for a renewal that did not begin.
    pub(super) fn give_back(&self, application: &Name) {
        let mut lanes = self.lanes();
        let lane = self.lane(&mut lanes, application);
        lane.tokens = (lane.tokens + 1.0).min(self.per_second);
    }

    /// How many entries there are, void ones included.
    pub(super) fn len(&self) -> usize {
        let lanes = self.lanes();
        lanes
            .by_application
            .values()
            .map(|lane| lane.heap.len())
            .sum()
    }

    /// Begins anew with what `all` returns and what was planned meanwhile; the rates stay as they are.
    /// A hundred thousand entries are put in order, and the old ones let go, while others go on.
    pub(super) fn replace(&self, all: impl FnOnce() -> Vec<Planned>) {
        self.lanes().meanwhile = Some(Vec::new());
        let mut heaps: BTreeMap<Name, Vec<Reverse<Planned>>> = BTreeMap::new();
        for planned in all() {
            let heap = heaps.entry(planned.member.application.clone());
            heap.or_default().push(Reverse(planned));
        }
        let heaps = heaps.into_iter();
        let mut heaps: BTreeMap<Name, BinaryHeap<Reverse<Planned>>> = heaps
            .map(|(name, heap)| (name, BinaryHeap::from(heap)))
            .collect();
        let mut old = Vec::new();
        let mut lanes = self.lanes();
        for (name, lane) in &mut lanes.by_application {
            let new = heaps.remove(name).unwrap_or_default();
            old.push(std::mem::replace(&mut lane.heap, new));
        }
        for (name, heap) in heaps {
            self.lane(&mut lanes, &name).heap = heap;
        }
        for planned in lanes.meanwhile.take().unwrap_or_default() {
            let lane = self.lane(&mut lanes, &planned.member.application);
            lane.heap.push(Reverse(planned));
        }
        drop(lanes);
        drop(old);
        self.wake();
    }
}

impl Lane {
    /// Adds what time has given since.
    fn count(&mut self, per_second: f64) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.tokens = (self.tokens + passed * per_second).min(per_second);
        self.counted = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(due: i64, name: &str, application: &str) -> Planned {
        Planned {
            due,
            version: 1,
            member: Member {
                application: application.parse().unwrap(),
                name: Some(name.parse().unwrap()),
            },
        }
    }

    fn default() -> Name {
        "default".parse().unwrap()
    }

    #[tokio::test]
    async fn the_earliest_comes_first_and_nothing_before_its_time() {
        let agenda = Agenda::new(4);
        for (due, name) in [(30, "c"), (10, "a"), (20, "b")] {
            agenda.plan(planned(due, name, "default"));
        }
        agenda.plan(planned(5, "x", "ads"));

        assert_eq!(agenda.first_due(&default()), Some(10));
        assert_eq!(agenda.take_due(&default(), 9), None);
        let due: Vec<i64> = std::iter::from_fn(|| agenda.take_due(&default(), 20))
            .map(|planned| planned.due)
            .collect();
        assert_eq!(due, [10, 20]);
        assert_eq!(agenda.len(), 2);
    }

    #[tokio::test]
    async fn very_many_at_once_are_planned_as_one_by_one() {
        let agenda = Agenda::new(4);
        agenda.plan(planned(20, "b", "default"));
        let more = [(30, "c", "default"), (5, "x", "ads"), (10, "a", "default")];

        agenda.plan_all(more.map(|(due, name, of)| planned(due, name, of)).into());

        agenda.changed().await;
        assert_eq!(agenda.first_due(&"ads".parse().unwrap()), Some(5));
        let due: Vec<i64> = std::iter::from_fn(|| agenda.take_due(&default(), 30))
            .map(|planned| planned.due)
            .collect();
        assert_eq!(due, [10, 20, 30]);
    }

    #[tokio::test]
    async fn whoever_waits_is_told_of_an_earlier_one_only() {
        let agenda = Agenda::new(4);
        agenda.plan(planned(10, "a", "default"));
        agenda.changed().await;

        agenda.plan(planned(20, "b", "default"));
        let told = tokio::time::timeout(Duration::from_millis(20), agenda.changed()).await;
        assert!(told.is_err(), "a later one changes nothing");

        agenda.plan(planned(1, "c", "default"));
        agenda.changed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept_and_each_application_has_its_own() {
        let agenda = Agenda::new(4);
        let burst = (0..100).filter(|_| agenda.spend(&default())).count();
        assert_eq!(burst, 4, "a second's worth at once");
        assert!(agenda.spend(&"ads".parse().unwrap()));
        assert_eq!(agenda.wait(&default()), Duration::from_millis(250));

        let mut begun = 0;
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(10)).await;
            begun += u32::from(agenda.spend(&default()));
        }

        assert!((39..=41).contains(&begun), "{begun} in ten seconds");
        tokio::time::advance(Duration::from_secs(3600)).await;
        let burst = (0..100).filter(|_| agenda.spend(&default())).count();
        assert_eq!(burst, 4, "an idle hour saves nothing up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_of_the_rate_can_be_given_back() {
        let agenda = Agenda::new(2);
        while agenda.spend(&default()) {}

        agenda.give_back(&default());

        assert!(agenda.spend(&default()));
        assert!(!agenda.spend(&default()));
        for _ in 0..9 {
            agenda.give_back(&default());
        }
        let burst = (0..100).filter(|_| agenda.spend(&default())).count();
        assert_eq!(burst, 2, "never more than a second's worth");
    }

    #[tokio::test]
    async fn a_new_beginning_forgets_what_was_planned() {
        let agenda = Agenda::new(4);
        agenda.plan(planned(1, "a", "default"));
        agenda.replace(|| vec![planned(7, "b", "default")]);

        assert_eq!(agenda.first_due(&default()), Some(7));
        assert_eq!(agenda.len(), 1);
    }

    #[tokio::test]
    async fn what_is_planned_during_a_new_beginning_neither_waits_nor_is_lost() {
        let agenda = Agenda::new(4);
        agenda.plan(planned(1, "a", "default"));

        agenda.replace(|| {
            let all = vec![planned(7, "b", "default")];
            agenda.plan(planned(5, "c", "default"));
            agenda.plan(planned(6, "x", "ads"));
            all
        });

        assert_eq!(agenda.first_due(&default()), Some(5));
        assert_eq!(agenda.first_due(&"ads".parse().unwrap()), Some(6));
        assert_eq!(agenda.len(), 3);
        agenda.plan(planned(8, "d", "default"));
        assert_eq!(agenda.len(), 4, "and all is as before");
    }
}
