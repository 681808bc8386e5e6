//! The first page: whether the gateway is ready, what is wrong now, how the members stand, who must sign in again soon.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Extension, extract::State};
use maud::{Markup, html};

use super::{address, door::Visitor, house::House, members, page, words, wrong_now};
use crate::credentials::{Credentials, Forecast, GrantState, Window};

/// How far ahead "soon" looks: a notice at LinkedIn's pace takes weeks to be read.
const SOON: Duration = Duration::from_secs(30 * 86_400);
/// Members named under "soon".
const NAMED: usize = 20;

/// What the page says about members.
#[derive(Default)]
struct Standing {
    states: BTreeMap<GrantState, usize>,
    windows: BTreeMap<Window, usize>,
    soon: Vec<Forecast>,
}

pub(super) async fn overview(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
) -> Markup {
    visitor.did("look", "overview");
    let credentials = house.credentials.clone();
    let asked = tokio::task::spawn_blocking(move || standing(&credentials));
    let (asked, kinds) = tokio::join!(asked, wrong_now::kinds(&house));
    // Only a bug ends it early; then the page says nothing rather than nothing wrong.
    let standing = asked.unwrap_or_default();
    let traffic = house.source.traffic();
    let now = house.clock.seconds();
    let main = html! {
        h1 { "Overview" }
        (ready(&house))
        (wrong_now::failing(traffic))
        (wrong_now::traffic(traffic))
        (wrong_now::signatures(kinds.as_ref()))
        h2 { "Members" }
        ul.counts {
            @for state in GrantState::ALL {
                li {
                    a href={ "/members?state=" (state.as_str()) } {
                        strong { (standing.states.get(&state).copied().unwrap_or(0)) }
                        " " (members::state(state))
                    }
                }
            }
        }
        h2 { "Who must sign in again" }
        (windows(&standing.windows))
        (soon(&standing.soon, now))
    };
    page::page(&visitor, "/", "Overview", &main)
}

fn standing(credentials: &Credentials) -> Standing {
    let mut soon = credentials.forecast(Some(SOON));
    soon.retain(|one| one.window != Window::Unknown);
    soon.truncate(NAMED);
    Standing {
        states: credentials.counts_by_state(),
        windows: credentials.counts_by_window(),
        soon,
    }
}

fn ready(house: &House) -> Markup {
    let reasons = house.source.not_ready();
    html! {
        @if reasons.is_empty() {
            p.card { span.good { "Ready" } " – calls are taken" }
        } @else {
            div.card role="alert" {
                p.bad { "Not ready" }
                ul {
                    @for reason in &reasons {
                        li { (reason.detail) " " span.faint { "(" (reason.reason) ")" } }
                    }
                }
            }
        }
    }
}

fn windows(counts: &BTreeMap<Window, usize>) -> Markup {
    let word = |window: Window| match window {
        Window::Overdue => "now",
        Window::Day => "within a day",
        Window::Week => "within 7 days",
        Window::Month => "within 30 days",
        Window::Quarter => "within 90 days",
        Window::Later => "later",
        Window::Unknown => "unknown: LinkedIn did not say",
    };
    html! {
        dl {
            @for (window, count) in counts.iter().filter(|(_, count)| **count > 0) {
                dt { (word(*window)) }
                dd { (count) }
            }
        }
    }
}

fn soon(soon: &[Forecast], now: i64) -> Markup {
    html! {
        @if soon.is_empty() {
            p.faint { "Nobody within 30 days." }
        } @else {
            h3 { "The next ones" }
            ul {
                @for one in soon {
                    li {
                        @if let Some(member) = address::named(&one.application, &one.name) {
                            a href={ "/members/" (address::of(&member)) } { (one.name) }
                        }
                        ": " (words::left(one.ends_at, now, "unknown"))
                        " " span.faint { "(" (one.because.as_str().replace('_', " ")) ")" }
                    }
                }
            }
            p.faint { "All of them: " code { "linkgate members forecast" } " or " code { "/api/forecast" } }
        }
    }
}
