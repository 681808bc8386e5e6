//! Everything that a start reads, on a thread each core: by connections of their own that cannot write.
//!
//! **Invariant:** each row is shown once, however many threads there are; nothing is written.

use std::{
    num::NonZero,
    ops::RangeInclusive,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rusqlite::{Connection, params};

use super::{Row, StoreError, opening, rows};
use crate::exchange::{Member, Name};

/// Rows, by their numbers, that a thread reads in one go: some milliseconds, so that all threads end at about the same time.
const SHARE: u64 = 4096;
/// Shares at most: the numbers of a table from which much was deleted lie far apart.
const SHARES: u64 = 1024;

/// Shows all wrapped data keys.
pub(super) fn data_keys(
    path: &Path,
    show: &(dyn Fn(Member, Vec<u8>) + Send + Sync),
) -> Result<(), StoreError> {
    let columns = "application, member, wrapped";
    each(path, "data_keys", columns, SHARE, |member, row| {
        show(member, row.get(2)?);
        Ok(())
    })
}

/// Shows all grants.
pub(super) fn grants(
    path: &Path,
    show: &(dyn Fn(Member, Row) + Send + Sync),
) -> Result<(), StoreError> {
    each(path, "grants", rows::COLUMNS, SHARE, |member, row| {
        show(member, rows::row_of(row)?);
        Ok(())
    })
}

/// Shows each row of a table whose first two columns are the member's, `share` numbers at a time.
fn each(
    path: &Path,
    table: &str,
    columns: &str,
    share: u64,
    show: impl Fn(Member, &rusqlite::Row<'_>) -> rusqlite::Result<()> + Sync,
) -> Result<(), StoreError> {
    let question = format!("SELECT {columns} FROM {table} WHERE rowid BETWEEN ?1 AND ?2");
    let read = |connection: &Connection, share: &RangeInclusive<i64>| {
        let mut statement = connection.prepare_cached(&question)?;
        let mut found = statement.query(params![share.start(), share.end()])?;
        let mut before: Option<Name> = None;
        while let Some(row) = found.next()? {
            let member = rows::member_after(before.as_ref(), row)?;
            before = Some(member.application.clone());
            show(member, row)?;
        }
        Ok(())
    };
    let first = opening::read_only(path)?;
    let shares = shares(&first, table, share)?;
    on_all_cores(path, &first, &shares, read)
}

/// Shows whose grants there are, `share` numbers at a time.
#[cfg(test)]
pub(super) fn shown(
    path: &Path,
    share: u64,
    show: &(dyn Fn(Member) + Send + Sync),
) -> Result<(), StoreError> {
    each(path, "grants", rows::COLUMNS, share, |member, _| {
        show(member);
        Ok(())
    })
}

/// The numbers of the table's rows, in parts of `share`, or of more where there would be too many.
pub(super) fn shares(
    connection: &Connection,
    table: &str,
    share: u64,
) -> Result<Vec<RangeInclusive<i64>>, StoreError> {
    let question = format!("SELECT min(rowid), max(rowid) FROM {table}");
    let ends = connection.query_row(&question, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)): (Option<i64>, Option<i64>) = ends else {
        return Ok(Vec::new());
    };
    let share = share.max(last.abs_diff(first) / SHARES + 1);
    let (mut shares, mut next) = (Vec::new(), Some(first));
    while let Some(start) = next.filter(|start| *start <= last) {
        let end = start.saturating_add_unsigned(share - 1).min(last);
        shares.push(start..=end);
        next = end.checked_add(1);
    }
    Ok(shares)
}

/// Has `read` read all shares: on this thread, and on one for each further core where there is enough to read.
fn on_all_cores(
    path: &Path,
    first: &Connection,
    shares: &[RangeInclusive<i64>],
    read: impl Fn(&Connection, &RangeInclusive<i64>) -> Result<(), StoreError> + Sync,
) -> Result<(), StoreError> {
    let next = AtomicUsize::new(0);
    let read_on = |connection: &Connection| {
        while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
            read(connection, share)?;
        }
        Ok(())
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let others = cores.min(shares.len()).saturating_sub(1);
    thread::scope(|scope| {
        let other = |_| scope.spawn(|| read_on(&opening::read_only(path)?));
        let others = Vec::from_iter((0..others).map(other));
        let own = read_on(first);
        others.into_iter().fold(own, |done, other| {
            let taken = other.join().unwrap_or_else(|_panic| {
                let words = "what it holds could not be taken in";
                Err(StoreError::Unavailable(words.to_owned()))
            });
            done.and(taken)
        })
    })
}
