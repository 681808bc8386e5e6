//! The pages' one script file, and the policy that lets browsers run it and nothing else.

use axum::{Router, response::IntoResponse, routing::get};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// Where it is.
pub(super) const SCRIPT: &str = "/script.js";

/// Our own style sheet, script, pictures and forms; nothing inline, no frame around us, nothing from elsewhere.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// In front of the door: it tells nothing of anybody.
pub(super) fn routes() -> Router {
    Router::new().route(SCRIPT, get(script))
}

async fn script() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("script.js"))
}
