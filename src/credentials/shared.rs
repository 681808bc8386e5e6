//! What the front door, the flights and the recovery share.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use dashmap::DashMap;
use time::OffsetDateTime;
use tokio::{runtime::Handle, sync::watch};
use tracing::warn;

use super::{
    Application, Refused, Settings,
    cache::{Cache, OtherThere, Resting},
    cooling::Cooling,
    forecast::Census,
    grant::{Grant, State},
    investigating::Asked,
    oauth::Endpoint,
    refresher::Flights,
    scheduler::{Ahead, Planned},
    sealing::Sealing,
    verdict::Context,
};
use crate::{
    clock::Clock,
    exchange::{Member, Name},
    keyring::{LiveSecrets, Unsealable},
    metrics::Shard,
    store::{GrantStore, Pending, Row},
};

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) applications: HashMap<Name, Known>,
    pub(super) default_application: Name,
    pub(super) store: Arc<dyn GrantStore>,
    pub(super) sealing: Arc<Sealing>,
    pub(super) live: LiveSecrets,
    pub(super) clock: Clock,
    pub(super) endpoint: Endpoint,
    pub(super) metrics: Arc<Shard>,
    pub(super) house: Handle,
    /// Names this process in leases.
    pub(super) owner: Arc<str>,
    pub(super) cache: Cache,
    pub(super) ahead: Ahead,
    pub(super) cooling: Cooling,
    pub(super) flights: Flights,
    pub(super) census: Census,
    pub(super) health: Health,
    /// Members whose last renewal was cut short, with when it began.
    pub(super) unconfirmed: DashMap<Member, i64>,
    /// Told of every disconnected member.
    pub(super) logouts: watch::Sender<()>,
    /// What LinkedIn said of tokens lately.
    pub(super) asked: Asked,
    /// Held while it is looked up whose a name is, until that is saved; and while one is disconnected.
    pub(super) naming: tokio::sync::Mutex<()>,
}

/// An application, with what is asked often at hand.
pub(super) struct Known {
    pub(super) application: Application,
    pub(super) client_id: Arc<str>,
}

impl Shared {
    pub(super) fn now(&self) -> i64 {
        self.clock.seconds()
    }

    /// Serves what the store holds; a token that is two renewals old is nobody's secret any more.
    ///
    /// A disconnect may have come between the read and this: it destroys the data key before it
    /// clears the cache, so whoever finds no key afterwards takes the grant out again.
    pub(super) fn serve(&self, member: &Member, grant: Grant) {
        if let Some(old) = self.cache.publish(member, grant) {
            self.live.remove(&old);
        }
        if self.sealing.known(member).is_none() {
            self.cache.forget(member);
        }
    }

    /// The same of what the start found, which is opened when it is asked for. In memory the member has the name that
    /// the data keys have already. Gives what is to be planned.
    pub(super) fn rest(&self, member: &Member, row: &Row) -> Result<Option<Planned>, Unsealable> {
        let member = self.sealing.known(member).ok_or(Unsealable)?;
        let resting = Arc::new(Resting::new(&member, row).ok_or(Unsealable)?);
        match self.cache.rest(member.clone(), resting, row.used_at) {
            Ok(_) if self.sealing.known(&member).is_none() => {
                self.cache.forget(&member);
                Ok(None)
            }
            Ok(planned) => Ok(planned),
            Err(OtherThere) => {
                self.serve(&member, self.sealing.grant(&member, row)?);
                Ok(None)
            }
        }
    }

    /// Says once that nobody knows the answer to a renewal, and what `then` follows from it.
    pub(super) fn report_unconfirmed(&self, member: &Member, pending: &Pending, then: &str) {
        let known = self.unconfirmed.insert(member.clone(), pending.begun_at);
        if known != Some(pending.begun_at) {
            let (number, begun_at) = (pending.number, pending.begun_at);
            warn!(%member, number, begun_at, "unconfirmed renewal: {then}");
        }
    }

    /// What a verdict on one of the member's tokens is measured by.
    pub(super) fn context(&self, member: &Member) -> Context {
        let known = self.applications.get(&member.application);
        Context {
            now: self.now(),
            lag: self.settings.lag,
            client_id: known.map_or_else(|| "".into(), |known| Arc::clone(&known.client_id)),
        }
    }

    /// Why no token of `grant` can be used and none can be had.
    pub(super) fn sign_in_needed(&self, grant: &Grant) -> Refused {
        let now = self.now();
        let (service_error_code, what) = match grant.state {
            State::AccessRefused => (65601, ended("LinkedIn refused the token", grant.ended_at)),
            State::RefreshRefused => (
                65602,
                ended("LinkedIn refused the refresh token", grant.ended_at),
            ),
            State::RenewalLost => (65602, ended(CUT_SHORT, grant.ended_at)),
            State::RenewalLostAccessRefused => (65601, ended(CUT_SHORT, grant.ended_at)),
            State::Live if grant.refresh.is_some() && grant.is_refresh_over(now) => (
                65602,
                ended("the refresh token expired", grant.refresh_expires_at),
            ),
            State::Live => (
                65602,
                ended(
                    "the token expired and cannot be renewed: there is no refresh token; it ended",
                    grant.access.expires_at,
                ),
            ),
        };
        let reason = match &grant.verdict {
            Some(verdict) => format!("{what}: {verdict}"),
            None => what,
        };
        Refused::SignInNeeded {
            service_error_code,
            reason: reason.into(),
        }
    }
}

const CUT_SHORT: &str = "a renewal was cut short by a crash or a lost answer, and LinkedIn refused \
    the refresh token when it was tried once more";

/// For a member of whom nothing is known.
pub(super) fn never_signed_in() -> Refused {
    Refused::SignInNeeded {
        service_error_code: 65601,
        reason: "never signed in".into(),
    }
}

fn ended(what: &str, at: Option<i64>) -> String {
    match at {
        Some(at) => format!("{what} on {}", day(at)),
        None => what.to_owned(),
    }
}

/// The UTC day of a time in Unix seconds.
pub(super) fn day(at: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(at);
    date.map_or_else(|_| at.to_string(), |date| date.date().to_string())
}

/// Whether the store takes what it is given.
#[derive(Debug, Default)]
pub(super) struct Health {
    unsaved: AtomicUsize,
    is_failing: AtomicBool,
}

impl Health {
    pub(super) fn is_good(&self) -> bool {
        self.unsaved.load(Ordering::Relaxed) == 0 && !self.is_failing()
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Notes how a write went; returns whether that changed anything.
    pub(super) fn note(&self, worked: bool) -> bool {
        self.is_failing.swap(!worked, Ordering::Relaxed) == worked
    }
}

/// A grant that is served and not saved, while this lives.
pub(super) struct Unsaved(Arc<Shared>);

impl Unsaved {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.health.unsaved.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Unsaved {
    fn drop(&mut self) {
        self.0.health.unsaved.fetch_sub(1, Ordering::Relaxed);
    }
}
