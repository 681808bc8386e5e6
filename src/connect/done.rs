//! What came of a sign-in, on a page of its own: its address holds neither code nor state, so that it
//! can be reloaded and stands in no history that matters.
//!
//! **Invariant:** a page that names somebody is shown to the browser that finished, for ten minutes;
//! any other is told that there is nothing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{Path, State as Ask},
    response::{IntoResponse as _, Response},
    routing::get,
};
use axum_extra::extract::cookie::CookieJar;
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};

use super::{
    Connect,
    browser::Browser,
    decoded, encoded,
    ending::{Ending, Refusal},
    page, returning,
};
use crate::keyring::random_bytes;

/// Pages that are kept; the oldest goes first.
const KEPT: usize = 256;
/// Of these, by one link, whose oldest goes before any other: whoever has it pushes nobody else's out.
const KEPT_OF_A_LINK: usize = 16;
const KEPT_SECS: i64 = 600;
/// Seconds until a member who is signed in is taken back to the app.
const RETURN_SECS: u32 = 5;
const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// Endings whose page may still be asked for, oldest first.
#[derive(Default)]
pub(super) struct Finished(Mutex<VecDeque<Arc<Page>>>);

/// One ending and whose it is.
pub(super) struct Page {
    ticket: [u8; 16],
    browser: String,
    at: i64,
    pub(super) ending: Ending,
    /// The link the member came by, for another try.
    pub(super) link: String,
    pub(super) return_to: Option<String>,
}

impl Finished {
    /// Keeps an ending and gives its ticket.
    pub(super) fn keep(
        &self,
        now: i64,
        browser: String,
        link: String,
        return_to: Option<String>,
        ending: Ending,
    ) -> String {
        let page = Page {
            ticket: random_bytes(),
            browser,
            at: now,
            ending,
            link,
            return_to,
        };
        let ticket = encoded(&page.ticket);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this_link = |other: &Arc<Page>| other.link == page.link;
        if kept.iter().filter(|other| of_this_link(other)).count() >= KEPT_OF_A_LINK
            && let Some(oldest) = kept.iter().position(of_this_link)
        {
            kept.remove(oldest);
        }
        while kept.len() >= KEPT || kept.front().is_some_and(|page| page.is_over(now)) {
            kept.pop_front();
        }
        kept.push_back(Arc::new(page));
        ticket
    }

    /// The ending of this ticket, for the browser that finished.
    fn of(&self, ticket: &str, browser: Option<Browser>, now: i64) -> Option<Arc<Page>> {
        let (ticket, browser) = (decoded(ticket)?, browser?);
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let page = kept.iter().find(|page| page.ticket == ticket)?;
        (!page.is_over(now) && browser.is(&page.browser)).then(|| Arc::clone(page))
    }
}

impl Page {
    fn is_over(&self, now: i64) -> bool {
        self.at.saturating_add(KEPT_SECS) <= now
    }

    /// Where the member goes now: the app's URL with what came of it.
    pub(super) fn way_back(&self) -> Option<String> {
        let result = match &self.ending {
            Ending::SignedIn(_) => "connected",
            Ending::Refused(refusal) => refusal.code(),
        };
        let url = self.return_to.as_ref()?;
        Some(returning::with_result(url, result))
    }
}

pub(super) fn routes() -> Router<Connect> {
    Router::new()
        .route("/done/{ticket}", get(done))
        .route("/done/{ticket}/portrait", get(portrait))
        .route("/ended/{code}", get(ended))
}

async fn done(Ask(connect): Ask<Connect>, Path(ticket): Path<String>, jar: CookieJar) -> Response {
    let door = &*connect.0;
    let Some(page) = door
        .finished
        .of(&ticket, Browser::of(door, &jar), door.now())
    else {
        return page::over(door);
    };
    let mut answer = match &page.ending {
        Ending::SignedIn(signed_in) => page::signed_in(door, &ticket, &page, signed_in),
        Ending::Refused(refusal) => page::refused(door, refusal, Some(&page)),
    };
    if let (Ending::SignedIn(_), Some(url)) = (&page.ending, page.way_back())
        && let Ok(refresh) = HeaderValue::try_from(format!("{RETURN_SECS}; url={url}"))
    {
        answer.headers_mut().insert(REFRESH, refresh);
    }
    answer
}

async fn portrait(
    Ask(connect): Ask<Connect>,
    Path(ticket): Path<String>,
    jar: CookieJar,
) -> Response {
    let door = &*connect.0;
    let page = door
        .finished
        .of(&ticket, Browser::of(door, &jar), door.now());
    let portrait = page.and_then(|page| match &page.ending {
        Ending::SignedIn(signed_in) => signed_in.profile.as_ref()?.portrait.clone(),
        Ending::Refused(_) => None,
    });
    match portrait {
        Some(portrait) => {
            let headers = [
                (CONTENT_TYPE, portrait.media_type()),
                (CACHE_CONTROL, "no-store"),
            ];
            (headers, portrait.bytes().clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Refusals of which nobody knows whose they are: the page depends on the word alone.
async fn ended(Ask(connect): Ask<Connect>, Path(code): Path<String>) -> Response {
    let door = &*connect.0;
    let all = [
        Refusal::StateUnknown,
        Refusal::StateEnded,
        Refusal::StateUsed,
        Refusal::OtherBrowser,
        Refusal::Busy,
    ];
    match all.iter().find(|refusal| refusal.code() == code) {
        Some(refusal) => page::refused(door, refusal, None),
        None => page::over(door),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(finished: &Finished, now: i64, browser: Browser, link: usize) -> String {
        let ending = Ending::Refused(Refusal::Busy);
        finished.keep(now, browser.to_text(), link.to_string(), None, ending)
    }

    #[test]
    fn a_page_is_shown_to_its_own_browser_for_ten_minutes() {
        let finished = Finished::default();
        let browser = Browser::new();
        let ticket = finish(&finished, 0, browser, 0);
        for (why, ticket, asking, now, is_shown) in [
            ("its own", &*ticket, Some(browser), 599, true),
            ("too late", &ticket, Some(browser), 600, false),
            ("another browser", &ticket, Some(Browser::new()), 0, false),
            ("no cookie", &ticket, None, 0, false),
            (
                "another ticket",
                "AAAAAAAAAAAAAAAAAAAAAA",
                Some(browser),
                0,
                false,
            ),
            ("no ticket", "", Some(browser), 0, false),
        ] {
            let page = finished.of(ticket, asking, now);
            assert_eq!(page.is_some(), is_shown, "{why}");
        }
    }

    #[test]
    fn pages_are_bounded_in_number_and_time() {
        let finished = Finished::default();
        let browser = Browser::new();
        let first = finish(&finished, 0, browser, 0);
        let second = finish(&finished, 1, browser, 1);
        for link in 2..=KEPT {
            finish(&finished, 1, browser, link);
        }

        assert_eq!(finished.0.lock().unwrap().len(), KEPT);
        assert!(finished.of(&first, Some(browser), 1).is_none());
        assert!(finished.of(&second, Some(browser), 1).is_some());
        finish(&finished, 601, browser, 0);
        assert_eq!(finished.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn one_link_pushes_only_its_own_pages_out() {
        let finished = Finished::default();
        let browser = Browser::new();
        let others = finish(&finished, 0, browser, 0);
        let first = finish(&finished, 0, browser, 1);
        let second = finish(&finished, 0, browser, 1);

        for _ in 2..=KEPT_OF_A_LINK {
            finish(&finished, 0, browser, 1);
        }
        assert!(finished.of(&first, Some(browser), 0).is_none());
        assert!(finished.of(&second, Some(browser), 0).is_some());
        for _ in 0..KEPT {
            finish(&finished, 0, browser, 1);
        }
        assert!(finished.of(&others, Some(browser), 0).is_some());
    }
}
