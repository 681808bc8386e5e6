//! What no other rule knows: errors named by field, things that are not there, and at last whose fault it was.

use super::{Case, Finding, case::cut};
use crate::incident::{advice, reader::Record};

/// 400 or 422 that names a field.
pub(super) fn field(case: &Case<'_>) -> Option<Finding> {
    let is_refused = case.is_answered(400) || case.is_answered(422);
    let field = case.about().filter(|about| !about.starts_with("urn:"));
    let field = field.filter(|_| is_refused)?;
    Some(
        Finding::new(
            "field_refused",
            format!("LinkedIn refuses the request because of {}.", cut(field)),
            "Compare this field or parameter with LinkedIn's page about the resource, in the version that was sent. \
             What LinkedIn says about it stands in the answer's body.",
        )
        .seen(format!("named by LinkedIn: {}", cut(field)))
        .seen_if(case.record.text("/linkedin_version").map(|version| {
            format!("LinkedIn-Version: {}", cut(version))
        }))
        .seen_if(case.answered()),
    )
}

/// 404.
pub(super) fn not_found(case: &Case<'_>) -> Option<Finding> {
    case.is_answered(404).then(|| {
        let path = cut(case.path());
        let is_resource = case.linkedin_code() == Some("RESOURCE_NOT_FOUND");
        let says = match is_resource {
            true => format!("LinkedIn has no such resource: {path}."),
            false => format!(
                "LinkedIn has nothing there, or hides it from this member (ads answer 404 where others answer 403): {path}."
            ),
        };
        let what_to_try = match is_resource {
            true => "Compare the path with LinkedIn's documentation: /rest/… and /v2/… have different resources, and \
                     names are case-sensitive.",
            false => "Check the id, and whether the member may see it.",
        };
        Finding::new("not_found", says, what_to_try).seen_if(case.answered())
    })
}

/// A page where JSON was to be expected.
pub(super) fn no_json(case: &Case<'_>) -> Option<Finding> {
    let kind = case.answered_header("content-type")?;
    let is_error = case.status().is_some_and(|status| status >= 400);
    let is_it = case.code().is_none() && is_error && kind.starts_with("text/html");
    is_it.then(|| {
        Finding::new(
            "html_answer",
            "LinkedIn answered with a web page in place of JSON: the call did not reach its API, or its edge failed.",
            "Check the path: everything of the API begins with /rest/ or /v2/. If that is right, it is LinkedIn's \
             trouble; write to it with x-li-uuid.",
        )
        .seen(format!("Content-Type: {}", cut(kind)))
        .seen_if(case.text().map(|text| format!("the page begins: {}", cut(text).lines().next().unwrap_or_default())))
    })
}

/// No rule knows more than whose fault it was.
pub(super) fn by_fault(case: &Case<'_>) -> Finding {
    let status = case.status();
    let try_this = status.and_then(|status| advice::of_linkedin(status, case.linkedin_code()));
    let answered = case.answered();
    let (says, fallback) = match case.record.fault() {
        Some("caller") => (
            "LinkedIn refuses what the app sent, and no rule here knows more about it.",
            "What LinkedIn says stands in the answer's body; compare the request with its page about the resource.",
        ),
        Some("member") => (
            "It is about the member: LinkedIn does not let this member, or this token, do it.",
            SIGN_IN,
        ),
        Some("linkedin") => (
            "LinkedIn failed, and does not say why.",
            "Send it again if it was a read. If it goes on, write to LinkedIn with x-li-uuid.",
        ),
        _ => (
            "Linkgate failed itself.",
            "Show this record to whoever runs Linkgate; its operations log has more under the same id.",
        ),
    };
    Finding::new("by_fault", says, try_this.unwrap_or(fallback))
        .seen_if(
            Some(case.verdict())
                .filter(|said| !said.is_empty())
                .map(cut),
        )
        .seen_if(answered)
}

const SIGN_IN: &str = "Let the member sign in again (linkgate members connect NAME).";

/// A note of the log about itself.
pub(super) fn note(record: &Record) -> Finding {
    let reason = record.text("/reason");
    Finding::new(
        "note",
        "This line is no incident: the log tells something about itself.",
        "linkgate incidents verify tells whether anything is missing.",
    )
    .seen_if(reason.map(cut))
}
