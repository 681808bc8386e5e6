//! The retry budget: repetitions stay a share of the traffic, so that an outage is not made worse.
//!
//! One for the process: 20 % of the exchanges that ended in the last 10 s, and 3 a second besides.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::metrics::Metrics;

const WINDOW: Duration = Duration::from_secs(10);
const SHARE: f64 = 0.2;
const FREE_A_SECOND: f64 = 3.0;

/// Counts repetitions against exchanges. Asked only when something failed.
#[derive(Debug)]
pub(crate) struct Budget {
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When a sample was taken, exchanges then, repetitions granted since the sample before.
    samples: VecDeque<(Instant, u64)>,
    granted: VecDeque<Instant>,
}

impl Budget {
    pub(crate) fn new(metrics: Metrics) -> Self {
        let state = State {
            samples: [(Instant::now(), 0)].into(),
            granted: VecDeque::new(),
        };
        Self {
            metrics,
            state: Mutex::new(state),
        }
    }

    /// Notes how many exchanges there were by now; to be called about once a second.
    pub(crate) fn sample(&self) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .samples
            .push_back((now, self.metrics.exchanges_total()));
        while state
            .samples
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            state.samples.pop_front();
        }
    }

    /// Whether one more repetition is within the budget; if so it is counted.
    pub(crate) fn withdraw(&self) -> bool {
        let now = Instant::now();
        let total = self.metrics.exchanges_total();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state
            .granted
            .front()
            .is_some_and(|at| now.duration_since(*at) > WINDOW)
        {
            state.granted.pop_front();
        }
        let before = state.samples.front().map_or(0, |(_, count)| *count);
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let allowed = (total.saturating_sub(before) as f64)
            .mul_add(SHARE, FREE_A_SECOND * WINDOW.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "bounded by `allowed`")]
        let fits = (state.granted.len() as f64) < allowed;
        if fits {
            state.granted.push_back(now);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Outcome;

    #[tokio::test(start_paused = true)]
    async fn repetitions_stay_a_share_of_the_traffic() {
        let metrics = Metrics::default();
        let shard = metrics.shard();
        let budget = Budget::new(metrics);
        for _ in 0..1000 {
            shard.exchange(Outcome::Answered);
        }

        let granted = (0..1000).filter(|_| budget.withdraw()).count();

        assert_eq!(granted, 230, "20 % of 1,000 and 3 a second for 10 s");
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_refills_when_the_window_has_passed() {
        let budget = Budget::new(Metrics::default());
        while budget.withdraw() {}
        assert!(!budget.withdraw());

        tokio::time::advance(WINDOW + Duration::from_secs(1)).await;

        assert!(budget.withdraw());
    }
}
