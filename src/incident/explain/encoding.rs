//! Rest.li 2.0's encoding: `(`, `)`, `,` and `:` that build a structure stand raw, those inside a key or URN are
//! percent-encoded (linkedin.md §6.5). Half of all clients' libraries get one of the two wrong.
//!
//! **Neighbours:** `rewrite` says how an argument must stand.

use super::{Case, Finding, case::cut};

mod rewrite;

use rewrite::{Wrong, argument};

/// Wrong places that are shown.
const SHOWN: usize = 3;

/// Structures in the URL, and no `X-Restli-Protocol-Version: 2.0.0` that they belong to.
pub(super) fn protocol_header(case: &Case<'_>) -> Option<Finding> {
    const HEADER: &str = "x-restli-protocol-version";
    let version = case.header(HEADER);
    let has_structure = case.query().split('&').any(|pair| {
        let (_, value) = pair.split_once('=').unwrap_or((pair, ""));
        rewrite::is_structure(value)
    }) || case.path().split('/').any(rewrite::is_structure);
    let is_it = is_refused(case) && has_structure && version != Some("2.0.0");
    is_it.then(|| {
        Finding::new(
            "protocol_header_missing",
            "The URL is written as Rest.li 2.0 has it (List(…) or (key:value)), but the request does not say so: without \
             the header LinkedIn reads it as 1.0.0 and finds no such parameter.",
            "Send X-Restli-Protocol-Version: 2.0.0 with every call.",
        )
        .seen(match version {
            Some(version) => format!("sent X-Restli-Protocol-Version: {}", cut(version)),
            None => "the request has no X-Restli-Protocol-Version".to_owned(),
        })
        .seen(format!("the target is {}", cut(case.target())))
        .seen_if(case.answered())
    })
}

/// `List(…)` or `(key:value)` with its own signs percent-encoded, or URNs inside it raw.
pub(super) fn list(case: &Case<'_>) -> Option<Finding> {
    let wrong: Vec<(String, Wrong)> = wrong_arguments(case, true);
    found(
        case,
        "list_encoding",
        "A list or record in the URL is not encoded as Rest.li 2.0 wants it: its own parentheses, commas and colons \
         stand raw, those inside a URN are percent-encoded.",
        &wrong,
    )
}

/// A URN, as an argument or in the path, that is raw or encoded twice.
pub(super) fn urn(case: &Case<'_>) -> Option<Finding> {
    let mut wrong: Vec<(String, Wrong)> = wrong_arguments(case, false);
    let in_path = case.path().split('/').filter_map(argument);
    wrong.extend(in_path.map(|wrong| (String::new(), wrong)));
    found(
        case,
        "urn_encoding",
        "A URN in the URL is not encoded as Rest.li 2.0 wants it: its colons are percent-encoded, once.",
        &wrong,
    )
}

fn wrong_arguments(case: &Case<'_>, are_structures: bool) -> Vec<(String, Wrong)> {
    case.query()
        .split('&')
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let wrong = argument(value)?;
            (wrong.is_structure == are_structures).then(|| (format!("{name}="), wrong))
        })
        .collect()
}

fn found(
    case: &Case<'_>,
    rule: &'static str,
    says: &str,
    wrong: &[(String, Wrong)],
) -> Option<Finding> {
    if wrong.is_empty() || !is_refused(case) {
        return None;
    }
    let mut finding = Finding::new(
        rule,
        says,
        "Send the bytes shown as they must be. Do not let an HTTP library encode or decode the URL again: build \
         the query by hand and hand it over whole.",
    );
    for (name, wrong) in wrong.iter().take(SHOWN) {
        finding = finding
            .seen(format!("as sent:         {name}{}", cut(&wrong.sent)))
            .seen(format!("as it must be:   {name}{}", cut(&wrong.right)));
    }
    Some(finding.seen_if(case.answered()))
}

/// Whether LinkedIn refused it in a way that a wrong encoding is answered.
fn is_refused(case: &Case<'_>) -> bool {
    case.is_answered(400) || case.is_answered(404)
}
