//! One trip beside the request path: one connection, one request, the head of its answer.
//!
//! **Invariant:** the connection ends with the [`Answer`], or with the future that waits for it; a
//! redirect is never followed; no error holds a byte of the request.
//! **Neighbours:** `credentials::oauth` asks LinkedIn by it, `alerts::post` tells a webhook. Limits of time
//! and of the answer's length are theirs.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::{Alpn, BaseUrl, DialError, Dialer, chain};

/// A `Retry-After` beyond a day is a mistake.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// What came back. Take the parts out while it stands: its end is the connection's.
#[derive(Debug)]
pub struct Answer {
    /// What was answered.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, not read yet.
    pub body: Incoming,
    _connection: AbortOnDrop,
}

/// Why nothing came back.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Not a byte of the request left.
    #[error(transparent)]
    Unsent(#[from] DialError),
    /// The other end may have acted.
    #[error("{0}")]
    Open(String),
}

impl Dialer {
    /// Sends one request to `target`, on a connection of its own. Bound it: the answer may never come.
    /// Dropping the future ends the connection.
    ///
    /// # Errors
    /// [`NoAnswer`]; only with [`NoAnswer::Unsent`] the other end certainly did nothing.
    pub async fn send(
        &self,
        target: &BaseUrl,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, NoAnswer> {
        let dialed = self.dial(target, Alpn::Http1).await?;
        let handshake = http1::handshake(TokioIo::new(dialed.stream)).await;
        let (mut sender, connection) =
            handshake.map_err(|error| DialError::Connect(chain(&error)))?;
        let connection = AbortOnDrop(tokio::spawn(async move {
            // What goes wrong on the connection is told to the one request on it.
            drop(connection.await);
        }));
        let answer = sender.send_request(request).await;
        let (head, body) = answer
            .map_err(|error| NoAnswer::Open(chain(&error)))?
            .into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            _connection: connection,
        })
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3), measured against the answer's own `Date`;
/// a day at most.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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

/// Ends the connection's task with the trip, whatever way that ends.
#[derive(Debug)]
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms_and_capped() {
        let date = "Mon, 23 Nov 2026 10:00:00 GMT";
        let later = "Mon, 23 Nov 2026 10:01:30 GMT";
        for (text, expected) in [
            ("120", Some(120)),
            (later, Some(90)),
            (date, Some(0)),
            ("999999999", Some(86_400)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::DATE, HeaderValue::from_static(date));
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());

            let wait = retry_after(&headers);

            assert_eq!(wait, expected.map(Duration::from_secs), "{text}");
        }
    }
}
