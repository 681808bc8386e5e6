//! What LinkedIn says of a token: `introspectToken` (linkedin.md §2.1).
//!
//! **Invariant:** an answer names no token; what LinkedIn leaves out is unknown and not false, but for
//! `active`, without which nothing is said at all.
//! **Neighbours:** `credentials::investigating` judges by it, `management` shows it.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{
    Answered, Application, Endpoint, Failure, LONGEST_ANSWER, classify, form,
    trip::{self, Limits},
};
use crate::credentials::{Token, grant, grant::split_scopes};

/// What LinkedIn says of a token. Times are Unix seconds of LinkedIn's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Introspection {
    /// Whether LinkedIn takes it.
    pub active: bool,
    /// `active`, `expired` or `revoked`; none where LinkedIn says nothing of a token that is not ours.
    #[serde(default)]
    pub status: Option<String>,
    /// The application it was issued to.
    #[serde(default)]
    pub client_id: Option<String>,
    /// When the member gave the permission.
    #[serde(default)]
    pub authorized_at: Option<i64>,
    /// When it was issued.
    #[serde(default)]
    pub created_at: Option<i64>,
    /// When it expires or expired.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// What was granted.
    #[serde(default, rename(deserialize = "scope"), deserialize_with = "scopes")]
    pub scopes: Vec<String>,
    /// `3L` for a member's, `2L` for an application's own.
    #[serde(default)]
    pub auth_type: Option<String>,
}

fn scopes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| split_scopes(&text)).unwrap_or_default())
}

impl Introspection {
    /// LinkedIn knows the token, and not as one of this application.
    pub fn is_foreign(&self, client_id: &str) -> bool {
        match &self.client_id {
            Some(told) => told != client_id,
            None => !self.active && self.status.is_none(),
        }
    }
}

/// The answer to "what of this token?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::credentials) enum Introspected {
    /// This.
    Told(Introspection),
    /// LinkedIn does not know such a token.
    NotKnown,
    /// LinkedIn refuses our client id or secret.
    Misconfigured {
        /// LinkedIn's words.
        reason: String,
    },
    /// LinkedIn did not say.
    Unavailable {
        /// For people.
        reason: String,
    },
}

impl Endpoint {
    /// Asks once what LinkedIn thinks of a token, for at most `time`.
    pub(in crate::credentials) async fn introspect(
        &self,
        application: &Application,
        token: &Token,
        time: Duration,
    ) -> Introspected {
        let text = String::from_utf8_lossy(grant::text_of(token));
        let form = form(&[
            ("client_id", &application.client_id),
            ("client_secret", application.client_secret.expose()),
            ("token", &text),
        ]);
        let limits = Limits {
            time,
            answer_bytes: LONGEST_ANSWER,
        };
        let answered = match trip::post(&self.oauth_url, "/introspectToken", form) {
            Ok(request) => trip::take(&self.dialer, &self.oauth_url, request, limits).await,
            Err(broken) => Err(broken),
        };
        match answered {
            Ok(answered) => judge(&answered),
            Err(broken) => Introspected::Unavailable {
                reason: broken.reason(),
            },
        }
    }
}

fn judge(answered: &Answered) -> Introspected {
    let reason = format!("introspectToken answered {}", answered.status.as_u16());
    if answered.status == StatusCode::OK {
        return match serde_json::from_slice(&answered.body) {
            Ok(told) => Introspected::Told(told),
            Err(_) => Introspected::Unavailable {
                reason: format!("{reason}, but not what it should"),
            },
        };
    }
    // The errors are the token endpoint's (linkedin.md §1.4); what is left of a 400 is the token.
    match classify(answered.status, &answered.headers, &answered.body) {
        Failure::Misconfigured { reason } => Introspected::Misconfigured { reason },
        _ if answered.status == StatusCode::BAD_REQUEST => Introspected::NotKnown,
        _ => Introspected::Unavailable { reason },
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn told(status: u16, body: &'static str) -> Introspected {
        judge(&Answered {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.into(),
        })
    }

    #[test]
    fn linkedins_sample_is_read_whole() {
        let sample = r#"{"active":true,"client_id":"861hhm46p48to2","authorized_at":1493055596,
            "created_at":1493055596,"status":"active","expires_at":1497497620,
            "scope":"r_basicprofile,w_member_social","auth_type":"3L"}"#;

        let Introspected::Told(told) = told(200, sample) else {
            panic!("not told")
        };

        assert_eq!(told.scopes, ["r_basicprofile", "w_member_social"]);
        assert_eq!(told.expires_at, Some(1_497_497_620));
        assert!(!told.is_foreign("861hhm46p48to2") && told.is_foreign("another"));
    }

    #[test]
    fn a_token_of_another_application_is_known_by_what_is_not_said() {
        let Introspected::Told(told) = told(200, r#"{"active":false}"#) else {
            panic!("not told")
        };
        assert!(told.is_foreign("78"));
    }

    #[test]
    fn refusals_are_told_apart() {
        for (why, status, body, expected) in [
            (
                "the token",
                400,
                r#"{"error":"invalid_request","error_description":"The token is invalid"}"#,
                "NotKnown",
            ),
            ("no words", 400, "", "NotKnown"),
            (
                "our form",
                400,
                r#"{"error":"invalid_request","error_description":"A required parameter \"token\" is missing"}"#,
                "Misconfigured",
            ),
            (
                "our id",
                400,
                r#"{"error":"invalid_client_id","error_description":"x"}"#,
                "Misconfigured",
            ),
            (
                "our secret",
                401,
                r#"{"error":"invalid_client_id","error_description":"Client authentication failed"}"#,
                "Misconfigured",
            ),
            ("throttled", 429, "{}", "Unavailable"),
            ("down", 503, "{}", "Unavailable"),
            ("no json", 200, "<html>", "Unavailable"),
        ] {
            let said = format!("{:?}", told(status, body));
            assert!(said.starts_with(expected), "{why}: {said}");
        }
    }
}
