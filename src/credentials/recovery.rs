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
    sync::broadcast::{self, error::RecvError},
    time::MissedTickBehavior,
};
use tracing::{error, info, warn};

use super::{
    BadSettings, Foundations, Settings,
    cache::Cache,
    cooling::Cooling,
    forecast::Census,
    grant::{Grant, Terms},
    oauth::Endpoint,
    refresher::Flights,
    scheduler::{Agenda, Ahead},
    sealing::Sealing,
    shared::{Health, Known, Shared},
};
use crate::{
    exchange::Member,
    keyring::random_bytes,
    store::{Change, Pending, StoreError},
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
    Ok(Arc::new(Shared {
        applications: known.collect(),
        default_application,
        sealing: Sealing::new(on.ring, on.live.clone()),
        live: on.live,
        clock: on.clock,
        endpoint: Endpoint {
            dialer: on.dialer,
            oauth_url: settings.oauth_url.clone(),
            api_url: settings.api_url.clone(),
            media_url: settings.media_url.clone(),
            post_time: settings.post_time,
        },
        metrics: on.metrics,
        house: on.house,
        owner: HEXLOWER.encode(&random_bytes::<8>()).into(),
        cache: Cache::new(settings.ahead_share, settings.lag, Arc::clone(&agenda)),
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
        naming: tokio::sync::Mutex::default(),
        settings,
    }))
}

/// Reads everything, and completes what a crash left half done.
pub(super) async fn load(shared: &Arc<Shared>) -> Result<(), StoreError> {
    for (member, wrapped) in shared.store.data_keys().await? {
        if let Err(error) = shared.sealing.learn(&member, &wrapped) {
            error!(%member, %error, "a data key does not open; the member must sign in again");
        }
    }
    for application in shared.applications.keys() {
        let own = Member {
            application: application.clone(),
            name: None,
        };
        shared.sealing.ensure_data_key(&*shared.store, &own).await?;
    }
    load_grants(shared).await?;
    for (member, pending) in shared.store.journal().await? {
        recover(shared, &member, &pending).await?;
    }
    Ok(())
}

async fn load_grants(shared: &Arc<Shared>) -> Result<(), StoreError> {
    for (member, row) in shared.store.grants().await? {
        match shared.sealing.grant(&member, &row) {
            Ok(grant) => drop(shared.cache.publish(&member, grant)),
            Err(error) => error!(%member, %error, "a grant does not open; it is left as it is"),
        }
    }
    Ok(())
}

async fn recover(
    shared: &Arc<Shared>,
    member: &Member,
    pending: &Pending,
) -> Result<(), StoreError> {
    let base = shared.cache.grant(member);
    let version = base.as_ref().map_or(0, |grant| grant.version);
    if version != pending.base {
        // Saved, or signed in again since: the entry tells nothing new.
        return shared.store.clear(member).await;
    }
    let Some(sealed) = &pending.answer else {
        warn!(
            %member,
            number = pending.number,
            begun_at = pending.begun_at,
            "unconfirmed renewal: the refresh token was about to be spent when the process ended; \
             it is tried once more"
        );
        shared.unconfirmed.insert(member.clone(), pending.begun_at);
        return Ok(());
    };
    let opened = shared.sealing.open_answer(member, pending.base, sealed);
    let Ok((answer, came_at)) = opened else {
        error!(%member, "a journalled token answer does not open; it is left as it is");
        return Ok(());
    };
    let terms = Terms {
        now: came_at,
        live: &shared.live,
        is_issued_now: true,
        is_applications_own: member.name.is_none(),
    };
    let mut grant = answer.grant(base.as_deref(), &terms);
    grant.renewals += 1;
    grant.renewed_at = Some(came_at);
    save(shared, member, &grant).await?;
    shared.store.clear(member).await?;
    shared.cache.publish(member, grant);
    info!(%member, "a renewal that a crash cut short is complete");
    Ok(())
}

async fn save(shared: &Shared, member: &Member, grant: &Grant) -> Result<(), StoreError> {
    let row = shared.sealing.row(member, grant);
    let row = row.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    shared.store.save(member, row, None).await
}

/// Keeps the end of a grant that LinkedIn refused. If that fails, the next start learns it anew.
pub(super) async fn save_end(shared: &Shared, member: &Member, ended: &Grant) {
    match save(shared, member, ended).await {
        Ok(()) => {
            warn!(%member, "LinkedIn refused the token: the member must sign in again");
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
            Some(Ok(Change::Keys)) => {}
            Some(Err(RecvError::Lagged(_))) => {
                if let Err(error) = load_grants(&shared).await {
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
                Ok(grant) => drop(shared.cache.publish(member, grant)),
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
