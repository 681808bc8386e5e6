//! What the log has to say about itself: gaps, late answers, surplus.
//!
//! **Invariant:** bounded: each kind is one sum until it is written; nothing is forgotten before it stands in the log.
//! A segment that is lost takes its notes with it: what it said of gaps stays known while it is in use, and is told again
//! in the next one.

use serde::Serialize;

use super::{
    condition::Noted,
    line,
    rate::Surplus,
    record::{VERSION, timestamp},
    segment::{Mishap, Stamp},
};

/// Notes that wait for a working disk.
#[derive(Debug, Default)]
pub(super) struct Notes {
    failed: Option<Failed>,
    refused: Option<Noted>,
    late: Option<Noted>,
    torn: u64,
    moved: Option<Moved>,
    unsynced: Option<Failed>,
    surplus: Vec<Surplus>,
    /// Surplus of minutes for which there was no more room here.
    surplus_forgotten: u64,
    /// What the segment in use says already, should that be lost.
    told: Told,
}

/// Gaps that stand in one segment.
#[derive(Debug, Default)]
struct Told {
    segment: Option<Stamp>,
    failed: Option<Failed>,
    refused: Option<Noted>,
    moved: Option<Moved>,
}

/// Minutes of surplus that are kept apart while the disk refuses.
const MAX_SURPLUS: usize = 16_384;

/// Segments that were lost while in use.
#[derive(Debug)]
struct Moved {
    /// The smallest first number among them; none if it could not be read of each.
    first_seq: Option<u64>,
}

/// Why a gap is there: the words of `cause`.
pub(super) mod cause {
    /// The disk refused.
    pub(in super::super) const FAILED: &str = "failed";
    /// The queue was full.
    pub(in super::super) const REFUSED: &str = "refused";
    /// A kill tore a line; `lines` says how many.
    pub(in super::super) const TORN: &str = "torn";
    /// A segment was lost; it began with `first_seq`.
    pub(in super::super) const MOVED: &str = "moved";
    /// Lines stand in the log, but the disk did not confirm them.
    pub(in super::super) const UNSYNCED: &str = "unsynced";
    /// Surplus that was no longer counted by signature.
    pub(in super::super) const SURPLUS: &str = "surplus";
}

#[derive(Debug)]
struct Failed {
    noted: Noted,
    last_micros: i64,
    reason: String,
}

/// A line of kind `gap` or `late`.
#[derive(Serialize)]
struct Gap<'a> {
    v: u8,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    seq: u64,
    time: &'a str,
    /// Records that are in no line.
    dropped: u64,
    /// Lines that were torn, or that the disk did not confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    /// From this number on, up to this note, lines may be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seq: Option<u64>,
    /// Answers that did not wait for their line.
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<u64>,
    since: String,
    until: String,
    reason: &'a str,
    instance: &'a str,
}

/// A line of kind `summary`: records beyond the rate cap.
#[derive(Serialize)]
struct Summary<'a> {
    v: u8,
    kind: &'static str,
    seq: u64,
    time: &'a str,
    signature: &'a str,
    count: u64,
    first_id: String,
    last_id: String,
    instance: &'a str,
}

/// What every note says alike.
struct Heading<'a> {
    seq: u64,
    time: &'a str,
    instance: &'a str,
}

impl Notes {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            failed,
            refused,
            late,
            torn,
            moved,
            unsynced,
            surplus,
            surplus_forgotten,
            told: _,
        } = self;
        failed.is_none()
            && refused.is_none()
            && late.is_none()
            && moved.is_none()
            && unsynced.is_none()
            && *torn + *surplus_forgotten == 0
            && surplus.is_empty()
    }

    pub(super) fn failed(&mut self, dropped: u64, now_micros: i64, reason: &str) {
        add(&mut self.failed, Failed::one(dropped, now_micros, reason));
    }

    /// So many lines stand in the log, but may not survive a power cut.
    pub(super) fn unsynced(&mut self, lines: u64, now_micros: i64, reason: &str) {
        add(&mut self.unsynced, Failed::one(lines, now_micros, reason));
    }

    pub(super) fn refused(&mut self, noted: Option<Noted>) {
        self.refused = merge(self.refused, noted);
    }

    pub(super) fn late(&mut self, noted: Option<Noted>) {
        self.late = merge(self.late, noted);
    }

    pub(super) fn mishaps(&mut self, mishaps: Vec<Mishap>) {
        for mishap in mishaps {
            match mishap {
                Mishap::TornLine => self.torn += 1,
                Mishap::Moved { first_seq } => self.moved(first_seq),
            }
        }
    }

    /// The segment is lost that began with `first_seq`, and with it what it said of gaps before.
    fn moved(&mut self, first_seq: Option<u64>) {
        let told = std::mem::take(&mut self.told);
        let moved = earliest(told.moved, Some(Moved { first_seq }));
        self.moved = earliest(self.moved.take(), moved);
        self.refused = merge(told.refused, self.refused);
        let later = self.failed.take();
        self.failed = told.failed;
        if let Some(later) = later {
            add(&mut self.failed, later);
        }
    }

    /// All of it stands in `segment` now; what it said before is kept in mind as long as that is the one in use.
    pub(super) fn are_told_in(&mut self, segment: Stamp) {
        let new = std::mem::take(self);
        let mut told = new.told;
        if told.segment != Some(segment) {
            told = Told {
                segment: Some(segment),
                ..Told::default()
            };
        }
        told.moved = earliest(told.moved, new.moved);
        told.refused = merge(told.refused, new.refused);
        if let Some(failed) = new.failed {
            add(&mut told.failed, failed);
        }
        self.told = told;
    }

    pub(super) fn surplus(&mut self, surplus: Vec<Surplus>) {
        for surplus in surplus {
            if self.surplus.len() < MAX_SURPLUS {
                self.surplus.push(surplus);
            } else {
                self.surplus_forgotten += surplus.count;
            }
        }
    }

    /// Appends every note as a line, numbered from `seq` on; returns the number after the last.
    pub(super) fn encode(
        &self,
        out: &mut Vec<u8>,
        mut seq: u64,
        time: &str,
        instance: &str,
    ) -> serde_json::Result<u64> {
        let mut next = || {
            let heading = Heading {
                seq,
                time,
                instance,
            };
            seq += 1;
            heading
        };
        self.encode_gaps(out, time, &mut next)?;
        if let Some(noted) = self.late {
            late(out, &next(), noted)?;
        }
        for surplus in &self.surplus {
            summary(out, &next(), surplus)?;
        }
        Ok(seq)
    }

    fn encode_gaps<'a>(
        &self,
        out: &mut Vec<u8>,
        time: &str,
        next: &mut impl FnMut() -> Heading<'a>,
    ) -> serde_json::Result<()> {
        if let Some(failed) = &self.failed {
            let gap = next().gap(cause::FAILED, failed.noted, &failed.reason);
            gap.until(&timestamp(failed.last_micros)).push(out)?;
        }
        if let Some(refused) = self.refused {
            let gap = next().gap(cause::REFUSED, refused, "the queue was full");
            gap.until(time).push(out)?;
        }
        if self.torn > 0 {
            let reason = "a line that was cut off by a crash or a full disk was closed off";
            let gap = next().gap(cause::TORN, Noted::NOTHING, reason);
            gap.lines(self.torn).push(out)?;
        }
        if let Some(moved) = &self.moved {
            let reason = "the segment was moved or removed while in use; lines that were only there are missing";
            let gap = next().gap(cause::MOVED, Noted::NOTHING, reason);
            gap.from(moved.first_seq).push(out)?;
        }
        if let Some(unsynced) = &self.unsynced {
            let Failed {
                noted,
                last_micros,
                reason,
            } = unsynced;
            let since = Noted { count: 0, ..*noted };
            let gap = next()
                .gap(cause::UNSYNCED, since, reason)
                .lines(noted.count);
            gap.until(&timestamp(*last_micros)).push(out)?;
        }
        if self.surplus_forgotten > 0 {
            let noted = Noted {
                count: self.surplus_forgotten,
                since_micros: 0,
            };
            let reason = "surplus that was no longer counted by signature";
            next().gap(cause::SURPLUS, noted, reason).push(out)?;
        }
        Ok(())
    }
}

impl Failed {
    fn one(count: u64, now_micros: i64, reason: &str) -> Self {
        Self {
            noted: Noted {
                count,
                since_micros: now_micros,
            },
            last_micros: now_micros,
            reason: reason.to_owned(),
        }
    }
}

fn add(to: &mut Option<Failed>, later: Failed) {
    match to {
        Some(earlier) => {
            earlier.noted.count += later.noted.count;
            earlier.last_micros = later.last_micros;
            earlier.reason = later.reason;
        }
        None => *to = Some(later),
    }
}

/// Both as one: where the first of them began, if that could be read of each.
fn earliest(one: Option<Moved>, other: Option<Moved>) -> Option<Moved> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Moved {
            first_seq: one.first_seq.zip(other.first_seq).map(|(a, b)| a.min(b)),
        }),
        (one, other) => one.or(other),
    }
}

fn merge(earlier: Option<Noted>, later: Option<Noted>) -> Option<Noted> {
    match (earlier, later) {
        (Some(earlier), Some(later)) => Some(Noted {
            count: earlier.count + later.count,
            since_micros: earlier.since_micros,
        }),
        (one, other) => one.or(other),
    }
}

impl<'a> Heading<'a> {
    fn gap<'b>(self, cause: &'static str, noted: Noted, reason: &'b str) -> Gap<'b>
    where
        'a: 'b,
    {
        let since = match noted.since_micros {
            0 => self.time.to_owned(),
            micros => timestamp(micros),
        };
        Gap {
            v: VERSION,
            kind: "gap",
            cause: Some(cause),
            seq: self.seq,
            time: self.time,
            dropped: noted.count,
            lines: None,
            first_seq: None,
            late: None,
            since,
            until: self.time.to_owned(),
            reason,
            instance: self.instance,
        }
    }
}

impl Gap<'_> {
    fn until(mut self, time: &str) -> Self {
        time.clone_into(&mut self.until);
        self
    }

    fn lines(mut self, lines: u64) -> Self {
        self.lines = Some(lines);
        self
    }

    fn from(mut self, first_seq: Option<u64>) -> Self {
        self.first_seq = first_seq;
        self
    }

    fn push(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        line::push(out, self)
    }
}

fn late(out: &mut Vec<u8>, heading: &Heading<'_>, noted: Noted) -> serde_json::Result<()> {
    let late = Gap {
        v: VERSION,
        kind: "late",
        cause: None,
        seq: heading.seq,
        time: heading.time,
        dropped: 0,
        lines: None,
        first_seq: None,
        late: Some(noted.count),
        since: timestamp(noted.since_micros),
        until: heading.time.to_owned(),
        reason: "answers went out before their records were written",
        instance: heading.instance,
    };
    line::push(out, &late)
}

fn summary(out: &mut Vec<u8>, heading: &Heading<'_>, surplus: &Surplus) -> serde_json::Result<()> {
    let summary = Summary {
        v: VERSION,
        kind: "summary",
        seq: heading.seq,
        time: heading.time,
        signature: &surplus.signature,
        count: surplus.count,
        first_id: surplus.first_id.to_string(),
        last_id: surplus.last_id.to_string(),
        instance: heading.instance,
    };
    line::push(out, &summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::segment::Holds;

    const NOON: i64 = 1_795_521_600;
    const DAY: i64 = 86_400;

    fn stamp(now_secs: i64) -> Stamp {
        Stamp::at(Holds::Lines, now_secs)
    }

    fn lost(first_seq: u64) -> Vec<Mishap> {
        vec![Mishap::Moved {
            first_seq: Some(first_seq),
        }]
    }

    fn first_lost(notes: &Notes) -> Option<u64> {
        notes.moved.as_ref()?.first_seq
    }

    fn dropped(notes: &Notes) -> u64 {
        let failed = notes.failed.as_ref().map_or(0, |failed| failed.noted.count);
        failed + notes.refused.map_or(0, |refused| refused.count)
    }

    #[test]
    fn what_a_lost_segment_said_is_told_again_as_often_as_it_is_lost() {
        let mut notes = Notes::default();
        notes.mishaps(lost(1));
        notes.failed(3, NOON, "disk full");
        notes.refused(Some(Noted {
            count: 4,
            since_micros: 1,
        }));

        for round in 0..3 {
            notes.are_told_in(stamp(NOON));
            assert!(notes.is_empty());
            notes.failed(1, NOON, "disk full");
            notes.are_told_in(stamp(NOON));

            notes.mishaps(lost(60 + round));

            assert_eq!(first_lost(&notes), Some(1));
            assert_eq!(dropped(&notes), 8 + round);
        }
    }

    #[test]
    fn what_an_earlier_segment_says_is_not_told_twice() {
        let mut notes = Notes::default();
        notes.mishaps(lost(1));
        notes.failed(3, NOON, "disk full");
        notes.are_told_in(stamp(NOON));
        notes.are_told_in(stamp(NOON + DAY));

        notes.mishaps(lost(60));

        assert_eq!(first_lost(&notes), Some(60));
        assert_eq!(dropped(&notes), 0);
    }
}
