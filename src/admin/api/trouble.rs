//! Why there is no incident to give, as problems (RFC 9457).

use axum::response::Response;
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use serde_json::{Map, Value, json};

use crate::{
    admin::{query::BadParameter, reading::NotRead},
    incident::{export::Refused, reader::Found},
    web::answer::{problem, problem_with},
};

/// A parameter that is none, or has a value that it cannot have.
pub(in crate::admin) fn not_understood(error: &BadParameter) -> Response {
    let fields = fields(&[
        ("parameter", json!(error.parameter)),
        ("allowed", json!(error.allowed)),
    ]);
    let detail = error.to_string();
    problem_with(
        StatusCode::BAD_REQUEST,
        "request_malformed",
        &detail,
        fields,
    )
}

/// No incident, or more than one.
pub(super) fn not_found(id: &str, found: &Found) -> Response {
    match found {
        Found::Ambiguous(ids) => {
            let detail = "several incidents have an id that begins so: give more of it";
            let fields = fields(&[("ids", json!(ids))]);
            problem_with(StatusCode::CONFLICT, "ambiguous", detail, fields)
        }
        Found::Unreadable(segments) => {
            let detail = format!(
                "none that could be read is {id}: {segments} segments of the support log cannot be opened"
            );
            not_now(&detail)
        }
        Found::One(_) | Found::Nothing => {
            let detail = format!("there is no incident {id}");
            problem(StatusCode::NOT_FOUND, "not_found", &detail)
        }
    }
}

/// The log was not read.
pub(in crate::admin) fn not_read(error: NotRead) -> Response {
    not_now(&error.to_string())
}

fn not_now(detail: &str) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut answer = problem(status, "support_log_busy", detail);
    let seconds = HeaderValue::from(NotRead::RETRY_AFTER_SECS);
    answer.headers_mut().insert(RETRY_AFTER, seconds);
    answer
}

/// The incidents are there, but nothing of them may leave.
pub(super) fn not_exported(refused: &Refused) -> Response {
    let (status, code) = match refused {
        Refused::Secret { .. } | Refused::Note(_) => (StatusCode::CONFLICT, "export_refused"),
        Refused::TooLarge => (StatusCode::CONFLICT, "export_too_large"),
        Refused::Count(_) => (StatusCode::BAD_REQUEST, "request_malformed"),
        Refused::NotAsked(_) => (StatusCode::SERVICE_UNAVAILABLE, "export_unavailable"),
        Refused::Unwritable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    };
    problem(status, code, &refused.to_string())
}

fn fields(fields: &[(&str, Value)]) -> Map<String, Value> {
    let owned = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
    fields.iter().map(owned).collect()
}
