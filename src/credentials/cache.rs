//! The grants in memory: what the path reads on every request.
//!
//! **Invariant:** no guard leaves this file, so none is ever held across an await; a grant never
//! gives way to an older version of itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use dashmap::{DashMap, mapref::entry::Entry as Place};

use super::{Token, grant::Grant};
use crate::{exchange::Member, keyring::Fingerprint};

#[derive(Debug)]
struct Entry {
    grant: Arc<Grant>,
    /// The token before: LinkedIn may still be slow to know the new one.
    previous: Option<Token>,
    is_previous_refused: AtomicBool,
    renew_at: Option<i64>,
    is_proven: AtomicBool,
    used_at: AtomicI64,
}

impl Entry {
    fn is_due(&self, now: i64) -> bool {
        self.grant.access.is_renewable && self.renew_at.is_some_and(|at| at <= now)
    }

    fn may_lag(&self, token: &Fingerprint, now: i64, lag: Duration) -> bool {
        let current = &self.grant.access;
        let lag = i64::try_from(lag.as_secs()).unwrap_or(i64::MAX);
        current.fingerprint == *token
            && !self.is_proven.load(Ordering::Relaxed)
            && current
                .issued_at
                .is_some_and(|at| now.saturating_sub(at) < lag)
    }
}

/// What the path wants to know.
#[derive(Debug)]
pub(super) enum Looked {
    /// A usable token, and whether its renewal is due.
    Usable { token: Token, is_due: bool },
    /// A grant whose token cannot be used.
    Unusable(Arc<Grant>),
}

/// All grants by member.
#[derive(Debug)]
pub(super) struct Cache {
    entries: DashMap<Member, Entry>,
    ahead_share: f64,
}

impl Cache {
    pub(super) fn new(ahead_share: f64) -> Self {
        let entries = DashMap::new();
        Self {
            entries,
            ahead_share,
        }
    }

    /// The hot read: one shard's read lock, two reference counts.
    pub(super) fn look(&self, member: &Member, now: i64) -> Option<Looked> {
        let entry = self.entries.get(member)?;
        if !entry.grant.is_usable(now) {
            return Some(Looked::Unusable(Arc::clone(&entry.grant)));
        }
        if entry.used_at.load(Ordering::Relaxed) != now {
            entry.used_at.store(now, Ordering::Relaxed);
        }
        let is_due = entry.is_due(now);
        let token = entry.grant.access.clone();
        Some(Looked::Usable { token, is_due })
    }

    /// The grant as it stands, whatever its state.
    pub(super) fn grant(&self, member: &Member) -> Option<Arc<Grant>> {
        let entry = self.entries.get(member)?;
        Some(Arc::clone(&entry.grant))
    }

    /// Whether renewal ahead of expiry is due.
    pub(super) fn is_due(&self, member: &Member, now: i64) -> bool {
        self.entries
            .get(member)
            .is_some_and(|entry| entry.is_due(now))
    }

    /// When the token was last used.
    pub(super) fn used_at(&self, member: &Member) -> Option<i64> {
        let entry = self.entries.get(member)?;
        Some(entry.used_at.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    pub(super) fn knows(&self, member: &Member) -> bool {
        self.entries.contains_key(member)
    }

    /// Serves `grant` from now on, unless a later version is served already. Returns the token that
    /// is now two renewals old, which nobody will present again.
    pub(super) fn publish(&self, member: &Member, grant: Grant) -> Option<Token> {
        match self.entries.entry(member.clone()) {
            Place::Vacant(place) => {
                place.insert(self.entry(member, grant, None));
                None
            }
            Place::Occupied(mut place) => {
                let old = place.get();
                if old.grant.version > grant.version {
                    return None;
                }
                let is_same = old.grant.access.fingerprint == grant.access.fingerprint;
                let entry = self.entry(member, grant, Some(old));
                place.insert(entry).previous.filter(|_| !is_same)
            }
        }
    }

    /// Serves a renewed grant; none is made for a member that was forgotten meanwhile.
    pub(super) fn publish_renewed(&self, member: &Member, grant: Grant) -> Option<Token> {
        match member.name.is_none() || self.knows(member) {
            true => self.publish(member, grant),
            false => None,
        }
    }

    fn entry(&self, member: &Member, grant: Grant, old: Option<&Entry>) -> Entry {
        let renew_at = grant.renew_at(self.ahead_share, spread(member));
        let used_at = old.map(|old| old.used_at.load(Ordering::Relaxed));
        let used_at = AtomicI64::new(used_at.or(grant.used_at).unwrap_or_default());
        let same = old.filter(|old| old.grant.access.fingerprint == grant.access.fingerprint);
        let previous = match same {
            Some(same) => same.previous.clone(),
            None => old.map(|old| old.grant.access.clone()),
        };
        let carried = |flag: fn(&Entry) -> &AtomicBool| {
            AtomicBool::new(same.is_some_and(|same| flag(same).load(Ordering::Relaxed)))
        };
        Entry {
            grant: Arc::new(grant),
            previous,
            is_previous_refused: carried(|entry| &entry.is_previous_refused),
            renew_at,
            is_proven: carried(|entry| &entry.is_proven),
            used_at,
        }
    }

    /// The token before `token`, while LinkedIn may lag behind the renewal.
    pub(super) fn previous(
        &self,
        member: &Member,
        token: &Token,
        now: i64,
        lag: Duration,
    ) -> Option<Token> {
        let entry = self.entries.get(member)?;
        if !entry.may_lag(&token.fingerprint, now, lag)
            || entry.is_previous_refused.load(Ordering::Relaxed)
        {
            return None;
        }
        let previous = entry.previous.clone()?;
        previous
            .expires_at
            .is_none_or(|end| now < end)
            .then_some(previous)
    }

    /// Whether a refusal of `token` may mean nothing: it is young, and LinkedIn never took it yet.
    pub(super) fn may_lag(
        &self,
        member: &Member,
        token: &Fingerprint,
        now: i64,
        lag: Duration,
    ) -> bool {
        let entry = self.entries.get(member);
        entry.is_some_and(|entry| entry.may_lag(token, now, lag))
    }

    /// Notes that LinkedIn took `token`.
    pub(super) fn proven(&self, member: &Member, token: &Token) {
        let Some(entry) = self.entries.get(member) else {
            return;
        };
        if !entry.is_proven.load(Ordering::Relaxed)
            && entry.grant.access.fingerprint == token.fingerprint
        {
            entry.is_proven.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that LinkedIn refused a token: it is never offered as the previous one.
    pub(super) fn refused(&self, member: &Member, token: &Fingerprint) {
        let Some(entry) = self.entries.get(member) else {
            return;
        };
        let previous = entry.previous.as_ref();
        if previous.is_some_and(|previous| previous.fingerprint == *token) {
            entry.is_previous_refused.store(true, Ordering::Relaxed);
        }
    }

    /// Another holder of this URN, among the members that `is_other` names.
    pub(super) fn holder(&self, urn: &str, is_other: impl Fn(&Member) -> bool) -> Option<Member> {
        let found = self
            .entries
            .iter()
            .find(|entry| entry.grant.urn.as_deref() == Some(urn) && is_other(entry.key()));
        found.map(|entry| entry.key().clone())
    }

    /// Drops the member's grant.
    pub(super) fn forget(&self, member: &Member) {
        self.entries.remove(member);
    }

    /// Drops the member's grant if it is still this one.
    pub(super) fn forget_if(&self, member: &Member, grant: &Arc<Grant>) {
        let is_same = |_: &Member, entry: &Entry| Arc::ptr_eq(&entry.grant, grant);
        self.entries.remove_if(member, is_same);
    }

    /// All grants, in order of application and name.
    pub(super) fn all(&self) -> Vec<(Member, Arc<Grant>)> {
        let mut all: Vec<_> = self
            .entries
            .iter()
            .map(|entry| (entry.key().clone(), Arc::clone(&entry.grant)))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

/// A number from 0 to 1 that is always the same for a member.
fn spread(member: &Member) -> f64 {
    let hash = crc32fast::hash(member.to_string().as_bytes());
    f64::from(hash) / f64::from(u32::MAX)
}
