//! `linkgate incidents reindex`: the index of the log made anew, beside a running gateway or without one.

use std::{io, path::Path, thread};

use tokio::time::Instant;

use crate::{
    cli::{End, print},
    incident::index::rebuild::{Rebuilt, rebuild},
};

pub(super) fn run(folder: &Path, json: bool) -> Result<(), End> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let begun = Instant::now();
    let done = rebuild(folder, threads, |one| {
        // A pipe that is closed is found out at the end, by the sum.
        tell(one, json).ok();
    })
    .map_err(|error| End::Failed(anyhow::anyhow!("{}: {error}", folder.display())))?;
    let lines: u64 = done.iter().map(|one| one.lines).sum();
    let failed = done.iter().filter(|one| one.failed.is_some()).count();
    if !json {
        print::line(&format!(
            "{lines} lines of {} segments in {:.1} s",
            done.len() - failed,
            begun.elapsed().as_secs_f64()
        ))?;
    }
    match failed {
        0 => Ok(()),
        failed => Err(End::Failed(anyhow::anyhow!(
            "{failed} segments have no new index"
        ))),
    }
}

fn tell(one: &Rebuilt, json: bool) -> io::Result<()> {
    if json {
        return print::line(&serde_json::to_string(one)?);
    }
    let took = one.took_ms;
    match &one.failed {
        Some(why) => print::line(&format!("{}: not indexed: {why}", one.segment)),
        None => print::line(&format!(
            "{}: {} lines, {} unreadable, {} MiB read, {} MiB written, {}.{:03} s",
            one.segment,
            one.lines,
            one.skipped,
            one.bytes >> 20,
            one.index_bytes >> 20,
            took / 1_000,
            took % 1_000
        )),
    }
}
