//! Who drops out when, if no member signs in again; and how the grants stand, counted.
//!
//! **Invariant:** what is unknown is said to be unknown, neither over nor good for ever. Counting a
//! million grants takes a moment, so a count is used again for as long as keeps that moment rare.
//! **Neighbours:** operators' lists, the metrics and the alerts ask.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use super::{Credentials, EndsBecause, GrantState, cache::Seen, grant::Facts, management::Asked};
use crate::exchange::{Member, Name};

pub(super) const DAY_SECS: i64 = 86_400;
/// A count is used again for this many times what it took.
const REUSED: u32 = 20;

/// In which time from now a grant ends: the first of these that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Window {
    /// It has ended.
    #[serde(rename = "overdue")]
    Overdue,
    /// Within a day.
    #[serde(rename = "1d")]
    Day,
    /// Within seven days.
    #[serde(rename = "7d")]
    Week,
    /// Within thirty days.
    #[serde(rename = "30d")]
    Month,
    /// Within ninety days.
    #[serde(rename = "90d")]
    Quarter,
    /// Later.
    #[serde(rename = "later")]
    Later,
    /// LinkedIn did not tell.
    #[serde(rename = "unknown")]
    Unknown,
}

impl Window {
    /// All windows, the nearest first.
    pub const ALL: [Self; 7] = [
        Self::Overdue,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Quarter,
        Self::Later,
        Self::Unknown,
    ];

    /// The word, which is also the label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Day => "1d",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
            Self::Later => "later",
            Self::Unknown => "unknown",
        }
    }

    fn of(ends_at: Option<i64>, now: i64) -> Self {
        let Some(left) = ends_at.map(|end| end.saturating_sub(now)) else {
            return Self::Unknown;
        };
        match left {
            ..=0 => Self::Overdue,
            _ if left <= DAY_SECS => Self::Day,
            _ if left <= 7 * DAY_SECS => Self::Week,
            _ if left <= 30 * DAY_SECS => Self::Month,
            _ if left <= 90 * DAY_SECS => Self::Quarter,
            _ => Self::Later,
        }
    }
}

/// When one member drops out. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// The member's name.
    pub name: String,
    /// The application.
    pub application: String,
    /// In which time from now.
    pub window: Window,
    /// When; none if unknown.
    pub ends_at: Option<i64>,
    /// Whole days until then, 0 on the last one and after; none if unknown.
    pub days_left: Option<i64>,
    /// Why then.
    pub because: EndsBecause,
    /// How the grant stands now.
    pub state: GrantState,
    /// When a call last used it.
    pub last_used: Option<i64>,
    /// LinkedIn's URN of the member.
    pub urn: Option<String>,
}

/// Where one stands in the forecast: the next one to drop out first, the unknown ones last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    is_unknown: bool,
    ends_at: Option<i64>,
    member: Member,
}

impl Place {
    /// Of a member who drops out then (Unix seconds; none: unknown).
    pub fn new(ends_at: Option<i64>, member: Member) -> Self {
        Self {
            is_unknown: ends_at.is_none(),
            ends_at,
            member,
        }
    }

    /// Who stands there.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// When he or she drops out, in Unix seconds; none if unknown.
    pub fn ends_at(&self) -> Option<i64> {
        self.ends_at
    }
}

/// A part of the forecast.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// In the forecast's order.
    pub members: Vec<Forecast>,
    /// After which place there are more; none: these are the last.
    pub next: Option<Place>,
}

/// How renewals ahead of time keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Grants whose renewal is due and not under way.
    pub waiting: usize,
    /// Renewals and saves under way.
    pub under_way: usize,
    /// How long the one that waits longest has been due, in seconds.
    pub behind_secs: u64,
    /// Applications that cool down as a whole.
    pub applications_cooling: usize,
}

#[derive(Clone, Debug, Default)]
struct Counted {
    states: BTreeMap<GrantState, usize>,
    windows: BTreeMap<Window, usize>,
    backlog: Backlog,
}

/// The last count, and until when it is good.
#[derive(Debug, Default)]
pub(super) struct Census(Mutex<Option<(Instant, Counted)>>);

/// Whole days until `end`, 0 on the last one and after.
pub(super) fn days_left(end: i64, now: i64) -> i64 {
    end.saturating_sub(now).max(0) / DAY_SECS
}

impl Credentials {
    /// When each member drops out unless he or she signs in again, the next one first; those of whom
    /// that is unknown come last. With `within`, only those who do so in that time, who have already,
    /// and the unknown ones. Applications' own tokens never drop out and are left out.
    pub fn forecast(&self, within: Option<Duration>) -> Vec<Forecast> {
        let page = self.forecast_page(within, None, None, usize::MAX);
        page.members
    }

    /// The first `limit` of them who come after `after`, of one application or of all. Keeps no more
    /// than it returns.
    pub fn forecast_page(
        &self,
        within: Option<Duration>,
        only: Option<&Name>,
        after: Option<&Place>,
        limit: usize,
    ) -> Foreseen {
        let asked = self.asked();
        let within = within.map(|time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        let horizon = within.map_or(i64::MAX, |secs| asked.now.saturating_add(secs));
        let mut first: BTreeMap<Place, Forecast> = BTreeMap::new();
        let mut has_more = false;
        self.0.cache.each(asked.now, |seen| {
            let Some(name) = &seen.member.name else {
                return;
            };
            let ends_at = seen.facts.end().0;
            let is_wanted = ends_at.is_none_or(|end| end <= horizon)
                && only.is_none_or(|only| *only == seen.member.application);
            if !is_wanted {
                return;
            }
            let place = Place::new(ends_at, seen.member.clone());
            if after.is_some_and(|after| place <= *after) {
                return;
            }
            if first.len() == limit {
                has_more = true;
                if first.last_key_value().is_none_or(|(last, _)| place > *last) {
                    return;
                }
                first.pop_last();
            }
            first.insert(place, self.forecast_of(name.as_str(), &seen, &asked));
        });
        let last = first.last_key_value().filter(|_| has_more);
        Foreseen {
            next: last.map(|(place, _)| place.clone()),
            members: first.into_values().collect(),
        }
    }

    fn forecast_of(&self, name: &str, seen: &Seen<'_>, asked: &Asked) -> Forecast {
        let (ends_at, because) = seen.facts.end();
        Forecast {
            name: name.to_owned(),
            application: seen.member.application.as_str().to_owned(),
            window: Window::of(ends_at, asked.now),
            ends_at,
            days_left: ends_at.map(|end| days_left(end, asked.now)),
            because,
            state: self.standing(seen.member, seen.facts, seen.due_since.is_some(), asked),
            last_used: seen.used_at,
            urn: seen.urn.map(str::to_owned),
        }
    }

    /// How many grants stand how, every state named: `linkgate_grants{state}`.
    pub fn counts_by_state(&self) -> BTreeMap<GrantState, usize> {
        self.counted().states
    }

    /// How many members drop out in which window, every window named: `linkgate_grants_ending{window}`.
    pub fn counts_by_window(&self) -> BTreeMap<Window, usize> {
        self.counted().windows
    }

    /// How renewals ahead of time keep up.
    pub fn backlog(&self) -> Backlog {
        self.counted().backlog
    }

    fn counted(&self) -> Counted {
        let census = &self.0.census.0;
        let mut last = census.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        if let Some((_, counted)) = last.as_ref().filter(|(until, _)| began < *until) {
            return counted.clone();
        }
        let counted = self.count();
        let until = Instant::now() + began.elapsed() * REUSED;
        *last = Some((until, counted.clone()));
        counted
    }

    fn count(&self) -> Counted {
        let asked = self.asked();
        let mut counted = Counted {
            states: GrantState::ALL.map(|state| (state, 0)).into(),
            windows: Window::ALL.map(|window| (window, 0)).into(),
            backlog: Backlog {
                under_way: self.0.flights.count(),
                applications_cooling: self.0.cooling.applications(),
                ..Backlog::default()
            },
        };
        self.0.cache.each(asked.now, |seen| {
            let state = self.standing(seen.member, seen.facts, seen.due_since.is_some(), &asked);
            *counted.states.entry(state).or_default() += 1;
            if seen.member.name.is_some() {
                let window = Window::of(seen.facts.end().0, asked.now);
                *counted.windows.entry(window).or_default() += 1;
            }
            if let Some(since) = seen.due_since
                && state.awaits_renewal()
            {
                let backlog = &mut counted.backlog;
                backlog.waiting += 1;
                let behind = u64::try_from(asked.now.saturating_sub(since)).unwrap_or_default();
                backlog.behind_secs = backlog.behind_secs.max(behind);
            }
        });
        counted
    }

    /// How a grant stands. Asks nothing of the cache.
    pub(super) fn standing(
        &self,
        member: &Member,
        facts: Facts,
        is_due: bool,
        asked: &Asked,
    ) -> GrantState {
        let is_usable = facts.is_usable(asked.now);
        if !is_usable && !facts.is_renewable(asked.now) {
            return GrantState::SignInNeeded;
        }
        if asked.is_flying && self.0.flights.is_under_way(member) {
            return GrantState::Renewing;
        }
        let is_needed = is_due || !is_usable;
        if is_needed && asked.is_cooling && self.0.cooling.of(member).is_some() {
            return GrantState::RetryLater;
        }
        match (is_usable, is_due) {
            (false, _) => GrantState::Expired,
            (true, true) => GrantState::Stale,
            (true, false) => GrantState::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_where_the_one_before_ends() {
        let now = 1_800_000_000;
        for (left, expected) in [
            (-DAY_SECS, "overdue"),
            (0, "overdue"),
            (1, "1d"),
            (DAY_SECS, "1d"),
            (DAY_SECS + 1, "7d"),
            (7 * DAY_SECS, "7d"),
            (30 * DAY_SECS, "30d"),
            (30 * DAY_SECS + 1, "90d"),
            (90 * DAY_SECS, "90d"),
            (91 * DAY_SECS, "later"),
        ] {
            assert_eq!(
                Window::of(Some(now + left), now).as_str(),
                expected,
                "{left}"
            );
        }
        assert_eq!(Window::of(None, now), Window::Unknown);
    }

    #[test]
    fn days_are_whole_and_never_negative() {
        for (left, days) in [
            (-5, 0),
            (0, 0),
            (DAY_SECS - 1, 0),
            (DAY_SECS, 1),
            (59 * DAY_SECS + 3, 59),
        ] {
            assert_eq!(days_left(left, 0), days, "{left}");
        }
    }
}
