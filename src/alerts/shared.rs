//! What watch, teller and senders share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{runtime::Handle, sync::Notify};
use tracing::{info, warn};

use super::{Event, Fate, Parts, Post, Settings};
use crate::{
    clock::Clock,
    credentials::Credentials,
    store::{Lost, Outbox},
};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) store: Arc<dyn Outbox>,
    pub(super) credentials: Credentials,
    pub(super) clock: Clock,
    pub(super) house: Handle,
    pub(super) post: Post,
    pub(super) counts: Counts,
    /// One a webhook, in the order of the settings.
    lines: Vec<Line>,
}

/// A webhook's sender, seen from outside.
#[derive(Debug, Default)]
struct Line {
    /// Something may be due.
    wake: Notify,
    /// It said 410.
    is_off: AtomicBool,
}

impl Shared {
    pub(super) fn new(settings: Settings, parts: Parts) -> Self {
        let lines = settings.webhooks.iter().map(|_| Line::default()).collect();
        Self {
            post: Post {
                dialer: parts.dialer,
                clock: parts.clock.clone(),
                limit: settings.attempt_time,
            },
            settings,
            store: parts.store,
            credentials: parts.credentials,
            clock: parts.clock,
            house: parts.house,
            counts: Counts::default(),
            lines,
        }
    }

    /// Something new may be due for any webhook.
    pub(super) fn wake_all(&self) {
        for line in &self.lines {
            line.wake.notify_one();
        }
    }

    /// Resolves when something may be due for this webhook.
    pub(super) async fn woken(&self, at: usize) {
        match self.lines.get(at) {
            Some(line) => line.wake.notified().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn is_off(&self, at: usize) -> bool {
        let line = self.lines.get(at);
        line.is_some_and(|line| line.is_off.load(Ordering::Relaxed))
    }

    pub(super) fn switch_off(&self, at: usize) {
        if let Some(line) = self.lines.get(at) {
            line.is_off.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn switch_on(&self, at: usize) {
        if let Some(line) = self.lines.get(at)
            && line.is_off.swap(false, Ordering::Relaxed)
        {
            info!(line = at, "a webhook that had said 410 takes notices again");
            line.wake.notify_one();
        }
    }

    /// Counts and logs notices that nobody will get.
    pub(super) fn lost(&self, lost: &[Lost], fate: Fate) {
        for Lost { webhook, event } in lost {
            warn!(webhook, event, fate = fate.as_str(), "a notice is dropped");
            if let Some(event) = Event::of(event) {
                self.counts.count(event, fate);
            }
        }
    }

    /// Notes how many notices wait, for the metrics.
    pub(super) async fn note_waiting(&self) {
        // A store that fails says so elsewhere; the figure stays.
        if let Ok(waiting) = self.store.count_waiting().await {
            self.counts.waiting.store(waiting, Ordering::Relaxed);
        }
    }
}

/// What became of notices, and how many wait.
#[derive(Debug, Default)]
pub(super) struct Counts {
    by_event: [[AtomicU64; Fate::ALL.len()]; Event::ALL.len()],
    waiting: AtomicU64,
}

impl Counts {
    pub(super) fn count(&self, event: Event, fate: Fate) {
        let row = self.by_event.get(event as usize);
        if let Some(counter) = row.and_then(|row| row.get(fate as usize)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
        let of_event = |event: Event| {
            let row = self.by_event.get(event as usize);
            Fate::ALL.into_iter().map(move |fate| {
                let count = row.and_then(|row| row.get(fate as usize));
                let count = count.map_or(0, |count| count.load(Ordering::Relaxed));
                (event.as_str(), fate.as_str(), count)
            })
        };
        Event::ALL.into_iter().flat_map(of_event).collect()
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}
