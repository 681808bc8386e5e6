//! What support decided about signatures: which are muted, and which were resolved when.
//!
//! **Invariant:** a mark hides a signature from lists of what is wrong; nothing is ever dropped from the
//! support log for it. No more than [`MOST_MARKS`] are kept.
//! **Neighbours:** `admin` (the signatures' page) and `app` (the commands) ask.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// Marks that are kept; beyond, the oldest go.
pub const MOST_MARKS: u32 = 1_000;
/// Bytes of a signature that can be marked: far longer than any that is made.
pub const LONGEST_SIGNATURE: usize = 2_000;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is known and shall not be shown as something that is wrong.
    Muted,
    /// It was put right: whatever comes after that moment is news.
    Resolved,
}

impl Decision {
    /// The word for it in the store, in forms and in commands' output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Muted => "muted",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is no [`Decision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signature is muted or resolved")]
pub struct NotADecision;

impl FromStr for Decision {
    type Err = NotADecision;

    fn from_str(text: &str) -> Result<Self, NotADecision> {
        let mut all = [Self::Muted, Self::Resolved].into_iter();
        all.find(|one| one.as_str() == text).ok_or(NotADecision)
    }
}

/// A decision about one signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// The signature, as records say it.
    pub signature: String,
    /// What was decided.
    pub decision: Decision,
    /// When, in Unix seconds.
    pub at: i64,
    /// Who decided it: the operator's name, or `command line`.
    pub by: String,
}

/// Marks of signatures: one each at most.
#[async_trait]
pub trait MarkStore: Send + Sync + fmt::Debug {
    /// All marks, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], here and below.
    async fn marks(&self) -> Result<Vec<Mark>, StoreError>;

    /// Keeps a mark in the place of the signature's earlier one.
    ///
    /// # Errors
    /// See [`MarkStore::marks`].
    async fn keep_mark(&self, mark: Mark) -> Result<(), StoreError>;

    /// Takes a signature's mark away; returns whether there was one.
    ///
    /// # Errors
    /// See [`MarkStore::marks`].
    async fn remove_mark(&self, signature: &str) -> Result<bool, StoreError>;
}
