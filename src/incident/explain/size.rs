//! What LinkedIn refuses by size or framing: 414 and 411 (linkedin.md §3.5, §6.2, §6.3).

use super::{Case, Finding, case::cut};

/// Bytes of a query string that LinkedIn takes.
const QUERY: usize = 4 * 1024;

/// A query over 4 KB has to go through a tunnel.
pub(super) fn query(case: &Case<'_>) -> Option<Finding> {
    let length = case.query().len();
    let is_it = case.is_answered(414) && length > QUERY;
    is_it.then(|| {
        Finding::new(
            "query_too_long",
            format!("The query string has {length} bytes; LinkedIn takes {QUERY}."),
            format!(
                "Tunnel the query: POST {} with X-HTTP-Method-Override: {}, Content-Type: \
                 application/x-www-form-urlencoded, and the query string as the body (without the question mark). \
                 Linkgate knows such a POST for the read that it is, and repeats it like one.",
                cut(case.path()),
                case.record.method().map_or("GET", cut)
            ),
        )
        .seen_if(case.answered())
    })
}

/// 414 for another reason: URL over 8 KB, a path segment over 4 KB, the whole head over 28 KB.
pub(super) fn head(case: &Case<'_>) -> Option<Finding> {
    let is_it = case.is_answered(414) && case.query().len() <= QUERY;
    is_it.then(|| {
        let last = case.record.attempts().last();
        let sent = last.and_then(|attempt| attempt.pointer("/sent/bytes")?.as_u64());
        let has_cookies = case.header("cookie").is_some();
        Finding::new(
            "head_too_large",
            "LinkedIn found URL or headers too long: it takes 8 KB of URL, 4 KB of one path segment, and 28 KB of \
             headers, cookies and URL together.",
            "Send fewer or shorter headers: cookies of a browser, for one, need not go to LinkedIn. Ask for fewer ids \
             at once.",
        )
        .seen(format!("the URL has {} bytes", case.target().len()))
        .seen_if(sent.map(|bytes| format!("{bytes} bytes of the request were sent")))
        .seen_if(has_cookies.then_some("the app sends cookies"))
        .seen_if(case.answered())
    })
}

/// A POST without a body needs `Content-Length: 0`.
pub(super) fn content_length(case: &Case<'_>) -> Option<Finding> {
    case.is_answered(411).then(|| {
        Finding::new(
            "content_length_missing",
            "LinkedIn wants every POST to say how long its body is, an empty one too.",
            "Send Content-Length: 0 with a POST that has no body.",
        )
        .seen(match case.header("content-length") {
            Some(length) => format!("sent Content-Length: {}", cut(length)),
            None => "the request has no Content-Length".to_owned(),
        })
        .seen_if(case.answered())
    })
}
