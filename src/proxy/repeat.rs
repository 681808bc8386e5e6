//! What may be sent again: the one table that everything asks.
//!
//! LinkedIn has no idempotency key (linkedin.md §6.4): a write that may have been processed is
//! never sent twice. "Not sent again, because …" is a value that reaches the record.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use super::headers::{METHOD_OVERRIDE, Present, RESTLI_METHOD};

/// What a repetition of a request would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Changes nothing: GET, HEAD, OPTIONS, and queries tunnelled through POST.
    Read,
    /// PUT: twice is the same as once.
    Put,
    /// DELETE: a repeat turns success into a 404.
    Delete,
    /// Any other POST or PATCH.
    Write,
    /// To the upload host: a URL may be good for one PUT only.
    Upload,
}

impl Class {
    /// Classifies a request by the rule of linkedin.md §6.3.
    pub(crate) fn of(method: &Method, path: &str, headers: &HeaderMap, present: Present) -> Self {
        if path.starts_with("/dms-uploads/") {
            return Self::Upload;
        }
        let over = override_of(headers, present);
        match (method, over) {
            (&Method::GET | &Method::HEAD | &Method::OPTIONS, None) => Self::Read,
            (&Method::PUT, None) => Self::Put,
            (&Method::DELETE, None) => Self::Delete,
            (&Method::POST, Some(over)) if over.eq_ignore_ascii_case(b"GET") => {
                // Both official clients tunnel DELETE and BATCH_DELETE with override GET.
                if deletes(headers) {
                    Self::Delete
                } else {
                    Self::Read
                }
            }
            _ => Self::Write,
        }
    }

    /// Whether processing it twice could do harm.
    pub(crate) fn is_write(self) -> bool {
        self != Self::Read
    }
}

/// The method that LinkedIn will act on: a tunnelled one counts as what it is (linkedin.md §6.3), so
/// that a key's rules cannot be passed by. None if the override is no method.
pub(crate) fn effective_method(
    method: &Method,
    headers: &HeaderMap,
    present: Present,
) -> Option<Method> {
    let Some(over) = override_of(headers, present) else {
        return Some(method.clone());
    };
    let over = Method::from_bytes(&over.to_ascii_uppercase()).ok()?;
    if over == Method::GET && deletes(headers) {
        Some(Method::DELETE)
    } else {
        Some(over)
    }
}

fn override_of(headers: &HeaderMap, present: Present) -> Option<&[u8]> {
    let over = present
        .method_override
        .then(|| headers.get(&METHOD_OVERRIDE));
    over.flatten().map(http::HeaderValue::as_bytes)
}

fn deletes(headers: &HeaderMap) -> bool {
    headers.get_all(&RESTLI_METHOD).iter().any(|value| {
        [&b"DELETE"[..], b"BATCH_DELETE"]
            .iter()
            .any(|m| value.as_bytes().eq_ignore_ascii_case(m))
    })
}

/// How an attempt ended, as far as a repetition is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Provably no byte reached LinkedIn's application: zero bytes on the connection's own
    /// counter, the request came back unsent, a remote GOAWAY or `REFUSED_STREAM` (RFC 9113 §8.7).
    NothingSent,
    /// Cut or timed out after bytes had left.
    Lost,
    /// An answer with this status; `Retry-After` where it was given.
    Answered(StatusCode, Option<Duration>),
}

/// What the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send again after the back-off's own delay.
    Again,
    /// Send again after this time, as LinkedIn asked.
    AgainAfter(Duration),
    /// Do not; the reason reaches the record.
    No(&'static str),
    /// There is nothing to repair.
    Final,
}

/// The table (429, 5xx and lost connections; a 401 is `authorize`'s).
pub(crate) fn verdict(class: Class, ended: Ended, max_delay: Duration) -> Verdict {
    let is_read_or_put = matches!(class, Class::Read | Class::Put);
    match ended {
        Ended::NothingSent => Verdict::Again,
        Ended::Lost if is_read_or_put => Verdict::Again,
        Ended::Lost => Verdict::No("it may have been processed"),
        Ended::Answered(StatusCode::TOO_MANY_REQUESTS, Some(after)) if after <= max_delay => {
            Verdict::AgainAfter(after)
        }
        Ended::Answered(StatusCode::TOO_MANY_REQUESTS, Some(_)) => {
            Verdict::No("LinkedIn asks to wait longer than retry.max_delay_ms")
        }
        Ended::Answered(StatusCode::TOO_MANY_REQUESTS, None) if class == Class::Read => {
            Verdict::Again
        }
        Ended::Answered(StatusCode::TOO_MANY_REQUESTS, None) => {
            Verdict::No("LinkedIn does not say when a throttled write may come again")
        }
        Ended::Answered(status, _) if !status.is_server_error() => Verdict::Final,
        Ended::Answered(_, _) if !is_read_or_put => Verdict::No("it may have been processed"),
        Ended::Answered(StatusCode::SERVICE_UNAVAILABLE, Some(after)) if after > max_delay => {
            Verdict::No("LinkedIn asks to wait longer than retry.max_delay_ms")
        }
        Ended::Answered(StatusCode::SERVICE_UNAVAILABLE, Some(after)) => Verdict::AgainAfter(after),
        Ended::Answered(_, _) => Verdict::Again,
    }
}

#[cfg(test)]
mod tests {
    use Class::{Delete, Put, Read, Upload, Write};

    use super::*;

    const MAX: Duration = Duration::from_secs(5);
    const SHORT: Option<Duration> = Some(Duration::from_secs(2));
    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    fn answered(status: u16, after: Option<Duration>) -> Ended {
        Ended::Answered(StatusCode::from_u16(status).unwrap(), after)
    }

    #[test]
    fn every_row_of_the_table_holds_for_every_class() {
        let again = |allowed: &[Class], class| allowed.contains(&class);
        let all = [Read, Put, Delete, Write, Upload];
        for (why, ended, allowed) in [
            ("nothing was sent", Ended::NothingSent, &all[..]),
            ("lost after bytes left", Ended::Lost, &[Read, Put]),
            ("500", answered(500, None), &[Read, Put]),
            ("502", answered(502, None), &[Read, Put]),
            ("503", answered(503, None), &[Read, Put]),
            ("503, short wait", answered(503, SHORT), &[Read, Put]),
            ("503, long wait", answered(503, LONG), &[]),
            ("504", answered(504, None), &[Read, Put]),
            ("429, short wait", answered(429, SHORT), &all),
            ("429, long wait", answered(429, LONG), &[]),
            ("429, no word", answered(429, None), &[Read]),
            ("200", answered(200, None), &[]),
            ("201", answered(201, None), &[]),
            ("403", answered(403, None), &[]),
            ("422", answered(422, None), &[]),
            ("426", answered(426, None), &[]),
        ] {
            for class in all {
                let sent_again = matches!(
                    verdict(class, ended, MAX),
                    Verdict::Again | Verdict::AgainAfter(_)
                );
                assert_eq!(sent_again, again(allowed, class), "{why}, {class:?}");
            }
        }
    }

    #[test]
    fn a_request_is_classified_by_what_it_does_rather_than_by_its_method() {
        #[rustfmt::skip]
        let rows = [
            ("read", "GET", "/v2/me", None, None, Read),
            ("head", "HEAD", "/v2/me", None, None, Read),
            ("options", "OPTIONS", "/v2/me", None, None, Read),
            ("a GET that is overridden", "GET", "/v2/me", Some("DELETE"), None, Write),
            ("create", "POST", "/rest/posts", None, Some("CREATE"), Write),
            ("tunnelled finder", "POST", "/rest/x", Some("GET"), Some("FINDER"), Read),
            ("tunnelled, lower case", "POST", "/rest/x", Some("get"), Some("get"), Read),
            ("tunnelled delete", "POST", "/rest/x", Some("GET"), Some("DELETE"), Delete),
            ("lower-case delete", "POST", "/rest/x", Some("GET"), Some("batch_delete"), Delete),
            ("tunnelled update", "POST", "/rest/x", Some("PUT"), Some("UPDATE"), Write),
            ("update", "PUT", "/rest/x/1", None, None, Put),
            ("delete", "DELETE", "/rest/x/1", None, None, Delete),
            ("upload", "PUT", "/dms-uploads/abc", None, None, Upload),
            ("patch", "PATCH", "/rest/x/1", None, None, Write),
        ];
        for (why, method, path, over, restli, expected) in rows {
            let mut headers = HeaderMap::new();
            over.map(|v: &str| headers.insert(METHOD_OVERRIDE.clone(), v.parse().unwrap()));
            restli.map(|v: &str| headers.insert(RESTLI_METHOD.clone(), v.parse().unwrap()));
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let class = Class::of(&method, path, &headers, Present::of(&headers));
            assert_eq!(class, expected, "{why}");
        }
    }

    #[test]
    fn a_tunnelled_method_counts_as_what_linkedin_will_do() {
        for (method, over, restli, expected) in [
            ("GET", None, None, Some("GET")),
            ("POST", None, Some("CREATE"), Some("POST")),
            ("POST", Some("GET"), Some("FINDER"), Some("GET")),
            ("POST", Some("get"), Some("BATCH_DELETE"), Some("DELETE")),
            ("POST", Some("delete"), None, Some("DELETE")),
            ("POST", Some("D ELETE"), None, None),
        ] {
            let mut headers = HeaderMap::new();
            over.map(|v: &str| headers.insert(METHOD_OVERRIDE.clone(), v.parse().unwrap()));
            restli.map(|v: &str| headers.insert(RESTLI_METHOD.clone(), v.parse().unwrap()));
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let meant = effective_method(&method, &headers, Present::of(&headers));
            assert_eq!(
                meant.as_ref().map(Method::as_str),
                expected,
                "{method} {over:?} {restli:?}"
            );
        }
    }
}
