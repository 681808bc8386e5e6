//! The first page: which application asks whom for what. Its button leads to LinkedIn.
//!
//! **Invariant:** nobody is sent to LinkedIn but by a form that this browser was shown by us.

use aws_lc_rs::digest;
use axum::{
    Form, Router,
    extract::{
        Path, Query, State as Ask,
        rejection::{FormRejection, QueryRejection},
    },
    response::{IntoResponse as _, Response},
    routing::get,
};
use axum_extra::extract::cookie::CookieJar;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_SECURITY_POLICY, LOCATION},
};
use serde::Deserialize;
use tracing::info;

use super::{
    Connect, Door,
    browser::Browser,
    encoded,
    link::{BadLink, Link},
    page::{self, Asking},
};
use crate::{keyring::random_bytes, web::answer::policy_with_forms_to};

/// LinkedIn signs members in on sibling hosts, too, and browsers hold the policy against those.
const LINKEDIN: (&str, &str) = ("www.linkedin.com", "https://*.linkedin.com");

#[derive(Deserialize)]
struct Asked {
    return_to: Option<String>,
}

#[derive(Deserialize)]
struct Sent {
    form: String,
    return_to: Option<String>,
}

pub(super) fn routes() -> Router<Connect> {
    Router::new().route("/start/{link}", get(show).post(go))
}

/// Where the member wants to go in the end.
enum Way {
    Nowhere,
    To(String),
    /// It is not on the operator's list.
    Refused,
}

async fn show(
    Ask(connect): Ask<Connect>,
    Path(token): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
    jar: CookieJar,
) -> Response {
    let door = &*connect.0;
    let link = match Link::open(&token, &door.ring, door.now()) {
        Ok(link) => link,
        Err(bad) => return page::bad_link(door, bad),
    };
    // A query that cannot be read names no URL on the list.
    let way = asked.map_or(Way::Refused, |Query(asked)| door.way(asked.return_to));
    let browser = Browser::of(door, &jar).unwrap_or_else(Browser::new);
    let return_to = match &way {
        Way::To(url) => Some(url.as_str()),
        Way::Nowhere | Way::Refused => None,
    };
    let asking = Asking {
        link: &link,
        token: &token,
        form: &browser.form_token(door, &about(&token, return_to)),
        return_to,
        is_return_refused: matches!(way, Way::Refused),
        ends_earlier: door.credentials.would_end_earlier(&link.member).is_some(),
        scopes: door.credentials.scopes(&link.member.application),
    };
    let mut answer = page::start(door, &asking);
    let headers = answer.headers_mut();
    headers.extend(browser.cookie(door));
    if let Some(policy) = policy_with_forms_to(&door.form_targets()) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

async fn go(
    Ask(connect): Ask<Connect>,
    Path(token): Path<String>,
    jar: CookieJar,
    sent: Result<Form<Sent>, FormRejection>,
) -> Response {
    let door = &*connect.0;
    let link = match Link::open(&token, &door.ring, door.now()) {
        Ok(link) => link,
        Err(bad) => return page::bad_link(door, bad),
    };
    let Ok(Form(sent)) = sent else {
        return page::bad_form(door, &token);
    };
    let Some(browser) = Browser::of(door, &jar) else {
        return page::bad_form(door, &token);
    };
    if !browser.sent(door, &about(&token, sent.return_to.as_deref()), &sent.form) {
        return page::bad_form(door, &token);
    }
    let return_to = match door.way(sent.return_to) {
        Way::To(url) => Some(url),
        Way::Nowhere | Way::Refused => None,
    };
    let Some(location) = door.to_linkedin(browser, &link, token, return_to) else {
        return page::bad_link(door, BadLink::NotOurs);
    };
    info!(member = %link.member, "a member is sent to LinkedIn to sign in");
    let mut answer = StatusCode::SEE_OTHER.into_response();
    let headers = answer.headers_mut();
    headers.insert(LOCATION, location);
    headers.extend(browser.cookie(door));
    answer
}

/// What a form is about: none that was shown for one link or return URL counts for another.
fn about(token: &str, return_to: Option<&str>) -> String {
    format!("{token} {}", return_to.unwrap_or_default())
}

impl Door {
    fn way(&self, return_to: Option<String>) -> Way {
        let mut known = self.settings.return_urls.iter();
        match return_to.filter(|url| !url.is_empty()) {
            None => Way::Nowhere,
            Some(url) if known.any(|entry| entry.accepts(&url)) => Way::To(url),
            Some(_) => Way::Refused,
        }
    }

    /// LinkedIn's consent page, for everything the application asks for.
    fn to_linkedin(
        &self,
        browser: Browser,
        link: &Link,
        token: String,
        return_to: Option<String>,
    ) -> Option<HeaderValue> {
        let application = &link.member.application;
        let is_native = self.credentials.has_native_pkce(application);
        let verifier = is_native.then(|| encoded(&random_bytes::<32>()));
        let challenge = verifier.as_deref().map(challenge);
        let state = self
            .states
            .make(self.now(), browser.to_text(), token, return_to, verifier);
        let url = self.credentials.authorization_url(
            application,
            &self.redirect_uri(),
            &state,
            challenge.as_deref(),
        )?;
        HeaderValue::try_from(url).ok()
    }

    /// Where the form leads, redirects included.
    fn form_targets(&self) -> Vec<String> {
        let url = &self.settings.oauth_url;
        let scheme = if url.is_tls() { "https" } else { "http" };
        let mut origins = vec![format!("{scheme}://{}", url.authority())];
        if url.host() == LINKEDIN.0 {
            origins.push(LINKEDIN.1.to_owned());
        }
        origins
    }
}

/// RFC 7636 §4.2, S256.
fn challenge(verifier: &str) -> String {
    encoded(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_that_of_rfc_7636_appendix_b() {
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
