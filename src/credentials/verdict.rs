//! Why a token does not work, in one sentence.
//!
//! **Invariant:** a verdict names no secret, and blames nobody on doubt: what LinkedIn does not say is
//! [`Verdict::Unknown`].
//! **Neighbours:** kept beside the grant it is about; shown by everything that shows a grant.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::shared::day;

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
    TokenVerification,
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
            Self::TokenVerification => "token_verification",
            Self::Unknown => "unknown",
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
                "LinkedIn refused a token that it calls active itself: the fault is LinkedIn's",
            ),
            Self::TokenVerification => f.write_str(
                "LinkedIn answered 500 because it could not verify the token; the member must sign in again",
            ),
            Self::Unknown => f.write_str("LinkedIn gave no reason that explains it"),
        }
    }
}
