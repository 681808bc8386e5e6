//! What the outbox of alerts asks of a home: notices that wait, and what was told already.
//!
//! **Invariant:** a fact is noted as told in the same step that puts its notices into the outbox, so
//! that no end of the process loses one or says it twice.
//! **Neighbours:** `alerts` is the only one to ask.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;

/// A notice that a webhook has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The same at every try, so that a receiver knows a second delivery.
    pub id: String,
    /// The webhook's name.
    pub webhook: String,
    /// What happened, in the event's word.
    pub event: String,
    /// Whom it is about: notices of one subject go out in the order of their ids.
    pub subject: String,
    /// What is sent, byte for byte.
    pub body: String,
    /// When it was put here, in Unix seconds.
    pub created_at: i64,
    /// Tries so far.
    pub attempts: u32,
    /// When the next try is due, in Unix microseconds.
    pub next_micros: i64,
}

/// One step: all of it is kept, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// Facts that are told by this, each by its key.
    pub told: Vec<String>,
    /// Facts that are over: what was said of them may be said again.
    pub over: Vec<String>,
    /// When, in Unix seconds.
    pub at: i64,
    /// Notices to be sent.
    pub notices: Vec<Waiting>,
    /// Notices that wait already and are to say more: each takes the place of the one with its id.
    pub grown: Vec<Waiting>,
    /// Notices that may wait for one webhook; beyond, its oldest are dropped.
    pub max_waiting: u32,
}

/// A notice by its webhook and its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The webhook's name.
    pub webhook: String,
    /// The event's word.
    pub event: String,
}

/// What a webhook's sender has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this; the try is counted already.
    Due(Waiting),
    /// Nothing before this time, in Unix microseconds.
    At(i64),
    /// Nothing waits.
    Nothing,
}

/// Notices that wait for their webhooks, and what was told.
#[async_trait]
pub trait Outbox: Send + Sync + fmt::Debug {
    /// The keys of all facts that were told and are not over, with when (Unix seconds).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], here and below.
    async fn told(&self) -> Result<Vec<(String, i64)>, StoreError>;

    /// Takes one step; returns the notices that found no room.
    ///
    /// # Errors
    /// [`StoreError::Moved`] if a notice that was to say more has been tried already: nothing is kept.
    async fn tell(&self, telling: Telling) -> Result<Vec<Lost>, StoreError>;

    /// The webhook's next notice that is due at `now_micros`, its try counted. A notice waits for all
    /// earlier ones of its subject.
    ///
    /// # Errors
    /// See [`Outbox::told`].
    async fn take_due(&self, webhook: &str, now_micros: i64) -> Result<Next, StoreError>;

    /// Forgets a notice that was taken.
    ///
    /// # Errors
    /// See [`Outbox::told`].
    async fn taken(&self, id: &str, webhook: &str) -> Result<(), StoreError>;

    /// Puts a notice off.
    ///
    /// # Errors
    /// See [`Outbox::told`].
    async fn put_off(&self, id: &str, webhook: &str, until_micros: i64) -> Result<(), StoreError>;

    /// Makes due what was put off: the webhook answers again.
    ///
    /// # Errors
    /// See [`Outbox::told`].
    async fn hurry(&self, webhook: &str, now_micros: i64) -> Result<(), StoreError>;

    /// Drops what has waited since before `created_before` (Unix seconds); returns what it was.
    ///
    /// # Errors
    /// See [`Outbox::told`].
    async fn give_up(&self, created_before: i64) -> Result<Vec<Lost>, StoreError>;

    /// The oldest notices that wait, at most `limit`.
    ///
    /// # Errors
    /// See [`Outbox::told`].
    async fn outbox(&self, limit: u32) -> Result<Vec<Waiting>, StoreError>;

    /// How many notices wait.
    ///
    /// # Errors
    /// See [`Outbox::told`].
    async fn count_waiting(&self) -> Result<u64, StoreError>;
}
