//! Callers and their keys: made, looked up, and what each may ask for.
//!
//! A key's text is `lgk_{id}_{secret}{check}` (`bearer`).
//!
//! **Invariant:** the secret exists only in the text that [`Callers::create`] returns; every wrong key
//! costs the same and is answered the same.

use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::Method;
use zeroize::Zeroizing;

use crate::{
    bearer::{self, Minted},
    clock::Clock,
    exchange::{Member, Name},
    keyring::{Fingerprint, LiveSecrets},
};

mod rule;

pub use rule::{BadRule, Rule};

/// Which members a key covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Covers {
    /// These alone; an empty list covers nobody.
    Members(Vec<Member>),
    /// Every member of every application, and the applications' own tokens.
    AnyMember,
}

/// A key as it is known after creation: everything but the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        match &self.covers {
            Covers::AnyMember => true,
            Covers::Members(members) => members.contains(member),
        }
    }

    /// Whether one of its rules allows `method` on `path` (compared byte for byte).
    ///
    /// A restricted key is refused every path that two readers could understand differently.
    pub fn allows(&self, method: &Method, path: &str) -> bool {
        if self.allow.is_empty() {
            return true;
        }
        !rule::is_ambiguous(path) && self.allow.iter().any(|rule| rule.allows(method, path))
    }

    fn is_alive(&self, clock: &Clock) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| clock.seconds() < end)
    }
}

/// No such key, a wrong secret, or a key that expired or was revoked: the caller is told the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey;

/// What an operator decides about a key that is to be made.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whose key it is.
    pub caller: Name,
    /// Which members it covers.
    pub covers: Covers,
    /// What it may ask for; empty means everything.
    pub allow: Vec<Rule>,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<i64>,
}

type Table = HashMap<Arc<str>, Arc<Key>>;

struct Shared {
    clock: Clock,
    live: LiveSecrets,
    keys: ArcSwap<Table>,
}

/// That a text is a key of this table: what was proven once need not be proven for every request.
///
/// It holds the table, so that no other can come to stand at the same place while it is compared.
pub struct Proof {
    text: Zeroizing<Box<[u8]>>,
    table: Arc<Table>,
    key: Arc<Key>,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({})", self.key.id)
    }
}

impl Proof {
    /// Whether it still proves `presented`; compared in constant time.
    fn holds(&self, presented: &[u8], table: &Arc<Table>, clock: &Clock) -> bool {
        Arc::ptr_eq(&self.table, table)
            && verify_slices_are_equal(&self.text, presented).is_ok()
            && self.key.is_alive(clock)
    }
}

/// The table of keys the path asks. Cheap to clone; a change is seen by the next request.
#[derive(Clone)]
pub struct Callers(Arc<Shared>);

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callers({})", self.0.keys.load().len())
    }
}

impl Callers {
    /// An empty table. `clock` decides about expiry; new keys are added to `live`.
    pub fn new(clock: Clock, live: LiveSecrets) -> Self {
        let keys = ArcSwap::default();
        Self(Arc::new(Shared { clock, live, keys }))
    }

    /// Checks what a caller presented (`lgk_…`, without `~NAME`), in constant time for any wrong key.
    ///
    /// # Errors
    /// [`UnknownKey`].
    pub fn check(&self, presented: &[u8]) -> Result<Arc<Key>, UnknownKey> {
        self.found(&self.0.keys.load(), presented)
    }

    /// The same for a connection whose requests carry the same key: `proof` keeps what was proven last,
    /// and holds until any key is made, revoked or changed, or this one expires.
    ///
    /// # Errors
    /// [`UnknownKey`].
    pub fn check_again(
        &self,
        proof: &mut Option<Proof>,
        presented: &[u8],
    ) -> Result<Arc<Key>, UnknownKey> {
        let table = self.0.keys.load();
        if let Some(proof) = proof
            && proof.holds(presented, &table, &self.0.clock)
        {
            return Ok(Arc::clone(&proof.key));
        }
        *proof = None;
        let key = self.found(&table, presented)?;
        *proof = Some(Proof {
            text: Zeroizing::new(presented.into()),
            table: Arc::clone(&table),
            key: Arc::clone(&key),
        });
        Ok(key)
    }

    fn found(&self, keys: &Table, presented: &[u8]) -> Result<Arc<Key>, UnknownKey> {
        let proven = bearer::KEY.proven(presented, |id| keys.get(id), |key| key.digest);
        match proven {
            Some(key) if key.is_alive(&self.0.clock) => Ok(Arc::clone(key)),
            _ => Err(UnknownKey),
        }
    }

    /// Makes a key on these terms. It is not yet in force: store it first, then [`Callers::insert`].
    pub fn create(&self, terms: Terms) -> (Zeroizing<String>, Key) {
        let Minted { text, id, digest } = bearer::KEY.mint();
        let key = Key {
            id,
            caller: terms.caller,
            covers: terms.covers,
            allow: terms.allow,
            expires_at: terms.expires_at,
            revoked_at: None,
            created_at: self.0.clock.seconds(),
            digest,
            fingerprint: self.0.live.fingerprint(text.as_bytes()),
        };
        (text, key)
    }

    /// Puts these keys in the place of all others.
    pub fn replace(&self, keys: Vec<Key>) {
        for key in keys.iter().filter(|key| key.revoked_at.is_none()) {
            self.0.live.add_known(&key.fingerprint);
        }
        let entry = |key: Key| (Arc::clone(&key.id), Arc::new(key));
        let table: Table = keys.into_iter().map(entry).collect();
        self.0.keys.store(Arc::new(table));
    }

    /// Adds a key, or puts it in the place of the one with its id.
    pub fn insert(&self, key: Key) {
        self.0.live.add_known(&key.fingerprint);
        let key = Arc::new(key);
        self.0.keys.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(Arc::clone(&key.id), Arc::clone(&key));
            table
        });
    }

    /// Revokes a key from now on; none if there is no such key.
    pub fn revoke(&self, id: &str) -> Option<Arc<Key>> {
        let mut revoked = Key::clone(self.0.keys.load().get(id)?);
        revoked.revoked_at.get_or_insert(self.0.clock.seconds());
        self.insert(revoked.clone());
        self.0.live.remove(&revoked.fingerprint);
        Some(Arc::new(revoked))
    }

    /// All keys, the oldest first.
    pub fn list(&self) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self.0.keys.load().values().cloned().collect();
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        keys
    }
}

#[cfg(test)]
mod tests;
