//! A 401 from LinkedIn, read far enough to know whether a new token would help.
//!
//! LinkedIn's bodies come in several shapes (linkedin.md §3.1); `serviceErrorCode` is what counts.

use bytes::Bytes;
use http::{
    HeaderMap, Response,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use tokio::time::Instant;

use super::super::{
    answer::{Answer, AnswerBody, Gathered},
    backoff::DISCARD_BYTES,
    coding,
    exchange::Exchange,
    thread::Thread,
};

/// What the 401's code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// 65600, 65601, 65602: a new token may help.
    Curable,
    /// No code, or a body that cannot be read.
    Missing,
    /// Any other: 65604 (we sent none), 65608 (restricted member), …
    Other,
}

/// A 401 that was read to its end.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The answer, whole, should it go to the caller after all.
    pub(super) answer: Answer,
    pub(super) code: Code,
    /// LinkedIn's `serviceErrorCode`.
    pub(super) number: Option<u32>,
    /// A code that LinkedIn also gives for tokens it has issued a moment ago.
    pub(super) is_lag_code: bool,
}

/// How long a 401's body is waited for.
const READ_TIME: std::time::Duration = std::time::Duration::from_secs(1);

impl Refusal {
    /// Reads the answer's body, at most 64 KiB of it and for at most a second.
    pub(super) async fn read(thread: &Thread, exchange: &Exchange, answer: Answer) -> Self {
        let (mut parts, mut body) = answer.into_parts();
        let deadline = Instant::now() + READ_TIME;
        let mut gathered = Gathered::default();
        thread
            .alarm
            .at_most(deadline, gathered.read(&mut body, DISCARD_BYTES))
            .await;
        let show = thread.replay_limits.show_bytes;
        exchange.with_trip(|trip| trip.body = gathered.kept(show));
        if gathered.is_whole {
            exchange.end_trip();
        }
        let bytes = gathered.concat();
        let number = code(&parts.headers, &bytes);
        let body = if gathered.is_whole {
            parts.headers.remove(TRANSFER_ENCODING);
            parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
            AnswerBody::whole(bytes)
        } else {
            gathered.put_back(body)
        };
        let code = match number {
            Some(65600..=65602) => Code::Curable,
            Some(_) => Code::Other,
            None => Code::Missing,
        };
        let is_lag_code = matches!(number, Some(65600 | 65601));
        let answer = Response::from_parts(parts, body);
        Self {
            answer,
            code,
            number,
            is_lag_code,
        }
    }
}

/// LinkedIn's `serviceErrorCode` in the body of an error.
fn code(headers: &HeaderMap, body: &Bytes) -> Option<u32> {
    let plain = coding::decoded(headers, body, DISCARD_BYTES)?;
    let json: serde_json::Value = serde_json::from_slice(&plain).ok()?;
    let number = json
        .get("serviceErrorCode")
        .and_then(serde_json::Value::as_u64);
    number
        .and_then(|number| u32::try_from(number).ok())
        .or_else(|| match json.get("code")?.as_str()? {
            "INVALID_ACCESS_TOKEN" => Some(65600),
            "REVOKED_ACCESS_TOKEN" => Some(65601),
            "EXPIRED_ACCESS_TOKEN" => Some(65602),
            "EMPTY_ACCESS_TOKEN" => Some(65604),
            "RESTRICTED_MEMBER" => Some(65608),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_in_every_shape_of_a_401() {
        for (why, body, expected) in [
            (
                "shape B",
                r#"{"status":401,"serviceErrorCode":65602,"code":"EXPIRED_ACCESS_TOKEN"}"#,
                Some(65602),
            ),
            (
                "shape A",
                r#"{"message":"Member is restricted","serviceErrorCode":65608,"status":401}"#,
                Some(65608),
            ),
            (
                "code alone",
                r#"{"status":401,"code":"REVOKED_ACCESS_TOKEN"}"#,
                Some(65601),
            ),
            (
                "no code",
                r#"{"status":401,"message":"Unknown authentication schema"}"#,
                None,
            ),
            ("a code as text", r#"{"serviceErrorCode":"65601"}"#, None),
            ("html", "<html></html>", None),
            ("nothing", "", None),
        ] {
            assert_eq!(
                code(&HeaderMap::new(), &Bytes::from_static(body.as_bytes())),
                expected,
                "{why}"
            );
        }
    }
}
