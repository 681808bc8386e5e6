//! 429: whose limit is used up, and until when (linkedin.md §3.4, §4).

use super::{Case, Finding};

/// LinkedIn's counters, told apart by its words, else by who was hit around it.
pub(super) fn throttled(case: &Case<'_>) -> Option<Finding> {
    if !case.is_answered(429) {
        return None;
    }
    let around = case.around;
    let is_daily = case.linkedin_code().is_some();
    let several = around.alike_members > 1;
    let finding = match (case.about(), is_daily) {
        (Some("metric_values"), _) => Finding::new(
            "throttled_analytics",
            "LinkedIn's five-minute limit on analytics is used up: more than 45 million metric values were asked for.",
            "Wait five and a half minutes, then ask for shorter time ranges, fewer pivots, or fewer fields.",
        ),
        (Some("member" | "application_and_member"), _) => member("LinkedIn says so"),
        (Some("application"), _) => application("LinkedIn says so"),
        (_, true) if several => application("several members were answered so within minutes"),
        (_, true) => member("nobody else was answered so within minutes"),
        (_, false) => Finding::new(
            "throttled_infrastructure",
            "LinkedIn throttles to protect itself: its answer names none of the daily limits.",
            "Come again after some seconds, then minutes, and send fewer calls at once. If it goes on for an hour, write \
             to LinkedIn with x-li-uuid.",
        ),
    };
    let retry_after = case.answered_header("retry-after");
    Some(
        finding
            .seen_if(case.answered())
            .seen(match retry_after {
                Some(wait) => format!("LinkedIn says Retry-After: {}", super::case::cut(wait)),
                None => "LinkedIn did not say when to come again (it never does)".to_owned(),
            })
            .seen(format!(
                "{} answers like this within five minutes, for {} members",
                around.alike.max(1),
                around.alike_members.max(1)
            )),
    )
}

fn member(why: &str) -> Finding {
    Finding::new(
        "throttled_member",
        format!(
            "This member's calls to this resource are used up for today ({why}). LinkedIn counts from 00:00 UTC; other \
             members can still be served."
        ),
        "Stop calling this resource for this member until 00:00 UTC; every further call is refused too. The limit \
         stands in LinkedIn's developer portal under Analytics, for resources that were called today.",
    )
}

fn application(why: &str) -> Finding {
    Finding::new(
        "throttled_application",
        format!(
            "The application's calls to this resource are used up for today ({why}). LinkedIn counts from 00:00 UTC, for \
             all members together."
        ),
        "Stop calling this resource until 00:00 UTC. Save calls (batch, cache, longer intervals), or ask LinkedIn for a \
         higher limit: it stands in the developer portal under Analytics.",
    )
}
