//! Callers by the API.

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};

use super::{House_, Who};
use crate::admin::callers::{CallerSummary, Counts, all};

pub(super) async fn list(State(house): House_, Extension(visitor): Who) -> Json<Value> {
    visitor.did("look", "callers");
    let now = house.clock.micros();
    // The callers can be told without.
    let counts = house
        .read(move |log| Counts::of_last_day(log, now))
        .await
        .ok();
    let told = |caller: CallerSummary| {
        let incidents = counts.as_ref().and_then(|counts| counts.of(&caller.name));
        json!({"name": caller.name, "keys": caller.keys, "incidents_24h": incidents})
    };
    let callers: Vec<Value> = all(&house).into_iter().map(told).collect();
    Json(json!({"callers": callers}))
}
