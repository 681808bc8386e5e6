//! Which incidents are wanted: the options of `list`, `tail` and `stats`, named like the parameters of pages and
//! API.
//!
//! **Invariant:** each word is read by the parser that pages and API have for it ([`said`]).

use clap::Args;

use crate::{
    clock::Clock,
    incident::reader::{
        Filter, Status,
        said::{self, Moment},
    },
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Wanted {
    /// Not before: 2h, 3d, or 2026-11-23T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = said::moment)]
    since: Option<Moment>,
    /// Not after: 2h, 3d, or 2026-11-23T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = said::moment)]
    until: Option<Moment>,
    /// Status of the final answer: 503 or 5xx
    #[arg(long, value_parser = said::status)]
    status: Option<Status>,
    /// Whose fault: caller, member, linkedin or gateway
    #[arg(long, value_parser = said::fault)]
    fault: Option<String>,
    /// The member's name
    #[arg(long, value_name = "NAME", value_parser = said::name)]
    member: Option<String>,
    /// The application
    #[arg(long, value_name = "NAME", value_parser = said::name)]
    application: Option<String>,
    /// The caller's name
    #[arg(long, value_name = "NAME", value_parser = said::name)]
    caller: Option<String>,
    /// Why it was kept: failed, recovered, cut or `caller_left`; or gap, late, summary, written, `self_test`
    #[arg(long, value_parser = said::kind)]
    kind: Option<String>,
    /// The method
    #[arg(long, value_parser = said::text)]
    method: Option<String>,
    /// Part of the request's target
    #[arg(long, value_name = "PART", value_parser = said::text)]
    path: Option<String>,
    /// Any text in the record
    #[arg(long, value_parser = said::text)]
    text: Option<String>,
    /// `LinkedIn`'s x-li-uuid
    #[arg(long, value_name = "ID", value_parser = said::text)]
    x_li_uuid: Option<String>,
    /// `LinkedIn`'s x-li-request-id
    #[arg(long, value_name = "ID", value_parser = said::text)]
    x_li_request_id: Option<String>,
    /// The caller's own X-Request-Id
    #[arg(long, value_name = "ID", value_parser = said::text)]
    request_id: Option<String>,
    /// The id, or its first 8 characters or more
    #[arg(long, value_name = "ID", value_parser = said::id)]
    id: Option<String>,
    /// What makes incidents alike, as `stats` shows it
    #[arg(long, value_parser = said::text)]
    signature: Option<String>,
    /// Show the ledger of successful writes beside the incidents
    #[arg(long)]
    ledger: bool,
}

impl Wanted {
    pub(super) fn filter(&self) -> Filter {
        self.filter_at(Clock::system().micros())
    }

    /// The same where it is `now`, in Unix microseconds.
    pub(super) fn filter_at(&self, now: i64) -> Filter {
        let at = |moment: Option<Moment>| moment.map(|moment| moment.micros(now));
        Filter {
            since_micros: at(self.since),
            until_micros: at(self.until),
            status: self.status,
            fault: self.fault.clone(),
            member: self.member.clone(),
            application: self.application.clone(),
            caller: self.caller.clone(),
            kind: self.kind.clone(),
            method: self.method.clone(),
            path: self.path.clone(),
            text: self.text.clone(),
            x_li_uuid: self.x_li_uuid.clone(),
            request_id: self.x_li_request_id.clone(),
            caller_request_id: self.request_id.clone(),
            id_prefix: self.id.clone(),
            signature: self.signature.clone(),
            ledger: self.ledger,
            ..Filter::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    fn wanted(word: &str, value: &str) -> Result<Filter, clap::Error> {
        let command = Wanted::augment_args(Command::new("list"));
        let matches = command.try_get_matches_from(["list", word, value])?;
        Ok(Wanted::from_arg_matches(&matches)?.filter_at(7_200_000_000))
    }

    #[test]
    fn each_word_is_refused_with_the_sentence_that_pages_have() {
        let long = "a".repeat(said::LONGEST + 1);
        for (word, value, why) in [
            ("--since", "yesterday", said::moment("yesterday").err()),
            ("--until", "+2h", said::moment("+2h").err()),
            ("--status", "+503", said::status("+503").err()),
            ("--fault", "us", said::fault("us").err()),
            ("--kind", "good", said::kind("good").err()),
            ("--id", "0192", said::id("0192").err()),
            ("--id", "0-------", said::id("0-------").err()),
            ("--id", "0192abcz", said::id("0192abcz").err()),
            ("--member", "a b", said::name("a b").err()),
            ("--application", "é", said::name("é").err()),
            ("--caller", "", said::name("").err()),
            ("--method", &long, said::text(&long).err()),
            ("--path", &long, said::text(&long).err()),
            ("--text", &long, said::text(&long).err()),
            ("--signature", &long, said::text(&long).err()),
            ("--x-li-uuid", &long, said::text(&long).err()),
            ("--x-li-request-id", &long, said::text(&long).err()),
            ("--request-id", &long, said::text(&long).err()),
        ] {
            let why = why.unwrap().to_string();
            let told = wanted(word, value).unwrap_err().to_string();
            assert!(told.contains(&why) && told.contains(word), "{told}");
        }
    }

    #[test]
    fn what_is_said_becomes_the_filter() {
        let since = wanted("--since", "1h").unwrap().since_micros;
        let id = wanted("--id", "0192ABCD-ef").unwrap().id_prefix;
        let kind = wanted("--kind", "written").unwrap().kind;

        assert_eq!(since, Some(3_600_000_000));
        assert_eq!(id.as_deref(), Some("0192abcd-ef"));
        assert_eq!(kind.as_deref(), Some("written"));
    }
}
