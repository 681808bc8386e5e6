//! THE SUPPORT LOG: every failed exchange, redacted, one line each.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};

use crate::exchange::{Attempt, CallerSeen, ExchangeId, Fault, Head, KeptBody, Member, Outcome};
use crate::keyring::DataKey;

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
    /// Names this process in records.
    pub instance: String,
    /// First digits of the configuration's hash, in records.
    pub config_hash: String,
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
    /// LinkedIn's `serviceErrorCode` or `code`, where the answer's body told it.
    pub linkedin_code: Option<String>,
    /// One sentence for support.
    pub verdict: String,
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
    pub headers: HeaderMap,
    /// Its body.
    pub body: KeptBody,
}

/// The door of the support log. Cheap to clone; may be used from any thread and from `Drop`.
#[derive(Clone, Debug)]
pub struct Recorder;

/// Resolves once write(2) of the record has returned. Dropping it changes nothing.
#[derive(Debug)]
pub struct Written;

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

impl Recorder {
    /// Hands an incident over; never blocks. A record that finds no room is dropped and counted.
    pub fn record(&self, incident: Incident) -> Written {
        todo!("{incident:?}")
    }
    /// Whether the last write worked and nothing has waited longer than [`Settings::hold`].
    pub fn is_healthy(&self) -> bool {
        todo!()
    }
    /// Longest hold of a failed answer for its record.
    pub fn hold(&self) -> Duration {
        todo!()
    }
    /// A failed answer went out before its record was written.
    pub fn note_late(&self) {
        todo!()
    }
    /// Bytes of each body that the path shall keep.
    pub fn body_bytes(&self) -> usize {
        todo!()
    }
}

impl Future for Written {
    type Output = Result<(), NotWritten>;
    fn poll(
        self: std::pin::Pin<&mut Self>,
        task: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        todo!("{task:?}")
    }
}
