//! The listener's routes and their answers.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
};
use http_body_util::Full;
use serde_json::json;

use crate::metrics;

use super::{Source, authority};

type Answer = Response<Full<Bytes>>;

/// Answers one request.
pub(super) fn to(request: &Parts, hosts: &[String], source: &impl Source) -> Answer {
    if !authority::is_ours(request.version, &request.uri, &request.headers, hosts) {
        return problem(
            StatusCode::MISDIRECTED_REQUEST,
            "wrong_authority",
            "this host name is not in admin.hosts",
        );
    }
    let path = request.uri.path();
    if !["/livez", "/readyz", "/metrics"].contains(&path) {
        return problem(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is /livez, /readyz and /metrics",
        );
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        let mut answer = problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "only GET and HEAD",
        );
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match path {
        "/livez" => document(
            StatusCode::OK,
            "application/json",
            json!({"alive": true}).to_string(),
        ),
        "/readyz" => readyz(source),
        _ => document(StatusCode::OK, metrics::CONTENT_TYPE, source.metrics()),
    }
}

fn readyz(source: &impl Source) -> Answer {
    let reasons = source.not_ready();
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({"ready": reasons.is_empty(), "reasons": reasons});
    document(status, "application/json", body.to_string())
}

fn problem(status: StatusCode, code: &'static str, detail: &'static str) -> Answer {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
        "message": detail,
    });
    document(status, "application/problem+json", body.to_string())
}

fn document(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
