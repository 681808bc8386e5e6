//! LinkedIn's OAuth conversation: the token endpoint's forms, and what its answers mean.
//!
//! The consent page and its code are `code`, who signed in is `userinfo`; every request is one `trip`.
//!
//! **Invariant:** no error holds a byte of the form or of a good answer; an answer is read to 64 KiB
//! and no further; a redirect is never followed.
//! **Neighbours:** `credentials::run` and `credentials::connecting` ask, `dial` connects.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Application, Verdict, grant::TokenAnswer};
use crate::{
    dial::{BaseUrl, Dialer, retry_after},
    secret::Secret,
};

mod code;
mod form;
mod introspection;
mod revocation;
mod trip;
mod userinfo;

pub use code::AuthorizationCode;
pub(super) use code::{CodeFailure, authorization_url};
pub(super) use introspection::Introspected;
pub use introspection::Introspection;
pub(super) use userinfo::{UserInfo, Who};

use form::form;
use trip::{Answered, Broken, Limits};

/// Ten times the longest answer LinkedIn gives.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Of LinkedIn's words, this much is kept for people.
const LONGEST_DESCRIPTION: usize = 200;

/// Why there is no token answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// LinkedIn's word that this refresh token is dead: the only thing that ends a grant.
    Dead,
    /// Our application is at fault (client id, secret, permission): touches no member.
    Misconfigured {
        /// For people.
        reason: String,
    },
    /// LinkedIn wants fewer POSTs of the application (429); nothing was spent.
    Throttled {
        /// For people.
        reason: String,
        /// What LinkedIn asked for.
        retry_after: Option<Duration>,
    },
    /// Time may help.
    Transient {
        /// For people.
        reason: String,
        /// What LinkedIn asked for.
        retry_after: Option<Duration>,
        /// Whether the refresh token may have been spent: nothing came back that says it was not.
        is_open: bool,
    },
}

impl Failure {
    fn open(reason: impl Into<String>) -> Self {
        Self::Transient {
            reason: reason.into(),
            retry_after: None,
            is_open: true,
        }
    }
}

/// The error body of RFC 6749 §5.2, as LinkedIn fills it.
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// What a failed answer means: linkedin.md §1.4 as data, asked by status, error and description.
pub(super) fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let transient = |reason: String| Failure::Transient {
        reason,
        retry_after: retry_after(headers),
        // A status is an answer: below 500 nothing was issued; a 5xx leaves it open.
        is_open: status.is_server_error() || status.is_success(),
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Failure::Throttled {
            reason: "LinkedIn throttles the application: token endpoint answered 429".to_owned(),
            retry_after: retry_after(headers),
        };
    }
    let told = serde_json::from_slice::<ErrorBody>(body).ok();
    let Some(told) = told.filter(|_| status.is_client_error()) else {
        return transient(format!("token endpoint answered {}", status.as_u16()));
    };
    let description = told.error_description.to_ascii_lowercase();
    let reason = match told.error.starts_with("invalid_client") {
        true => format!("{}; ", Verdict::MisconfiguredSecret),
        false => String::new(),
    };
    let reason = format!(
        "{reason}token endpoint answered {} {}: {}",
        status.as_u16(),
        printable(&told.error),
        printable(&told.error_description)
    );
    match (status.as_u16(), told.error.as_str()) {
        (400, "invalid_grant") => Failure::Dead,
        (400, "invalid_request") if description.contains(DEAD) => Failure::Dead,
        (400, "invalid_request") if description.contains(MISSING) => {
            Failure::Misconfigured { reason }
        }
        (401, _) => Failure::Misconfigured { reason },
        (_, error) if error.starts_with("invalid_client") => Failure::Misconfigured { reason },
        (_, "access_denied" | "unauthorized_client" | "unsupported_grant_type") => {
            Failure::Misconfigured { reason }
        }
        // Words nobody has seen yet end no grant.
        _ => transient(reason),
    }
}

/// LinkedIn's text for a dead refresh token (linkedin.md §1.4, first row), lower case.
const DEAD: &str = "refresh token is invalid, expired or revoked";
/// And for a form that lacks a field.
const MISSING: &str = "required parameter";

/// LinkedIn's words, short and on one line.
fn printable(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(LONGEST_DESCRIPTION).collect()
}

/// One LinkedIn, as far as credentials speak to it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) dialer: Dialer,
    pub(super) oauth_url: BaseUrl,
    pub(super) api_url: BaseUrl,
    pub(super) media_url: BaseUrl,
    pub(super) revocation_url: Option<BaseUrl>,
    pub(super) post_time: Duration,
}

impl Endpoint {
    /// Spends a refresh token.
    pub(super) async fn refresh(
        &self,
        application: &Application,
        refresh: &Secret<String>,
    ) -> Result<TokenAnswer, Failure> {
        let form = form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose()),
            ("client_id", &application.client_id),
            ("client_secret", application.client_secret.expose()),
        ]);
        self.post(form).await
    }

    /// Asks for the application's own token.
    pub(super) async fn client_credentials(
        &self,
        application: &Application,
    ) -> Result<TokenAnswer, Failure> {
        let form = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &application.client_id),
            ("client_secret", application.client_secret.expose()),
        ]);
        self.post(form).await
    }

    async fn post(&self, form: Zeroizing<String>) -> Result<TokenAnswer, Failure> {
        let answered = self.ask("/accessToken", form).await.map_err(|broken| {
            let is_open = matches!(broken, Broken::Open(_));
            Failure::Transient {
                reason: broken.reason(),
                retry_after: None,
                is_open,
            }
        })?;
        if answered.status != StatusCode::OK {
            let Answered {
                status,
                headers,
                body,
            } = &answered;
            return Err(classify(*status, headers, body));
        }
        TokenAnswer::parse(&answered.body)
            .map_err(|error| Failure::open(format!("token endpoint answered 200, but {error}")))
    }

    /// Posts a form to `path` below LinkedIn's OAuth base.
    async fn ask(&self, path: &str, form: Zeroizing<String>) -> Result<Answered, Broken> {
        let request = trip::post(&self.oauth_url, path, form)?;
        let limits = Limits {
            time: self.post_time,
            answer_bytes: LONGEST_ANSWER,
        };
        trip::take(&self.dialer, &self.oauth_url, request, limits).await
    }
}

#[cfg(test)]
mod tests;
