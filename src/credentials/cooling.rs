//! Failed renewals are remembered, so that a failure costs one POST and not one per request.
//!
//! A member cools down alone. An application cools down as a whole when LinkedIn throttles it, when it
//! is misconfigured, and when the token endpoint failed several members in a row; once its time is
//! over, one renewal probes for all, and a success lifts what the failures of the endpoint had held
//! against the others.
//!
//! **Invariant:** nothing is asked of the token endpoint for a member, or an application, that
//! cools down; the waits double and are spread, so that a thousand members do not return at once.

use std::{sync::Arc, time::Duration};

use dashmap::DashMap;
use tokio::time::Instant;

use super::Refused;
use crate::exchange::{Member, Name};

/// So many members in a row make it the endpoint's failure and no more a member's.
const ROW: u32 = 5;
/// While one renewal probes, the others are told to come back after this time.
const PROBED: Duration = Duration::from_secs(1);

/// What failed: one member's renewal, or all of an application's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    Member(Member),
    Application(Name),
}

#[derive(Clone, Debug)]
struct Failed {
    times: u32,
    until: Instant,
    /// Until when a probe that was let through may be under way.
    probed_until: Instant,
    reason: Arc<str>,
}

/// Members whose renewals failed one after the other, with no success between them.
#[derive(Debug)]
struct Row {
    count: u32,
    last: Member,
}

/// A renewal that was tried and failed, the member's last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailedAttempt {
    /// When, in Unix seconds.
    pub(super) at: i64,
    pub(super) reason: Arc<str>,
}

/// Who cools down, and until when.
#[derive(Debug)]
pub(super) struct Cooling {
    first: Duration,
    longest: Duration,
    /// A probe that has not ended by then has been lost.
    probe: Duration,
    failed: DashMap<Scope, Failed>,
    rows: DashMap<Name, Row>,
    attempts: DashMap<Member, FailedAttempt>,
}

impl Cooling {
    pub(super) fn new(first: Duration, longest: Duration, probe: Duration) -> Self {
        Self {
            first,
            longest,
            probe,
            failed: DashMap::new(),
            rows: DashMap::new(),
            attempts: DashMap::new(),
        }
    }

    /// Notes a failure; `at_least` is LinkedIn's `Retry-After`. Returns what to tell those who wait.
    pub(super) fn failed(&self, scope: Scope, reason: &str, at_least: Option<Duration>) -> Refused {
        self.note(scope, reason, at_least, self.longest)
    }

    /// Notes that the token endpoint failed a member's renewal: held against the member, or, after a
    /// row of them, against the application. Returns what to tell those who wait.
    pub(super) fn endpoint_failed(
        &self,
        member: &Member,
        reason: &str,
        at_least: Option<Duration>,
    ) -> Refused {
        let application = &member.application;
        let mut row = self.rows.entry(application.clone()).or_insert_with(|| Row {
            count: 0,
            last: member.clone(),
        });
        if row.count == 0 || row.last != *member {
            row.count = row.count.saturating_add(1);
            row.last = member.clone();
        }
        let is_down = row.count >= ROW;
        drop(row);
        if !is_down {
            return self.failed(Scope::Member(member.clone()), reason, at_least);
        }
        self.forgive_member(member);
        // One probe serves all, so it may come often: the first wait is the longest.
        let scope = Scope::Application(application.clone());
        self.note(scope, reason, at_least, self.first)
    }

    fn note(
        &self,
        scope: Scope,
        reason: &str,
        at_least: Option<Duration>,
        longest: Duration,
    ) -> Refused {
        let reason: Arc<str> = reason.into();
        let now = Instant::now();
        let mut entry = self.failed.entry(scope).or_insert_with(|| Failed {
            times: 0,
            until: now,
            probed_until: now,
            reason: Arc::clone(&reason),
        });
        let after = match entry.until.checked_duration_since(now) {
            // One of several that were under way at once: they failed together, not one after another.
            Some(left) if !left.is_zero() => left,
            _ => {
                let ceiling = ceiling(self.first, longest, entry.times);
                entry.times = entry.times.saturating_add(1);
                spread(ceiling, rand::random())
            }
        };
        let after = after.max(at_least.unwrap_or_default());
        entry.until = now + after;
        entry.probed_until = now;
        entry.reason = Arc::clone(&reason);
        Refused::TryLater { after, reason }
    }

    /// Whether `member`, or its application, cools down now, or another probes for it.
    pub(super) fn of(&self, member: &Member) -> Option<Refused> {
        if self.failed.is_empty() {
            return None;
        }
        self.still(&Scope::Member(member.clone()))
            .or_else(|| self.of_application(&member.application))
    }

    /// Whether the application cools down now, or one of its renewals probes for the others.
    pub(super) fn of_application(&self, application: &Name) -> Option<Refused> {
        let failed = self.failed.get(&Scope::Application(application.clone()))?;
        failed.rest().or_else(|| failed.is_probed())
    }

    /// Like [`Cooling::of`], just before a renewal begins: if the application's time is over, this
    /// renewal is the probe, and the others wait for what comes of it.
    pub(super) fn claim(&self, member: &Member) -> Option<Refused> {
        if self.failed.is_empty() {
            return None;
        }
        if let Some(refused) = self.still(&Scope::Member(member.clone())) {
            return Some(refused);
        }
        let application = Scope::Application(member.application.clone());
        let mut failed = self.failed.get_mut(&application)?;
        if let Some(refused) = failed.rest().or_else(|| failed.is_probed()) {
            return Some(refused);
        }
        failed.probed_until = Instant::now() + self.probe;
        None
    }

    /// Whether `member` or its application cools down, a probe under way or not: what a renewal asks
    /// that has waited for its permit.
    pub(super) fn rests(&self, member: &Member) -> Option<Refused> {
        if self.failed.is_empty() {
            return None;
        }
        let application = Scope::Application(member.application.clone());
        self.still(&Scope::Member(member.clone()))
            .or_else(|| self.still(&application))
    }

    /// How often this failed since it last worked, and what the last failure was.
    pub(super) fn failures(&self, scope: &Scope) -> Option<(u32, Arc<str>)> {
        let failed = self.failed.get(scope)?;
        Some((failed.times, Arc::clone(&failed.reason)))
    }

    /// Keeps, for those who look at the member, that a renewal was tried at this time and failed.
    pub(super) fn note_attempt(&self, member: &Member, at: i64, reason: &Arc<str>) {
        let reason = Arc::clone(reason);
        self.attempts
            .insert(member.clone(), FailedAttempt { at, reason });
    }

    /// The member's last renewal, if it failed.
    pub(super) fn last_attempt(&self, member: &Member) -> Option<FailedAttempt> {
        self.attempts.get(member).map(|attempt| attempt.clone())
    }

    fn still(&self, scope: &Scope) -> Option<Refused> {
        self.failed.get(scope)?.rest()
    }

    /// A renewal worked, or the member signed in again: nothing is held against either any more, nor
    /// against the others for what was the endpoint's failure.
    pub(super) fn forgive(&self, member: &Member) {
        let row = self.rows.remove(&member.application);
        self.attempts.remove(member);
        if self.failed.is_empty() {
            return;
        }
        let application = &member.application;
        self.failed.remove(&Scope::Member(member.clone()));
        self.failed.remove(&Scope::Application(application.clone()));
        if row.is_some_and(|(_, row)| row.count >= ROW) {
            self.failed.retain(|scope, _| match scope {
                Scope::Member(other) => other.application != *application,
                Scope::Application(_) => true,
            });
        }
    }

    /// Nothing is held against the member any more; its application is another matter.
    pub(super) fn forgive_member(&self, member: &Member) {
        self.attempts.remove(member);
        self.failed.remove(&Scope::Member(member.clone()));
    }

    /// An operator asks: the member, and its application with it, may be tried now.
    pub(super) fn lift(&self, member: &Member) {
        self.forgive_member(member);
        let application = Scope::Application(member.application.clone());
        if let Some(mut failed) = self.failed.get_mut(&application) {
            failed.until = Instant::now();
        }
    }

    /// How many applications cool down as a whole.
    pub(super) fn applications(&self) -> usize {
        let is_application = |scope: &Scope| matches!(scope, Scope::Application(_));
        let resting = self
            .failed
            .iter()
            .filter(|entry| is_application(entry.key()));
        resting.filter(|entry| entry.rest().is_some()).count()
    }

    /// Whether anybody cools down at all.
    pub(super) fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }
}

impl Failed {
    fn rest(&self) -> Option<Refused> {
        self.refused(self.until.checked_duration_since(Instant::now())?)
    }

    fn is_probed(&self) -> Option<Refused> {
        let left = self.probed_until.checked_duration_since(Instant::now())?;
        self.refused(left.min(PROBED))
    }

    fn refused(&self, after: Duration) -> Option<Refused> {
        let reason = Arc::clone(&self.reason);
        (!after.is_zero()).then_some(Refused::TryLater { after, reason })
    }
}

/// Longest wait after `times` earlier failures: doubles from `first` to `longest`.
fn ceiling(first: Duration, longest: Duration, times: u32) -> Duration {
    let factor = 2_u32.saturating_pow(times.min(20));
    first.saturating_mul(factor).min(longest)
}

/// Full jitter, but never below a tenth: a draw near zero must not turn into a storm.
fn spread(ceiling: Duration, drawn: f64) -> Duration {
    ceiling.mul_f64(0.1 + 0.9 * drawn.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member() -> Member {
        Member {
            application: "default".parse().unwrap(),
            name: Some("ada".parse().unwrap()),
        }
    }

    fn cooling() -> Cooling {
        let probe = Duration::from_secs(15);
        Cooling::new(Duration::from_secs(30), Duration::from_secs(1800), probe)
    }

    fn other(n: usize) -> Member {
        Member {
            name: Some(format!("m{n}").parse().unwrap()),
            ..member()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn several_members_in_a_row_make_it_the_endpoints_failure() {
        let cooling = cooling();
        for _ in 0..20 {
            cooling.endpoint_failed(&other(0), "500", None);
        }
        assert_eq!(
            cooling.of(&member()),
            None,
            "one member's trouble is its own"
        );
        for n in 1..4 {
            cooling.endpoint_failed(&other(n), "500", None);
        }
        assert_eq!(cooling.of(&member()), None, "four members");
        cooling.forgive(&other(9));
        for n in 0..4 {
            cooling.endpoint_failed(&other(n), "500", None);
        }
        assert_eq!(cooling.of(&member()), None, "a success between them");

        cooling.endpoint_failed(&other(4), "500", None);

        assert!(cooling.of(&member()).is_some());
        assert!(cooling.rests(&member()).is_some());
        assert_eq!(cooling.applications(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_renewal_probes_and_its_success_frees_all() {
        let cooling = cooling();
        for n in 0..10 {
            cooling.endpoint_failed(&other(n), "500", None);
        }
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(
            cooling.of(&member()),
            None,
            "the application's time is over"
        );

        assert_eq!(cooling.claim(&member()), None);

        let others = cooling.claim(&other(20));
        assert!(matches!(others, Some(Refused::TryLater { after, .. }) if after == PROBED));
        assert!(cooling.of(&other(20)).is_some());
        assert_eq!(cooling.rests(&member()), None, "the probe itself goes on");
        cooling.endpoint_failed(&member(), "500", None);
        assert!(cooling.rests(&other(20)).is_some(), "a probe that fails");
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(cooling.claim(&other(20)), None);
        cooling.forgive(&other(20));
        for n in 0..10 {
            assert_eq!(cooling.claim(&other(n)), None, "{n}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_lost_holds_the_others_no_longer_than_a_post_lasts() {
        let cooling = cooling();
        cooling.failed(Scope::Application("default".parse().unwrap()), "429", None);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(cooling.claim(&other(1)), None);

        tokio::time::advance(Duration::from_secs(15)).await;

        assert_eq!(cooling.claim(&other(2)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_remembered_for_its_wait_and_no_longer() {
        let cooling = cooling();
        assert_eq!(cooling.of(&member()), None);

        let told = cooling.failed(Scope::Member(member()), "503", None);

        let Refused::TryLater { after, .. } = told else {
            panic!("{told:?}")
        };
        assert!(after >= Duration::from_secs(3) && after <= Duration::from_secs(30));
        tokio::time::advance(after - Duration::from_millis(1)).await;
        assert!(cooling.of(&member()).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(cooling.of(&member()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn linkedins_retry_after_is_honoured() {
        let hour = Duration::from_secs(3600);

        let told = cooling().failed(Scope::Member(member()), "429", Some(hour));

        assert!(matches!(told, Refused::TryLater { after, .. } if after == hour));
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_at_fault_cools_all_its_members_and_no_others() {
        let cooling = cooling();
        cooling.failed(Scope::Application("default".parse().unwrap()), "401", None);
        let elsewhere = Member {
            application: "ads".parse().unwrap(),
            ..member()
        };

        assert!(cooling.of(&member()).is_some());
        assert_eq!(cooling.of(&elsewhere), None);
        cooling.forgive(&member());
        assert_eq!(cooling.of(&member()), None);
    }

    proptest! {
        #[test]
        fn waits_double_up_to_the_longest_and_are_spread_below(times in 0..2000_u32, drawn in 0.0..1.0) {
            let (first, longest) = (Duration::from_secs(30), Duration::from_secs(1800));
            let now = ceiling(first, longest, times);
            let next = ceiling(first, longest, times + 1);

            prop_assert!(next == (now * 2).min(longest));
            let wait = spread(now, drawn);
            prop_assert!(wait >= now.mul_f64(0.099) && wait <= now);
        }
    }
}
