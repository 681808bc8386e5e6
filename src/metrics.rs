//! Every number we publish, in one table.
//!
//! Each path thread counts in its own shard, so that a good request never touches a cache line that
//! another thread writes; a scrape adds the shards up.
//!
//! **Invariant:** label values come from the enums here, never from input; no member is ever a label.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::exchange::{Fault, Outcome};

mod exposition;

pub use exposition::{CONTENT_TYPE, Gauges};

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptReason {
    /// The exchange's first.
    First,
    /// After a renewal, with a new token.
    Renewed,
    /// After LinkedIn's lag on a fresh token.
    FreshTokenLag,
    /// After a 429.
    Throttled,
    /// After a 5xx.
    ServerError,
    /// After a lost connection or a time-out.
    Lost,
    /// After a failure that provably sent nothing.
    NotSent,
}

impl AttemptReason {
    /// All reasons, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::First,
        Self::Renewed,
        Self::FreshTokenLag,
        Self::Throttled,
        Self::ServerError,
        Self::Lost,
        Self::NotSent,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Renewed => "renewed",
            Self::FreshTokenLag => "fresh_token_lag",
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Lost => "lost",
            Self::NotSent => "not_sent",
        }
    }
}

/// How a renewal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalResult {
    /// A new access token is in use.
    Renewed,
    /// LinkedIn's word: the grant is dead.
    SignInNeeded,
    /// Our configuration is at fault.
    Misconfigured,
    /// It may work later.
    TryLater,
    /// LinkedIn answered, but the store could not keep it.
    Unsaved,
}

impl RenewalResult {
    /// All results, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::Renewed,
        Self::SignInNeeded,
        Self::Misconfigured,
        Self::TryLater,
        Self::Unsaved,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::SignInNeeded => "sign_in_needed",
            Self::Misconfigured => "misconfigured",
            Self::TryLater => "try_later",
            Self::Unsaved => "unsaved",
        }
    }
}

/// Upper bounds of the overhead histogram, in seconds; one more bucket takes the rest.
pub const OVERHEAD_BOUNDS: [f64; 12] = [
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0, 10.0,
];

/// The counters of one thread. Aligned so that two threads never share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Shard {
    exchanges: [AtomicU64; 4],
    attempts: [AtomicU64; 7],
    renewals: [AtomicU64; 5],
    incidents: [AtomicU64; 4],
    callers_left: AtomicU64,
    parser_refusals: AtomicU64,
    connections_refused: AtomicU64,
    incidents_dropped: AtomicU64,
    late_records: AtomicU64,
    log_write_failures: AtomicU64,
    log_sync_failures: AtomicU64,
    overhead: [AtomicU64; 13],
    overhead_nanos: AtomicU64,
}

fn bump(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shard {
    /// Counts an exchange that ended.
    pub fn exchange(&self, outcome: Outcome) {
        bump(self.exchanges.get(outcome as usize));
    }

    /// Counts an attempt that began.
    pub fn attempt(&self, reason: AttemptReason) {
        bump(self.attempts.get(reason as usize));
    }

    /// Counts a renewal that ended.
    pub fn renewal(&self, result: RenewalResult) {
        bump(self.renewals.get(result as usize));
    }

    /// Counts an incident that was recorded.
    pub fn incident(&self, fault: Fault) {
        bump(self.incidents.get(fault as usize));
    }

    /// Counts an incident that could not be kept.
    pub fn incident_dropped(&self) {
        bump(Some(&self.incidents_dropped));
    }

    /// Counts a failed answer that went out before its record was written (`hold_ms` was over).
    pub fn late_record(&self) {
        bump(Some(&self.late_records));
    }

    /// Counts a write of the support log that the disk refused, however many records it held.
    pub fn log_write_failed(&self) {
        bump(Some(&self.log_write_failures));
    }

    /// Counts a sync of the support log that the disk refused.
    pub fn log_sync_failed(&self) {
        bump(Some(&self.log_sync_failures));
    }

    /// Counts a caller that hung up before its answer.
    pub fn caller_left(&self) {
        bump(Some(&self.callers_left));
    }

    /// Counts a request that the HTTP parser refused by itself.
    pub fn parser_refusal(&self) {
        bump(Some(&self.parser_refusals));
    }

    /// Counts a connection turned away (over `max_connections`, out of descriptors).
    pub fn connection_refused(&self) {
        bump(Some(&self.connections_refused));
    }

    /// Notes the time an exchange spent in Linkgate itself: neither LinkedIn's nor the caller's.
    pub fn overhead(&self, spent: Duration) {
        let seconds = spent.as_secs_f64();
        let bucket = OVERHEAD_BOUNDS
            .iter()
            .take_while(|bound| seconds > **bound)
            .count();
        bump(self.overhead.get(bucket));
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.overhead_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// All shards, and the gauges that are read when scraped. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Vec<Arc<Shard>>>>);

impl Metrics {
    /// A new shard for the calling thread or task.
    pub fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::default());
        self.shards().push(Arc::clone(&shard));
        shard
    }

    /// Exchanges that ended since start: the retry budget is a share of these.
    pub fn exchanges_total(&self) -> u64 {
        let sum = |shard: &Arc<Shard>| {
            shard
                .exchanges
                .iter()
                .map(|n| n.load(Ordering::Relaxed))
                .sum::<u64>()
        };
        self.shards().iter().map(sum).sum()
    }

    /// Trips to LinkedIn that began since start.
    pub fn attempts_total(&self) -> u64 {
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let sum = |shard: &Arc<Shard>| shard.attempts.iter().map(count).sum::<u64>();
        self.shards().iter().map(sum).sum()
    }

    /// Incidents that were recorded since start.
    pub fn incidents_total(&self) -> u64 {
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let sum = |shard: &Arc<Shard>| shard.incidents.iter().map(count).sum::<u64>();
        self.shards().iter().map(sum).sum()
    }

    fn shards(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Shard>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
