//! What is alike, by the API.

use axum::{
    Extension, Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::{House_, Who, trouble};
use crate::{
    admin::{query::Asked, words},
    incident::reader::{Filter, Window},
};

/// Words of a list that mean nothing for groups and sums.
pub(super) const NOT_HERE: [&str; 6] = [
    "after",
    "order",
    "id",
    "x_li_uuid",
    "x_li_request_id",
    "request_id",
];

pub(super) async fn list(
    State(house): House_,
    Extension(visitor): Who,
    request: Request,
) -> Response {
    let now = house.clock.micros();
    let asked = match Asked::parse_without(request.uri().query(), now, &NOT_HERE) {
        Ok(asked) => asked,
        Err(error) => return trouble::not_understood(&error),
    };
    visitor.did("look", format_args!("signatures: {}", asked.shape()));
    let window = Window::asked(&asked.filter, now);
    let filter: Filter = asked.filter;
    let mut groups = match house.read(move |log| log.groups(window, &filter)).await {
        Ok(groups) => groups,
        Err(error) => return trouble::not_read(error),
    };
    let has_more = groups.len() > asked.limit;
    groups.truncate(asked.limit);
    Json(json!({
        "signatures": groups,
        "since": words::exact(window.since_micros),
        "until": words::exact(window.until_micros),
        "has_more": has_more,
    }))
    .into_response()
}
