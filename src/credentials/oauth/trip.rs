//! One bounded trip to LinkedIn beside the path: one request, one whole answer.
//!
//! **Invariant:** an answer is read to its limit and no further; a redirect is never followed; no
//! error holds a byte of the request.
//! **Neighbours:** everything in `credentials::oauth` travels with it; `dial` connects and sends.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::dial::{BaseUrl, Dialer, NoAnswer};

/// What came back.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum Broken {
    /// Not a byte of the request left.
    Unsent(String),
    /// LinkedIn may have acted.
    Open(String),
}

impl From<NoAnswer> for Broken {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Unsent(error) => Self::Unsent(error.to_string()),
            NoAnswer::Open(reason) => Self::Open(reason),
        }
    }
}

impl Broken {
    /// For people.
    pub(super) fn reason(self) -> String {
        match self {
            Self::Unsent(reason) | Self::Open(reason) => reason,
        }
    }
}

/// How long a trip may take, and how much of the answer is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) answer_bytes: usize,
}

/// A POST of a form to `path` below `to`.
pub(super) fn post(
    to: &BaseUrl,
    path: &str,
    form: Zeroizing<String>,
) -> Result<Request<Full<Bytes>>, Broken> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}{path}", to.path()))
        .header(header::HOST, to.authority().as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from_owner(FormBytes(form))));
    request.map_err(|error| Broken::Unsent(error.to_string()))
}

/// A GET of `path` below `to`, with a token or without.
pub(super) fn get(
    to: &BaseUrl,
    path: &str,
    bearer: Option<&HeaderValue>,
) -> Result<Request<Full<Bytes>>, Broken> {
    let mut request = Request::builder()
        .uri(format!("{}{path}", to.path()))
        .header(header::HOST, to.authority().as_str());
    if let Some(bearer) = bearer {
        request = request.header(header::AUTHORIZATION, bearer);
    }
    let request = request.body(Full::new(Bytes::new()));
    request.map_err(|error| Broken::Unsent(error.to_string()))
}

/// Makes the trip. Dropping the future ends the connection.
pub(super) async fn take(
    dialer: &Dialer,
    to: &BaseUrl,
    request: Request<Full<Bytes>>,
    limits: Limits,
) -> Result<Answered, Broken> {
    timeout(
        limits.time,
        unlimited(dialer, to, request, limits.answer_bytes),
    )
    .await
    .unwrap_or_else(|_| Err(Broken::Open(format!("no answer within {:?}", limits.time))))
}

async fn unlimited(
    dialer: &Dialer,
    to: &BaseUrl,
    request: Request<Full<Bytes>>,
    answer_bytes: usize,
) -> Result<Answered, Broken> {
    let answer = dialer.send(to, request).await?;
    let body = Limited::new(answer.body, answer_bytes).collect().await;
    let broke_off = |error| Broken::Open(format!("answer broke off: {error}"));
    Ok(Answered {
        status: answer.status,
        headers: answer.headers,
        body: body.map_err(broke_off)?.to_bytes(),
    })
}

/// Lets a form be sent without a second copy, and wiped after.
struct FormBytes(Zeroizing<String>);

impl AsRef<[u8]> for FormBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
