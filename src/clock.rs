//! The wall clock for expiry sums and log times; tests can shift it.
//!
//! Waits and deadlines use `tokio::time::Instant`; this clock is for times that mean something
//! outside the process: when a token expires, when an incident happened.
//!
//! **Invariant:** nothing else in the crate asks the system for the time of day (a lint holds it).

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::OffsetDateTime;
use tokio::sync::Notify;

/// The time of day, in UTC, with an offset that tests may set. Clones share the offset.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Shift>);

#[derive(Debug, Default)]
struct Shift {
    micros: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// The system's clock, unshifted.
    pub fn system() -> Self {
        Self::default()
    }

    /// Microseconds since the Unix epoch. A system clock set before 1970 counts as 1970.
    pub fn micros(&self) -> i64 {
        let since_epoch = system_now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        micros.saturating_add(self.0.micros.load(Ordering::Relaxed))
    }

    /// Whole seconds since the Unix epoch: the unit in which LinkedIn and the store speak of expiry.
    pub fn seconds(&self) -> i64 {
        self.micros().div_euclid(1_000_000)
    }

    /// The same instant as a date.
    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.micros()) * 1_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Moves this clock (and its clones) forward.
    pub fn advance(&self, by: Duration) {
        self.shift(i64::try_from(by.as_micros()).unwrap_or(i64::MAX));
    }

    /// Moves this clock (and its clones) back, as the system's own may be set back.
    pub fn set_back(&self, by: Duration) {
        self.shift(i64::try_from(by.as_micros()).map_or(i64::MIN, |micros| -micros));
    }

    fn shift(&self, micros: i64) {
        self.0.micros.fetch_add(micros, Ordering::Relaxed);
        self.0.moved.notify_one();
    }

    /// Resolves when the clock was shifted, now or since the last one who waited was told: whoever
    /// sleeps until a time of day looks at the clock again. One may wait at a time. The system's own
    /// jumps are told to nobody: a sleep until a time of day must be bounded.
    pub async fn moved(&self) {
        self.0.moved.notified().await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the system"
)]
fn system_now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_follows_when_the_clock_is_advanced() {
        let clock = Clock::system();
        let clone = clock.clone();
        let before = clone.seconds();

        clock.advance(Duration::from_secs(61 * 86_400));

        assert!(clone.seconds() - before >= 61 * 86_400);
        clone.set_back(Duration::from_secs(62 * 86_400));
        assert!(clock.seconds() < before);
    }

    #[tokio::test]
    async fn whoever_sleeps_by_a_clock_is_told_when_it_moves() {
        let clock = Clock::system();
        clock.advance(Duration::from_secs(1));

        clock.clone().moved().await;
    }
}
