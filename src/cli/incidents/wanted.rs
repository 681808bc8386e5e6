//! Which incidents are wanted: the options of `list`, `tail` and `stats`, named like the parameters of pages and
//! API.

use clap::Args;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    clock::Clock,
    incident::reader::{Filter, SHORTEST_PREFIX, Status},
};

use super::End;
use crate::cli::keys::seconds;

#[derive(Debug, Args)]
pub(in crate::cli) struct Wanted {
    /// Not before: 2h, 3d, or 2026-11-23T10:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Not after: 2h, 3d, or 2026-11-23T10:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Status of the final answer: 503 or 5xx
    #[arg(long, value_parser = status)]
    status: Option<Status>,
    /// Whose fault: caller, member, linkedin or gateway
    #[arg(long, value_parser = ["caller", "member", "linkedin", "gateway"])]
    fault: Option<String>,
    /// The member's name
    #[arg(long, value_name = "NAME")]
    member: Option<String>,
    /// The application
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// The caller's name
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Why it was kept: failed, recovered, cut or `caller_left`
    #[arg(long)]
    kind: Option<String>,
    /// The method
    #[arg(long)]
    method: Option<String>,
    /// Part of the request's target
    #[arg(long, value_name = "PART")]
    path: Option<String>,
    /// Any text in the record
    #[arg(long)]
    text: Option<String>,
    /// `LinkedIn`'s x-li-uuid
    #[arg(long, value_name = "ID")]
    x_li_uuid: Option<String>,
    /// `LinkedIn`'s x-li-request-id
    #[arg(long, value_name = "ID")]
    x_li_request_id: Option<String>,
    /// The caller's own X-Request-Id
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// The id, or its first 8 characters or more
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<String>,
    /// What makes incidents alike, as `stats` shows it
    #[arg(long)]
    signature: Option<String>,
    /// Show the ledger of successful writes beside the incidents
    #[arg(long)]
    ledger: bool,
}

impl Wanted {
    pub(super) fn filter(&self) -> Result<Filter, End> {
        self.filter_at(Clock::system().micros())
    }

    /// The same where it is `now`, in Unix microseconds.
    pub(super) fn filter_at(&self, now: i64) -> Result<Filter, End> {
        let at = |text: &Option<String>| text.as_deref().map(|text| micros(text, now)).transpose();
        Ok(Filter {
            since_micros: at(&self.since)?,
            until_micros: at(&self.until)?,
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
        })
    }
}

/// A time ago, or a date.
fn micros(text: &str, now: i64) -> Result<i64, End> {
    if let Ok(ago) = seconds(text) {
        let ago = i64::try_from(ago)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000);
        return Ok(now.saturating_sub(ago).max(0));
    }
    let date = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        End::Usage(format!(
            "{text:?} is no time: 2h, 3d, or 2026-11-23T10:00:00Z"
        ))
    })?;
    // A year of four digits is far from where this would not fit.
    Ok(i64::try_from(date.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
}

fn id(text: &str) -> Result<String, String> {
    match text.len() >= SHORTEST_PREFIX {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("at least {SHORTEST_PREFIX} characters of it")),
    }
}

fn status(text: &str) -> Result<Status, String> {
    let class = text.strip_suffix("xx").and_then(|digit| digit.parse().ok());
    match (class, text.parse()) {
        (Some(class @ 1..=5), _) => Ok(Status::Class(class)),
        (None, Ok(status @ 100..=599)) => Ok(Status::Exactly(status)),
        _ => Err("a status such as 503, or a class such as 5xx".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_digits_or_a_class() {
        for (text, found) in [
            ("503", Some(Status::Exactly(503))),
            ("4xx", Some(Status::Class(4))),
            ("9xx", None),
            ("xx", None),
            ("1000", None),
            ("ok", None),
        ] {
            assert_eq!(status(text).ok(), found, "{text}");
        }
    }

    #[test]
    fn a_time_is_so_long_ago_or_a_date() {
        let now = 1_000_000_000_000_000;

        assert_eq!(micros("2h", now).unwrap(), now - 7_200_000_000);
        assert_eq!(micros("1970-01-01T00:00:01Z", now).unwrap(), 1_000_000);
        let fine = micros("1970-01-01T00:00:01.000002900Z", now).unwrap();
        assert_eq!(fine, 1_000_002, "as fine as the log's own times");
        assert!(micros("yesterday", now).is_err());
    }
}
