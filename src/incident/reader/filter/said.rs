//! What a filter's words may say, on the command line and in a URL alike.
//!
//! **Invariant:** one parser a word: what a command takes, pages and the API take, and what is refused is refused
//! with the same sentence. A value that could match no line is refused, so that nothing found means nothing there.
//! **Neighbours:** `cli::incidents` and `admin::query` ask.

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::{Order, SELF_TEST, Status};
use crate::{
    exchange::Name,
    incident::{Kind, ledger, reader::begins_id},
};

/// Whose fault an incident may be.
pub const FAULTS: [&str; 4] = ["caller", "member", "linkedin", "gateway"];
/// Why a line stands in the log: incidents, the log's notes about itself, and what only those see who ask for it:
/// successful writes, and what the log tests itself with.
pub const KINDS: [&str; 9] = [
    Kind::Failed.as_str(),
    Kind::Recovered.as_str(),
    Kind::Cut.as_str(),
    Kind::CallerLeft.as_str(),
    "gap",
    "late",
    "summary",
    ledger::KIND,
    SELF_TEST,
];
/// Characters of one value at most.
pub const LONGEST: usize = 2_000;

/// A value that its word cannot have, and what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct Unfit(pub &'static str);

/// A moment, as it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So many microseconds ago.
    Ago(i64),
    /// Then, in Unix microseconds.
    At(i64),
}

impl Moment {
    /// In Unix microseconds, where it is `now`.
    pub fn micros(self, now: i64) -> i64 {
        match self {
            Self::Ago(ago) => now.saturating_sub(ago).max(0),
            Self::At(at) => at,
        }
    }
}

/// `since`, `until`: a time ago, or a date.
///
/// # Errors
/// [`Unfit`], here and below.
pub fn moment(text: &str) -> Result<Moment, Unfit> {
    let found = ago(text).map(Moment::Ago);
    found.or_else(|| date(text).map(Moment::At)).ok_or(Unfit(
        "a time ago such as 30m, 2h or 3d, or a date such as 2026-11-23T10:00:00Z",
    ))
}

/// `30m`, in microseconds.
fn ago(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: i64 = digits.parse().ok().filter(|_| is_number)?;
    count.checked_mul(unit)?.checked_mul(1_000_000)
}

fn date(text: &str) -> Option<i64> {
    let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    // Beside its offset it may be of a year that is written in UTC with a sign or with five digits.
    let utc = date.checked_to_offset(UtcOffset::UTC)?;
    let is_written = (0..=9999).contains(&utc.year());
    let micros = i64::try_from(utc.unix_timestamp_nanos() / 1_000).ok()?;
    is_written.then_some(micros)
}

/// `status`: `503` or `5xx`.
///
/// # Errors
/// See [`moment`].
pub fn status(text: &str) -> Result<Status, Unfit> {
    let is_three = text.len() == 3;
    let class = text.strip_suffix("xx").and_then(|digit| digit.parse().ok());
    let exactly = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok());
    match (class, exactly.flatten()) {
        (Some(class @ 1..=5), _) if is_three => Ok(Status::Class(class)),
        (None, Some(status @ 100..=599)) if is_three => Ok(Status::Exactly(status)),
        _ => Err(Unfit("a number such as 503, or a class such as 5xx")),
    }
}

/// `fault`: one of [`FAULTS`].
///
/// # Errors
/// See [`moment`].
pub fn fault(text: &str) -> Result<String, Unfit> {
    one_of(&FAULTS, text).ok_or(Unfit("caller, member, linkedin or gateway"))
}

/// `kind`: one of [`KINDS`].
///
/// # Errors
/// See [`moment`].
pub fn kind(text: &str) -> Result<String, Unfit> {
    one_of(&KINDS, text).ok_or(Unfit(
        "failed, recovered, cut, caller_left, gap, late, summary, written or self_test",
    ))
}

fn one_of(all: &[&str], text: &str) -> Option<String> {
    all.contains(&text).then(|| text.to_owned())
}

/// `member`, `application`, `caller`.
///
/// # Errors
/// See [`moment`].
pub fn name(text: &str) -> Result<String, Unfit> {
    let name: Result<Name, _> = text.parse();
    name.map(|name| name.as_str().to_owned())
        .map_err(|_| Unfit("1 to 64 characters of A-Z a-z 0-9 . _ -"))
}

/// `id`: an exchange's, or its beginning.
///
/// # Errors
/// See [`moment`].
pub fn id(text: &str) -> Result<String, Unfit> {
    let id = begins_id(text).then(|| text.to_ascii_lowercase());
    id.ok_or(Unfit("an exchange's id, or its first 8 characters or more"))
}

/// `order`: which end of the log first.
///
/// # Errors
/// See [`moment`].
pub fn order(text: &str) -> Result<Order, Unfit> {
    match text {
        "newest" => Ok(Order::NewestFirst),
        "oldest" => Ok(Order::OldestFirst),
        _ => Err(Unfit("newest or oldest")),
    }
}

/// The others: any text, as long as it is no longer than [`LONGEST`].
///
/// # Errors
/// See [`moment`].
pub fn text(text: &str) -> Result<String, Unfit> {
    match text.chars().count() > LONGEST {
        true => Err(Unfit("2000 characters at most")),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Fault;

    const NOW: i64 = 1_000_000_000_000_000;

    #[test]
    fn a_moment_is_so_long_ago_or_a_date_to_the_microsecond() {
        for (text, at) in [
            ("2h", Some(NOW - 7_200_000_000)),
            ("0s", Some(NOW)),
            ("36500d", Some(0)),
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("1970-01-01T00:00:01.000002900Z", Some(1_000_002)),
            ("1970-01-01T02:00:01+02:00", Some(1_000_000)),
            ("yesterday", None),
            ("99999999999999999999d", None),
            ("é", None),
            ("+2h", None),
            ("-2h", None),
            ("h", None),
            ("", None),
            ("0000-01-01T00:00:00+01:00", None),
            ("9999-12-31T23:59:59-01:00", None),
        ] {
            let found = moment(text).ok().map(|moment| moment.micros(NOW));
            assert_eq!(found, at, "{text}");
        }
    }

    #[test]
    fn a_status_is_three_digits_or_a_class() {
        for (text, found) in [
            ("503", Some(Status::Exactly(503))),
            ("4xx", Some(Status::Class(4))),
            ("9xx", None),
            ("xx", None),
            ("+xx", None),
            ("+5xx", None),
            ("+503", None),
            ("099", None),
            ("0503", None),
            ("1000", None),
            ("ok", None),
        ] {
            assert_eq!(status(text).ok(), found, "{text}");
        }
    }

    #[test]
    fn an_id_is_said_whole_or_by_its_first_eight_characters_or_more() {
        let whole = "019AB2C4-1f2e-7d3c-8a9b-0c1d2e3f4a5b";
        for (text, is_id) in [
            (whole, true),
            (&whole[..8], true),
            (&whole[..9], true),
            (&whole[..7], false),
            (&format!("{whole}0"), false),
            ("0192abcz", false),
            ("--------", false),
            ("0192abcdef", false),
        ] {
            let found = is_id.then(|| text.to_ascii_lowercase());
            assert_eq!(id(text).ok(), found, "{text}");
        }
    }

    #[test]
    fn a_refusal_names_each_word_there_is() {
        let Unfit(faults) = fault("us").unwrap_err();
        let Unfit(kinds) = kind("good").unwrap_err();

        assert_eq!(FAULTS, Fault::ALL.map(Fault::as_str));
        for (all, told) in [(&FAULTS[..], faults), (&KINDS, kinds)] {
            let named: Vec<&str> = told
                .split([',', ' '])
                .filter(|word| !word.is_empty())
                .collect();
            let named: Vec<&str> = named.into_iter().filter(|word| *word != "or").collect();
            assert_eq!(named, all);
        }
        assert!(
            FAULTS
                .iter()
                .all(|word| fault(word).as_deref() == Ok(*word))
        );
        assert!(KINDS.iter().all(|word| kind(word).as_deref() == Ok(*word)));
    }
}
