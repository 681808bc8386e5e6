//! Each part's start: what it takes of the foundation, and what its failure is called.
//!
//! **Neighbours:** `app` calls these in its order; the parts know neither it nor each other.

use std::{io, sync::Arc};

use tokio::runtime::Handle;

use crate::{
    admin::{self, ConnectLink, ConnectLinks},
    alerts::{self, Seen},
    config::Config,
    connect::{self, Connect},
    exchange::Member,
    incident::{Log, Recorder, SelfTest, index::keeper::Keeper, redact::Redaction},
    proxy::{self, Proxy},
    web::Listener,
};

use super::{Foundation, StartError, Status};

pub(super) fn start_alerts(
    foundation: &Foundation,
    recorder: Recorder,
    door: Option<Connect>,
) -> alerts::Running {
    let metrics = foundation.metrics.clone();
    let linkedin: alerts::SeenOfLinkedIn = Arc::new(move |within| Seen {
        attempts: metrics.attempts_total(),
        failed: recorder.trouble().failed_attempts(),
        members: recorder.trouble().members_within(within),
    });
    foundation.alerts.run(alerts::Sources {
        connect_link: door
            .map(|door| -> alerts::ConnectLink { Arc::new(move |member| door.link(member)) }),
        linkedin: Some(linkedin),
    })
}

pub(super) fn start_log(
    config: &Config,
    foundation: &Foundation,
) -> Result<(Recorder, Log), StartError> {
    let Foundation {
        ring,
        live,
        clock,
        metrics,
        ..
    } = foundation;
    Recorder::start(
        config.incidents.clone(),
        ring.clone(),
        live.clone(),
        clock.clone(),
        metrics.shard(),
    )
    .map_err(|source| StartError::File {
        what: "support log",
        path: config.incidents.directory.clone(),
        source,
    })
}

pub(super) fn start_keeper(config: &Config) -> Result<Keeper, StartError> {
    let folder = config.incidents.directory.clone();
    Keeper::start(folder.clone()).map_err(|source| StartError::File {
        what: "index of the support log",
        path: folder,
        source,
    })
}

/// Sends one synthetic incident the whole way. If it is not found again, `/readyz` says so until one is.
pub(super) async fn test_log(foundation: &Foundation, recorder: &Recorder) {
    let test = SelfTest {
        recorder: recorder.clone(),
        incidents: foundation.incidents.clone(),
        ring: foundation.ring.clone(),
        clock: foundation.clock.clone(),
    };
    if test.run().await.is_err() {
        tokio::spawn(test.run_until_passed());
    }
}

/// The members' door, not open yet.
pub(super) fn door(config: &Config, foundation: &Foundation) -> Option<Connect> {
    let on = connect::Foundations {
        credentials: foundation.credentials.clone(),
        ring: foundation.ring.clone(),
        clock: foundation.clock.clone(),
    };
    Some(Connect::new(config.connect.clone()?, on))
}

pub(super) async fn open(
    settings: &Option<connect::Settings>,
    door: Option<&Connect>,
) -> Result<Option<(Connect, Listener)>, StartError> {
    let (Some(settings), Some(door)) = (settings, door) else {
        return Ok(None);
    };
    let opened = door.open().await.map_err(|source| StartError::Listen {
        key: "connect.listen",
        address: settings.listener.listen,
        source,
    })?;
    Ok(Some((door.clone(), opened)))
}

/// What the operators' door asks.
pub(super) fn admin_parts(
    foundation: &Foundation,
    status: Arc<Status>,
    door: Option<&Connect>,
) -> admin::Parts<Arc<Status>> {
    let links = door
        .cloned()
        .map(|door| ConnectLinks::given_by(move |member| connect_link(&door, member)));
    admin::Parts {
        source: status,
        operators: foundation.operators.clone(),
        credentials: foundation.credentials.clone(),
        clock: foundation.clock.clone(),
        links: links.unwrap_or_default(),
        incidents: foundation.incidents.clone(),
        callers: foundation.callers.clone(),
        redaction: Redaction::new(foundation.ring.clone(), foundation.live.clone()),
        marks: foundation.store.clone(),
    }
}

fn connect_link(door: &Connect, member: &Member) -> Option<ConnectLink> {
    let link = door.handed_link(member)?;
    Some(ConnectLink {
        url: link.url,
        ends_at: link.ends_at,
        warning: link.warning,
    })
}

pub(super) async fn start_proxy(
    config: &Config,
    foundation: &Foundation,
    recorder: Recorder,
    door: Option<&Connect>,
) -> Result<Proxy, StartError> {
    let links = door
        .cloned()
        .map(|door| proxy::SignInLinks::given_by(move |member| door.link(member)));
    let parts = proxy::Parts {
        credentials: foundation.credentials.clone(),
        callers: foundation.callers.clone(),
        sign_in_links: links.unwrap_or_default(),
        recorder,
        metrics: foundation.metrics.clone(),
        dialer: foundation.dialer.clone(),
        clock: foundation.clock.clone(),
        house: Handle::current(),
    };
    let (settings, address) = (config.proxy.clone(), config.proxy.listen);
    // It reads certificates and makes threads: nothing for a thread of the house.
    let started = tokio::task::spawn_blocking(move || Proxy::start(settings, parts)).await;
    let started = started.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    started.map_err(|source| StartError::Listen {
        key: "gateway.listen",
        address,
        source,
    })
}
