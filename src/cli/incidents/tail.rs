//! `linkgate incidents tail`: the last lines, and with `-f` those that are written from then on.

use clap::Args;

use crate::{
    cli::{End, print},
    incident::reader::{Incidents, MOST, Order},
};

use super::{row, wanted::Wanted};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// Go on with incidents as they happen, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// How many of the last ones first, 1000 at most
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    lines: usize,
    /// Print NDJSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(log: &Incidents, options: &Options) -> Result<(), End> {
    let mut filter = options.wanted.filter();
    filter.order = Order::NewestFirst;
    // Followed from before the last lines are read, so that none falls between.
    let follow = options.follow.then(|| log.follow(filter.clone()));
    let mut printed = None;
    if options.lines > 0 {
        let page = log.search(&filter, None, options.lines.min(MOST));
        printed = page.records.first().and_then(|newest| newest.seq());
        for record in page.records.iter().rev() {
            row(record, options.json)?;
        }
    }
    let Some(mut follow) = follow else {
        return Ok(());
    };
    loop {
        match follow.wait_next() {
            Ok(record) if record.seq().is_some() && record.seq() <= printed => {}
            Ok(record) => row(&record, options.json)?,
            Err(skipped) => print::remark(&skipped.to_string())?,
        }
    }
}
