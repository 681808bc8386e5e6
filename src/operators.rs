//! Operators and their tokens: who may come through the operators' door, and what each may do there.
//!
//! A token's text is `lgo_{id}_{secret}{check}` (`bearer`), made, hashed and checked like a caller's key.
//! It opens the admin listener and nothing else: no call to LinkedIn is ever made for it.
//!
//! **Invariant:** the secret exists only in the text that [`Operators::create`] returns; every wrong
//! token costs the same and is answered the same; a revoked or expired one is nobody's from that moment.
//! **Neighbours:** `admin` asks, `app` creates and revokes, `store` keeps.

use std::{collections::HashMap, fmt, str::FromStr, sync::Arc};

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use crate::{
    bearer::{self, Minted},
    clock::Clock,
    exchange::Name,
    keyring::{Fingerprint, LiveSecrets},
};

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything: looks, renews, disconnects, makes connect links.
    Operator,
    /// Looks, and changes nothing but what is said of signatures of incidents.
    Support,
}

impl Role {
    /// Both, the one with more rights first.
    pub const ALL: [Self; 2] = [Self::Operator, Self::Support];

    /// The word for it in commands, answers and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Support => "support",
        }
    }

    /// Whether it may change anything: renew, disconnect, make connect links.
    pub fn may_change(self) -> bool {
        self == Self::Operator
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is no [`Role`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is operator or support")]
pub struct NotARole;

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or(NotARole)
    }
}

/// An operator's token as it is known after creation: everything but the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Public id, the look-up handle: `lgo_{id}_…`.
    pub id: Arc<str>,
    /// Whose token it is, as the operations log names them.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<i64>,
    /// When it was revoked, in Unix seconds.
    pub revoked_at: Option<i64>,
    /// When it was made, in Unix seconds.
    pub created_at: i64,
    /// SHA-256 of the secret part.
    pub digest: [u8; 32],
    /// Names the token in records without showing it.
    pub fingerprint: Fingerprint,
}

impl Operator {
    /// Whether it is neither revoked nor over at `now`, in Unix seconds.
    pub fn is_alive(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// No such token, a wrong secret, or one that expired or was revoked: the visitor is told the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownToken;

type Table = HashMap<Arc<str>, Arc<Operator>>;

struct Shared {
    clock: Clock,
    live: LiveSecrets,
    tokens: ArcSwap<Table>,
}

/// The table of operators' tokens. Cheap to clone; a change is seen by the next request.
#[derive(Clone)]
pub struct Operators(Arc<Shared>);

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operators({})", self.0.tokens.load().len())
    }
}

impl Operators {
    /// An empty table. `clock` decides about expiry; new tokens are added to `live`.
    pub fn new(clock: Clock, live: LiveSecrets) -> Self {
        let tokens = ArcSwap::default();
        Self(Arc::new(Shared {
            clock,
            live,
            tokens,
        }))
    }

    /// Checks what a visitor presented, in constant time for any wrong token.
    ///
    /// # Errors
    /// [`UnknownToken`].
    pub fn check(&self, presented: &[u8]) -> Result<Arc<Operator>, UnknownToken> {
        let tokens = self.0.tokens.load();
        let proven = bearer::OPERATOR.proven(presented, |id| tokens.get(id), |one| one.digest);
        match proven {
            Some(operator) if operator.is_alive(self.0.clock.seconds()) => Ok(Arc::clone(operator)),
            _ => Err(UnknownToken),
        }
    }

    /// The operator of a token that was checked before, while that token is alive.
    pub fn alive(&self, id: &str) -> Option<Arc<Operator>> {
        let found = self.0.tokens.load().get(id).cloned();
        found.filter(|operator| operator.is_alive(self.0.clock.seconds()))
    }

    /// Makes a token that ends at `expires_at` (Unix seconds), and its text, which is shown once. It is
    /// not yet in force: store it first, then [`Operators::insert`].
    pub fn create(
        &self,
        name: Name,
        role: Role,
        expires_at: Option<i64>,
    ) -> (Zeroizing<String>, Operator) {
        let Minted { text, id, digest } = bearer::OPERATOR.mint();
        let operator = Operator {
            id,
            name,
            role,
            expires_at,
            revoked_at: None,
            created_at: self.0.clock.seconds(),
            digest,
            fingerprint: self.0.live.fingerprint(text.as_bytes()),
        };
        (text, operator)
    }

    /// Puts these tokens in the place of all others.
    pub fn replace(&self, operators: Vec<Operator>) {
        for operator in operators.iter().filter(|one| one.revoked_at.is_none()) {
            self.0.live.add_known(&operator.fingerprint);
        }
        let entry = |operator: Operator| (Arc::clone(&operator.id), Arc::new(operator));
        let table: Table = operators.into_iter().map(entry).collect();
        self.0.tokens.store(Arc::new(table));
    }

    /// Adds a token, or puts it in the place of the one with its id.
    pub fn insert(&self, operator: Operator) {
        self.0.live.add_known(&operator.fingerprint);
        let operator = Arc::new(operator);
        self.0.tokens.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(Arc::clone(&operator.id), Arc::clone(&operator));
            table
        });
    }

    /// Revokes a token from now on, its sessions with it; none if there is no such token.
    pub fn revoke(&self, id: &str) -> Option<Arc<Operator>> {
        let mut revoked = Operator::clone(self.0.tokens.load().get(id)?);
        revoked.revoked_at.get_or_insert(self.0.clock.seconds());
        self.insert(revoked.clone());
        self.0.live.remove(&revoked.fingerprint);
        Some(Arc::new(revoked))
    }

    /// All tokens, the oldest first.
    pub fn list(&self) -> Vec<Arc<Operator>> {
        let mut all: Vec<_> = self.0.tokens.load().values().cloned().collect();
        all.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        all
    }
}

#[cfg(test)]
mod tests;
