//! Callers by the API.

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};

use super::{House_, Who};
use crate::admin::callers::all;

pub(super) async fn list(State(house): House_, Extension(visitor): Who) -> Json<Value> {
    visitor.did("look", "callers");
    Json(json!({"callers": all(&house)}))
}
