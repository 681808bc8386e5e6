//! What the API is, for programs (`OpenAPI` 3.1).
//!
//! **Invariant:** `openapi.json` has every route that the listener has below `/api`, and no other; a test
//! holds it to that, and an outside tool (tests/api) to the answers.

use axum::{
    Extension,
    response::{IntoResponse as _, Response},
};
use http::header::CONTENT_TYPE;

use super::Who;

const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn show(Extension(visitor): Who) -> Response {
    visitor.did("look", "the API's document");
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
