//! Asks LinkedIn why a token does not work, and keeps what it said for a minute.
//!
//! **Invariant:** at most one introspection a member and minute, at most four at once, two seconds
//! each, on the house's runtime: whoever asks waits for the one under way.
//! **Neighbours:** `oauth::introspection` speaks to LinkedIn, `verdict` says what it means.

use std::{sync::Arc, time::Duration};

use dashmap::{DashMap, mapref::entry::Entry};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tracing::{info, warn};

use super::{
    Credentials, Introspection, ManageError, Token, Verdict,
    grant::{Grant, State},
    importing,
    oauth::Introspected,
    recovery,
    refresher::UnderWay,
    shared::Shared,
};
use crate::{exchange::Member, keyring::Fingerprint, store::StoreError};

/// How long an answer is good for.
const KEPT: Duration = Duration::from_secs(60);
/// How long LinkedIn is waited for.
const TIME: Duration = Duration::from_secs(2);
/// Introspections at once, of all members: where LinkedIn fails everybody, few are asked about.
const AT_ONCE: usize = 4;
/// Beyond this many kept answers those that are over are dropped.
const MANY: usize = 1024;

/// What was asked lately.
#[derive(Debug)]
pub(super) struct Asked {
    lately: DashMap<Member, Asking>,
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct Asking {
    at: Instant,
    about: Fingerprint,
    told: watch::Receiver<Option<Introspected>>,
}

impl Asked {
    pub(super) fn new() -> Self {
        Self {
            lately: DashMap::new(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Drops what was said of a member.
    pub(super) fn forget(&self, member: &Member) {
        self.lately.remove(member);
    }
}

impl Credentials {
    /// Says why LinkedIn answered `status` (401 that outlived a renewal, 403, 500) to a call with
    /// `token`. Waits two seconds at most; asks LinkedIn at most once a minute for a member, and only
    /// where the code does not say it already.
    pub async fn investigate(
        &self,
        member: &Member,
        token: &Token,
        status: u16,
        service_error_code: Option<u32>,
    ) -> Verdict {
        if let Some(plain) = self.plain_verdict(member, status, service_error_code) {
            return plain;
        }
        let shared = &self.0;
        let told = ask(shared, member, token).await;
        Verdict::of_call(&told, status, &shared.context(member))
    }

    /// Says why the member's grant ended, as far as LinkedIn tells; waits two seconds at most.
    pub async fn explain(&self, member: &Member) -> Option<Verdict> {
        let grant = self.0.cache.grant(member)?;
        if grant.state == State::Live {
            return None;
        }
        let verdict = match &grant.verdict {
            Some(known) => known.clone(),
            None => {
                let told = ask(&self.0, member, &grant.access).await;
                Verdict::of_end(&told, grant.state, &self.0.context(member))
            }
        };
        Some(verdict).filter(|verdict| *verdict != Verdict::Unknown)
    }

    /// Asks LinkedIn what it thinks of the member's access token now; an expiry that was not known is
    /// known from then on.
    ///
    /// # Errors
    /// [`ManageError::UnknownMember`]; [`ManageError::NotTaken`] where LinkedIn does not know the token
    /// or refuses the application, [`ManageError::NotTold`] where it did not answer.
    pub async fn introspect(&self, member: &Member) -> Result<Introspection, ManageError> {
        let shared = &self.0;
        let unknown = || ManageError::UnknownMember(member.clone());
        let grant = shared.cache.grant(member).ok_or_else(unknown)?;
        let known = shared.applications.get(&member.application);
        let known = known.ok_or_else(unknown)?;
        let (endpoint, time) = (&shared.endpoint, shared.settings.post_time);
        let told = endpoint
            .introspect(&known.application, &grant.access, time)
            .await;
        match told {
            Introspected::Told(told) => {
                self.learn(member, &grant, &told).await;
                Ok(told)
            }
            Introspected::NotKnown => Err(ManageError::NotTaken(Verdict::NotKnown)),
            Introspected::Misconfigured { .. } => {
                Err(ManageError::NotTaken(Verdict::MisconfiguredSecret))
            }
            Introspected::Unavailable { reason } => Err(ManageError::NotTold(reason)),
        }
    }

    /// Keeps an expiry or scopes that were not known before. Whatever saves meanwhile knows better.
    async fn learn(&self, member: &Member, grant: &Grant, told: &Introspection) {
        let is_ours = !told.is_foreign(&self.0.context(member).client_id);
        let lacks = grant.access.expires_at.is_none() || grant.scopes.is_empty();
        if !is_ours || !lacks {
            return;
        }
        let mut taught = grant.clone();
        importing::learn(&mut taught, told);
        taught.version += 1;
        match recovery::save(&self.0, member, &taught).await {
            Ok(()) => drop(self.0.cache.publish_renewed(member, taught)),
            Err(StoreError::Moved) => recovery::reload(&self.0, member).await,
            Err(error) => warn!(%member, %error, "a learnt expiry was not saved"),
        }
    }

    /// The verdict that needs no asking: the code says it.
    pub fn plain_verdict(
        &self,
        member: &Member,
        status: u16,
        service_error_code: Option<u32>,
    ) -> Option<Verdict> {
        match (status, service_error_code) {
            (401, Some(65608)) => Some(Verdict::RestrictedMember),
            // We sent none: that is no matter of the token.
            (401, Some(65604)) => Some(Verdict::Unknown),
            (403, Some(100)) => {
                let grant = self.0.cache.grant(member);
                let granted = grant.map(|grant| grant.scopes.join(" "));
                let granted = granted.unwrap_or_default();
                Some(Verdict::ScopeMissing { granted })
            }
            (401 | 500, _) => None,
            _ => Some(Verdict::Unknown),
        }
    }
}

/// What LinkedIn says of `token`: now, or within the last minute.
pub(super) async fn ask(shared: &Arc<Shared>, member: &Member, token: &Token) -> Introspected {
    let unavailable = |reason: &str| Introspected::Unavailable {
        reason: reason.to_owned(),
    };
    let Some(mut told) = join(shared, member, token) else {
        return unavailable("too much was asked lately");
    };
    match told.wait_for(Option::is_some).await {
        Ok(told) => told.clone().unwrap_or_else(|| unavailable("no answer")),
        Err(_) => unavailable("the asking broke off"),
    }
}

fn join(
    shared: &Arc<Shared>,
    member: &Member,
    token: &Token,
) -> Option<watch::Receiver<Option<Introspected>>> {
    let lately = &shared.asked.lately;
    if lately.len() > MANY {
        lately.retain(|_, asking| asking.at.elapsed() < KEPT);
    }
    let place = lately.entry(member.clone());
    if let Entry::Occupied(asking) = &place
        && asking.get().at.elapsed() < KEPT
    {
        let asking = asking.get();
        return (asking.about == token.fingerprint).then(|| asking.told.clone());
    }
    let permit = Arc::clone(&shared.asked.permits).try_acquire_owned().ok()?;
    let (tell, told) = watch::channel(None);
    let asking = Asking {
        at: Instant::now(),
        about: token.fingerprint.clone(),
        told: told.clone(),
    };
    place.insert(asking);
    let (asker, member, token) = (Arc::clone(shared), member.clone(), token.clone());
    shared.house.spawn(async move {
        let said = match asker.applications.get(&member.application) {
            Some(known) => {
                let endpoint = &asker.endpoint;
                endpoint.introspect(&known.application, &token, TIME).await
            }
            None => Introspected::Unavailable {
                reason: "the application is not configured".to_owned(),
            },
        };
        // Whoever asked may have left.
        tell.send_replace(Some(said));
        drop(permit);
    });
    Some(told)
}

/// Finds out, beside everything else, why a grant ended, and keeps that with it. The end must be
/// what the row holds: the verdict is saved over that version.
pub(super) fn explain_end(shared: &Arc<Shared>, member: &Member, ended: &Grant) {
    if member.name.is_none() || ended.state == State::Live {
        return;
    }
    let (shared, member, ended) = (Arc::clone(shared), member.clone(), ended.clone());
    let counted = UnderWay::new(&shared);
    let house = shared.house.clone();
    house.spawn(async move {
        let _counted = counted;
        let told = ask(&shared, &member, &ended.access).await;
        let verdict = Verdict::of_end(&told, ended.state, &shared.context(&member));
        info!(%member, %verdict, "why a grant ended");
        if verdict != Verdict::Unknown {
            keep(&shared, &member, &ended, verdict).await;
        }
    });
}

/// Saves the verdict beside the end it explains; a grant that changed since has no use for it.
async fn keep(shared: &Shared, member: &Member, ended: &Grant, verdict: Verdict) {
    let mut explained = ended.clone();
    explained.version += 1;
    explained.verdict = Some(verdict);
    match recovery::save(shared, member, &explained).await {
        Ok(()) => drop(shared.cache.publish_renewed(member, explained)),
        Err(StoreError::Moved) => recovery::reload(shared, member).await,
        Err(error) => warn!(%member, %error, "why a grant ended was not saved"),
    }
}
