//! Grants and data keys in SQL.

use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::{Lease, Row, StoreError, leases};
use crate::exchange::{Member, Name};

const COLUMNS: &str = "application, member, version, access, refresh, state, ended_at, \
    acquired_at, issued_at, access_expires_at, refresh_expires_at, scopes, urn, renewals, \
    renewed_at, used_at, profile, verdict";

/// The member column: empty for an application's own token.
pub(super) fn member_column(member: &Member) -> &str {
    member.name.as_ref().map_or("", Name::as_str)
}

/// The member of a row's first two columns.
pub(super) fn member_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Member> {
    let name = |at: usize, text: String| {
        text.parse::<Name>().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                at,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })
    };
    let member: String = row.get(1)?;
    Ok(Member {
        application: name(0, row.get(0)?)?,
        name: match member.is_empty() {
            true => None,
            false => Some(name(1, member)?),
        },
    })
}

fn row_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        version: row.get("version")?,
        access: row.get("access")?,
        refresh: row.get("refresh")?,
        state: row.get("state")?,
        ended_at: row.get("ended_at")?,
        acquired_at: row.get("acquired_at")?,
        issued_at: row.get("issued_at")?,
        access_expires_at: row.get("access_expires_at")?,
        refresh_expires_at: row.get("refresh_expires_at")?,
        scopes: row.get("scopes")?,
        urn: row.get("urn")?,
        renewals: row.get("renewals")?,
        renewed_at: row.get("renewed_at")?,
        used_at: row.get("used_at")?,
        profile: row.get("profile")?,
        verdict: row.get("verdict")?,
    })
}

/// All grants.
pub(super) fn all(connection: &Connection) -> Result<Vec<(Member, Row)>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM grants"))?;
    let found = statement.query_map([], |row| Ok((member_of(row)?, row_of(row)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// One member's grant.
pub(super) fn one(connection: &Connection, member: &Member) -> Result<Option<Row>, StoreError> {
    let question = format!("SELECT {COLUMNS} FROM grants WHERE application = ?1 AND member = ?2");
    let mut statement = connection.prepare_cached(&question)?;
    let place = params![member.application.as_str(), member_column(member)];
    Ok(statement.query_row(place, row_of).optional()?)
}

/// Compare-and-set on the version, fence check and journal clearing in one transaction.
pub(super) fn save(
    connection: &mut Connection,
    member: &Member,
    row: &Row,
    lease: Option<&Lease>,
) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    if let Some(lease) = lease {
        leases::hold(&transaction, member, lease)?;
    }
    let changed = if row.version == 1 {
        write(&transaction, member, row, INSERT)?
    } else {
        write(&transaction, member, row, UPDATE)?
    };
    if changed == 0 {
        return Err(StoreError::Moved);
    }
    if lease.is_some() {
        leases::remove_entry(&transaction, member)?;
    }
    Ok(transaction.commit()?)
}

/// Nothing where the member has no data key: the row was sealed with one that somebody has destroyed.
const INSERT: &str = "INSERT INTO grants (application, member, version, access, refresh, state, \
    ended_at, acquired_at, issued_at, access_expires_at, refresh_expires_at, scopes, urn, \
    renewals, renewed_at, used_at, profile, verdict) \
    SELECT :application, :member, :version, :access, :refresh, :state, :ended_at, :acquired_at, \
    :issued_at, :access_expires_at, :refresh_expires_at, :scopes, :urn, :renewals, :renewed_at, \
    :used_at, :profile, :verdict WHERE EXISTS (SELECT 1 FROM data_keys \
    WHERE application = :application AND member = :member) ON CONFLICT DO NOTHING";

const UPDATE: &str = "UPDATE grants SET version = :version, access = :access, \
    refresh = :refresh, state = :state, ended_at = :ended_at, acquired_at = :acquired_at, \
    issued_at = :issued_at, access_expires_at = :access_expires_at, \
    refresh_expires_at = :refresh_expires_at, scopes = :scopes, urn = :urn, \
    renewals = :renewals, renewed_at = :renewed_at, \
    used_at = nullif(max(coalesce(used_at, 0), coalesce(:used_at, 0)), 0), \
    profile = :profile, verdict = :verdict \
    WHERE application = :application AND member = :member AND version = :version - 1";

fn write(
    connection: &Connection,
    member: &Member,
    row: &Row,
    statement: &str,
) -> Result<usize, StoreError> {
    Ok(connection
        .prepare_cached(statement)?
        .execute(named_params! {
            ":application": member.application.as_str(),
            ":member": member_column(member),
            ":version": row.version,
            ":access": row.access,
            ":refresh": row.refresh,
            ":state": row.state,
            ":ended_at": row.ended_at,
            ":acquired_at": row.acquired_at,
            ":issued_at": row.issued_at,
            ":access_expires_at": row.access_expires_at,
            ":refresh_expires_at": row.refresh_expires_at,
            ":scopes": row.scopes,
            ":urn": row.urn,
            ":renewals": row.renewals,
            ":renewed_at": row.renewed_at,
            ":used_at": row.used_at,
            ":profile": row.profile,
            ":verdict": row.verdict,
        })?)
}

/// Notes uses, all in one transaction.
pub(super) fn note_used(
    connection: &mut Connection,
    uses: &[(Member, i64)],
) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    let note = "UPDATE grants SET used_at = ?3
         WHERE application = ?1 AND member = ?2 AND coalesce(used_at, 0) < ?3";
    let mut statement = transaction.prepare_cached(note)?;
    for (member, used_at) in uses {
        let (application, name) = (member.application.as_str(), member_column(member));
        statement.execute(params![application, name, used_at])?;
    }
    drop(statement);
    Ok(transaction.commit()?)
}

/// Deletes row, journal entry and data key. The lease's row stays, with a higher fence: a renewal
/// that began before must not write into a row of the same version made by a new sign-in.
pub(super) fn forget(connection: &mut Connection, member: &Member) -> Result<bool, StoreError> {
    let transaction = connection.transaction()?;
    let place = params![member.application.as_str(), member_column(member)];
    let mut rows = 0;
    for table in ["data_keys", "journal", "grants"] {
        let statement = format!("DELETE FROM {table} WHERE application = ?1 AND member = ?2");
        rows = transaction.execute(&statement, place)?;
    }
    let fence_off = "UPDATE leases SET fence = fence + 1, until_micros = 0
         WHERE application = ?1 AND member = ?2";
    transaction.execute(fence_off, place)?;
    transaction.commit()?;
    Ok(rows > 0)
}

/// Empties the write-ahead log, which still holds the old pages: without this a data key would
/// outlive its deletion.
pub(super) fn wipe(connection: &Connection) -> Result<(), StoreError> {
    let is_busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    match is_busy {
        true => Err(StoreError::Unavailable("a reader is in the way".to_owned())),
        false => Ok(()),
    }
}

/// All wrapped data keys.
pub(super) fn data_keys(connection: &Connection) -> Result<Vec<(Member, Vec<u8>)>, StoreError> {
    let question = "SELECT application, member, wrapped FROM data_keys";
    let mut statement = connection.prepare_cached(question)?;
    let found = statement.query_map([], |row| Ok((member_of(row)?, row.get(2)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The first data key wins.
pub(super) fn keep_data_key(
    connection: &mut Connection,
    member: &Member,
    wrapped: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let transaction = connection.transaction()?;
    let (application, name) = (member.application.as_str(), member_column(member));
    transaction.execute(
        "INSERT INTO data_keys (application, member, wrapped) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
        params![application, name, wrapped],
    )?;
    let kept = transaction.query_row(
        "SELECT wrapped FROM data_keys WHERE application = ?1 AND member = ?2",
        params![application, name],
        |row| row.get(0),
    )?;
    transaction.commit()?;
    Ok(kept)
}
