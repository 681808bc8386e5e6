//! The members' pages: the list, and what both pages say about one member.
//!
//! **Invariant:** a page shows at most as many members as its query may ask for, however many there are.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::StatusCode;
use maud::{Markup, html};

use super::{
    address,
    door::Visitor,
    house::House,
    listing::{BadQuery, Listing},
    page, words,
};
use crate::{
    credentials::{GrantState, GrantSummary, Page, RenewalOutcome},
    exchange::{Member, Name},
};

mod change;
mod one;

/// Behind the door.
pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/members", get(list))
        .route("/members/{application}/{name}", get(one::show))
        .route("/members/{application}/{name}/portrait", get(one::portrait))
        .route("/members/{application}/{name}/renew", post(change::renew))
        .route(
            "/members/{application}/{name}/disconnect",
            get(change::confirm).post(change::disconnect),
        )
        .route(
            "/members/{application}/{name}/connect-link",
            post(change::connect_link),
        )
        .route("/connect-link", post(change::connect_link_for))
}

async fn list(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let query = request.uri().query();
    let listing = match Listing::parse(query) {
        Ok(listing) => listing,
        Err(BadQuery(words)) => {
            let status = StatusCode::BAD_REQUEST;
            return page::trouble(&visitor, status, "Not understood", words, "/members");
        }
    };
    visitor.did("look", "list of members");
    let found = page_of(&house, &listing).await;
    let now = house.clock.seconds();
    let applications = house.credentials.applications();
    let main = html! {
        h1 { "Members" }
        (told(query))
        (filters(&listing, &applications))
        (table(&found, now))
        (onward(&listing, &found))
        @if visitor.operator.role.may_change() { (newcomer(&visitor, &applications)) }
    };
    page::page(&visitor, "/members", "Members", &main).into_response()
}

/// The grants of a listing, looked up where it may take a moment.
pub(super) async fn page_of(house: &House, listing: &Listing) -> Page {
    let (credentials, listing) = (house.credentials.clone(), listing.clone());
    let looked = tokio::task::spawn_blocking(move || {
        credentials.page(&listing.wanted, listing.after.as_ref(), listing.limit)
    });
    looked.await.unwrap_or_default()
}

/// What was done on the page before: one of the words below, whatever the URL says.
fn told(query: Option<&str>) -> Markup {
    let done = match query {
        Some("told=disconnected") => "Disconnected: both tokens are destroyed.",
        Some("told=renewed") => "Renewed: a new access token is in use.",
        _ => "",
    };
    html! {
        @if !done.is_empty() { p.card.good role="status" { (done) } }
    }
}

fn filters(listing: &Listing, applications: &[Name]) -> Markup {
    let wanted = &listing.wanted;
    html! {
        form.filters method="get" action="/members" role="search" {
            div {
                label for="text" { "Name, real name or URN" }
                input #text type="search" name="text" value=[wanted.text.as_deref()];
            }
            div {
                label for="application" { "Application" }
                select #application name="application" {
                    option value="" { "all" }
                    @for name in applications {
                        option value=(name) selected[wanted.application.as_ref() == Some(name)] { (name) }
                    }
                }
            }
            div {
                label for="state" { "State" }
                select #state name="state" {
                    option value="" { "all" }
                    @for one in GrantState::ALL {
                        option value=(one.as_str()) selected[wanted.state == Some(one)] { (word(one)) }
                    }
                }
            }
            div { button.main { "Show" } }
        }
    }
}

/// A link for somebody who is not in the list yet.
fn newcomer(visitor: &Visitor, applications: &[Name]) -> Markup {
    html! {
        h2 { "Connect a member" }
        form.filters method="post" action="/connect-link" {
            (page::form_token(visitor))
            div {
                label for="newcomer" { "Name for the member: A-Z a-z 0-9 . _ -" }
                input #newcomer type="text" name="name" required maxlength="64" autocomplete="off";
            }
            div {
                label for="of" { "Application" }
                select #of name="application" {
                    @for name in applications { option value=(name) { (name) } }
                }
            }
            div { button { "Make a connect link" } }
        }
    }
}

fn table(found: &Page, now: i64) -> Markup {
    html! {
        @if found.grants.is_empty() {
            p.faint { "No member fits." }
        } @else {
            table.cards {
                thead {
                    tr {
                        @for head in ["Member", "State", "Access token", "Refresh token", "Renewable", "Last used", "Last renewal"] {
                            th scope="col" { (head) }
                        }
                    }
                }
                tbody {
                    @for (member, summary) in &found.grants { (row(member, summary, now)) }
                }
            }
        }
    }
}

fn row(member: &Member, summary: &GrantSummary, now: i64) -> Markup {
    html! {
        tr {
            td data-label="Member" {
                a href={ "/members/" (address::of(member)) } { (name(summary)) }
                @if let Some(full_name) = &summary.full_name { " " span { (full_name) } }
                br;
                span.faint { (summary.application) }
            }
            td data-label="State" { (state(summary.state)) }
            td data-label="Access token" { (words::left(summary.access_expires_at, now, "unknown")) }
            td data-label="Refresh token" { (refresh_left(summary, now)) }
            td data-label="Renewable" { (if summary.renewable { "yes" } else { "no" }) }
            td data-label="Last used" { (words::ago(summary.last_used, now, "never")) }
            td data-label="Last renewal" { (last_renewal(summary, now)) }
        }
    }
}

fn onward(listing: &Listing, found: &Page) -> Markup {
    let last = found.grants.last().filter(|_| found.has_more);
    html! {
        p {
            @if listing.after.is_some() { a.button href="/members" { "First page" } " " }
            @if let Some((last, _)) = last {
                a.button href={ "/members?" (listing.query_after(last)) } { "Next page" }
            }
        }
    }
}

/// What is left of the refresh token, where there can be one.
fn refresh_left(summary: &GrantSummary, now: i64) -> Markup {
    match (summary.refresh_expires_at, summary.renewable) {
        (None, false) => html! { span.faint { "none" } },
        (at, _) => words::left(at, now, "unknown"),
    }
}

/// When a renewal was last tried, and how it ended.
fn last_renewal(summary: &GrantSummary, now: i64) -> Markup {
    let at = summary.last_attempt.or(summary.last_renewal);
    html! {
        (words::ago(at, now, "never"))
        @match summary.last_outcome {
            None | Some(RenewalOutcome::Renewed) => {},
            Some(outcome) => { ", " span.bad { (outcome.as_str()) } },
        }
    }
}

/// A member by name.
pub(super) fn name(summary: &GrantSummary) -> &str {
    summary
        .name
        .as_deref()
        .unwrap_or("(the application itself)")
}

/// A state, coloured by how much help it needs.
pub(super) fn state(state: GrantState) -> Markup {
    let class = match state {
        GrantState::Fresh | GrantState::Renewing => "good",
        GrantState::Stale | GrantState::Expired | GrantState::RetryLater => "warn",
        GrantState::SignInNeeded => "bad",
    };
    html! { span class=(class) { (word(state)) } }
}

fn word(state: GrantState) -> String {
    state.as_str().replace('_', " ")
}
