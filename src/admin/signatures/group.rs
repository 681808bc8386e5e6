//! One signature as a row: how often, since when, whom it hit, and what can be decided about it.

use maud::{Markup, html};

use super::kinds::{Shown, Span};
use crate::{
    admin::{
        door::{MARK, Visitor},
        incidents::row::{moment, short},
        page,
    },
    incident::page::shown,
    store::Decision,
};

pub(super) const HEADINGS: [&str; 6] =
    ["Signature", "How often", "When", "First", "Last", "Decide"];
/// Of them, those that stand where nothing is decided.
pub(super) const WITHOUT_BUTTONS: usize = 5;
/// Characters of a signature in a table.
const LONGEST: usize = 300;

/// A row; with buttons for somebody who may press them.
pub(super) fn row(one: &Shown, deciding: Option<(&Visitor, Span)>) -> Markup {
    let group = &one.group;
    html! {
        tr {
            td data-label="Signature" {
                div {
                    a href=(crate::admin::incidents::list_of("signature", &group.signature)) { code { (short(&group.signature, LONGEST)) } }
                    " " (badges(one))
                    br;
                    span.faint { "fault: " (shown(&group.fault)) " · " (counted(group.members, "member")) ", " (counted(group.callers, "caller")) }
                }
            }
            td data-label="How often" { (group.count) }
            td data-label="When" { (sparkline(&group.sparkline)) }
            td data-label="First" { (moment(&group.first_seen)) }
            td data-label="Last" { (moment(&group.last_seen)) }
            @if let Some((visitor, span)) = deciding { td data-label="Decide" { div { (decide(one, visitor, span)) } } }
        }
    }
}

fn badges(one: &Shown) -> Markup {
    html! {
        @if one.is_new { span.badge.bad { "new" } " " }
        @if let Some(since) = &one.again_since { span.badge.bad { "again since " (moment(since)) } " " }
        @if let Some(mark) = &one.mark {
            span.badge.faint { (mark.decision) " by " (shown(&mark.by)) }
        }
    }
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// How many in each part of the time: bars, the highest filling the height.
fn sparkline(parts: &[u64]) -> Markup {
    const HEIGHT: u64 = 20;
    const WIDTH: usize = 4;
    let highest = parts.iter().copied().max().unwrap_or_default().max(1);
    let height = |count: u64| match count {
        0 => 0,
        // In wide numbers: a count may be any that a record says.
        count => (u128::from(count) * u128::from(HEIGHT) / u128::from(highest)).max(1),
    };
    let told = format!(
        "at most {highest} in one of {} parts of the time",
        parts.len()
    );
    html! {
        svg.spark width=(parts.len() * WIDTH) height=(HEIGHT) role="img" aria-label=(told) {
            @for (at, count) in parts.iter().enumerate() {
                @let tall = height(*count);
                rect.part x=(at * WIDTH) y=(u128::from(HEIGHT).saturating_sub(tall)) width="3" height=(tall) {}
            }
        }
    }
}

fn decide(one: &Shown, visitor: &Visitor, span: Span) -> Markup {
    let button = |decision: &str, text: &str| {
        html! {
            form.inline method="post" action=(MARK) {
                (page::form_token(visitor))
                input type="hidden" name="signature" value=(one.group.signature);
                input type="hidden" name="window" value=(span.word());
                button name="decision" value=(decision) { (text) }
            } " "
        }
    };
    let decided = one.mark.as_ref().map(|mark| mark.decision);
    html! {
        @if decided != Some(Decision::Muted) { (button("muted", "Mute")) }
        @if decided != Some(Decision::Resolved) || one.again_since.is_some() { (button("resolved", "Resolve")) }
        @if decided.is_some() { (button("open", "Reopen")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_is_bounded_whatever_is_counted() {
        let drawn = sparkline(&[0, 1, u64::MAX]).into_string();

        for part in [
            "height=\"0\"",
            "height=\"1\"",
            "y=\"0\" width=\"3\" height=\"20\"",
        ] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(sparkline(&[]).into_string().contains("0 parts"));
    }
}
