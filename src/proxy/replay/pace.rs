//! How fast a body must come: no longer silence than `body_idle`, no slower than a minimum rate.

use std::{task::Context, time::Duration};

use tokio::time::Instant;

use super::super::alarm::{Alarm, Watch};

/// The limits of `gateway.body_idle_ms` and `gateway.min_body_rate_bytes`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PaceLimits {
    /// Longest silence; also the window over which the rate is measured.
    pub(crate) idle: Duration,
    /// Bytes a second.
    pub(crate) min_rate: u64,
}

/// Watches one body. Only time in which somebody waits for the peer counts.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: PaceLimits,
    watch: Watch,
    waiting_since: Option<Instant>,
    /// Time waited, and bytes that came, since the window began.
    waited: Duration,
    in_window: u64,
}

impl Pace {
    pub(crate) fn new(limits: PaceLimits, alarm: &Alarm) -> Self {
        let watch = alarm.watch_unset();
        Self {
            limits,
            watch,
            waiting_since: None,
            waited: Duration::ZERO,
            in_window: 0,
        }
    }

    /// Notes that bytes came.
    pub(crate) fn note(&mut self, bytes: usize) {
        self.in_window += bytes as u64;
    }

    /// Notes how a poll for the next bytes ended; true if the peer was waited for through a whole
    /// window and sent too little in it. The task is woken when the window ends.
    pub(crate) fn is_stalled(&mut self, is_pending: bool, task: &Context<'_>) -> bool {
        if self.waiting_since.is_none() && !is_pending {
            return false;
        }
        let now = Instant::now();
        if let Some(since) = self.waiting_since.take() {
            self.waited += now.duration_since(since);
        }
        if self.waited >= self.limits.idle {
            let needed = self
                .limits
                .min_rate
                .saturating_mul(self.limits.idle.as_secs())
                .max(1);
            if self.in_window < needed {
                return true;
            }
            (self.waited, self.in_window) = (Duration::ZERO, 0);
        }
        if !is_pending {
            return false;
        }
        self.waiting_since = Some(now);
        self.watch.reset(now + (self.limits.idle - self.waited));
        self.watch.poll_late(task).is_ready()
    }
}
