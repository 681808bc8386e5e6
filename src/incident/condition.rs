//! How the log is doing, readable from any thread without waiting.
//!
//! **Invariant:** nothing here blocks the path: what that notes are atomics. Each mutex guards one short text, and
//! is held for as long as that is copied: when the disk refuses, a self-test ends, or somebody asks for the health.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// How many, and since when (Unix microseconds; 0 = none).
#[derive(Debug, Default)]
struct Tally {
    count: AtomicU64,
    since: AtomicI64,
}

impl Tally {
    fn note(&self, now_micros: i64) {
        // Two first ones at once differ by microseconds: either may stand.
        if self.since.load(Ordering::Relaxed) == 0 {
            self.since.store(now_micros, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Release);
    }

    fn take(&self) -> Option<Noted> {
        let count = self.count.swap(0, Ordering::Acquire);
        let since_micros = self.since.swap(0, Ordering::Relaxed);
        (count > 0).then_some(Noted {
            count,
            since_micros,
        })
    }
}

/// What was noted since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) count: u64,
    pub(super) since_micros: i64,
}

impl Noted {
    pub(super) const NOTHING: Self = Self {
        count: 0,
        since_micros: 0,
    };
}

#[derive(Debug)]
pub(super) struct Condition {
    hold: Duration,
    /// What `busy_since` counts from.
    origin: Instant,
    /// When the oldest record in work was handed over, in microseconds since `origin`, plus 1; 0 = idle.
    busy_since: AtomicU64,
    is_late: AtomicBool,
    is_refused: AtomicBool,
    is_failing: AtomicBool,
    failure: Mutex<String>,
    is_unsynced: AtomicBool,
    is_sync_failure_new: AtomicBool,
    sync_failure: Mutex<String>,
    self_test: Mutex<Option<String>>,
    refusals: Tally,
    lates: Tally,
}

impl Condition {
    pub(super) fn new(hold: Duration) -> Self {
        Self {
            hold,
            origin: Instant::now(),
            busy_since: AtomicU64::new(0),
            is_late: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            failure: Mutex::default(),
            is_unsynced: AtomicBool::new(false),
            is_sync_failure_new: AtomicBool::new(false),
            sync_failure: Mutex::default(),
            self_test: Mutex::default(),
            refusals: Tally::default(),
            lates: Tally::default(),
        }
    }

    /// A record found no room.
    pub(super) fn refused(&self, now_micros: i64) {
        self.refusals.note(now_micros);
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// An answer did not wait for its record.
    pub(super) fn late(&self, now_micros: i64) {
        self.lates.note(now_micros);
        self.is_late.store(true, Ordering::Relaxed);
    }

    /// The writer has begun on records of which the oldest was handed over at `queued`.
    pub(super) fn busy(&self, queued: Instant) {
        let micros = queued.saturating_duration_since(self.origin).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX - 1);
        self.busy_since.store(micros + 1, Ordering::Relaxed);
    }

    /// The writer is through with them, for good or ill.
    pub(super) fn idle(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
    }

    /// A write worked; `waited` is how long its oldest record had to wait.
    pub(super) fn worked(&self, waited: Duration) {
        self.is_failing.store(false, Ordering::Relaxed);
        self.is_refused.store(false, Ordering::Relaxed);
        if waited < self.hold {
            self.is_late.store(false, Ordering::Relaxed);
        }
    }

    /// A write failed.
    pub(super) fn failed(&self, reason: &str) {
        say(&self.failure, reason);
        self.is_failing.store(true, Ordering::Relaxed);
    }

    /// The disk did not confirm what was written.
    pub(super) fn unsynced(&self, reason: &str) {
        say(&self.sync_failure, reason);
        self.is_unsynced.store(true, Ordering::Relaxed);
        self.is_sync_failure_new.store(true, Ordering::Relaxed);
    }

    /// What the disk did not confirm, once.
    pub(super) fn take_sync_failure(&self) -> Option<String> {
        let is_new = self.is_sync_failure_new.swap(false, Ordering::Relaxed);
        is_new.then(|| heard(&self.sync_failure).clone())
    }

    /// Whether that is still so.
    pub(super) fn is_unsynced(&self) -> bool {
        self.is_unsynced.load(Ordering::Relaxed)
    }

    /// It does again.
    pub(super) fn synced(&self) {
        self.is_unsynced.store(false, Ordering::Relaxed);
    }

    /// What the self-test came to; none once it has passed.
    pub(super) fn self_test(&self, failure: Option<String>) {
        *heard(&self.self_test) = failure;
    }

    pub(super) fn take_refusals(&self) -> Option<Noted> {
        self.refusals.take()
    }

    pub(super) fn take_lates(&self) -> Option<Noted> {
        self.lates.take()
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.health().is_ok()
    }

    /// Whether the last write worked: what the writer itself can mend by writing again.
    pub(super) fn is_written(&self) -> bool {
        self.trouble().is_none()
    }

    pub(super) fn health(&self) -> Result<(), String> {
        match self.trouble() {
            None => match heard(&self.self_test).clone() {
                Some(failure) => Err(format!("the support log's self-test: {failure}")),
                None => Ok(()),
            },
            Some(Trouble::Failing) => {
                let failure = heard(&self.failure);
                Err(format!("the support log cannot be written: {failure}"))
            }
            Some(Trouble::Unsynced) => {
                let failure = heard(&self.sync_failure);
                Err(format!(
                    "the disk does not confirm the support log: {failure}"
                ))
            }
            Some(Trouble::Refused) => Err("the support log's queue was full".into()),
            Some(Trouble::Late) => Err("an answer did not wait for its record".into()),
            Some(Trouble::Slow) => Err("a record waits longer than the hold".into()),
        }
    }

    fn trouble(&self) -> Option<Trouble> {
        if self.is_failing.load(Ordering::Relaxed) {
            return Some(Trouble::Failing);
        }
        if self.is_unsynced.load(Ordering::Relaxed) {
            return Some(Trouble::Unsynced);
        }
        if self.is_refused.load(Ordering::Relaxed) {
            return Some(Trouble::Refused);
        }
        if self.is_late.load(Ordering::Relaxed) {
            return Some(Trouble::Late);
        }
        let busy_since = self.busy_since.load(Ordering::Relaxed).checked_sub(1)?;
        let waited = self
            .origin
            .elapsed()
            .checked_sub(Duration::from_micros(busy_since))?;
        (waited > self.hold).then_some(Trouble::Slow)
    }
}

fn say(to: &Mutex<String>, reason: &str) {
    reason.clone_into(&mut heard(to));
}

fn heard<T>(from: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    from.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Trouble {
    Failing,
    Unsynced,
    Refused,
    Late,
    Slow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_record_that_waits_longer_than_the_hold_makes_the_log_unhealthy() {
        let condition = Condition::new(Duration::from_millis(250));

        condition.busy(Instant::now());
        tokio::time::advance(Duration::from_millis(251)).await;

        assert!(!condition.is_healthy());
        condition.idle();
        assert_eq!(condition.health(), Ok(()));
    }

    #[test]
    fn a_late_answer_counts_until_a_write_is_fast_again() {
        let condition = Condition::new(Duration::from_millis(250));

        condition.late(7);
        condition.late(9);
        condition.worked(Duration::from_secs(1));

        assert!(!condition.is_healthy(), "a slow write proves nothing");
        condition.worked(Duration::from_millis(1));
        assert!(condition.is_healthy());
        let noted = Noted {
            count: 2,
            since_micros: 7,
        };
        assert_eq!(condition.take_lates(), Some(noted));
        assert_eq!(condition.take_lates(), None);
    }
}
