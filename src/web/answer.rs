//! Answers that are no page, and the headers that guard every answer.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use serde_json::{Map, Value, json};

/// Nothing but our own style sheet, pictures and forms; no script, no frame around us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

/// The policy of a page whose forms also lead to these origins, itself or by redirect: browsers hold
/// `form-action` against every step a form takes. None if one of them is no header text.
pub fn policy_with_forms_to(origins: &[String]) -> Option<HeaderValue> {
    let forms = format!("form-action 'self' {};", origins.join(" "));
    HeaderValue::try_from(POLICY.replace("form-action 'self';", &forms)).ok()
}

/// A refusal as `application/problem+json` (RFC 9457), in the form of the gateway's own answers.
pub fn problem(status: StatusCode, code: &'static str, detail: &str) -> Response {
    problem_with(status, code, detail, Map::new())
}

/// The same with further fields, for programs that can act on them.
pub fn problem_with(
    status: StatusCode,
    code: &'static str,
    detail: &str,
    fields: Map<String, Value>,
) -> Response {
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
        "message": detail,
    });
    if let Some(own) = body.as_object_mut() {
        own.extend(fields);
    }
    let mut answer = (status, Json(body)).into_response();
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    answer
}

/// Sets what a route has not set by itself: no store, no sniffing, no framing, no referrer, the
/// content policy.
pub(super) fn guard(headers: &mut HeaderMap) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(CACHE_CONTROL, "no-store");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "DENY");
    set(REFERRER_POLICY, "no-referrer");
    set(CONTENT_SECURITY_POLICY, POLICY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_for_forms_changes_nothing_but_where_forms_lead() {
        let policy = policy_with_forms_to(&["https://www.linkedin.com".into()]).unwrap();

        let policy = policy.to_str().unwrap();
        assert!(
            policy.contains("form-action 'self' https://www.linkedin.com;"),
            "{policy}"
        );
        assert_eq!(policy.replace(" https://www.linkedin.com", ""), POLICY);
        assert_eq!(policy_with_forms_to(&["https://a\nb".into()]), None);
    }
}
