//! The API: the pages' data and changes as JSON, for programs with an operator's token.
//!
//! **Invariant:** a member is told as [`GrantSummary`] tells it, field by
//! field; every refusal is a problem (RFC 9457); no answer holds a token.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    address,
    door::Visitor,
    failure,
    house::House,
    listing::{BadQuery, Horizon, Listing},
    members::page_of,
};
use crate::{
    credentials::{GrantSummary, ManageError},
    exchange::Member,
    web::answer::problem,
};

mod callers;
mod document;
mod exports;
mod incidents;
mod signatures;
mod stats;
pub(super) mod trouble;

/// Application and name, as they stand in the URL; a refusal where they are no text.
type Address = Result<Path<(String, String)>, PathRejection>;
type House_ = State<Arc<House>>;
type Who = Extension<Visitor>;

/// Behind the door.
pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/api/session", get(session))
        .route("/api/members", get(list))
        .route("/api/forecast", get(forecast))
        .route("/api/members/{application}/{name}", get(show))
        .route("/api/members/{application}/{name}/renew", post(renew))
        .route(
            "/api/members/{application}/{name}/disconnect",
            post(disconnect),
        )
        .route(
            "/api/members/{application}/{name}/connect-link",
            post(connect_link),
        )
        .merge(incidents::routes())
        .merge(exports::routes())
        .route("/api/signatures", get(signatures::list))
        .route("/api/stats", get(stats::show))
        .route("/api/callers", get(callers::list))
        .route("/api/openapi.json", get(document::show))
}

async fn session(Extension(visitor): Who) -> Json<Value> {
    let operator = &visitor.operator;
    let by = match visitor.form_token {
        Some(_) => "session",
        None => "token",
    };
    Json(json!({
        "id": &*operator.id,
        "name": operator.name.as_str(),
        "role": operator.role.as_str(),
        "expires_at": operator.expires_at,
        "signed_in_by": by,
    }))
}

async fn list(State(house): House_, Extension(visitor): Who, request: Request) -> Response {
    let listing = match Listing::parse(request.uri().query()) {
        Ok(listing) => listing,
        Err(BadQuery(detail)) => {
            return problem(StatusCode::BAD_REQUEST, "request_malformed", detail);
        }
    };
    visitor.did("look", "list of members");
    let page = page_of(&house, &listing).await;
    let last = page.grants.last().filter(|_| page.has_more);
    let next = last.map(|(member, _)| address::of(member));
    let members: Vec<&GrantSummary> = page.grants.iter().map(|(_, summary)| summary).collect();
    Json(json!({"members": members, "next": next})).into_response()
}

async fn forecast(State(house): House_, Extension(visitor): Who, request: Request) -> Response {
    let Horizon { days, limit } = match Horizon::parse(request.uri().query()) {
        Ok(horizon) => horizon,
        Err(BadQuery(detail)) => {
            return problem(StatusCode::BAD_REQUEST, "request_malformed", detail);
        }
    };
    visitor.did("look", "forecast");
    let credentials = house.credentials.clone();
    let within = days.map(|days| Duration::from_secs(days * 86_400));
    let asked = tokio::task::spawn_blocking(move || credentials.forecast(within)).await;
    let mut forecast = asked.unwrap_or_default();
    let has_more = forecast.len() > limit;
    forecast.truncate(limit);
    Json(json!({"forecast": forecast, "has_more": has_more})).into_response()
}

async fn show(State(house): House_, Extension(visitor): Who, address: Address) -> Response {
    let member = match member(&address) {
        Ok(member) => member,
        Err(missing) => return *missing,
    };
    visitor.did("look", &member);
    told(house.credentials.show(&member))
}

async fn renew(State(house): House_, Extension(visitor): Who, address: Address) -> Response {
    let member = match member(&address) {
        Ok(member) => member,
        Err(missing) => return *missing,
    };
    visitor.did("renew", &member);
    told(house.credentials.renew_now(&member).await)
}

async fn disconnect(State(house): House_, Extension(visitor): Who, address: Address) -> Response {
    let member = match member(&address) {
        Ok(member) => member,
        Err(missing) => return *missing,
    };
    visitor.did("disconnect", &member);
    match house.credentials.disconnect(&member).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failure::problem(&error),
    }
}

async fn connect_link(State(house): House_, Extension(visitor): Who, address: Address) -> Response {
    let member = match member(&address) {
        Ok(member) => member,
        Err(missing) => return *missing,
    };
    let Some(link) = house.links.link(&member) else {
        let detail = "members of this application cannot sign in here: set connect.public_url and the application's scopes";
        return problem(StatusCode::CONFLICT, "connect_not_configured", detail);
    };
    visitor.did("make a connect link", &member);
    let told = json!({"connect_url": link.url, "ends_at": link.ends_at, "warning": link.warning});
    Json(told).into_response()
}

fn told(summary: Result<GrantSummary, ManageError>) -> Response {
    match summary {
        Ok(summary) => Json(summary).into_response(),
        Err(error) => failure::problem(&error),
    }
}

fn member(address: &Address) -> Result<Member, Box<Response>> {
    let named = address.as_ref().ok();
    let member = named.and_then(|Path((application, name))| address::member(application, name));
    member.ok_or_else(|| {
        let detail = "this is no member's name";
        Box::new(problem(StatusCode::NOT_FOUND, "not_found", detail))
    })
}
