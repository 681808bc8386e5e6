//! Marks of signatures in SQL.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{Sqlite, StoreError};
use crate::store::marks::{MOST_MARKS, Mark, MarkStore};

#[async_trait]
impl MarkStore for Sqlite {
    async fn marks(&self) -> Result<Vec<Mark>, StoreError> {
        self.ask(|connection| all(connection)).await
    }

    async fn keep_mark(&self, mark: Mark) -> Result<(), StoreError> {
        self.ask(move |connection| keep(connection, &mark)).await
    }

    async fn remove_mark(&self, signature: &str) -> Result<bool, StoreError> {
        let signature = signature.to_owned();
        self.ask(move |connection| {
            let gone = connection.execute("DELETE FROM marks WHERE signature = ?1", [signature])?;
            Ok(gone > 0)
        })
        .await
    }
}

fn all(connection: &Connection) -> Result<Vec<Mark>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT signature, decision, at, by FROM marks ORDER BY at DESC, rowid DESC",
    )?;
    let mut rows = statement.query([])?;
    let mut marks = Vec::new();
    while let Some(row) = rows.next()? {
        let decision: String = row.get("decision")?;
        let damaged = |_| StoreError::Unavailable("a mark of a signature is damaged".to_owned());
        marks.push(Mark {
            signature: row.get("signature")?,
            decision: decision.parse().map_err(damaged)?,
            at: row.get("at")?,
            by: row.get("by")?,
        });
    }
    Ok(marks)
}

/// The new one in, and the oldest beyond the bound out, in one step.
fn keep(connection: &mut Connection, mark: &Mark) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute(
        "INSERT OR REPLACE INTO marks (signature, decision, at, by) VALUES (?1, ?2, ?3, ?4)",
        params![mark.signature, mark.decision.as_str(), mark.at, mark.by],
    )?;
    transaction.execute(
        "DELETE FROM marks WHERE rowid IN
         (SELECT rowid FROM marks ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET ?1)",
        [MOST_MARKS],
    )?;
    Ok(transaction.commit()?)
}
