//! What the log has to say about itself: gaps, late answers, surplus.
//!
//! **Invariant:** bounded: each kind is one sum until it is written; nothing is forgotten before it
//! stands in the log.

use serde::Serialize;

use super::{
    condition::Noted,
    line,
    rate::Surplus,
    record::{VERSION, timestamp},
    segment::Mishap,
};

/// Notes that wait for a working disk.
#[derive(Debug, Default)]
pub(super) struct Notes {
    failed: Option<Failed>,
    refused: Option<Noted>,
    late: Option<Noted>,
    torn: u64,
    moved: u64,
    surplus: Vec<Surplus>,
    /// Surplus of minutes for which there was no more room here.
    surplus_forgotten: u64,
}

/// Minutes of surplus that are kept apart while the disk refuses.
const MAX_SURPLUS: usize = 16_384;

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
    seq: u64,
    time: &'a str,
    /// Records that are in no line.
    dropped: u64,
    /// Answers that did not wait for their line.
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<u64>,
    since: &'a str,
    until: &'a str,
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
            surplus,
            surplus_forgotten,
        } = self;
        failed.is_none()
            && refused.is_none()
            && late.is_none()
            && *torn + *moved + *surplus_forgotten == 0
            && surplus.is_empty()
    }

    pub(super) fn failed(&mut self, dropped: u64, now_micros: i64, reason: &str) {
        let failed = self.failed.get_or_insert_with(|| Failed {
            noted: Noted {
                count: 0,
                since_micros: now_micros,
            },
            last_micros: now_micros,
            reason: String::new(),
        });
        failed.noted.count += dropped;
        failed.last_micros = now_micros;
        reason.clone_into(&mut failed.reason);
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
                Mishap::Moved => self.moved += 1,
            }
        }
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
        if let Some(failed) = &self.failed {
            let until = timestamp(failed.last_micros);
            gap(out, &next(), failed.noted, &until, &failed.reason)?;
        }
        if let Some(refused) = self.refused {
            gap(out, &next(), refused, time, "the queue was full")?;
        }
        for (count, reason) in [
            (
                self.torn,
                "a line that was cut off by a crash or a full disk was closed off",
            ),
            (
                self.moved,
                "the segment was moved or removed while in use; lines that were only there are missing",
            ),
        ] {
            if count > 0 {
                gap_without_drop(out, &next(), reason)?;
            }
        }
        if self.surplus_forgotten > 0 {
            let noted = Noted {
                count: self.surplus_forgotten,
                since_micros: 0,
            };
            gap(
                out,
                &next(),
                noted,
                time,
                "surplus that was no longer counted by signature",
            )?;
        }
        if let Some(noted) = self.late {
            late(out, &next(), noted)?;
        }
        for surplus in &self.surplus {
            summary(out, &next(), surplus)?;
        }
        Ok(seq)
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

fn gap(
    out: &mut Vec<u8>,
    heading: &Heading<'_>,
    noted: Noted,
    until: &str,
    reason: &str,
) -> serde_json::Result<()> {
    let since = match noted.since_micros {
        0 => until.to_owned(),
        micros => timestamp(micros),
    };
    let gap = Gap {
        v: VERSION,
        kind: "gap",
        seq: heading.seq,
        time: heading.time,
        dropped: noted.count,
        late: None,
        since: &since,
        until,
        reason,
        instance: heading.instance,
    };
    line::push(out, &gap)
}

fn gap_without_drop(
    out: &mut Vec<u8>,
    heading: &Heading<'_>,
    reason: &str,
) -> serde_json::Result<()> {
    let noted = Noted {
        count: 0,
        since_micros: 0,
    };
    gap(out, heading, noted, heading.time, reason)
}

fn late(out: &mut Vec<u8>, heading: &Heading<'_>, noted: Noted) -> serde_json::Result<()> {
    let late = Gap {
        v: VERSION,
        kind: "late",
        seq: heading.seq,
        time: heading.time,
        dropped: 0,
        late: Some(noted.count),
        since: &timestamp(noted.since_micros),
        until: heading.time,
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
