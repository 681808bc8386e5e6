//! How large the log is and how far it got, for whoever asks: the metrics.
//!
//! **Invariant:** read from any thread without waiting. The sizes are those of the last sweep and what was
//! written since: never behind by more than a minute.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::segment::Holds;

/// What the writer notes as it goes.
#[derive(Debug, Default)]
pub(super) struct Extent {
    record_bytes: AtomicU64,
    body_bytes: AtomicU64,
    /// Start of the oldest kept segment, in Unix seconds; 0 = none.
    oldest_secs: AtomicI64,
    written_micros: AtomicI64,
    synced_micros: AtomicI64,
}

/// What [`super::Recorder::figures`] tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of all records' segments.
    pub record_bytes: u64,
    /// Bytes of all kept bodies' segments.
    pub body_bytes: u64,
    /// Bytes that were handed over and are not written yet.
    pub waiting_bytes: u64,
    /// Start of the oldest kept day, in Unix seconds; 0 while there is none.
    pub oldest_secs: i64,
    /// When a line was written last, in Unix microseconds; 0 = not since the start.
    pub written_micros: i64,
    /// When the disk last confirmed what was written; 0 = not since the start.
    pub synced_micros: i64,
}

impl Extent {
    fn bytes(&self, holds: Holds) -> &AtomicU64 {
        match holds {
            Holds::Lines => &self.record_bytes,
            Holds::Bodies => &self.body_bytes,
        }
    }

    /// So many bytes were appended.
    pub(super) fn grew(&self, holds: Holds, bytes: usize) {
        self.bytes(holds).fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All segments together are so large, and the oldest began then.
    pub(super) fn measured(&self, holds: Holds, bytes: u64, oldest_secs: Option<i64>) {
        self.bytes(holds).store(bytes, Ordering::Relaxed);
        if holds == Holds::Lines {
            self.oldest_secs
                .store(oldest_secs.unwrap_or_default(), Ordering::Relaxed);
        }
    }

    pub(super) fn written(&self, now_micros: i64) {
        self.written_micros.store(now_micros, Ordering::Relaxed);
    }

    pub(super) fn synced(&self, now_micros: i64) {
        self.synced_micros.store(now_micros, Ordering::Relaxed);
    }

    pub(super) fn figures(&self, waiting_bytes: u64) -> Figures {
        Figures {
            record_bytes: self.record_bytes.load(Ordering::Relaxed),
            body_bytes: self.body_bytes.load(Ordering::Relaxed),
            waiting_bytes,
            oldest_secs: self.oldest_secs.load(Ordering::Relaxed),
            written_micros: self.written_micros.load(Ordering::Relaxed),
            synced_micros: self.synced_micros.load(Ordering::Relaxed),
        }
    }
}
