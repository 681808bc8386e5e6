//! One flight's hands: does what the state machine says, and reports what came of it.
//!
//! **Invariant:** decides nothing about the order of things; that is `credentials::flight`'s.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, watch};
use tracing::{error, info, warn};

use super::{
    flight::{Action, Ending, Event, Flight, Row as Seen},
    grant::{Grant, State, Terms, TokenAnswer},
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
    /// What the row held when it was first read under the lease.
    base: Option<Base>,
    /// What the row held when it was last read.
    seen: Option<Grant>,
    answer: Option<(TokenAnswer, i64)>,
    /// The new grant, made of `base` and `answer`.
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
        let mut flight = Flight::new();
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
            Action::DropIntent => {
                let dropped = self.shared.store.clear(&self.member).await;
                self.written(dropped)
            }
            Action::End(_) => Event::Done,
        }
    }

    async fn take_lease(&mut self) -> Event {
        let shared = &self.shared;
        let lasting = shared.settings.lease;
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

    async fn read_as_base(&mut self) -> Event {
        let event = self.read().await;
        if self.base.is_none() && matches!(event, Event::Read(_)) {
            self.base = Some(Base(self.seen.clone()));
        }
        event
    }

    async fn read(&mut self) -> Event {
        let row = match self.shared.store.grant(&self.member).await {
            Ok(row) => row,
            Err(error) => return self.written(Err(error)),
        };
        self.seen = match row.map(|row| self.shared.sealing.grant(&self.member, &row)) {
            None => None,
            Some(Ok(grant)) => Some(grant),
            Some(Err(error)) => {
                error!(member = %self.member, %error, "a grant's row does not open");
                return Event::StoreFailed;
            }
        };
        Event::Read(self.judge())
    }

    fn judge(&self) -> Seen {
        let now = self.shared.now();
        let is_base = |version| {
            let base = self.base.as_ref();
            base.is_none_or(|base| base.version() == version)
        };
        match &self.seen {
            None if self.member.name.is_none() && is_base(0) => Seen::Ready,
            None => Seen::Gone,
            Some(grant)
                if grant.is_usable(now)
                    && self.goal.replaced.as_ref() != Some(&grant.access.fingerprint) =>
            {
                Seen::Renewed
            }
            Some(grant) if grant.state != State::Live => Seen::Ended,
            Some(grant) if !grant.access.is_renewable => Seen::Final,
            Some(grant) if is_base(grant.version) => Seen::Ready,
            Some(_) => Seen::Changed,
        }
    }

    async fn keep_intent(&mut self) -> Event {
        let (Some(lease), Some(base)) = (&self.lease, &self.base) else {
            return Event::Lost;
        };
        let pending = Pending {
            number: base.0.as_ref().map_or(0, |grant| grant.renewals) + 1,
            base: base.version(),
            begun_at: self.shared.now(),
            answer: None,
        };
        let kept = self.shared.store.begin(&self.member, lease, pending).await;
        self.written(kept)
    }

    async fn post(&mut self) -> Event {
        let shared = Arc::clone(&self.shared);
        let base = self.base.as_ref().and_then(|base| base.0.as_ref());
        let refresh = base.and_then(|grant| grant.refresh.as_ref());
        let answered = match shared.applications.get(&self.member.application) {
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
        };
        match answered {
            Ok(answer) => {
                let terms = Terms {
                    now: shared.now(),
                    live: &shared.live,
                    is_issued_now: true,
                    is_applications_own: self.member.name.is_none(),
                };
                let mut fresh = answer.grant(base, &terms);
                fresh.renewals += 1;
                fresh.renewed_at = Some(terms.now);
                fresh.used_at = shared.cache.used_at(&self.member);
                self.fresh = Some(fresh);
                self.answer = Some((answer, terms.now));
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
                self.failure = Some(failure);
                event
            }
        }
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
        let Some(fresh) = &self.fresh else {
            return Event::Lost;
        };
        let saved = self.save_grant(fresh).await;
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
        let state = match self.goal.is_refused {
            true => State::AccessRefused,
            false => State::RefreshRefused,
        };
        let ended = seen.ended(state, self.shared.now());
        let saved = self.save_grant(&ended).await;
        self.fresh = Some(ended);
        self.written(saved)
    }

    fn publish(&mut self) -> Event {
        if self.unsaved.take().is_some() {
            info!(member = %self.member, "the renewed grant is saved at last");
        } else {
            self.shared.metrics.renewal(RenewalResult::Renewed);
        }
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
        self.serve_fresh();
        self.tell_early();
        Event::Done
    }

    fn publish_end(&mut self) -> Event {
        warn!(member = %self.member, "LinkedIn refused the refresh token: the member must sign in again");
        self.shared.metrics.renewal(RenewalResult::SignInNeeded);
        self.serve_fresh();
        Event::Done
    }

    fn serve_fresh(&self) {
        self.shared.unconfirmed.remove(&self.member);
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
        self.unsaved = None;
        match self.seen.take() {
            Some(grant) => drop(self.shared.cache.publish(&self.member, grant)),
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

/// An application has no refresh token that could be dead: what looks so is its own fault.
fn own_failure(answered: Result<TokenAnswer, Failure>) -> Result<TokenAnswer, Failure> {
    answered.map_err(|failure| match failure {
        Failure::Dead => Failure::Misconfigured {
            reason: "LinkedIn refused the application's own token".to_owned(),
        },
        other => other,
    })
}
