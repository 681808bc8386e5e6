//! Upload URLs in LinkedIn's answers become the gateway's own: the one documented change to a body.
//!
//! `action=initializeUpload` and `registerUpload` answer with URLs on www.linkedin.com, which a base URL
//! does not cover (linkedin.md §6.6). With the gateway's URL in their place an app uploads through it,
//! and never needs a token.
//!
//! **Invariant:** only whole answers of at most [`LIMIT`] bytes are changed; anything else passes as it is.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
};
use memchr::memmem;

use super::super::{
    answer::{Answer, AnswerBody, Gathered},
    coding,
    exchange::Exchange,
    thread::Thread,
};

/// A 500 MB video has 125 parts, each URL some 500 bytes long.
const LIMIT: usize = 1024 * 1024;
/// As LinkedIn writes it.
const LINKEDIN: &str = "https://www.linkedin.com/dms-uploads/";

/// Built once: making a searcher costs more than a search with it.
static UPLOAD: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("Upload"));

/// Whether the answer is one that tells upload URLs.
pub(super) fn are_told(thread: &Thread, exchange: &Exchange, status: StatusCode) -> bool {
    thread.settings.linkedin.rewrite_upload_urls
        && status.is_success()
        && status != StatusCode::NO_CONTENT
        && exchange.uri.query().is_some_and(asks_for_upload)
}

/// Rewrites an answer that tells upload URLs.
pub(super) async fn rewrite(thread: &Thread, exchange: &Exchange, answer: Answer) -> Answer {
    let (mut parts, mut body) = answer.into_parts();
    let mut gathered = Gathered::default();
    gathered.read(&mut body, LIMIT).await;
    let plain = gathered
        .is_whole
        .then(|| coding::decoded(&parts.headers, &gathered.concat(), LIMIT));
    let rewritten = plain
        .flatten()
        .and_then(|plain| replaced(thread, exchange, &plain));
    let Some(rewritten) = rewritten else {
        let body = gathered.put_back(body);
        return Response::from_parts(parts, body);
    };
    parts.headers.remove(CONTENT_ENCODING);
    parts.headers.remove(TRANSFER_ENCODING);
    parts.headers.insert(CONTENT_LENGTH, rewritten.len().into());
    let body = AnswerBody::whole(rewritten);
    Response::from_parts(parts, body)
}

fn asks_for_upload(query: &str) -> bool {
    let asks = |argument| {
        matches!(
            argument,
            "action=initializeUpload" | "action=registerUpload"
        )
    };
    // Most queries have nothing like it, which one search tells.
    UPLOAD.find(query.as_bytes()).is_some() && query.split('&').any(asks)
}

/// The body with the gateway's URLs; none if there is nothing to replace.
fn replaced(thread: &Thread, exchange: &Exchange, plain: &[u8]) -> Option<Bytes> {
    let ours = format!("{}/dms-uploads/", public_url(thread, exchange)?);
    let configured = format!("{}/dms-uploads/", thread.settings.linkedin.uploads_url);
    let once = replace(plain, LINKEDIN.as_bytes(), ours.as_bytes());
    let twice = match configured == LINKEDIN {
        true => None,
        false => replace(
            once.as_deref().unwrap_or(plain),
            configured.as_bytes(),
            ours.as_bytes(),
        ),
    };
    twice.or(once).map(Bytes::from)
}

/// The gateway's own URL: as configured, else as the caller addressed it.
fn public_url(thread: &Thread, exchange: &Exchange) -> Option<String> {
    if let Some(url) = &thread.settings.public_url {
        return Some(url.trim_end_matches('/').to_owned());
    }
    let scheme = if thread.settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    Some(format!("{scheme}://{}", host(&exchange.headers)?))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST).map(HeaderValue::to_str)?.ok()
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memmem::find(rest, from) {
        let (before, found) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(to);
        rest = found.get(from.len()..).unwrap_or_default();
    }
    if rest.len() == text.len() {
        return None;
    }
    out.extend_from_slice(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_is_replaced_and_nothing_else() {
        let text = b"{\"a\":\"https://www.linkedin.com/dms-uploads/x\",\"b\":\"https://www.linkedin.com/dms-uploads/y\",\"c\":\"https://www.linkedin.com/in/z\"}";

        let replaced = replace(text, LINKEDIN.as_bytes(), b"http://g/dms-uploads/").unwrap();

        assert_eq!(
            String::from_utf8(replaced).unwrap(),
            r#"{"a":"http://g/dms-uploads/x","b":"http://g/dms-uploads/y","c":"https://www.linkedin.com/in/z"}"#
        );
        assert_eq!(replace(b"nothing", LINKEDIN.as_bytes(), b""), None);
    }

    #[test]
    fn only_the_two_upload_actions_are_looked_at() {
        assert!(asks_for_upload("action=initializeUpload"));
        assert!(asks_for_upload("x=1&action=registerUpload"));
        assert!(!asks_for_upload("action=finalizeUpload"));
        assert!(!asks_for_upload("q=action=initializeUpload2"));
    }
}
