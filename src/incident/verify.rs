//! Whether the log is whole: every line from the first kept one to the last, or exactly what is missing.
//!
//! Goes through all segments from the oldest on, once. Numbers that no line has are a hole; gap records say what
//! was never written; a torn line must be accounted for by a note behind it; a body whose time is not over must be where
//! its record says. What retention dropped is no hole: the first number that is left is the beginning.
//!
//! **Invariant:** reads only, needs no key, and may run beside a gateway that writes. Memory is bounded: by
//! [`MOST_RUNS`], [`MOST_FINDINGS`] and the ids of the last million lines.
//!
//! **Neighbours:** `note` writes the gap records, `segment` closes torn lines off; `linkgate incidents verify`
//! prints the [`Report`].

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    note::cause,
    reader::lines::{Forward, Line},
    record::timestamp,
    segment::{Holds, Stamp, list},
};
use crate::clock::Clock;

mod bodies;
mod ids;
mod line;
mod report;
mod runs;
#[cfg(test)]
mod tests;

pub use report::{Finding, MOST_FINDINGS, Report, Torn};
pub use runs::MOST_RUNS;

use bodies::Bodies;
use ids::Ids;
use line::Seen;
use runs::Runs;

/// Goes through the log in `folder`, whose bodies are kept for `keep_bodies`.
///
/// # Errors
/// When the folder cannot be read at all; a segment that cannot be read is a [`Finding`].
pub fn verify(folder: &Path, keep_bodies: Duration, clock: &Clock) -> io::Result<Report> {
    let mut walk = Walk::new(folder, keep_bodies, clock)?;
    while walk.goes_on()? {}
    Ok(walk.end())
}

/// How often a look begins anew because lines that it had read were taken back.
const MOST_BEGINNINGS: u32 = 3;

struct Walk {
    folder: PathBuf,
    /// Segments up to this one are read.
    read_up_to: Option<Stamp>,
    /// How often it began anew for lines that were taken back.
    beginnings: u32,
    bodies: Bodies,
    runs: Runs,
    ids: Ids,
    report: Report,
    /// Torn lines that no note has accounted for so far, the latest last.
    torn: Vec<Torn>,
    /// So many of them stand directly before what is read next, notes aside.
    torn_here: usize,
    /// Where lost segments began, and the note that tells it.
    lost: Vec<(u64, u64)>,
}

impl Walk {
    fn new(folder: &Path, keep_bodies: Duration, clock: &Clock) -> io::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            read_up_to: None,
            beginnings: 0,
            bodies: Bodies::below(folder, keep_bodies, clock)?,
            runs: Runs::default(),
            ids: Ids::default(),
            report: Report::default(),
            torn: Vec::new(),
            torn_here: 0,
            lost: Vec::new(),
        })
    }

    /// Reads the next segment; false if there is none.
    fn goes_on(&mut self) -> io::Result<bool> {
        let stamps = list(&self.folder, Holds::Lines)?;
        let is_over = |last: Stamp| stamps.first().is_none_or(|first| *first > last);
        if self.read_up_to.is_some_and(is_over) {
            // Retention dropped all that was read so far, and maybe more: the log begins behind it.
            self.begins_anew();
        }
        let is_next = |stamp: &Stamp| self.read_up_to.is_none_or(|last| *stamp > last);
        let Some(stamp) = stamps.iter().copied().find(is_next) else {
            return Ok(false);
        };
        self.read_up_to = Some(stamp);
        self.segment(stamp)?;
        Ok(true)
    }

    /// Forgets what was read.
    fn begins_anew(&mut self) {
        self.runs = Runs::default();
        self.ids = Ids::default();
        self.report = Report::default();
        self.torn.clear();
        self.torn_here = 0;
        self.lost.clear();
    }

    fn segment(&mut self, stamp: Stamp) -> io::Result<()> {
        let name = stamp.file_name(Holds::Lines);
        let file = match File::open(self.folder.join(&name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.vanished(stamp),
            Err(error) => {
                self.unreadable(name, &error);
                return Ok(());
            }
        };
        self.report.segments += 1;
        let mut lines = Forward::new(file, 0);
        let mut place = 0;
        let mut is_followed = false;
        loop {
            if let Err(error) = self.lines(&name, &mut lines, &mut place) {
                self.unreadable(name, &error);
                return Ok(());
            }
            if self.was_taken_back(&name, &lines) && self.beginnings < MOST_BEGINNINGS {
                self.beginnings += 1;
                self.begins_anew();
                self.read_up_to = None;
                return Ok(());
            }
            // Once there is a later segment this one grows no more: what was written until then is read too.
            if is_followed {
                break;
            }
            is_followed = self.is_followed(stamp)?;
            if !is_followed {
                break;
            }
        }
        match lines.rest() {
            Some(_) if is_followed => self.torn(Torn {
                segment: name,
                line: place + 1,
            }),
            // It is being written, or a kill tore it and no start has closed it off yet: nobody was promised it.
            Some(_) => self.report.is_tail_open = true,
            None => {}
        }
        Ok(())
    }

    fn lines(&mut self, name: &str, lines: &mut Forward<File>, place: &mut u64) -> io::Result<()> {
        while let Some(line) = lines.next_line()? {
            *place += 1;
            self.line(name, &line, *place);
        }
        Ok(())
    }

    /// Whether a failed append was read, whole lines maybe, before it was taken back: their numbers come again.
    fn was_taken_back(&self, name: &str, lines: &Forward<File>) -> bool {
        fs::metadata(self.folder.join(name)).is_ok_and(|found| found.len() < lines.offset())
    }

    fn is_followed(&self, stamp: Stamp) -> io::Result<bool> {
        Ok(list(&self.folder, Holds::Lines)?
            .last()
            .is_some_and(|last| *last > stamp))
    }

    /// Retention dropped it between the look at the folder and the opening. If everything before it is gone too,
    /// the log begins behind it.
    fn vanished(&mut self, stamp: Stamp) -> io::Result<()> {
        let left = list(&self.folder, Holds::Lines)?;
        if left.first().is_none_or(|first| *first > stamp) {
            self.begins_anew();
        }
        Ok(())
    }

    fn unreadable(&mut self, segment: String, error: &io::Error) {
        let why = error.to_string();
        self.report
            .find(Finding::UnreadableSegment { segment, why });
    }

    fn torn(&mut self, torn: Torn) {
        if self.torn.len() < MOST_FINDINGS {
            self.torn.push(torn);
            self.torn_here += 1;
        } else {
            self.report.not_listed += 1;
        }
    }

    fn line(&mut self, segment: &str, line: &Line, place: u64) {
        let seen = match line {
            Ok(line) if line.is_empty() => return,
            Ok(line) => Seen::read(line),
            Err(_) => None,
        };
        let Some(seen) = seen else {
            return self.torn(Torn {
                segment: segment.to_owned(),
                line: place,
            });
        };
        self.report.count(&seen);
        if !self.runs.add(seen.seq, seen.micros()) {
            self.report.find(Finding::NumberTwice {
                seq: seen.seq,
                segment: segment.to_owned(),
            });
        }
        if let Some(id) = seen
            .id
            .as_deref()
            .filter(|id| self.ids.is_again(id, &seen.kind))
        {
            self.report.find(Finding::IdTwice {
                id: id.to_owned(),
                seq: seen.seq,
            });
        }
        match &*seen.kind {
            "gap" => self.gap(&seen),
            _ => self.torn_here = 0,
        }
        self.look_at_bodies(&seen);
    }

    fn gap(&mut self, gap: &Seen<'_>) {
        let lines = gap.lines.unwrap_or(0);
        match gap.cause.as_deref() {
            Some(cause::TORN) => {
                let lines = lines.try_into().unwrap_or(usize::MAX);
                let told = self.torn_here.min(lines);
                self.report.torn_lines += told as u64;
                self.torn.truncate(self.torn.len().saturating_sub(told));
                self.torn_here -= told;
            }
            Some(cause::MOVED) => match gap.first_seq {
                Some(first) if self.lost.len() < MOST_FINDINGS => self.lost.push((first, gap.seq)),
                Some(_) => {}
                None => self.report.find(Finding::LostSegment { seq: gap.seq }),
            },
            Some(cause::UNSYNCED) => self.report.unsynced += lines,
            _ => {}
        }
        if let Some(count) = gap.dropped.filter(|count| *count > 0) {
            self.report.dropped += count;
            let text = |text: &Option<std::borrow::Cow<'_, str>>| {
                text.as_deref().unwrap_or_default().to_owned()
            };
            self.report.find(Finding::Dropped {
                count,
                since: text(&gap.since),
                until: text(&gap.until),
                reason: text(&gap.reason),
                seq: gap.seq,
            });
        }
    }

    fn look_at_bodies(&mut self, seen: &Seen<'_>) {
        for reference in seen.references() {
            match self.bodies.look(reference) {
                bodies::Look::There => self.report.bodies += 1,
                bodies::Look::Over => self.report.bodies_over += 1,
                bodies::Look::Missing(why) => {
                    self.report.bodies += 1;
                    self.report.find(Finding::MissingBody {
                        seq: seen.seq,
                        id: seen.id.as_deref().unwrap_or_default().to_owned(),
                        reference: reference.to_owned(),
                        why,
                    });
                }
            }
        }
    }

    fn end(mut self) -> Report {
        for torn in self.torn {
            self.report.find(Finding::UnreadableLine(torn));
        }
        // A lost segment may have been the first one: then the hole is in front of everything.
        let lost_from = self.lost.iter().map(|(first, _)| *first).min();
        for hole in self.runs.holes(lost_from) {
            self.report.missing_lines += hole.last_seq - hole.first_seq + 1;
            let time = |micros: Option<i64>| micros.map(timestamp);
            self.report.find(Finding::MissingLines {
                first_seq: hole.first_seq,
                last_seq: hole.last_seq,
                after: time(hole.after_micros),
                before: time(hole.before_micros),
            });
        }
        if self.runs.is_too_scattered() {
            self.report.find(Finding::TooScattered);
        }
        self.report.ends(self.runs.first(), self.runs.last());
        self.report
    }
}
