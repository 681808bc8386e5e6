//! `LinkedIn-Version`: missing, or of a month that LinkedIn no longer serves (linkedin.md §3.3, §6.1).

use super::{Case, Finding, case::cut};

/// `/rest` without the header: 400 `VERSION_MISSING`.
pub(super) fn missing(case: &Case<'_>) -> Option<Finding> {
    let is_it = case.is_answered(400) && case.linkedin_code() == Some("VERSION_MISSING");
    is_it.then(|| {
        Finding::new(
            "version_missing",
            "The request has no LinkedIn-Version header. Everything below /rest needs one; there is no default.",
            "Send LinkedIn-Version: YYYYMM with a month that LinkedIn serves today: one of the last twelve, as its \
             page on versioning lists them.",
        )
        .seen(format!("the path is {}", cut(case.path())))
        .seen_if(case.answered())
    })
}

/// 426 `NONEXISTENT_VERSION`: the month is over, or has not come.
pub(super) fn sunset(case: &Case<'_>) -> Option<Finding> {
    let is_it = case.is_answered(426) && case.linkedin_code() == Some("NONEXISTENT_VERSION");
    is_it.then(|| {
        let sent = case.header("linkedin-version");
        let named = sent.or(case.about()).map_or("in the header", cut);
        Finding::new(
            "version_sunset",
            format!(
                "LinkedIn does not serve the version {named} (any more, or yet): each month's version ends about a year \
                 after it came. Every call of this app with it fails."
            ),
            format!(
                "Send a newer month in LinkedIn-Version (YYYYMM, one of the last twelve) in place of {named}, after reading \
                 LinkedIn's migration notes from {named} on. It stands in the app, or in the library that it uses."
            ),
        )
        .seen_if(sent.map(|sent| format!("sent LinkedIn-Version: {}", cut(sent))))
        .seen_if(case.answered())
    })
}
