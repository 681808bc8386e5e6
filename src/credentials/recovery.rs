//! From the store into memory: at start, after a crash, and when another process changed something.
//!
//! **Invariant:** a journalled answer is saved before anything is served, and an intent without an
//! answer is reported, never passed over in silence.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use dashmap::DashMap;
use data_encoding::HEXLOWER;
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::MissedTickBehavior,
};
use tracing::{error, info, warn};

use super::{
    BadSettings, Foundations, Settings,
    cache::Cache,
    cooling::Cooling,
    flight::{self, Found},
    forecast::Census,
    grant::{Grant, Terms},
    investigating::{self, Asked},
    oauth::Endpoint,
    opening::{self, Read},
    refresher::Flights,
    scheduler::{Agenda, Ahead},
    sealing::Sealing,
    shared::{Health, Known, Shared},
};
use crate::{
    exchange::Member,
    keyring::random_bytes,
    store::{Change, Lease, Pending, Row, StoreError},
};

/// Between two tries of a store that failed, when no renewal tries it.
const PROBE: Duration = Duration::from_secs(1);

/// Puts the parts together; nothing is read yet.
pub(super) fn shared(settings: Settings, on: Foundations) -> Result<Arc<Shared>, BadSettings> {
    settings.check()?;
    let first = settings.applications.first();
    let default_application = first.ok_or(BadSettings::NoApplication)?.name.clone();
    let known = settings.applications.iter().map(|application| {
        let secret = application.client_secret.expose();
        on.live.add(secret.as_bytes());
        let client_id = application.client_id.as_str().into();
        let application = application.clone();
        let name = application.name.clone();
        (
            name,
            Known {
                application,
                client_id,
            },
        )
    });
    let agenda = Arc::new(Agenda::new(settings.max_per_second));
    let sealing = Arc::new(Sealing::new(on.ring, on.live.clone()));
    Ok(Arc::new(Shared {
        applications: known.collect(),
        default_application,
        cache: Cache::new(
            settings.ahead_share,
            settings.lag,
            Arc::clone(&agenda),
            Arc::clone(&sealing),
        ),
        sealing,
        live: on.live,
        clock: on.clock,
        endpoint: Endpoint {
            dialer: on.dialer,
            oauth_url: settings.oauth_url.clone(),
            api_url: settings.api_url.clone(),
            media_url: settings.media_url.clone(),
            revocation_url: settings.revocation_url.clone(),
            post_time: settings.post_time,
        },
        metrics: on.metrics,
        house: on.house,
        owner: HEXLOWER.encode(&random_bytes::<8>()).into(),
        ahead: Ahead::new(settings.max_concurrent, agenda),
        cooling: Cooling::new(
            settings.retry_delay,
            settings.max_retry_delay,
            settings.post_time,
        ),
        flights: Flights::new(settings.max_concurrent),
        census: Census::default(),
        health: Health::default(),
        store: on.store,
        unconfirmed: DashMap::new(),
        asked: Asked::new(),
        logouts: watch::Sender::new(()),
        naming: tokio::sync::Mutex::default(),
        settings,
    }))
}

/// Reads everything, and completes what a crash left half done.
pub(super) async fn load(shared: &Arc<Shared>) -> Result<(), StoreError> {
    opening::keys(shared).await?;
    for application in shared.applications.keys() {
        let own = Member {
            application: application.clone(),
            name: None,
        };
        shared.sealing.ensure_data_key(&*shared.store, &own).await?;
    }
    catch_up(shared).await?;
    for (member, _) in shared.store.journal().await? {
        recover(shared, &member).await?;
    }
    Ok(())
}

/// Follows changes of which nobody knows which they were: members who are gone included.
async fn catch_up(shared: &Arc<Shared>) -> Result<(), StoreError> {
    // Before the store is read: who comes meanwhile is not taken for gone.
    let known = shared.cache.members();
    let Read {
        mut gone, untagged, ..
    } = opening::grants(shared, known).await?;
    if !untagged.is_empty() {
        let keeping = opening::keep_tags(Arc::clone(shared), untagged);
        shared.house.spawn(keeping);
    }
    // An application's first token is served before it is saved.
    gone.retain(|member| !shared.flights.is_under_way(member));
    for member in gone {
        reload(shared, &member).await;
    }
    Ok(())
}

/// Completes or reports what an earlier process left in the journal for `member`, unless a process
/// that lives is at it.
async fn recover(shared: &Arc<Shared>, member: &Member) -> Result<(), StoreError> {
    let (store, lasting) = (&shared.store, shared.settings.lease);
    let Some(lease) = store.take_lease(member, &shared.owner, lasting).await? else {
        return Ok(());
    };
    let recovered = recover_under(shared, member, &lease).await;
    store.release_lease(member, &lease).await?;
    recovered
}

async fn recover_under(
    shared: &Arc<Shared>,
    member: &Member,
    lease: &Lease,
) -> Result<(), StoreError> {
    let Some(pending) = shared.store.pending(member).await? else {
        return Ok(());
    };
    let row = shared.store.grant(member).await?;
    // The row's own version, whether or not it opens: what cannot be read is no reason to clear.
    let version = row.as_ref().map_or(0, |row| row.version);
    let entry = (pending.base, pending.number, pending.answer.is_some());
    match flight::found(Some(entry), version, member.name.is_none()) {
        Found::Nothing => Ok(()),
        Found::Over => shared.store.clear(member, lease).await,
        Found::Unconfirmed { .. } => {
            let then = "the refresh token was about to be spent when the process ended; it is \
                tried once more";
            shared.report_unconfirmed(member, &pending, then);
            Ok(())
        }
        Found::Answered => complete(shared, member, row.as_ref(), &pending, lease).await,
    }
}

/// Saves a journalled answer.
async fn complete(
    shared: &Arc<Shared>,
    member: &Member,
    row: Option<&Row>,
    pending: &Pending,
    lease: &Lease,
) -> Result<(), StoreError> {
    let sealed = pending.answer.as_deref().unwrap_or_default();
    let opened = shared.sealing.open_answer(member, pending.base, sealed);
    let base = row.map(|row| shared.sealing.grant(member, row)).transpose();
    let (Ok((answer, came_at)), Ok(base)) = (opened, base) else {
        error!(%member, "a journalled token answer, or its grant, does not open; both are left as they are");
        return Ok(());
    };
    let terms = Terms {
        now: came_at,
        live: &shared.live,
        is_issued_now: true,
        is_applications_own: member.name.is_none(),
    };
    let mut grant = answer.grant(base.as_ref(), &terms);
    grant.renewals += 1;
    grant.renewed_at = Some(came_at);
    let sealed = shared.sealing.row(member, &grant);
    let sealed = sealed.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    match shared.store.save(member, sealed, Some(lease)).await {
        // Somebody signed in just now, which is newer than any answer.
        Err(StoreError::Moved) => return Ok(()),
        saved => saved?,
    }
    shared.cache.publish(member, grant);
    info!(%member, "a renewal that a crash cut short is complete");
    Ok(())
}

/// Saves a grant over the version before it.
pub(super) async fn save(
    shared: &Shared,
    member: &Member,
    grant: &Grant,
) -> Result<(), StoreError> {
    let row = shared.sealing.row(member, grant);
    let row = row.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    shared.store.save(member, row, None).await
}

/// Keeps the end of a grant that LinkedIn refused, and has it explained. If that fails, the next
/// start learns it anew.
pub(super) async fn save_end(shared: &Arc<Shared>, member: &Member, ended: &Grant) {
    match save(shared, member, ended).await {
        Ok(()) => {
            warn!(%member, "LinkedIn refused the token: the member must sign in again");
            investigating::explain_end(shared, member, ended);
        }
        Err(StoreError::Moved) => reload(shared, member).await,
        Err(error) => warn!(%member, %error, "the end of a grant was not saved"),
    }
}

/// Follows what other processes change, and looks after a store that failed.
pub(super) async fn follow(shared: Weak<Shared>, mut changes: broadcast::Receiver<Change>) {
    let mut probe = tokio::time::interval(PROBE);
    probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let change = tokio::select! {
            change = changes.recv() => Some(change),
            _ = probe.tick() => None,
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match change {
            Some(Ok(Change::Grant(member))) => reload(&shared, &member).await,
            Some(Ok(Change::Keys | Change::Operators)) => {}
            Some(Err(RecvError::Lagged(_))) => {
                if let Err(error) = catch_up(&shared).await {
                    warn!(%error, "grants could not be read again");
                }
            }
            Some(Err(RecvError::Closed)) => return,
            None if shared.health.is_failing() => {
                let works = shared.store.probe().await.is_ok();
                if shared.health.note(works) && works {
                    info!("the store works again");
                }
            }
            None => {}
        }
    }
}

/// Serves what the store holds, if it is later than what is served.
pub(super) async fn reload(shared: &Shared, member: &Member) {
    let before = shared.cache.grant(member);
    match shared.store.grant(member).await {
        Ok(Some(row)) if before.as_ref().is_none_or(|old| old.version < row.version) => {
            match shared.sealing.grant(member, &row) {
                Ok(grant) => shared.serve(member, grant),
                Err(error) => warn!(%member, %error, "a changed grant does not open"),
            }
        }
        Ok(Some(_)) => {}
        Ok(None) => {
            if let Some(before) = before {
                shared.cache.forget_if(member, &before);
            }
        }
        Err(error) => warn!(%member, %error, "a changed grant could not be read"),
    }
}
