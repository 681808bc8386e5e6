//! What an operator's buttons do: renew, disconnect, make a connect link.
//!
//! **Invariant:** each is a POST that passed the door; what was done stands in the operations log with who
//! did it. A connect link is shown to the one who asked for it and written nowhere.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use http::StatusCode;
use maud::html;

use super::{
    name,
    one::{Address, find, missing},
};
use crate::{
    admin::{
        address,
        door::{Form, Visitor},
        failure,
        house::House,
        page, words,
    },
    exchange::Member,
};

pub(super) async fn renew(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    Path((application, name)): Address,
) -> Response {
    let Some((member, _)) = find(&house, &application, &name) else {
        return missing(&visitor);
    };
    visitor.did("renew", &member);
    let back = back(&member);
    match house.credentials.renew_now(&member).await {
        Ok(_) => Redirect::to(&format!("{back}?told=renewed")).into_response(),
        Err(error) => {
            let status = failure::status(&error);
            page::trouble(&visitor, status, "Not renewed", &error.to_string(), &back)
        }
    }
}

pub(super) async fn confirm(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    Path((application, name)): Address,
) -> Response {
    let Some((member, summary)) = find(&house, &application, &name) else {
        return missing(&visitor);
    };
    let back = back(&member);
    let title = format!("Disconnect {}?", self::name(&summary));
    let main = html! {
        div.narrow {
            h1 { (title) }
            p {
                "Both tokens are destroyed at once, here and in the store. Calls for this member are refused until "
                "they sign in at LinkedIn again. The kept bodies of their incidents cannot be read any more."
            }
            form method="post" action={ (back) "/disconnect" } {
                (page::form_token(&visitor))
                button.danger { "Disconnect" }
                " " a.button href=(back) { "Keep" }
            }
        }
    };
    page::page(&visitor, "/members", &title, &main).into_response()
}

pub(super) async fn disconnect(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    Path((application, name)): Address,
) -> Response {
    let Some((member, _)) = find(&house, &application, &name) else {
        return missing(&visitor);
    };
    visitor.did("disconnect", &member);
    match house.credentials.disconnect(&member).await {
        Ok(_) => Redirect::to("/members?told=disconnected").into_response(),
        Err(error) => {
            let status = failure::status(&error);
            let words = error.to_string();
            page::trouble(&visitor, status, "Not disconnected", &words, &back(&member))
        }
    }
}

pub(super) async fn connect_link(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    Path((application, name)): Address,
) -> Response {
    let Some(member) = address::member(&application, &name) else {
        return missing(&visitor);
    };
    link_page(&house, &visitor, &member, &back(&member))
}

/// The same for a name that a form says.
pub(super) async fn connect_link_for(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    form: Form,
) -> Response {
    let member = address::named(form.field("application"), form.field("name").trim());
    let known = house.credentials.applications();
    match member.filter(|member| known.contains(&member.application)) {
        Some(member) => link_page(&house, &visitor, &member, "/members"),
        None => {
            let words = "A name has 1 to 64 characters of A-Z a-z 0-9 . _ -, and the application is one of those listed.";
            let status = StatusCode::BAD_REQUEST;
            page::trouble(&visitor, status, "Not understood", words, "/members")
        }
    }
}

fn link_page(house: &House, visitor: &Visitor, member: &Member, back: &str) -> Response {
    let Some(link) = house.links.link(member) else {
        let words = NO_LINK;
        let status = StatusCode::CONFLICT;
        return page::trouble(visitor, status, "No connect link", words, back);
    };
    visitor.did("make a connect link", member);
    let main = html! {
        h1 { "Connect link" }
        @if let Some(warning) = &link.warning { p.card.warn role="alert" { (warning) } }
        p {
            "Send this link to the member alone: whoever opens it can sign in at LinkedIn as " strong { (member) } ". "
            "It is good for " (words::left(Some(link.ends_at), house.clock.seconds(), "")) "."
        }
        p { input #link type="text" readonly autofocus value=(link.url) aria-label="Connect link"; }
        p { a href=(back) { "Back" } }
    };
    page::page(visitor, "/members", "Connect link", &main).into_response()
}

/// Why there may be no link.
const NO_LINK: &str = "Members of this application cannot sign in here: set connect.public_url and the \
    application's scopes in the configuration.";

fn back(member: &Member) -> String {
    format!("/members/{}", address::of(member))
}
