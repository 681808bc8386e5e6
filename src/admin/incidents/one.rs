//! One incident: what was so, where its time went, what was sent and answered, and where to go from here.
//!
//! **Invariant:** bodies stand on the page only for a visitor who may see them; everything else is what the
//! redacted record says, as text.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use form_urlencoded::Serializer;
use http::StatusCode;
use maud::{Markup, html};

use super::{message, not_read, not_understood, row, waterfall};
use crate::{
    admin::{address, door::Visitor, house::House, page, query},
    incident::{
        explain::Finding,
        page::shown,
        reader::{Filter, Found, Incidents, Record},
    },
};

/// Other incidents of the same `X-Request-Id` that are listed.
const NEIGHBOURS: usize = 20;
/// What an incident can be exported as: the word, and what it is for.
const EXPORTS: [(&str, &str); 5] = [
    ("ticket", "Ticket for LinkedIn"),
    ("har", "HAR"),
    ("curl", "curl"),
    ("json", "JSON"),
    ("zip", "All of it (zip)"),
];

/// What a page tells.
struct Told {
    record: Record,
    findings: Vec<Finding>,
    neighbours: Vec<Record>,
}

pub(super) async fn show(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Response {
    let id = match query::id(&id) {
        Ok(id) => id,
        Err(error) => return not_understood(&visitor, &error),
    };
    visitor.did("look", format_args!("incident {id}"));
    let (opener, wanted) = (house.reading.opener(&visitor), id.clone());
    let read = house.read(move |log| match log.find(&wanted) {
        Found::One(record) => {
            let record = opener.opened(*record);
            Ok(Told {
                neighbours: neighbours(log, &record),
                findings: log.explain(&record),
                record,
            })
        }
        other => Err(other),
    });
    match read.await {
        Ok(Ok(told)) if told.record.id() == Some(&*id) => {
            let title = format!("Incident {id}");
            let main = incident(&house, &visitor, &told);
            page::lively(&visitor, "/incidents", &title, &main).into_response()
        }
        Ok(Ok(told)) => {
            let whole = told.record.id().unwrap_or_default();
            Redirect::to(&format!("/incidents/{whole}")).into_response()
        }
        Ok(Err(found)) => not_found(&visitor, &found),
        Err(error) => not_read(&visitor, error),
    }
}

/// Other exchanges that the caller gave the same `X-Request-Id`: its own tries, most often.
fn neighbours(log: &Incidents, record: &Record) -> Vec<Record> {
    let Some(request_id) = record.caller_request_id() else {
        return Vec::new();
    };
    let filter = Filter {
        caller_request_id: Some(request_id.to_owned()),
        ..Filter::default()
    };
    let mut found = log.search(&filter, None, NEIGHBOURS + 1).records;
    found.retain(|other| other.id() != record.id());
    found.truncate(NEIGHBOURS);
    found
}

/// No incident, or several, begin so.
pub(super) fn not_found(visitor: &Visitor, found: &Found) -> Response {
    if let Found::Unreadable(segments) = found {
        let words = format!(
            "None that could be read is it, but {segments} segments of the support log cannot be opened."
        );
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return page::trouble(visitor, status, "Not found", &words, "/incidents");
    }
    let Found::Ambiguous(ids) = found else {
        let words = "There is no such incident. Records are kept for a time, and calls that went well leave none.";
        let status = StatusCode::NOT_FOUND;
        return page::trouble(visitor, status, "No such incident", words, "/incidents");
    };
    let main = html! {
        h1 { "Several incidents begin so" }
        ul { @for id in ids { li { a href={ "/incidents/" (shown(id)) } { code { (shown(id)) } } } } }
    };
    let page = page::page(visitor, "/incidents", "Several incidents", &main);
    (StatusCode::MULTIPLE_CHOICES, page).into_response()
}

fn incident(house: &House, visitor: &Visitor, told: &Told) -> Markup {
    let record = &told.record;
    html! {
        p.eyebrow.faint { "Incident of " (row::time(record)) " UTC" }
        h1.call {
            (shown(record.method().unwrap_or("-"))) " " (row::short(record.url().unwrap_or("-"), 300))
            " → " (row::status(record))
        }
        p.card role="note" { (shown(record.verdict().unwrap_or("-"))) }
        (findings(&told.findings))
        (facts(record))
        (exports(record))
        h2 { "Where the time went" }
        (waterfall::attempts(record))
        (message::exchange(record, house.reading.shows_bodies_to(visitor)))
        (beside(record, &told.neighbours))
    }
}

/// What the rules found, the most telling first, and what to try.
fn findings(all: &[Finding]) -> Markup {
    html! {
        ul.findings {
            @for one in all {
                li {
                    p { strong { (shown(&one.says)) } }
                    @for line in &one.evidence { p { code { (row::short(line, 2_000)) } } }
                    p { "Try: " (shown(&one.what_to_try)) }
                }
            }
        }
    }
}

/// What names the exchange, and what it belongs to.
fn facts(record: &Record) -> Markup {
    let id = record.id().unwrap_or_default();
    let named = [
        ("x-li-uuid", record.text("/linkedin/x_li_uuid")),
        ("x-li-request-id", record.text("/linkedin/x_li_request_id")),
        ("x-li-fabric", record.text("/linkedin/x_li_fabric")),
        ("X-Request-Id", record.caller_request_id()),
    ];
    html! {
        dl.facts {
            dt { "Exchange" } dd { (copyable(id)) }
            @for (name, value) in named {
                @if let Some(value) = value { dt { (name) } dd { (copyable(value)) } }
            }
            dt { "Fault" } dd { (row::fault(record)) ", " (row::word(record.kind())) }
            dt { "Outcome" } dd { (row::word(record.text("/outcome"))) }
            @if let Some(caller) = record.caller() {
                dt { "Caller" } dd { a href=(list("caller", caller)) { (shown(caller)) } " " (key(record)) }
            }
            (member(record))
            @if let Some(signature) = record.signature() {
                dt { "Signature" } dd { a href=(list("signature", signature)) { code { (shown(signature)) } } }
            }
            @for (name, path) in [("Code", "/code"), ("LinkedIn's code", "/linkedin_code"), ("Client id", "/application/client_id"), ("LinkedIn's clock", "/linkedin/time")] {
                @if let Some(value) = record.text(path) { dt { (name) } dd { code { (shown(value)) } } }
            }
            dt { "Took" } dd { (milliseconds(record)) }
            dt { "Gateway" }
            dd {
                (shown(record.text("/gateway/version").unwrap_or("-"))) " on "
                (shown(record.text("/gateway/instance").unwrap_or("-"))) ", configuration "
                code { (shown(record.text("/gateway/config").unwrap_or("-"))) }
            }
        }
        @if record.json().get("shortened").is_some() {
            p.warn { "Headers were cut: the record would have been too long." }
        }
    }
}

fn key(record: &Record) -> Markup {
    html! { @if let Some(key) = record.text("/key_id") { span.faint { "key " code { (shown(key)) } } } }
}

fn milliseconds(record: &Record) -> String {
    let took = record
        .json()
        .pointer("/took_ms")
        .and_then(serde_json::Value::as_f64);
    took.map_or_else(|| "unknown".to_owned(), waterfall::spoken)
}

fn member(record: &Record) -> Markup {
    let application = record.application().unwrap_or_default();
    let page = record
        .member()
        .and_then(|name| address::named(application, name));
    html! {
        @if let Some(member) = page {
            @let name = member.name.as_ref().map(crate::exchange::Name::as_str).unwrap_or_default();
            dt { "Member" }
            dd {
                a href={ "/members/" (address::of(&member)) } { (name) } " · "
                a href=(list("member", name)) { "their incidents" }
                @if let Some(urn) = record.text("/member/urn") { " " span.faint { (shown(urn)) } }
            }
        }
        @if !application.is_empty() {
            dt { "Application" } dd { a href=(list("application", application)) { (shown(application)) } }
        }
    }
}

/// The incidents with this value under this word.
pub(in crate::admin) fn list(word: &str, value: &str) -> String {
    let mut query = Serializer::new(String::new());
    format!("/incidents?{}", query.append_pair(word, value).finish())
}

/// Text with a button that copies it, where scripts run.
fn copyable(text: &str) -> Markup {
    html! {
        code { (shown(text)) } " "
        button.copy type="button" data-copy=(shown(text)) hidden { "Copy" }
    }
}

fn exports(record: &Record) -> Markup {
    let id = record.id().unwrap_or_default();
    html! {
        p.exports {
            @for (word, name) in EXPORTS {
                a.button href={ "/api/incidents/" (id) "/export?as=" (word) } { (name) } " "
            }
        }
    }
}

/// What happened near it.
fn beside(record: &Record, neighbours: &[Record]) -> Markup {
    html! {
        @if !neighbours.is_empty() {
            h2 { "The same X-Request-Id" }
            (row::table(neighbours, None))
        }
        @if let Some(signature) = record.signature() {
            p { a href=(list("signature", signature)) { "All incidents of this signature" } }
        }
    }
}
