//! The grants in memory: what the path reads on every request.
//!
//! A grant that nobody asks for rests as the store holds it, sealed; who asks first opens it.
//!
//! **Invariant:** no guard leaves this file, so none is ever held across an await; a grant never
//! gives way to an older version of itself.

use std::{
    collections::HashSet,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};

use dashmap::{DashMap, mapref::entry::Entry as Place};
use foldhash::quality::RandomState;
use tracing::error;

use super::{
    Token,
    grant::{Facts, Grant, Outline, State},
    notices::Notices,
    scheduler::{Agenda, Planned},
    sealing::Sealing,
};
use crate::{
    exchange::{Member, Name},
    keyring::Fingerprint,
};

mod entry;
mod packed;

pub(super) use entry::Resting;
use entry::{Before, Entry, Held};

/// Locks of a map of all members: so many that a start's threads, and the path's, seldom meet at one.
pub(super) fn shards() -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    (4 * cores).next_power_of_two().max(64)
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

/// The member has another grant, which is open or of another version.
#[derive(Debug)]
pub(super) struct OtherThere;

/// A grant as the census sees it.
pub(super) struct Seen<'a> {
    pub(super) member: &'a Member,
    pub(super) facts: Facts,
    /// LinkedIn's URN of the member.
    pub(super) urn: Option<&'a str>,
    held: &'a Held,
    /// Since when its renewal is due, in Unix seconds; none if it is not.
    pub(super) due_since: Option<i64>,
    /// When a call last used it, in Unix seconds.
    pub(super) used_at: Option<i64>,
}

impl Seen<'_> {
    /// The member's real name, where it is known: of one that rests, once [`Cache::learn_names`] was called.
    pub(super) fn full_name(&self) -> Option<&str> {
        match self.held {
            Held::Open(grant) => grant.profile.as_ref()?.name.as_deref(),
            Held::Resting(resting) => resting.full_name.get()?.as_deref(),
        }
    }
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
    /// Opens what rests.
    sealing: Arc<Sealing>,
    /// Told of every change, after it is in force.
    pub(super) notices: Notices,
}

impl Cache {
    /// An empty one, which plans in `agenda` the renewal of whatever it is given.
    pub(super) fn new(
        ahead_share: f64,
        lag: Duration,
        agenda: Arc<Agenda>,
        sealing: Arc<Sealing>,
    ) -> Self {
        Self {
            entries: DashMap::with_hasher_and_shard_amount(RandomState::default(), shards()),
            ahead_share,
            lag,
            agenda,
            sealing,
            notices: Notices::default(),
        }
    }

    /// The hot read: one shard's read lock, two reference counts. A grant's first one opens it, by the write lock.
    pub(super) fn look(&self, member: &Member, now: i64) -> Option<Looked> {
        let entry = self.entries.get(member)?;
        let grant = match &entry.held {
            Held::Open(grant) => grant,
            Held::Resting(resting) => {
                let resting = Arc::clone(resting);
                drop(entry);
                self.opened(member, &resting)?;
                // Open by now, or replaced meanwhile.
                return self.look(member, now);
            }
        };
        if !grant.is_usable(now) {
            return Some(Looked::Unusable(Arc::clone(grant)));
        }
        if entry.used_at.load(Ordering::Relaxed) != now {
            entry.used_at.store(now, Ordering::Relaxed);
        }
        let is_to_renew = entry.is_to_renew(now);
        let token = entry.in_use(grant, now).clone();
        Some(Looked::Usable { token, is_to_renew })
    }

    /// The grant as it stands, whatever its state.
    pub(super) fn grant(&self, member: &Member) -> Option<Arc<Grant>> {
        match self.held(member)? {
            Held::Open(grant) => Some(grant),
            Held::Resting(resting) => self.opened(member, &resting),
        }
    }

    /// The same without its tokens' texts, for those who only look: what rests goes on resting.
    pub(super) fn outline(&self, member: &Member) -> Option<Outline> {
        match self.held(member)? {
            Held::Open(grant) => Some(grant.into()),
            Held::Resting(resting) => self.sealing.outline(member, &resting.row.unpacked()),
        }
    }

    fn held(&self, member: &Member) -> Option<Held> {
        self.entries.get(member).map(|entry| entry.held.clone())
    }

    /// The grant that rested, which rests no more. One that does not open is served no more, and left as it is in the
    /// store.
    fn opened(&self, member: &Member, resting: &Arc<Resting>) -> Option<Arc<Grant>> {
        match self.sealing.grant(member, &resting.row.unpacked()) {
            Ok(grant) => {
                let grant = Arc::new(grant);
                if let Some(mut entry) = self.entries.get_mut(member)
                    && entry.held.is(resting)
                {
                    entry.held = Held::Open(Arc::clone(&grant));
                }
                Some(grant)
            }
            Err(error) => {
                let is_it = |_: &Member, entry: &Entry| entry.held.is(resting);
                // If it is another by now, the member was forgotten meanwhile: then nothing is wrong.
                if self.entries.remove_if(member, is_it).is_some() {
                    error!(%member, %error, "a grant does not open; it is left as it is");
                    self.notices.member(member);
                }
                None
            }
        }
    }

    /// Serves a grant that nobody has opened, unless there is one for the member. Gives what is to be planned by
    /// [`Cache::plan_all`].
    pub(super) fn rest(
        &self,
        member: Member,
        resting: Arc<Resting>,
        used_at: Option<i64>,
    ) -> Result<Option<Planned>, OtherThere> {
        let (facts, acquired_at) = (resting.facts, resting.acquired_at);
        match self.entries.entry(member) {
            Place::Occupied(place) => match &place.get().held {
                Held::Resting(known) if known.row == resting.row => Ok(None),
                Held::Open(_) | Held::Resting(_) => Err(OtherThere),
            },
            Place::Vacant(place) => {
                let renew_at = facts.renew_at(acquired_at, self.ahead_share, spread(place.key()));
                let entry = place.insert(Entry::resting(resting, renew_at, used_at));
                Ok(entry.planned(entry.key()))
            }
        }
    }

    /// Plans the renewals of grants that rest.
    pub(super) fn plan_all(&self, planned: Vec<Planned>) {
        self.agenda.plan_all(planned);
    }

    /// Whether the member's grant is still sealed.
    #[cfg(test)]
    pub(super) fn rests(&self, member: &Member) -> bool {
        matches!(self.held(member), Some(Held::Resting(_)))
    }

    /// Whether the member's grant opens; one that does not is told and served no more. What rests goes on resting.
    pub(super) fn prove(&self, member: &Member) {
        if let Some(Held::Resting(resting)) = self.held(member)
            && !self.sealing.opens(member, &resting.row.unpacked())
        {
            let _told = self.opened(member, &resting);
        }
    }

    /// Opens the real names of all members that rest, and keeps them. Under no lock: of a million that takes seconds,
    /// and a grant's first call waits for its shard.
    pub(super) fn learn_names(&self) {
        let unknown = |entry: &Entry| match &entry.held {
            Held::Resting(resting) if resting.full_name.get().is_none() => {
                Some(Arc::clone(resting))
            }
            Held::Open(_) | Held::Resting(_) => None,
        };
        let all = self.entries.iter();
        let all: Vec<(Member, Arc<Resting>)> = all
            .filter_map(|entry| Some((entry.key().clone(), unknown(&entry)?)))
            .collect();
        for (member, resting) in all {
            resting.full_name.get_or_init(|| {
                let profile = self
                    .sealing
                    .kept_profile(&member, &resting.row.unpacked())?;
                profile.name.as_deref().map(Into::into)
            });
        }
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
        // What it takes the place of is needed open: its token may have to serve on for a while.
        let _old = self.grant(member);
        let (planned, forgotten) = match self.entries.entry(member.clone()) {
            Place::Vacant(_) if !may_be_new => return None,
            Place::Vacant(place) => {
                let entry = place.insert(self.entry(member, grant, None));
                (entry.planned(member), None)
            }
            Place::Occupied(mut place) => {
                let old = place.get();
                if old.held.version() > grant.version {
                    return None;
                }
                let is_same = old.is_current(&grant.access.fingerprint);
                let entry = self.entry(member, grant, Some(old));
                let planned = entry.planned(member);
                let replaced = place.insert(entry).before.filter(|_| !is_same);
                (planned, replaced.map(|before| before.fingerprint))
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
        let same = old.filter(|old| old.is_current(&grant.access.fingerprint));
        let other = old.filter(|_| same.is_none());
        let flag = |of: Option<&Entry>, flag: fn(&Entry) -> &AtomicBool| {
            AtomicBool::new(of.is_some_and(|entry| flag(entry).load(Ordering::Relaxed)))
        };
        let before = match same {
            Some(same) => same.before.as_deref().map(Before::copy),
            None => other.and_then(|old| self.before(old, &grant)),
        };
        Entry {
            before: before.map(Box::new),
            renew_at: match other.and_then(|old| Some((old, old.held.open()?))) {
                Some((old, was)) if is_stuck(old, was, &grant) => grant.access.expires_at,
                _ => same
                    .and_then(|same| same.renew_at)
                    .or_else(|| grant.renew_at(self.ahead_share, spread(member))),
            },
            asked_at: AtomicI64::new(i64::MIN),
            is_proven: flag(same, |entry| &entry.is_proven),
            is_refused: flag(same, |entry| &entry.is_refused),
            used_at: AtomicI64::new(used_at.unwrap_or(kept_use).max(kept_use)),
            kept_use: AtomicI64::new(kept_use),
            held: Held::Open(Arc::new(grant)),
        }
    }

    /// What is kept of `old`'s token when `new` takes its place.
    fn before(&self, old: &Entry, new: &Grant) -> Option<Before> {
        let grant = old.held.open()?;
        let is_refused = old.is_refused.load(Ordering::Relaxed);
        Some(Before {
            token: Some(grant.access.clone()),
            fingerprint: grant.access.fingerprint.clone(),
            until: AtomicI64::new(self.served_until(grant, is_refused, new)),
            is_refused: AtomicBool::new(is_refused),
        })
    }

    /// Until when the token of `before` is served in place of that of `new`; 0: not at all. A new
    /// sign-in or an import counts at once: its scopes may be others.
    fn served_until(&self, before: &Grant, was_refused: bool, new: &Grant) -> i64 {
        let Some(issued) = new.access.issued_at else {
            return 0;
        };
        let is_renewal = new.renewals > before.renewals
            && new.state == State::Live
            && new.scopes == before.scopes;
        let is_good = before.is_usable(issued) && !was_refused;
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
        let before = entry.before.as_ref()?;
        if !entry.may_lag(&token.fingerprint, now, lag) || before.is_refused.load(Ordering::Relaxed)
        {
            return None;
        }
        let previous = before.token.clone()?;
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
        if !entry.is_proven.load(Ordering::Relaxed) && entry.is_current(&token.fingerprint) {
            entry.is_proven.store(true, Ordering::Relaxed);
            entry.is_refused.store(false, Ordering::Relaxed);
            if let Some(before) = &entry.before {
                before.until.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Notes that LinkedIn refused a token: it is never served or offered as the previous one.
    pub(super) fn refused(&self, member: &Member, token: &Fingerprint) {
        let Some(entry) = self.entries.get(member) else {
            return;
        };
        if let Some(before) = entry.before.as_ref().filter(|it| it.fingerprint == *token) {
            before.refuse();
        }
        if entry.is_current(token) {
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
            let has_token = entry.before.as_ref().is_some_and(|it| it.token.is_some());
            let current = entry.held.open().map(|grant| &grant.access.fingerprint);
            has_token && !current.is_some_and(|current| entry.may_lag(current, now, self.lag))
        };
        let over = self.entries.iter().filter(|entry| is_over(entry));
        let over: Vec<Member> = over.map(|entry| entry.key().clone()).collect();
        for member in over {
            if let Some(mut entry) = self.entries.get_mut(&member)
                && is_over(&entry)
                && let Some(before) = &mut entry.before
            {
                before.token = None;
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
                facts: entry.held.facts(),
                urn: entry.held.urn(),
                held: &entry.held,
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
            .find(|entry| entry.held.urn() == Some(urn) && is_other(entry.key()));
        found.map(|entry| entry.key().clone())
    }

    /// Drops the member's grant.
    pub(super) fn forget(&self, member: &Member) {
        self.entries.remove(member);
        self.notices.member(member);
    }

    /// Drops the member's grant if it is still this one.
    pub(super) fn forget_if(&self, member: &Member, grant: &Arc<Grant>) {
        let is_same = |_: &Member, entry: &Entry| {
            let open = entry.held.open();
            open.is_some_and(|open| Arc::ptr_eq(open, grant))
        };
        self.entries.remove_if(member, is_same);
        self.notices.member(member);
    }

    /// All grants without their tokens' texts, in order of application and name.
    pub(super) fn all(&self) -> Vec<(Member, Outline)> {
        let mut members = Vec::from_iter(self.members());
        members.sort();
        let all = members.into_iter();
        let outlined = all.filter_map(|member| {
            let outline = self.outline(&member)?;
            Some((member, outline))
        });
        outlined.collect()
    }
}

/// Whether the renewal of `old`, which held `was`, made when it was due, brought no later end worth having: `new` is
/// renewed at its end and no more before.
fn is_stuck(old: &Entry, was: &Grant, new: &Grant) -> bool {
    new.renewals > was.renewals && old.is_due(new.acquired_at) && new.is_barely_later_than(was)
}

/// A number from 0 to 1 that is always the same for a member.
fn spread(member: &Member) -> f64 {
    let mut hash = crc32fast::Hasher::new();
    // As the member is written, without the text.
    hash.update(member.name.as_ref().map_or("", Name::as_str).as_bytes());
    hash.update(b"/");
    hash.update(member.application.as_str().as_bytes());
    f64::from(hash.finalize()) / f64::from(u32::MAX)
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

    fn empty() -> (Cache, LiveSecrets) {
        let ring = KeyRing::random();
        let live = LiveSecrets::new(ring.clone());
        let sealing = Arc::new(Sealing::new(ring, live.clone()));
        let agenda = Arc::new(Agenda::new(1));
        (Cache::new(0.1, Duration::ZERO, agenda, sealing), live)
    }

    #[test]
    fn a_renewal_that_meets_a_disconnect_brings_nobody_back() {
        let (cache, live) = empty();
        let terms = Terms {
            now: 1_800_000_000,
            live: &live,
            is_issued_now: true,
            is_applications_own: false,
        };
        let answer = TokenAnswer::parse(br#"{"access_token":"a0"}"#).unwrap();
        let grant = answer.grant(None, &terms);
        let is_over = AtomicBool::new(false);

        let came_back = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    cache.publish_renewed(&ada(), grant.clone());
                }
            });
            let came_back = (0..20_000).filter(|_| {
                cache.publish(&ada(), grant.clone());
                cache.forget(&ada());
                thread::yield_now();
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
        let (cache, live) = empty();
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
