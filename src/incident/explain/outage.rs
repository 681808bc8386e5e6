//! LinkedIn fails: for everybody, or for this call alone.

use super::{Case, Finding};
use crate::incident::advice;

/// So many failures make an outage, if they hit several members and callers.
const ENOUGH: u64 = 3;

fn is_linkedins_failure(case: &Case<'_>) -> bool {
    let is_5xx = case.code().is_none() && case.status().is_some_and(|status| status >= 500);
    let is_unreached = matches!(
        case.code(),
        Some("linkedin_unreachable" | "linkedin_timeout" | "linkedin_protocol_error")
    );
    case.record.fault() == Some("linkedin") && (is_5xx || is_unreached)
}

/// Several members and several callers at once.
pub(super) fn outage(case: &Case<'_>) -> Option<Finding> {
    let around = case.around;
    let is_wide =
        around.failing >= ENOUGH && around.failing_members > 1 && around.failing_callers > 1;
    (is_linkedins_failure(case) && is_wide).then(|| {
        let more = if around.is_more { " at least" } else { "" };
        Finding::new(
            "linkedin_outage",
            "LinkedIn has an outage: it failed for several members and several callers within minutes of each other. No \
             app and no member is at fault.",
            "Wait, and look at https://www.linkedin-apistatus.com. Reads are repeated by Linkgate; writes have to be \
             checked by the app. If it goes on, write to LinkedIn with x-li-uuid of two or three of these.",
        )
        .seen(format!(
            "{more}{} failures of LinkedIn within five minutes before and after, for {} members and {} callers",
            around.failing, around.failing_members, around.failing_callers
        ).trim_start().to_owned())
        .seen_if(case.answered())
    })
}

/// 5xx for this one.
pub(super) fn server_error(case: &Case<'_>) -> Option<Finding> {
    let status = case.status().filter(|status| *status >= 500)?;
    let is_it = case.code().is_none()
        && outage(case).is_none()
        && super::token::verification(case).is_none();
    is_it.then(|| {
        let around = case.around;
        let alone = match around.failing {
            0 | 1 => "nothing else failed at LinkedIn within five minutes".to_owned(),
            count => format!(
                "{count} failures of LinkedIn within five minutes, for {} members and {} callers",
                around.failing_members, around.failing_callers
            ),
        };
        Finding::new(
            "linkedin_error",
            format!(
                "LinkedIn answered {status}: it failed on its side, and does not say why. What failed around it is too \
                 little for an outage."
            ),
            advice::of_linkedin(status, case.linkedin_code()).unwrap_or_default(),
        )
        .seen(alone)
        .seen_if(case.answered())
    })
}
