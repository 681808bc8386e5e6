//! `linkgate incidents`: reading the support log. Needs neither a running gateway nor a key; bodies
//! are shown where a running gateway opens them.

use std::{
    io::{self, Write as _},
    path::Path,
};

use clap::Subcommand;

use crate::{
    config::{Environment, Places},
    incident::{
        page,
        reader::{Found, Incidents, Record, SHORTEST_PREFIX},
    },
};

use super::{End, print, reach};

mod bodies;
mod export;
mod list;
mod tail;
mod wanted;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List incidents, the newest first
    List(list::Options),
    /// Show one incident whole
    Show {
        /// Its id, or the first 8 characters or more
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the last incidents, and with -f what happens from then on until Ctrl-C
    Tail(tail::Options),
    /// Hand incidents on: a ticket for LinkedIn, HAR, curl, JSON, or all of it in one archive
    Export(export::Options),
}

pub(super) fn run(command: Command, file: &Path, environment: &Environment) -> Result<(), End> {
    let places = Places::load(file, environment)?;
    let log = Incidents::open(&places.incidents);
    match command {
        Command::List(options) => list::run(&log, &options),
        Command::Show { id, json } => show(&log, &places, &id, json),
        Command::Tail(options) => tail::run(&log, &options),
        Command::Export(options) => export::run(&log, &places, &options),
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
    if id.len() < SHORTEST_PREFIX {
        return Err(End::Usage(format!(
            "an id has 36 characters, its beginning at least {SHORTEST_PREFIX}"
        )));
    }
    match log.find(id) {
        Found::One(record) => Ok(*record),
        Found::Nothing => Err(End::Failed(anyhow::anyhow!(
            "there is no incident {}",
            page::shown(id)
        ))),
        Found::Ambiguous(ids) => Err(End::Usage(format!(
            "several ids begin so: {}",
            ids.join(" ")
        ))),
    }
}

fn show(log: &Incidents, places: &Places, id: &str, json: bool) -> Result<(), End> {
    let record = one(log, id)?;
    let record = reach::runtime()?.block_on(bodies::open(record, &places.control_socket));
    if json {
        return Ok(print::json(record.json())?);
    }
    write!(io::stdout().lock(), "{}", page::render(&record))?;
    Ok(())
}
