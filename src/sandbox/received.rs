//! `GET /_sandbox/received?from=N`: the requests as they came, for whoever compares two clients.
//!
//! **Invariant:** one answer lists at most a thousand requests; tokens stand in it as they came, as
//! they are the sandbox's own.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::answer::Answer;
use super::counts::Received;
use super::query;
use super::request::{Head, HttpVersion};
use super::site::Site;

const LISTED: usize = 1_000;

/// Lists the requests numbered `from` and above.
pub(crate) fn answer(site: &Site, head: &Head) -> Answer {
    let from = query::value(head.query(), "from")
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0);
    let kept = site.ledger.received(|request| request.number >= from);
    let listed: Vec<Value> = kept.iter().take(LISTED).map(request_json).collect();
    Answer::json(200, &json!({ "received": listed }))
}

fn request_json(request: &Received) -> Value {
    let headers: Vec<[String; 2]> = request
        .headers
        .iter()
        .map(|(name, value)| [name.clone(), String::from_utf8_lossy(value).into_owned()])
        .collect();
    json!({
        "number": request.number,
        "connection": request.connection,
        "version": match request.version {
            HttpVersion::Http1 => "HTTP/1.1",
            HttpVersion::Http2 => "HTTP/2",
        },
        "method": request.method,
        "target": request.target,
        "headers": headers,
        "body_bytes": request.body_bytes,
        "body_crc32": request.body_crc32,
        "body_base64": BASE64.encode(&request.body),
        "status": request.status,
    })
}
