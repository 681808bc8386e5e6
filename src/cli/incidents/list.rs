//! `linkgate incidents list`: pages of the log, printed as they come.

use clap::Args;

use crate::{
    cli::{End, print},
    incident::{
        page,
        reader::{Cursor, Incidents, MOST, Order, Page, Record, said},
    },
};

use super::{row, wanted::Wanted};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Go on where another list ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// Which end first: newest or oldest
    #[arg(long, default_value = "newest", value_parser = said::order)]
    order: Order,
    /// Print NDJSON: one record a line, as it stands in the log
    #[arg(long)]
    json: bool,
}

pub(super) fn run(log: &Incidents, options: &Options) -> Result<(), End> {
    let mut filter = options.wanted.filter();
    filter.order = options.order;
    let mut left = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let mut after = options.after;
    let mut skipped = 0;
    let mut is_unindexed = false;
    let last = loop {
        let page = log.search(&filter, after, left.min(MOST));
        for record in &page.records {
            row(record, options.json)?;
        }
        left = left.saturating_sub(page.records.len());
        skipped += page.skipped;
        is_unindexed |= page.records.iter().any(|record| is_behind(&page, record));
        if page.next.is_none() || left == 0 {
            break page;
        }
        after = page.next;
    };
    if skipped > 0 {
        print::remark(&format!("{skipped} unreadable lines were passed over"))?;
    }
    if is_unindexed {
        print::remark(&indexed_through(&last))?;
    }
    if let Some(next) = last.next {
        print::remark(&format!("there are more: --after {next}"))?;
    }
    Ok(())
}

/// Whether the index did not know this line yet.
fn is_behind(page: &Page, record: &Record) -> bool {
    let through = page.indexed_through.seq;
    through.is_some_and(|through| record.seq().is_some_and(|seq| seq > through))
}

fn indexed_through(page: &Page) -> String {
    let through = &page.indexed_through;
    format!(
        "the index knows the log through line {} ({}); what came later was read from the log itself",
        through.seq.unwrap_or_default(),
        page::shown(through.time.as_deref().unwrap_or("-"))
    )
}
