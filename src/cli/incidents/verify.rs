//! `linkgate incidents verify`: whether the log is whole, or what is missing.

use std::io;

use crate::{
    clock::Clock,
    config::Places,
    incident::{
        page,
        verify::{Finding, Report, verify},
    },
};

use super::super::{End, print};

pub(super) fn run(places: &Places, json: bool) -> Result<(), End> {
    let report = verify(&places.incidents, places.keep_bodies, &Clock::system())?;
    if json {
        print::json(&serde_json::to_value(&report).map_err(io::Error::other)?)?;
    } else {
        told(&report)?;
    }
    match report.is_whole {
        true => Ok(()),
        false => Err(End::Failed(anyhow::anyhow!(
            "the support log is not whole: {} found",
            report.findings.len() as u64 + report.not_listed
        ))),
    }
}

fn told(report: &Report) -> io::Result<()> {
    let ends = |seq: Option<u64>, time: &Option<String>| match (seq, time) {
        (Some(seq), Some(time)) => format!("{seq} ({})", page::shown(time)),
        (Some(seq), None) => seq.to_string(),
        (None, _) => "-".to_owned(),
    };
    for (name, value) in [
        ("segments", report.segments.to_string()),
        ("lines", counted(report)),
        ("first", ends(report.first_seq, &report.first_time)),
        ("last", ends(report.last_seq, &report.last_time)),
        (
            "bodies",
            format!(
                "{} in their time, {} beyond it",
                report.bodies, report.bodies_over
            ),
        ),
    ] {
        print::line(&format!("{name:<10} {value}"))?;
    }
    for (count, what) in [
        (
            report.summarised,
            "4xx records beyond max_per_minute were counted and not written",
        ),
        (
            report.late,
            "answers went out before their record was written",
        ),
        (
            report.torn_lines,
            "lines were torn by a kill before anybody was promised them",
        ),
        (
            report.unsynced,
            "lines were not confirmed by the disk when they were written",
        ),
        (
            u64::from(report.is_tail_open),
            "line at the end is being written, or was torn by a kill",
        ),
    ] {
        if count > 0 {
            print::line(&format!("{:<10} {count} {what}", "note"))?;
        }
    }
    for finding in &report.findings {
        print::line(&format!(
            "{:<10} {}",
            "MISSING",
            page::shown(&sentence(finding))
        ))?;
    }
    if report.not_listed > 0 {
        print::line(&format!("{:<10} {} more", "MISSING", report.not_listed))?;
    }
    match report.is_whole {
        true => print::line("whole: nothing is missing"),
        false => Ok(()),
    }
}

fn counted(report: &Report) -> String {
    let Report {
        lines,
        incidents,
        written,
        self_tests,
        notes,
        ..
    } = report;
    format!(
        "{lines}: {incidents} incidents, {written} successful writes, {self_tests} self-tests, {notes} notes"
    )
}

fn sentence(finding: &Finding) -> String {
    let or_unknown = |time: &Option<String>| time.clone().unwrap_or_else(|| "unknown".to_owned());
    match finding {
        Finding::MissingLines {
            first_seq,
            last_seq,
            after,
            before,
        } => format!(
            "lines {first_seq} to {last_seq}, between {} and {}",
            or_unknown(after),
            or_unknown(before)
        ),
        Finding::Dropped {
            count,
            since,
            until,
            reason,
            seq,
        } => format!("{count} records dropped from {since} to {until}: {reason} (line {seq})"),
        Finding::UnreadableLine(torn) => {
            format!("line {} of {} cannot be read", torn.line, torn.segment)
        }
        Finding::UnreadableSegment { segment, why } => {
            format!("{segment} cannot be read further: {why}")
        }
        Finding::LostSegment { seq } => {
            format!(
                "a segment was moved or removed while in use; what it held is unknown (line {seq})"
            )
        }
        Finding::NumberTwice { seq, segment } => {
            format!("line number {seq} is there twice, again in {segment}")
        }
        Finding::IdTwice { id, seq } => format!("{id} is there twice, again as line {seq}"),
        Finding::MissingBody {
            seq,
            id,
            reference,
            why,
        } => format!("a body of {id} (line {seq}) at {reference}: {why}"),
        Finding::TooScattered => {
            "numbers are so scattered that not every hole is listed".to_owned()
        }
    }
}
