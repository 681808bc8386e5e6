//! Forms: read within bounds, and checked for the token that only a session's own pages carry.
//!
//! **Invariant:** a form is at most [`LONGEST`] bytes and comes in the time that `web` gives it; what it
//! holds is wiped when it is dropped, as it may be an operator's token.

use axum::{
    body::{self, Body, Bytes},
    extract::{FromRequest, Request},
};
use http::{HeaderMap, HeaderName, header::CONTENT_TYPE};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Refusal;
use crate::secret::Secret;

/// Bytes of a form: each is a few short fields.
const LONGEST: usize = 16 * 1024;
/// The field that carries the session's form token.
pub(in crate::admin) const FIELD: &str = "form_token";
/// Where a request whose body is no form carries it.
const HEADER: HeaderName = HeaderName::from_static("linkgate-form-token");

/// A form that was sent.
pub(in crate::admin) struct Form(Vec<(Zeroizing<String>, Zeroizing<String>)>);

/// It is no form, is too long, or did not come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) struct Unreadable;

impl Form {
    fn parse(bytes: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(bytes);
        let owned = |text: std::borrow::Cow<'_, str>| Zeroizing::new(text.into_owned());
        Self(
            pairs
                .map(|(name, value)| (owned(name), owned(value)))
                .collect(),
        )
    }

    /// The first field of this name; empty if there is none.
    pub(in crate::admin) fn field(&self, name: &str) -> &str {
        let mut all = self.0.iter();
        let found = all.find(|(found, _)| **found == *name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The same as a secret.
    pub(in crate::admin) fn secret(&self, name: &str) -> Secret<String> {
        Secret::new(self.field(name).trim().to_owned())
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Unreadable;

    async fn from_request(request: Request, _: &S) -> Result<Self, Unreadable> {
        let (head, body) = request.into_parts();
        if !is_form(&head.headers) {
            return Err(Unreadable);
        }
        let bytes = read(body).await?;
        Ok(Self::parse(&bytes))
    }
}

impl axum::response::IntoResponse for Unreadable {
    fn into_response(self) -> axum::response::Response {
        let detail = "this is no form, it is too long, or it did not come in time";
        crate::web::answer::problem(http::StatusCode::BAD_REQUEST, "request_malformed", detail)
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| {
        let kind = kind.trim();
        kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

async fn read(body: Body) -> Result<Bytes, Unreadable> {
    body::to_bytes(body, LONGEST).await.map_err(|_| Unreadable)
}

/// The request again, if it carries the form token that is `expected`.
///
/// # Errors
/// [`Refusal::FormToken`].
pub(super) async fn carrying(request: Request, expected: &str) -> Result<Request, Refusal> {
    let is_expected = |shown: &[u8]| bool::from(shown.ct_eq(expected.as_bytes()));
    if let Some(shown) = request.headers().get(HEADER) {
        return match is_expected(shown.as_bytes()) {
            true => Ok(request),
            false => Err(Refusal::FormToken),
        };
    }
    let (head, body) = request.into_parts();
    if !is_form(&head.headers) {
        return Err(Refusal::FormToken);
    }
    let bytes = read(body).await.map_err(|_| Refusal::FormToken)?;
    match is_expected(Form::parse(&bytes).field(FIELD).as_bytes()) {
        true => Ok(Request::from_parts(head, Body::from(bytes))),
        false => Err(Refusal::FormToken),
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn post(kind: &str, header: Option<&str>, body: &str) -> Request {
        let mut request = http::Request::builder()
            .method(Method::POST)
            .header(CONTENT_TYPE, kind);
        if let Some(value) = header {
            request = request.header(HEADER, value);
        }
        request.body(Body::from(body.to_owned())).unwrap()
    }

    const KIND: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn only_the_sessions_own_form_token_is_taken() {
        for (why, kind, header, body, taken) in [
            ("in the form", KIND, None, "a=b&form_token=right", true),
            (
                "with a charset",
                "application/x-www-form-urlencoded; charset=utf-8",
                None,
                "form_token=right",
                true,
            ),
            (
                "in the header",
                "application/json",
                Some("right"),
                "{}",
                true,
            ),
            ("none", KIND, None, "a=b", false),
            ("empty", KIND, None, "form_token=", false),
            ("another's", KIND, None, "form_token=wrong", false),
            ("a beginning", KIND, None, "form_token=righ", false),
            (
                "wrong in the header",
                KIND,
                Some("wrong"),
                "form_token=right",
                false,
            ),
            (
                "another kind of body",
                "text/plain",
                None,
                "form_token=right",
                false,
            ),
            (
                "json",
                "application/json",
                None,
                "{\"form_token\":\"right\"}",
                false,
            ),
            (
                "the first counts",
                KIND,
                None,
                "form_token=x&form_token=right",
                false,
            ),
        ] {
            let answer = carrying(post(kind, header, body), "right").await;
            assert_eq!(answer.is_ok(), taken, "{why}");
        }
        let long = format!("form_token=right&x={}", "a".repeat(LONGEST));
        assert!(carrying(post(KIND, None, &long), "right").await.is_err());
    }
}
