//! One flight's hands: does what the state machine says, and reports what came of it.
//!
//! **Invariant:** decides nothing about the order of things; that is `credentials::flight`'s.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use tracing::{error, info, warn};

use super::{
    flight::{self, Action, Ending, Event, Flight, Found, Held, Mine},
    grant::{Grant, State, Terms, TokenAnswer},
    investigating,
    oauth::Failure,
    refresher::{Goal, Landing, Told},
    shared::{Shared, Unsaved},
};
use crate::{
    exchange::Member,
    metrics::RenewalResult,
    store::{Lease, Pending, StoreError},
};

mod outcome;

/// Between two looks at another process's flight.
const LOOK: Duration = Duration::from_millis(250);
/// First and longest wait for a store that does not save.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(10);
/// What callers are told while another process renews, or a new token is not yet on disk.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// One flight under way.
pub(super) struct Run {
    /// Dropped before `told`: whoever sees the channel closed finds the map free.
    landing: Option<Landing>,
    shared: Arc<Shared>,
    member: Member,
    goal: Goal,
    told: watch::Sender<Option<Told>>,
    lease: Option<Lease>,
    /// When the lease was asked for: its time cannot have begun before.
    leased_at: Instant,
    /// The journal's entry before this flight's own; none once it is over.
    earlier: Option<Pending>,
    /// This flight's own entry, once it is in the journal.
    intent: Option<Pending>,
    /// What the row held when it was first read under the lease.
    base: Option<Base>,
    /// What the row held when it was last read.
    seen: Option<Grant>,
    /// LinkedIn's answer, and when it came.
    answer: Option<(TokenAnswer, i64)>,
    /// The new grant, made of the row that was read last and `answer`.
    fresh: Option<Grant>,
    failure: Option<Failure>,
    unsaved: Option<Unsaved>,
    rests: u32,
}

/// The row a renewal begins from; an application's own token may have none.
struct Base(Option<Grant>);

impl Base {
    fn version(&self) -> i64 {
        self.0.as_ref().map_or(0, |grant| grant.version)
    }
}

impl Run {
    pub(super) fn new(
        landing: Landing,
        member: Member,
        goal: Goal,
        told: watch::Sender<Option<Told>>,
    ) -> Self {
        Self {
            shared: landing.shared(),
            landing: Some(landing),
            member,
            goal,
            told,
            lease: None,
            leased_at: Instant::now(),
            earlier: None,
            intent: None,
            base: None,
            seen: None,
            answer: None,
            fresh: None,
            failure: None,
            unsaved: None,
            rests: 0,
        }
    }

    /// Flies to the end.
    pub(super) async fn fly(mut self) {
        let permits = Arc::clone(&self.shared.flights.permits);
        // The semaphore is never closed.
        let mut permit = permits.acquire_owned().await.ok();
        // Those who waited for a permit while the endpoint failed need not find out by themselves.
        if let Some(refused) = self.shared.cooling.rests(&self.member) {
            self.landing = None;
            self.told.send_replace(Some(Err(refused)));
            return;
        }
        let mut flight = Flight::new(looks(self.shared.settings.lease));
        let mut event = Event::Begun;
        loop {
            event = match flight.next(event) {
                Action::End(ending) => return self.end(ending).await,
                action => self.perform(action, &mut permit).await,
            };
        }
    }

    async fn perform(
        &mut self,
        action: Action,
        permit: &mut Option<OwnedSemaphorePermit>,
    ) -> Event {
        match action {
            Action::TakeLease => self.take_lease().await,
            Action::WatchOther => {
                tokio::time::sleep(LOOK).await;
                self.read().await
            }
            Action::ReadRow => self.read_as_base().await,
            Action::Report => self.report(),
            Action::KeepIntent => self.keep_intent().await,
            Action::Post => self.post().await,
            Action::KeepAnswer => self.keep_answer().await,
            Action::Save => self.save().await,
            Action::PublishUnsaved => {
                // Another member's renewal need not wait for this one's disk.
                *permit = None;
                self.publish_unsaved()
            }
            Action::AwaitStore => self.await_store().await,
            Action::Publish => self.publish(),
            Action::Adopt => self.adopt(),
            Action::SaveEnd => self.save_end().await,
            Action::PublishEnd => self.publish_end(),
            Action::DropIntent => self.drop_intent().await,
            Action::End(_) => Event::Done,
        }
    }

    async fn take_lease(&mut self) -> Event {
        let shared = &self.shared;
        let lasting = shared.settings.lease;
        self.leased_at = Instant::now();
        let taken = shared
            .store
            .take_lease(&self.member, &shared.owner, lasting)
            .await;
        match taken {
            Ok(Some(lease)) => {
                self.lease = Some(lease);
                Event::LeaseTaken
            }
            Ok(None) => Event::LeaseBusy,
            Err(error) => self.written(Err(error)),
        }
    }

    /// Reads the row; before the intent, also what an earlier flight left in the journal.
    async fn read_as_base(&mut self) -> Event {
        let is_first = self.base.is_none();
        if is_first {
            match self.shared.store.pending(&self.member).await {
                Ok(pending) => self.earlier = pending,
                Err(error) => return self.written(Err(error)),
            }
        }
        if let Err(failed) = self.read_row().await {
            return failed;
        }
        if is_first {
            self.base = Some(Base(self.seen.clone()));
            return Event::Read(self.judge_first());
        }
        Event::Read(self.judge(Found::Nothing))
    }

    async fn read(&mut self) -> Event {
        match self.read_row().await {
            Ok(()) => Event::Read(self.judge(Found::Nothing)),
            Err(failed) => failed,
        }
    }

    async fn read_row(&mut self) -> Result<(), Event> {
        let row = self.shared.store.grant(&self.member).await;
        let row = row.map_err(|error| self.written(Err(error)))?;
        let opened = row.map(|row| self.shared.sealing.grant(&self.member, &row));
        self.seen = opened.transpose().map_err(|error| {
            error!(member = %self.member, %error, "a grant's row does not open");
            Event::StoreFailed
        })?;
        Ok(())
    }

    /// Judges the row this flight begins from, and the journal beside it.
    fn judge_first(&mut self) -> flight::Row {
        let base = self.base.as_ref().map_or(0, Base::version);
        let told = self.earlier.as_ref();
        let told = told.map(|entry| (entry.base, entry.number, entry.answer.is_some()));
        let is_own = self.member.name.is_none();
        let mut found = flight::found(told, base, is_own);
        if found == Found::Answered && !self.take_answer(base) {
            let unread = told.map(|(base, number, _)| (base, number, false));
            found = flight::found(unread, base, is_own);
        }
        if found == Found::Over {
            self.earlier = None;
        }
        self.judge(found)
    }

    /// Takes over the answer that an earlier flight left in the journal.
    fn take_answer(&mut self, base: i64) -> bool {
        let sealed = self
            .earlier
            .as_ref()
            .and_then(|entry| entry.answer.as_ref());
        let Some(sealed) = sealed else { return false };
        match self.shared.sealing.open_answer(&self.member, base, sealed) {
            Ok(answer) => {
                info!(member = %self.member, "a renewal that was cut short is completed");
                self.answer = Some(answer);
                true
            }
            Err(error) => {
                error!(member = %self.member, %error, "a journalled token answer does not open");
                false
            }
        }
    }

    fn judge(&self, journal: Found) -> flight::Row {
        let now = self.shared.now();
        let base = self.base.as_ref();
        let held = self.seen.as_ref().map(|grant| Held {
            version: grant.version,
            is_replacement: grant.is_usable(now)
                && self.goal.replaced.as_ref() != Some(&grant.access.fingerprint),
            is_live: grant.state == State::Live,
            is_renewable: grant.access.is_renewable,
            is_older: self.is_older(grant),
        });
        let mine = Mine {
            is_applications_own: self.member.name.is_none(),
            base: base.map(Base::version),
            has_answer: self.answer.is_some() && journal != Found::Answered,
        };
        flight::judge(held.as_ref(), mine, journal)
    }

    /// Whether `row` still holds what this flight's answer replaces.
    fn is_older(&self, row: &Grant) -> bool {
        let base = self.base.as_ref().and_then(|base| base.0.as_ref());
        let (Some(base), Some((answer, _))) = (base, &self.answer) else {
            return false;
        };
        let kept = base.refresh.as_ref();
        let fresh = answer.refresh_token.as_ref().map(|token| &token.0);
        flight::is_older(
            (row.refresh.as_ref(), &row.access.fingerprint),
            (kept, &base.access.fingerprint),
            fresh.or(kept),
        )
    }

    fn report(&self) -> Event {
        if let Some(earlier) = &self.earlier {
            let then = "nobody knows the answer; the refresh token is tried once more";
            self.shared.report_unconfirmed(&self.member, earlier, then);
        }
        Event::Done
    }

    async fn keep_intent(&mut self) -> Event {
        let (Some(lease), Some(base)) = (&self.lease, &self.base) else {
            return Event::Lost;
        };
        let pending = Pending {
            number: self.earlier.as_ref().map_or(0, |entry| entry.number) + 1,
            base: base.version(),
            begun_at: self.shared.now(),
            answer: None,
        };
        let store = &self.shared.store;
        let kept = store.begin(&self.member, lease, pending.clone()).await;
        self.intent = Some(pending);
        self.written(kept)
    }

    /// Leaves the journal as it was before the intent: what an earlier flight left open is still so.
    async fn drop_intent(&mut self) -> Event {
        let Some(lease) = &self.lease else {
            return Event::Lost;
        };
        let (store, member) = (&self.shared.store, &self.member);
        let dropped = match self.earlier.take() {
            Some(earlier) => store.begin(member, lease, earlier).await,
            None => store.clear(member, lease).await,
        };
        self.written(dropped)
    }

    async fn post(&mut self) -> Event {
        let answered = match self.outlast_post().await {
            Ok(()) => self.ask_linkedin().await,
            Err(failure) => Err(failure),
        };
        match answered {
            Ok(answer) => {
                self.answer = Some((answer, self.shared.now()));
                Event::Answered
            }
            Err(failure) => {
                let event = match &failure {
                    Failure::Dead => Event::Dead,
                    Failure::Transient { is_open: true, .. } => Event::Open,
                    Failure::Misconfigured { .. }
                    | Failure::Throttled { .. }
                    | Failure::Transient { .. } => Event::Unspent,
                };
                if let (Event::Open, Some(intent)) = (event, &self.intent) {
                    let then =
                        "LinkedIn's answer did not come; the refresh token is tried once more";
                    self.shared.report_unconfirmed(&self.member, intent, then);
                }
                self.failure = Some(failure);
                event
            }
        }
    }

    /// Lets the lease last longer where a slow store has used it up: whoever takes it when it is over
    /// must not meet our call to LinkedIn.
    async fn outlast_post(&mut self) -> Result<(), Failure> {
        let (lasting, post_time) = (self.shared.settings.lease, self.shared.settings.post_time);
        if self.leased_at.elapsed() <= lasting.saturating_sub(post_time) / 2 {
            return Ok(());
        }
        let unsent = |reason: String| Failure::Transient {
            reason,
            retry_after: None,
            is_open: false,
        };
        let lease = self.lease.as_ref();
        let lease = lease.ok_or_else(|| unsent("there is no lease".to_owned()))?;
        let from = Instant::now();
        let renewed = self
            .shared
            .store
            .renew_lease(&self.member, lease, lasting)
            .await;
        renewed.map_err(|error| unsent(format!("the store was too slow: {error}")))?;
        self.leased_at = from;
        Ok(())
    }

    async fn ask_linkedin(&self) -> Result<TokenAnswer, Failure> {
        let shared = &self.shared;
        let base = self.base.as_ref().and_then(|base| base.0.as_ref());
        let refresh = base.and_then(|grant| grant.refresh.as_ref());
        match shared.applications.get(&self.member.application) {
            None => Err(Failure::Misconfigured {
                reason: format!("application {} is not configured", self.member.application),
            }),
            Some(known) if self.member.name.is_none() => {
                own_failure(shared.endpoint.client_credentials(&known.application).await)
            }
            Some(known) => match refresh {
                Some(refresh) => shared.endpoint.refresh(&known.application, refresh).await,
                None => Err(Failure::Dead),
            },
        }
    }

    /// The grant that the answer makes of the row that was read last.
    fn renewed_grant(&self) -> Option<Grant> {
        let (answer, came_at) = self.answer.as_ref()?;
        let terms = Terms {
            now: *came_at,
            live: &self.shared.live,
            is_issued_now: true,
            is_applications_own: self.member.name.is_none(),
        };
        let mut fresh = answer.grant(self.seen.as_ref(), &terms);
        fresh.renewals += 1;
        fresh.renewed_at = Some(terms.now);
        fresh.used_at = self.shared.cache.used_at(&self.member);
        Some(fresh)
    }

    async fn keep_answer(&mut self) -> Event {
        let (Some(lease), Some(base), Some((answer, came_at))) =
            (&self.lease, &self.base, &self.answer)
        else {
            return Event::StoreFailed;
        };
        let sealing = &self.shared.sealing;
        let sealed = sealing.seal_answer(&self.member, base.version(), answer, *came_at);
        let kept = match sealed {
            Ok(sealed) => {
                let store = &self.shared.store;
                store.answered(&self.member, lease, sealed).await
            }
            // The data key is gone: the member was forgotten while LinkedIn answered.
            Err(_) => Err(StoreError::Moved),
        };
        self.written(kept)
    }

    async fn save(&mut self) -> Event {
        let Some(fresh) = self.renewed_grant() else {
            return Event::Lost;
        };
        let saved = self.save_grant(&fresh).await;
        self.fresh = Some(fresh);
        self.written(saved)
    }

    async fn save_grant(&self, grant: &Grant) -> Result<(), StoreError> {
        let row = self.shared.sealing.row(&self.member, grant);
        let row = row.map_err(|_| StoreError::Moved)?;
        let lease = self.lease.as_ref();
        self.shared.store.save(&self.member, row, lease).await
    }

    async fn save_end(&mut self) -> Event {
        let Some(seen) = &self.seen else {
            return Event::Lost;
        };
        let state = State::of_refusal(self.goal.is_refused, self.was_cut_short());
        let ended = seen.ended(state, self.shared.now());
        let saved = self.save_grant(&ended).await;
        self.fresh = Some(ended);
        self.written(saved)
    }

    /// Whether an earlier use of this refresh token has an answer that nobody knows.
    fn was_cut_short(&self) -> bool {
        self.intent.as_ref().is_some_and(|intent| intent.number > 1)
    }

    fn publish(&mut self) -> Event {
        if self.unsaved.take().is_some() {
            info!(member = %self.member, "the renewed grant is saved at last");
        } else {
            self.shared.metrics.renewal(RenewalResult::Renewed);
        }
        self.shared.unconfirmed.remove(&self.member);
        self.serve_fresh();
        self.forget_spent();
        self.tell_early();
        Event::Done
    }

    /// A refresh token that was rotated away and whose successor is on disk is dead for good.
    fn forget_spent(&self) {
        let base = self.base.as_ref().and_then(|base| base.0.as_ref());
        let spent = base.and_then(|grant| grant.refresh.as_ref());
        let kept = self.fresh.as_ref().and_then(|grant| grant.refresh.as_ref());
        if let Some(spent) = spent
            && kept != Some(spent)
        {
            let live = &self.shared.live;
            live.remove(&live.fingerprint(spent.expose().as_bytes()));
        }
    }

    fn publish_unsaved(&mut self) -> Event {
        error!(
            member = %self.member,
            "the renewed grant could not be saved; it is served from memory until the store works"
        );
        self.shared.metrics.renewal(RenewalResult::Unsaved);
        self.unsaved = Some(Unsaved::new(&self.shared));
        self.shared.unconfirmed.remove(&self.member);
        self.serve_fresh();
        self.tell_early();
        // The store may never work again, so nobody waits for it.
        if self.told.borrow().is_none() {
            let told = self.outcome(Ending::Renewed);
            self.told.send_replace(Some(told));
        }
        Event::Done
    }

    fn publish_end(&mut self) -> Event {
        let member = &self.member;
        match self.was_cut_short() {
            false => {
                self.shared.unconfirmed.remove(member);
                warn!(%member, "LinkedIn refused the refresh token: the member must sign in again");
            }
            // It stays in the member's summary until the member signs in again.
            true => warn!(
                %member,
                "unconfirmed renewal: the answer is lost, LinkedIn refused the refresh token: the \
                 member must sign in again"
            ),
        }
        self.shared.metrics.renewal(RenewalResult::SignInNeeded);
        self.serve_fresh();
        if let Some(ended) = &self.fresh {
            investigating::explain_end(&self.shared, &self.member, ended);
        }
        Event::Done
    }

    fn serve_fresh(&self) {
        if let Some(fresh) = &self.fresh {
            let cache = &self.shared.cache;
            if let Some(old) = cache.publish_renewed(&self.member, fresh.clone()) {
                self.shared.live.remove(&old);
            }
            if self.goal.is_refused
                && let Some(refused) = &self.goal.replaced
            {
                cache.refused(&self.member, refused);
            }
        }
    }

    fn adopt(&mut self) -> Event {
        if self.unsaved.take().is_some() {
            info!(member = %self.member, "another's row took the place of the unsaved grant");
        }
        match self.seen.take() {
            Some(grant) => self.shared.serve(&self.member, grant),
            None => self.shared.cache.forget(&self.member),
        }
        Event::Done
    }

    async fn await_store(&mut self) -> Event {
        let rest = FIRST_REST.saturating_mul(2_u32.saturating_pow(self.rests.min(20)));
        self.rests = self.rests.saturating_add(1);
        tokio::time::sleep(rest.min(LONGEST_REST)).await;
        Event::Done
    }

    async fn end(mut self, ending: Ending) {
        if let Some(lease) = &self.lease {
            let released = self.shared.store.release_lease(&self.member, lease).await;
            // Not given back, it ends by itself.
            if let Err(error) = released {
                warn!(member = %self.member, %error, "a lease was not released");
            }
        }
        let untold = self.told.borrow().is_none();
        let told = untold.then(|| self.outcome(ending));
        // Out of the map first: whoever is told of a failure and asks again gets a flight of his own.
        self.landing = None;
        if told.is_some() {
            self.told.send_replace(told);
        }
    }

    /// Tells those who wait of the new token, while the lease is still to be given back.
    fn tell_early(&self) {
        let untold = self.told.borrow().is_none();
        if let (true, Ok(token)) = (untold, self.fresh_token()) {
            self.shared.cooling.forgive(&self.member);
            // Those who waited may all have left.
            self.told.send_replace(Some(Ok(token)));
        }
    }

    fn written(&self, result: Result<(), StoreError>) -> Event {
        match result {
            Ok(()) => {
                self.shared.health.note(true);
                Event::Kept
            }
            Err(StoreError::Moved | StoreError::Fenced) => Event::Lost,
            Err(error) => {
                if self.shared.health.note(false) {
                    error!(%error, "the store does not work");
                }
                Event::StoreFailed
            }
        }
    }
}

/// Looks at another's flight that outlast its lease.
fn looks(lease: Duration) -> u32 {
    let looks = lease.as_millis() / LOOK.as_millis() + 40;
    u32::try_from(looks).unwrap_or(u32::MAX)
}

/// An application has no refresh token that could be dead: what looks so is its own fault.
fn own_failure(answered: Result<TokenAnswer, Failure>) -> Result<TokenAnswer, Failure> {
    answered.map_err(|failure| match failure {
        Failure::Dead => Failure::Misconfigured {
            reason: "LinkedIn refused the application's own token".to_owned(),
        },
        other => other,
    })
}
