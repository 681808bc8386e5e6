//! Callers' keys in SQL.

use rusqlite::{Connection, params};

use super::StoreError;
use crate::{
    callers::{Covers, Key, Rule},
    exchange::{Member, Name},
    keyring::Fingerprint,
};

/// What the `covers` column holds: no list for any member.
type CoversColumn = Option<Vec<(String, String)>>;

/// All keys.
pub(super) fn all(connection: &Connection) -> Result<Vec<Key>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, caller, covers, allow, expires_at, revoked_at, created_at, digest, fingerprint
         FROM keys",
    )?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get("id")?;
        let key = key_of(row, &id)?;
        keys.push(key.ok_or_else(|| StoreError::Unavailable(format!("key {id} is damaged")))?);
    }
    Ok(keys)
}

/// None if a column does not hold what was written there.
fn key_of(row: &rusqlite::Row<'_>, id: &str) -> Result<Option<Key>, StoreError> {
    let caller: String = row.get("caller")?;
    let covers: String = row.get("covers")?;
    let allow: String = row.get("allow")?;
    let digest: Vec<u8> = row.get("digest")?;
    let fingerprint: String = row.get("fingerprint")?;
    let (expires_at, revoked_at) = (row.get("expires_at")?, row.get("revoked_at")?);
    let created_at = row.get("created_at")?;
    Ok((|| {
        Some(Key {
            id: id.into(),
            caller: caller.parse().ok()?,
            covers: covers_of(&covers)?,
            allow: rules_of(&allow)?,
            expires_at,
            revoked_at,
            created_at,
            digest: digest.try_into().ok()?,
            fingerprint: Fingerprint::from_stored(&fingerprint),
        })
    })())
}

fn covers_of(column: &str) -> Option<Covers> {
    let Some(members) = serde_json::from_str::<CoversColumn>(column).ok()? else {
        return Some(Covers::AnyMember);
    };
    let member = |(application, name): (String, String)| {
        Some(Member {
            application: application.parse().ok()?,
            name: match name.as_str() {
                "" => None,
                name => Some(name.parse().ok()?),
            },
        })
    };
    let members: Option<_> = members.into_iter().map(member).collect();
    members.map(Covers::Members)
}

fn rules_of(column: &str) -> Option<Vec<Rule>> {
    let texts: Vec<String> = serde_json::from_str(column).ok()?;
    texts.iter().map(|text| text.parse().ok()).collect()
}

/// Keeps a new key.
pub(super) fn keep(connection: &Connection, key: &Key) -> Result<(), StoreError> {
    let covers: CoversColumn = match &key.covers {
        Covers::AnyMember => None,
        Covers::Members(members) => Some(members.iter().map(columns_of).collect()),
    };
    let allow: Vec<String> = key.allow.iter().map(Rule::to_string).collect();
    let unwritable = |error: serde_json::Error| StoreError::Unavailable(error.to_string());
    let kept = connection.execute(
        "INSERT INTO keys (id, caller, covers, allow, expires_at, revoked_at, created_at, digest,
         fingerprint) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        params![
            &*key.id,
            key.caller.as_str(),
            serde_json::to_string(&covers).map_err(unwritable)?,
            serde_json::to_string(&allow).map_err(unwritable)?,
            key.expires_at,
            key.revoked_at,
            key.created_at,
            key.digest.as_slice(),
            &**key.fingerprint.as_arc(),
        ],
    )?;
    if kept == 0 {
        return Err(StoreError::Moved);
    }
    Ok(())
}

fn columns_of(member: &Member) -> (String, String) {
    let name = member.name.as_ref().map_or("", Name::as_str);
    (member.application.as_str().to_owned(), name.to_owned())
}

/// Notes the first revocation of a key.
pub(super) fn revoke(connection: &Connection, id: &str, at: i64) -> Result<bool, StoreError> {
    let changed = connection.execute(
        "UPDATE keys SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1",
        params![id, at],
    )?;
    Ok(changed > 0)
}
