//! THE SUPPORT LOG: every failed exchange, redacted, one line each.
//!
//! The path hands an [`Incident`] over, secrets and all, and goes on; one thread redacts it, seals
//! its bodies apart, appends its line, and tells the waiting answer. Nothing here knows tokens or
//! callers: it knows what an exchange looked like.
//!
//! **Invariant:** what reaches a disk went through [`redact::Redactor`] first. What could not be
//! written is counted, and the log itself says so as soon as it can be written again.
//!
//! **Neighbours:** `proxy::capture` records; `keyring` seals and fingerprints; operators and support
//! read through [`reader::Incidents`] and [`page`].

use std::{
    io,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use tokio::{sync::oneshot, time::Instant};

use crate::clock::Clock;
use crate::exchange::{
    Attempt, CallerSeen, ExchangeId, Fault, Head, HeaderList, KeptBody, Member, Outcome,
};
use crate::keyring::{DataKey, KeyRing, LiveSecrets};
use crate::metrics::Shard;

mod advice;
mod body;
mod condition;
pub mod explain;
pub mod export;
mod extent;
pub mod index;
mod ledger;
mod line;
mod note;
pub mod page;
mod rate;
pub mod reader;
mod record;
pub mod redact;
mod retention;
mod segment;
mod self_test;
mod shelf;
mod sync;
#[cfg(test)]
mod tests;
mod told;
mod trouble;
pub mod verify;
mod whose;
mod wire;
mod writer;

pub use extent::Figures;
pub use ledger::Write;
pub use record::micros_of;
pub use self_test::SelfTest;
pub use sync::Fsync;
pub use told::{Fate, Mailbox, Ticket};
pub use trouble::Trouble;

use condition::Condition;
use extent::Extent;
use told::Listener;
use writer::{Entry, Message, Told, What, Writer};

/// Where and how the support log is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the segments.
    pub directory: PathBuf,
    /// Longest hold of a failed answer for its record.
    pub hold: Duration,
    /// Records per signature and minute, 4xx only; the surplus becomes one counted summary line.
    pub max_per_minute: u32,
    /// Days a record is kept.
    pub keep_days: u32,
    /// Hours a body is kept (LinkedIn allows member profile data no longer than 24).
    pub keep_bodies_hours: u32,
    /// Bytes of each body that are kept.
    pub body_bytes: usize,
    /// Bytes of records that may wait for the disk; beyond, they are dropped and counted.
    pub queue_bytes: usize,
    /// Bytes of all segments together; the oldest go first.
    pub max_bytes: u64,
    /// Bytes of all kept bodies together; the oldest go first.
    pub max_body_bytes: u64,
    /// When what was written is synced.
    pub fsync: Fsync,
    /// Whether successful writes are noted as well.
    pub ledger: bool,
    /// Names this process in records.
    pub instance: String,
    /// First digits of the configuration's hash, in records.
    pub config_hash: String,
}

impl Settings {
    /// Default of [`Settings::max_bytes`]: 10 GiB.
    pub const MAX_BYTES: u64 = 10 << 30;
    /// Default of [`Settings::max_body_bytes`]: 2 GiB.
    pub const MAX_BODY_BYTES: u64 = 2 << 30;
    /// Default of [`Settings::fsync`]: each second.
    pub const FSYNC: Fsync = Fsync::Interval(Duration::from_secs(1));
}

impl Default for Settings {
    /// The defaults of the configuration, for an unnamed process.
    fn default() -> Self {
        Self {
            directory: "data/incidents".into(),
            hold: Duration::from_millis(250),
            max_per_minute: 60,
            keep_days: 30,
            keep_bodies_hours: 24,
            body_bytes: 65_536,
            queue_bytes: 32 << 20,
            max_bytes: Self::MAX_BYTES,
            max_body_bytes: Self::MAX_BODY_BYTES,
            fsync: Self::FSYNC,
            ledger: false,
            instance: String::new(),
            config_hash: String::new(),
        }
    }
}

/// Why an exchange became an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Its final answer was ≥ 400.
    Failed,
    /// It ended well, but needed more than one attempt.
    Recovered,
    /// The answer broke off after its head was on its way.
    Cut,
    /// The caller hung up before it had its answer.
    CallerLeft,
    /// None at all: made at each start, to see whether the log keeps what it is given.
    SelfTest,
}

impl Kind {
    /// The word used in records and filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Recovered => "recovered",
            Self::Cut => "cut",
            Self::CallerLeft => "caller_left",
            Self::SelfTest => "self_test",
        }
    }
}

/// An exchange as the path saw it, secrets and all: the writer redacts it before anything else.
#[derive(Debug)]
pub struct Incident {
    /// The exchange's id.
    pub id: ExchangeId,
    /// When the request's head arrived, in Unix microseconds.
    pub started_micros: i64,
    /// From then until the record was made.
    pub took: Duration,
    /// Whose fault.
    pub fault: Fault,
    /// Why it is kept.
    pub kind: Kind,
    /// Problem code of our own answer, if we gave one.
    pub code: Option<&'static str>,
    /// LinkedIn's `serviceErrorCode` or `code`; if none is given, it is read from its last answer.
    pub linkedin_code: Option<String>,
    /// One sentence for support.
    pub verdict: String,
    /// What that goes on with if LinkedIn's code turns out to be this one: its answer is parsed here alone, and
    /// the path does not wait for that.
    pub verdict_by_code: Option<(&'static str, String)>,
    /// Who called.
    pub caller: Option<CallerSeen>,
    /// For whom.
    pub member: Option<Member>,
    /// LinkedIn's URN of the member.
    pub member_urn: Option<Arc<str>>,
    /// LinkedIn's client id of the application.
    pub client_id: Option<Arc<str>>,
    /// Key that seals the bodies; none means bodies are not kept.
    pub data_key: Option<DataKey>,
    /// The request as it came.
    pub request: RequestSeen,
    /// All trips to LinkedIn.
    pub attempts: Vec<Attempt>,
    /// What the caller was given; none if it left first.
    pub answer: Option<AnswerGiven>,
    /// What became of the request.
    pub outcome: Outcome,
    /// The exchange's own secrets: whatever they look like, they are found and replaced.
    pub secrets: Vec<Bytes>,
}

/// The caller's request.
#[derive(Debug)]
pub struct RequestSeen {
    /// Method as sent.
    pub method: Method,
    /// Target as it stood on the request line.
    pub target: Bytes,
    /// Protocol version.
    pub version: Version,
    /// Headers.
    pub head: Head,
    /// Body.
    pub body: KeptBody,
}

/// The answer given to the caller.
#[derive(Debug)]
pub struct AnswerGiven {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, framing included.
    pub headers: HeaderList,
    /// Its body.
    pub body: KeptBody,
}

/// The door of the support log. Cheap to clone; may be used from any thread and from `Drop`.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Door>);

#[derive(Debug)]
struct Door {
    queue: mpsc::Sender<Message>,
    queue_bytes: usize,
    hold: Duration,
    body_bytes: usize,
    keeps_ledger: bool,
    clock: Clock,
    metrics: Arc<Shard>,
    shared: Arc<Shared>,
}

/// What the door and the writer both touch.
#[derive(Debug)]
struct Shared {
    /// Bytes handed over and not yet written.
    waiting_bytes: AtomicUsize,
    condition: Condition,
    extent: Extent,
    trouble: Trouble,
}

/// The running writer: whoever holds it decides when the log ends.
#[derive(Debug)]
pub struct Log {
    queue: mpsc::Sender<Message>,
    thread: std::thread::JoinHandle<()>,
}

/// Resolves once write(2) of the record has returned. Dropping it changes nothing.
#[derive(Debug)]
pub struct Written(Promise);

#[derive(Debug)]
enum Promise {
    Known(NotWritten),
    Open(oneshot::Receiver<Fate>),
}

/// The record is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// The queue was full.
    #[error("the support log's queue is full")]
    QueueFull,
    /// The disk refused.
    #[error("the support log could not be written")]
    WriteFailed,
}

/// The writer did not end within the time it was given; what it still held may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the support log did not end in time")]
pub struct StillWriting;

impl Recorder {
    /// Opens the log and starts its one writer thread.
    ///
    /// # Errors
    /// When the directory cannot be made or written: better told at start than in the first failure.
    pub fn start(
        settings: Settings,
        ring: KeyRing,
        live: LiveSecrets,
        clock: Clock,
        metrics: Arc<Shard>,
    ) -> io::Result<(Self, Log)> {
        let (queue, messages) = mpsc::channel();
        let shared = Arc::new(Shared {
            waiting_bytes: AtomicUsize::new(0),
            condition: Condition::new(settings.hold),
            extent: Extent::default(),
            trouble: Trouble::default(),
        });
        let door = Door {
            queue: queue.clone(),
            queue_bytes: settings.queue_bytes,
            hold: settings.hold,
            body_bytes: settings.body_bytes,
            keeps_ledger: settings.ledger,
            clock: clock.clone(),
            metrics: Arc::clone(&metrics),
            shared: Arc::clone(&shared),
        };
        let redaction = redact::Redaction::new(ring, live);
        let writer = Writer::open(settings, redaction, clock, metrics, shared)?;
        let thread = std::thread::Builder::new()
            .name("support-log".into())
            .spawn(move || writer.run(&messages))?;
        Ok((Self(Arc::new(door)), Log { queue, thread }))
    }

    /// Hands an incident over; never blocks. A record that finds no room is dropped and counted.
    pub fn record(&self, incident: Incident) -> Written {
        let (told, fate) = oneshot::channel();
        match self.hand_over(incident, Listener::Alone(told)) {
            Ok(()) => Written(Promise::Open(fate)),
            Err(why) => Written(Promise::Known(why)),
        }
    }

    /// The same for a thread that waits for many: `ticket` is answered in any case.
    pub fn record_for(&self, ticket: Ticket, incident: Incident) {
        // One that is refused has dropped the ticket, and so answered it.
        self.hand_over(incident, Listener::Among(ticket)).ok();
    }

    fn hand_over(&self, incident: Incident, listener: Listener) -> Result<(), NotWritten> {
        let weight = incident.weight();
        let incident = What::Incident(Box::new(incident));
        self.0.queue(incident, weight, Some(listener))
    }

    /// Hands a successful write over, for the ledger: never blocks, and nobody waits for it. One that finds no
    /// room is dropped and counted.
    pub fn note_write(&self, write: Write) {
        let weight = write.weight();
        // Counted where it happens.
        self.0
            .queue(What::Write(Box::new(write)), weight, None)
            .ok();
    }

    /// Whether successful writes are noted.
    pub fn keeps_ledger(&self) -> bool {
        self.0.keeps_ledger
    }

    /// How large the log is, and how far it got.
    pub fn figures(&self) -> Figures {
        let waiting = self.0.shared.waiting_bytes.load(Ordering::Relaxed);
        self.0.shared.extent.figures(waiting as u64)
    }

    /// Notes that a failed answer went out before its record was written: [`Settings::hold`] was
    /// over. Counted here; unhealthy until a write is fast again; a line in the log says so.
    pub fn late(&self) {
        self.0.metrics.late_record();
        self.0.shared.condition.late(self.0.clock.micros());
    }

    /// Whether the last write worked and the disk confirmed the last sync, no record was refused and no answer
    /// went out before its record since, none waits longer than [`Settings::hold`], and the self-test has not
    /// failed.
    pub fn is_healthy(&self) -> bool {
        self.0.shared.condition.is_healthy()
    }

    /// Says what is wrong with the log.
    ///
    /// # Errors
    /// The reason in plain words, whenever [`Recorder::is_healthy`] is false.
    pub fn health(&self) -> Result<(), String> {
        self.0.shared.condition.health()
    }

    /// What LinkedIn failed, as far as it was handed over.
    pub fn trouble(&self) -> &Trouble {
        &self.0.shared.trouble
    }

    /// Longest hold of a failed answer for its record.
    pub fn hold(&self) -> Duration {
        self.0.hold
    }

    /// Bytes of each body that the path shall keep.
    pub fn body_bytes(&self) -> usize {
        self.0.body_bytes
    }
}

impl Door {
    fn queue(&self, what: What, weight: usize, told: Told) -> Result<(), NotWritten> {
        let waiting = &self.shared.waiting_bytes;
        let before = waiting.fetch_add(weight, Ordering::Relaxed);
        if before.saturating_add(weight) > self.queue_bytes {
            waiting.fetch_sub(weight, Ordering::Relaxed);
            return Err(self.refuse(NotWritten::QueueFull));
        }
        let entry = Entry {
            what,
            weight,
            queued: Instant::now(),
            told,
        };
        if self.queue.send(Message::Record(entry)).is_err() {
            waiting.fetch_sub(weight, Ordering::Relaxed);
            return Err(self.refuse(NotWritten::WriteFailed));
        }
        Ok(())
    }

    fn refuse(&self, why: NotWritten) -> NotWritten {
        self.metrics.incident_dropped();
        self.shared.condition.refused(self.clock.micros());
        why
    }
}

impl Log {
    /// Writes what waits and ends the writer, waiting for it no longer than `limit`.
    ///
    /// # Errors
    /// [`StillWriting`] when the disk did not let it finish.
    pub fn close(self, limit: Duration) -> Result<(), StillWriting> {
        let (done, ended) = mpsc::channel();
        if self.queue.send(Message::Close(done)).is_ok() {
            match ended.recv_timeout(limit) {
                Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {}
                Err(mpsc::RecvTimeoutError::Timeout) => return Err(StillWriting),
            }
        }
        self.thread.join().map_err(|_panic| StillWriting)
    }
}

impl Future for Written {
    type Output = Fate;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Promise::Known(why) => Poll::Ready(Err(*why)),
            Promise::Open(fate) => Pin::new(fate)
                .poll(task)
                .map(|told| told.unwrap_or(Err(NotWritten::WriteFailed))),
        }
    }
}

/// Bytes that every record takes beside its heads and bodies, roughly.
const RECORD_OVERHEAD: usize = 1_024;

impl Incident {
    /// Roughly the memory this incident holds while it waits.
    fn weight(&self) -> usize {
        let attempts: usize = self.attempts.iter().map(attempt_weight).sum();
        let answer = self.answer.as_ref().map_or(0, |answer| {
            answer.headers.as_bytes().len() + body_weight(&answer.body)
        });
        let secrets: usize = self.secrets.iter().map(Bytes::len).sum();
        RECORD_OVERHEAD
            + self.verdict.len()
            + self
                .verdict_by_code
                .as_ref()
                .map_or(0, |(_, more)| more.len())
            + self.request.target.len()
            + head_weight(&self.request.head)
            + body_weight(&self.request.body)
            + attempts
            + answer
            + secrets
    }
}

fn attempt_weight(attempt: &Attempt) -> usize {
    RECORD_OVERHEAD
        + attempt.url.len()
        + attempt.sent.as_ref().map_or(0, head_weight)
        + attempt.head.as_ref().map_or(0, head_weight)
        + body_weight(&attempt.body)
}

fn head_weight(head: &Head) -> usize {
    match head {
        Head::Wire(bytes) => bytes.len(),
        Head::Decoded(headers) => headers.as_bytes().len(),
    }
}

fn body_weight(body: &KeptBody) -> usize {
    body.kept()
}
