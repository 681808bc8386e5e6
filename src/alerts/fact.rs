//! What is so and worth telling: facts read off a grant, each with the key under which it is told once.
//!
//! **Invariant:** a key names event, subject and version: the access token's fingerprint, or the day of
//! the end, so that the same trouble after a new sign-in is a new fact and a restart makes none.
//! **Neighbours:** `alerts::watch` asks, `alerts::teller` compares with what was told.

use time::{Duration, OffsetDateTime};

use super::event::Event;
use crate::{
    credentials::{Failing, GrantState, GrantSummary, Verdict},
    exchange::{Member, Name},
};

/// Days before an end at which it is told.
const WINDOWS: [i64; 3] = [30, 7, 1];

/// Something that is so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    pub(super) event: Event,
    /// Under this it is told once; none: it is told each time.
    pub(super) key: Option<String>,
    /// Whom it concerns; none: everybody.
    pub(super) application: Option<Name>,
    /// Notices of one subject keep their order.
    pub(super) subject: String,
    pub(super) details: Details,
}

/// What a notice says beside its event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Details {
    /// Of one member.
    Member(About),
    /// Of an application, and what its renewals met.
    Application {
        name: Name,
        reason: String,
        is_over: bool,
    },
    /// Of LinkedIn.
    LinkedIn(Trouble),
}

/// A member and how its grant stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct About {
    pub(super) member: Member,
    pub(super) urn: Option<String>,
    pub(super) state: &'static str,
    pub(super) reason: Option<String>,
    pub(super) verdict: Option<Verdict>,
    pub(super) ends_at: Option<OffsetDateTime>,
    pub(super) days_left: Option<i64>,
    pub(super) failed_renewals: Option<u32>,
}

/// How LinkedIn did, over the time that was looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trouble {
    pub(super) is_over: bool,
    pub(super) attempts: u64,
    pub(super) failed: u64,
    pub(super) members: usize,
    pub(super) over: std::time::Duration,
}

/// The beginning of all keys of this event and member.
pub(super) fn stem(event: Event, member: &Member) -> String {
    let name = member.name.as_ref().map_or("", Name::as_str);
    format!("{}/{}/{name}/", event.as_str(), member.application)
}

/// The key under which trouble of a whole application is told.
pub(super) fn application_key(event: Event, application: &Name) -> String {
    format!("{}/{application}", event.as_str())
}

/// What is so about an application: LinkedIn refuses it, or its token endpoint fails for it, `enough`
/// times in a row.
pub(super) fn of_application(name: &Name, failing: &Failing, enough: u32) -> Option<Fact> {
    let event = match failing.is_refusal {
        true => Event::Misconfigured,
        false if failing.times >= enough => Event::LinkedInFailing,
        false => return None,
    };
    let reason = failing.reason.to_string();
    let key = Some(application_key(event, name));
    Some(about_application(event, name, key, reason, false))
}

/// The token endpoint works again for an application.
pub(super) fn works_again(name: &Name) -> Fact {
    let reason = "a renewal worked".to_owned();
    about_application(Event::LinkedInFailing, name, None, reason, true)
}

fn about_application(
    event: Event,
    name: &Name,
    key: Option<String>,
    reason: String,
    is_over: bool,
) -> Fact {
    Fact {
        event,
        key,
        application: Some(name.clone()),
        subject: format!("/{name}"),
        details: Details::Application {
            name: name.clone(),
            reason,
            is_over,
        },
    }
}

/// What is so about one grant.
///
/// `failing` are renewals in a row that failed; below `enough` of them nothing is said. An
/// application's own token is nobody's sign-in: of it nothing is said here.
pub(super) fn of_grant(
    grant: &GrantSummary,
    failing: Option<&Failing>,
    enough: u32,
    now: OffsetDateTime,
) -> Vec<Fact> {
    let Some(member) = member_of(grant) else {
        return Vec::new();
    };
    let fact = |event: Event, version: &str, about: About| Fact {
        event,
        key: Some(stem(event, &member) + version),
        application: Some(member.application.clone()),
        subject: member.to_string(),
        details: Details::Member(about),
    };
    let about = about(grant, &member);
    if grant.state == GrantState::SignInNeeded {
        return vec![fact(Event::SignInNeeded, &grant.fingerprint, about)];
    }
    let mut facts = Vec::new();
    if let Some(failing) = failing.filter(|failing| failing.times >= enough) {
        let about = About {
            reason: Some(failing.reason.to_string()),
            failed_renewals: Some(failing.times),
            ..about.clone()
        };
        facts.push(fact(Event::RenewalFailing, &grant.fingerprint, about));
    }
    if let Some((ends_at, days_left, window)) = ending(grant, now) {
        let version = format!("{}/{window}", ends_at.unix_timestamp());
        let about = About {
            ends_at: Some(ends_at),
            days_left: Some(days_left),
            ..about
        };
        facts.push(fact(Event::RefreshTokenEnding, &version, about));
    }
    facts
}

/// Whether what was told under `key` is over, given what is so now. A renewal that failed is told
/// until one works, even if nobody tried since the start.
pub(super) fn is_over(key: &str, grant: Option<&GrantSummary>, facts: &[Fact]) -> bool {
    let Some(grant) = grant else {
        return true;
    };
    let is_so = facts.iter().any(|fact| fact.key.as_deref() == Some(key));
    let is_failing = key.starts_with(Event::RenewalFailing.as_str())
        && key.rsplit('/').next() == Some(&grant.fingerprint)
        && grant.state != GrantState::SignInNeeded;
    !is_so && !is_failing
}

pub(super) fn member_of(grant: &GrantSummary) -> Option<Member> {
    Some(Member {
        application: grant.application.parse().ok()?,
        name: Some(grant.name.as_ref()?.parse().ok()?),
    })
}

fn about(grant: &GrantSummary, member: &Member) -> About {
    About {
        member: member.clone(),
        urn: grant.urn.clone(),
        state: grant.state.as_str(),
        reason: grant.reason.clone(),
        verdict: grant.verdict.clone(),
        ends_at: None,
        days_left: None,
        failed_renewals: None,
    }
}

/// When only a sign-in will help, and which of the windows was crossed last.
fn ending(grant: &GrantSummary, now: OffsetDateTime) -> Option<(OffsetDateTime, i64, i64)> {
    let ends_at = OffsetDateTime::from_unix_timestamp(grant.ends_at?).ok()?;
    let left = ends_at - now;
    // The nearest only: after a long stop three notices would say the same.
    let crossed = |window: &i64| left <= Duration::days(*window);
    let window = WINDOWS.into_iter().rev().find(crossed)?;
    let days_left = left.whole_seconds().max(0).div_euclid(86_400);
    Some((ends_at, days_left, window))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(NOW).unwrap()
    }

    fn keys(grant: &GrantSummary, failing: Option<&Failing>) -> Vec<String> {
        let facts = of_grant(grant, failing, 3, now());
        facts.into_iter().filter_map(|fact| fact.key).collect()
    }

    fn failing(times: u32) -> Failing {
        let reason = "token endpoint answered 503".into();
        Failing {
            times,
            reason,
            is_refusal: false,
        }
    }

    #[test]
    fn an_end_is_told_by_the_nearest_window_that_was_crossed() {
        let end = |left: i64| format!("member.refresh_token_ending/default/ada/{}/", NOW + left);
        for (why, left, window) in [
            ("far off", 31 * DAY, None),
            ("a second before the first window", 30 * DAY + 1, None),
            ("30 days", 30 * DAY, Some(30)),
            ("between", 8 * DAY, Some(30)),
            ("7 days", 7 * DAY, Some(7)),
            ("1 day", DAY, Some(1)),
            ("an hour, after a long stop", 3600, Some(1)),
        ] {
            let grant = GrantSummary {
                ends_at: Some(NOW + left),
                ..grant()
            };
            let expected: Vec<String> = window
                .map(|window: i64| format!("{}{window}", end(left)))
                .into_iter()
                .collect();
            assert_eq!(keys(&grant, None), expected, "{why}");
        }
    }

    #[test]
    fn a_grant_that_ended_is_told_as_that_and_nothing_else() {
        let ended = GrantSummary {
            state: GrantState::SignInNeeded,
            ends_at: Some(NOW + DAY),
            ..grant()
        };

        let told = keys(&ended, Some(&failing(9)));

        assert_eq!(told, ["member.sign_in_needed/default/ada/f1"]);
        let own = GrantSummary {
            name: None,
            ..ended
        };
        assert!(keys(&own, None).is_empty(), "an application cannot sign in");
    }

    #[test]
    fn an_application_is_refused_at_once_and_its_endpoint_fails_from_the_third_time() {
        let name: Name = "ads".parse().unwrap();
        for (why, times, is_refusal, expected) in [
            ("refused", 1, true, Some("application.misconfigured/ads")),
            ("failed twice", 2, false, None),
            ("failed three times", 3, false, Some("linkedin.failing/ads")),
        ] {
            let failing = Failing {
                is_refusal,
                ..failing(times)
            };
            let fact = of_application(&name, &failing, 3);

            let key = fact.and_then(|fact| fact.key);
            assert_eq!(key.as_deref(), expected, "{why}");
        }
    }

    #[test]
    fn renewals_are_failing_from_the_third_in_a_row() {
        assert!(keys(&grant(), Some(&failing(2))).is_empty());

        let told = keys(&grant(), Some(&failing(3)));

        assert_eq!(told, ["member.renewal_failing/default/ada/f1"]);
    }

    #[test]
    fn what_was_told_is_over_when_the_version_moved_on() {
        let ended = GrantSummary {
            state: GrantState::SignInNeeded,
            ..grant()
        };
        let renewed = GrantSummary {
            fingerprint: "f2".to_owned(),
            ..grant()
        };
        let (sign_in, failing) = (
            "member.sign_in_needed/default/ada/f1",
            "member.renewal_failing/default/ada/f1",
        );
        for (why, key, grant, over) in [
            ("still ended", sign_in, Some(&ended), false),
            ("signed in again", sign_in, Some(&renewed), true),
            ("disconnected", sign_in, None, true),
            (
                "nobody tried since the start",
                failing,
                Some(&grant()),
                false,
            ),
            ("renewed", failing, Some(&renewed), true),
            ("ended: that is told instead", failing, Some(&ended), true),
            (
                "the next window",
                "member.refresh_token_ending/default/ada/9/30",
                Some(&grant()),
                true,
            ),
        ] {
            let facts = grant.map_or_else(Vec::new, |grant| of_grant(grant, None, 3, now()));
            assert_eq!(is_over(key, grant, &facts), over, "{why}");
        }
    }

    fn grant() -> GrantSummary {
        GrantSummary {
            name: Some("ada".to_owned()),
            application: "default".to_owned(),
            urn: None,
            state: GrantState::Fresh,
            reason: None,
            access_expires_at: Some(NOW + 60 * DAY),
            refresh_expires_at: Some(NOW + 300 * DAY),
            renewable: true,
            scopes: Vec::new(),
            access_days_left: None,
            refresh_days_left: None,
            ends_at: None,
            last_attempt: None,
            last_outcome: None,
            last_failure: None,
            last_renewal: None,
            last_used: None,
            unconfirmed_since: None,
            fingerprint: "f1".to_owned(),
            full_name: None,
            verdict: None,
            remarks: Vec::new(),
        }
    }
}
