//! What is sent: JSON for programs, and in its `text` one plain sentence for people.
//!
//! **Invariant:** a body holds names, dates, states and reasons; a token, a secret or a code never comes
//! near this file. `text` holds no markup that a chat tool would act upon.

use serde::Serialize;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    event::{Event, TEST},
    fact::{About, Details, Fact, Trouble},
};
use crate::{
    credentials::Verdict,
    exchange::{Member, Name},
};

/// Members named in a notice about many.
pub(super) const NAMED: usize = 20;
/// Of those, this many in its sentence.
const NAMED_IN_TEXT: usize = 3;

/// The body of a notice (docs/alerts.md, "What is sent").
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: String,
    data: Data<'a>,
    text: String,
}

#[derive(Default, Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    urn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict_kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_left: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_renewals: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_attempts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affected_members: Option<usize>,
}

/// A notice of one fact.
pub(super) fn of_fact(fact: &Fact, connect_url: Option<&str>, now: OffsetDateTime) -> String {
    let (data, text) = match &fact.details {
        Details::Member(about) => (
            of_member(about, connect_url),
            member_sentence(fact.event, about, connect_url),
        ),
        Details::Application {
            name,
            reason,
            is_over,
        } => (
            Data {
                application: Some(name.as_str()),
                state: Some(application_state(fact.event, *is_over)),
                reason: Some(reason),
                ..Data::default()
            },
            application_sentence(fact.event, name, reason, *is_over),
        ),
        Details::LinkedIn(trouble) => (of_linkedin(trouble), linkedin_sentence(trouble)),
    };
    written(fact.event.as_str(), data, text, now)
}

/// A notice of many facts of one event, those beyond what a webhook is told one by one.
pub(super) fn of_many(event: Event, count: u64, members: &[String], now: OffsetDateTime) -> String {
    let data = Data {
        count: Some(count),
        members: Some(members),
        ..Data::default()
    };
    let what = match event {
        Event::SignInNeeded => "more members must sign in again",
        Event::RenewalFailing => "more members' tokens cannot be renewed at the moment",
        Event::RefreshTokenEnding => "more members' sign-ins end soon",
        Event::Misconfigured => "more applications are refused by LinkedIn",
        Event::LinkedInFailing => "more notices about LinkedIn",
    };
    let named: Vec<&str> = members
        .iter()
        .take(NAMED_IN_TEXT)
        .map(String::as_str)
        .collect();
    let among = match named.is_empty() {
        true => String::new(),
        false => format!(", among them {}", named.join(", ")),
    };
    let text = format!("{} {what}{among}.", grouped(count));
    written(event.as_str(), data, text, now)
}

/// The notice that shows whether a webhook works.
pub(super) fn of_test(webhook: &Name, now: OffsetDateTime) -> String {
    let text = format!("This is a test of Linkgate's webhook {webhook}: it works.");
    written(TEST, Data::default(), text, now)
}

fn written(word: &str, data: Data<'_>, text: String, now: OffsetDateTime) -> String {
    let body = Body {
        r#type: word,
        timestamp: date(now),
        data,
        text,
    };
    // Strings and numbers alone: this cannot fail.
    serde_json::to_string(&body).unwrap_or_default()
}

fn of_member<'a>(about: &'a About, connect_url: Option<&'a str>) -> Data<'a> {
    Data {
        application: Some(about.member.application.as_str()),
        member: about.member.name.as_ref().map(Name::as_str),
        urn: about.urn.as_deref(),
        state: Some(about.state),
        reason: about.reason.as_deref(),
        verdict: about.verdict.as_ref().map(ToString::to_string),
        verdict_kind: about.verdict.as_ref().map(Verdict::kind),
        ends_at: about.ends_at.map(date),
        days_left: about.days_left,
        failed_renewals: about.failed_renewals,
        connect_url,
        ..Data::default()
    }
}

fn of_linkedin(trouble: &Trouble) -> Data<'static> {
    Data {
        state: Some(if trouble.is_over { "over" } else { "failing" }),
        attempts: Some(trouble.attempts),
        failed_attempts: Some(trouble.failed),
        affected_members: Some(trouble.members),
        ..Data::default()
    }
}

fn member_sentence(event: Event, about: &About, connect_url: Option<&str>) -> String {
    let who = who(&about.member);
    // A grant's reason holds its verdict.
    let why = about.reason.as_deref();
    let why = why.map_or_else(String::new, |why| format!(": {}", plain(why)));
    let link = connect_url.map_or_else(String::new, |url| format!(" Sign in: {url}"));
    match event {
        Event::RenewalFailing => format!(
            "The token of {who} could not be renewed {} times in a row{why}. Linkgate goes on trying.",
            about.failed_renewals.unwrap_or_default()
        ),
        Event::RefreshTokenEnding => {
            let day = about
                .ends_at
                .map_or_else(String::new, |at| format!(" on {}", at.date()));
            let left = match about.days_left.unwrap_or_default() {
                0 => "in less than a day".to_owned(),
                1 => "in a day".to_owned(),
                days => format!("in {days} days"),
            };
            format!(
                "The sign-in of {who} ends {left}{day}; only signing in again extends it.{link}"
            )
        }
        Event::SignInNeeded | Event::Misconfigured | Event::LinkedInFailing => {
            format!("{who} must sign in again{why}.{link}")
        }
    }
}

fn application_state(event: Event, is_over: bool) -> &'static str {
    match event {
        _ if is_over => "over",
        Event::Misconfigured => "misconfigured",
        _ => "failing",
    }
}

fn application_sentence(event: Event, name: &Name, reason: &str, is_over: bool) -> String {
    let reason = plain(reason);
    match event {
        _ if is_over => format!("LinkedIn renews tokens of application {name} again."),
        Event::Misconfigured => format!(
            "LinkedIn refuses application {name}, not its members: {reason}. Check its client id and secret."
        ),
        _ => format!(
            "LinkedIn renews no token of application {name}: {reason}. Tokens that are still good are used."
        ),
    }
}

fn linkedin_sentence(trouble: &Trouble) -> String {
    let minutes = trouble.over.as_secs().div_ceil(60);
    if trouble.is_over {
        return format!(
            "LinkedIn works again: {} of {} calls failed in the last {minutes} minutes.",
            grouped(trouble.failed),
            grouped(trouble.attempts)
        );
    }
    format!(
        "LinkedIn is failing: {} of {} calls in the last {minutes} minutes met 5xx, lost or late answers, {} members affected.",
        grouped(trouble.failed),
        grouped(trouble.attempts),
        grouped(trouble.members as u64)
    )
}

fn who(member: &Member) -> String {
    let name = member.name.as_ref().map_or("", Name::as_str);
    format!("{name} (application {})", member.application)
}

/// LinkedIn's words may stand in a sentence, but not speak to a chat tool.
fn plain(text: &str) -> String {
    let shown = text.trim_end_matches('.').chars();
    shown
        .filter(|c| !c.is_control())
        .map(|c| match c {
            '<' | '>' | '&' | '@' | '`' | '*' | '[' | ']' => '\'',
            c => c,
        })
        .collect()
}

fn date(at: OffsetDateTime) -> String {
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

/// 4213 as people read it: 4,213.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A body as it is listed for people: its sentence.
pub(super) fn text_of(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let text = body.get("text").and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn about() -> About {
        About {
            member: Member {
                application: "default".parse().unwrap(),
                name: Some("ada".parse().unwrap()),
            },
            urn: Some("urn:li:person:x".to_owned()),
            state: "sign_in_needed",
            reason: Some("LinkedIn refused the refresh token on 2027-01-15".to_owned()),
            verdict: None,
            ends_at: None,
            days_left: None,
            failed_renewals: None,
        }
    }

    fn body(event: Event, details: Details, connect_url: Option<&str>) -> Value {
        let fact = Fact {
            event,
            key: None,
            application: None,
            subject: String::new(),
            details,
        };
        serde_json::from_str(&of_fact(&fact, connect_url, now())).unwrap()
    }

    #[test]
    fn a_notice_is_a_standard_webhooks_payload_with_a_sentence() {
        let link = "https://c.example/connect/x?t=1&u=2";

        let body = body(Event::SignInNeeded, Details::Member(about()), Some(link));

        assert_eq!(
            body,
            json!({
                "type": "member.sign_in_needed",
                "timestamp": "2027-01-15T08:00:00Z",
                "data": {
                    "application": "default",
                    "member": "ada",
                    "urn": "urn:li:person:x",
                    "state": "sign_in_needed",
                    "reason": "LinkedIn refused the refresh token on 2027-01-15",
                    "connect_url": link,
                },
                "text": format!("ada (application default) must sign in again: LinkedIn refused the refresh token on 2027-01-15. Sign in: {link}"),
            })
        );
    }

    fn trouble() -> Trouble {
        Trouble {
            is_over: false,
            attempts: 4_120,
            failed: 3_001,
            members: 12,
            over: std::time::Duration::from_secs(300),
        }
    }

    #[test]
    fn every_event_has_its_sentence() {
        let ends_at = Some(now() + time::Duration::days(7));
        let trouble = trouble();
        for (event, details, text) in [
            (
                Event::SignInNeeded,
                Details::Member(About {
                    reason: Some("it was revoked.".to_owned()),
                    verdict: Some(Verdict::OtherApplication),
                    ..about()
                }),
                "ada (application default) must sign in again: it was revoked.",
            ),
            (
                Event::RenewalFailing,
                Details::Member(About {
                    failed_renewals: Some(3),
                    reason: Some("it said 503".to_owned()),
                    ..about()
                }),
                "The token of ada (application default) could not be renewed 3 times in a row: it said 503. Linkgate goes on trying.",
            ),
            (
                Event::RefreshTokenEnding,
                Details::Member(About {
                    ends_at,
                    days_left: Some(7),
                    ..about()
                }),
                "The sign-in of ada (application default) ends in 7 days on 2027-01-22; only signing in again extends it.",
            ),
            (
                Event::Misconfigured,
                Details::Application {
                    name: "ads".parse().unwrap(),
                    reason: "401 <!channel> invalid_client".to_owned(),
                    is_over: false,
                },
                "LinkedIn refuses application ads, not its members: 401 '!channel' invalid_client. Check its client id and secret.",
            ),
            (
                Event::LinkedInFailing,
                Details::LinkedIn(trouble),
                "LinkedIn is failing: 3,001 of 4,120 calls in the last 5 minutes met 5xx, lost or late answers, 12 members affected.",
            ),
            (
                Event::LinkedInFailing,
                Details::LinkedIn(Trouble {
                    is_over: true,
                    failed: 0,
                    ..trouble
                }),
                "LinkedIn works again: 0 of 4,120 calls failed in the last 5 minutes.",
            ),
        ] {
            assert_eq!(body(event, details, None)["text"], text);
        }
    }

    #[test]
    fn a_notice_about_many_counts_them_and_names_some() {
        let names: Vec<String> = (0..5).map(|n| format!("m{n}/default")).collect();

        let body = of_many(Event::SignInNeeded, 4_213, &names, now());
        let body: Value = serde_json::from_str(&body).unwrap();

        assert_eq!(
            body["text"],
            "4,213 more members must sign in again, among them m0/default, m1/default, m2/default."
        );
        assert_eq!(body["data"]["count"], 4_213);
        assert_eq!(body["data"]["members"].as_array().unwrap().len(), 5);
    }
}
