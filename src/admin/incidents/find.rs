//! Finding an incident by whatever support has in hand: the search box of every page.
//!
//! What was written is recognised by its shape: an exchange's id or its beginning, alone or somewhere in a pasted
//! answer; a time; else one of the ids that LinkedIn or the app gave, a member's or a caller's name; else a text.
//!
//! **Invariant:** it answers with a way, never with data: what is found is shown by the page it leads to. What
//! was looked for may be anything, a token that was pasted by mistake among it, and is noted by its shape alone.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    response::{IntoResponse as _, Redirect, Response},
};
use form_urlencoded::Serializer;
use maud::html;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{not_read, one};
use crate::{
    admin::{door::Visitor, house::House, page},
    exchange::Name,
    incident::reader::{Filter, Found, Incidents, begins_id, said},
};

/// Characters of an id.
const ID: usize = 36;
/// Bytes in which an id is looked for, the answer of a whole call among it; as a text, a list takes less of it.
const LONGEST: usize = 8_000;
/// Around a time, so many minutes are looked at.
const AROUND_MINUTES: i64 = 5;

/// What was written in the box.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meant {
    Nothing,
    /// An exchange's id, or its beginning.
    Id(String),
    /// A moment, in Unix seconds.
    Time(i64),
    /// One word: an id of LinkedIn's or of the app's, or a name.
    Word(String),
    /// More than one word.
    Text(String),
}

/// Where what was found is shown.
enum Way {
    To(String),
    Choose(Found),
}

pub(super) async fn find(
    State(house): State<Arc<House>>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let written = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "q")
        .map_or_else(String::new, |(_, value)| value.into_owned());
    let meant = Meant::of(&written);
    visitor.did("find", meant.shape());
    if meant == Meant::Nothing {
        return help(&visitor);
    }
    match house.read(move |log| way(log, meant)).await {
        Ok(Way::To(path)) => Redirect::to(&path).into_response(),
        Ok(Way::Choose(found)) => one::not_found(&visitor, &found),
        Err(error) => not_read(&visitor, error),
    }
}

fn help(visitor: &Visitor) -> Response {
    let main = html! {
        h1 { "Find an incident" }
        p { "Write what you have into the field at the top of the page:" }
        ul {
            li { "the exchange's id from the app's error (" code { "exchange_id" } ", header " code { "Linkgate-Exchange" } "), or its first 8 characters; the whole error will do" }
            li { "LinkedIn's " code { "x-li-uuid" } " or " code { "x-li-request-id" } ", or the app's own " code { "X-Request-Id" } }
            li { "a member's or a caller's name" }
            li { "a time such as " code { "2026-11-23T10:00:00Z" } ": what happened five minutes before and after" }
            li { "any text: a path, a code, a word of LinkedIn's message" }
        }
    };
    page::page(visitor, "/incidents", "Find", &main).into_response()
}

impl Meant {
    fn of(written: &str) -> Self {
        let written = written.trim();
        let written = written
            .get(..written.floor_char_boundary(LONGEST))
            .unwrap_or_default();
        if written.is_empty() {
            return Self::Nothing;
        }
        if let Ok(time) = OffsetDateTime::parse(written, &Rfc3339) {
            return Self::Time(time.unix_timestamp());
        }
        let text = || written.chars().take(said::LONGEST).collect();
        match (begins_id(written), id_within(written)) {
            (true, _) => Self::Id(written.to_ascii_lowercase()),
            (false, Some(id)) => Self::Id(id),
            (false, None) if written.contains(char::is_whitespace) => Self::Text(text()),
            (false, None) => Self::Word(text()),
        }
    }

    fn shape(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Id(_) => "an id",
            Self::Time(_) => "a time",
            Self::Word(_) => "a word",
            Self::Text(_) => "a text",
        }
    }
}

/// The first whole id somewhere in a text.
fn id_within(text: &str) -> Option<String> {
    let mut starts = 0..=text.len().checked_sub(ID)?;
    let id = starts.find_map(|start| text.get(start..start + ID).filter(|part| begins_id(part)))?;
    Some(id.to_ascii_lowercase())
}

/// Reads files: not for an async worker.
fn way(log: &Incidents, meant: Meant) -> Way {
    match meant {
        Meant::Nothing => Way::To("/find".to_owned()),
        Meant::Time(at) => Way::To(around(at)),
        Meant::Text(text) => Way::To(one::list("text", &text)),
        Meant::Word(word) => Way::To(by_word(log, &word)),
        Meant::Id(id) => match log.find(&id) {
            Found::One(record) => Way::To(format!("/incidents/{}", record.id().unwrap_or(&id))),
            found @ Found::Ambiguous(_) => Way::Choose(found),
            // Apps' own ids and LinkedIn's look alike.
            Found::Nothing | Found::Unreadable(_) => Way::To(by_word(log, &id)),
        },
    }
}

fn around(at: i64) -> String {
    let moment = |seconds: i64| {
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
        time.and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_default()
    };
    let minutes = AROUND_MINUTES * 60;
    let mut query = Serializer::new(String::new());
    query.append_pair("since", &moment(at.saturating_sub(minutes)));
    query.append_pair("until", &moment(at.saturating_add(minutes)));
    format!("/incidents?{}", query.finish())
}

/// The first of the meanings of a word that any incident has; else it is looked for as a text.
fn by_word(log: &Incidents, word: &str) -> String {
    let is_name = word.parse::<Name>().is_ok();
    let filter = |set: fn(&mut Filter) -> &mut Option<String>| {
        let mut filter = Filter::default();
        *set(&mut filter) = Some(word.to_owned());
        filter
    };
    let meanings = [
        (
            "request_id",
            true,
            filter(|filter| &mut filter.caller_request_id),
        ),
        ("x_li_uuid", true, filter(|filter| &mut filter.x_li_uuid)),
        (
            "x_li_request_id",
            true,
            filter(|filter| &mut filter.request_id),
        ),
        ("member", is_name, filter(|filter| &mut filter.member)),
        ("caller", is_name, filter(|filter| &mut filter.caller)),
    ];
    for (name, is_possible, filter) in meanings {
        if !is_possible {
            continue;
        }
        let found = log.search(&filter, None, 2).records;
        match (
            found.as_slice(),
            found.first().and_then(|record| record.id()),
        ) {
            ([], _) => {}
            // A person's list says more than their only incident.
            ([_], Some(id)) if !matches!(name, "member" | "caller") => {
                return format!("/incidents/{id}");
            }
            _ => return one::list(name, word),
        }
    }
    one::list("text", word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::query::Asked;

    #[test]
    fn what_is_written_is_recognised_by_its_shape() {
        let id = "019ab2c4-1f2e-7d3c-8a9b-0c1d2e3f4a5b";
        for (why, written, meant) in [
            ("nothing", "  ", Meant::Nothing),
            ("an id", id, Meant::Id(id.into())),
            (
                "its beginning",
                "019AB2C4-1f",
                Meant::Id("019ab2c4-1f".into()),
            ),
            (
                "too short for one",
                "019ab2c",
                Meant::Word("019ab2c".into()),
            ),
            (
                "dashes elsewhere",
                "019ab2c41-f",
                Meant::Word("019ab2c41-f".into()),
            ),
            (
                "an app's error",
                "{\"code\":\"linkedin_timeout\", \"exchange_id\":\"019AB2C4-1F2E-7D3C-8A9B-0C1D2E3F4A5B\"} ä",
                Meant::Id(id.into()),
            ),
            ("a time", "2026-11-23T10:00:00Z", Meant::Time(1_795_428_000)),
            (
                "x-li-uuid",
                "AAYFBPDs9ZaGJ88vWwff2w==",
                Meant::Word("AAYFBPDs9ZaGJ88vWwff2w==".into()),
            ),
            ("a name", "ada", Meant::Word("ada".into())),
            (
                "words",
                "duplicate post",
                Meant::Text("duplicate post".into()),
            ),
        ] {
            assert_eq!(Meant::of(written), meant, "{why}");
        }
    }

    #[test]
    fn a_long_text_is_cut_to_what_a_list_takes() {
        for written in ["é".repeat(3_000), "a b ".repeat(1_000)] {
            let (Meant::Word(text) | Meant::Text(text)) = Meant::of(&written) else {
                panic!("{written}");
            };
            let list = one::list("text", &text);
            let asked = Asked::parse(list.split_once('?').map(|(_, query)| query), 0, &[]);
            assert!(asked.is_ok(), "{asked:?}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for written in ["é".repeat(LONGEST), "\u{0}".repeat(40), "é-".repeat(30)] {
            Meant::of(&written);
        }
    }
}
