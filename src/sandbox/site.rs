//! LinkedIn's site: everything the sandbox knows, shared by all connections.
//!
//! **Invariant:** each lock is held for a few lines and never across an await.

use std::any::Any;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::admission::DailyCalls;
use super::ads::AdAccounts;
use super::clock::Clock;
use super::faults::FaultList;
use super::grants::{Grants, TokenAnswer};
use super::ledger::{Ledger, hold};
use super::options::{Application, Options};
use super::posts::Posts;
use super::uploads::Uploads;

/// The state of the sandbox.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) grants: Mutex<Grants>,
    pub(crate) posts: Mutex<Posts>,
    pub(crate) ad_accounts: Mutex<AdAccounts>,
    pub(crate) uploads: Mutex<Uploads>,
    pub(crate) daily_calls: Mutex<DailyCalls>,
    pub(crate) faults: Mutex<FaultList>,
    pub(crate) ledger: Ledger,
    /// Base URL of the plain listener, where portraits lie, once there is one.
    pub(crate) media_url: OnceLock<String>,
    /// The first panic of a task in here; it is raised again when the sandbox is dropped.
    pub(crate) panicked: Mutex<Option<Box<dyn Any + Send>>>,
    stop: watch::Sender<bool>,
}

impl Site {
    /// A site where nothing has happened yet.
    pub(crate) fn new(options: Options) -> Self {
        let ledger = Ledger::new(options.record_requests);
        let daily_calls = DailyCalls::new(&options);
        Self {
            options,
            clock: Clock::default(),
            grants: Mutex::default(),
            posts: Mutex::default(),
            ad_accounts: Mutex::default(),
            uploads: Mutex::default(),
            daily_calls: Mutex::new(daily_calls),
            faults: Mutex::default(),
            ledger,
            media_url: OnceLock::new(),
            panicked: Mutex::new(None),
            stop: watch::Sender::new(false),
        }
    }

    /// The application with this client id.
    pub(crate) fn application(&self, client_id: &str) -> Option<&Application> {
        self.options
            .applications
            .iter()
            .find(|application| application.client_id == client_id)
    }

    /// Signs a member in, as consent and the exchange of its code would.
    pub(crate) fn sign_in(
        &self,
        client_id: &str,
        member: &str,
        scopes: Vec<String>,
    ) -> TokenAnswer {
        let now = self.clock.micros();
        hold(&self.grants).grant(&self.options, now, client_id, member, scopes)
    }

    /// Runs a task of its own; a panic in it is kept and costs no other task.
    pub(crate) fn spawn(
        self: &std::sync::Arc<Self>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let site = std::sync::Arc::clone(self);
        tokio::spawn(async move {
            if let Err(panic) = std::panic::AssertUnwindSafe(task).catch_unwind().await {
                hold(&site.panicked).get_or_insert(panic);
            }
        });
    }

    /// Tells every connection to end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Resolves when the sandbox ends.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // An error would mean the sender is gone, and it lives as long as we do.
        drop(stop.wait_for(|stopped| *stopped).await);
    }

    /// Waits, but no longer than the sandbox lives.
    pub(crate) async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stopped() => {}
        }
    }
}
