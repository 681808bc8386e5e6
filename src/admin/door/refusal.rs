//! Why the door stays shut, and how that is said: to a browser as a page or the way to sign in, to a
//! program as a problem.
//!
//! **Invariant:** unknown, wrong, expired and revoked tokens are told alike.

use std::time::Duration;

use axum::{
    extract::Request,
    response::{IntoResponse as _, Redirect, Response},
};
use http::{
    HeaderValue, Method, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};

use crate::{
    admin::{next, page},
    web::answer::problem,
};

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum Refusal {
    /// No session and no token.
    NotSignedIn,
    /// No such token.
    WrongToken,
    /// No such token either, and too many of those from that address; when to come again.
    Throttled(Duration),
    /// Another site's page sent it.
    CrossSite,
    /// It lacks the session's form token.
    FormToken,
    /// The role may not do that.
    Role,
}

/// What was asked for: decides the form of a refusal.
pub(super) struct Asked {
    is_program: bool,
    is_look: bool,
    target: String,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let target = request.uri().path_and_query();
        Self {
            is_program: path == "/api" || path.starts_with("/api/"),
            is_look: matches!(*request.method(), Method::GET | Method::HEAD),
            target: target.map_or("/", |target| target.as_str()).to_owned(),
        }
    }
}

impl Refusal {
    /// The answer to what was asked.
    pub(super) fn answer(self, asked: &Asked) -> Response {
        if asked.is_program {
            return self.problem();
        }
        match self {
            Self::NotSignedIn if asked.is_look => {
                Redirect::to(&next::sign_in_for(&asked.target)).into_response()
            }
            Self::NotSignedIn => Redirect::to(next::SIGN_IN).into_response(),
            _ => self.dressed(page::refused(self.words()).into_response()),
        }
    }

    /// For programs.
    pub(in crate::admin) fn problem(self) -> Response {
        self.dressed(problem(self.status(), self.code(), self.words()))
    }

    /// Status and headers of this refusal around `answer`.
    pub(in crate::admin) fn dressed(self, mut answer: Response) -> Response {
        *answer.status_mut() = self.status();
        let headers = answer.headers_mut();
        match self {
            Self::NotSignedIn => {
                let challenge = HeaderValue::from_static("Bearer realm=\"linkgate\"");
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            Self::WrongToken => {
                let challenge = "Bearer realm=\"linkgate\", error=\"invalid_token\"";
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            Self::Throttled(wait) => {
                // Rounded up: who comes after that many seconds waits no longer.
                let seconds = wait.as_secs().saturating_add(1);
                headers.insert(RETRY_AFTER, seconds.into());
            }
            Self::CrossSite | Self::FormToken | Self::Role => {}
        }
        answer
    }

    pub(in crate::admin) fn status(self) -> StatusCode {
        match self {
            Self::NotSignedIn | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::CrossSite | Self::FormToken | Self::Role => StatusCode::FORBIDDEN,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::NotSignedIn => "operator_not_signed_in",
            Self::WrongToken => "operator_unknown",
            Self::Throttled(_) => "too_many_attempts",
            Self::CrossSite => "cross_site",
            Self::FormToken => "form_token_wrong",
            Self::Role => "role_not_allowed",
        }
    }

    /// One sentence.
    pub(in crate::admin) fn words(self) -> &'static str {
        match self {
            Self::NotSignedIn => {
                "sign in, or send Authorization: Bearer lgo_… with a token from linkgate operators create"
            }
            Self::WrongToken => "this is no operator token that is in force",
            Self::Throttled(_) => {
                "this is no operator token that is in force, and too many of those came from your address"
            }
            Self::CrossSite => "this did not come from a page of this listener",
            Self::FormToken => {
                "this did not come from a page of your session: go back, reload, try again"
            }
            Self::Role => "your role may look and mark signatures, and change nothing else",
        }
    }
}
