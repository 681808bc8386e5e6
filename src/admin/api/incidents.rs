//! Incidents by the API: lists by filter, one whole.
//!
//! **Invariant:** a record is given as it stands in the log, redacted; bodies stand in it only where one
//! incident is asked for, by someone who may see them. Who looked at what is noted.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderValue, header::LINK};
use serde_json::{Value, json};

use super::{House_, Who, trouble};
use crate::{
    admin::{
        door::Visitor,
        house::House,
        query::{self, Asked},
    },
    incident::reader::{Found, Incidents, Page, Record},
};

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/api/incidents", get(list))
        .route("/api/incidents/{id}", get(show))
        .route("/api/incidents/{id}/explain", get(explain))
}

async fn list(State(house): House_, Extension(visitor): Who, request: Request) -> Response {
    let asked = match Asked::parse(request.uri().query(), house.clock.micros(), &[]) {
        Ok(asked) => asked,
        Err(error) => return trouble::not_understood(&error),
    };
    visitor.did("look", format_args!("incidents: {}", asked.shape()));
    let (filter, after, limit) = (asked.filter.clone(), asked.after, asked.limit);
    let read = house.read(move |log| log.search(&filter, after, limit));
    match read.await {
        Ok(page) => linked(&asked, &page, Json(told(&page)).into_response()),
        Err(error) => trouble::not_read(error),
    }
}

/// With the way to the first and the next page (RFC 8288), for programs that follow links.
fn linked(asked: &Asked, page: &Page, mut answer: Response) -> Response {
    let first = format!("</api/incidents?{}>; rel=\"first\"", asked.query());
    let next = |next| format!("</api/incidents?{}>; rel=\"next\"", asked.query_after(next));
    let links = std::iter::once(first).chain(page.next.map(next));
    for link in links {
        if let Ok(link) = HeaderValue::try_from(link) {
            answer.headers_mut().append(LINK, link);
        }
    }
    answer
}

fn told(page: &Page) -> Value {
    let records: Vec<&Value> = page.records.iter().map(Record::json).collect();
    json!({
        "incidents": records,
        "next": page.next.map(|next| next.to_string()),
        "indexed_through": page.indexed_through,
        "skipped": page.skipped,
    })
}

/// An id or its beginning, as it stands in the URL.
type Id = Result<Path<String>, PathRejection>;

async fn show(State(house): House_, Extension(visitor): Who, id: Id) -> Response {
    let looked = look(&house, &visitor, id, "look", |_, record| record);
    match looked.await {
        Ok(record) => Json(record.json()).into_response(),
        Err(trouble) => *trouble,
    }
}

async fn explain(State(house): House_, Extension(visitor): Who, id: Id) -> Response {
    let looked = look(&house, &visitor, id, "explain", |log, record| {
        let findings = log.explain(&record);
        json!({"id": record.id(), "verdict": record.verdict(), "findings": findings})
    });
    match looked.await {
        Ok(explained) => Json(explained).into_response(),
        Err(trouble) => *trouble,
    }
}

/// What `work` makes of the one incident, its bodies opened as far as the visitor may see them.
async fn look<T: Send + 'static>(
    house: &House,
    visitor: &Visitor,
    id: Id,
    action: &str,
    work: impl FnOnce(&Incidents, Record) -> T + Send + 'static,
) -> Result<T, Box<Response>> {
    // What is no text is no id either.
    let id = id.map_or(String::new(), |Path(id)| id);
    let id = query::id(&id).map_err(|error| Box::new(trouble::not_understood(&error)))?;
    visitor.did(action, format_args!("incident {id}"));
    let opener = house.reading.opener(visitor);
    let read = house.read(move |log| match log.find(&id) {
        Found::One(record) => Ok(work(log, opener.opened(*record))),
        other => Err(Box::new(trouble::not_found(&id, &other))),
    });
    read.await
        .unwrap_or_else(|error| Err(Box::new(trouble::not_read(error))))
}
