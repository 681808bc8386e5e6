//! The second listener: health and metrics, for operators and their machines.
//!
//! It serves nothing about members: that waits until operators can sign in.
//!
//! **Invariant:** what it tells is asked of the parts at each request, through [`Source`]; it knows
//! none of them, and a slow or hostile visitor of this listener can slow no exchange.
//! **Neighbours:** `app` starts it before the path and stops it last, so that `/readyz` can say why;
//! `web` is the listener it stands on.

use std::{io, net::SocketAddr, sync::Arc};

use crate::web::{Listener, Settings};

mod health;

/// One reason why no traffic should be sent here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NotReady {
    /// One word: `draining`, `support_log`, `store`.
    pub reason: &'static str,
    /// One sentence.
    pub detail: String,
}

/// Whom the listener asks.
pub trait Source: Send + Sync + 'static {
    /// Everything that speaks against being ready; nothing if ready.
    fn not_ready(&self) -> Vec<NotReady>;
    /// The metrics in Prometheus' text form.
    fn metrics(&self) -> String;
}

/// The running listener.
#[derive(Debug)]
pub struct Admin(Listener);

impl Admin {
    /// Binds the listener and serves on the runtime that calls.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(settings: Settings, source: impl Source) -> io::Result<Self> {
        let routes = health::routes(Arc::new(source));
        Listener::start(settings, "admin", routes).await.map(Self)
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

#[cfg(test)]
mod tests;
