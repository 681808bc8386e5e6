//! Health and metrics: the routes that ask nobody who they are.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::json;

use super::Source;
use crate::{metrics, web::answer::problem};

/// `/livez`, `/readyz` and `/metrics`.
pub(super) fn routes(source: Arc<dyn Source>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(source)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn livez() -> Response {
    Json(json!({"alive": true})).into_response()
}

async fn readyz(State(source): State<Arc<dyn Source>>) -> Response {
    let reasons = source.not_ready();
    let status = match reasons.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({"ready": reasons.is_empty(), "reasons": reasons});
    (status, Json(body)).into_response()
}

async fn metrics(State(source): State<Arc<dyn Source>>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], source.metrics()).into_response()
}

async fn method_not_allowed() -> Response {
    let detail = "this path does not take this method";
    problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
