//! Which members a page or the API lists, as the query of a URL says it.
//!
//! **Invariant:** a cursor is the address of the last member shown, so a list stays whole while members come
//! and go; no more than [`MOST`] are listed at once.

use form_urlencoded::Serializer;

use super::address;
use crate::{
    credentials::{GrantState, Wanted},
    exchange::{Member, Name},
};

/// Members of one page, where none is said.
pub(super) const USUAL: usize = 100;
/// At most.
const MOST: usize = 1000;
/// Of a text that is looked for, so many characters.
const LONGEST_TEXT: usize = 200;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) wanted: Wanted,
    pub(super) after: Option<Member>,
    pub(super) limit: usize,
}

/// A query that asks for nothing there is: one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadQuery(pub(super) &'static str);

impl Listing {
    /// Reads a URL's query. What is empty counts as left out, as forms send it.
    ///
    /// # Errors
    /// [`BadQuery`].
    pub(super) fn parse(query: Option<&str>) -> Result<Self, BadQuery> {
        let mut listing = Self {
            limit: USUAL,
            ..Self::default()
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match &*name {
                "application" => listing.wanted.application = Some(application(value)?),
                "state" => listing.wanted.state = Some(state(value)?),
                "text" if value.chars().count() > LONGEST_TEXT => {
                    return Err(BadQuery("text is at most 200 characters"));
                }
                "text" => listing.wanted.text = Some(value.to_owned()),
                "after" => listing.after = Some(after(value)?),
                "limit" => listing.limit = limit(value)?,
                // Others are a page's own, or a later version's.
                _ => {}
            }
        }
        Ok(listing)
    }

    /// The query that asks for what comes after `last`.
    pub(super) fn query_after(&self, last: &Member) -> String {
        let mut query = Serializer::new(String::new());
        if let Some(application) = &self.wanted.application {
            query.append_pair("application", application.as_str());
        }
        if let Some(state) = self.wanted.state {
            query.append_pair("state", state.as_str());
        }
        if let Some(text) = &self.wanted.text {
            query.append_pair("text", text);
        }
        if self.limit != USUAL {
            query.append_pair("limit", &self.limit.to_string());
        }
        query.append_pair("after", &address::of(last)).finish()
    }
}

/// How far a forecast looks, and how many members it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Horizon {
    /// Days from now; none: for ever.
    pub(super) days: Option<u64>,
    pub(super) limit: usize,
}

impl Horizon {
    /// Reads a URL's query.
    ///
    /// # Errors
    /// [`BadQuery`].
    pub(super) fn parse(query: Option<&str>) -> Result<Self, BadQuery> {
        let (mut days, mut most) = (None, USUAL);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match &*name {
                "within_days" => {
                    let number = value.parse().ok().filter(|days| (1..=3650).contains(days));
                    let wrong = BadQuery("within_days is a number from 1 to 3650");
                    days = Some(number.ok_or(wrong)?);
                }
                "limit" => most = limit(value)?,
                _ => {}
            }
        }
        Ok(Self { days, limit: most })
    }
}

fn application(text: &str) -> Result<Name, BadQuery> {
    text.parse()
        .map_err(|_| BadQuery("application is the name of one"))
}

fn state(text: &str) -> Result<GrantState, BadQuery> {
    let mut all = GrantState::ALL.into_iter();
    let found = all.find(|state| state.as_str() == text);
    found.ok_or(BadQuery(
        "state is fresh, stale, renewing, expired, retry_later or sign_in_needed",
    ))
}

fn after(text: &str) -> Result<Member, BadQuery> {
    let wrong = BadQuery("after is what the answer before gave as next");
    address::member_of(text).ok_or(wrong)
}

fn limit(text: &str) -> Result<usize, BadQuery> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=MOST).contains(number))
        .ok_or(BadQuery("limit is a number from 1 to 1000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_which_members_and_how_to_go_on() {
        let query = "application=ads&state=fresh&text=a%26b&limit=7&after=ads%2Fada&told=renewed";
        let listing = Listing::parse(Some(query)).unwrap();

        assert_eq!(listing.wanted.state, Some(GrantState::Fresh));
        assert_eq!(listing.wanted.text.as_deref(), Some("a&b"));
        assert_eq!(listing.limit, 7);
        let next = listing.query_after(listing.after.as_ref().unwrap());
        assert_eq!(
            next,
            "application=ads&state=fresh&text=a%26b&limit=7&after=ads%2Fada"
        );
        let empty = Listing::parse(Some("application=&state=&text=+&limit=&after=")).unwrap();
        assert_eq!(empty, Listing::parse(None).unwrap());
        assert_eq!(empty.limit, USUAL);
    }

    #[test]
    fn a_query_for_nothing_there_is_says_what_there_is() {
        let long = format!("text={}", "a".repeat(LONGEST_TEXT + 1));
        for (query, says) in [
            ("application=a%20b", "application"),
            ("state=good", "sign_in_needed"),
            ("limit=0", "1 to 1000"),
            ("limit=1001", "1 to 1000"),
            ("limit=-1", "1 to 1000"),
            ("limit=99999999999999999999", "1 to 1000"),
            ("after=ada", "next"),
            ("after=../x/y", "next"),
            (&long, "200 characters"),
        ] {
            let BadQuery(told) = Listing::parse(Some(query)).unwrap_err();
            assert!(told.contains(says), "{query}: {told}");
        }
        for query in [
            "within_days=0",
            "within_days=x",
            "within_days=3651",
            "limit=0",
        ] {
            assert!(Horizon::parse(Some(query)).is_err(), "{query}");
        }
        let horizon = Horizon::parse(Some("within_days=7&limit=3&limit="));
        assert_eq!(
            horizon,
            Ok(Horizon {
                days: Some(7),
                limit: 3
            })
        );
    }
}
