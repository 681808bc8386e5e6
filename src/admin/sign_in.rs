//! The sign-in page: an operator's token for a session's cookie; and the way out.
//!
//! **Invariant:** the token is taken from a form's body only, never from a URL, and is shown nowhere.

use axum::{
    Extension, Router,
    extract::{Request, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header::SET_COOKIE};
use maud::{Markup, html};

use super::{
    door::{Door, Form, Refusal, SIGN_OUT, Visitor},
    next::{self, SIGN_IN},
    page,
};
use crate::web::Peer;

/// In front of the door.
pub(super) fn routes(door: Door) -> Router {
    Router::new()
        .route(SIGN_IN, get(ask).post(sign_in))
        .with_state(door)
}

/// Behind it.
pub(super) fn ways_out(door: Door) -> Router {
    Router::new()
        .route(SIGN_OUT, post(sign_out))
        .with_state(door)
}

async fn ask(State(door): State<Door>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let next = pairs.filter(|(name, _)| name == "next").map(|pair| pair.1);
    let next = next.into_iter().next().unwrap_or_default();
    let next = next::own(&next);
    let peer = request.extensions().get::<Peer>().copied();
    match door.visitor(request.headers(), peer, false) {
        Ok(visitor) if visitor.form_token.is_some() => Redirect::to(next).into_response(),
        _ => form(next, None).into_response(),
    }
}

async fn sign_in(
    State(door): State<Door>,
    headers: HeaderMap,
    peer: Option<Extension<Peer>>,
    form: Form,
) -> Response {
    let next = next::own(form.field("next")).to_owned();
    let token = form.secret("token");
    drop(form);
    match door.sign_in(&headers, peer.map(|Extension(peer)| peer), &token) {
        Ok(cookie) => ([(SET_COOKIE, cookie)], Redirect::to(&next)).into_response(),
        Err(refusal) => refusal.dressed(self::form(&next, Some(refusal)).into_response()),
    }
}

async fn sign_out(
    State(door): State<Door>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    let cookie = door.sign_out(&headers);
    visitor.did("sign out", "");
    ([(SET_COOKIE, cookie)], Redirect::to(SIGN_IN)).into_response()
}

fn form(next: &str, refusal: Option<Refusal>) -> Markup {
    let main = html! {
        h1 { "Sign in" }
        @if let Some(refusal) = refusal {
            p.bad role="alert" { (sentence(refusal)) }
        }
        form.card method="post" action=(SIGN_IN) {
            // For password managers, which keep a secret under a name.
            input type="text" autocomplete="username" value="Linkgate" readonly hidden;
            label for="token" { "Operator token" }
            input #token type="password" name="token" required autofocus autocomplete="current-password"
                spellcheck="false" placeholder="lgo_…";
            input type="hidden" name="next" value=(next);
            p { button.main { "Sign in" } }
        }
        p.faint {
            "Tokens are made on the machine that runs Linkgate: "
            code { "linkgate operators create NAME --role operator" }
        }
    };
    page::outside("Sign in", &main)
}

fn sentence(refusal: Refusal) -> String {
    match refusal {
        Refusal::WrongToken => "This is no operator token that is in force.".to_owned(),
        Refusal::Throttled(wait) => format!(
            "This is no operator token that is in force, and too many of those came from your address. \
             Try again in {} seconds.",
            wait.as_secs().saturating_add(1)
        ),
        _ => "This did not come from this page. Open it again, then sign in.".to_owned(),
    }
}

/// What no path behind the door answers.
pub(super) async fn nowhere(Extension(visitor): Extension<Visitor>, request: Request) -> Response {
    let (status, words) = (StatusCode::NOT_FOUND, "There is nothing at this address.");
    match is_api(&request) {
        true => {
            let detail = "there is nothing at this path";
            crate::web::answer::problem(status, "not_found", detail)
        }
        false => page::trouble(&visitor, status, "Nothing here", words, "/"),
    }
}

/// A path behind the door that does not take the method.
pub(super) async fn not_this_way(request: Request) -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    match is_api(&request) {
        true => {
            let detail = "this path does not take this method";
            crate::web::answer::problem(status, "method_not_allowed", detail)
        }
        false => (status, page::refused("This page does not take this.")).into_response(),
    }
}

fn is_api(request: &Request) -> bool {
    request.uri().path().starts_with("/api/")
}
