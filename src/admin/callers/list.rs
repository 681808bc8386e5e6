//! The callers' page: who calls, with which keys, and what went wrong for whom of late.
//!
//! **Invariant:** of a key there stands what [`KeySummary`] holds; the log is asked about [`MOST_ASKED`] callers
//! at most, and the page says so.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse as _, Response},
};
use maud::{Markup, html};

use super::{CallerSummary, KeySummary, all};
use crate::{
    admin::{
        door::Visitor,
        house::House,
        incidents::{list_of, not_read, row::moment},
        page, words,
    },
    incident::reader::{Filter, Incidents, Window},
};

/// Callers whose incidents are counted.
const MOST_ASKED: usize = 50;
/// Microseconds of the time that is looked at.
const DAY: i64 = 86_400 * 1_000_000;

/// What went wrong for one caller.
struct Trouble {
    count: u64,
    last: String,
}

pub(in crate::admin) async fn list(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    visitor.did("look", "callers");
    let callers = all(&house);
    let names: Vec<String> = callers
        .iter()
        .map(|caller| caller.name.clone())
        .take(MOST_ASKED)
        .collect();
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
fn trouble(log: &Incidents, names: Vec<String>, now: i64) -> HashMap<String, Trouble> {
    let window = Window {
        since_micros: now.saturating_sub(DAY),
        until_micros: now,
    };
    let of_one = |name: String| {
        let filter = Filter {
            caller: Some(name.clone()),
            ..Filter::default()
        };
        let groups = log.groups(window, &filter);
        let trouble = Trouble {
            count: groups
                .iter()
                .map(|group| group.count)
                .fold(0, u64::saturating_add),
            last: groups
                .into_iter()
                .map(|group| group.last_seen)
                .max()
                .unwrap_or_default(),
        };
        (name, trouble)
    };
    names.into_iter().map(of_one).collect()
}

fn listed(callers: &[CallerSummary], trouble: &HashMap<String, Trouble>, now: i64) -> Markup {
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
                    @if let Some(one) = trouble.get(&caller.name) {
                        ": " (one.count) " in the last 24 hours"
                        @if one.count > 0 { ", the last " (moment(&one.last)) }
                    }
                }
                table.cards {
                    thead { tr { @for heading in ["Key", "State", "Covers", "May", "Made", "Ends"] { th scope="col" { (heading) } } } }
                    tbody { @for key in &caller.keys { (key_row(key, now)) } }
                }
            }
        }
        @if callers.len() > MOST_ASKED { p.faint { "Incidents are counted for the first " (MOST_ASKED) " callers only." } }
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
