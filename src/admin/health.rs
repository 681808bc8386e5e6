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

/// Counting a hundred thousand grants takes its time, which others' exchanges need not wait for.
async fn metrics(State(source): State<Arc<dyn Source>>) -> Response {
    match tokio::task::spawn_blocking(move || source.metrics()).await {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be counted");
            let detail = "the metrics could not be counted";
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
        }
    }
}

async fn method_not_allowed() -> Response {
    let detail = "this path does not take this method";
    problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use axum::body::{Body, to_bytes};
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;
    use crate::admin::NotReady;

    /// Tells the thread on which it counted.
    #[derive(Debug)]
    struct Telltale;

    impl Source for Telltale {
        fn not_ready(&self) -> Vec<NotReady> {
            Vec::new()
        }

        fn metrics(&self) -> String {
            format!("{:?}", thread::current().id())
        }
    }

    #[tokio::test]
    async fn metrics_are_counted_on_none_of_the_threads_that_serve() {
        let asked = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = routes(Arc::new(Telltale)).oneshot(asked).await.unwrap();

        assert_eq!(answer.status(), StatusCode::OK);
        let counted_on = to_bytes(answer.into_body(), 1024).await.unwrap();
        let serving = format!("{:?}", thread::current().id());
        assert_ne!(counted_on, serving.as_bytes());
    }
}
