//! One webhook's sender: takes what is due, one notice at a time, and says what the answer means.
//!
//! A receiver in trouble (not reached, late, 5xx, 429) is left alone as a whole, longer each time; a
//! notice that it refuses (other 4xx, a redirect) waits by itself and holds up none but its own member's.
//!
//! **Invariant:** a try is counted in the store before it is made, so that a notice which ends the process
//! is not tried for ever at once; what was sent and not yet struck off is sent again under the same id.
//! **Neighbours:** `alerts::teller` puts notices out; `alerts::post` delivers.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::{
    Event, Fate,
    backoff::wait,
    post::{Answered, Unanswered},
    shared::Shared,
    webhook::Webhook,
};
use crate::store::{Next, StoreError, Waiting};

/// Longest sleep: a clock that jumps is noticed after this.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Before a store that failed is asked again.
const STORE_REST: Duration = Duration::from_secs(1);

/// What an answer means for the webhook and for the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Taken,
    /// The receiver is in trouble.
    Trouble,
    /// The receiver works, but will not have this.
    Refused,
    /// The receiver wants nothing any more.
    Gone,
}

fn judge(status: StatusCode) -> Meaning {
    match status.as_u16() {
        200..300 => Meaning::Taken,
        410 => Meaning::Gone,
        408 | 425 | 429 | 500.. => Meaning::Trouble,
        _ => Meaning::Refused,
    }
}

/// What a status that is not 2xx means, for people.
pub(super) fn meaning(status: StatusCode) -> String {
    let what = match status.as_u16() {
        300..=399 => "redirects are not followed: set the address it names",
        401 | 403 => "the receiver refuses us: check the address and the secret",
        404 => "there is nothing at this address",
        410 => "the receiver wants no notices any more",
        429 => "the receiver is asked too often",
        500.. => "the receiver is in trouble",
        _ => "the receiver does not take it",
    };
    format!("answered {}: {what}", status.as_u16())
}

/// Sends until told to end; then once more what is due.
pub(super) async fn run(shared: Arc<Shared>, at: usize, mut end: watch::Receiver<bool>) {
    let Some(webhook) = shared.settings.webhooks.get(at).cloned() else {
        return;
    };
    let mut sender = Sender {
        shared,
        at,
        webhook,
        failures: 0,
        rest_until: None,
    };
    loop {
        let is_ending = *end.borrow_and_update();
        let until = match sender.step().await {
            Step::Again => continue,
            Step::Wait(until) => until,
        };
        if is_ending {
            return;
        }
        let asleep = sender.until(until);
        tokio::select! {
            () = tokio::time::sleep(asleep) => {}
            () = sender.shared.woken(at) => {}
            // The other end gone means the same.
            _ = end.changed() => {}
        }
    }
}

struct Sender {
    shared: Arc<Shared>,
    at: usize,
    webhook: Webhook,
    /// Failed tries in a row.
    failures: u32,
    /// When the receiver may be asked again, in Unix microseconds.
    rest_until: Option<i64>,
}

enum Step {
    /// There may be more to do.
    Again,
    /// Nothing before this time (Unix microseconds), or before something new comes.
    Wait(Option<i64>),
}

impl Sender {
    async fn step(&mut self) -> Step {
        let now = self.shared.clock.micros();
        if self.shared.is_off(self.at) {
            return Step::Wait(None);
        }
        if let Some(until) = self.rest_until.filter(|until| *until > now) {
            return Step::Wait(Some(until));
        }
        let name = self.webhook.name.as_str();
        match self.shared.store.take_due(name, now).await {
            Ok(Next::Due(notice)) => self.deliver(&notice).await,
            Ok(Next::At(at)) => Step::Wait(Some(at)),
            Ok(Next::Nothing) => Step::Wait(None),
            Err(error) => self.store_failed(&error),
        }
    }

    async fn deliver(&mut self, notice: &Waiting) -> Step {
        let sent = self
            .shared
            .post
            .send(&self.webhook, &notice.id, &notice.body)
            .await;
        let meaning = sent
            .as_ref()
            .map_or(Meaning::Trouble, |answer| judge(answer.status));
        let done = match meaning {
            Meaning::Taken => self.taken(notice).await,
            Meaning::Gone => {
                error!(
                    webhook = %self.webhook.name,
                    "the receiver says 410: it is told nothing more until the next start, or until `linkgate alerts test` is taken"
                );
                self.shared.switch_off(self.at);
                self.failed(notice, self.backoff(notice.attempts)).await
            }
            Meaning::Refused => {
                self.say_failed(notice, &sent);
                self.failed(notice, self.backoff(notice.attempts)).await
            }
            Meaning::Trouble => {
                self.say_failed(notice, &sent);
                self.failures = self.failures.saturating_add(1);
                let wanted = sent.ok().and_then(|answer| answer.retry_after);
                let rest = self.backoff(self.failures).max(wanted.unwrap_or_default());
                self.rest_until = Some(self.after(rest));
                self.failed(notice, rest).await
            }
        };
        match done {
            Ok(()) => Step::Again,
            Err(error) => self.store_failed(&error),
        }
    }

    async fn taken(&mut self, notice: &Waiting) -> Result<(), StoreError> {
        let (shared, name) = (&self.shared, self.webhook.name.as_str());
        debug!(
            webhook = name,
            id = notice.id,
            event = notice.event,
            "a notice was taken"
        );
        self.count(notice, Fate::Delivered);
        shared.store.taken(&notice.id, name).await?;
        shared.note_waiting().await;
        if std::mem::take(&mut self.failures) > 0 {
            info!(webhook = name, "the receiver takes notices again");
            shared.store.hurry(name, shared.clock.micros()).await?;
        }
        Ok(())
    }

    async fn failed(&self, notice: &Waiting, rest: Duration) -> Result<(), StoreError> {
        let (shared, name) = (&self.shared, self.webhook.name.as_str());
        self.count(notice, Fate::Failed);
        let age = shared.clock.seconds().saturating_sub(notice.created_at);
        let limit = i64::try_from(shared.settings.give_up_after.as_secs()).unwrap_or(i64::MAX);
        if age < limit {
            return shared
                .store
                .put_off(&notice.id, name, self.after(rest))
                .await;
        }
        warn!(
            webhook = name,
            id = notice.id,
            event = notice.event,
            attempts = notice.attempts,
            "a notice is given up: it has waited too long"
        );
        self.count(notice, Fate::GivenUp);
        shared.store.taken(&notice.id, name).await?;
        shared.note_waiting().await;
        Ok(())
    }

    fn say_failed(&self, notice: &Waiting, sent: &Result<Answered, Unanswered>) {
        let problem = match sent {
            Ok(answer) => meaning(answer.status),
            Err(error) => error.to_string(),
        };
        warn!(
            webhook = %self.webhook.name,
            id = notice.id,
            event = notice.event,
            attempt = notice.attempts,
            problem,
            "a notice was not taken; it is tried again"
        );
    }

    fn store_failed(&self, error: &StoreError) -> Step {
        warn!(webhook = %self.webhook.name, %error, "the outbox does not work");
        Step::Wait(Some(self.after(STORE_REST)))
    }

    fn count(&self, notice: &Waiting, fate: Fate) {
        if let Some(event) = Event::of(&notice.event) {
            self.shared.counts.count(event, fate);
        }
    }

    fn backoff(&self, failures: u32) -> Duration {
        let settings = &self.shared.settings;
        wait(
            settings.retry_delay,
            settings.max_retry_delay,
            failures,
            rand::random(),
        )
    }

    fn after(&self, rest: Duration) -> i64 {
        let rest = i64::try_from(rest.as_micros()).unwrap_or(i64::MAX);
        self.shared.clock.micros().saturating_add(rest)
    }

    fn until(&self, micros: Option<i64>) -> Duration {
        let Some(until) = micros else {
            return LONGEST_SLEEP;
        };
        let left = until.saturating_sub(self.shared.clock.micros()).max(0);
        Duration::from_micros(left.unsigned_abs()).clamp(Duration::from_millis(1), LONGEST_SLEEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_means_one_of_four_things() {
        for (why, status, expected) in [
            ("taken", 200, Meaning::Taken),
            ("taken without a word", 204, Meaning::Taken),
            ("a redirect is never followed", 302, Meaning::Refused),
            ("not this one", 400, Meaning::Refused),
            ("no such address", 404, Meaning::Refused),
            ("slow", 408, Meaning::Trouble),
            ("wants nothing any more", 410, Meaning::Gone),
            ("too many", 429, Meaning::Trouble),
            ("down", 503, Meaning::Trouble),
            ("beyond the known", 599, Meaning::Trouble),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(judge(status), expected, "{why}");
        }
    }
}
