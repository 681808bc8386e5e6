//! The one thread that writes: takes what waits, redacts it, one write(2), then tells everyone.
//!
//! **Invariant:** a record is acknowledged only after its bytes were taken by the kernel (with `fsync: always`, by
//! the disk), in a file that stands where readers look. `seq` rises by one a line, across restarts; a write that failed takes its
//! numbers back. Whatever the disk does, the thread goes on and says later what is missing.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    AnswerGiven, Fsync, Incident, Kind, NotWritten, Settings, Shared,
    body::{BodyNote, Errors},
    ledger::{Write, WriteLine},
    line::{self, MAX_LINE},
    note::Notes,
    rate::RateCap,
    reader,
    record::{self, Heads, Means, Record, timestamp},
    redact::Redaction,
    retention::{self, Limits},
    segment::{Appender, Holds},
    shelf::{self, Shelf},
    sync::{self, Syncer},
    told::Listener,
};
use crate::{clock::Clock, keyring::DataKey, metrics::Shard};

/// How often the writer looks after gaps, summaries and old segments when nothing is recorded.
const TICK: Duration = Duration::from_secs(1);
/// Records in one write.
const MAX_BATCH: usize = 256;
/// How often old segments are looked for, beside every new hour.
const SWEEP_SECS: i64 = 60;
/// A total limit is made of this many parts, so that the oldest can go one by one.
const PARTS: u64 = 16;
const SMALLEST_PART: u64 = 64 << 10;

/// What comes through the queue.
#[derive(Debug)]
pub(super) enum Message {
    Record(Entry),
    /// Write what waits, then end; dropping the sender tells that it is done.
    Close(Sender<()>),
}

/// A record on its way.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) what: What,
    pub(super) weight: usize,
    pub(super) queued: Instant,
    pub(super) told: Told,
}

/// What shall become a line.
#[derive(Debug)]
pub(super) enum What {
    Incident(Box<Incident>),
    Write(Box<Write>),
}

/// Who waits for a line; none if nobody does.
pub(super) type Told = Option<Listener>;

#[derive(Debug)]
pub(super) struct Writer {
    settings: Settings,
    redaction: Redaction,
    clock: Clock,
    metrics: Arc<Shard>,
    shared: Arc<Shared>,
    lines: Appender,
    bodies: Appender,
    cap: RateCap,
    /// Number of the next line.
    seq: u64,
    /// Lines about the log itself that wait for a working disk.
    notes: Notes,
    next_sweep_secs: i64,
    /// Syncs at an interval, if that is asked for.
    syncer: Option<Syncer>,
    synced: Instant,
    /// Lines since the last sync was asked for, and those it shall confirm.
    unsynced_lines: u64,
    syncing_lines: u64,
    heads: Heads,
    errors: Errors,
    /// Buffers that serve again: a batch is a megabyte, and fresh memory for each costs a page fault for every 4 KiB.
    line_buffer: Vec<u8>,
    body_buffer: Vec<u8>,
}

/// A buffer that grew beyond this is given back.
const MAX_BUFFER: usize = 4 << 20;

fn spare(buffer: Vec<u8>) -> Vec<u8> {
    Some(buffer)
        .filter(|buffer| buffer.capacity() <= MAX_BUFFER)
        .unwrap_or_default()
}

/// A record ready to be written.
struct Prepared {
    line: Line,
    data_key: Option<DataKey>,
    told: Told,
}

enum Line {
    Incident(Box<Record>),
    Write(Box<WriteLine>),
}

impl Prepared {
    /// The bodies of an incident; a write has none.
    fn bodies_mut(&mut self) -> impl Iterator<Item = &mut BodyNote> {
        let record = match &mut self.line {
            Line::Incident(record) => Some(record.bodies_mut()),
            Line::Write(_) => None,
        };
        record.into_iter().flatten()
    }

    /// Appends it as line number `seq`, shortened if it would be too long to be read back.
    fn encode(&mut self, seq: u64, bytes: &mut Vec<u8>) -> serde_json::Result<()> {
        let record = match &mut self.line {
            Line::Write(write) => {
                write.seq = seq;
                return line::push(bytes, write);
            }
            Line::Incident(record) => record,
        };
        record.seq = seq;
        let start = bytes.len();
        for longest in [None, Some(1_024), Some(0)] {
            if let Some(longest) = longest {
                record.shorten(longest);
            }
            bytes.truncate(start);
            line::push(bytes, record)?;
            if bytes.len() - start <= MAX_LINE {
                break;
            }
        }
        Ok(())
    }
}

impl Writer {
    pub(super) fn open(
        settings: Settings,
        redaction: Redaction,
        clock: Clock,
        metrics: Arc<Shard>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let part = |total: u64| (total / PARTS).max(SMALLEST_PART);
        let folder = settings.directory.clone();
        let bodies = folder.join(shelf::FOLDER);
        let syncer = match settings.fsync {
            Fsync::Interval(_) => Some(Syncer::start(
                [folder.clone(), bodies.clone()],
                clock.clone(),
                Arc::clone(&metrics),
                Arc::clone(&shared),
            )?),
            Fsync::Never | Fsync::Always => None,
        };
        let mut writer = Self {
            seq: reader::last_seq(&folder)?.map_or(1, |seq| seq.saturating_add(1)),
            lines: Appender::new(folder, Holds::Lines, part(settings.max_bytes)),
            bodies: Appender::new(bodies, Holds::Bodies, part(settings.max_body_bytes)),
            cap: RateCap::new(settings.max_per_minute),
            notes: Notes::default(),
            next_sweep_secs: i64::MIN,
            syncer,
            synced: Instant::now(),
            unsynced_lines: 0,
            syncing_lines: 0,
            heads: Heads::default(),
            errors: Errors::default(),
            line_buffer: Vec::new(),
            body_buffer: Vec::new(),
            settings,
            redaction,
            clock,
            metrics,
            shared,
        };
        let now_secs = writer.clock.seconds();
        writer.lines.mend()?;
        writer.lines.ready(now_secs)?;
        writer.measure();
        writer.notes.mishaps(writer.lines.take_mishaps());
        writer.commit(Vec::new(), Instant::now());
        Ok(writer)
    }

    pub(super) fn run(mut self, queue: &Receiver<Message>) {
        let tick = match self.settings.fsync {
            Fsync::Interval(interval) => interval.min(TICK),
            Fsync::Never | Fsync::Always => TICK,
        };
        let mut last_tick = Instant::now();
        let mut closing = None;
        loop {
            match queue.recv_timeout(tick) {
                Ok(Message::Record(first)) => self.batch(first, queue, &mut closing),
                Ok(Message::Close(done)) => closing = Some(done),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if closing.is_some() {
                while let Ok(Message::Record(first)) = queue.try_recv() {
                    self.batch(first, queue, &mut closing);
                }
                break;
            }
            if last_tick.elapsed() >= tick {
                last_tick = Instant::now();
                self.tick();
            }
        }
        self.notes.surplus(self.cap.drain());
        self.commit(Vec::new(), Instant::now());
        self.last_sync();
        drop(closing);
    }

    /// Takes what waits behind `first` and writes it all at once.
    fn batch(&mut self, first: Entry, queue: &Receiver<Message>, closing: &mut Option<Sender<()>>) {
        let queued = first.queued;
        self.shared.condition.busy(queued);
        let mut weight = first.weight;
        let mut entries = vec![first];
        while entries.len() < MAX_BATCH && closing.is_none() {
            match queue.try_recv() {
                Ok(Message::Record(entry)) => {
                    weight += entry.weight;
                    entries.push(entry);
                }
                Ok(Message::Close(done)) => *closing = Some(done),
                Err(_) => break,
            }
        }
        let prepared = entries
            .into_iter()
            .filter_map(|entry| self.prepare(entry))
            .collect();
        self.commit(prepared, queued);
        self.shared
            .waiting_bytes
            .fetch_sub(weight, Ordering::Relaxed);
        self.shared.condition.idle();
    }

    fn tick(&mut self) {
        let now_secs = self.clock.seconds();
        let surplus = self.cap.turn(now_secs);
        self.notes.surplus(surplus);
        self.commit(Vec::new(), Instant::now());
        if !self.shared.condition.is_written() {
            self.probe(now_secs);
        }
        self.sync_beside();
        if now_secs >= self.next_sweep_secs {
            self.sweep(now_secs);
            let next_hour = now_secs - now_secs.rem_euclid(3_600) + 3_600;
            self.next_sweep_secs = next_hour.min(now_secs + SWEEP_SECS);
        }
    }

    /// Nothing is left to say, but the last write was slow: see whether the file is in reach.
    fn probe(&mut self, now_secs: i64) {
        let begun = Instant::now();
        if self.notes.is_empty() && self.lines.append(b"", now_secs).is_ok() {
            self.shared.condition.worked(begun.elapsed());
        }
        if self.settings.fsync == Fsync::Always && self.confirm().is_ok() {
            self.shared.condition.synced();
        }
    }

    /// Has what was written since synced by the thread beside, if its time has come.
    fn sync_beside(&mut self) {
        let interval = match self.settings.fsync {
            Fsync::Interval(interval) => interval,
            // Each write waits for it.
            Fsync::Always => return,
            // The system answers for it.
            Fsync::Never => {
                self.lines.handed_over();
                self.bodies.handed_over();
                return;
            }
        };
        if let Some(failure) = self.shared.condition.take_sync_failure() {
            let now_micros = self.clock.micros();
            self.notes
                .unsynced(self.syncing_lines, now_micros, &failure);
        }
        if self.synced.elapsed() < interval {
            return;
        }
        let mut files = self.lines.unsynced().clone();
        let bodies = self.bodies.unsynced().iter();
        files.extend(bodies.map(|(identity, file)| (*identity, Arc::clone(file))));
        // What failed before is the thread's: it is asked again though nothing is added.
        let is_asked = !files.is_empty() || self.shared.condition.is_unsynced();
        let syncer = self.syncer.as_ref().filter(|_| is_asked);
        if syncer.is_some_and(|syncer| syncer.take(files).is_ok()) {
            self.lines.handed_over();
            self.bodies.handed_over();
            self.syncing_lines = std::mem::take(&mut self.unsynced_lines);
            self.synced = Instant::now();
        }
    }

    /// Waits until the disk has what was written.
    fn confirm(&mut self) -> io::Result<()> {
        let (bodies, lines) = (self.bodies.sync(), self.lines.sync());
        let confirmed = bodies.and(lines);
        if confirmed.is_ok() {
            self.unsynced_lines = 0;
            self.shared.extent.synced(self.clock.micros());
        }
        confirmed
    }

    /// At the end: nothing is left to the system, if syncing is asked for at all.
    fn last_sync(&mut self) {
        if let Some(syncer) = self.syncer.take() {
            self.lines.handed_back(syncer.close());
        }
        if self.settings.fsync != Fsync::Never {
            let confirmed = self.confirm();
            sync::note(confirmed, &self.clock, &self.metrics, &self.shared);
        }
    }

    fn sweep(&mut self, now_secs: i64) {
        let lines = Limits {
            // The day of writing counts whole: a record is kept at least that long.
            keep_secs: (i64::from(self.settings.keep_days) + 1) * 86_400,
            max_bytes: self.settings.max_bytes,
        };
        let bodies = Limits {
            // The hour of writing counts as gone: a body is kept at most that long.
            keep_secs: i64::from(self.settings.keep_bodies_hours) * 3_600,
            max_bytes: self.settings.max_body_bytes,
        };
        for (appender, limits) in [(&self.lines, lines), (&self.bodies, bodies)] {
            let swept = retention::sweep(appender.folder(), appender.holds(), limits, now_secs);
            match swept {
                Ok(0) => {}
                Ok(gone) => tracing::info!(gone, kind = ?appender.holds(), "dropped old segments"),
                Err(error) => tracing::warn!(%error, "old segments of the support log stay"),
            }
        }
        self.measure();
    }

    /// Notes how large the log is.
    fn measure(&self) {
        for appender in [&self.lines, &self.bodies] {
            let holds = appender.holds();
            if let Ok((bytes, oldest_secs)) = retention::measure(appender.folder(), holds) {
                self.shared.extent.measured(holds, bytes, oldest_secs);
            }
        }
    }

    /// Redacts; none if the record is surplus, or could not be made at all.
    fn prepare(&mut self, entry: Entry) -> Option<Prepared> {
        let id = match &entry.what {
            What::Incident(incident) => incident.id,
            What::Write(write) => write.id,
        };
        let (mut told, what) = (entry.told, entry.what);
        let make = || match what {
            What::Incident(incident) => self.incident(incident, &mut told),
            What::Write(write) => Some(Prepared {
                line: Line::Write(Box::new(WriteLine::of(
                    &write,
                    &self.redaction,
                    &self.settings,
                ))),
                data_key: None,
                told: None,
            }),
        };
        // One record that cannot be made must not cost the ones behind it.
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(make)) {
            Ok(prepared) => prepared,
            Err(_) => {
                tracing::error!(exchange.id = %id, "an incident could not be turned into a record");
                self.drop_all(vec![told], "a record could not be made");
                None
            }
        }
    }

    /// The record of an incident; none if it is surplus, which is as good as written.
    fn incident(&mut self, mut incident: Box<Incident>, told: &mut Told) -> Option<Prepared> {
        if incident.kind != Kind::SelfTest {
            self.shared.trouble.note(&incident);
        }
        let said = record::error_said(&incident, &mut self.errors);
        incident.linkedin_code = incident.linkedin_code.take().or(said.code);
        let surplus = self.cap.turn(self.clock.seconds());
        self.notes.surplus(surplus);
        let is_4xx = |answer: &AnswerGiven| answer.status.is_client_error();
        let is_capped = incident.answer.as_ref().is_some_and(is_4xx);
        let means = Means {
            redaction: &self.redaction,
            heads: &self.heads,
            settings: &self.settings,
        };
        let redacted = || Record::signature_of(&incident, means);
        let cap = &mut self.cap;
        if is_capped && !cap.admits(&record::signature(&incident), incident.id, redacted) {
            tell(told.take(), Ok(()));
            return None;
        }
        let record = Record::of(&incident, said.about.as_deref(), means);
        Some(Prepared {
            line: Line::Incident(Box::new(record)),
            data_key: incident.data_key,
            told: told.take(),
        })
    }

    /// Writes bodies, then lines, then tells.
    fn commit(&mut self, mut prepared: Vec<Prepared>, queued: Instant) {
        self.notes.refused(self.shared.condition.take_refusals());
        self.notes.late(self.shared.condition.take_lates());
        if prepared.is_empty() && self.notes.is_empty() {
            return;
        }
        self.shelve(&mut prepared);
        let told = |prepared: Vec<Prepared>| prepared.into_iter().map(|ready| ready.told).collect();
        match self.write_lines(&mut prepared) {
            Ok(()) => {
                self.shared.condition.worked(queued.elapsed());
                let fate = self.written(prepared.len());
                for ready in prepared {
                    tell(ready.told, fate);
                }
            }
            Err(error) => {
                let reason = error.to_string();
                self.metrics.log_write_failed();
                self.shared.condition.failed(&reason);
                self.drop_all(told(prepared), &reason);
            }
        }
    }

    /// So many lines are written: synced as well, where answers wait for that.
    fn written(&mut self, lines: usize) -> Result<(), NotWritten> {
        self.unsynced_lines += lines as u64;
        if self.settings.fsync != Fsync::Always {
            return Ok(());
        }
        let confirmed = self.confirm();
        let told = confirmed
            .as_ref()
            .map_or(Err(NotWritten::WriteFailed), |()| Ok(()));
        if let Err(error) = &confirmed {
            let (lines, now_micros) = (
                std::mem::take(&mut self.unsynced_lines),
                self.clock.micros(),
            );
            self.notes.unsynced(lines, now_micros, &error.to_string());
        }
        sync::note(confirmed, &self.clock, &self.metrics, &self.shared);
        told
    }

    /// Writes the lines, a second time if the file was not where it belongs or the first try failed.
    fn write_lines(&mut self, prepared: &mut [Prepared]) -> io::Result<()> {
        let now_secs = self.clock.seconds();
        let mut last = Ok(());
        for _ in 0..2 {
            let first_seq = self.seq;
            // What was closed off at the opening is told directly behind it.
            last = self.lines.ready(now_secs).map(drop);
            self.notes.mishaps(self.lines.take_mishaps());
            if last.is_err() {
                continue;
            }
            let bytes = self.encode(prepared)?;
            let length = bytes.len();
            last = self.lines.append(&bytes, now_secs);
            self.line_buffer = spare(bytes);
            let in_place = self.lines.in_place().filter(|_| last.is_ok());
            if let Some(segment) = in_place {
                self.shared.extent.grew(Holds::Lines, length);
                self.shared.extent.written(self.clock.micros());
                self.notes.are_told_in(segment);
            }
            self.notes.mishaps(self.lines.take_mishaps());
            if in_place.is_some() {
                return Ok(());
            }
            self.seq = first_seq;
        }
        // Written twice and moved away twice: it is in no file that a reader would find.
        last.and(Err(io::Error::other("the segment is being moved away")))
    }

    fn encode(&mut self, prepared: &mut [Prepared]) -> io::Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.line_buffer);
        bytes.clear();
        let time = timestamp(self.clock.micros());
        self.seq = (self.notes).encode(&mut bytes, self.seq, &time, &self.settings.instance)?;
        for ready in prepared {
            ready.encode(self.seq, &mut bytes)?;
            self.seq += 1;
        }
        Ok(bytes)
    }

    /// Seals the bodies of all `prepared` and writes them; those that cannot be written are withheld.
    fn shelve(&mut self, prepared: &mut [Prepared]) {
        let now_secs = self.clock.seconds();
        let has_text = |ready: &mut Prepared| ready.bodies_mut().any(|body| body.text.is_some());
        if !prepared.iter_mut().any(has_text) {
            return;
        }
        let written = self.bodies.ready(now_secs).and_then(|(segment, length)| {
            let buffer = std::mem::take(&mut self.body_buffer);
            let mut shelf = Shelf::new(segment, length, buffer);
            for ready in prepared.iter_mut() {
                if let Some(key) = ready.data_key.take() {
                    shelf.put(ready.bodies_mut(), &key);
                }
            }
            let length = shelf.bytes().len();
            let appended = self.bodies.append(shelf.bytes(), now_secs);
            self.body_buffer = spare(shelf.into_buffer());
            appended?;
            self.shared.extent.grew(Holds::Bodies, length);
            Ok(())
        });
        let mishaps = self.bodies.take_mishaps();
        if written.is_ok() && mishaps.is_empty() {
            return;
        }
        let reason = written
            .err()
            .map_or("the segment was moved away".into(), |error| {
                error.to_string()
            });
        tracing::warn!(reason, "bodies of incidents could not be kept");
        for body in prepared.iter_mut().flat_map(Prepared::bodies_mut) {
            if body.reference.take().is_some() || body.raw_ref.take().is_some() {
                body.raw_ref = None;
                body.withheld = Some(format!("it could not be written: {reason}"));
            }
        }
    }

    /// These records are lost: count them, tell those who wait, remember it for the log.
    fn drop_all(&mut self, told: Vec<Told>, reason: &str) {
        self.notes
            .failed(told.len() as u64, self.clock.micros(), reason);
        for told in told {
            self.metrics.incident_dropped();
            tell(told, Err(NotWritten::WriteFailed));
        }
    }
}

/// Tells the answer that waits, if it still does.
fn tell(told: Told, fate: Result<(), NotWritten>) {
    // The caller may have left, or its hold be over: then nobody listens any more.
    if told.is_some_and(|told| !told.tell(fate)) {
        tracing::trace!("nobody waited for a record");
    }
}
