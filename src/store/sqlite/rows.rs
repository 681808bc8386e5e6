//! Grants and data keys in SQL.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::{Lease, Row, StoreError, Tagged, leases};
use crate::{
    exchange::{Member, Name},
    keyring::Tag,
};

/// What [`row_of`] reads, behind the member's two.
pub(super) const COLUMNS: &str = "application, member, version, access, refresh, state, ended_at, \
    acquired_at, issued_at, access_expires_at, refresh_expires_at, scopes, urn, renewals, \
    renewed_at, used_at, profile, verdict, access_tag, refresh_tag";

/// The member column: empty for an application's own token.
pub(super) fn member_column(member: &Member) -> &str {
    member.name.as_ref().map_or("", Name::as_str)
}

fn name(at: usize, text: &str) -> rusqlite::Result<Name> {
    text.parse().map_err(|error| {
        let text = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(at, text, Box::new(error))
    })
}

/// The member of a row's first two columns.
pub(super) fn member_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Member> {
    member_after(None, row)
}

/// The same of a row behind one of the application `before`: one name for all that follow each other in one application.
pub(super) fn member_after(
    before: Option<&Name>,
    row: &rusqlite::Row<'_>,
) -> rusqlite::Result<Member> {
    let application = row.get_ref(0)?.as_str()?;
    let member = row.get_ref(1)?.as_str()?;
    Ok(Member {
        application: match before.filter(|before| before.as_str() == application) {
            Some(before) => before.clone(),
            None => name(0, application)?,
        },
        name: match member.is_empty() {
            true => None,
            false => Some(name(1, member)?),
        },
    })
}

/// The row in [`COLUMNS`], by their numbers: to look each name up took a third of a start's reading.
pub(super) fn row_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let tag = |number: Option<i64>| number.map(Tag::from_stored);
    Ok(Row {
        version: row.get(2)?,
        access: row.get(3)?,
        refresh: row.get(4)?,
        // Of a million grants nearly all live: no allocation for each.
        state: match row.get_ref(5)?.as_str()? {
            "live" => Cow::Borrowed("live"),
            ended => Cow::Owned(ended.to_owned()),
        },
        ended_at: row.get(6)?,
        acquired_at: row.get(7)?,
        issued_at: row.get(8)?,
        access_expires_at: row.get(9)?,
        refresh_expires_at: row.get(10)?,
        scopes: row.get(11)?,
        urn: row.get(12)?,
        renewals: row.get(13)?,
        renewed_at: row.get(14)?,
        used_at: row.get(15)?,
        profile: row.get(16)?,
        verdict: row.get(17)?,
        access_tag: tag(row.get(18)?),
        refresh_tag: tag(row.get(19)?),
    })
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
    renewals, renewed_at, used_at, profile, verdict, access_tag, refresh_tag) \
    SELECT :application, :member, :version, :access, :refresh, :state, :ended_at, :acquired_at, \
    :issued_at, :access_expires_at, :refresh_expires_at, :scopes, :urn, :renewals, :renewed_at, \
    :used_at, :profile, :verdict, :access_tag, :refresh_tag WHERE EXISTS (SELECT 1 FROM data_keys \
    WHERE application = :application AND member = :member) ON CONFLICT DO NOTHING";

const UPDATE: &str = "UPDATE grants SET version = :version, access = :access, \
    refresh = :refresh, state = :state, ended_at = :ended_at, acquired_at = :acquired_at, \
    issued_at = :issued_at, access_expires_at = :access_expires_at, \
    refresh_expires_at = :refresh_expires_at, scopes = :scopes, urn = :urn, \
    renewals = :renewals, renewed_at = :renewed_at, \
    used_at = nullif(max(coalesce(used_at, 0), coalesce(:used_at, 0)), 0), \
    profile = :profile, verdict = :verdict, access_tag = :access_tag, refresh_tag = :refresh_tag \
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
            ":access_tag": row.access_tag.map(Tag::to_stored),
            ":refresh_tag": row.refresh_tag.map(Tag::to_stored),
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

/// Notes fingerprints, all in one transaction; none of a row that has some or is of another version.
pub(super) fn note_tags(connection: &mut Connection, tags: &[Tagged]) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    let note = "UPDATE grants SET access_tag = ?4, refresh_tag = ?5
         WHERE application = ?1 AND member = ?2 AND version = ?3 AND access_tag IS NULL";
    let mut statement = transaction.prepare_cached(note)?;
    for tagged in tags {
        let Tagged {
            member,
            version,
            access,
            refresh,
        } = tagged;
        let (application, name) = (member.application.as_str(), member_column(member));
        let (access, refresh) = (access.to_stored(), refresh.map(Tag::to_stored));
        statement.execute(params![application, name, version, access, refresh])?;
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
