//! Who signed in: `/v2/userinfo` and the portrait it names (linkedin.md §1.7, §9).
//!
//! **Invariant:** a portrait is fetched from `linkedin.media_url` and nowhere else, without a token,
//! and is what its first bytes say it is.
//! **Neighbours:** `credentials::connecting` asks, `credentials::profile` keeps.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::{
    Endpoint, LONGEST_ANSWER,
    trip::{self, Limits},
};
use crate::credentials::{
    Token,
    profile::{LONGEST_PORTRAIT, Portrait, Profile, line},
};

/// Limit of one question, and of the portrait.
const TIME: Duration = Duration::from_secs(5);
/// LinkedIn's `sub` has about ten characters.
const LONGEST_SUB: usize = 128;

/// What LinkedIn says of the member behind a token.
#[derive(Debug)]
pub(in crate::credentials) struct UserInfo {
    /// `urn:li:person:{sub}`.
    pub(in crate::credentials) urn: String,
    /// Name and locale; the portrait is not fetched yet.
    pub(in crate::credentials) profile: Profile,
    /// Where the portrait is.
    pub(in crate::credentials) picture: Option<String>,
}

/// The answer to "who is this?".
#[derive(Debug)]
pub(in crate::credentials) enum Who {
    /// This one.
    Is(Box<UserInfo>),
    /// The application may not know: it has no `openid` and `profile`.
    MayNotKnow,
    /// LinkedIn refused the token.
    Refused {
        /// 65600 or 65601, which LinkedIn also says of a token it has issued a moment ago.
        is_lag_code: bool,
        /// For people.
        reason: String,
    },
    /// LinkedIn did not say.
    Unavailable {
        /// For people.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Told {
    sub: String,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    picture: Option<String>,
    locale: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ErrorCode {
    #[serde(rename = "serviceErrorCode")]
    service_error_code: Option<u32>,
}

impl Endpoint {
    /// Asks once whose token this is.
    pub(in crate::credentials) async fn userinfo(&self, token: &Token) -> Who {
        let limits = Limits {
            time: TIME,
            answer_bytes: LONGEST_ANSWER,
        };
        let answered = match trip::get(&self.api_url, "/v2/userinfo", Some(&token.header)) {
            Ok(request) => trip::take(&self.dialer, &self.api_url, request, limits).await,
            Err(broken) => Err(broken),
        };
        match answered {
            Ok(answered) => who(answered.status, &answered.body),
            Err(broken) => Who::Unavailable {
                reason: broken.reason(),
            },
        }
    }

    /// The portrait at `url`, if it is LinkedIn's, small, and a picture. No portrait is no error.
    pub(in crate::credentials) async fn portrait(&self, url: &str) -> Option<Portrait> {
        let path = media_path(&self.media_url.to_string(), url)?;
        let request = trip::get(&self.media_url, &path, None).ok()?;
        let limits = Limits {
            time: TIME,
            answer_bytes: LONGEST_PORTRAIT,
        };
        let answered = trip::take(&self.dialer, &self.media_url, request, limits).await;
        let answered = answered.ok().filter(|a| a.status == StatusCode::OK)?;
        Portrait::new(answered.body)
    }
}

/// What stands behind `base` in `url`, if `url` is below it.
fn media_path(base: &str, url: &str) -> Option<String> {
    let rest = url.strip_prefix(base)?;
    let rest = rest.split('#').next()?;
    (rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic())).then(|| rest.to_owned())
}

fn who(status: StatusCode, body: &[u8]) -> Who {
    let reason = format!("/v2/userinfo answered {}", status.as_u16());
    match status {
        StatusCode::OK => match known(body) {
            Some(known) => Who::Is(Box::new(known)),
            None => Who::Unavailable {
                reason: format!("{reason}, but not with a member"),
            },
        },
        StatusCode::FORBIDDEN => Who::MayNotKnow,
        StatusCode::UNAUTHORIZED => {
            let code = serde_json::from_slice::<ErrorCode>(body).ok();
            let code = code.and_then(|code| code.service_error_code);
            Who::Refused {
                is_lag_code: matches!(code, Some(65600 | 65601)),
                reason: match code {
                    Some(code) => format!("{reason} {code}"),
                    None => reason,
                },
            }
        }
        _ => Who::Unavailable { reason },
    }
}

fn known(body: &[u8]) -> Option<UserInfo> {
    let told: Told = serde_json::from_slice(body).ok()?;
    let is_sub = (1..=LONGEST_SUB).contains(&told.sub.len())
        && told.sub.bytes().all(|b| b.is_ascii_graphic());
    is_sub.then(|| UserInfo {
        urn: format!("urn:li:person:{}", told.sub),
        profile: Profile {
            name: line(told.name),
            given_name: line(told.given_name),
            family_name: line(told.family_name),
            locale: line(locale(told.locale.as_ref())),
            portrait: None,
        },
        picture: told.picture,
    })
}

/// `{"country": "US", "language": "en"}`, or text as `OpenID` Connect has it.
fn locale(value: Option<&serde_json::Value>) -> Option<String> {
    let value = value?;
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let language = value.get("language")?.as_str()?;
    match value.get("country").and_then(serde_json::Value::as_str) {
        Some(country) => Some(format!("{language}_{country}")),
        None => Some(language.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_says_who_it_is_whatever_is_missing() {
        let full = br#"{"sub":"782bbtaQ","name":"Ada Lovelace","given_name":"Ada",
            "family_name":"Lovelace","picture":"https://media.licdn.com/p","email":"a@b",
            "locale":{"country":"GB","language":"en"}}"#;
        let Who::Is(full) = who(StatusCode::OK, full) else {
            panic!("not known")
        };
        assert_eq!(full.urn, "urn:li:person:782bbtaQ");
        assert_eq!(full.profile.name.as_deref(), Some("Ada Lovelace"));
        assert_eq!(full.profile.locale.as_deref(), Some("en_GB"));

        let Who::Is(bare) = who(StatusCode::OK, br#"{"sub":"x","locale":"de-DE"}"#) else {
            panic!("not known")
        };
        assert_eq!(bare.profile.name, None);
        assert_eq!(bare.profile.locale.as_deref(), Some("de-DE"));
    }

    #[test]
    fn what_is_no_member_is_told_apart() {
        let lag = br#"{"serviceErrorCode":65601,"status":401}"#;
        for (why, status, body, expected) in [
            ("no openid", 403, &b"{}"[..], "MayNotKnow"),
            ("lag", 401, &lag[..], "Refused { is_lag_code: true"),
            ("no code", 401, &b""[..], "Refused { is_lag_code: false"),
            ("down", 503, &b""[..], "Unavailable"),
            ("nobody", 200, &b"{}"[..], "Unavailable"),
            ("no text", 200, &br#"{"sub":"a b"}"#[..], "Unavailable"),
            ("no json", 200, &b"<html>"[..], "Unavailable"),
        ] {
            let said = format!("{:?}", who(StatusCode::from_u16(status).unwrap(), body));
            assert!(said.starts_with(expected), "{why}: {said}");
        }
    }

    #[test]
    fn a_portrait_elsewhere_is_not_fetched() {
        let base = "https://media.licdn.com";
        for (why, url, path) in [
            (
                "the usual",
                "https://media.licdn.com/a?e=1&t=x",
                Some("/a?e=1&t=x"),
            ),
            ("a fragment", "https://media.licdn.com/a#b", Some("/a")),
            ("plain text", "http://media.licdn.com/a", None),
            (
                "a longer host",
                "https://media.licdn.com.evil.example/a",
                None,
            ),
            ("a user", "https://media.licdn.com@evil.example/a", None),
            ("a port", "https://media.licdn.com:8443/a", None),
            ("a line break", "https://media.licdn.com/a\r\nHost: b", None),
            ("another host", "https://evil.example/a", None),
        ] {
            assert_eq!(media_path(base, url).as_deref(), path, "{why}");
        }
    }
}
