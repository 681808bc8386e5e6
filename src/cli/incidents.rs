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
        reader::{Follow, Found, Incidents, Record, SHORTEST_PREFIX},
    },
};

use super::{End, print, reach};

mod bodies;
mod wanted;

use wanted::Wanted;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List incidents, the newest first
    List {
        #[command(flatten)]
        wanted: Wanted,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Print NDJSON: one record a line, as it stands in the log
        #[arg(long)]
        json: bool,
    },
    /// Show one incident whole
    Show {
        /// Its id, or the first 8 characters or more
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print incidents as they happen, until Ctrl-C
    Tail {
        #[command(flatten)]
        wanted: Wanted,
        /// Print NDJSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: Command, file: &Path, environment: &Environment) -> Result<(), End> {
    let places = Places::load(file, environment)?;
    let log = Incidents::open(&places.incidents);
    match command {
        Command::List {
            wanted,
            limit,
            json,
        } => list(&log, &wanted, limit, json),
        Command::Show { id, json } => show(&log, &places, &id, json),
        Command::Tail { wanted, json } => tail(log.follow(wanted.filter()?), json),
    }
}

fn list(log: &Incidents, wanted: &Wanted, limit: usize, json: bool) -> Result<(), End> {
    let mut skipped = 0;
    let mut left = limit;
    for found in log.list(wanted.filter()?) {
        match found {
            Err(_) => skipped += 1,
            Ok(_) if left == 0 => break,
            Ok(record) => {
                left -= 1;
                row(&record, json)?;
            }
        }
    }
    if skipped > 0 {
        print::remark(&format!("{skipped} unreadable lines were passed over"))?;
    }
    Ok(())
}

fn row(record: &Record, json: bool) -> io::Result<()> {
    if json {
        print::line(&record.json().to_string())
    } else {
        print::line(&page::line(record))
    }
}

fn show(log: &Incidents, places: &Places, id: &str, json: bool) -> Result<(), End> {
    if id.len() < SHORTEST_PREFIX {
        return Err(End::Usage(format!(
            "an id has 36 characters, its beginning at least {SHORTEST_PREFIX}"
        )));
    }
    let record = match log.find(id) {
        Found::One(record) => *record,
        Found::Nothing => {
            return Err(End::Failed(anyhow::anyhow!(
                "there is no incident {}",
                page::shown(id)
            )));
        }
        Found::Ambiguous(ids) => {
            return Err(End::Usage(format!(
                "several ids begin so: {}",
                ids.join(" ")
            )));
        }
    };
    let record = reach::runtime()?.block_on(bodies::open(record, &places.control_socket));
    if json {
        return Ok(print::json(record.json())?);
    }
    write!(io::stdout().lock(), "{}", page::render(&record))?;
    Ok(())
}

fn tail(mut follow: Follow, json: bool) -> Result<(), End> {
    loop {
        match follow.wait_next() {
            Ok(record) => row(&record, json)?,
            Err(skipped) => print::remark(&skipped.to_string())?,
        }
    }
}
