//! The second listener: health and metrics for machines, members for operators and support.
//!
//! `/livez`, `/readyz` and `/metrics` ask nobody who they are. Everything else stands behind the door
//! ([`door`]): pages ([`overview`], [`members`]) and the API ([`api`]).
//!
//! **Invariant:** no member is shown before a sign-in, and a token never; what it tells is asked of the
//! parts at each request, and a slow or hostile visitor can slow no exchange.
//! **Neighbours:** `app` starts it before the path and stops it last, so that `/readyz` can say why;
//! `web` is the listener it stands on.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use http::{
    HeaderValue,
    header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY},
};

use crate::{
    callers::Callers,
    clock::Clock,
    credentials::Credentials,
    dial::BaseUrl,
    incident::{reader::Incidents, redact::Redaction},
    operators::Operators,
    store::MarkStore,
    web::{self, Listener},
};

mod address;
mod api;
mod callers;
mod door;
mod failure;
mod health;
mod house;
mod incidents;
mod listing;
mod members;
mod next;
mod overview;
mod page;
mod query;
mod reading;
mod script;
mod sign_in;
mod signatures;
mod standings;
mod words;
mod wrong_now;

pub use house::{ConnectLink, ConnectLinks};

use door::Door;
use house::House;
use reading::Reading;
use standings::Standings;

/// The admin listener's side of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The listener.
    pub web: web::Settings,
    /// How operators' browsers reach it, where something in front of it speaks TLS.
    pub public_url: Option<BaseUrl>,
    /// A session ends after this time without a request.
    pub session_idle: Duration,
    /// It ends after this time in any case.
    pub session_life: Duration,
    /// Whether support staff see the bodies of incidents while they are kept; operators always do.
    pub support_sees_bodies: bool,
}

/// What the listener asks.
pub struct Parts<S> {
    /// About the gateway.
    pub source: S,
    /// Who may come in.
    pub operators: Operators,
    /// About members.
    pub credentials: Credentials,
    /// The time of day, for what is left of tokens.
    pub clock: Clock,
    /// Where members sign in.
    pub links: ConnectLinks,
    /// The support log.
    pub incidents: Incidents,
    /// Whose keys there are.
    pub callers: Callers,
    /// What support decided about signatures.
    pub marks: Arc<dyn MarkStore>,
    /// What exports are searched with once more.
    pub redaction: Redaction,
}

/// One reason why no traffic should be sent here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NotReady {
    /// One word: `draining`, `support_log`, `store`.
    pub reason: &'static str,
    /// One sentence.
    pub detail: String,
}

/// What passed, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Exchanges that ended.
    pub exchanges: u64,
    /// Incidents that were recorded.
    pub incidents: u64,
    /// Trips to LinkedIn.
    pub trips: u64,
    /// Those that met a 5xx, were lost or came too late.
    pub failing_trips: u64,
    /// Members for whom such a trip was made in the last ten minutes.
    pub members_hit: usize,
}

/// Whom the listener asks.
pub trait Source: Send + Sync + 'static {
    /// Everything that speaks against being ready; nothing if ready.
    fn not_ready(&self) -> Vec<NotReady>;
    /// The metrics in Prometheus' text form.
    fn metrics(&self) -> String;
    /// What passed since the start; nothing where nobody counts.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

/// The running listener.
#[derive(Debug)]
pub struct Admin(Listener);

impl Admin {
    /// Binds the listener and serves on the runtime that calls.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(settings: Settings, parts: Parts<impl Source>) -> io::Result<Self> {
        let routes = routes(&settings, parts);
        let mut web = settings.web;
        web.hosts
            .extend(settings.public_url.map(|url| url.host().to_owned()));
        Listener::start(web, "admin", routes).await.map(Self)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    /// Stops accepting and gives answers under way a moment.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}

/// What stands in front of the door, and what behind it.
fn routes(settings: &Settings, parts: Parts<impl Source>) -> Router {
    let door = Door::new(settings, parts.operators);
    let source: Arc<dyn Source> = Arc::new(parts.source);
    let reading = Reading::new(
        parts.incidents,
        parts.credentials.clone(),
        settings.support_sees_bodies,
    );
    let standings = Standings::new(parts.credentials.clone(), parts.clock.clone());
    let house = Arc::new(House {
        source: Arc::clone(&source),
        credentials: parts.credentials,
        clock: parts.clock,
        links: parts.links,
        reading,
        callers: parts.callers,
        redaction: parts.redaction,
        standings,
        followers: incidents::Followers::default(),
        marks: parts.marks,
    });
    let behind = Router::new()
        .route("/", get(overview::overview))
        .merge(members::routes())
        .merge(incidents::routes())
        .merge(signatures::routes())
        .route("/callers", get(callers::list::list))
        .merge(api::routes())
        .with_state(house)
        .merge(sign_in::ways_out(door.clone()))
        .fallback(sign_in::nowhere)
        .method_not_allowed_fallback(sign_in::not_this_way)
        .layer(middleware::from_fn_with_state(door.clone(), door::guard));
    health::routes(source)
        .merge(web::page::routes())
        .merge(script::routes())
        .merge(sign_in::routes(door))
        .merge(behind)
        .layer(middleware::from_fn(own_headers))
}

/// Our own pages tell each other where they come from: without that, browsers hide a form's origin from us,
/// too. Nobody else is told. And they have a script of their own, which the connect listener's have not.
async fn own_headers(request: axum::extract::Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let policy = HeaderValue::from_static("same-origin");
    answer.headers_mut().insert(REFERRER_POLICY, policy);
    let policy = HeaderValue::from_static(script::POLICY);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

#[cfg(test)]
mod tests;
