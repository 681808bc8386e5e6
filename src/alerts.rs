//! NOTICES to administrators and apps: who must sign in again, what fails, what ends soon.
//!
//! ```text
//! credentials ─ notices ─▶ watch ─ facts ─▶ teller ─▶ outbox (store) ─▶ sender, one a webhook ─▶ receiver
//! counters ───────────────▶  │               told once, or counted in a summary     signed, tried again
//! ```
//!
//! Facts are read off the state of things (`fact`), never off messages, so none is lost with one. Each
//! is told once (`teller`), in the very step that puts its notices into the outbox; a sender for each
//! webhook delivers them in order per member (`sender`), signed after Standard Webhooks (`signature`).
//!
//! **Invariant:** a notice is in the store before it is sent, and leaves it when it was taken, given up
//! or found no room; each of these is counted. No body and no log line holds a token or a secret.
//! **Neighbours:** `app` starts and stops it and lends it the maker of connect links; `credentials`
//! tells where to look; the control socket asks for tests and lists.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    runtime::Handle,
    sync::watch as flag,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tracing::warn;
use uuid::Uuid;

use crate::{
    clock::Clock,
    credentials::Credentials,
    dial::Dialer,
    exchange::{Member, Name},
    store::{Outbox, StoreError},
};

mod backoff;
mod body;
mod event;
mod fact;
mod linkedin;
mod post;
mod sender;
mod shared;
mod signature;
mod teller;
mod watch;
mod webhook;

#[cfg(test)]
mod tests;

pub use event::{Event, Fate};
pub use linkedin::{Bounds, Seen};
pub use signature::{BadSecret, SigningSecret};
pub use webhook::{Endpoint, Webhook};

use post::Post;
use shared::Shared;

/// Who is told, and with what patience.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The receivers; none: nobody is told anything.
    pub webhooks: Vec<Webhook>,
    /// Notices to one webhook in a minute; the surplus of each event becomes one summary.
    pub max_per_minute: u32,
    /// How long such a minute lasts.
    pub minute: Duration,
    /// Notices that may wait for one webhook; beyond, its oldest are dropped.
    pub max_waiting: u32,
    /// Limit of one delivery.
    pub attempt_time: Duration,
    /// First wait after a failed delivery; doubles up to `max_retry_delay`.
    pub retry_delay: Duration,
    /// Longest wait after failed deliveries.
    pub max_retry_delay: Duration,
    /// A notice that waited for longer is dropped.
    pub give_up_after: Duration,
    /// How long changes are gathered before they are looked at, so that many at once are one step.
    pub settle: Duration,
    /// How long the end of a grant waits for LinkedIn's word on why, before it is told without.
    pub verdict_wait: Duration,
    /// Renewals in a row that must fail before that is told.
    pub failing_renewals: u32,
    /// When LinkedIn counts as failing.
    pub linkedin: Bounds,
}

impl Settings {
    /// Default of [`Settings::minute`].
    pub const MINUTE: Duration = Duration::from_secs(60);
    /// Default of [`Settings::settle`].
    pub const SETTLE: Duration = Duration::from_secs(2);
    /// Default of [`Settings::verdict_wait`]: an introspection takes two seconds at most.
    pub const VERDICT_WAIT: Duration = Duration::from_secs(4);
}

/// Makes the link by which a member signs in; none where members cannot sign in through this gateway.
pub type ConnectLink = Arc<dyn Fn(&Member) -> Option<String> + Send + Sync>;
/// Tells how calls to LinkedIn went, members counted over the time that is named.
pub type SeenOfLinkedIn = Arc<dyn Fn(Duration) -> Seen + Send + Sync>;

/// What alerts stand on.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where notices wait.
    pub store: Arc<dyn Outbox>,
    /// Of whom is told.
    pub credentials: Credentials,
    /// The way to the webhooks.
    pub dialer: Dialer,
    /// The time of day.
    pub clock: Clock,
    /// The runtime on which everything runs.
    pub house: Handle,
}

/// Where facts come from beside the credentials.
#[derive(Clone, Default)]
pub struct Sources {
    /// For the links in notices.
    pub connect_link: Option<ConnectLink>,
    /// For `linkedin.failing`.
    pub linkedin: Option<SeenOfLinkedIn>,
}

/// The alerts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Alerts(Arc<Shared>);

/// How a test notice fared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// The webhook's name.
    pub webhook: String,
    /// Scheme, host and port.
    pub url: String,
    /// Whether it was taken.
    pub ok: bool,
    /// What the receiver answered.
    pub status: Option<u16>,
    /// How long that took.
    pub took_ms: Option<u64>,
    /// Why it was not taken, in one sentence.
    pub problem: Option<String>,
}

/// A notice that waits, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// `webhook-id`.
    pub id: String,
    /// The webhook's name.
    pub webhook: String,
    /// The event's word.
    pub event: String,
    /// What it says, in one sentence.
    pub text: String,
    /// When it was put into the outbox, in Unix seconds.
    pub created_at: i64,
    /// Tries so far.
    pub attempts: u32,
    /// When the next try is due, in Unix seconds.
    pub next_at: i64,
}

/// Notices that are listed, at most.
const LISTED: u32 = 1000;

impl Alerts {
    /// Puts the parts together; nothing runs yet.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        Self(Arc::new(Shared::new(settings, parts)))
    }

    /// Begins to watch and to send what waits.
    pub fn run(&self, sources: Sources) -> Running {
        let shared = &self.0;
        let (no_more_facts, facts_end) = flag::channel(false);
        let (no_more_sends, sends_end) = flag::channel(false);
        let mut watching = None;
        let mut sending = Vec::new();
        if !shared.settings.webhooks.is_empty() {
            let watch = watch::run(Arc::clone(shared), sources, facts_end);
            watching = Some(shared.house.spawn(watch));
            for line in 0..shared.settings.webhooks.len() {
                let sender = sender::run(Arc::clone(shared), line, sends_end.clone());
                sending.push(shared.house.spawn(sender));
            }
        }
        Running {
            no_more_facts,
            no_more_sends,
            watching,
            sending,
        }
    }

    /// Sends one signed test notice to every webhook, or to the one that is named; all at once. A
    /// webhook that had said 410 and takes it is used again.
    ///
    /// # Errors
    /// [`NoSuchWebhook`].
    pub async fn test(&self, only: Option<&Name>) -> Result<Vec<Tested>, NoSuchWebhook> {
        let webhooks = &self.0.settings.webhooks;
        let is_wanted = |at: &usize| {
            let name = webhooks.get(*at).map(|webhook| &webhook.name);
            only.is_none_or(|only| name == Some(only))
        };
        let wanted: Vec<usize> = (0..webhooks.len()).filter(is_wanted).collect();
        if let (true, Some(only)) = (wanted.is_empty(), only) {
            return Err(NoSuchWebhook(only.clone()));
        }
        let mut tests = JoinSet::new();
        for at in wanted {
            let shared = Arc::clone(&self.0);
            tests.spawn_on(
                async move { (at, test_one(&shared, at).await) },
                &self.0.house,
            );
        }
        let mut tested = tests.join_all().await;
        tested.sort_by_key(|(at, _)| *at);
        Ok(tested
            .into_iter()
            .filter_map(|(_, tested)| tested)
            .collect())
    }

    /// The oldest notices that wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let waiting = self.0.store.outbox(LISTED).await?;
        let listed = waiting.into_iter().map(|notice| Listed {
            text: body::text_of(&notice.body),
            id: notice.id,
            webhook: notice.webhook,
            event: notice.event,
            created_at: notice.created_at,
            attempts: notice.attempts,
            next_at: notice.next_micros.div_euclid(1_000_000),
        });
        Ok(listed.collect())
    }

    /// What became of notices since the start: `linkgate_alerts_total{event,result}`.
    pub fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.0.counts.all()
    }

    /// How many notices wait, as of the last change.
    pub fn waiting(&self) -> u64 {
        self.0.counts.waiting()
    }
}

/// A webhook that is not in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no webhook {0} in alerts.webhooks")]
pub struct NoSuchWebhook(pub Name);

async fn test_one(shared: &Shared, at: usize) -> Option<Tested> {
    let webhook = shared.settings.webhooks.get(at)?;
    let body = body::of_test(&webhook.name, shared.clock.now());
    let id = Uuid::now_v7().to_string();
    let answered = shared.post.send(webhook, &id, &body).await;
    let (status, took, problem) = match answered {
        Ok(answer) if answer.status.is_success() => {
            shared.switch_on(at);
            (Some(answer.status), Some(answer.took), None)
        }
        Ok(answer) => {
            let problem = sender::meaning(answer.status);
            (Some(answer.status), Some(answer.took), Some(problem))
        }
        Err(error) => (None, None, Some(error.to_string())),
    };
    Some(Tested {
        webhook: webhook.name.to_string(),
        url: webhook.endpoint.to_string(),
        ok: problem.is_none(),
        status: status.map(|status| status.as_u16()),
        took_ms: took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        problem,
    })
}

/// The tasks of running alerts. Dropped, they end where they are: what waits is in the store.
#[derive(Debug)]
pub struct Running {
    no_more_facts: flag::Sender<bool>,
    no_more_sends: flag::Sender<bool>,
    watching: Option<JoinHandle<()>>,
    sending: Vec<JoinHandle<()>>,
}

impl Running {
    /// Takes in what changed last, gives each webhook a last try, and ends; within `limit`.
    pub async fn stop(mut self, limit: Duration) {
        let last = async {
            self.no_more_facts.send_replace(true);
            if let Some(watching) = &mut self.watching {
                ended(watching).await;
            }
            self.no_more_sends.send_replace(true);
            for sending in &mut self.sending {
                ended(sending).await;
            }
        };
        if timeout(limit, last).await.is_err() {
            warn!("a webhook was still being told: its notice stays in the outbox");
        }
    }
}

async fn ended(task: &mut JoinHandle<()>) {
    if let Err(error) = task.await {
        warn!(%error, "a task of the alerts ended badly");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in self.watching.iter().chain(&self.sending) {
            task.abort();
        }
    }
}
