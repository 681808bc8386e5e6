//! How far the index lags while 2,000 incidents are written a second.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    thread::sleep,
    time::Duration,
};

use linkgate::incident::{index::keeper::Keeper, reader::Incidents};
use tokio::time::Instant;

use crate::generate::line;

const A_SECOND: u64 = 2_000;
const SECONDS: u64 = 30;
const BATCHES: u64 = 20;

/// Writes for half a minute and looks at the index after each batch.
pub(crate) fn measure(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file: File = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("incidents-2026-11-25.ndjson"))?;
    let keeper = Keeper::start(folder.to_owned())?;
    let log = Incidents::open(folder);
    let batch = A_SECOND / BATCHES;
    let begun = Instant::now();
    let mut written = Vec::new();
    let mut lags = Vec::new();
    for n in 0..SECONDS * BATCHES {
        let lines: String = (n * batch..(n + 1) * batch)
            .map(|n| line(n, 1_000_000) + "\n")
            .collect();
        let due = Duration::from_millis(n * 1_000 / BATCHES);
        sleep(due.saturating_sub(begun.elapsed()));
        file.write_all(lines.as_bytes())?;
        written.push(Instant::now());
        // The oldest batch that is not in the index: how long has it been in the log?
        let through = log.indexed_through().seq.unwrap_or(0);
        let oldest = usize::try_from(through / batch).unwrap_or(usize::MAX);
        lags.push(
            written
                .get(oldest)
                .map_or(0.0, |at| at.elapsed().as_secs_f64()),
        );
    }
    keeper.stop();
    let took = begun.elapsed().as_secs_f64();
    let steady = lags.split_off(lags.len() / 6);
    let mut steady = steady;
    steady.sort_by(f64::total_cmp);
    let at = |part: usize| {
        steady
            .get((steady.len() - 1) * part / 100)
            .copied()
            .unwrap_or(0.0)
    };
    println!(
        "index lag at {:.0} incidents/s: median {:.2} s, 99 of 100 {:.2} s, most {:.2} s",
        (SECONDS * A_SECOND) as f64 / took,
        at(50),
        at(99),
        at(100)
    );
    Ok(())
}
