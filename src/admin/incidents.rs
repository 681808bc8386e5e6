//! The incidents' pages: a list by filter, one incident, what to find by, and what happens now.
//!
//! **Invariant:** a page costs what it shows; the log is read where it may block, by a bounded number of
//! readers ([`super::reading`]); who looked at what is noted.
//! **Neighbours:** [`Asked`] is what a URL asks; the API answers the same as JSON.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use maud::{Markup, html};

use super::{
    door::{TAIL, Visitor},
    house::House,
    page,
    query::{Asked, BadParameter},
    reading::NotRead,
};
use crate::incident::reader::{Cursor, Order, Page};

mod filters;
mod find;
mod message;
mod one;
pub(super) mod row;
mod tail;
mod waterfall;

pub(super) use one::list as list_of;
pub(super) use tail::Followers;

/// The word of a list that goes on by itself.
const LIVE: &str = "live";

/// Behind the door.
pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/incidents", get(list))
        .route(TAIL, get(tail::tail))
        .route("/incidents/{id}", get(one::show))
        .route("/find", get(find::find))
}

async fn list(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let query = request.uri().query();
    let asked = match Asked::parse(query, house.clock.micros(), &[LIVE]) {
        Ok(asked) => asked,
        Err(error) => return not_understood(&visitor, &error),
    };
    visitor.did("look", format_args!("incidents: {}", asked.shape()));
    let (filter, after, limit) = (asked.filter.clone(), asked.after, asked.limit);
    match house
        .read(move |log| log.search(&filter, after, limit))
        .await
    {
        Ok(found) => {
            let main = listed(&asked, &found, is_live(query));
            page::lively(&visitor, "/incidents", "Incidents", &main).into_response()
        }
        Err(error) => not_read(&visitor, error),
    }
}

/// Whether new incidents shall come by themselves.
fn is_live(query: Option<&str>) -> bool {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .any(|(name, value)| name == LIVE && value == "1")
}

fn listed(asked: &Asked, found: &Page, is_live: bool) -> Markup {
    // Only the newest page of a list that begins with the newest can go on by itself.
    let may_live = asked.after.is_none() && asked.filter.order == Order::NewestFirst;
    let tail = (is_live && may_live).then(|| tail_of(asked, found));
    html! {
        h1 { "Incidents" }
        (filters::form(asked))
        @if may_live { (live(asked, tail.is_some())) }
        @if found.records.is_empty() { p.faint.nothing { "No incident fits." } }
        @if !found.records.is_empty() || tail.is_some() { (row::table(&found.records, tail.as_deref())) }
        (onward(asked, found))
        (remarks(found))
    }
}

/// Where the rows come from that are newer than those shown.
fn tail_of(asked: &Asked, found: &Page) -> String {
    let newest = found.records.first().and_then(Cursor::behind);
    let query = newest.map_or_else(|| asked.query(), |newest| asked.query_after(newest));
    format!("{TAIL}?{query}")
}

fn live(asked: &Asked, is_live: bool) -> Markup {
    let again = format!("/incidents?{}", asked.query());
    let mut live = asked.query();
    if !live.is_empty() {
        live.push('&');
    }
    html! {
        p {
            @if is_live {
                a.button href=(again) { "Stop" } " "
                span #live role="status" { "New incidents come by themselves." }
                noscript { " Without scripts: " a href={ "/incidents?" (live) "live=1" } { "refresh" } }
            } @else {
                a.button href={ "/incidents?" (live) "live=1" } { "Live" } " "
                a.button href=(again) { "Refresh" }
            }
        }
    }
}

fn onward(asked: &Asked, found: &Page) -> Markup {
    let (first, next) = match asked.filter.order {
        Order::NewestFirst => ("Newest", "Older"),
        Order::OldestFirst => ("Oldest", "Newer"),
    };
    html! {
        p {
            @if asked.after.is_some() { a.button href={ "/incidents?" (asked.query()) } { (first) } " " }
            @if let Some(behind) = found.next {
                a.button rel="next" href={ "/incidents?" (asked.query_after(behind)) } { (next) }
            }
        }
    }
}

/// What must be known about the list beside its rows.
fn remarks(found: &Page) -> Markup {
    let newest = found.records.iter().filter_map(|record| record.seq()).max();
    let is_behind = found
        .indexed_through
        .seq
        .is_some_and(|seq| newest > Some(seq));
    html! {
        @if is_behind {
            p.faint {
                "The index has read up to "
                (row::moment(found.indexed_through.time.as_deref().unwrap_or("its beginning")))
                "; what is newer was read from the log itself."
            }
        }
        @if found.skipped > 0 { p.warn { (found.skipped) " lines could not be read and were passed over." } }
    }
}

/// A query that asks for nothing there is.
pub(super) fn not_understood(visitor: &Visitor, error: &BadParameter) -> Response {
    let words = format!("{error}.");
    page::trouble(
        visitor,
        StatusCode::BAD_REQUEST,
        "Not understood",
        &words,
        "/incidents",
    )
}

/// The log was not read.
pub(super) fn not_read(visitor: &Visitor, error: NotRead) -> Response {
    let words = format!("{error}.");
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut answer = page::trouble(visitor, status, "Not read", &words, "/incidents");
    let after = HeaderValue::from(NotRead::RETRY_AFTER_SECS);
    answer.headers_mut().insert(RETRY_AFTER, after);
    answer
}
