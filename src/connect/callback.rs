//! LinkedIn sends the member back here, with a code or with a reason.
//!
//! **Invariant:** the code is exchanged by a task that no browser can cut short; whatever comes of it,
//! the browser is sent on to an address without code and state.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State as Ask, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
    routing::get,
};
use axum_extra::extract::cookie::CookieJar;
use http::{HeaderValue, StatusCode, header::LOCATION};
use serde::Deserialize;
use tracing::{debug, info};

use super::{
    Connect, Door,
    awaited::Progress,
    browser::Browser,
    ending::{Ending, Refusal, SignedIn},
    link::Link,
    state::{NotTaken, State},
};
use crate::{credentials::AuthorizationCode, secret::Secret};

/// What LinkedIn's redirect carries (linkedin.md §1.1).
#[derive(Deserialize)]
struct Came {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

pub(super) fn routes() -> Router<Connect> {
    Router::new().route("/callback", get(callback))
}

async fn callback(
    Ask(connect): Ask<Connect>,
    came: Result<Query<Came>, QueryRejection>,
    jar: CookieJar,
) -> Response {
    let door = &*connect.0;
    let Ok(Query(came)) = came else {
        return door.send_to_ended(&Refusal::StateUnknown);
    };
    let trip = match door.trip(came.state.as_deref(), &jar) {
        Ok(trip) => trip,
        Err(refusal) => return door.send_to_ended(&refusal),
    };
    let browser = trip.browser;
    let ending = match door.states.take(&trip.state, trip.link.id, door.now()) {
        Err(NotTaken::Ended) => Ending::Refused(Refusal::StateEnded),
        Err(NotTaken::Spent) => Ending::Refused(Refusal::StateUsed),
        Err(NotTaken::Full) => Ending::Refused(Refusal::Busy),
        Ok(()) => match (came.code, came.error) {
            (_, Some(error)) => {
                let description = came.error_description.unwrap_or_default();
                Ending::Refused(Refusal::said(&error, &description))
            }
            (Some(code), None) => return connect.exchange(trip, Secret::new(code)).await,
            (None, None) => Ending::Refused(Refusal::NothingCame),
        },
    };
    let ticket = door.finish(&trip, ending);
    door.send_to_done(browser, &ticket)
}

/// One member's way to LinkedIn and back.
struct Trip {
    browser: Browser,
    state: State,
    link: Link,
}

impl Connect {
    /// Exchanges the code to its end, whether or not the browser waits for it.
    async fn exchange(&self, trip: Trip, code: Secret<String>) -> Response {
        let browser = trip.browser;
        if !self.0.rate.may_exchange(trip.link.id, self.0.now()) {
            let reason = "too many codes came back by this link within an hour".to_owned();
            let ending = Ending::Refused(Refusal::Busy);
            let ticket = self.0.finish_because(&trip, ending, Some(reason));
            return self.0.send_to_done(browser, &ticket);
        }
        let Ok(room) = Arc::clone(&self.0.exchanges).try_acquire_owned() else {
            let ticket = self.0.finish(&trip, Ending::Refused(Refusal::Busy));
            return self.0.send_to_done(browser, &ticket);
        };
        let this = self.clone();
        let running = tokio::spawn(async move {
            let (ending, reason) = this.0.exchanged(&trip, code).await;
            let ticket = this.0.finish_because(&trip, ending, reason);
            drop(room);
            ticket
        });
        match running.await {
            Ok(ticket) => self.0.send_to_done(browser, &ticket),
            // The process ends, or a bug: the log says which.
            Err(_) => self.0.send_to_ended(&Refusal::Busy),
        }
    }
}

impl Door {
    /// Whose trip it was, as far as the state opens and the browser is the one it was made for.
    fn trip(&self, state: Option<&str>, jar: &CookieJar) -> Result<Trip, Refusal> {
        let state = state.and_then(|text| self.states.read(text));
        let state = state.ok_or(Refusal::StateUnknown)?;
        let browser = Browser::of(self, jar).filter(|browser| browser.is(&state.browser));
        let browser = browser.ok_or(Refusal::OtherBrowser)?;
        let link = state.link(&self.ring).ok_or(Refusal::StateUnknown)?;
        Ok(Trip {
            browser,
            state,
            link,
        })
    }

    /// How it ended, and why in words for operators, where those say more than the page.
    async fn exchanged(&self, trip: &Trip, code: Secret<String>) -> (Ending, Option<String>) {
        let member = &trip.link.member;
        let code = AuthorizationCode {
            code,
            redirect_uri: self.redirect_uri(),
            verifier: trip.state.verifier.clone().map(Secret::new),
        };
        match self.credentials.connect(member, code).await {
            Ok(grant) => {
                let profile = self.credentials.profile(member);
                let signed_in = SignedIn { profile, grant };
                (Ending::SignedIn(Box::new(signed_in)), None)
            }
            Err(error) => {
                let reason = error.to_string();
                (Ending::Refused(Refusal::from(&error)), Some(reason))
            }
        }
    }

    /// Keeps the page and tells whoever waits; gives the page's ticket.
    fn finish(&self, trip: &Trip, ending: Ending) -> String {
        self.finish_because(trip, ending, None)
    }

    fn finish_because(&self, trip: &Trip, ending: Ending, reason: Option<String>) -> String {
        let progress = match &ending {
            Ending::SignedIn(signed_in) => Some(connected(signed_in)),
            // The first try's end stands already, or the next one decides.
            Ending::Refused(Refusal::StateUsed) => None,
            Ending::Refused(refusal) => {
                info!(member = %trip.link.member, how = refusal.code(), "a sign-in ended without a grant");
                Some(Progress::Refused {
                    code: refusal.code().to_owned(),
                    reason: reason.unwrap_or_else(|| refusal.reason()),
                })
            }
        };
        if let Some(progress) = progress {
            self.awaited.note(trip.link.id, progress);
        }
        let State {
            browser,
            link,
            return_to,
            ..
        } = &trip.state;
        self.finished.keep(
            self.now(),
            browser.clone(),
            link.clone(),
            return_to.clone(),
            ending,
        )
    }

    fn send_to_done(&self, browser: Browser, ticket: &str) -> Response {
        let mut answer = self.send_to(&format!("done/{ticket}"));
        answer.headers_mut().extend(browser.cookie(self));
        answer
    }

    fn send_to_ended(&self, refusal: &Refusal) -> Response {
        debug!(
            how = refusal.code(),
            "somebody came back from LinkedIn in vain"
        );
        self.send_to(&format!("ended/{}", refusal.code()))
    }

    fn send_to(&self, place: &str) -> Response {
        let mut answer = StatusCode::SEE_OTHER.into_response();
        if let Ok(location) = HeaderValue::try_from(format!("{}/{place}", self.path())) {
            answer.headers_mut().insert(LOCATION, location);
        }
        answer
    }
}

fn connected(signed_in: &SignedIn) -> Progress {
    let SignedIn { grant, .. } = signed_in;
    Progress::Connected {
        full_name: grant.full_name.clone(),
        access_expires_at: grant.access_expires_at,
        refresh_expires_at: grant.refresh_expires_at,
        remarks: grant.remarks.clone(),
    }
}
