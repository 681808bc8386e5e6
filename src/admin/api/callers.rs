//! Callers by the API.

use std::collections::HashMap;

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};

use super::{House_, Who};
use crate::{
    admin::{callers::all, house::House},
    incident::reader::{Filter, MOST_COUNTS, Window},
};

/// How far back a caller's incidents are counted.
const DAY_MICROS: i64 = 86_400_000_000;

pub(super) async fn list(State(house): House_, Extension(visitor): Who) -> Json<Value> {
    visitor.did("look", "callers");
    let counts = counts(&house).await;
    let told = |caller: crate::admin::callers::CallerSummary| {
        let incidents = counts.as_ref().and_then(|counts| counts.of(&caller.name));
        json!({"name": caller.name, "keys": caller.keys, "incidents_24h": incidents})
    };
    let callers: Vec<Value> = all(&house).into_iter().map(told).collect();
    Json(json!({"callers": callers}))
}

/// Incidents of the last day, by caller.
struct Counts {
    by_caller: HashMap<String, u64>,
    /// Whether every caller that had any is in it.
    is_whole: bool,
}

impl Counts {
    /// None where it is not known.
    fn of(&self, caller: &str) -> Option<u64> {
        let none = self.is_whole.then_some(0);
        self.by_caller.get(caller).copied().or(none)
    }
}

/// None where the log was not read: the callers can be told without.
async fn counts(house: &House) -> Option<Counts> {
    let now = house.clock.micros();
    let window = Window {
        since_micros: now.saturating_sub(DAY_MICROS),
        until_micros: now,
    };
    let read = house.read(move |log| log.stats(window, &Filter::default(), MOST_COUNTS));
    let counted = read.await.ok()?.callers;
    Some(Counts {
        is_whole: counted.len() < MOST_COUNTS,
        by_caller: counted
            .into_iter()
            .map(|one| (one.name, one.count))
            .collect(),
    })
}
