//! Which incidents a page or the API lists, as the query of a URL says it.
//!
//! The words are those of `linkgate incidents list`. Whatever is asked for is asked as one [`Asked`], so that
//! a list's URL can be shared, and says the same to a person and to a program.
//!
//! **Invariant:** a word that is not known, or said twice, is refused rather than passed over: a filter that
//! silently does nothing would show incidents as if they had been asked for.
//! **Neighbours:** [`super::listing`] is the same for members.

use std::fmt;

use form_urlencoded::Serializer;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::{
    exchange::Name,
    incident::reader::{Cursor, Filter, Order, Status, begins_id},
};

/// Incidents of one page, where none is said.
pub(super) const USUAL: usize = 50;
/// At most: a line may be long.
pub(super) const MOST: usize = 200;
/// Of one value, so many characters.
pub(super) const LONGEST: usize = 2_000;

/// The words that a filter is made of, in the order in which a form asks for them.
pub(super) const WORDS: [&str; 19] = [
    "since",
    "until",
    "status",
    "fault",
    "kind",
    "method",
    "path",
    "member",
    "application",
    "caller",
    "signature",
    "text",
    "id",
    "x_li_uuid",
    "x_li_request_id",
    "request_id",
    "ledger",
    "order",
    "limit",
];

/// Those whose values have a form that no secret has: no key and no token is as short as a name.
const TOLD: [&str; 11] = [
    "since",
    "until",
    "status",
    "fault",
    "kind",
    "member",
    "application",
    "caller",
    "id",
    "ledger",
    "order",
];

/// Whose fault an incident may be.
pub(super) const FAULTS: [&str; 4] = ["caller", "member", "linkedin", "gateway"];
/// Why a line stands in the log: incidents, the log's notes about itself, and what only those see who ask for it:
/// successful writes, and what the log tests itself with.
pub(super) const KINDS: [&str; 9] = [
    "failed",
    "recovered",
    "cut",
    "caller_left",
    "gap",
    "late",
    "summary",
    "written",
    "self_test",
];
const TIMES: &str = "a time ago such as 30m, 2h or 3d, or a date such as 2026-11-23T10:00:00Z";

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    pub(super) after: Option<Cursor>,
    pub(super) limit: usize,
    /// The words as they were said, without `after`.
    said: Vec<(&'static str, String)>,
}

/// A query that asks for nothing there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadParameter {
    /// Which word.
    pub(super) parameter: String,
    /// What it may be.
    pub(super) allowed: &'static str,
}

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.parameter, self.allowed)
    }
}

impl Asked {
    /// Reads a URL's query. What is empty counts as left out, as forms send it; times ago count back from
    /// `now_micros`. Words in `own` are the page's own, and passed over.
    ///
    /// # Errors
    /// [`BadParameter`].
    pub(super) fn parse(
        query: Option<&str>,
        now_micros: i64,
        own: &[&str],
    ) -> Result<Self, BadParameter> {
        let mut asked = Self {
            limit: USUAL,
            ..Self::default()
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let value = value.trim();
            if own.contains(&&*name) {
                continue;
            }
            if name == "after" {
                asked.go_on(value)?;
                continue;
            }
            let Some(word) = WORDS.into_iter().find(|word| **word == *name) else {
                return Err(unknown(&name));
            };
            if value.is_empty() {
                continue;
            }
            if asked.said(word).is_some() {
                return Err(bad(word, "said once"));
            }
            asked.take(word, value, now_micros)?;
            asked.said.push((word, value.to_owned()));
        }
        Ok(asked)
    }

    /// The same for what is no list, where these words mean nothing and are refused.
    ///
    /// # Errors
    /// [`BadParameter`].
    pub(super) fn parse_without(
        query: Option<&str>,
        now_micros: i64,
        not_here: &[&str],
    ) -> Result<Self, BadParameter> {
        let asked = Self::parse(query, now_micros, &[])?;
        let is_said = |word: &&&str| match **word {
            "after" => asked.after.is_some(),
            word => asked.said(word).is_some(),
        };
        match not_here.iter().find(is_said) {
            Some(word) => Err(bad(word, "left out here")),
            None => Ok(asked),
        }
    }

    fn go_on(&mut self, value: &str) -> Result<(), BadParameter> {
        let wrong = || bad("after", "what the answer before gave as next");
        if value.is_empty() {
            return Ok(());
        }
        if self.after.is_some() {
            return Err(bad("after", "said once"));
        }
        self.after = Some(value.parse().map_err(|_| wrong())?);
        Ok(())
    }

    fn take(&mut self, word: &'static str, value: &str, now: i64) -> Result<(), BadParameter> {
        if value.chars().count() > LONGEST {
            return Err(bad(word, "2000 characters at most"));
        }
        let filter = &mut self.filter;
        let text = Some(value.to_owned());
        match word {
            "since" => filter.since_micros = Some(micros(word, value, now)?),
            "until" => filter.until_micros = Some(micros(word, value, now)?),
            "status" => filter.status = Some(status(value)?),
            "fault" => filter.fault = one_of(&FAULTS, value, word, FAULT_WORDS)?,
            "kind" => filter.kind = one_of(&KINDS, value, word, KIND_WORDS)?,
            "method" => filter.method = text,
            "path" => filter.path = text,
            "member" => filter.member = Some(name(word, value)?),
            "application" => filter.application = Some(name(word, value)?),
            "caller" => filter.caller = Some(name(word, value)?),
            "signature" => filter.signature = text,
            "text" => filter.text = text,
            "id" => filter.id_prefix = Some(id(value)?),
            "x_li_uuid" => filter.x_li_uuid = text,
            "x_li_request_id" => filter.request_id = text,
            "request_id" => filter.caller_request_id = text,
            "ledger" if value == "1" => filter.ledger = true,
            "ledger" => return Err(bad("ledger", "1, or left out")),
            "order" => filter.order = order(value)?,
            _ => self.limit = limit(value)?,
        }
        Ok(())
    }

    /// What was said under this word.
    pub(super) fn said(&self, word: &str) -> Option<&str> {
        let mut all = self.said.iter();
        all.find(|(said, _)| *said == word)
            .map(|(_, value)| value.as_str())
    }

    /// What was asked for, for the operations log. Free texts may be anything, a token that was pasted into the
    /// wrong field among it: of them only the word is told.
    pub(super) fn shape(&self) -> String {
        let told = |(word, value): &(&'static str, String)| match TOLD.contains(word) {
            true => format!("{word}={value}"),
            false => (*word).to_owned(),
        };
        let words: Vec<String> = self.said.iter().map(told).collect();
        words.join(" ")
    }

    /// The query that asks for this list again, from its beginning.
    pub(super) fn query(&self) -> String {
        self.pairs().finish()
    }

    /// The query that asks for what comes behind `next`.
    pub(super) fn query_after(&self, next: Cursor) -> String {
        self.pairs()
            .append_pair("after", &next.to_string())
            .finish()
    }

    fn pairs(&self) -> Serializer<'static, String> {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(&self.said);
        query
    }
}

const FAULT_WORDS: &str = "caller, member, linkedin or gateway";
const KIND_WORDS: &str =
    "failed, recovered, cut, caller_left, gap, late, summary, written or self_test";

pub(super) fn bad(parameter: &str, allowed: &'static str) -> BadParameter {
    BadParameter {
        parameter: parameter.to_owned(),
        allowed,
    }
}

/// A word that is none; told shortened, since anybody may have written it.
pub(super) fn unknown(name: &str) -> BadParameter {
    let told: String = name.chars().take(40).collect();
    bad(&format!("{told:?}"), "left out: there is no such parameter")
}

/// A time ago, or a date; in Unix microseconds.
pub(super) fn micros(word: &str, text: &str, now: i64) -> Result<i64, BadParameter> {
    if let Some(ago) = ago(text) {
        return Ok(now.saturating_sub(ago).max(0));
    }
    let wrong = |_| bad(word, TIMES);
    let date = OffsetDateTime::parse(text, &Rfc3339).map_err(wrong)?;
    // Beside its offset it may be of a year that is written in UTC with a sign or with five digits.
    let is_written = |utc: OffsetDateTime| (0..=9999).contains(&utc.year());
    let utc = date
        .checked_to_offset(UtcOffset::UTC)
        .filter(|utc| is_written(*utc));
    utc.and_then(|utc| i64::try_from(utc.unix_timestamp_nanos() / 1_000).ok())
        .ok_or_else(|| bad(word, TIMES))
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

fn status(text: &str) -> Result<Status, BadParameter> {
    let is_three = text.len() == 3;
    let class = text.strip_suffix("xx").and_then(|digit| digit.parse().ok());
    let exactly = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok());
    match (class, exactly.flatten()) {
        (Some(class @ 1..=5), _) if is_three => Ok(Status::Class(class)),
        (None, Some(status @ 100..=599)) if is_three => Ok(Status::Exactly(status)),
        _ => Err(bad(
            "status",
            "a number such as 503, or a class such as 5xx",
        )),
    }
}

fn one_of(
    all: &[&str],
    value: &str,
    word: &str,
    allowed: &'static str,
) -> Result<Option<String>, BadParameter> {
    match all.contains(&value) {
        true => Ok(Some(value.to_owned())),
        false => Err(bad(word, allowed)),
    }
}

fn name(word: &str, text: &str) -> Result<String, BadParameter> {
    let name: Result<Name, _> = text.parse();
    name.map(|name| name.as_str().to_owned())
        .map_err(|_| bad(word, "1 to 64 characters of A-Z a-z 0-9 . _ -"))
}

/// An exchange's id, or its beginning.
pub(super) fn id(text: &str) -> Result<String, BadParameter> {
    match begins_id(text) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(bad(
            "id",
            "an exchange's id, or its first 8 characters or more",
        )),
    }
}

fn order(text: &str) -> Result<Order, BadParameter> {
    match text {
        "newest" => Ok(Order::NewestFirst),
        "oldest" => Ok(Order::OldestFirst),
        _ => Err(bad("order", "newest or oldest")),
    }
}

fn limit(text: &str) -> Result<usize, BadParameter> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=MOST).contains(number))
        .ok_or(bad("limit", "a number from 1 to 200"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::reader::Window;

    const NOW: i64 = 1_000_000_000_000_000;

    fn parse(query: &str) -> Result<Asked, BadParameter> {
        Asked::parse(Some(query), NOW, &["live"])
    }

    #[test]
    fn a_query_says_which_incidents_and_how_to_go_on() {
        let query = "since=2h&status=5xx&text=a%26b&id=0192ABCD-ef&order=oldest&limit=7&after=41";
        let asked = parse(query).unwrap();

        assert_eq!(asked.filter.since_micros, Some(NOW - 7_200_000_000));
        assert_eq!(asked.filter.status, Some(Status::Class(5)));
        assert_eq!(asked.filter.text.as_deref(), Some("a&b"));
        assert_eq!(asked.filter.id_prefix.as_deref(), Some("0192abcd-ef"));
        assert_eq!(asked.filter.order, Order::OldestFirst);
        assert_eq!(asked.limit, 7);
        assert_eq!(asked.query_after(asked.after.unwrap()), query);
        assert_eq!(
            asked.shape(),
            "since=2h status=5xx text id=0192ABCD-ef order=oldest limit"
        );
    }

    #[test]
    fn a_window_is_the_time_that_was_said_else_the_last_day() {
        const HOUR: i64 = 3_600_000_000;
        for (query, since, until) in [
            ("", NOW - 24 * HOUR, NOW),
            ("since=2h", NOW - 2 * HOUR, NOW),
            ("until=1h", NOW - 25 * HOUR, NOW - HOUR),
            ("since=3h&until=1h", NOW - 3 * HOUR, NOW - HOUR),
        ] {
            let window = Window::asked(&parse(query).unwrap().filter, NOW);
            let expected = Window {
                since_micros: since,
                until_micros: until,
            };
            assert_eq!(window, expected, "{query}");
        }
    }

    #[test]
    fn the_ledger_is_listed_for_those_who_ask_for_it() {
        for (query, ledger, kind) in [
            ("", false, None),
            ("ledger=", false, None),
            ("ledger=1", true, None),
            ("kind=written", false, Some("written")),
            ("kind=self_test", false, Some("self_test")),
        ] {
            let filter = parse(query).unwrap().filter;
            assert_eq!((filter.ledger, filter.kind.as_deref()), (ledger, kind));
        }
        assert_eq!(parse("ledger=1").unwrap().shape(), "ledger=1");
    }

    #[test]
    fn two_request_ids_are_told_apart() {
        let asked = parse("x_li_request_id=theirs&request_id=ours").unwrap();

        assert_eq!(asked.filter.request_id.as_deref(), Some("theirs"));
        assert_eq!(asked.filter.caller_request_id.as_deref(), Some("ours"));
    }

    #[test]
    fn what_is_empty_counts_as_left_out_and_a_page_has_words_of_its_own() {
        let all: Vec<String> = WORDS.iter().map(|word| format!("{word}=")).collect();
        let asked = parse(&format!("{}&after=&live=1&live=2", all.join("&"))).unwrap();

        assert_eq!(asked.query(), "");
        assert_eq!((asked.limit, asked.after), (USUAL, None));
    }

    #[test]
    fn a_query_for_nothing_there_is_names_the_word_and_what_it_may_be() {
        let long = format!("text={}", "a".repeat(LONGEST + 1));
        for (query, word, says) in [
            ("since=yesterday", "since", "30m, 2h or 3d"),
            ("until=99999999999999999999d", "until", "3d"),
            ("since=%C3%A9", "since", "3d"),
            ("since=-2h", "since", "3d"),
            ("since=h", "since", "3d"),
            ("since=0000-01-01T00:00:00%2B01:00", "since", "3d"),
            ("until=9999-12-31T23:59:59-01:00", "until", "3d"),
            ("status=600", "status", "5xx"),
            ("status=6xx", "status", "5xx"),
            ("status=%2B503", "status", "5xx"),
            ("status=+xx", "status", "5xx"),
            ("status=ok", "status", "5xx"),
            ("fault=us", "fault", "gateway"),
            ("kind=good", "kind", "caller_left"),
            ("id=0192", "id", "8 characters"),
            ("id=0192abcz", "id", "8 characters"),
            ("id=--------", "id", "8 characters"),
            ("id=0-------", "id", "8 characters"),
            ("id=0192abcdef", "id", "8 characters"),
            ("member=a%20b", "member", "1 to 64"),
            ("caller=%C3%A9", "caller", "1 to 64"),
            ("ledger=yes", "ledger", "left out"),
            ("order=up", "order", "oldest"),
            ("limit=0", "limit", "1 to 200"),
            ("limit=201", "limit", "1 to 200"),
            ("limit=-1", "limit", "1 to 200"),
            ("after=x", "after", "next"),
            ("after=1&after=2", "after", "once"),
            ("member=ada&member=grace", "member", "once"),
            ("staus=503", "\"staus\"", "no such parameter"),
            (&long, "text", "2000 characters"),
        ] {
            let BadParameter { parameter, allowed } = parse(query).unwrap_err();
            assert_eq!(parameter, word, "{query}");
            assert!(allowed.contains(says), "{query}: {allowed}");
        }
    }

    #[test]
    fn a_date_is_read_to_the_microsecond() {
        for (text, at) in [
            ("1970-01-01T00:00:01Z", 1_000_000),
            ("1970-01-01T00:00:01.000002Z", 1_000_002),
            ("1970-01-01T02:00:01+02:00", 1_000_000),
        ] {
            assert_eq!(micros("since", text, NOW), Ok(at));
        }
    }
}
