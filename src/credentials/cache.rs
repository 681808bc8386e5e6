//! The grants in memory: what the path reads on every request.
//!
//! **Invariant:** no guard leaves this file, so none is ever held across an await; a grant never
//! gives way to an older version of itself.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use dashmap::{DashMap, mapref::entry::Entry as Place};
use foldhash::quality::RandomState;

use super::{
    Token,
    grant::{Grant, State},
    notices::Notices,
    scheduler::{Agenda, Planned},
};
use crate::{exchange::Member, keyring::Fingerprint};

#[derive(Debug)]
struct Entry {
    grant: Arc<Grant>,
    /// The token before: LinkedIn may still be slow to know the new one.
    previous: Option<Token>,
    /// Its fingerprint, which stays known when the token itself is let go.
    replaced: Option<Fingerprint>,
    /// Until when the token before is served, in Unix seconds; 0: it is not.
    previous_until: AtomicI64,
    is_previous_refused: AtomicBool,
    renew_at: Option<i64>,
    /// When a call last began its renewal, or tried to, in Unix seconds.
    asked_at: AtomicI64,
    is_proven: AtomicBool,
    is_refused: AtomicBool,
    used_at: AtomicI64,
    /// The last use that the store knows of.
    kept_use: AtomicI64,
}

impl Entry {
    fn is_due(&self, now: i64) -> bool {
        self.grant.access.is_renewable && self.renew_at.is_some_and(|at| at <= now)
    }

    /// Whether a call is to begin the renewal: the first one of a second that finds it due. Others
    /// would only queue at the agenda's lock, and the scheduler has the entry anyway.
    fn is_to_renew(&self, now: i64) -> bool {
        self.is_due(now)
            && self.asked_at.load(Ordering::Relaxed) != now
            && self.asked_at.swap(now, Ordering::Relaxed) != now
    }

    fn planned(&self, member: &Member) -> Option<Planned> {
        let is_renewable = self.grant.access.is_renewable;
        Some(Planned {
            due: self.renew_at.filter(|_| is_renewable)?,
            version: self.grant.version,
            member: member.clone(),
        })
    }

    /// The token for calls: after a renewal ahead of time the old one, until the new one is proven or
    /// LinkedIn's lag is over.
    fn in_use(&self, now: i64) -> &Token {
        if now < self.previous_until.load(Ordering::Relaxed)
            && let Some(previous) = &self.previous
        {
            return previous;
        }
        &self.grant.access
    }

    fn may_lag(&self, token: &Fingerprint, now: i64, lag: Duration) -> bool {
        let current = &self.grant.access;
        let lag = secs(lag);
        // A clock that was set back by more than the lag tells no age at all.
        let is_young = |at: i64| now.saturating_sub(at) < lag && at.saturating_sub(now) < lag;
        current.fingerprint == *token
            && !self.is_proven.load(Ordering::Relaxed)
            && current.issued_at.is_some_and(is_young)
    }
}

fn secs(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// What the path wants to know.
#[derive(Debug)]
pub(super) enum Looked {
    /// A usable token, and whether its renewal is to be begun: it is due, and nobody tried in this
    /// second.
    Usable { token: Token, is_to_renew: bool },
    /// A grant whose token cannot be used.
    Unusable(Arc<Grant>),
}

/// A grant as the census sees it.
pub(super) struct Seen<'a> {
    pub(super) member: &'a Member,
    pub(super) grant: &'a Grant,
    /// Since when its renewal is due, in Unix seconds; none if it is not.
    pub(super) due_since: Option<i64>,
    /// When a call last used it, in Unix seconds.
    pub(super) used_at: Option<i64>,
}

/// All grants by member.
#[derive(Debug)]
pub(super) struct Cache {
    /// Only members that have a grant stand here, so nobody can fill it with names that collide: the
    /// hash need not be one that withstands that.
    entries: DashMap<Member, Entry, RandomState>,
    ahead_share: f64,
    lag: Duration,
    agenda: Arc<Agenda>,
    /// Told of every change, after it is in force.
    pub(super) notices: Notices,
}

impl Cache {
    /// An empty one, which plans in `agenda` the renewal of whatever it is given.
    pub(super) fn new(ahead_share: f64, lag: Duration, agenda: Arc<Agenda>) -> Self {
        Self {
            entries: DashMap::default(),
            ahead_share,
            lag,
            agenda,
            notices: Notices::default(),
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
        let is_to_renew = entry.is_to_renew(now);
        let token = entry.in_use(now).clone();
        Some(Looked::Usable { token, is_to_renew })
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

    /// Serves `grant` from now on, unless a later version is served already. Returns the name of the
    /// token that is now two renewals old, which nobody will present again.
    pub(super) fn publish(&self, member: &Member, grant: Grant) -> Option<Fingerprint> {
        let spent = self.replace(member, grant, true);
        self.notices.member(member);
        spent
    }

    /// Whether it `may_be_new` is decided under the lock under which it is put in: a member may be
    /// forgotten at any time.
    fn replace(&self, member: &Member, grant: Grant, may_be_new: bool) -> Option<Fingerprint> {
        let (planned, forgotten) = match self.entries.entry(member.clone()) {
            Place::Vacant(_) if !may_be_new => return None,
            Place::Vacant(place) => {
                let entry = place.insert(self.entry(member, grant, None));
                (entry.planned(member), None)
            }
            Place::Occupied(mut place) => {
                let old = place.get();
                if old.grant.version > grant.version {
                    return None;
                }
                let is_same = old.grant.access.fingerprint == grant.access.fingerprint;
                let entry = self.entry(member, grant, Some(old));
                let planned = entry.planned(member);
                (planned, place.insert(entry).replaced.filter(|_| !is_same))
            }
        };
        // Outside the shard's lock: whoever holds the agenda may look here.
        if let Some(planned) = planned {
            self.agenda.plan(planned);
        }
        forgotten
    }

    /// Serves a renewed grant; none is made for a member that was forgotten meanwhile.
    pub(super) fn publish_renewed(&self, member: &Member, grant: Grant) -> Option<Fingerprint> {
        let spent = self.replace(member, grant, member.name.is_none());
        self.notices.member(member);
        spent
    }

    fn entry(&self, member: &Member, grant: Grant, old: Option<&Entry>) -> Entry {
        let used_at = old.map(|old| old.used_at.load(Ordering::Relaxed));
        let kept_use = grant.used_at.unwrap_or_default();
        let same = old.filter(|old| old.grant.access.fingerprint == grant.access.fingerprint);
        let before = old.filter(|_| same.is_none());
        let flag = |of: Option<&Entry>, flag: fn(&Entry) -> &AtomicBool| {
            AtomicBool::new(of.is_some_and(|entry| flag(entry).load(Ordering::Relaxed)))
        };
        Entry {
            previous: match same {
                Some(same) => same.previous.clone(),
                None => before.map(|old| old.grant.access.clone()),
            },
            replaced: match same {
                Some(same) => same.replaced.clone(),
                None => before.map(|old| old.grant.access.fingerprint.clone()),
            },
            previous_until: AtomicI64::new(match same {
                Some(same) => same.previous_until.load(Ordering::Relaxed),
                None => before.map_or(0, |old| self.served_until(old, &grant)),
            }),
            is_previous_refused: match same {
                Some(same) => flag(Some(same), |entry| &entry.is_previous_refused),
                None => flag(before, |entry| &entry.is_refused),
            },
            renew_at: match before {
                Some(old) if is_stuck(old, &grant) => grant.access.expires_at,
                _ => same
                    .and_then(|same| same.renew_at)
                    .or_else(|| grant.renew_at(self.ahead_share, spread(member))),
            },
            asked_at: AtomicI64::new(i64::MIN),
            is_proven: flag(same, |entry| &entry.is_proven),
            is_refused: flag(same, |entry| &entry.is_refused),
            used_at: AtomicI64::new(used_at.unwrap_or(kept_use).max(kept_use)),
            kept_use: AtomicI64::new(kept_use),
            grant: Arc::new(grant),
        }
    }

    /// Until when the token of `old` is served in place of that of `new`; 0: not at all. A new
    /// sign-in or an import counts at once: its scopes may be others.
    fn served_until(&self, old: &Entry, new: &Grant) -> i64 {
        let (Some(issued), before) = (new.access.issued_at, &old.grant) else {
            return 0;
        };
        let is_renewal = new.renewals > before.renewals
            && new.state == State::Live
            && new.scopes == before.scopes;
        let is_good = before.is_usable(issued) && !old.is_refused.load(Ordering::Relaxed);
        match is_renewal && is_good {
            true => issued
                .saturating_add(secs(self.lag))
                .min(before.access.expires_at.unwrap_or(i64::MAX)),
            false => 0,
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
            entry.is_refused.store(false, Ordering::Relaxed);
            entry.previous_until.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that LinkedIn refused a token: it is never served or offered as the previous one.
    pub(super) fn refused(&self, member: &Member, token: &Fingerprint) {
        let Some(entry) = self.entries.get(member) else {
            return;
        };
        let previous = entry.previous.as_ref();
        if previous.is_some_and(|previous| previous.fingerprint == *token) {
            entry.is_previous_refused.store(true, Ordering::Relaxed);
            entry.previous_until.store(0, Ordering::Relaxed);
        }
        if entry.grant.access.fingerprint == *token {
            entry.is_refused.store(true, Ordering::Relaxed);
        }
    }

    /// When the member's grant is to be renewed ahead of time; none: never.
    pub(super) fn planned(&self, member: &Member) -> Option<Planned> {
        self.entries.get(member)?.planned(member)
    }

    /// The same of all grants.
    pub(super) fn all_planned(&self) -> Vec<Planned> {
        let all = self.entries.iter();
        all.filter_map(|entry| entry.planned(entry.key())).collect()
    }

    /// Lets go of tokens that were renewed longer ago than LinkedIn lags: nothing asks for them, and
    /// a thousand bytes for each member are many.
    pub(super) fn let_go(&self, now: i64) {
        let is_over = |entry: &Entry| {
            let current = &entry.grant.access;
            entry.previous.is_some() && !entry.may_lag(&current.fingerprint, now, self.lag)
        };
        let over = self.entries.iter().filter(|entry| is_over(entry));
        let over: Vec<Member> = over.map(|entry| entry.key().clone()).collect();
        for member in over {
            if let Some(mut entry) = self.entries.get_mut(&member)
                && is_over(&entry)
            {
                entry.previous = None;
            }
        }
    }

    /// Whose grants there are.
    pub(super) fn members(&self) -> HashSet<Member> {
        let all = self.entries.iter();
        all.map(|entry| entry.key().clone()).collect()
    }

    /// How many grants there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Shows each grant, in no order and without a copy. `see` runs under a shard's lock: it must not
    /// ask this cache anything.
    pub(super) fn each(&self, now: i64, mut see: impl FnMut(Seen<'_>)) {
        for entry in &self.entries {
            see(Seen {
                member: entry.key(),
                grant: &entry.grant,
                due_since: entry.renew_at.filter(|_| entry.is_due(now)),
                used_at: Some(entry.used_at.load(Ordering::Relaxed)).filter(|at| *at > 0),
            });
        }
    }

    /// Last uses that the store does not know of yet.
    pub(super) fn new_uses(&self) -> Vec<(Member, i64)> {
        let all = self.entries.iter();
        let new = all.filter_map(|entry| {
            let used = entry.used_at.load(Ordering::Relaxed);
            (used > entry.kept_use.load(Ordering::Relaxed)).then(|| (entry.key().clone(), used))
        });
        new.collect()
    }

    /// Notes that the store knows of these uses.
    pub(super) fn kept_uses(&self, uses: &[(Member, i64)]) {
        for (member, used) in uses {
            if let Some(entry) = self.entries.get(member) {
                entry.kept_use.fetch_max(*used, Ordering::Relaxed);
            }
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
        self.notices.member(member);
    }

    /// Drops the member's grant if it is still this one.
    pub(super) fn forget_if(&self, member: &Member, grant: &Arc<Grant>) {
        let is_same = |_: &Member, entry: &Entry| Arc::ptr_eq(&entry.grant, grant);
        self.entries.remove_if(member, is_same);
        self.notices.member(member);
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

/// Whether the renewal of `old`, made when it was due, brought no later end worth having: `new` is
/// renewed at its end and no more before.
fn is_stuck(old: &Entry, new: &Grant) -> bool {
    new.renewals > old.grant.renewals
        && old.is_due(new.acquired_at)
        && new.is_barely_later_than(&old.grant)
}

/// A number from 0 to 1 that is always the same for a member.
fn spread(member: &Member) -> f64 {
    let hash = crc32fast::hash(member.to_string().as_bytes());
    f64::from(hash) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        credentials::grant::{Terms, TokenAnswer},
        keyring::{KeyRing, LiveSecrets},
    };

    fn ada() -> Member {
        Member {
            application: "default".parse().unwrap(),
            name: Some("ada".parse().unwrap()),
        }
    }

    #[test]
    fn a_renewal_that_meets_a_disconnect_brings_nobody_back() {
        let cache = Cache::new(0.1, Duration::ZERO, Arc::new(Agenda::new(1)));
        let live = LiveSecrets::new(KeyRing::random());
        let terms = Terms {
            now: 1_800_000_000,
            live: &live,
            is_issued_now: true,
            is_applications_own: false,
        };
        let answer = TokenAnswer::parse(br#"{"access_token":"a0"}"#).unwrap();
        let grant = answer.grant(None, &terms);
        let is_over = AtomicBool::new(false);

        let came_back = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    cache.publish_renewed(&ada(), grant.clone());
                }
            });
            let came_back = (0..20_000).filter(|_| {
                cache.publish(&ada(), grant.clone());
                cache.forget(&ada());
                std::thread::yield_now();
                cache.knows(&ada())
            });
            let came_back = came_back.count();
            is_over.store(true, Ordering::Relaxed);
            came_back
        });

        assert_eq!(came_back, 0);
    }

    #[test]
    fn one_call_in_a_second_begins_a_renewal_that_is_due() {
        let cache = Cache::new(0.1, Duration::ZERO, Arc::new(Agenda::new(1)));
        let live = LiveSecrets::new(KeyRing::random());
        let terms = Terms {
            now: 1_800_000_000,
            live: &live,
            is_issued_now: true,
            is_applications_own: false,
        };
        let answer = br#"{"access_token":"a0","expires_in":1000,"refresh_token":"r0"}"#;
        let grant = TokenAnswer::parse(answer).unwrap().grant(None, &terms);
        cache.publish(&ada(), grant.clone());
        let asks = |after: i64| match cache.look(&ada(), terms.now + after) {
            Some(Looked::Usable { is_to_renew, .. }) => is_to_renew,
            other => panic!("{other:?}"),
        };

        assert!(!asks(0), "it is not due");
        assert_eq!([asks(999), asks(999), asks(999)], [true, false, false]);
        assert_eq!([asks(998), asks(998)], [true, false], "another second");
        cache.publish(&ada(), grant);
        assert!(asks(998), "another grant");
    }

    #[test]
    fn a_hundred_thousand_members_are_spread_evenly() {
        // Sixty days, a tenth ahead: a day and a half in which all are due, cut into an hour each.
        let mut hours = vec![0_usize; 36];
        for n in 0..100_000 {
            let member = Member {
                application: "default".parse().unwrap(),
                name: Some(format!("member-{n}").parse().unwrap()),
            };
            let at = spread(&member) * 36.0;
            let hour = (1..36).filter(|hour| at >= f64::from(*hour)).count();
            hours[hour] += 1;
        }

        let (least, most) = (hours.iter().min().unwrap(), hours.iter().max().unwrap());

        assert!(
            *least > 2_400 && *most < 3_200,
            "{least} to {most} in an hour"
        );
    }
}
