//! What all pages have in common: the frame, the style sheet, times and states in words.
//!
//! **Invariant:** text reaches a page through maud's escaping only; no page loads anything from
//! elsewhere.

use axum::{Router, response::IntoResponse, routing::get};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use maud::{DOCTYPE, Markup, html};

/// Where the style sheet is.
const STYLE_PATH: &str = "/style.css";

/// The routes every listener with pages needs.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(STYLE_PATH, get(style))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("page/style.css"))
}

/// A whole page. `navigation` stands at its top, `main` below.
pub fn frame(title: &str, navigation: &Markup, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Linkgate" }
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                (navigation)
                main { (main) }
            }
        }
    }
}
