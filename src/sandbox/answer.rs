//! An answer of LinkedIn's, and the body shapes A–H its errors have (linkedin.md §3.1).
//!
//! **Neighbours:** `dress` adds the headers of linkedin.md §5, `h1` and `h2` put it on the wire.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// A header of an answer, its name in the case LinkedIn writes on HTTP/1.1.
pub(crate) type AnswerHeader = (&'static str, String);

/// A status, headers and a body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<AnswerHeader>,
    pub(crate) body: Payload,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// All of it, in memory.
    Whole(Bytes),
    /// `size` bytes of a pattern that repeats every 251 bytes, never in memory as a whole.
    Pattern {
        size: u64,
        delay: Duration,
        sized: bool,
    },
}

impl Payload {
    /// The length announced in the head, if it is.
    pub(crate) fn announced(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => u64::try_from(bytes.len()).ok(),
            Self::Pattern { size, sized, .. } => sized.then_some(*size),
        }
    }
}

/// The form an error's body has; which one LinkedIn uses depends on where it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// What LinkedIn would use at this place.
    Natural,
    /// A: `message, serviceErrorCode, status`.
    Classic,
    /// B: `status, serviceErrorCode, code, message`.
    Gateway,
    /// C: `status, code, message`.
    NoNumber,
    /// D: `message, code, errorDetailType, errorDetails, status`.
    Marketing,
    /// E: `message, status`.
    Plain,
    /// F: `errorCode, message, requestId, status, timestamp`.
    Legacy,
    /// G: `error, error_description`.
    OAuth,
    /// H: an HTML page.
    Html,
    /// No body at all.
    Empty,
}

impl Answer {
    /// No body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Payload::Whole(Bytes::new()),
        }
    }

    /// A JSON body.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// JSON text that is already written.
    pub(crate) fn json_text(status: u16, body: String) -> Self {
        Self::text(status, "application/json", body)
    }

    /// An HTML page.
    pub(crate) fn html(status: u16, body: String) -> Self {
        Self::text(status, "text/html; charset=utf-8", body)
    }

    fn text(status: u16, kind: &str, body: String) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", kind.to_owned())],
            body: Payload::Whole(Bytes::from(body)),
        }
    }

    /// One more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Shape A.
    pub(crate) fn classic(status: u16, number: u32, message: &str) -> Self {
        Self::json(
            status,
            &json!({ "message": message, "serviceErrorCode": number, "status": status }),
        )
    }

    /// Shape B.
    pub(crate) fn gateway(status: u16, number: u32, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({
                "status": status, "serviceErrorCode": number, "code": code, "message": message,
            }),
        )
    }

    /// Shape C.
    pub(crate) fn no_number(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({ "status": status, "code": code, "message": message }),
        )
    }

    /// Shape D, with one input error.
    pub(crate) fn marketing(status: u16, message: &str, input: &InputError<'_>) -> Self {
        let place = input.field.map_or_else(
            || json!({}),
            |field| json!({ "inputPath": { "fieldPath": field } }),
        );
        Self::json(
            status,
            &json!({
                "message": message,
                "errorDetailType": "com.linkedin.common.error.BadRequest",
                "errorDetails": { "inputErrors": [
                    { "description": input.description, "input": place, "code": input.code }
                ] },
                "status": status,
            }),
        )
        .of_restli()
    }

    /// Shape E.
    pub(crate) fn plain(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "message": message, "status": status })).of_restli()
    }

    /// Shape F.
    pub(crate) fn legacy(status: u16, message: &str, now_micros: u64) -> Self {
        Self::json(
            status,
            &json!({
                "errorCode": 0,
                "message": message,
                "requestId": request_id(),
                "status": status,
                "timestamp": now_micros / 1_000,
            }),
        )
        .with("x-li-format", "json")
    }

    /// Shape G.
    pub(crate) fn oauth(status: u16, error: &str, description: &str) -> Self {
        Self::json(
            status,
            &json!({ "error": error, "error_description": description }),
        )
    }

    /// Shape H: LinkedIn's error page.
    pub(crate) fn page(status: u16) -> Self {
        Self::html(status, ERROR_PAGE.replace("{status}", &status.to_string()))
    }

    /// An error of this status in this shape, with LinkedIn's words for it.
    pub(crate) fn error(status: u16, shape: Shape, now_micros: u64) -> Self {
        let (number, code, message) = words(status);
        match shape {
            Shape::Natural | Shape::Gateway if (400..500).contains(&status) => {
                Self::gateway(status, number, code, message)
            }
            Shape::Gateway => Self::gateway(status, number, code, message),
            Shape::Classic => Self::classic(status, number, message),
            Shape::NoNumber => Self::no_number(status, code, message),
            Shape::Marketing => {
                let input = InputError {
                    description: message,
                    code,
                    field: None,
                };
                Self::marketing(status, message, &input)
            }
            Shape::Natural | Shape::Plain => Self::plain(status, message),
            Shape::Legacy => Self::legacy(status, message, now_micros),
            Shape::OAuth => Self::oauth(status, &code.to_ascii_lowercase(), message),
            Shape::Html => Self::page(status),
            Shape::Empty => Self::empty(status),
        }
    }

    /// Marks an error that Rest.li itself made; `dress` names the header by protocol version.
    fn of_restli(self) -> Self {
        self.with(RESTLI_ERROR, "true")
    }
}

/// Stands for `x-restli-error-response` or, in protocol 1.0.0, `x-linkedin-error-response`.
pub(crate) const RESTLI_ERROR: &str = "x-restli-error-response";
/// Stands for `x-restli-id` or, in protocol 1.0.0, `x-linkedin-id`.
pub(crate) const RESTLI_ID: &str = "x-restli-id";

/// One entry of shape D's `inputErrors`.
#[derive(Debug)]
pub(crate) struct InputError<'a> {
    pub(crate) description: &'a str,
    pub(crate) code: &'a str,
    pub(crate) field: Option<&'a str>,
}

/// Ten characters A–Z and 0–9, as in `requestId` and the old `x-li-request-id`.
pub(crate) fn request_id() -> String {
    let mut rest: u64 = rand::random();
    let mut text = String::with_capacity(10);
    for _ in 0..10 {
        let digit = u32::try_from(rest % 36).unwrap_or(0);
        text.push(
            char::from_digit(digit, 36)
                .unwrap_or('0')
                .to_ascii_uppercase(),
        );
        rest /= 36;
    }
    text
}

/// Number, code and message LinkedIn uses with a status (linkedin.md §3.2–3.5).
fn words(status: u16) -> (u32, &'static str, &'static str) {
    match status {
        401 => (65_601, "REVOKED_ACCESS_TOKEN", super::admission::REVOKED),
        403 => (
            100,
            "ACCESS_DENIED",
            "Not enough permissions to access this resource",
        ),
        404 => (0, "RESOURCE_NOT_FOUND", "No virtual resource found"),
        408 => (0, "TIMEOUT", "Request timed out"),
        409 => (0, "CONFLICT", "Write conflict"),
        412 => (0, "PRECONDITION_FAILED", "Precondition failed"),
        429 => (
            101,
            "TOO_MANY_REQUESTS",
            "Resource level throttle limit for calls to this resource is reached.",
        ),
        500 => (0, "INTERNAL_SERVER_ERROR", "Internal Server Error"),
        501 => (0, "NOT_IMPLEMENTED", "Not implemented"),
        502 => (0, "BAD_GATEWAY", "Bad gateway"),
        503 => (0, "SERVICE_UNAVAILABLE", "Service unavailable"),
        504 => (0, "GATEWAY_TIMEOUT", "Gateway timeout"),
        999 => (0, "DENIED", "Request denied"),
        _ => (0, "ERROR", "Something went wrong"),
    }
}

const ERROR_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<title>LinkedIn</title></head><body><main class=\"error\"><h1>{status}</h1>\
<p>This page doesn\u{2019}t exist, or something went wrong on our end.</p>\
<a href=\"https://www.linkedin.com/\">Go to your feed</a></main></body></html>\n";

/// A body in pieces, each with the pause before it.
#[derive(Debug)]
pub(crate) struct Pieces {
    whole: Option<Bytes>,
    left: u64,
    offset: usize,
    delay: Duration,
}

impl Payload {
    /// The body piece by piece, at most `limit` bytes of it.
    pub(crate) fn pieces(self, limit: u64) -> Pieces {
        match self {
            Self::Whole(bytes) => {
                let end = usize::try_from(limit)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let whole = Some(bytes.slice(..end)).filter(|bytes| !bytes.is_empty());
                Pieces {
                    whole,
                    left: 0,
                    offset: 0,
                    delay: Duration::ZERO,
                }
            }
            Self::Pattern { size, delay, .. } => Pieces {
                whole: None,
                left: size.min(limit),
                offset: 0,
                delay,
            },
        }
    }
}

impl Pieces {
    /// The next piece and the pause LinkedIn makes before it.
    pub(crate) fn next(&mut self) -> Option<(Duration, Bytes)> {
        if let Some(whole) = self.whole.take() {
            return Some((Duration::ZERO, whole));
        }
        if self.left == 0 {
            return None;
        }
        let block = pattern_block();
        let length = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(block.len());
        self.left -= u64::try_from(length).unwrap_or(0);
        // The block is a multiple of the pattern's period, so every piece begins at its start.
        let pause = if self.offset == 0 {
            Duration::ZERO
        } else {
            self.delay
        };
        self.offset = 1;
        Some((pause, block.slice(..length)))
    }
}

/// 64,256 bytes: 256 repetitions of the bytes 0 to 250.
fn pattern_block() -> Bytes {
    static BLOCK: std::sync::LazyLock<Bytes> =
        std::sync::LazyLock::new(|| (0..=250_u8).cycle().take(251 * 256).collect());
    BLOCK.clone()
}
