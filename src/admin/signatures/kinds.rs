//! Which signatures came in a time, what is new among them, and what came again after it was resolved.
//!
//! **Invariant:** the log is asked once for the groups and at most [`MOST_QUESTIONS`] times about single ones.

use std::collections::HashMap;

use crate::{
    incident::reader::{Filter, Group, Incidents, Order, Window},
    store::{Decision, Mark},
};

/// Groups of one page.
const MOST: usize = 100;
/// Questions about single signatures: those at the top get their badges.
pub(super) const MOST_QUESTIONS: usize = 50;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// How far back a page looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::admin) enum Span {
    Hour,
    #[default]
    Day,
    Week,
    Month,
}

impl Span {
    pub(super) const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word in the URL.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    fn seconds(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// The window that a URL asks for; none if there is no such.
    pub(super) fn of(query: Option<&str>) -> Option<Self> {
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        match pairs.find(|(name, _)| name == "window") {
            Some((_, word)) => Self::named(&word),
            None => Some(Self::default()),
        }
    }
}

/// A group with what is to be said of it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) group: Group,
    pub(super) mark: Option<Mark>,
    /// It was not seen before the last quarter of the window, or the last day.
    pub(super) is_new: bool,
    /// When it came for the first time after it was resolved.
    pub(super) again_since: Option<String>,
}

/// All that a page shows.
#[derive(Debug, Default)]
pub(in crate::admin) struct Kinds {
    pub(super) open: Vec<Shown>,
    pub(super) muted: Vec<Shown>,
    /// Groups beyond those.
    pub(super) more: usize,
}

impl Kinds {
    /// Whether there is nothing that is wrong.
    pub(in crate::admin) fn is_quiet(&self) -> bool {
        self.open.is_empty()
    }
}

/// Asks the log `questions` more at most, for what is new or came again: the first groups first. Reads files:
/// not for an async worker.
pub(in crate::admin) fn read(
    log: &Incidents,
    span: Span,
    marks: Vec<Mark>,
    now_micros: i64,
    mut questions: usize,
) -> Kinds {
    let window = Window {
        since_micros: now_micros.saturating_sub(span.seconds().saturating_mul(1_000_000)),
        until_micros: now_micros,
    };
    let marked = |mark: Mark| (mark.signature.clone(), mark);
    let mut marks: HashMap<String, Mark> = marks.into_iter().map(marked).collect();
    let mut groups = log.groups(window, &Filter::default());
    let mut kinds = Kinds {
        more: groups.len().saturating_sub(MOST),
        ..Kinds::default()
    };
    groups.truncate(MOST);
    for group in groups {
        let mark = marks.remove(&group.signature);
        let is_muted = mark
            .as_ref()
            .is_some_and(|mark| mark.decision == Decision::Muted);
        let shown = Shown {
            is_new: mark.is_none() && is_new(log, &group, span, now_micros, &mut questions),
            again_since: again_since(log, &group, mark.as_ref(), &mut questions),
            group,
            mark,
        };
        match is_muted {
            true => kinds.muted.push(shown),
            false => kinds.open.push(shown),
        }
    }
    kinds
}

/// One more question, if there is one left.
fn take(questions: &mut usize) -> bool {
    let is_left = *questions > 0;
    *questions = questions.saturating_sub(1);
    is_left
}

fn is_new(log: &Incidents, group: &Group, span: Span, now: i64, questions: &mut usize) -> bool {
    let fresh = (span.seconds() / 4).min(DAY).saturating_mul(1_000_000);
    let first = micros(&group.first_seen);
    let is_late = first.is_some_and(|first| first >= now.saturating_sub(fresh));
    let Some(first) = first.filter(|_| is_late && take(questions)) else {
        return false;
    };
    let before = Filter {
        signature: Some(group.signature.clone()),
        until_micros: Some(first.saturating_sub(1)),
        ..Filter::default()
    };
    log.search(&before, None, 1).records.is_empty()
}

fn again_since(
    log: &Incidents,
    group: &Group,
    mark: Option<&Mark>,
    questions: &mut usize,
) -> Option<String> {
    let resolved = mark.filter(|mark| mark.decision == Decision::Resolved)?;
    // A decision is known to the second: what came within it was seen by who decided.
    let since = resolved.at.saturating_add(1).saturating_mul(1_000_000);
    if micros(&group.last_seen)? < since {
        return None;
    }
    if !take(questions) {
        return Some(group.last_seen.clone());
    }
    let after = Filter {
        order: Order::OldestFirst,
        signature: Some(group.signature.clone()),
        since_micros: Some(since),
        ..Filter::default()
    };
    let first = log.search(&after, None, 1).records.pop();
    let time = first.as_ref().and_then(|record| record.time());
    Some(time.unwrap_or(&group.last_seen).to_owned())
}

/// A time of the log, in Unix microseconds.
fn micros(time: &str) -> Option<i64> {
    let format = &time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::parse(time, format).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_one_of_four() {
        for (query, span) in [
            (None, Some(Span::Day)),
            (Some("window=1h"), Some(Span::Hour)),
            (Some("window=7d"), Some(Span::Week)),
            (Some("window=2h"), None),
            (Some("other=1"), Some(Span::Day)),
        ] {
            assert_eq!(Span::of(query), span, "{query:?}");
        }
    }
}
