//! Failed renewals are remembered, so that a failure costs one POST and not one per request.
//!
//! **Invariant:** nothing is asked of the token endpoint for a member, or an application, that
//! cools down; the waits double and are spread, so that a thousand members do not return at once.

use std::{sync::Arc, time::Duration};

use dashmap::DashMap;
use tokio::time::Instant;

use super::Refused;
use crate::exchange::{Member, Name};

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
    reason: Arc<str>,
}

/// Who cools down, and until when.
#[derive(Debug)]
pub(super) struct Cooling {
    first: Duration,
    longest: Duration,
    failed: DashMap<Scope, Failed>,
}

impl Cooling {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        let failed = DashMap::new();
        Self {
            first,
            longest,
            failed,
        }
    }

    /// Notes a failure; `at_least` is LinkedIn's `Retry-After`. Returns what to tell those who wait.
    pub(super) fn failed(&self, scope: Scope, reason: &str, at_least: Option<Duration>) -> Refused {
        let reason: Arc<str> = reason.into();
        let now = Instant::now();
        let mut entry = self.failed.entry(scope).or_insert_with(|| Failed {
            times: 0,
            until: now,
            reason: Arc::clone(&reason),
        });
        let ceiling = ceiling(self.first, self.longest, entry.times);
        let after = spread(ceiling, rand::random()).max(at_least.unwrap_or_default());
        entry.times = entry.times.saturating_add(1);
        entry.until = now + after;
        entry.reason = Arc::clone(&reason);
        Refused::TryLater { after, reason }
    }

    /// Whether `member`, or its application, cools down now.
    pub(super) fn of(&self, member: &Member) -> Option<Refused> {
        if self.failed.is_empty() {
            return None;
        }
        let application = Scope::Application(member.application.clone());
        self.still(&Scope::Member(member.clone()))
            .or_else(|| self.still(&application))
    }

    fn still(&self, scope: &Scope) -> Option<Refused> {
        let failed = self.failed.get(scope)?;
        let after = failed.until.checked_duration_since(Instant::now())?;
        if after.is_zero() {
            return None;
        }
        let reason = Arc::clone(&failed.reason);
        Some(Refused::TryLater { after, reason })
    }

    /// A renewal worked, or the member signed in again: nothing is held against either any more.
    pub(super) fn forgive(&self, member: &Member) {
        if !self.failed.is_empty() {
            let application = Scope::Application(member.application.clone());
            self.failed.remove(&Scope::Member(member.clone()));
            self.failed.remove(&application);
        }
    }

    /// Nothing is held against the member any more; its application is another matter.
    pub(super) fn forgive_member(&self, member: &Member) {
        self.failed.remove(&Scope::Member(member.clone()));
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
        Cooling::new(Duration::from_secs(30), Duration::from_secs(1800))
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
