//! One grant in the cache: opened or at rest, and what calls and renewals made of it since.
//!
//! **Invariant:** a grant that was opened never rests again.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{
    super::{
        Token,
        grant::{self, Facts, Grant},
        scheduler::Planned,
    },
    packed::Packed,
    secs,
};
use crate::{exchange::Member, keyring::Fingerprint, store::Row};

/// A grant as the start found it: a token that nobody asks for stays sealed, which saves a start its opening
/// (8 µs of CPU for two tokens of 500 characters, and their fingerprints) and memory its copy.
#[derive(Debug)]
pub(in crate::credentials) struct Resting {
    pub(super) row: Packed,
    pub(super) facts: Facts,
    pub(super) version: i64,
    pub(super) acquired_at: i64,
    /// The member's real name, once somebody searched for names.
    pub(super) full_name: OnceLock<Option<Box<str>>>,
}

impl Resting {
    /// None where the row names no state that is known here.
    pub(in crate::credentials) fn new(member: &Member, row: &Row) -> Option<Self> {
        Some(Self {
            facts: grant::facts_of(member, row)?,
            version: row.version,
            acquired_at: row.acquired_at,
            row: Packed::new(row),
            full_name: OnceLock::new(),
        })
    }
}

/// A grant, opened or not. Once opened it stays so: a path that asks again pays nothing.
#[derive(Clone, Debug)]
pub(super) enum Held {
    Open(Arc<Grant>),
    Resting(Arc<Resting>),
}

impl Held {
    pub(super) fn facts(&self) -> Facts {
        match self {
            Self::Open(grant) => grant.facts(),
            Self::Resting(resting) => resting.facts,
        }
    }

    pub(super) fn version(&self) -> i64 {
        match self {
            Self::Open(grant) => grant.version,
            Self::Resting(resting) => resting.version,
        }
    }

    pub(super) fn urn(&self) -> Option<&str> {
        match self {
            Self::Open(grant) => grant.urn.as_deref(),
            Self::Resting(resting) => resting.row.urn(),
        }
    }

    pub(super) fn open(&self) -> Option<&Arc<Grant>> {
        match self {
            Self::Open(grant) => Some(grant),
            Self::Resting(_) => None,
        }
    }

    pub(super) fn is(&self, resting: &Arc<Resting>) -> bool {
        matches!(self, Self::Resting(this) if Arc::ptr_eq(this, resting))
    }
}

/// The token before: LinkedIn may still be slow to know the new one.
#[derive(Debug)]
pub(super) struct Before {
    /// None once nothing asks for it any more.
    pub(super) token: Option<Token>,
    pub(super) fingerprint: Fingerprint,
    /// Until when it is served, in Unix seconds; 0: it is not.
    pub(super) until: AtomicI64,
    pub(super) is_refused: AtomicBool,
}

impl Before {
    pub(super) fn copy(&self) -> Self {
        Self {
            token: self.token.clone(),
            fingerprint: self.fingerprint.clone(),
            until: AtomicI64::new(self.until.load(Ordering::Relaxed)),
            is_refused: AtomicBool::new(self.is_refused.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
        self.until.store(0, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) held: Held,
    /// None since the start: a box, since most have none and the map holds room for two entries a grant.
    pub(super) before: Option<Box<Before>>,
    pub(super) renew_at: Option<i64>,
    /// When a call last began its renewal, or tried to, in Unix seconds.
    pub(super) asked_at: AtomicI64,
    pub(super) is_proven: AtomicBool,
    pub(super) is_refused: AtomicBool,
    pub(super) used_at: AtomicI64,
    /// The last use that the store knows of.
    pub(super) kept_use: AtomicI64,
}

impl Entry {
    pub(super) fn resting(
        resting: Arc<Resting>,
        renew_at: Option<i64>,
        used_at: Option<i64>,
    ) -> Self {
        let kept_use = used_at.unwrap_or_default();
        Self {
            held: Held::Resting(resting),
            before: None,
            renew_at,
            asked_at: AtomicI64::new(i64::MIN),
            is_proven: AtomicBool::default(),
            is_refused: AtomicBool::default(),
            used_at: AtomicI64::new(kept_use),
            kept_use: AtomicI64::new(kept_use),
        }
    }

    /// The token's name, if it is open.
    pub(super) fn is_current(&self, token: &Fingerprint) -> bool {
        let open = self.held.open();
        open.is_some_and(|grant| grant.access.fingerprint == *token)
    }

    pub(super) fn is_due(&self, now: i64) -> bool {
        self.renew_at.is_some_and(|at| at <= now) && self.held.facts().is_renewable
    }

    /// Whether a call is to begin the renewal: the first one of a second that finds it due. Others
    /// would only queue at the agenda's lock, and the scheduler has the entry anyway.
    pub(super) fn is_to_renew(&self, now: i64) -> bool {
        self.is_due(now)
            && self.asked_at.load(Ordering::Relaxed) != now
            && self.asked_at.swap(now, Ordering::Relaxed) != now
    }

    pub(super) fn planned(&self, member: &Member) -> Option<Planned> {
        let is_renewable = self.held.facts().is_renewable;
        Some(Planned {
            due: self.renew_at.filter(|_| is_renewable)?,
            version: self.held.version(),
            member: member.clone(),
        })
    }

    /// The token for calls, where the current one is `grant`'s: after a renewal ahead of time the old one, until the
    /// new one is proven or LinkedIn's lag is over.
    pub(super) fn in_use<'a>(&'a self, grant: &'a Grant, now: i64) -> &'a Token {
        if let Some(before) = &self.before
            && now < before.until.load(Ordering::Relaxed)
            && let Some(token) = &before.token
        {
            return token;
        }
        &grant.access
    }

    /// A grant that nobody has opened has never been tried: then nobody can have been refused either.
    pub(super) fn may_lag(&self, token: &Fingerprint, now: i64, lag: Duration) -> bool {
        let Some(grant) = self.held.open() else {
            return false;
        };
        let current = &grant.access;
        let lag = secs(lag);
        // A clock that was set back by more than the lag tells no age at all.
        let is_young = |at: i64| now.saturating_sub(at) < lag && at.saturating_sub(now) < lag;
        current.fingerprint == *token
            && !self.is_proven.load(Ordering::Relaxed)
            && current.issued_at.is_some_and(is_young)
    }
}
