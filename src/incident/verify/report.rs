//! What a look through the log came to, for people and programs.

use serde::Serialize;

use super::{line::Seen, runs::Mark};
use crate::incident::{ledger, record::timestamp};

/// Findings that are listed; the rest is counted.
pub const MOST_FINDINGS: usize = 1_000;

/// What stands in the log, and what does not. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is missing, twice or unreadable.
    pub is_whole: bool,
    /// Files.
    pub segments: u64,
    /// Readable lines.
    pub lines: u64,
    /// Of those, records of exchanges that went wrong.
    pub incidents: u64,
    /// Lines of the ledger.
    pub written: u64,
    /// Self-tests.
    pub self_tests: u64,
    /// Notes of the log about itself.
    pub notes: u64,
    /// Number of the first line that is kept.
    pub first_seq: Option<u64>,
    /// When it happened.
    pub first_time: Option<String>,
    /// Number of the last line.
    pub last_seq: Option<u64>,
    /// When it happened.
    pub last_time: Option<String>,
    /// Numbers that no line has.
    pub missing_lines: u64,
    /// Records that were dropped, and told by a gap record.
    pub dropped: u64,
    /// 4xx records beyond `max_per_minute`, which are only counted.
    pub summarised: u64,
    /// Answers that went out before their record was written.
    pub late: u64,
    /// Lines that a kill tore, and that a note accounts for: nobody was promised them.
    pub torn_lines: u64,
    /// Lines that the disk did not confirm when they were written.
    pub unsynced: u64,
    /// Bodies that must be there.
    pub bodies: u64,
    /// Bodies whose time is over.
    pub bodies_over: u64,
    /// Whether the last line has no end: it is being written, or the gateway was killed and not started again.
    pub is_tail_open: bool,
    /// Everything that is wrong, [`MOST_FINDINGS`] at most.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub not_listed: u64,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Torn {
    /// The file.
    pub segment: String,
    /// Which line of it, from 1 on.
    pub line: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Finding {
    /// No line has these numbers.
    MissingLines {
        /// The first of them.
        first_seq: u64,
        /// The last of them.
        last_seq: u64,
        /// When the exchange of the line before began.
        after: Option<String>,
        /// When that of the line behind began.
        before: Option<String>,
    },
    /// Records that were never written.
    Dropped {
        /// How many.
        count: u64,
        /// From when on.
        since: String,
        /// Until when.
        until: String,
        /// Why.
        reason: String,
        /// Number of the gap record that tells it.
        seq: u64,
    },
    /// A line that cannot be read, and that no note accounts for.
    UnreadableLine(Torn),
    /// A segment that cannot be read further.
    UnreadableSegment {
        /// The file.
        segment: String,
        /// What the system said.
        why: String,
    },
    /// A segment was moved or removed while in use, and nobody knows where it began.
    LostSegment {
        /// Number of the gap record that tells it.
        seq: u64,
    },
    /// Two lines have this number.
    NumberTwice {
        /// The number.
        seq: u64,
        /// Where it stands for the second time.
        segment: String,
    },
    /// Two records have this id.
    IdTwice {
        /// The id.
        id: String,
        /// Number of the second one.
        seq: u64,
    },
    /// A body whose time is not over is not where its record says.
    MissingBody {
        /// Number of the record.
        seq: u64,
        /// Its id.
        id: String,
        /// The place.
        reference: String,
        /// What is there instead.
        why: &'static str,
    },
    /// The numbers are so scattered that not all holes are listed.
    TooScattered,
}

impl Report {
    pub(super) fn find(&mut self, finding: Finding) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else {
            self.not_listed += 1;
        }
    }

    pub(super) fn count(&mut self, seen: &Seen<'_>) {
        self.lines += 1;
        let sort = match &*seen.kind {
            "gap" | "late" | "summary" => &mut self.notes,
            "self_test" => &mut self.self_tests,
            ledger::KIND => &mut self.written,
            _ => &mut self.incidents,
        };
        *sort += 1;
        self.late += seen.late.unwrap_or(0);
        self.summarised += seen.count.filter(|_| seen.kind == "summary").unwrap_or(0);
    }

    pub(super) fn ends(&mut self, first: Option<Mark>, last: Option<Mark>) {
        self.is_whole = self.findings.is_empty() && self.not_listed == 0;
        self.first_seq = first.map(|(seq, _)| seq);
        self.first_time = first.and_then(|(_, micros)| micros).map(timestamp);
        self.last_seq = last.map(|(seq, _)| seq);
        self.last_time = last.and_then(|(_, micros)| micros).map(timestamp);
    }
}
