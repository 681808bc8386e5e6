//! THE MEMBERS' CREDENTIALS: two questions, [`Credentials::token`] and [`Credentials::renew`].
//!
//! The path asks, the house renews. A renewal is one *flight* per member: a task of the house that
//! no caller can cancel (`flight` decides its steps, `run` takes them, `refresher` starts it).
//!
//! **Invariant:** a refresh token is spent only after that intent is on disk, and what LinkedIn
//! answers is kept until it is saved; nothing here asks LinkedIn on the path's own thread.
//! **Neighbours:** `proxy::authorize` (the path), `app` (start, drain), the control socket
//! (management).

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use http::HeaderValue;
use tokio::runtime::Handle;

use crate::{
    clock::Clock,
    dial::{BaseUrl, Dialer},
    exchange::{Member, Name},
    keyring::{DataKey, Fingerprint, KeyRing, LiveSecrets},
    metrics::Shard,
    secret::Secret,
    store::{GrantStore, StoreError},
};

mod cache;
mod connecting;
mod cooling;
mod disconnecting;
mod flight;
mod forecast;
mod grant;
mod identity;
mod importing;
mod investigating;
mod listing;
mod management;
mod notices;
mod oauth;
mod opening;
mod profile;
mod recovery;
mod refresher;
mod rotation;
mod run;
mod scheduler;
mod sealing;
mod shared;
mod uses;
mod verdict;

pub use connecting::ConnectError;
pub use disconnecting::Revocation;
pub use forecast::{Backlog, Forecast, Foreseen, Place, Window};
pub use grant::{BadAnswer, EndsBecause};
pub use listing::{Page, Wanted};
pub use management::{GrantState, GrantSummary, ManageError, RenewalOutcome};
pub use notices::{Failing, Notice};
pub use oauth::{AuthorizationCode, Introspection};
pub use profile::{Portrait, Profile};
pub use rotation::{RotateError, Rotated};
pub use verdict::Verdict;

use cache::Looked;
use grant::{Grant, State};
use refresher::{Goal, UnderWay};
use scheduler::By;
use shared::{Shared, never_signed_in};

/// One LinkedIn developer application.
#[derive(Clone, Debug)]
pub struct Application {
    /// The operator's name for it.
    pub name: Name,
    /// LinkedIn's client id.
    pub client_id: String,
    /// LinkedIn's client secret.
    pub client_secret: Secret<String>,
    /// What members are asked for, all at once; none: nobody signs in for this application.
    pub scopes: Vec<String>,
    /// Whether LinkedIn has switched on PKCE for native clients (linkedin.md §1.6): a verifier then
    /// takes the client secret's place, and redirects go to loopback addresses only.
    pub native_pkce: bool,
}

/// How credentials are kept and renewed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The applications; the first is the default.
    pub applications: Vec<Application>,
    /// Base of LinkedIn's OAuth endpoints: `accessToken` lives below it.
    pub oauth_url: BaseUrl,
    /// Base of LinkedIn's API: who signed in is asked there.
    pub api_url: BaseUrl,
    /// Where LinkedIn's portraits lie; one that lies elsewhere is not fetched.
    pub media_url: BaseUrl,
    /// Where a disconnected member's tokens are given up; LinkedIn documents no such place.
    pub revocation_url: Option<BaseUrl>,
    /// Share of an access token's life at whose start renewal begins (0.1: the last tenth).
    pub ahead_share: f64,
    /// How long a new token may be refused by LinkedIn without meaning anything (linkedin.md §1.5).
    pub lag: Duration,
    /// Limit of one POST to the token endpoint.
    pub post_time: Duration,
    /// How long a flight's lease in the store lasts; longer than `post_time`.
    pub lease: Duration,
    /// Renewals under way at once, at most; a quarter of them is for calls that wait for one.
    pub max_concurrent: usize,
    /// Renewals ahead of time that begin in a second, at most, in each application.
    pub max_per_second: u32,
    /// First wait after a failed renewal; doubles up to `max_retry_delay`.
    pub retry_delay: Duration,
    /// Longest wait after failed renewals.
    pub max_retry_delay: Duration,
}

/// An access token, ready for the `Authorization` header. Cheap to clone; prints as its fingerprint.
#[derive(Clone)]
pub struct Token {
    /// `Bearer …`, marked sensitive.
    pub header: HeaderValue,
    /// Names it in records.
    pub fingerprint: Fingerprint,
    /// When LinkedIn issued it, in Unix seconds; none if unknown.
    pub issued_at: Option<i64>,
    /// When it expires, in Unix seconds; none if unknown (then it counts as not expired).
    pub expires_at: Option<i64>,
    /// Whether its grant can be renewed (it has a refresh token, or is the application's own).
    pub is_renewable: bool,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.fingerprint)
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only the member can help: never signed in, revoked, or expired without a refresh token.
    #[error("member must sign in again: {reason}")]
    SignInNeeded {
        /// What an app written for LinkedIn would have been told: 65601 or 65602.
        service_error_code: u32,
        /// One sentence.
        reason: Arc<str>,
    },
    /// Time may help: the token endpoint is down, throttled, or our client secret is refused.
    #[error("renewal is not available: {reason}")]
    TryLater {
        /// When to ask again.
        after: Duration,
        /// One sentence.
        reason: Arc<str>,
    },
}

/// Settings that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// A lease must outlast the POST it protects.
    #[error(
        "the lease ({lease:?}) must last longer than one post to the token endpoint ({post_time:?})"
    )]
    LeaseTooShort {
        /// [`Settings::lease`].
        lease: Duration,
        /// [`Settings::post_time`].
        post_time: Duration,
    },
    /// Not a share.
    #[error("ahead_share must be from 0 to 0.5")]
    AheadShare,
    /// Waits that cannot grow.
    #[error("retry_delay must be above zero and not above max_retry_delay")]
    RetryDelay,
    /// There is nothing to serve.
    #[error("there is no application")]
    NoApplication,
    /// Two applications of one name.
    #[error("application {0} is named twice")]
    ApplicationTwice(Name),
}

/// Why credentials did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings contradict each other.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The store cannot be read and written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Settings {
    /// Checks what must hold between these settings.
    ///
    /// # Errors
    /// [`BadSettings`], the first one found.
    pub fn check(&self) -> Result<(), BadSettings> {
        let (lease, post_time) = (self.lease, self.post_time);
        if lease <= post_time {
            return Err(BadSettings::LeaseTooShort { lease, post_time });
        }
        if !(0.0..=0.5).contains(&self.ahead_share) {
            return Err(BadSettings::AheadShare);
        }
        if self.retry_delay.is_zero() || self.retry_delay > self.max_retry_delay {
            return Err(BadSettings::RetryDelay);
        }
        let mut names = std::collections::HashSet::new();
        for application in &self.applications {
            if !names.insert(&application.name) {
                return Err(BadSettings::ApplicationTwice(application.name.clone()));
            }
        }
        if names.is_empty() {
            return Err(BadSettings::NoApplication);
        }
        Ok(())
    }
}

/// What credentials stand on.
#[derive(Clone, Debug)]
pub struct Foundations {
    /// Where grants rest.
    pub store: Arc<dyn GrantStore>,
    /// What they are sealed with.
    pub ring: KeyRing,
    /// Where secrets are made known to the redaction door.
    pub live: LiveSecrets,
    /// The time of day, for expiry.
    pub clock: Clock,
    /// The way to the token endpoint.
    pub dialer: Dialer,
    /// Where renewals are counted.
    pub metrics: Arc<Shard>,
    /// The runtime on which renewals run.
    pub house: Handle,
}

/// The members' credentials. Cheap to clone; may be asked from any thread.
#[derive(Clone)]
pub struct Credentials(Arc<Shared>);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} under way)", self.0.flights.count())
    }
}

/// What a caller of [`Credentials::renew`] gets: at once, or from a flight.
enum Way {
    AtOnce(Token),
    ByFlight(Goal),
}

impl Credentials {
    /// Loads all grants, completes what a crash left half done, and begins to serve.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(settings: Settings, on: Foundations) -> Result<Self, StartError> {
        let shared = recovery::shared(settings, on)?;
        recovery::load(&shared).await?;
        if let Err(error) = rotation::resume(&shared).await {
            // What is sealed opens all the same; the next start, or command, goes on.
            tracing::warn!(%error, "a rotation of the master key that was cut short is not complete");
        }
        let watching: Weak<Shared> = Arc::downgrade(&shared);
        let changes = shared.store.changes();
        shared.house.spawn(recovery::follow(watching, changes));
        Ok(Self(shared))
    }

    /// Returns the member's token if one is usable now; none means [`Credentials::renew`] must be
    /// awaited first. Never waits. A token in the last `ahead_share` of its life is returned and
    /// renewed in the background; after such a renewal the old one is returned until the new one is
    /// proven or LinkedIn's lag is over.
    ///
    /// # Errors
    /// [`Refused::SignInNeeded`] when only the member can help; [`Refused::TryLater`] while a
    /// failed renewal cools down and the token is expired.
    pub fn token(&self, member: &Member) -> Result<Option<Token>, Refused> {
        self.token_at(member, self.0.now())
    }

    /// The same for who has just looked at the clock; `now` in Unix seconds.
    ///
    /// # Errors
    /// As [`Credentials::token`].
    pub fn token_at(&self, member: &Member, now: i64) -> Result<Option<Token>, Refused> {
        match self.0.cache.look(member, now) {
            Some(Looked::Usable { token, is_to_renew }) => {
                if is_to_renew {
                    self.renew_ahead(member, &token);
                }
                Ok(Some(token))
            }
            Some(Looked::Unusable(grant)) if !grant.is_renewable(now) => {
                Err(self.0.sign_in_needed(&grant))
            }
            None if !self.may_mint(member) => Err(never_signed_in()),
            _ => match self.0.cooling.of(member) {
                Some(refused) if !self.0.flights.is_under_way(member) => Err(refused),
                _ => Ok(None),
            },
        }
    }

    /// Whether `member` means the own token of an application that is configured.
    fn may_mint(&self, member: &Member) -> bool {
        member.name.is_none() && self.0.applications.contains_key(&member.application)
    }

    fn renew_ahead(&self, member: &Member, token: &Token) {
        // If it cannot begin now, the scheduler begins it later.
        scheduler::begin(&self.0, member, &token.fingerprint, By::Call);
    }

    /// From now on renews every grant ahead of its end, though nobody calls, until
    /// [`Credentials::drain`], keeps in the store when each was last used, and looks once whether all open.
    pub fn keep_fresh(&self) {
        let watching = Arc::downgrade(&self.0);
        self.0.house.spawn(scheduler::run(Weak::clone(&watching)));
        self.0
            .house
            .spawn(opening::look_through(Weak::clone(&watching)));
        self.0.house.spawn(uses::keep(watching));
    }

    /// Returns a token other than `rejected`, waiting for the renewal under way or starting one.
    ///
    /// If the cache already holds another token, that is the answer and nothing is renewed.
    /// Dropping the future stops the waiting, never the renewal.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn renew(&self, member: &Member, rejected: Option<&Token>) -> Result<Token, Refused> {
        let rejected = rejected.map(|token| &token.fingerprint);
        if let Some(rejected) = rejected {
            self.0.cache.refused(member, rejected);
        }
        // A flight that was already ending may have told of the very token that was refused since.
        for _ in 0..2 {
            let goal = match self.way(member, rejected)? {
                Way::AtOnce(token) => return Ok(token),
                Way::ByFlight(goal) => goal,
            };
            let flight = refresher::join(&self.0, member, goal);
            let token = refresher::wait(flight.clone()).await?;
            if Some(&token.fingerprint) != rejected {
                return Ok(token);
            }
            refresher::gone(flight, run::SOON).await;
        }
        Err(Refused::TryLater {
            after: run::SOON,
            reason: "LinkedIn refused a token that is not yet saved".into(),
        })
    }

    fn way(&self, member: &Member, rejected: Option<&Fingerprint>) -> Result<Way, Refused> {
        let now = self.0.now();
        let Some(grant) = self.0.cache.grant(member) else {
            return match self.may_mint(member) {
                true => self.by_flight(member, rejected.cloned(), rejected.is_some()),
                false => Err(never_signed_in()),
            };
        };
        let current = &grant.access.fingerprint;
        let is_refused = rejected == Some(current);
        if grant.is_usable(now) && !is_refused {
            return Ok(Way::AtOnce(grant.access.clone()));
        }
        if is_refused
            && self
                .0
                .cache
                .may_lag(member, current, now, self.0.settings.lag)
        {
            return Err(Refused::TryLater {
                after: run::SOON,
                reason: "LinkedIn does not know the new token yet".into(),
            });
        }
        if grant.is_renewable(now) {
            return self.by_flight(member, Some(current.clone()), is_refused);
        }
        match is_refused && grant.is_usable(now) {
            true => Err(self.end(member, &grant)),
            false => Err(self.0.sign_in_needed(&grant)),
        }
    }

    fn by_flight(
        &self,
        member: &Member,
        replaced: Option<Fingerprint>,
        is_refused: bool,
    ) -> Result<Way, Refused> {
        let goal = Goal {
            replaced,
            is_refused,
        };
        if self.0.flights.is_under_way(member) {
            return Ok(Way::ByFlight(goal));
        }
        self.0
            .cooling
            .claim(member)
            .map_or(Ok(Way::ByFlight(goal)), Err)
    }

    /// LinkedIn refused the token of a grant that cannot be renewed: later calls are answered here.
    fn end(&self, member: &Member, grant: &Grant) -> Refused {
        let ended = grant.ended(State::AccessRefused, self.0.now());
        let refused = self.0.sign_in_needed(&ended);
        self.0.cache.publish(member, ended.clone());
        let (shared, member) = (Arc::clone(&self.0), member.clone());
        let counted = UnderWay::new(&shared);
        self.0.house.spawn(async move {
            let _counted = counted;
            recovery::save_end(&shared, &member, &ended).await;
        });
        refused
    }

    /// The token before `token`, while it is neither expired nor refused: LinkedIn may lag behind a
    /// renewal, and the old token stays good until the new one is proven.
    pub fn previous(&self, member: &Member, token: &Token) -> Option<Token> {
        let (now, lag) = (self.0.now(), self.0.settings.lag);
        self.0.cache.previous(member, token, now, lag)
    }

    /// How long LinkedIn may refuse a new token without meaning anything: `renewal.lag_secs`.
    pub fn lag(&self) -> Duration {
        self.0.settings.lag
    }

    /// Notes that LinkedIn took `token` at least once.
    pub fn proven(&self, member: &Member, token: &Token) {
        self.0.cache.proven(member, token);
    }

    /// Whether there is a grant for `member`, whatever its state.
    pub fn knows(&self, member: &Member) -> bool {
        self.0.cache.knows(member) || self.may_mint(member)
    }

    /// LinkedIn's URN of the member, where known.
    pub fn urn(&self, member: &Member) -> Option<Arc<str>> {
        self.0.cache.grant(member)?.urn.clone()
    }

    /// The client id of an application.
    pub fn client_id(&self, application: &Name) -> Option<Arc<str>> {
        let known = self.0.applications.get(application)?;
        Some(Arc::clone(&known.client_id))
    }

    /// The application that is meant where none is named.
    pub fn default_application(&self) -> &Name {
        &self.0.default_application
    }

    /// The member's data key (the application's where `name` is none), for sealing bodies.
    pub fn data_key(&self, member: &Member) -> Option<DataKey> {
        self.0.sealing.data_key(member)
    }
}

#[cfg(test)]
mod tests;
