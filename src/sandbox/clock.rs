//! LinkedIn's clock: the real time plus what a test has advanced it by.
//!
//! **Invariant:** it never goes back; every expiry in the sandbox is measured against it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds in one second.
pub(crate) const SECOND: u64 = 1_000_000;

/// A clock that can be moved forward.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_micros: AtomicU64,
}

impl Clock {
    /// Microseconds since the Unix epoch.
    pub(crate) fn micros(&self) -> u64 {
        real_micros().saturating_add(self.ahead_micros.load(Ordering::Relaxed))
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn secs(&self) -> u64 {
        self.micros() / SECOND
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead_micros
            .fetch_add(micros_of(by), Ordering::Relaxed);
    }
}

/// A duration in whole microseconds, at most what a `u64` holds.
pub(crate) fn micros_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the sandbox shares no code with the gateway, so it reads the time here and only here"
)]
fn real_micros() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, micros_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advanced_clock_stays_ahead() {
        let clock = Clock::default();
        let before = clock.secs();
        clock.advance(Duration::from_secs(59 * 86_400));
        assert!(clock.secs() >= before + 59 * 86_400);
    }
}
