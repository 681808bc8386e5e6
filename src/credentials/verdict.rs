//! Why a token does not work, in one sentence.
//!
//! **Invariant:** a verdict names no secret, and blames nobody on doubt: what LinkedIn does not say is
//! [`Verdict::Unknown`].
//! **Neighbours:** kept beside the grant it is about; shown by everything that shows a grant.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    grant::State,
    oauth::{Introspected, Introspection},
    shared::day,
};

/// What a verdict is measured by.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// Unix seconds.
    pub(super) now: i64,
    /// How long a new token may be refused without meaning anything (linkedin.md §1.5).
    pub(super) lag: Duration,
    /// Our application's.
    pub(super) client_id: Arc<str>,
}

impl Context {
    /// Whether LinkedIn may lag behind its own issuing of this token.
    pub(super) fn is_young(&self, told: &Introspection) -> bool {
        let lag = i64::try_from(self.lag.as_secs()).unwrap_or(i64::MAX);
        let age = told.created_at.map(|at| self.now.saturating_sub(at));
        // One that tells a time to come by more than that tells no age at all.
        age.is_some_and(|age| age.abs() < lag)
    }
}

/// What is so. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// The token's time is over.
    Expired {
        /// Since when.
        at: Option<i64>,
    },
    /// The member took back what was granted.
    Revoked {
        /// When we noticed; when it happened LinkedIn does not say.
        noticed_at: i64,
    },
    /// The token is good; what was asked for needs more than was granted.
    ScopeMissing {
        /// What was granted, one space apart.
        granted: String,
    },
    /// The token was issued to another LinkedIn application.
    OtherApplication,
    /// LinkedIn has restricted the member's account.
    RestrictedMember,
    /// LinkedIn does not know our client id and secret.
    MisconfiguredSecret,
    /// LinkedIn refused a token that its own introspection calls active.
    RefusedThoughIssued,
    /// LinkedIn answered 500 because it could not verify the token (linkedin.md §3.5).
    TokenVerification {
        /// What it calls the token itself: `expired` or `revoked`.
        status: String,
    },
    /// LinkedIn does not know such a token.
    NotKnown,
    /// LinkedIn could not be asked, or said nothing that explains it.
    Unknown,
}

impl Verdict {
    /// The word that programs see.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            Self::Revoked { .. } => "revoked",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::OtherApplication => "other_application",
            Self::RestrictedMember => "restricted_member",
            Self::MisconfiguredSecret => "misconfigured_secret",
            Self::RefusedThoughIssued => "refused_though_issued",
            Self::TokenVerification { .. } => "token_verification",
            Self::NotKnown => "not_known",
            Self::Unknown => "unknown",
        }
    }

    /// Why a call with a token was answered 401 or 500.
    pub(super) fn of_call(told: &Introspected, status: u16, context: &Context) -> Self {
        let Introspected::Told(told) = told else {
            return Self::of_silence(told);
        };
        if told.is_foreign(&context.client_id) {
            return Self::OtherApplication;
        }
        match (status, told.active) {
            (401, _) if context.is_young(told) => Self::RefusedThoughIssued,
            (401, true) => Self::RefusedThoughIssued,
            (401, false) => Self::of_inactive(told, context),
            (500, false) => match told.status.as_deref() {
                Some(status @ ("expired" | "revoked")) => Self::TokenVerification {
                    status: status.to_owned(),
                },
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// Why a grant ended: its refresh token was refused, or its access token and nothing renews it.
    pub(super) fn of_end(told: &Introspected, state: State, context: &Context) -> Self {
        match (told, state) {
            (Introspected::Told(told), _)
                if !told.active && !told.is_foreign(&context.client_id) =>
            {
                Self::of_inactive(told, context)
            }
            // The access token is good: of the refresh token LinkedIn says nothing.
            (Introspected::Told(told), State::RefreshRefused | State::RenewalLost)
                if told.active =>
            {
                Self::Unknown
            }
            _ => Self::of_call(told, 401, context),
        }
    }

    fn of_silence(told: &Introspected) -> Self {
        match told {
            Introspected::Misconfigured { .. } => Self::MisconfiguredSecret,
            Introspected::NotKnown => Self::NotKnown,
            _ => Self::Unknown,
        }
    }

    fn of_inactive(told: &Introspection, context: &Context) -> Self {
        match told.status.as_deref() {
            Some("revoked") => Self::Revoked {
                noticed_at: context.now,
            },
            Some("expired") => Self::Expired {
                at: told.expires_at,
            },
            _ => Self::Unknown,
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { at: Some(at) } => write!(f, "the token expired on {}", day(*at)),
            Self::Expired { at: None } => f.write_str("the token expired"),
            Self::Revoked { noticed_at } => write!(
                f,
                "the member revoked the permission at LinkedIn (noticed on {})",
                day(*noticed_at)
            ),
            Self::ScopeMissing { granted } if granted.is_empty() => {
                f.write_str("the token is good, but lacks the scope that this call needs")
            }
            Self::ScopeMissing { granted } => write!(
                f,
                "the token is good, but lacks the scope that this call needs; it has {granted}"
            ),
            Self::OtherApplication => {
                f.write_str("the token belongs to another LinkedIn application")
            }
            Self::RestrictedMember => {
                f.write_str("LinkedIn has restricted this member's account; a new token does not help")
            }
            Self::MisconfiguredSecret => f.write_str(
                "LinkedIn refuses this application's client id or client secret; no member is at fault",
            ),
            Self::RefusedThoughIssued => f.write_str(
                "LinkedIn refused a token that it has just issued, or calls active itself: the fault is LinkedIn's",
            ),
            Self::TokenVerification { status } => write!(
                f,
                "LinkedIn answered 500 because it could not verify the token, which it calls {status}"
            ),
            Self::NotKnown => f.write_str("LinkedIn does not know this token"),
            Self::Unknown => f.write_str("LinkedIn gave no reason that explains it"),
        }
    }
}
