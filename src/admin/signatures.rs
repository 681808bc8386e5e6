//! The signatures' page: what is alike, how often, since when, and what support decided about it.
//!
//! **Invariant:** a decision hides a signature from lists of what is wrong and changes nothing in the log; who
//! decided is noted. A page asks the log a bounded number of questions, whatever it holds.
//! **Neighbours:** `store::MarkStore` keeps the decisions; `linkgate incidents mute|resolve|reopen` makes the
//! same ones.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Request, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use maud::{Markup, html};

use super::{
    door::{Form, MARK, Visitor},
    house::House,
    incidents, page,
};
use crate::store::{self, Decision, Mark, StoreError};

mod group;
pub(super) mod kinds;

use kinds::{Kinds, MOST_QUESTIONS, Shown, Span};

/// Behind the door.
pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/signatures", get(list))
        .route(MARK, post(mark))
}

async fn list(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let Some(span) = Span::of(request.uri().query()) else {
        let words = "A window is 1h, 24h, 7d or 30d.";
        let status = StatusCode::BAD_REQUEST;
        return page::trouble(&visitor, status, "Not understood", words, "/signatures");
    };
    visitor.did("look", format_args!("signatures of {}", span.word()));
    let marks = match house.marks.marks().await {
        Ok(marks) => marks,
        Err(error) => return not_kept(&visitor, &error),
    };
    let now = house.clock.micros();
    match house
        .read(move |log| kinds::read(log, span, marks, now, MOST_QUESTIONS))
        .await
    {
        Ok(kinds) => {
            let main = listed(&visitor, span, &kinds);
            page::page(&visitor, "/signatures", "Signatures", &main).into_response()
        }
        Err(error) => incidents::not_read(&visitor, error),
    }
}

fn listed(visitor: &Visitor, span: Span, kinds: &Kinds) -> Markup {
    html! {
        h1 { "Signatures" }
        p {
            "What went wrong alike, in the last "
            @for one in Span::ALL {
                a.button href={ "/signatures?window=" (one.word()) } aria-current=[(one == span).then_some("true")] { (one.word()) }
                " "
            }
        }
        (table(visitor, span, &kinds.open, "Nothing went wrong in this time."))
        @if !kinds.muted.is_empty() {
            details {
                summary { "Muted: " (kinds.muted.len()) }
                (table(visitor, span, &kinds.muted, ""))
            }
        }
        @if kinds.more > 0 { p.faint { "And " (kinds.more) " more that came less often." } }
    }
}

fn table(visitor: &Visitor, span: Span, all: &[Shown], nothing: &str) -> Markup {
    html! {
        @if all.is_empty() {
            p.faint { (nothing) }
        } @else {
            table.cards.signatures {
                thead {
                    tr { @for heading in group::HEADINGS { th scope="col" { (heading) } } }
                }
                tbody { @for one in all { (group::row(one, Some((visitor, span)))) } }
            }
        }
    }
}

/// The few that came most often of late, without buttons: for the overview.
pub(super) fn few(kinds: &Kinds, most: usize) -> Markup {
    html! {
        table.cards.signatures {
            thead {
                tr { @for heading in group::HEADINGS.iter().take(group::WITHOUT_BUTTONS) { th scope="col" { (heading) } } }
            }
            tbody { @for one in kinds.open.iter().take(most) { (group::row(one, None)) } }
        }
    }
}

async fn mark(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    form: Form,
) -> Response {
    let decision = match form.field("decision") {
        "open" => Ok(None),
        word => word.parse().map(Some),
    };
    let span = Span::named(form.field("window")).unwrap_or_default();
    let not_understood = |words: &str| {
        let status = StatusCode::BAD_REQUEST;
        page::trouble(&visitor, status, "Not understood", words, "/signatures")
    };
    let Ok(decision) = decision else {
        return not_understood("A signature is muted, resolved or open.");
    };
    let signature = match store::markable(form.field("signature")) {
        Ok(signature) => signature,
        Err(error) => return not_understood(&format!("{error}.")),
    };
    visitor.did(decision.map_or("reopen", Decision::as_str), signature);
    match keep(&house, &visitor, signature, decision).await {
        Ok(()) => Redirect::to(&format!("/signatures?window={}", span.word())).into_response(),
        Err(error) => not_kept(&visitor, &error),
    }
}

async fn keep(
    house: &House,
    visitor: &Visitor,
    signature: &str,
    decision: Option<Decision>,
) -> Result<(), StoreError> {
    match decision {
        None => house.marks.remove_mark(signature).await.map(drop),
        Some(decision) => {
            let mark = Mark {
                signature: signature.to_owned(),
                decision,
                at: house.clock.seconds(),
                by: visitor.operator.name.to_string(),
            };
            house.marks.keep_mark(mark).await
        }
    }
}

fn not_kept(visitor: &Visitor, error: &StoreError) -> Response {
    let words = format!("{error}.");
    let status = StatusCode::SERVICE_UNAVAILABLE;
    page::trouble(
        visitor,
        status,
        "The store did not answer",
        &words,
        "/signatures",
    )
}
