//! Leases and the renewal journal in SQL.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{
    Lease, Pending, StoreError,
    rows::{member_column, member_of},
};
use crate::exchange::Member;

/// Takes a lease that is free, over or the owner's own.
pub(super) fn take(
    connection: &Connection,
    member: &Member,
    owner: Arc<str>,
    now: i64,
    until: i64,
) -> Result<Option<Lease>, StoreError> {
    let statement = "INSERT INTO leases (application, member, owner, fence, until_micros)
         VALUES (?1, ?2, ?3, 1, ?5)
         ON CONFLICT (application, member) DO UPDATE
         SET owner = excluded.owner, fence = fence + 1, until_micros = excluded.until_micros
         WHERE owner = excluded.owner OR until_micros <= ?4
         RETURNING fence";
    let (application, name) = (member.application.as_str(), member_column(member));
    let fence = connection
        .prepare_cached(statement)?
        .query_row(params![application, name, &*owner, now, until], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(fence.map(|fence| Lease { owner, fence }))
}

/// Whether the lease is still this one; one that is over but that nobody took counts as held.
pub(super) fn hold(
    connection: &Connection,
    member: &Member,
    lease: &Lease,
) -> Result<(), StoreError> {
    let question = "SELECT 1 FROM leases
         WHERE application = ?1 AND member = ?2 AND owner = ?3 AND fence = ?4";
    let (application, name) = (member.application.as_str(), member_column(member));
    let held = connection.prepare_cached(question)?.exists(params![
        application,
        name,
        &*lease.owner,
        lease.fence
    ])?;
    if held {
        Ok(())
    } else {
        Err(StoreError::Fenced)
    }
}

/// Moves the end of a lease.
pub(super) fn renew(
    connection: &Connection,
    member: &Member,
    lease: &Lease,
    until: i64,
) -> Result<(), StoreError> {
    let statement = "UPDATE leases SET until_micros = ?5
         WHERE application = ?1 AND member = ?2 AND owner = ?3 AND fence = ?4";
    let (application, name) = (member.application.as_str(), member_column(member));
    let place = params![application, name, &*lease.owner, lease.fence, until];
    match connection.prepare_cached(statement)?.execute(place)? {
        0 => Err(StoreError::Fenced),
        _ => Ok(()),
    }
}

/// Ends a lease now, if it is still this one.
pub(super) fn release(
    connection: &Connection,
    member: &Member,
    lease: &Lease,
) -> Result<(), StoreError> {
    match renew(connection, member, lease, 0) {
        Ok(()) | Err(StoreError::Fenced) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes an entry over any earlier one.
pub(super) fn begin(
    connection: &mut Connection,
    member: &Member,
    lease: &Lease,
    pending: &Pending,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    hold(&transaction, member, lease)?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO journal (application, member, number, base, begun_at, answer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            member.application.as_str(),
            member_column(member),
            pending.number,
            pending.base,
            pending.begun_at,
            pending.answer,
        ])?;
    Ok(transaction.commit()?)
}

/// Adds the answer to the entry.
pub(super) fn answered(
    connection: &mut Connection,
    member: &Member,
    lease: &Lease,
    answer: &[u8],
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    hold(&transaction, member, lease)?;
    let (application, name) = (member.application.as_str(), member_column(member));
    let changed = transaction.execute(
        "UPDATE journal SET answer = ?3 WHERE application = ?1 AND member = ?2",
        params![application, name, answer],
    )?;
    if changed == 0 {
        return Err(StoreError::Moved);
    }
    Ok(transaction.commit()?)
}

/// Removes the entry, if the lease is held.
pub(super) fn clear(
    connection: &mut Connection,
    member: &Member,
    lease: &Lease,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    hold(&transaction, member, lease)?;
    remove_entry(&transaction, member)?;
    Ok(transaction.commit()?)
}

/// Removes the entry, within a transaction that holds the lease.
pub(super) fn remove_entry(connection: &Connection, member: &Member) -> Result<(), StoreError> {
    let statement = "DELETE FROM journal WHERE application = ?1 AND member = ?2";
    let place = params![member.application.as_str(), member_column(member)];
    connection.prepare_cached(statement)?.execute(place)?;
    Ok(())
}

/// All entries.
pub(super) fn journal(connection: &Connection) -> Result<Vec<(Member, Pending)>, StoreError> {
    let question = "SELECT application, member, number, base, begun_at, answer FROM journal";
    let mut statement = connection.prepare_cached(question)?;
    let found = statement.query_map([], |row| Ok((member_of(row)?, pending_of(row)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// One member's entry.
pub(super) fn pending(
    connection: &Connection,
    member: &Member,
) -> Result<Option<Pending>, StoreError> {
    let question = "SELECT application, member, number, base, begun_at, answer FROM journal
         WHERE application = ?1 AND member = ?2";
    let mut statement = connection.prepare_cached(question)?;
    let place = params![member.application.as_str(), member_column(member)];
    Ok(statement.query_row(place, pending_of).optional()?)
}

fn pending_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Pending> {
    Ok(Pending {
        number: row.get("number")?,
        base: row.get("base")?,
        begun_at: row.get("begun_at")?,
        answer: row.get("answer")?,
    })
}
