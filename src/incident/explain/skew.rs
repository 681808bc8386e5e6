//! Two clocks: LinkedIn's, as its `x-li-uuid` tells it, and ours.

use super::{Case, Finding};

pub(super) const RULE: &str = "clock_skew";

/// Beyond this it is no working time of LinkedIn's any more.
const MOST_MS: i64 = 60_000;

/// They differ by more than a minute: expiries and log times are off by as much.
pub(super) fn clock(case: &Case<'_>) -> Option<Finding> {
    let skew = case.record.json().pointer("/linkedin/skew_ms")?.as_i64()?;
    (skew.saturating_abs() > MOST_MS).then(|| {
        let which = if skew < 0 { "behind" } else { "ahead of" };
        Finding::new(
            RULE,
            format!(
                "LinkedIn's clock is {} seconds {which} this machine's: one of the two is wrong, most often ours.",
                skew.saturating_abs() / 1_000
            ),
            "Let this machine keep time by NTP: when tokens end is reckoned by its clock. In a ticket LinkedIn goes by \
             its own time, which stands in the record as linkedin.time.",
        )
        .seen(format!("linkedin.skew_ms is {skew}"))
    })
}
