//! The callers' page: who calls, with which keys, and what went wrong for whom of late.
//!
//! **Invariant:** of a key there stands what [`KeySummary`] holds; the log is counted once for all, and
//! asked when the last one was for [`MOST_ASKED`] callers at most.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse as _, Response},
};
use maud::{Markup, html};

use super::{CallerSummary, Counts, KeySummary, all};
use crate::{
    admin::{
        door::Visitor,
        house::House,
        incidents::{list_of, not_read, row::moment},
        page, words,
    },
    incident::reader::{Filter, Incidents, Window},
};

/// Callers whose last incident is looked for.
const MOST_ASKED: usize = 50;

/// What went wrong of late.
struct Trouble {
    counts: Counts,
    /// When the last one of a caller began, for those who had any.
    last: HashMap<String, String>,
}

pub(in crate::admin) async fn list(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    visitor.did("look", "callers");
    let callers = all(&house);
    let names: Vec<String> = callers.iter().map(|caller| caller.name.clone()).collect();
    let now = house.clock.micros();
    match house.read(move |log| trouble(log, names, now)).await {
        Ok(trouble) => {
            let main = listed(&callers, &trouble, house.clock.seconds());
            page::page(&visitor, "/callers", "Callers", &main).into_response()
        }
        Err(error) => not_read(&visitor, error),
    }
}

/// Reads files: not for an async worker.
fn trouble(log: &Incidents, names: Vec<String>, now: i64) -> Trouble {
    let counts = Counts::of_last_day(log, now);
    let last_of = |name: &String| {
        let filter = Filter {
            caller: Some(name.clone()),
            since_micros: Some(Window::last_day(now).since_micros),
            ..Filter::default()
        };
        let page = log.search(&filter, None, 1);
        page.records.first()?.time().map(str::to_owned)
    };
    let last = names
        .into_iter()
        .filter(|name| counts.of(name).is_some_and(|count| count > 0))
        .take(MOST_ASKED)
        .filter_map(|name| last_of(&name).map(|last| (name, last)))
        .collect();
    Trouble { counts, last }
}

fn listed(callers: &[CallerSummary], trouble: &Trouble, now: i64) -> Markup {
    html! {
        h1 { "Callers" }
        @if callers.is_empty() {
            p.faint { "No key was made yet: " code { "linkgate keys create" } "." }
        }
        @for caller in callers {
            section.card.caller {
                h2 { (caller.name) }
                p {
                    a href=(list_of("caller", &caller.name)) { "Incidents" }
                    @if let Some(count) = trouble.counts.of(&caller.name) {
                        ": " (count) " in the last 24 hours"
                        @if let Some(last) = trouble.last.get(&caller.name) { ", the last " (moment(last)) }
                    }
                }
                table.cards {
                    thead { tr { @for heading in ["Key", "State", "Covers", "May", "Made", "Ends"] { th scope="col" { (heading) } } } }
                    tbody { @for key in &caller.keys { (key_row(key, now)) } }
                }
            }
        }
    }
}

fn key_row(key: &KeySummary, now: i64) -> Markup {
    let class = if key.state == "live" { "good" } else { "faint" };
    html! {
        tr {
            td data-label="Key" { code { (key.id) } }
            td data-label="State" { span class=(class) { (key.state) } }
            td data-label="Covers" {
                div { @if key.any_member { "every member" } @else if key.members.is_empty() { "nobody" } @else { (key.members.join(", ")) } }
            }
            td data-label="May" { div { @if key.allow.is_empty() { "everything" } @else { (key.allow.join(", ")) } } }
            td data-label="Made" { (words::ago(Some(key.created_at), now, "")) }
            td data-label="Ends" { (words::left(key.expires_at, now, "never")) }
        }
    }
}
