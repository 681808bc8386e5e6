//! LinkedIn's consent page, and the code that comes back from it (linkedin.md §1.1, §1.2, §1.6).
//!
//! **Invariant:** a code is posted once, with the redirect URI it was asked for, and with a verifier
//! in the client secret's place where there is one.
//! **Neighbours:** `credentials::connecting` asks.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::{Answered, Application, DEAD, Endpoint, ErrorBody, Failure, classify, form, printable};
use crate::{credentials::grant::TokenAnswer, dial::BaseUrl, secret::Secret};

/// What LinkedIn sent a member back with, and what it was asked with.
#[derive(Clone, Debug)]
pub struct AuthorizationCode {
    /// The code; it is good for one exchange within 30 minutes.
    pub code: Secret<String>,
    /// The redirect URI that stood in the authorization URL, letter by letter.
    pub redirect_uri: String,
    /// The PKCE verifier, where the authorization URL had its challenge. It takes the client
    /// secret's place.
    pub verifier: Option<Secret<String>>,
}

/// Why a code gave no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::credentials) enum CodeFailure {
    /// Used before, expired, another redirect URI or verifier: ours, and cured by asking anew.
    Refused { reason: String },
    /// Our application is at fault.
    Misconfigured { reason: String },
    /// LinkedIn wants fewer POSTs of the application (429); the code is lost.
    Throttled {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// Time may help; the code is lost all the same.
    Unavailable {
        reason: String,
        retry_after: Option<Duration>,
    },
}

/// LinkedIn's consent page. With a challenge it is the one for native clients, which lives beside
/// the usual one.
pub(in crate::credentials) fn authorization_url(
    oauth_url: &BaseUrl,
    application: &Application,
    redirect_uri: &str,
    state: &str,
    challenge: Option<&str>,
) -> String {
    let scopes = application.scopes.join(" ");
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", &application.client_id),
        ("redirect_uri", redirect_uri),
        ("state", state),
        ("scope", &scopes),
    ];
    let base = oauth_url.to_string();
    let base = match challenge {
        None => base,
        Some(challenge) => {
            fields.push(("code_challenge", challenge));
            fields.push(("code_challenge_method", "S256"));
            let above = base.strip_suffix("/v2").unwrap_or(&base);
            format!("{above}/native-pkce")
        }
    };
    format!("{base}/authorization?{}", *form(&fields))
}

impl Endpoint {
    /// Spends an authorization code.
    pub(in crate::credentials) async fn code(
        &self,
        application: &Application,
        code: &AuthorizationCode,
    ) -> Result<TokenAnswer, CodeFailure> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.code.expose().as_str()),
            ("client_id", &application.client_id),
            ("redirect_uri", &code.redirect_uri),
        ];
        match &code.verifier {
            Some(verifier) => fields.push(("code_verifier", verifier.expose())),
            None => fields.push(("client_secret", application.client_secret.expose())),
        }
        let unavailable = |reason: String| CodeFailure::Unavailable {
            reason,
            retry_after: None,
        };
        let answered = self.ask("/accessToken", form(&fields)).await;
        let Answered {
            status,
            headers,
            body,
        } = answered.map_err(|broken| unavailable(broken.reason()))?;
        if status != StatusCode::OK {
            return Err(judge(status, &headers, &body));
        }
        TokenAnswer::parse(&body)
            .map_err(|error| unavailable(format!("token endpoint answered 200, but {error}")))
    }
}

/// What stands in LinkedIn's descriptions of a bad code (linkedin.md §1.4), lower case.
const CODE: &str = "unable to retrieve access token";

fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CodeFailure {
    let told = serde_json::from_slice::<ErrorBody>(body).ok();
    let is_refused = told.as_ref().is_some_and(|told| {
        let description = told.error_description.to_ascii_lowercase();
        told.error == "invalid_redirect_uri"
            || description.contains(CODE)
            || description.contains(DEAD)
    });
    let is_final = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
    match (is_refused && is_final, told) {
        (true, Some(told)) => CodeFailure::Refused {
            reason: format!(
                "token endpoint answered {} {}: {}",
                status.as_u16(),
                printable(&told.error),
                printable(&told.error_description)
            ),
        },
        _ => match classify(status, headers, body) {
            Failure::Dead => CodeFailure::Refused {
                reason: format!("token endpoint answered {} invalid_grant", status.as_u16()),
            },
            Failure::Misconfigured { reason } => CodeFailure::Misconfigured { reason },
            Failure::Throttled {
                reason,
                retry_after,
            } => CodeFailure::Throttled {
                reason,
                retry_after,
            },
            Failure::Transient {
                reason,
                retry_after,
                ..
            } => CodeFailure::Unavailable {
                reason,
                retry_after,
            },
        },
    }
}

#[cfg(test)]
mod tests;
