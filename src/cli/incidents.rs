//! `linkgate incidents`: reading the support log. Needs neither a running gateway nor a key; bodies
//! are shown where a running gateway opens them.

use std::{io, path::Path};

use clap::Subcommand;

use crate::{
    config::{Environment, Places},
    incident::{
        page,
        reader::{Found, Incidents, Record},
    },
    store::Decision,
};

use super::{End, print, reach};

mod bodies;
mod export;
mod list;
mod marks;
mod reindex;
mod show;
mod stats;
mod tail;
mod verify;
mod wanted;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List incidents, the newest first
    List(list::Options),
    /// Show one incident whole: why it happened, where the time went, everything that was sent and came
    Show(show::Options),
    /// Say why an incident happened, and what to try
    Explain(show::ExplainOptions),
    /// Print the last incidents, and with -f what happens from then on until Ctrl-C
    Tail(tail::Options),
    /// Count incidents by fault, status, caller and member, and group what is alike
    Stats(stats::Options),
    /// Hand incidents on: a ticket for LinkedIn, HAR, curl, JSON, or all of it in one archive
    Export(export::Options),
    /// Prove that no line is missing, or list what is; ends with 1 then
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the index of the log anew, from its segments
    Reindex {
        /// Print NDJSON: one segment a line
        #[arg(long)]
        json: bool,
    },
    /// Hide a signature from what is wrong now; its incidents are kept and found as before
    Mute {
        /// The signature, as `list --json` and the pages say it
        signature: String,
    },
    /// Note that a signature was put right: if it comes again, the pages say so
    Resolve {
        /// The signature
        signature: String,
    },
    /// Take `mute` or `resolve` back
    Reopen {
        /// The signature
        signature: String,
    },
}

pub(super) fn run(command: Command, file: &Path, environment: &Environment) -> Result<(), End> {
    let places = Places::load(file, environment)?;
    let log = Incidents::open(&places.incidents);
    match command {
        Command::List(options) => list::run(&log, &options),
        Command::Show(options) => show::run(&log, &places, &options),
        Command::Explain(options) => show::explain(&log, &places, &options),
        Command::Tail(options) => tail::run(&log, &options),
        Command::Stats(options) => stats::run(&log, &options),
        Command::Export(options) => export::run(&log, &places, &options),
        Command::Reindex { json } => reindex::run(&places.incidents, json),
        Command::Verify { json } => verify::run(&places, json),
        Command::Mute { signature } => {
            marks::decide(signature, Some(Decision::Muted), file, environment)
        }
        Command::Resolve { signature } => {
            marks::decide(signature, Some(Decision::Resolved), file, environment)
        }
        Command::Reopen { signature } => marks::decide(signature, None, file, environment),
    }
}

/// One line: as it stands in the log, or for people.
fn row(record: &Record, json: bool) -> io::Result<()> {
    if json {
        print::line(&record.line())
    } else {
        print::line(&page::line(record))
    }
}

/// The one incident whose id begins so.
fn one(log: &Incidents, id: &str) -> Result<Record, End> {
    match log.find(id) {
        Found::One(record) => Ok(*record),
        Found::Nothing => Err(End::Failed(anyhow::anyhow!(
            "there is no incident {}",
            page::shown(id)
        ))),
        Found::Unreadable(segments) => Err(End::Failed(anyhow::anyhow!(
            "there is no incident {} in what can be read: {segments} segments cannot be opened",
            page::shown(id)
        ))),
        Found::Ambiguous(ids) => Err(End::Usage(format!(
            "several ids begin so: {}",
            ids.join(" ")
        ))),
    }
}
