//! The browser that was sent to LinkedIn, known again by a cookie that no script reads.
//!
//! **Invariant:** the cookie says nothing and lasts a quarter of an hour; with an https address its
//! name begins with `__Host-`, so that no neighbouring host can plant one.

use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use http::{HeaderValue, header::SET_COOKIE};
use subtle::ConstantTimeEq as _;
use time::Duration;

use super::{Door, decoded, encoded};
use crate::keyring::random_bytes;

/// Longer than a state lasts, so that an ended state is told from another browser.
const LASTING: Duration = Duration::minutes(15);
/// What forms are signed for.
const FORM: &str = "connect form v1";

/// One browser.
#[derive(Clone, Copy)]
pub(super) struct Browser([u8; 32]);

impl Browser {
    /// The one that sent these cookies.
    pub(super) fn of(door: &Door, jar: &CookieJar) -> Option<Self> {
        decoded(jar.get(door.cookie_name())?.value()).map(Self)
    }

    /// One that was never here.
    pub(super) fn new() -> Self {
        Self(random_bytes())
    }

    /// For keeping inside a sealed state.
    pub(super) fn to_text(self) -> String {
        encoded(&self.0)
    }

    /// Whether this is the browser that [`Browser::to_text`] named. Takes the same time for all.
    pub(super) fn is(self, text: &str) -> bool {
        decoded::<32>(text).is_some_and(|named| bool::from(self.0.ct_eq(&named)))
    }

    /// The cookie's header, good for another quarter of an hour.
    pub(super) fn cookie(self, door: &Door) -> Option<(http::HeaderName, HeaderValue)> {
        let is_tls = door.settings.public_url.is_tls();
        let cookie = Cookie::build((door.cookie_name(), self.to_text()))
            // What __Host- demands; and LinkedIn's redirect back to us must carry it, as Lax does.
            .path("/")
            .secure(is_tls)
            .http_only(true)
            .same_site(SameSite::Lax)
            .max_age(LASTING);
        let value = HeaderValue::try_from(cookie.build().to_string()).ok()?;
        Some((SET_COOKIE, value))
    }

    /// What a form of ours must bring to count: proof that this browser was shown this very form.
    pub(super) fn form_token(self, door: &Door, about: &str) -> String {
        encoded(&door.ring.sign(FORM, &self.form(about)))
    }

    /// Whether `token` is what [`Browser::form_token`] gave.
    pub(super) fn sent(self, door: &Door, about: &str, token: &str) -> bool {
        let token = decoded::<32>(token);
        token.is_some_and(|token| door.ring.verify(FORM, &self.form(about), &token))
    }

    fn form(self, about: &str) -> Vec<u8> {
        [self.0.as_slice(), about.as_bytes()].concat()
    }
}

impl Door {
    fn cookie_name(&self) -> &'static str {
        match self.settings.public_url.is_tls() {
            true => "__Host-linkgate-connect",
            false => "linkgate-connect",
        }
    }
}
