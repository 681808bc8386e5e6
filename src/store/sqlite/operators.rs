//! Operators' tokens in SQL.

use rusqlite::{Connection, params};

use super::StoreError;
use crate::{keyring::Fingerprint, operators::Operator};

/// All tokens.
pub(super) fn all(connection: &Connection) -> Result<Vec<Operator>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, role, expires_at, revoked_at, created_at, digest, fingerprint
         FROM operators",
    )?;
    let mut rows = statement.query([])?;
    let mut operators = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get("id")?;
        let operator = operator_of(row, &id)?;
        let damaged = || StoreError::Unavailable(format!("operator token {id} is damaged"));
        operators.push(operator.ok_or_else(damaged)?);
    }
    Ok(operators)
}

/// None if a column does not hold what was written there.
fn operator_of(row: &rusqlite::Row<'_>, id: &str) -> Result<Option<Operator>, StoreError> {
    let name: String = row.get("name")?;
    let role: String = row.get("role")?;
    let digest: Vec<u8> = row.get("digest")?;
    let fingerprint: String = row.get("fingerprint")?;
    let (expires_at, revoked_at) = (row.get("expires_at")?, row.get("revoked_at")?);
    let created_at = row.get("created_at")?;
    Ok((|| {
        Some(Operator {
            id: id.into(),
            name: name.parse().ok()?,
            role: role.parse().ok()?,
            expires_at,
            revoked_at,
            created_at,
            digest: digest.try_into().ok()?,
            fingerprint: Fingerprint::from_stored(&fingerprint),
        })
    })())
}

/// Keeps a new token.
pub(super) fn keep(connection: &Connection, operator: &Operator) -> Result<(), StoreError> {
    let kept = connection.execute(
        "INSERT INTO operators (id, name, role, expires_at, revoked_at, created_at, digest,
         fingerprint) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        params![
            &*operator.id,
            operator.name.as_str(),
            operator.role.as_str(),
            operator.expires_at,
            operator.revoked_at,
            operator.created_at,
            operator.digest.as_slice(),
            &**operator.fingerprint.as_arc(),
        ],
    )?;
    if kept == 0 {
        return Err(StoreError::Moved);
    }
    Ok(())
}

/// Notes the first revocation of a token.
pub(super) fn revoke(connection: &Connection, id: &str, at: i64) -> Result<bool, StoreError> {
    let changed = connection.execute(
        "UPDATE operators SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1",
        params![id, at],
    )?;
    Ok(changed > 0)
}
