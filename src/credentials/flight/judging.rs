//! What a row, and the journal beside it, mean to a flight and to a start.
//!
//! **Invariant:** pure: the flights, the recovery at start and the model of both ask the same
//! functions, so that what was model-checked is what runs.

use super::Row;

/// What a row holds, as far as the order of a renewal depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::credentials) struct Held {
    pub(in crate::credentials) version: i64,
    /// A call may be made with its access token, which is another than the one to be replaced.
    pub(in crate::credentials) is_replacement: bool,
    /// It did not end.
    pub(in crate::credentials) is_live: bool,
    /// There is something to renew it with.
    pub(in crate::credentials) is_renewable: bool,
    /// It still holds what this flight's answer replaces: see [`is_older`].
    pub(in crate::credentials) is_older: bool,
}

/// What a flight knows when it judges a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::credentials) struct Mine {
    /// It renews an application's own token, which needs neither row nor refresh token.
    pub(in crate::credentials) is_applications_own: bool,
    /// Version of the row it began from, 0 for none; nothing before the first look.
    pub(in crate::credentials) base: Option<i64>,
    /// Whether it holds an answer that is not saved.
    pub(in crate::credentials) has_answer: bool,
}

/// What the journal tells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::credentials) enum Found {
    /// There is no entry.
    Nothing,
    /// The entry is of an earlier row, or spent nothing: it tells nothing new.
    Over,
    /// A refresh token was about to be spent for the `number`th time, and its answer is not known.
    Unconfirmed {
        /// Uses of this refresh token so far that nobody knows the answer to.
        number: i64,
    },
    /// The answer is there: only its save is left to do.
    Answered,
}

/// Decides what a journal entry (`base`, `number`, whether its answer is kept) means beside a row of
/// this version, 0 for none.
///
/// A flight that never left has no entry; one that left and whose end nobody saw has one without an
/// answer; one that died between answer and save has one with it.
pub(in crate::credentials) fn found(
    entry: Option<(i64, i64, bool)>,
    row: i64,
    is_applications_own: bool,
) -> Found {
    match entry {
        None => Found::Nothing,
        Some((base, ..)) if base != row => Found::Over,
        Some((_, _, true)) => Found::Answered,
        // Such a token is minted, not renewed: nothing was spent.
        Some(_) if is_applications_own => Found::Over,
        Some((_, number, false)) => Found::Unconfirmed { number },
    }
}

/// Whether a row still holds what an answer replaces. `row` and `base` are refresh and access token
/// of the row now and of the one the flight began from; `fresh` is the answer's refresh token.
///
/// A row that somebody saved meanwhile for another reason (a verdict, a profile, another process
/// that was told the spent token is dead) must not keep a new refresh token out.
pub(in crate::credentials) fn is_older<R: PartialEq, A: PartialEq>(
    row: (Option<&R>, &A),
    base: (Option<&R>, &A),
    fresh: Option<&R>,
) -> bool {
    row.0 == base.0 && (fresh != base.0 || row.1 == base.1)
}

/// What the row means to the flight. `journal` is what the journal told of it, once that was asked.
pub(in crate::credentials) fn judge(row: Option<&Held>, mine: Mine, journal: Found) -> Row {
    let is_base = |version| mine.base.is_none_or(|base| base == version);
    let Some(row) = row else {
        return match mine.is_applications_own && is_base(0) {
            true => to_do(Row::Ready, journal),
            false => Row::Gone,
        };
    };
    if mine.has_answer {
        // The version alone does not do: a member who was disconnected and signed in again begins
        // to count anew.
        return match (row.is_older, is_base(row.version)) {
            (true, true) => Row::Ready,
            (true, false) => Row::Older,
            (false, _) => of_itself(row, Row::Changed),
        };
    }
    if journal == Found::Answered {
        return Row::Answered;
    }
    match is_base(row.version) {
        true => to_do(of_itself(row, Row::Ready), journal),
        false => of_itself(row, Row::Changed),
    }
}

fn of_itself(row: &Held, to_do: Row) -> Row {
    match row {
        Held {
            is_replacement: true,
            ..
        } => Row::Renewed,
        Held { is_live: false, .. } => Row::Ended,
        Held {
            is_renewable: false,
            ..
        } => Row::Final,
        Held { .. } => to_do,
    }
}

fn to_do(row: Row, journal: Found) -> Row {
    match (row, journal) {
        (Row::Ready, Found::Answered) => Row::Answered,
        (Row::Ready, Found::Unconfirmed { .. }) => Row::Unconfirmed,
        (row, _) => row,
    }
}
