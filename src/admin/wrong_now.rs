//! What is wrong now, for the first page: calls and errors, and the signatures of the last hour.
//!
//! **Neighbours:** `overview` shows it; [`super::signatures`] has the whole of it.

use maud::{Markup, html};

use super::{
    Traffic,
    house::House,
    signatures::{
        few,
        kinds::{self, Kinds, Span},
    },
};

/// Signatures that are named.
const NAMED: usize = 5;

/// What came in the last hour; none if the log or the store does not answer.
pub(super) async fn kinds(house: &House) -> Option<Kinds> {
    let marks = house.marks.marks().await.ok()?;
    let now = house.clock.micros();
    let read = house.read(move |log| kinds::read(log, Span::Hour, marks, now, NAMED));
    read.await.ok()
}

/// Calls, and how many of them went wrong, since the start.
pub(super) fn traffic(traffic: Traffic) -> Markup {
    let Traffic {
        exchanges,
        incidents,
        failing_trips,
        trips,
        members_hit: _,
    } = traffic;
    html! {
        ul.counts {
            li { a href="/metrics" { strong { (exchanges) } " calls since the start" } }
            li { a href="/incidents" { strong { (incidents) } " incidents, " (share(incidents, exchanges)) } }
            li { a href="/incidents?fault=linkedin" { strong { (failing_trips) } " trips that LinkedIn failed, " (share(failing_trips, trips)) } }
        }
    }
}

/// Whether LinkedIn fails for more than one member of late.
pub(super) fn failing(traffic: Traffic) -> Markup {
    html! {
        @if traffic.members_hit > 1 {
            p.card.bad role="alert" {
                "LinkedIn failed calls for " (traffic.members_hit) " members in the last ten minutes: "
                a href="/incidents?fault=linkedin&since=10m" { "which" }
            }
        }
    }
}

/// A share of a whole, as people read it.
fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "none of none".to_owned(),
        #[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
        whole => format!("{:.2} %", part as f64 / whole as f64 * 100.0),
    }
}

/// The signatures of the last hour that nobody has muted.
pub(super) fn signatures(kinds: Option<&Kinds>) -> Markup {
    html! {
        h2 { "What went wrong in the last hour" }
        @match kinds {
            None => p.bad role="alert" { "The support log could not be read just now." },
            Some(kinds) if kinds.is_quiet() => p.faint { "Nothing." },
            Some(kinds) => { (few(kinds, NAMED)) p { a href="/signatures?window=1h" { "All signatures" } } },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_no_number() {
        for (part, whole, told) in [
            (0, 0, "none of none"),
            (1, 4, "25.00 %"),
            (7, 7, "100.00 %"),
        ] {
            assert_eq!(share(part, whole), told);
        }
    }
}
