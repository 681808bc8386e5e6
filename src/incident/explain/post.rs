//! Writes: what was posted twice, and what may have been posted at all (linkedin.md §3.5, §6.4).

use super::{Case, Finding, case::cut};

/// 422 `DUPLICATE_POST` names the post that is there already.
pub(super) fn duplicate(case: &Case<'_>) -> Option<Finding> {
    let is_coded = case.linkedin_code() == Some("DUPLICATE_POST");
    if !case.is_answered(422) || !is_coded {
        return None;
    }
    let urn = case.about().filter(|about| about.starts_with("urn:"));
    let named = urn.unwrap_or("one that its answer names");
    Some(
        Finding::new(
            "duplicate_post",
            format!(
                "LinkedIn has this post already: {named}. If the app sent it once, an attempt before this one landed, \
                 whatever was answered to it."
            ),
            match urn {
                Some(urn) => format!(
                    "Do not post again: take {urn} for the result. For the attempt that landed look for incidents of the same \
                     member and path in the minutes before. (Meant to be posted twice? LinkedIn lets the same text in \
                     again after some ten minutes.)"
                ),
                None => "Do not post again: take the post that LinkedIn names for the result.".to_owned(),
            },
        )
        .seen_if(urn.map(|urn| format!("the first post is {}", cut(urn))))
        .seen_if(case.answered()),
    )
}

/// A write of which nobody knows whether it happened.
pub(super) fn unknown_fate(case: &Case<'_>) -> Option<Finding> {
    let is_open = case.record.text("/outcome") == Some("unknown");
    if !is_open || !case.is_write() {
        return None;
    }
    let path = cut(case.path());
    let is_post = ["/rest/posts", "/v2/ugcPosts", "/v2/shares"]
        .iter()
        .any(|posts| case.path().starts_with(posts));
    let check = match case.record.method() {
        Some("POST") if is_post => {
            "Before posting again, look whether it is there: GET /rest/posts?q=author&author=URN (the author's, encoded) \
             lists the latest. Within some ten minutes the same text may also simply be sent again: if the first landed, \
             LinkedIn answers 422 DUPLICATE_POST and names it."
                .to_owned()
        }
        Some("PUT") => format!(
            "Read {path} and compare. Sending the same PUT again does no harm: it sets the same state."
        ),
        Some("DELETE") => format!(
            "Read {path}: if LinkedIn answers 404, it is gone. Sending the DELETE again does no harm, but is answered 404 \
             if the first one landed."
        ),
        _ => format!(
            "Before sending it again, read what {path} holds and look whether the change is there: LinkedIn has no \
             idempotency key, so a second one may do it twice."
        ),
    };
    let attempts = case.record.attempts();
    let sent = attempts
        .last()
        .and_then(|last| last.pointer("/sent/bytes")?.as_u64());
    Some(
        Finding::new(
            "unknown_fate",
            "Nobody knows whether LinkedIn did it: the request left, and no answer says what became of it. Linkgate did \
             not send it again for that reason.",
            check,
        )
        .seen_if(sent.map(|bytes| format!("{bytes} bytes of the request left on the last attempt")))
        .seen_if(attempts.last().and_then(how_it_ended)),
    )
}

/// `the attempt broke: cut: …` or `it was answered 500`.
fn how_it_ended(attempt: &serde_json::Value) -> Option<String> {
    let text = |path| attempt.pointer(path).and_then(serde_json::Value::as_str);
    if let Some(error) = text("/error") {
        let detail = text("/error_detail").map_or("", cut);
        return Some(format!("the attempt broke ({error}): {detail}"));
    }
    let status = attempt.get("status")?.as_u64()?;
    Some(format!("LinkedIn answered {status}, which leaves it open"))
}
