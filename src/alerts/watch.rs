//! Looks where credentials point, at everything once an hour, and at LinkedIn's failures.
//!
//! **Invariant:** what is told is read off the state at the time of telling; a notice only says where to
//! look, so one that is lost, late or said twice does no harm.
//! **Neighbours:** `alerts::fact` says what is so; `alerts::teller` what of it is new.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError, error::TryRecvError},
        watch,
    },
    task::{spawn_blocking, yield_now},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep},
};
use tracing::{info, warn};

use super::{
    Event, Fate, Seen, SeenOfLinkedIn, Sources,
    fact::{self, Details, Fact},
    linkedin::{Judge, Turn},
    shared::Shared,
    teller::Teller,
};
use crate::{
    credentials::{GrantSummary, Notice, Page, Wanted},
    exchange::{Member, Name},
    store::StoreError,
};

/// Between two looks at everything: ends that come with time alone, and notices that waited too long.
const EVERYTHING: Duration = Duration::from_secs(3600);
/// Facts that are told in one step.
const STEP: usize = 500;
/// Grants that are looked at in one go.
const PAGE: usize = 1000;
/// Before a store that failed is asked again.
const STORE_REST: Duration = Duration::from_secs(1);

/// Watches until told to end; then once more at what changed last.
pub(super) async fn run(shared: Arc<Shared>, sources: Sources, mut end: watch::Receiver<bool>) {
    // Before the first look: what changes meanwhile is looked at after it.
    let mut notices = shared.credentials.notices();
    let started = tokio::select! {
        started = start(&shared, &sources) => started,
        _ = end.changed() => return,
    };
    let mut watch = started;
    let mut beat = every(shared.settings.settle);
    let mut all = every(EVERYTHING);
    let mut linkedin = every(shared.settings.linkedin.look());
    loop {
        tokio::select! {
            notice = notices.recv() => watch.note(notice),
            _ = beat.tick() => watch.look().await,
            _ = all.tick() => {
                watch.is_all = true;
                watch.sweep().await;
            }
            _ = linkedin.tick() => watch.look_at_linkedin().await,
            _ = end.changed() => break,
        }
    }
    watch.drain(&mut notices);
    watch.is_last = true;
    watch.look().await;
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Reads what was told before, as often as it takes.
async fn start(shared: &Arc<Shared>, sources: &Sources) -> Watch {
    loop {
        match Teller::start(Arc::clone(shared), sources.connect_link.clone()).await {
            Ok(teller) => {
                let was_failing = teller.told.contains_key(Event::LinkedInFailing.as_str());
                shared.note_waiting().await;
                return Watch {
                    judge: Judge::new(shared.settings.linkedin, was_failing),
                    seen_of_linkedin: sources.linkedin.clone(),
                    shared: Arc::clone(shared),
                    teller,
                    members: BTreeSet::new(),
                    applications: HashSet::new(),
                    is_all: true,
                    unexplained: HashMap::new(),
                    is_last: false,
                    is_store_failing: false,
                };
            }
            Err(error) => {
                warn!(%error, "what was told before cannot be read");
                sleep(STORE_REST).await;
            }
        }
    }
}

struct Watch {
    shared: Arc<Shared>,
    teller: Teller,
    judge: Judge,
    seen_of_linkedin: Option<SeenOfLinkedIn>,
    /// Where to look.
    members: BTreeSet<Member>,
    applications: HashSet<Name>,
    is_all: bool,
    /// Whose end LinkedIn has not explained yet, and since when that is waited for.
    unexplained: HashMap<Member, Instant>,
    /// What is not told now is told by the next start.
    is_last: bool,
    is_store_failing: bool,
}

/// What one step tells.
#[derive(Default)]
struct Batch {
    facts: Vec<Fact>,
    over: Vec<String>,
}

impl Watch {
    fn note(&mut self, notice: Result<Notice, RecvError>) {
        match notice {
            Ok(Notice::Member(member)) => drop(self.members.insert(member)),
            Ok(Notice::Application(name)) => drop(self.applications.insert(name)),
            // Closed cannot be while the credentials live, which `shared` sees to.
            Err(RecvError::Lagged(_) | RecvError::Closed) => self.is_all = true,
        }
    }

    fn drain(&mut self, notices: &mut Receiver<Notice>) {
        loop {
            match notices.try_recv() {
                Ok(notice) => self.note(Ok(notice)),
                Err(TryRecvError::Lagged(_)) => self.is_all = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Looks where notices pointed, or everywhere. What cannot be told now is looked at again.
    async fn look(&mut self) {
        let members = std::mem::take(&mut self.members);
        let applications = std::mem::take(&mut self.applications);
        if !self.is_all && members.is_empty() && applications.is_empty() {
            return;
        }
        let looked = match std::mem::take(&mut self.is_all) {
            true => self.look_at_all(applications).await,
            false => self.look_at(&members, &applications).await,
        };
        match looked {
            Ok(()) if self.is_store_failing => {
                self.is_store_failing = false;
                info!("the outbox works again");
            }
            Ok(()) => {}
            Err(error) => {
                self.is_all = true;
                if !std::mem::replace(&mut self.is_store_failing, true) {
                    warn!(%error, "nothing can be told: the outbox does not work");
                }
            }
        }
    }

    async fn look_at(
        &mut self,
        members: &BTreeSet<Member>,
        applications: &HashSet<Name>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for member in members {
            let grant = self.shared.credentials.show(member).ok();
            self.judge_member(member, grant.as_ref(), &mut batch);
            self.tell_if_full(&mut batch).await?;
        }
        batch.facts.extend(self.of_applications(applications));
        self.tell(batch).await
    }

    async fn look_at_all(&mut self, mut applications: HashSet<Name>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let (mut known, mut after) = (HashSet::new(), None);
        loop {
            let page = self.page(after).await?;
            for (member, grant) in page.grants {
                applications.insert(member.application.clone());
                if member.name.is_some() {
                    self.judge_member(&member, Some(&grant), &mut batch);
                    known.insert(member);
                    self.tell_if_full(&mut batch).await?;
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
            yield_now().await;
        }
        batch.over.extend(self.of_unknown_members(&known));
        batch.facts.extend(self.of_applications(&applications));
        self.tell(batch).await
    }

    /// The grants after that one; looking for them holds up no thread of the house.
    async fn page(&self, after: Option<Member>) -> Result<Page, StoreError> {
        let credentials = self.shared.credentials.clone();
        let look = move || credentials.page(&Wanted::default(), after.as_ref(), PAGE);
        let page = spawn_blocking(look).await;
        page.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    fn judge_member(&mut self, member: &Member, grant: Option<&GrantSummary>, batch: &mut Batch) {
        let (shared, told) = (Arc::clone(&self.shared), &self.teller.told);
        let failing = shared.credentials.failing(member);
        let enough = shared.settings.failing_renewals;
        let mut facts = grant.map_or_else(Vec::new, |grant| {
            fact::of_grant(grant, failing.as_ref(), enough, shared.clock.now())
        });
        for event in [
            Event::SignInNeeded,
            Event::RenewalFailing,
            Event::RefreshTokenEnding,
        ] {
            let stem = fact::stem(event, member);
            let keys = told.range(stem.clone()..).map(|(key, _)| key);
            let keys = keys.take_while(|key| key.starts_with(&stem));
            let is_over = |key: &&String| fact::is_over(key, grant, &facts);
            batch.over.extend(keys.filter(is_over).cloned());
        }
        if let Some(renewed_at) = grant.and_then(|grant| grant.last_renewal) {
            self.judge_renewed(&member.application, renewed_at, batch);
        }
        if facts.iter().all(|fact| fact.event != Event::SignInNeeded) {
            self.unexplained.remove(member);
        }
        facts.retain(|fact| !self.waits_for_verdict(fact));
        batch.facts.extend(facts);
    }

    /// Whether this is an end that LinkedIn may still explain; it is looked at again then.
    fn waits_for_verdict(&mut self, fact: &Fact) -> bool {
        let Details::Member(about) = &fact.details else {
            return false;
        };
        let is_open = fact.event == Event::SignInNeeded && about.verdict.is_none();
        let is_new = |key: &String| !self.teller.told.contains_key(key);
        if !is_open || self.is_last || !fact.key.as_ref().is_some_and(is_new) {
            self.unexplained.remove(&about.member);
            return false;
        }
        let since = self.unexplained.entry(about.member.clone());
        let since = *since.or_insert_with(Instant::now);
        let waits = since.elapsed() < self.shared.settings.verdict_wait;
        if waits {
            self.members.insert(about.member.clone());
        }
        waits
    }

    /// A renewal that worked shows that what was told of the application is over.
    fn judge_renewed(&self, application: &Name, renewed_at: i64, batch: &mut Batch) {
        let credentials = &self.shared.credentials;
        for event in [Event::Misconfigured, Event::LinkedInFailing] {
            let key = fact::application_key(event, application);
            let told = self.teller.told.get(&key);
            if told.is_some_and(|told| renewed_at >= *told)
                && !batch.over.contains(&key)
                && credentials.application_failing(application).is_none()
            {
                batch.over.push(key);
                if event == Event::LinkedInFailing {
                    batch.facts.push(fact::works_again(application));
                }
            }
        }
    }

    /// What was told of members who were disconnected since.
    fn of_unknown_members(&self, known: &HashSet<Member>) -> Vec<String> {
        let is_unknown = |key: &&String| {
            let mut parts = key.split('/');
            let (Some(_), Some(application), Some(name)) =
                (parts.next(), parts.next(), parts.next())
            else {
                return false;
            };
            let (Ok(application), Ok(name)) = (application.parse(), name.parse()) else {
                return true;
            };
            let name = Some(name);
            !known.contains(&Member { application, name })
        };
        self.teller
            .told
            .keys()
            .filter(is_unknown)
            .cloned()
            .collect()
    }

    fn of_applications(&self, applications: &HashSet<Name>) -> Vec<Fact> {
        let shared = &self.shared;
        let fact = |name: &Name| {
            let failing = shared.credentials.application_failing(name)?;
            fact::of_application(name, &failing, shared.settings.failing_renewals)
        };
        applications.iter().filter_map(fact).collect()
    }

    async fn tell_if_full(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        match batch.facts.len() + batch.over.len() >= STEP {
            true => self.tell(std::mem::take(batch)).await,
            false => Ok(()),
        }
    }

    async fn tell(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.teller.tell(batch.facts, batch.over).await
    }

    async fn look_at_linkedin(&mut self) {
        let Some(seen) = &self.seen_of_linkedin else {
            return;
        };
        let seen: Seen = seen(self.shared.settings.linkedin.over);
        let Some(turn) = self.judge.look(seen, Instant::now()) else {
            return;
        };
        let key = Event::LinkedInFailing.as_str().to_owned();
        let fact = |key, trouble| Fact {
            event: Event::LinkedInFailing,
            key,
            application: None,
            subject: "linkedin".to_owned(),
            details: Details::LinkedIn(trouble),
        };
        let (batch, is_failing) = match turn {
            Turn::Failing(trouble) => {
                let facts = vec![fact(Some(key), trouble)];
                (
                    Batch {
                        facts,
                        over: Vec::new(),
                    },
                    true,
                )
            }
            Turn::Over(trouble) => {
                let facts = vec![fact(None, trouble)];
                (
                    Batch {
                        facts,
                        over: vec![key],
                    },
                    false,
                )
            }
        };
        // Otherwise the next look says the same again.
        if self.tell(batch).await.is_ok() {
            self.judge.is_failing = is_failing;
        }
    }

    /// Drops what nobody has taken for too long, webhooks that are off or configured no more included.
    async fn sweep(&self) {
        let shared = &self.shared;
        let limit = i64::try_from(shared.settings.give_up_after.as_secs()).unwrap_or(i64::MAX);
        let before = shared.clock.seconds().saturating_sub(limit);
        match shared.store.give_up(before).await {
            Ok(lost) => shared.lost(&lost, Fate::GivenUp),
            Err(error) => warn!(%error, "old notices stay in the outbox"),
        }
        shared.note_waiting().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::alerts::tests;

    #[tokio::test]
    async fn others_have_their_turn_while_everything_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let shared = tests::shared(folder.path()).await;
        let many = 10 * PAGE + 1;
        shared
            .credentials
            .crowd((0..many).map(|n| (format!("m{n:05}"), None)));
        let mut watch = start(&shared, &Sources::default()).await;
        let turns = AtomicUsize::new(0);
        let others = async {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        };

        tokio::select! {
            biased;
            looked = watch.look_at_all(HashSet::new()) => looked.unwrap(),
            () = others => {}
        }

        let turns = turns.into_inner();
        assert!(turns >= 10, "{turns} turns, and there are eleven pages");
    }
}
