//! LinkedIn's token endpoint: two forms, one connection each, and what its answers mean.
//!
//! **Invariant:** no error holds a byte of the form or of a good answer; an answer is read to 64 KiB
//! and no further; a redirect is never followed.
//! **Neighbours:** `credentials::refresher` asks, `dial` connects.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{task::JoinHandle, time::timeout};
use zeroize::Zeroizing;

use super::{Application, grant::TokenAnswer};
use crate::{
    dial::{Alpn, BaseUrl, Dialer, chain},
    secret::Secret,
};

/// Ten times the longest answer LinkedIn gives.
const LONGEST_ANSWER: usize = 64 * 1024;
/// A `Retry-After` beyond a day is a mistake.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
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
    let told = serde_json::from_slice::<ErrorBody>(body).ok();
    let Some(told) = told.filter(|_| status.is_client_error() && status.as_u16() != 429) else {
        return transient(format!("token endpoint answered {}", status.as_u16()));
    };
    let description = told.error_description.to_ascii_lowercase();
    let reason = format!(
        "token endpoint answered {} {}: {}",
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

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3), measured against the answer's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?;
            let date = headers.get(header::DATE)?.to_str().ok()?;
            let now = httpdate::parse_http_date(date).ok()?;
            until.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The token endpoint of one LinkedIn. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) dialer: Dialer,
    pub(super) oauth_url: BaseUrl,
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
        let late = || Failure::open(format!("no answer within {:?}", self.post_time));
        timeout(self.post_time, self.exchange(form))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn exchange(&self, form: Zeroizing<String>) -> Result<TokenAnswer, Failure> {
        let unsent = |reason: String| Failure::Transient {
            reason,
            retry_after: None,
            is_open: false,
        };
        let dialed = self.dialer.dial(&self.oauth_url, Alpn::Http1).await;
        let stream = TokioIo::new(dialed.map_err(|error| unsent(error.to_string()))?.stream);
        let handshake = http1::handshake(stream).await;
        let (mut sender, connection) = handshake.map_err(|error| unsent(chain(&error)))?;
        let _connection = AbortOnDrop(tokio::spawn(async move {
            // What goes wrong on the connection is told to the one request on it.
            drop(connection.await);
        }));
        let request = self.request(form).map_err(|e| unsent(e.to_string()))?;
        let broken = |error: hyper::Error| Failure::open(chain(&error));
        let answer = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body
            .map_err(|error| Failure::open(format!("answer broke off: {error}")))?
            .to_bytes();
        if head.status != StatusCode::OK {
            return Err(classify(head.status, &head.headers, &body));
        }
        TokenAnswer::parse(&body)
            .map_err(|error| Failure::open(format!("token endpoint answered 200, but {error}")))
    }

    fn request(&self, form: Zeroizing<String>) -> http::Result<Request<Full<Bytes>>> {
        Request::builder()
            .method(Method::POST)
            .uri(format!("{}/accessToken", self.oauth_url.path()))
            .header(header::HOST, self.oauth_url.authority().as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from_owner(FormBytes(form))))
    }
}

/// Lets a form be sent without a second copy, and wiped after.
struct FormBytes(Zeroizing<String>);

impl AsRef<[u8]> for FormBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Ends the connection's task with the POST, whatever way that ends.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `application/x-www-form-urlencoded`, everything but unreserved characters escaped.
fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    // Room for every byte escaped: a text that grew would leave unwiped copies behind.
    let room = fields
        .iter()
        .map(|(name, value)| name.len() + 3 * value.len() + 2);
    let mut form = Zeroizing::new(String::with_capacity(room.sum()));
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    form.push(char::from(byte));
                }
                _ => {
                    form.push('%');
                    for half in [byte >> 4, byte & 15] {
                        let digit = char::from_digit(u32::from(half), 16).unwrap_or('0');
                        form.push(digit.to_ascii_uppercase());
                    }
                }
            }
        }
    }
    form
}

#[cfg(test)]
mod tests;
