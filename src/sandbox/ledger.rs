//! Keeps the counts and the record of requests, and wakes those who wait for them.
//!
//! **Invariant:** no lock is held across an await; the record holds at most 20,000 requests and
//! 256 MiB.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::counts::{Counts, PostCreated, Received};
use super::request::{Head, HttpVersion};

const KEPT_REQUESTS: usize = 20_000;
const KEPT_REQUEST_BYTES: usize = 256 << 20;
const KEPT_POSTS: usize = 200_000;
const KEPT_CONNECTIONS: usize = 20_000;
const KEPT_MALFORMED: usize = 1_000;

/// A lock that a panic in another thread does not spoil: what it guards is only ever counted up.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything the sandbox remembers about its traffic.
#[derive(Debug)]
pub(crate) struct Ledger {
    counts: Mutex<Counts>,
    changed: Condvar,
    open_connections: watch::Sender<u64>,
    record: Option<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    kept: VecDeque<Received>,
    next_number: u64,
    weight: usize,
}

/// What went back, for the record.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) status: u16,
    pub(crate) head: Bytes,
    pub(crate) headers: Vec<(String, String)>,
}

impl Ledger {
    /// An empty ledger; it keeps requests only if asked to.
    pub(crate) fn new(record_requests: bool) -> Self {
        Self {
            counts: Mutex::default(),
            changed: Condvar::new(),
            open_connections: watch::Sender::new(0),
            record: record_requests.then(Mutex::default),
        }
    }

    /// A copy of the counts.
    pub(crate) fn snapshot(&self) -> Counts {
        hold(&self.counts).clone()
    }

    /// Changes the counts and wakes whoever waits for them.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut hold(&self.counts));
        self.changed.notify_all();
    }

    /// A connection was accepted; gives its number.
    pub(crate) fn connection_opened(&self) -> u64 {
        let mut counts = hold(&self.counts);
        counts.connections.accepted += 1;
        let number = counts.connections.accepted;
        counts.connections.requests.insert(number, 0);
        if counts.connections.requests.len() > KEPT_CONNECTIONS {
            counts.connections.requests.pop_first();
        }
        self.open_connections
            .send_replace(counts.connections.open());
        drop(counts);
        self.changed.notify_all();
        number
    }

    /// A connection is gone.
    pub(crate) fn connection_closed(&self) {
        self.note(|counts| {
            counts.connections.closed += 1;
            self.open_connections
                .send_replace(counts.connections.open());
        });
    }

    /// Follows the number of open connections.
    pub(crate) fn open_connections(&self) -> watch::Receiver<u64> {
        self.open_connections.subscribe()
    }

    /// A head arrived; gives the request's number in the record.
    pub(crate) fn head_arrived(&self, head: &Head, route: &str, connection: u64) -> u64 {
        self.note(|counts| {
            counted(counts, route, |count| count.received += 1);
            match head.version {
                HttpVersion::Http1 => counts.http1_requests += 1,
                HttpVersion::Http2 => counts.http2_requests += 1,
            }
            if let Some(requests) = counts.connections.requests.get_mut(&connection) {
                *requests += 1;
            }
        });
        self.record
            .as_ref()
            .map_or(0, |record| hold(record).keep(head, route, connection))
    }

    /// One more key under which the request is counted, known only when its body is.
    pub(crate) fn also_received(&self, key: &str) {
        self.note(|counts| counted(counts, key, |count| count.received += 1));
    }

    /// The request did what it asked for.
    pub(crate) fn processed(&self, key: &str) {
        self.note(|counts| counted(counts, key, |count| count.processed += 1));
    }

    /// A post exists.
    pub(crate) fn post_created(&self, post: PostCreated) {
        self.note(|counts| {
            counts.posts_created += 1;
            counts.posts.push_back(post);
            if counts.posts.len() > KEPT_POSTS {
                counts.posts.pop_front();
            }
        });
    }

    /// Something came that is no HTTP.
    pub(crate) fn malformed(&self, why: &str) {
        self.note(|counts| {
            counts.malformed.push_back(why.to_owned());
            if counts.malformed.len() > KEPT_MALFORMED {
                counts.malformed.pop_front();
            }
        });
    }

    /// The body, as far as it has come.
    pub(crate) fn body_arrived(&self, number: u64, length: u64, first: Bytes, crc32: u32) {
        self.note(|counts| counts.body_bytes += length);
        self.amend(number, |received| {
            received.body_bytes = length;
            received.body = first;
            received.body_crc32 = crc32;
        });
    }

    /// An answer's head went back.
    pub(crate) fn answered(&self, number: u64, sent: impl FnOnce() -> Sent) {
        self.amend(number, |received| {
            let sent = sent();
            received.status = Some(sent.status);
            received.sent_head = sent.head;
            received.sent_headers = sent.headers;
        });
    }

    /// The kept requests that fit.
    pub(crate) fn received(&self, fits: impl Fn(&Received) -> bool) -> Vec<Received> {
        self.record.as_ref().map_or_else(Vec::new, |record| {
            hold(record)
                .kept
                .iter()
                .filter(|received| fits(received))
                .cloned()
                .collect()
        })
    }

    /// Waits until the counts satisfy the condition, at most `limit`.
    pub(crate) fn wait_until(
        &self,
        limit: Duration,
        mut satisfied: impl FnMut(&Counts) -> bool,
    ) -> bool {
        let deadline = Instant::now().into_std() + limit;
        let mut counts = hold(&self.counts);
        while !satisfied(&counts) {
            let left = deadline.saturating_duration_since(Instant::now().into_std());
            if left.is_zero() {
                return false;
            }
            let woken = self.changed.wait_timeout(counts, left);
            counts = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn amend(&self, number: u64, change: impl FnOnce(&mut Received)) {
        if let Some(record) = &self.record {
            hold(record).amend(number, change);
        }
    }
}

fn counted(counts: &mut Counts, key: &str, change: impl FnOnce(&mut super::counts::RouteCount)) {
    if let Some(count) = counts.routes.get_mut(key) {
        change(count);
    } else {
        change(counts.routes.entry(key.to_owned()).or_default());
    }
}

impl Record {
    fn keep(&mut self, head: &Head, route: &str, connection: u64) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let received = Received {
            number,
            connection,
            route: route.to_owned(),
            method: head.method.clone(),
            target: head.target.clone(),
            version: head.version,
            headers: head.headers.clone(),
            raw_head: head.raw.clone(),
            body_bytes: 0,
            body: Bytes::new(),
            body_crc32: 0,
            status: None,
            sent_head: Bytes::new(),
            sent_headers: Vec::new(),
        };
        self.weight += received.weight();
        self.kept.push_back(received);
        self.make_room();
        number
    }

    fn amend(&mut self, number: u64, change: impl FnOnce(&mut Received)) {
        let Some(first) = self.kept.front().map(|received| received.number) else {
            return;
        };
        let Some(offset) = number.checked_sub(first) else {
            return;
        };
        let Some(received) = usize::try_from(offset)
            .ok()
            .and_then(|at| self.kept.get_mut(at))
        else {
            return;
        };
        let before = received.weight();
        change(received);
        self.weight = (self.weight + received.weight()).saturating_sub(before);
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.kept.len() > KEPT_REQUESTS || self.weight > KEPT_REQUEST_BYTES {
            let Some(oldest) = self.kept.pop_front() else {
                return;
            };
            self.weight = self.weight.saturating_sub(oldest.weight());
        }
    }
}
