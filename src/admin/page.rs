//! The frame of an operator's page: where one is, who one is, and the way out.
//!
//! **Invariant:** every form that changes something carries the session's form token, which only
//! [`form_token`] writes.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use maud::{Markup, html};

use super::{
    door::{FORM_FIELD, SIGN_OUT, Visitor},
    script::SCRIPT,
};
use crate::web::page;

/// The pages that stand in the navigation.
const PLACES: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/incidents", "Incidents"),
    ("/signatures", "Signatures"),
    ("/members", "Members"),
    ("/callers", "Callers"),
];

/// A page for `visitor`; `place` is the path that is marked in the navigation.
pub(super) fn page(visitor: &Visitor, place: &str, title: &str, main: &Markup) -> Markup {
    let operator = &visitor.operator;
    let navigation = html! {
        header {
            strong { "Linkgate" }
            nav aria-label="Pages" {
                @for (path, name) in PLACES {
                    a href=(path) aria-current=[(path == place).then_some("page")] { (name) }
                    " "
                }
            }
            form.find method="get" action="/find" role="search" {
                input type="search" name="q" aria-label="Find an incident" placeholder="Id, member, any text" autocomplete="off" spellcheck="false";
                " " button { "Find" }
            }
            div.who {
                (operator.name) " · " (operator.role.as_str()) " "
                @if visitor.form_token.is_some() {
                    form.inline method="post" action=(SIGN_OUT) {
                        (form_token(visitor))
                        button { "Sign out" }
                    }
                }
            }
        }
    };
    page::frame(title, &navigation, main)
}

/// The same with our script: what it does is beyond what the page needs.
pub(super) fn lively(visitor: &Visitor, place: &str, title: &str, main: &Markup) -> Markup {
    let main = html! { (main) script src=(SCRIPT) defer {} };
    page(visitor, place, title, &main)
}

/// A page for somebody who is not signed in.
pub(super) fn outside(title: &str, main: &Markup) -> Markup {
    page::frame(title, &html! {}, &html! { div.narrow { (main) } })
}

/// Why a request was not let through.
pub(super) fn refused(words: &str) -> Markup {
    let main = html! {
        h1 { "Not allowed" }
        p { (words) }
        p { a href="/" { "Back to the first page" } }
    };
    outside("Not allowed", &main)
}

/// A page that says that something is not there, or did not work.
pub(super) fn trouble(
    visitor: &Visitor,
    status: StatusCode,
    title: &str,
    words: &str,
    back: &str,
) -> Response {
    let main = html! {
        h1 { (title) }
        p role="alert" { (words) }
        p { a href=(back) { "Back" } }
    };
    (status, page(visitor, "", title, &main)).into_response()
}

/// The hidden field that a session's forms carry.
pub(super) fn form_token(visitor: &Visitor) -> Markup {
    html! {
        @if let Some(token) = &visitor.form_token {
            input type="hidden" name=(FORM_FIELD) value=(token);
        }
    }
}
