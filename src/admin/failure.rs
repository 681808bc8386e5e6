//! Why a change was not made, as HTTP says it.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use crate::{
    credentials::{ManageError, Refused},
    web::answer,
};

/// The status of a change that was not made.
pub(super) fn status(error: &ManageError) -> StatusCode {
    told(error).0
}

/// The same for programs.
pub(super) fn problem(error: &ManageError) -> Response {
    let (status, code) = told(error);
    let mut answer = answer::problem(status, code, &error.to_string());
    if let ManageError::Refused(Refused::TryLater { after, .. }) = error {
        let seconds = HeaderValue::from(after.as_secs().saturating_add(1));
        answer.headers_mut().insert(RETRY_AFTER, seconds);
    }
    answer
}

fn told(error: &ManageError) -> (StatusCode, &'static str) {
    match error {
        ManageError::UnknownApplication(_) | ManageError::UnknownMember(_) => {
            (StatusCode::NOT_FOUND, "not_found")
        }
        ManageError::Refused(Refused::SignInNeeded { .. }) => {
            (StatusCode::CONFLICT, "sign_in_needed")
        }
        ManageError::Refused(Refused::TryLater { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, "renewal_unavailable")
        }
        ManageError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
        _ => (StatusCode::CONFLICT, "not_possible"),
    }
}
