//! Wrapped data keys, the check value and the mark of a rotation in SQL.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{Rewrapped, StoreError, rows::member_column};

/// Compare-and-set of each, in one transaction.
pub(super) fn rewrap(
    connection: &mut Connection,
    batch: &[Rewrapped],
) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut replaced = 0;
    {
        let mut statement = transaction.prepare_cached(
            "UPDATE data_keys SET wrapped = ?4
             WHERE application = ?1 AND member = ?2 AND wrapped = ?3",
        )?;
        for Rewrapped { member, old, new } in batch {
            let (application, name) = (member.application.as_str(), member_column(member));
            replaced += statement.execute(params![application, name, old, new])?;
        }
    }
    transaction.commit()?;
    Ok(replaced)
}

pub(super) fn check_value(connection: &Connection) -> Result<Vec<u8>, StoreError> {
    let question = "SELECT value FROM meta WHERE name = 'check_value'";
    Ok(connection.query_row(question, [], |row| row.get(0))?)
}

pub(super) fn replace_check_value(
    connection: &Connection,
    old: &[u8],
    new: &[u8],
) -> Result<(), StoreError> {
    let statement = "UPDATE meta SET value = ?2 WHERE name = 'check_value' AND value = ?1";
    match connection.execute(statement, params![old, new])? {
        0 => Err(StoreError::Moved),
        _ => Ok(()),
    }
}

pub(super) fn rotation(connection: &Connection) -> Result<Option<String>, StoreError> {
    let question = "SELECT value FROM meta WHERE name = 'rotation'";
    let mark: Option<Vec<u8>> = connection
        .query_row(question, [], |row| row.get(0))
        .optional()?;
    Ok(mark.map(|mark| String::from_utf8_lossy(&mark).into_owned()))
}

pub(super) fn mark_rotation(connection: &Connection, mark: Option<&str>) -> Result<(), StoreError> {
    if let Some(mark) = mark {
        connection.execute(
            "INSERT INTO meta (name, value) VALUES ('rotation', ?1)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![mark.as_bytes()],
        )?;
        return Ok(());
    }
    connection.execute("DELETE FROM meta WHERE name = 'rotation'", [])?;
    // The write-ahead log still holds the old wraps. A reader in the way only postpones this.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}
