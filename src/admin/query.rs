//! Which incidents a page or the API lists, as the query of a URL says it.
//!
//! The words are those of `linkgate incidents list`. Whatever is asked for is asked as one [`Asked`], so that
//! a list's URL can be shared, and says the same to a person and to a program.
//!
//! **Invariant:** a word that is not known, or said twice, is refused rather than passed over: a filter that
//! silently does nothing would show incidents as if they had been asked for.
//! **Neighbours:** [`said`] reads the values, for commands as well; [`super::listing`] is the same for members.

use std::fmt;

use form_urlencoded::Serializer;

use crate::incident::reader::{
    Cursor, Filter,
    said::{self, Unfit},
};

/// Incidents of one page, where none is said.
pub(super) const USUAL: usize = 50;
/// At most: a line may be long.
pub(super) const MOST: usize = 200;

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
        let unfit = |Unfit(allowed)| bad(word, allowed);
        let text = Some(said::text(value).map_err(unfit)?);
        let filter = &mut self.filter;
        match word {
            "since" => filter.since_micros = Some(said::moment(value).map_err(unfit)?.micros(now)),
            "until" => filter.until_micros = Some(said::moment(value).map_err(unfit)?.micros(now)),
            "status" => filter.status = Some(said::status(value).map_err(unfit)?),
            "fault" => filter.fault = Some(said::fault(value).map_err(unfit)?),
            "kind" => filter.kind = Some(said::kind(value).map_err(unfit)?),
            "method" => filter.method = text,
            "path" => filter.path = text,
            "member" => filter.member = Some(said::name(value).map_err(unfit)?),
            "application" => filter.application = Some(said::name(value).map_err(unfit)?),
            "caller" => filter.caller = Some(said::name(value).map_err(unfit)?),
            "signature" => filter.signature = text,
            "text" => filter.text = text,
            "id" => filter.id_prefix = Some(said::id(value).map_err(unfit)?),
            "x_li_uuid" => filter.x_li_uuid = text,
            "x_li_request_id" => filter.request_id = text,
            "request_id" => filter.caller_request_id = text,
            "ledger" if value == "1" => filter.ledger = true,
            "ledger" => return Err(bad("ledger", "1, or left out")),
            "order" => filter.order = said::order(value).map_err(unfit)?,
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

/// An exchange's id, or its beginning.
pub(super) fn id(text: &str) -> Result<String, BadParameter> {
    said::id(text).map_err(|Unfit(allowed)| bad("id", allowed))
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
    use crate::incident::reader::{Order, Status, Window};

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
        let long = format!("text={}", "a".repeat(said::LONGEST + 1));
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
}
