//! One try to deliver one notice: one POST, its answer.
//!
//! **Invariant:** nothing is sent before the receiver's certificate was checked (`dial` sees to that);
//! a redirect is never followed; an answer is read to 4 KiB and no further, and its bytes go nowhere.
//! **Neighbours:** `alerts::sender` and `alerts::test` ask.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::{
    signature::signatures,
    webhook::{Endpoint, Webhook},
};
use crate::{
    clock::Clock,
    dial::{DialError, Dialer, NoAnswer, retry_after},
};

/// Of an answer, this much is read so that the receiver sees it taken.
const LONGEST_ANSWER: usize = 4096;

/// What a receiver answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    /// When it wants to be asked again.
    pub(super) retry_after: Option<Duration>,
    /// From the first step to the end of its answer.
    pub(super) took: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// Nothing was sent.
    #[error(transparent)]
    NotReached(DialError),
    /// It may have been taken.
    #[error("the connection broke off: {0}")]
    Broken(String),
    /// It may have been taken.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
}

impl From<NoAnswer> for Unanswered {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Unsent(error) => Self::NotReached(error),
            NoAnswer::Open(reason) => Self::Broken(reason),
        }
    }
}

/// Delivers notices. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) dialer: Dialer,
    pub(super) clock: Clock,
    /// Limit of one try, from name resolution to the end of the answer.
    pub(super) limit: Duration,
}

impl Post {
    /// Sends `body` under `id`, signed as of now.
    ///
    /// # Errors
    /// [`Unanswered`]; only with [`Unanswered::NotReached`] it was certainly not taken.
    pub(super) async fn send(
        &self,
        webhook: &Webhook,
        id: &str,
        body: &str,
    ) -> Result<Answered, Unanswered> {
        timeout(self.limit, self.exchange(webhook, id, body))
            .await
            .unwrap_or(Err(Unanswered::Late(self.limit)))
    }

    async fn exchange(
        &self,
        webhook: &Webhook,
        id: &str,
        body: &str,
    ) -> Result<Answered, Unanswered> {
        let began = Instant::now();
        let timestamp = self.clock.seconds();
        let signed = signatures(&webhook.secrets, id, timestamp, body);
        let request = request(
            &webhook.endpoint,
            [id, &timestamp.to_string(), &signed],
            body,
        )
        .map_err(|error| Unanswered::Broken(error.to_string()))?;
        let origin = &webhook.endpoint.origin;
        let answer = self.dialer.send(origin, request).await?;
        read_some(answer.body).await;
        Ok(Answered {
            status: answer.status,
            retry_after: retry_after(&answer.headers),
            took: began.elapsed(),
        })
    }
}

fn request(
    endpoint: &Endpoint,
    [id, timestamp, signed]: [&str; 3],
    body: &str,
) -> http::Result<Request<Full<Bytes>>> {
    Request::builder()
        .method(Method::POST)
        .uri(endpoint.target())
        .header(header::HOST, endpoint.origin.authority().as_str())
        .header(
            header::USER_AGENT,
            concat!("linkgate/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signed)
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
}

/// Reads what fits. A body that breaks off or goes on changes nothing: the status has been said.
async fn read_some(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read >= LONGEST_ANSWER {
            return;
        }
    }
}
