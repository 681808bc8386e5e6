//! The door's pages: who asks for what, what came of it, and what to do now.
//!
//! **Invariant:** text reaches a page through maud's escaping only; addresses in pages are our own or
//! were on the operator's list.

use axum::{
    extract::State as Ask,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use maud::{Markup, html};
use time::{OffsetDateTime, macros::format_description};

use super::{
    Connect, Door,
    done::Page,
    ending::{Refusal, SignedIn},
    link::{BadLink, Link},
    returning,
};
use crate::web::page::frame_at;

mod permission;

use permission::in_words;

/// What the first page says.
pub(super) struct Asking<'a> {
    pub(super) link: &'a Link,
    /// The link's text.
    pub(super) token: &'a str,
    /// The form's proof.
    pub(super) form: &'a str,
    pub(super) return_to: Option<&'a str>,
    /// Whether a return URL was given that is not on the list.
    pub(super) is_return_refused: bool,
    /// Whether signing in ends earlier tokens.
    pub(super) ends_earlier: bool,
    pub(super) scopes: &'a [String],
}

/// Who asks for what, and the button that leads to LinkedIn.
pub(super) fn start(door: &Door, asking: &Asking<'_>) -> Response {
    let title = &door.settings.title;
    let Asking { link, .. } = asking;
    let name = link.member.name.as_ref().map_or("", |name| name.as_str());
    let main = html! {
        h1 { "Connect your LinkedIn account" }
        p { strong { (title) } " asks you to allow on LinkedIn:" }
        ul.permissions {
            @for scope in asking.scopes {
                li { (in_words(scope)) " " code.faint { (scope) } }
            }
        }
        p { "LinkedIn lets you allow all of it, or nothing. You can take it back at any time in LinkedIn's settings." }
        @if asking.ends_earlier {
            p.note.warn {
                strong { "Before you go on: " }
                "you are asked for other things than you allowed before. LinkedIn then ends what you allowed \
                 earlier, also where " (title) " uses it elsewhere."
            }
        }
        @if asking.is_return_refused {
            p.note.warn {
                "The page that sent you here wants you back at an address that is not on our list. You can \
                 sign in all the same; the last page is then ours."
            }
        }
        form method="post" action={ (door.path()) "/start/" (asking.token) } {
            input type="hidden" name="form" value=(asking.form);
            @if let Some(url) = asking.return_to {
                input type="hidden" name="return_to" value=(url);
            }
            button.main.wide type="submit" { "Continue to LinkedIn" }
        }
        p.faint { "You sign in on LinkedIn's own page. Your password is never seen here." }
        dl.facts {
            dt { "Known here as" } dd { (name) }
            dt { "Application" } dd { (link.member.application) }
            @if let Some(url) = asking.return_to {
                dt { "Afterwards" } dd { "back to " (returning::host(url)) }
            }
            dt { "Link ends" } dd { (date(link.ends_at)) }
        }
    };
    whole(door, StatusCode::OK, "Connect your LinkedIn account", &main)
}

/// The member is signed in: name, portrait, and for how long.
pub(super) fn signed_in(door: &Door, ticket: &str, page: &Page, signed_in: &SignedIn) -> Response {
    let profile = signed_in.profile.as_deref();
    let name = profile.and_then(|profile| profile.name.as_deref());
    let has_portrait = profile.is_some_and(|profile| profile.portrait.is_some());
    let main = html! {
        p.good.eyebrow { "Connected" }
        div.person {
            @if has_portrait {
                img.portrait src={ (door.path()) "/done/" (ticket) "/portrait" }
                    alt={ "Portrait of " (name.unwrap_or("the member")) };
            }
            h1 { "Signed in as " (name.unwrap_or("a LinkedIn member")) }
        }
        (how_long(signed_in))
        @for remark in &signed_in.grant.remarks {
            p.note.warn { (remark) }
        }
        @if let Some(url) = page.way_back() {
            p { "You are being taken back to " strong { (returning::host(&url)) } "." }
            a.button.main.wide href=(url) { "Continue to " (returning::host(&url)) }
        } @else {
            p { "That is all. You can close this window." }
        }
    };
    whole(door, StatusCode::OK, "Connected", &main)
}

fn how_long(signed_in: &SignedIn) -> Markup {
    let grant = &signed_in.grant;
    html! {
        p {
            @match (grant.access_expires_at, grant.refresh_expires_at) {
                (_, Some(until)) => {
                    "The connection is renewed without you for as long as LinkedIn allows, which is until "
                    strong { (day(until)) } "."
                }
                (Some(until), None) => {
                    "This lasts until " strong { (day(until)) }
                    ". LinkedIn does not let us renew it without you, so you will be asked again then."
                }
                (None, None) => { "LinkedIn did not say how long this lasts." }
            }
        }
    }
}

/// What happened and what to do. `page` is known where the member may try again.
pub(super) fn refused(door: &Door, refusal: &Refusal, page: Option<&Page>) -> Response {
    let told = refusal.told();
    let main = html! {
        p.warn.eyebrow { "Not connected" }
        h1 { (told.title) }
        p { (told.happened) }
        p { (told.to_do) }
        @if let Some(words) = refusal.words() {
            p.note { "LinkedIn said: " q { (words) } }
        }
        @if let Some(page) = page {
            @if told.may_try_again {
                form method="get" action={ (door.path()) "/start/" (page.link) } {
                    @if let Some(url) = &page.return_to {
                        input type="hidden" name="return_to" value=(url);
                    }
                    button.main.wide type="submit" { "Try again" }
                }
            }
            @if let Some(url) = page.way_back() {
                p { a href=(url) { "Go back to " (returning::host(&url)) " without connecting" } }
            }
        }
        p.faint { "Reference: " code { (refusal.code()) } }
    };
    whole(door, StatusCode::OK, told.title, &main)
}

/// The link opens nothing.
pub(super) fn bad_link(door: &Door, bad: BadLink) -> Response {
    let (status, title, happened) = match bad {
        BadLink::Ended => (
            StatusCode::GONE,
            "This link has ended",
            "Links to sign in last for a limited time only, and this one's is over.",
        ),
        BadLink::NotOurs => (
            StatusCode::NOT_FOUND,
            "This link does not work",
            "Something is missing from the address, or it was changed on its way to you.",
        ),
    };
    let main = html! {
        p.warn.eyebrow { "Not connected" }
        h1 { (title) }
        p { (happened) }
        p { "Please ask for a new link where you got this one, and open it as a whole." }
    };
    whole(door, status, title, &main)
}

/// The form came without the cookie or the proof that it was shown with.
pub(super) fn bad_form(door: &Door, token: &str) -> Response {
    let title = "Please start again";
    let main = html! {
        p.warn.eyebrow { "Not connected" }
        h1 { (title) }
        p { "This page was open for too long, or this browser does not keep our cookie, which we need for a few minutes." }
        p { "Allow cookies for this site, then start again." }
        form method="get" action={ (door.path()) "/start/" (token) } {
            button.main.wide type="submit" { "Start again" }
        }
    };
    whole(door, StatusCode::FORBIDDEN, title, &main)
}

/// A page that was shown for a while, or never.
pub(super) fn over(door: &Door) -> Response {
    let title = "There is nothing here any more";
    let main = html! {
        h1 { (title) }
        p { "What came of a sign-in is shown for ten minutes, and only in the browser that made it." }
        p { "If you were told that you are connected, you still are." }
    };
    whole(door, StatusCode::NOT_FOUND, title, &main)
}

/// Any other address.
pub(super) async fn nothing_here(Ask(connect): Ask<Connect>) -> Response {
    let title = "There is nothing here";
    let main = html! {
        h1 { (title) }
        p { "To connect a LinkedIn account, open the link you were given." }
    };
    whole(&connect.0, StatusCode::NOT_FOUND, title, &main)
}

fn whole(door: &Door, status: StatusCode, title: &str, main: &Markup) -> Response {
    let bar = html! { header { strong { (door.settings.title) } } };
    let main = html! { div.card.narrow { (main) } };
    (status, frame_at(&door.path(), title, &bar, &main)).into_response()
}

/// `2 January 2027, 04:05 UTC`.
fn date(seconds: i64) -> String {
    let format =
        format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|date| date.format(format).ok())
        .unwrap_or_else(|| "in the far future".to_owned())
}

/// `2 January 2027`.
fn day(seconds: i64) -> String {
    let date = date(seconds);
    date.split(',').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_for_people() {
        assert_eq!(date(1_798_862_700), "2 January 2027, 04:05 UTC");
        assert_eq!(day(1_798_862_700), "2 January 2027");
        assert_eq!(day(i64::MAX), "in the far future");
    }
}
