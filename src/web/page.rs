//! What all pages have in common: the frame, the style sheet, times and states in words.
//!
//! **Invariant:** text reaches a page through maud's escaping only; no page loads anything from
//! elsewhere.

use axum::{Router, response::IntoResponse, routing::get};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use maud::{DOCTYPE, Markup, html};

/// Where the style sheet and the icon are, below the place of the listener's pages.
const STYLE: &str = "/style.css";
const ICON: &str = "/icon.svg";

/// The routes every listener with pages needs.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(STYLE, get(style))
        .route(ICON, get(icon))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("page/style.css"))
}

async fn icon() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "image/svg+xml"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("page/icon.svg"))
}

/// A whole page. `navigation` stands at its top, `main` below.
pub fn frame(title: &str, navigation: &Markup, main: &Markup) -> Markup {
    frame_at("", title, navigation, main)
}

/// The same where [`routes`] are nested at `place`, such as `/connect`.
pub fn frame_at(place: &str, title: &str, navigation: &Markup, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Linkgate" }
                link rel="icon" href={ (place) (ICON) };
                link rel="stylesheet" href={ (place) (STYLE) };
            }
            body {
                (navigation)
                main { (main) }
            }
        }
    }
}
