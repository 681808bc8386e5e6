//! The support log in numbers, by the API.

use axum::{
    Extension, Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};

use super::{House_, Who, signatures::NOT_HERE, trouble};
use crate::{
    admin::query::Asked,
    incident::reader::{Filter, Window},
};

pub(super) async fn show(
    State(house): House_,
    Extension(visitor): Who,
    request: Request,
) -> Response {
    let now = house.clock.micros();
    let asked = match Asked::parse_without(request.uri().query(), now, &NOT_HERE) {
        Ok(asked) => asked,
        Err(error) => return trouble::not_understood(&error),
    };
    visitor.did("look", format_args!("stats: {}", asked.shape()));
    let (window, top) = (Window::asked(&asked.filter, now), asked.limit);
    let filter: Filter = asked.filter;
    match house.read(move |log| log.stats(window, &filter, top)).await {
        Ok(stats) => Json(stats).into_response(),
        Err(error) => trouble::not_read(error),
    }
}
