//! The outbox and what was told, in SQL.
//!
//! **Invariant:** what a delivery costs does not grow with what waits: the next notice is found by an
//! index, and how many there are is counted once and known from then on.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use rusqlite::{
    Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, named_params, params,
};

use super::{Sqlite, StoreError};
use crate::store::outbox::{Lost, Next, Outbox, Telling, Waiting};

const COLUMNS: &str = "id, webhook, event, subject, body, created_at, attempts, next_micros";

/// How many notices wait. Read and changed on the store's own thread alone, which has the file to
/// itself, so that it cannot differ from the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Count(Arc<Mutex<Option<u64>>>);

impl Count {
    fn known(&self) -> MutexGuard<'_, Option<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, more: usize, less: usize) {
        if let Some(count) = &mut *self.known() {
            *count = count
                .saturating_add(more as u64)
                .saturating_sub(less as u64);
        }
    }

    fn of(&self, connection: &Connection) -> Result<u64, StoreError> {
        let mut known = self.known();
        if let Some(count) = *known {
            return Ok(count);
        }
        let question = "SELECT count(*) FROM outbox";
        let count: i64 = connection.query_row(question, [], |row| row.get(0))?;
        Ok(*known.insert(u64::try_from(count).unwrap_or_default()))
    }
}

#[async_trait]
impl Outbox for Sqlite {
    async fn told(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.ask(|connection| told(connection)).await
    }

    async fn tell(&self, telling: Telling) -> Result<Vec<Lost>, StoreError> {
        let waiting = self.waiting.clone();
        self.ask(move |connection| {
            let lost = tell(connection, &telling)?;
            waiting.change(telling.notices.len(), lost.len());
            Ok(lost)
        })
        .await
    }

    async fn take_due(&self, webhook: &str, now_micros: i64) -> Result<Next, StoreError> {
        let webhook = webhook.to_owned();
        self.ask(move |connection| take_due(connection, &webhook, now_micros))
            .await
    }

    async fn taken(&self, id: &str, webhook: &str) -> Result<(), StoreError> {
        let place = (id.to_owned(), webhook.to_owned());
        let waiting = self.waiting.clone();
        let statement = "DELETE FROM outbox WHERE id = ?1 AND webhook = ?2";
        self.ask(move |connection| {
            let gone = connection.prepare_cached(statement)?.execute(place)?;
            waiting.change(0, gone);
            Ok(())
        })
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
        let waiting = self.waiting.clone();
        self.ask(move |connection| {
            let statement = "DELETE FROM outbox WHERE created_at < ?1 RETURNING webhook, event";
            let mut statement = connection.prepare_cached(statement)?;
            let lost = statement.query_map([created_before], lost)?;
            let lost: Vec<Lost> = lost.collect::<Result<_, _>>()?;
            waiting.change(0, lost.len());
            Ok(lost)
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
        let waiting = self.waiting.clone();
        self.ask(move |connection| waiting.of(connection)).await
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

/// A webhook's next notice. Later ones of a subject wait for its first.
fn first_of_each() -> String {
    format!(
        "SELECT {COLUMNS} FROM outbox AS it INDEXED BY outbox_due
         WHERE webhook = ?1 AND NOT EXISTS
           (SELECT 1 FROM outbox INDEXED BY outbox_line
            WHERE webhook = ?1 AND subject = it.subject AND id < it.id)
         ORDER BY next_micros, id LIMIT 1"
    )
}

fn take_due(connection: &mut Connection, webhook: &str, now: i64) -> Result<Next, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = transaction
        .prepare_cached(&first_of_each())?
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

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::clock::Clock;

    const MANY: usize = 10_000;

    fn notice(n: usize) -> Waiting {
        Waiting {
            id: format!("n{n:05}"),
            webhook: "chat".to_owned(),
            event: "member.sign_in_needed".to_owned(),
            subject: format!("member/{n}"),
            body: "{}".to_owned(),
            created_at: 1_000,
            attempts: 0,
            next_micros: 10,
        }
    }

    /// Steps of SQLite's machine until the next notice is found.
    async fn steps(store: &Sqlite) -> i32 {
        let looked = store.ask(|connection| {
            let mut statement = connection.prepare(&first_of_each())?;
            let found = statement.query_row(["chat"], waiting).optional()?;
            assert!(found.is_some());
            Ok(statement.get_status(StatementStatus::VmStep))
        });
        looked.await.unwrap()
    }

    #[tokio::test]
    async fn a_delivery_costs_the_same_however_many_wait() {
        let folder = tempfile::tempdir().unwrap();
        let (file, key) = (folder.path().join("db"), folder.path().join("key"));
        let (store, _) = Sqlite::open(&file, &(&key).into(), Clock::system()).unwrap();
        let telling = |range: std::ops::Range<usize>| Telling {
            at: 1_000,
            notices: range.map(notice).collect(),
            max_waiting: 20_000,
            ..Telling::default()
        };
        Outbox::tell(&store, telling(0..1)).await.unwrap();
        let of_one = steps(&store).await;
        assert_eq!(store.count_waiting().await.unwrap(), 1);

        Outbox::tell(&store, telling(1..MANY)).await.unwrap();

        let of_many = steps(&store).await;
        assert!(of_many <= of_one + 10, "{of_many} steps, of one {of_one}");
        assert_eq!(store.count_waiting().await.unwrap(), MANY as u64);
        for left in (MANY - 100..MANY).rev() {
            let Next::Due(notice) = store.take_due("chat", 10).await.unwrap() else {
                panic!("{left} are left");
            };
            store.taken(&notice.id, "chat").await.unwrap();
            assert_eq!(store.count_waiting().await.unwrap(), left as u64);
        }
        let counted = store.ask(|connection| Count::default().of(connection));
        assert_eq!(counted.await.unwrap(), MANY as u64 - 100);
    }
}
