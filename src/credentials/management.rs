//! What operators do with grants: bring in, look at, renew. Logging out is `disconnecting`.
//!
//! **Invariant:** nothing that leaves here holds a secret; a change is in force and on disk when the
//! call returns.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{
    Application, BadAnswer, Credentials, Refused, Verdict, forecast,
    grant::{Grant, Outline, State, Terms, TokenAnswer},
    identity::{self, NotKept, Unknown},
    refresher::{self, Goal},
    run, uses,
};
use crate::{
    exchange::{Member, Name},
    store::StoreError,
};

/// How a grant stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// Its token is used.
    Fresh,
    /// Its token is used, and renewal is due.
    Stale,
    /// A renewal is under way.
    Renewing,
    /// Its token is over; the next call renews it.
    Expired,
    /// The last renewal failed; the next one waits.
    RetryLater,
    /// Only the member can help.
    SignInNeeded,
}

impl GrantState {
    /// All states, in the order of a grant's life.
    pub const ALL: [Self; 6] = [
        Self::Fresh,
        Self::Stale,
        Self::Renewing,
        Self::Expired,
        Self::RetryLater,
        Self::SignInNeeded,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Renewing => "renewing",
            Self::Expired => "expired",
            Self::RetryLater => "retry_later",
            Self::SignInNeeded => "sign_in_needed",
        }
    }
}

impl GrantState {
    /// Whether a renewal that is due still waits.
    pub(super) fn awaits_renewal(self) -> bool {
        matches!(self, Self::Stale | Self::Expired | Self::RetryLater)
    }
}

/// How the last renewal of a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewalOutcome {
    /// There is a new token.
    Renewed,
    /// It may work later.
    Failed,
    /// LinkedIn called the refresh token dead.
    Refused,
}

impl RenewalOutcome {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// What is asked once for a look at many grants.
pub(super) struct Asked {
    pub(super) now: i64,
    pub(super) is_flying: bool,
    pub(super) is_cooling: bool,
}

/// A grant as operators and support see it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantSummary {
    /// The member's name; none for the application's own token.
    pub name: Option<String>,
    /// The application.
    pub application: String,
    /// LinkedIn's URN of the member.
    pub urn: Option<String>,
    /// How it stands.
    pub state: GrantState,
    /// Why, where that is not plain from the state.
    pub reason: Option<String>,
    /// When the access token expires; none if unknown.
    pub access_expires_at: Option<i64>,
    /// When the refresh token expires; none if unknown or there is none.
    pub refresh_expires_at: Option<i64>,
    /// Whether it can be renewed without the member.
    pub renewable: bool,
    /// What LinkedIn granted.
    pub scopes: Vec<String>,
    /// Whole days the access token still lives, 0 on its last one and after; none if unknown.
    pub access_days_left: Option<i64>,
    /// The same of the refresh token.
    pub refresh_days_left: Option<i64>,
    /// When the member drops out unless he or she signs in again; none if unknown, and for an
    /// application's own token, which never does.
    pub ends_at: Option<i64>,
    /// When it was last renewed.
    pub last_renewal: Option<i64>,
    /// When a renewal was last tried, as far as is known since the start.
    pub last_attempt: Option<i64>,
    /// How that ended.
    pub last_outcome: Option<RenewalOutcome>,
    /// Why it failed.
    pub last_failure: Option<String>,
    /// When a call last used it.
    pub last_used: Option<i64>,
    /// When a renewal began whose end a crash hid; none if all is known.
    pub unconfirmed_since: Option<i64>,
    /// Names the access token in records.
    pub fingerprint: String,
    /// The member's name as LinkedIn gave it at sign-in.
    pub full_name: Option<String>,
    /// Why it ended, where LinkedIn was asked. In JSON `verdict` is its sentence, `verdict_kind` its
    /// word.
    #[serde(flatten, serialize_with = "sentence_and_word")]
    pub verdict: Option<Verdict>,
    /// What an operator should know of the change that was just made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

fn sentence_and_word<S: Serializer>(
    verdict: &Option<Verdict>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_map(Some(2))?;
    let verdict = verdict.as_ref();
    fields.serialize_entry("verdict", &verdict.map(ToString::to_string))?;
    fields.serialize_entry("verdict_kind", &verdict.map(Verdict::kind))?;
    fields.end()
}

/// Why a change was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ManageError {
    /// It is not in the configuration.
    #[error("application {0} is not configured")]
    UnknownApplication(Name),
    /// There is no such grant.
    #[error("there is no grant for {0}")]
    UnknownMember(Member),
    /// An application's own token is minted, never brought in or disconnected.
    #[error("an application's own token is made on first use")]
    ApplicationsOwn,
    /// The text is not what the token endpoint answers.
    #[error("token answer: {0}")]
    BadAnswer(#[from] BadAnswer),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// LinkedIn says that it is worth nothing.
    #[error("not taken: {0}")]
    NotTaken(Verdict),
    /// LinkedIn did not say what a token is.
    #[error("LinkedIn did not say: {0}")]
    NotTold(String),
    /// The name belongs to another LinkedIn member.
    #[error(
        "the token is another LinkedIn member's than the one {0} was so far; disconnect {0} first"
    )]
    AnotherMember(Member),
    /// The LinkedIn member has another name for this application.
    #[error("the token's LinkedIn member is {0} already; disconnect that name first, or use it")]
    AlreadyNamed(Member),
    /// The renewal failed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The process is ending, or a bug.
    #[error("it broke off; look whether it was done")]
    BrokeOff,
}

impl ManageError {
    pub(super) fn not_kept(why: NotKept, member: &Member) -> Self {
        match why {
            NotKept::AnotherMember | NotKept::Unverified => Self::AnotherMember(member.clone()),
            NotKept::AlreadyNamed(other) => Self::AlreadyNamed(other),
            NotKept::Store(error) => Self::Store(error),
        }
    }
}

impl Credentials {
    /// The application, if tokens may be brought in for this member.
    pub(super) fn importable(&self, member: &Member) -> Result<&Application, ManageError> {
        if member.name.is_none() {
            return Err(ManageError::ApplicationsOwn);
        }
        let known = self.0.applications.get(&member.application);
        let known =
            known.ok_or_else(|| ManageError::UnknownApplication(member.application.clone()))?;
        Ok(&known.application)
    }

    /// Takes in what LinkedIn's token endpoint answered for `member`, over whatever was there, on the
    /// asker's word: LinkedIn is not asked ([`Credentials::take_over`] does that).
    ///
    /// # Errors
    /// [`ManageError`]; nothing has changed then.
    pub async fn import(&self, member: &Member, json: &str) -> Result<GrantSummary, ManageError> {
        let shared = &self.0;
        self.importable(member)?;
        let answer = TokenAnswer::parse(json.as_bytes())?;
        let terms = Terms {
            now: shared.now(),
            live: &shared.live,
            is_issued_now: false,
            is_applications_own: false,
        };
        let mut grant = answer.grant(None, &terms);
        identity::keep(shared, member, &mut grant, Unknown::Trusted)
            .await
            .map_err(|why| ManageError::not_kept(why, member))?;
        self.show(member)
    }

    /// All grants, in order of application and name.
    pub fn list(&self) -> Vec<GrantSummary> {
        let all = self.0.cache.all();
        all.iter()
            .map(|(member, grant)| self.summary(member, grant))
            .collect()
    }

    /// One grant.
    ///
    /// # Errors
    /// [`ManageError::UnknownMember`].
    pub fn show(&self, member: &Member) -> Result<GrantSummary, ManageError> {
        let unknown = || ManageError::UnknownMember(member.clone());
        let grant = self.0.cache.outline(member).ok_or_else(unknown)?;
        Ok(self.summary(member, &grant))
    }

    /// Renews a grant now, whatever is left of its life and however the last renewal went.
    ///
    /// # Errors
    /// [`ManageError::UnknownMember`], [`ManageError::Refused`].
    pub async fn renew_now(&self, member: &Member) -> Result<GrantSummary, ManageError> {
        let grant = self.0.cache.grant(member);
        if let Some(grant) = &grant
            && !grant.is_renewable(self.0.now())
        {
            return Err(self.cannot_renew(grant).into());
        }
        if grant.is_none() && !self.may_mint(member) {
            return Err(ManageError::UnknownMember(member.clone()));
        }
        let goal = Goal {
            replaced: grant.map(|grant| grant.access.fingerprint.clone()),
            is_refused: false,
        };
        self.0.cooling.lift(member);
        let flight = refresher::join(&self.0, member, goal.clone());
        let token = refresher::wait(flight.clone()).await?;
        if goal.replaced.as_ref() == Some(&token.fingerprint) {
            // That flight was ending when it was joined.
            refresher::gone(flight, run::SOON).await;
            refresher::wait(refresher::join(&self.0, member, goal)).await?;
        }
        self.show(member)
    }

    fn cannot_renew(&self, grant: &Grant) -> Refused {
        match grant.state == State::Live && grant.refresh.is_none() {
            true => Refused::SignInNeeded {
                service_error_code: 65602,
                reason: "there is no refresh token".into(),
            },
            false => self.0.sign_in_needed(grant),
        }
    }

    /// Renewals and saves under way.
    pub fn flights_under_way(&self) -> usize {
        self.0.flights.count()
    }

    /// Begins no more renewals of its own accord, and resolves once every renewal and save under way
    /// has ended and last uses are kept. Bound it: a store that never works again never ends.
    pub async fn drain(&self) {
        self.0.ahead.close();
        uses::flush(&self.0).await;
        self.0.flights.landed().await;
    }

    /// Whether everything that is served is saved, and the store takes what it is given.
    pub fn is_store_healthy(&self) -> bool {
        self.0.health.is_good()
    }

    pub(super) fn asked(&self) -> Asked {
        Asked {
            now: self.0.now(),
            is_flying: self.0.flights.count() > 0,
            is_cooling: !self.0.cooling.is_empty(),
        }
    }

    fn reason(&self, member: &Member, grant: &Grant, state: GrantState) -> Option<Arc<str>> {
        let refused = match state {
            GrantState::SignInNeeded => Some(self.0.sign_in_needed(grant)),
            GrantState::RetryLater => self.0.cooling.of(member),
            _ => None,
        };
        refused.map(|refused| match refused {
            Refused::SignInNeeded { reason, .. } | Refused::TryLater { reason, .. } => reason,
        })
    }

    /// When a renewal was last tried, how that ended, and why it failed.
    fn last_attempt(
        &self,
        member: &Member,
        grant: &Grant,
    ) -> Option<(i64, RenewalOutcome, Option<String>)> {
        if let Some(failed) = self.0.cooling.last_attempt(member) {
            let reason = failed.reason.as_ref().to_owned();
            return Some((failed.at, RenewalOutcome::Failed, Some(reason)));
        }
        match (grant.state, &grant.refresh) {
            (state, Some(_)) if state != State::Live => {
                let at = grant.ended_at?;
                Some((at, RenewalOutcome::Refused, None))
            }
            _ => Some((grant.renewed_at?, RenewalOutcome::Renewed, None)),
        }
    }

    pub(super) fn summary(&self, member: &Member, grant: &Outline) -> GrantSummary {
        let asked = self.asked();
        let now = asked.now;
        let is_due = self.0.cache.is_due(member, now);
        let state = self.standing(member, grant.facts(), is_due, &asked);
        let reason = self.reason(member, grant, state);
        let (last_attempt, last_outcome, last_failure) = match self.last_attempt(member, grant) {
            Some((at, outcome, reason)) => (Some(at), Some(outcome), reason),
            None => (None, None, None),
        };
        let days = |end: Option<i64>| end.map(|end| forecast::days_left(end, now));
        let unconfirmed = self.0.unconfirmed.get(member);
        let profile = grant.profile.as_ref();
        GrantSummary {
            name: member.name.as_ref().map(|name| name.as_str().to_owned()),
            application: member.application.as_str().to_owned(),
            urn: grant.urn.as_deref().map(str::to_owned),
            state,
            reason: reason.as_deref().map(str::to_owned),
            access_expires_at: grant.access.expires_at,
            refresh_expires_at: grant.refresh_expires_at,
            access_days_left: days(grant.access.expires_at),
            refresh_days_left: days(grant.refresh_expires_at),
            ends_at: member.name.as_ref().and_then(|_| grant.end().0),
            last_attempt,
            last_outcome,
            last_failure,
            renewable: grant.is_renewable(now),
            scopes: grant.scopes.clone(),
            last_renewal: grant.renewed_at,
            last_used: self.0.cache.used_at(member),
            unconfirmed_since: unconfirmed.map(|at| *at),
            fingerprint: grant.access.fingerprint.to_string(),
            full_name: profile.and_then(|profile| profile.name.clone()),
            verdict: grant.verdict.clone(),
            remarks: Vec::new(),
        }
    }
}
