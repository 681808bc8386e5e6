//! What the admin listener is told about the parts.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    admin::{NotReady, Source, Traffic},
    alerts::Alerts,
    credentials::{Credentials, GrantState, Window},
    incident::{Recorder, index::keeper::Health},
    metrics::{Gauges, Metrics},
    proxy::Proxy,
};

/// The parts as seen from outside.
pub(super) struct Status {
    pub(super) draining: AtomicBool,
    pub(super) log_lines_dropped: AtomicU64,
    proxy: Mutex<Option<Proxy>>,
    recorder: Recorder,
    credentials: Credentials,
    alerts: Alerts,
    metrics: Metrics,
    index: Health,
}

impl Status {
    pub(super) fn new(
        proxy: Proxy,
        recorder: Recorder,
        credentials: Credentials,
        alerts: Alerts,
        metrics: Metrics,
        index: Health,
    ) -> Self {
        Self {
            draining: AtomicBool::new(false),
            log_lines_dropped: AtomicU64::new(0),
            proxy: Mutex::new(Some(proxy)),
            recorder,
            credentials,
            alerts,
            metrics,
            index,
        }
    }

    /// Asks the path something, while it runs.
    pub(super) fn with_proxy<T>(&self, ask: impl FnOnce(&Proxy) -> T) -> Option<T> {
        self.proxy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(ask)
    }

    /// Takes the path away, to end it.
    pub(super) fn take_proxy(&self) -> Option<Proxy> {
        self.proxy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Source for Arc<Status> {
    fn not_ready(&self) -> Vec<NotReady> {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Relaxed) {
            reasons.push(NotReady {
                reason: "draining",
                detail: "the gateway is being stopped".into(),
            });
        }
        if let Err(detail) = self.recorder.health() {
            reasons.push(NotReady {
                reason: "support_log",
                detail,
            });
        }
        if !self.credentials.is_store_healthy() {
            let detail = "a renewed grant could not be saved yet; it is served from memory".into();
            reasons.push(NotReady {
                reason: "store",
                detail,
            });
        }
        reasons
    }

    fn traffic(&self) -> Traffic {
        let trouble = self.recorder.trouble();
        Traffic {
            exchanges: self.metrics.exchanges_total(),
            incidents: self.metrics.incidents_total(),
            trips: self.metrics.attempts_total(),
            failing_trips: trouble.failed_attempts(),
            members_hit: trouble.members_within(OF_LATE),
        }
    }

    fn metrics(&self) -> String {
        let backlog = self.credentials.backlog();
        let log = self.recorder.figures();
        self.metrics.text(&Gauges {
            grants: grants(&self.credentials),
            grants_ending: ending(&self.credentials),
            renewals_waiting: backlog.waiting as u64,
            renewals_under_way: backlog.under_way as u64,
            renewals_behind_secs: backlog.behind_secs,
            applications_cooling: backlog.applications_cooling as u64,
            alerts: self.alerts.counts(),
            alerts_waiting: self.alerts.waiting(),
            in_flight: self.with_proxy(Proxy::in_flight).unwrap_or(0) as u64,
            is_support_log_healthy: self.recorder.is_healthy(),
            index_behind_bytes: self.index.behind_bytes(),
            is_index_healthy: self.index.trouble().is_none(),
            support_log_bytes: [log.record_bytes, log.body_bytes],
            support_log_waiting_bytes: log.waiting_bytes,
            support_log_oldest_secs: log.oldest_secs,
            support_log_written_micros: log.written_micros,
            support_log_synced_micros: log.synced_micros,
            is_store_healthy: self.credentials.is_store_healthy(),
            log_lines_dropped: self.log_lines_dropped.load(Ordering::Relaxed),
        })
    }
}

/// How far back members count as hit by LinkedIn's failures.
const OF_LATE: Duration = Duration::from_secs(600);

/// Every state, those without grants included, so that no series comes and goes.
fn grants(credentials: &Credentials) -> Vec<(&'static str, u64)> {
    let counts = credentials.counts_by_state();
    let count = |state| counts.get(&state).copied().unwrap_or(0) as u64;
    GrantState::ALL
        .into_iter()
        .map(|state| (state.as_str(), count(state)))
        .collect()
}

/// The same for the windows.
fn ending(credentials: &Credentials) -> Vec<(&'static str, u64)> {
    let counts = credentials.counts_by_window();
    let count = |window| counts.get(&window).copied().unwrap_or(0) as u64;
    Window::ALL
        .into_iter()
        .map(|window| (window.as_str(), count(window)))
        .collect()
}
