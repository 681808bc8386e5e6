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
const LONGEST_SIGNATURE: usize = 2_000;

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

/// Text that no record says as its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signature is one line of 1 to {LONGEST_SIGNATURE} bytes")]
pub struct NotASignature;

/// Lets `text` pass if it can be a signature: whoever marks one, or takes a mark away, asks first.
///
/// # Errors
/// [`NotASignature`].
pub fn markable(text: &str) -> Result<&str, NotASignature> {
    let has_length = (1..=LONGEST_SIGNATURE).contains(&text.len());
    match has_length && !text.contains(char::is_control) {
        true => Ok(text),
        false => Err(NotASignature),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_about_one_line_of_some_length() {
        let longest = "a".repeat(LONGEST_SIGNATURE);
        for (text, is_one) in [
            ("POST /rest/posts 401 65602", true),
            ("GET /rest/é 404 -", true),
            (&longest, true),
            (&format!("{longest}a"), false),
            ("", false),
            ("GET /rest/posts 401 -\nGET", false),
            ("GET /\u{1b}[31m 401 -", false),
        ] {
            let found = markable(text);
            assert_eq!(
                found,
                is_one.then_some(text).ok_or(NotASignature),
                "{text:?}"
            );
        }
    }
}
