//! Callers and their keys: made, looked up, and what each may ask for.

use std::{str::FromStr, sync::Arc};

use http::Method;
use zeroize::Zeroizing;

use crate::exchange::{Member, Name};
use crate::keyring::Fingerprint;

/// Which members a key covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Covers {
    /// These alone; an empty list covers nobody.
    Members(Vec<Member>),
    /// Every member of every application.
    AnyMember,
}

/// One `--allow 'METHOD /path/**'` rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule;

impl FromStr for Rule {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        todo!("{text}")
    }
}

/// A key as it is known after creation: everything but the secret.
#[derive(Clone, Debug)]
pub struct Key {
    /// Public id, the look-up handle: `lgk_{id}_…`.
    pub id: Arc<str>,
    /// Whose key it is.
    pub caller: Name,
    /// Which members it covers.
    pub covers: Covers,
    /// What it may ask for; empty means everything.
    pub allow: Vec<Rule>,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<i64>,
    /// When it was revoked, in Unix seconds.
    pub revoked_at: Option<i64>,
    /// When it was made, in Unix seconds.
    pub created_at: i64,
    /// SHA-256 of the secret part.
    pub digest: [u8; 32],
    /// Names the key in records without showing it.
    pub fingerprint: Fingerprint,
}

impl Key {
    /// Whether the key covers `member`.
    pub fn covers(&self, member: &Member) -> bool {
        todo!("{member:?}")
    }
    /// Whether one of its rules allows `method` on `path` (compared byte for byte).
    pub fn allows(&self, method: &Method, path: &str) -> bool {
        todo!("{method}{path}")
    }
}

/// No such key, a wrong secret, or a key that expired or was revoked: the caller is told the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey;

/// The table of keys the path asks. Cheap to clone; a change is seen by the next request.
#[derive(Clone, Debug)]
pub struct Callers;

impl Callers {
    /// Checks what a caller presented (`lgk_…`, without `~NAME`), in constant time for any wrong key.
    ///
    /// # Errors
    /// [`UnknownKey`].
    pub fn check(&self, presented: &[u8]) -> Result<Arc<Key>, UnknownKey> {
        todo!("{presented:?}")
    }
    /// Makes a key's text and its stored form; the text is shown once and kept nowhere.
    pub fn mint(&self) -> (Zeroizing<String>, Arc<str>, [u8; 32]) {
        todo!()
    }
}
