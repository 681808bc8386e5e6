//! `linkgate incidents stats`: what the log holds in a time, in numbers, and what is alike in it.

use std::{
    collections::BTreeSet,
    env,
    io::{self, IsTerminal as _},
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{End, print},
    clock::Clock,
    incident::{
        page,
        reader::{Count, Filter, Group, Incidents, Stats, Window},
    },
};

use super::wanted::Wanted;

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// How many groups and names at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(log: &Incidents, options: &Options) -> Result<(), End> {
    let now = Clock::system().micros();
    let filter = options.wanted.filter_at(now);
    let window = Window::asked(&filter, now);
    let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let stats = log.stats(window, &filter, limit);
    let mut groups = log.groups(window, &filter);
    groups.truncate(limit);
    let known = known_before(log, window, &filter);
    let groups: Vec<(Group, bool)> = groups
        .into_iter()
        .map(|group| {
            let is_new = !known.contains(&group.signature);
            (group, is_new)
        })
        .collect();
    if options.json {
        return Ok(print::json(&document(&stats, &groups)?)?);
    }
    people(&stats, &groups)
}

/// Signatures that the log knew before this time.
fn known_before(log: &Incidents, window: Window, filter: &Filter) -> BTreeSet<String> {
    let before = Window {
        since_micros: 0,
        until_micros: window.since_micros.saturating_sub(1),
    };
    let groups = log.groups(before, filter).into_iter();
    groups.map(|group| group.signature).collect()
}

fn document(stats: &Stats, groups: &[(Group, bool)]) -> io::Result<Value> {
    let group = |(group, is_new): &(Group, bool)| {
        let mut value = serde_json::to_value(group)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("new".to_owned(), json!(is_new));
        }
        Ok(value)
    };
    let mut document = serde_json::to_value(stats)?;
    let groups: Vec<Value> = groups.iter().map(group).collect::<io::Result<_>>()?;
    if let Some(fields) = document.as_object_mut() {
        fields.insert("groups".to_owned(), Value::from(groups));
    }
    Ok(document)
}

fn people(stats: &Stats, groups: &[(Group, bool)]) -> Result<(), End> {
    print::line(&format!(
        "{} incidents from {} to {}",
        stats.total, stats.since, stats.until
    ))?;
    for (name, list) in [
        ("fault", &stats.faults),
        ("status", &stats.statuses),
        ("caller", &stats.callers),
        ("member", &stats.members),
    ] {
        if !list.is_empty() {
            print::line("")?;
            table(name, list)?;
        }
    }
    if !groups.is_empty() {
        let bars = Bars::of_output();
        let rows: Vec<Value> = groups.iter().map(|group| row(group, bars)).collect();
        print::line("")?;
        print::table(&rows, &FIELDS)?;
    }
    if stats.skipped > 0 {
        print::remark(&format!(
            "{} unreadable lines were passed over",
            stats.skipped
        ))?;
    }
    Ok(())
}

fn table(name: &str, list: &[Count]) -> io::Result<()> {
    let row = |count: &Count| json!({name: page::shown(&count.name), "count": count.count});
    let rows: Vec<Value> = list.iter().map(row).collect();
    print::table(&rows, &[name, "count"])
}

/// The columns of groups.
const FIELDS: [&str; 8] = [
    "count",
    "over time",
    "new",
    "members",
    "callers",
    "first seen",
    "last seen",
    "signature",
];

fn row((group, is_new): &(Group, bool), bars: Bars) -> Value {
    json!({
        "count": group.count,
        "over time": bars.line(&group.sparkline),
        "new": if *is_new { "new" } else { "" },
        "members": group.members,
        "callers": group.callers,
        "first seen": page::shown(&group.first_seen),
        "last seen": page::shown(&group.last_seen),
        "signature": group.signature,
    })
}

/// What a line of bars is drawn with, the lowest first; nothing at all is the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bars {
    /// In a terminal.
    Blocks,
    /// In a file or a pipe, and where `NO_COLOR` asks for plain text.
    Plain,
}

impl Bars {
    fn of_output() -> Self {
        let is_plain = env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        match io::stdout().is_terminal() && !is_plain {
            true => Self::Blocks,
            false => Self::Plain,
        }
    }

    fn line(self, counts: &[u64]) -> String {
        const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        const PLAIN: [char; 9] = ['_', '.', ':', '-', '=', '+', '*', '#', '@'];
        let steps = match self {
            Self::Blocks => BLOCKS,
            Self::Plain => PLAIN,
        };
        let most = counts.iter().copied().max().unwrap_or_default().max(1);
        let height = |count: &u64| {
            let height = (u128::from(*count) * 8).div_ceil(u128::from(most));
            usize::try_from(height).unwrap_or(8)
        };
        counts
            .iter()
            .filter_map(|count| steps.get(height(count)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_bars_shows_the_least_and_the_most() {
        for (why, counts, blocks, plain) in [
            ("nothing", &[0, 0][..], "  ", "__"),
            (
                "one is seen beside many",
                &[0, 1, 1_000, 500],
                " ▁█▄",
                "_.@=",
            ),
            ("all alike", &[7, 7], "██", "@@"),
            ("no overflow", &[u64::MAX, 1], "█▁", "@."),
            ("empty", &[], "", ""),
        ] {
            assert_eq!(Bars::Blocks.line(counts), blocks, "{why}");
            assert_eq!(Bars::Plain.line(counts), plain, "{why}");
        }
    }
}
