//! `incidents show` and `incidents explain`: one incident, and why it happened.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;
use serde_json::json;

use crate::{
    config::Places,
    incident::{
        page,
        reader::{Incidents, Record, said},
    },
};

use super::{End, bodies, one, print, reach};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Its id, or the first 8 characters or more
    #[arg(value_parser = said::id)]
    id: String,
    /// Print JSON: the record with its bodies, as far as they can be opened
    #[arg(long)]
    json: bool,
    /// Print its line as it stands in the log, byte for byte
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainOptions {
    /// Its id, or the first 8 characters or more
    #[arg(value_parser = said::id)]
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(log: &Incidents, places: &Places, options: &Options) -> Result<(), End> {
    let record = one(log, &options.id)?;
    if options.raw {
        let line = log.raw(&record);
        let line = line.ok_or_else(|| anyhow::anyhow!("its segment was dropped a moment ago"));
        let mut out = io::stdout().lock();
        out.write_all(&line.map_err(End::Failed)?)?;
        return Ok(writeln!(out)?);
    }
    let record = opened(record, places)?;
    if options.json {
        return Ok(print::json(record.json())?);
    }
    let page = page::whole(&record, &log.explain(&record));
    Ok(write!(io::stdout().lock(), "{page}")?)
}

pub(super) fn explain(
    log: &Incidents,
    places: &Places,
    options: &ExplainOptions,
) -> Result<(), End> {
    let record = opened(one(log, &options.id)?, places)?;
    let around = log.around(&record);
    let findings = crate::incident::explain::explain(&record, &around);
    if options.json {
        let told = json!({ "id": record.id(), "findings": findings, "around": around });
        return Ok(print::json(&told)?);
    }
    Ok(write!(
        io::stdout().lock(),
        "{}",
        page::explained(&findings)
    )?)
}

fn opened(record: Record, places: &Places) -> Result<Record, End> {
    let socket: &PathBuf = &places.control_socket;
    Ok(reach::runtime()?.block_on(bodies::open(record, socket)))
}
