//! The outbox and what was told, in SQL.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::{
    Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, named_params, params,
};

use super::{Sqlite, StoreError};
use crate::store::outbox::{Lost, Next, Outbox, Telling, Waiting};

const COLUMNS: &str = "id, webhook, event, subject, body, created_at, attempts, next_micros";

#[async_trait]
impl Outbox for Sqlite {
    async fn told(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.ask(|connection| told(connection)).await
    }

    async fn tell(&self, telling: Telling) -> Result<Vec<Lost>, StoreError> {
        self.ask(move |connection| tell(connection, &telling)).await
    }

    async fn take_due(&self, webhook: &str, now_micros: i64) -> Result<Next, StoreError> {
        let webhook = webhook.to_owned();
        self.ask(move |connection| take_due(connection, &webhook, now_micros))
            .await
    }

    async fn taken(&self, id: &str, webhook: &str) -> Result<(), StoreError> {
        let place = (id.to_owned(), webhook.to_owned());
        let statement = "DELETE FROM outbox WHERE id = ?1 AND webhook = ?2";
        self.ask(move |connection| run(connection, statement, place))
            .await
    }

    async fn put_off(&self, id: &str, webhook: &str, until_micros: i64) -> Result<(), StoreError> {
        let place = (id.to_owned(), webhook.to_owned(), until_micros);
        let statement = "UPDATE outbox SET next_micros = ?3 WHERE id = ?1 AND webhook = ?2";
        self.ask(move |connection| run(connection, statement, place))
            .await
    }

    async fn hurry(&self, webhook: &str, now_micros: i64) -> Result<(), StoreError> {
        let place = (webhook.to_owned(), now_micros);
        // What was never tried waits for another reason: it may still grow.
        let statement = "UPDATE outbox SET next_micros = ?2
             WHERE webhook = ?1 AND next_micros > ?2 AND attempts > 0";
        self.ask(move |connection| run(connection, statement, place))
            .await
    }

    async fn give_up(&self, created_before: i64) -> Result<Vec<Lost>, StoreError> {
        self.ask(move |connection| {
            let statement = "DELETE FROM outbox WHERE created_at < ?1 RETURNING webhook, event";
            let mut statement = connection.prepare_cached(statement)?;
            let lost = statement.query_map([created_before], lost)?;
            Ok(lost.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        self.ask(move |connection| {
            let question = format!("SELECT {COLUMNS} FROM outbox ORDER BY id, webhook LIMIT ?1");
            let mut statement = connection.prepare_cached(&question)?;
            let found = statement.query_map([limit], waiting)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn count_waiting(&self) -> Result<u64, StoreError> {
        self.ask(|connection| {
            let count: i64 =
                connection.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
        .await
    }
}

fn run(
    connection: &Connection,
    statement: &str,
    values: impl rusqlite::Params,
) -> Result<(), StoreError> {
    connection.prepare_cached(statement)?.execute(values)?;
    Ok(())
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        id: row.get(0)?,
        webhook: row.get(1)?,
        event: row.get(2)?,
        subject: row.get(3)?,
        body: row.get(4)?,
        created_at: row.get(5)?,
        attempts: row.get(6)?,
        next_micros: row.get(7)?,
    })
}

fn lost(row: &Row<'_>) -> rusqlite::Result<Lost> {
    Ok(Lost {
        webhook: row.get(0)?,
        event: row.get(1)?,
    })
}

fn told(connection: &Connection) -> Result<Vec<(String, i64)>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT about, at FROM told")?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn tell(connection: &mut Connection, telling: &Telling) -> Result<Vec<Lost>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for about in &telling.over {
        run(&transaction, "DELETE FROM told WHERE about = ?1", [about])?;
    }
    for about in &telling.told {
        let statement = "INSERT OR REPLACE INTO told (about, at) VALUES (?1, ?2)";
        run(&transaction, statement, params![about, telling.at])?;
    }
    for grown in &telling.grown {
        grow(&transaction, grown)?;
    }
    for notice in &telling.notices {
        put(&transaction, notice)?;
    }
    let lost = make_room(&transaction, telling)?;
    transaction.commit()?;
    Ok(lost)
}

fn put(transaction: &Transaction<'_>, notice: &Waiting) -> Result<(), StoreError> {
    let statement = "INSERT INTO outbox
         (id, webhook, event, subject, body, created_at, attempts, next_micros)
         VALUES (:id, :webhook, :event, :subject, :body, :created_at, :attempts, :next_micros)";
    let values = named_params! {
        ":id": notice.id,
        ":webhook": notice.webhook,
        ":event": notice.event,
        ":subject": notice.subject,
        ":body": notice.body,
        ":created_at": notice.created_at,
        ":attempts": notice.attempts,
        ":next_micros": notice.next_micros,
    };
    run(transaction, statement, values)
}

/// Only what nobody has seen may change.
fn grow(transaction: &Transaction<'_>, notice: &Waiting) -> Result<(), StoreError> {
    let statement = "UPDATE outbox SET body = ?3 WHERE id = ?1 AND webhook = ?2 AND attempts = 0";
    let values = params![notice.id, notice.webhook, notice.body];
    match transaction.prepare_cached(statement)?.execute(values)? {
        0 => Err(StoreError::Moved),
        _ => Ok(()),
    }
}

fn make_room(transaction: &Transaction<'_>, telling: &Telling) -> Result<Vec<Lost>, StoreError> {
    let webhooks: BTreeSet<&str> = telling
        .notices
        .iter()
        .map(|notice| notice.webhook.as_str())
        .collect();
    let mut all = Vec::new();
    for webhook in webhooks {
        let statement = "DELETE FROM outbox WHERE webhook = ?1 AND id IN
             (SELECT id FROM outbox WHERE webhook = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2)
             RETURNING webhook, event";
        let mut statement = transaction.prepare_cached(statement)?;
        for row in statement.query_map(params![webhook, telling.max_waiting], lost)? {
            all.push(row?);
        }
    }
    Ok(all)
}

fn take_due(connection: &mut Connection, webhook: &str, now: i64) -> Result<Next, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Later ones of a subject wait for its first.
    let first_of_each = format!(
        "SELECT {COLUMNS} FROM outbox AS it WHERE webhook = ?1 AND NOT EXISTS
           (SELECT 1 FROM outbox WHERE webhook = ?1 AND subject = it.subject AND id < it.id)
         ORDER BY next_micros, id LIMIT 1"
    );
    let found = transaction
        .prepare_cached(&first_of_each)?
        .query_row([webhook], waiting)
        .optional()?;
    let mut notice = match found {
        None => return Ok(Next::Nothing),
        Some(notice) if notice.next_micros > now => return Ok(Next::At(notice.next_micros)),
        Some(notice) => notice,
    };
    notice.attempts = notice.attempts.saturating_add(1);
    let statement = "UPDATE outbox SET attempts = ?3 WHERE id = ?1 AND webhook = ?2";
    run(
        &transaction,
        statement,
        params![notice.id, webhook, notice.attempts],
    )?;
    transaction.commit()?;
    Ok(Next::Due(notice))
}
