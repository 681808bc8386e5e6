//! A grant's days: what a call gets, what the list says, and what LinkedIn was asked, with both clocks
//! moved on.

use std::time::Duration;

use linkgate::{
    credentials::{GrantState, Window},
    sandbox::{Options, Sandbox},
};

use crate::support::{
    Gateway,
    gateway::{member, name},
    until,
};

const DAY: u64 = 86_400;

/// One day of a grant.
struct Day {
    day: u64,
    why: &'static str,
    status: u16,
    state: GrantState,
    access_days_left: i64,
    refresh_days_left: Option<i64>,
    window: Window,
    /// Renewals that LinkedIn has seen by then.
    renewals: u64,
}

const fn day(day: u64, why: &'static str) -> Day {
    Day {
        day,
        why,
        status: 200,
        state: GrantState::Fresh,
        access_days_left: 59,
        refresh_days_left: None,
        window: Window::Later,
        renewals: 0,
    }
}

/// With a refresh token: linkedin.md §1.3.
const WITH: [Day; 11] = [
    Day {
        refresh_days_left: Some(364),
        ..day(0, "signed in")
    },
    Day {
        access_days_left: 7,
        refresh_days_left: Some(312),
        ..day(52, "not due yet")
    },
    Day {
        refresh_days_left: Some(305),
        renewals: 1,
        ..day(59, "renewed though nobody called")
    },
    Day {
        refresh_days_left: Some(246),
        renewals: 2,
        ..day(118, "and again")
    },
    Day {
        refresh_days_left: Some(187),
        renewals: 3,
        ..day(177, "and again")
    },
    Day {
        refresh_days_left: Some(128),
        renewals: 4,
        ..day(236, "and again")
    },
    Day {
        refresh_days_left: Some(69),
        window: Window::Quarter,
        renewals: 5,
        ..day(295, "the year's end comes near")
    },
    Day {
        access_days_left: 4,
        refresh_days_left: Some(4),
        window: Window::Week,
        renewals: 6,
        ..day(360, "the last token ends with the refresh token")
    },
    Day {
        access_days_left: 2,
        refresh_days_left: Some(2),
        window: Window::Week,
        renewals: 6,
        ..day(362, "no renewal could bring more")
    },
    Day {
        access_days_left: 0,
        refresh_days_left: Some(0),
        window: Window::Day,
        renewals: 6,
        ..day(364, "served to the end")
    },
    Day {
        status: 401,
        state: GrantState::SignInNeeded,
        access_days_left: 0,
        refresh_days_left: Some(0),
        window: Window::Overdue,
        renewals: 6,
        ..day(366, "only the member can help")
    },
];

/// Without one.
const WITHOUT: [Day; 4] = [
    Day {
        window: Window::Quarter,
        ..day(0, "signed in")
    },
    Day {
        access_days_left: 3,
        window: Window::Week,
        ..day(56, "nothing can be done ahead")
    },
    Day {
        access_days_left: 0,
        window: Window::Day,
        ..day(59, "served to the end")
    },
    Day {
        status: 401,
        state: GrantState::SignInNeeded,
        access_days_left: 0,
        window: Window::Overdue,
        ..day(60, "only the member can help")
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_with_a_refresh_token_lives_its_year_and_says_so() {
    let linkedin = two_hours_short();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    gateway.credentials.keep_fresh();

    live_through(&linkedin, &gateway, "ada", &WITH).await;

    let problem = gateway.get("/v2/userinfo", "ada").await;
    let detail = problem.json()["detail"].to_string();
    assert!(detail.contains("the refresh token expired on"), "{detail}");
    let asked = linkedin.counts().token_calls;
    assert_eq!(asked, 6, "a dead refresh token is not even tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_without_a_refresh_token_ends_on_day_sixty_and_says_so() {
    let linkedin = two_hours_short();
    let mut answer = linkedin.sign_in("grace");
    answer.refresh_token = None;
    answer.refresh_token_expires_in = None;
    let gateway = Gateway::before(&linkedin)
        .with_grant("grace", answer)
        .start()
        .await;
    gateway.credentials.keep_fresh();

    live_through(&linkedin, &gateway, "grace", &WITHOUT).await;

    let problem = gateway.get("/v2/userinfo", "grace").await;
    let detail = problem.json()["detail"].to_string();
    assert!(detail.contains("there is no refresh token"), "{detail}");
    assert_eq!(linkedin.counts().token_calls, 0);
}

/// LinkedIn, its lives two hours short of whole days, so that the seconds of a story change no count
/// of days.
fn two_hours_short() -> Sandbox {
    let lives = Options::default();
    let options = Options {
        access_token_secs: lives.access_token_secs - 7_200,
        refresh_token_secs: lives.refresh_token_secs - 7_200,
        ..lives
    };
    Sandbox::start_with(options).unwrap()
}

async fn live_through(linkedin: &Sandbox, gateway: &Gateway, who: &str, days: &[Day]) {
    let mut today = 0;
    for day in days {
        let passed = Duration::from_secs((day.day - today) * DAY);
        linkedin.advance_clock(passed);
        gateway.clock.advance(passed);
        today = day.day;
        let why = format!("{who}, day {}: {}", day.day, day.why);
        until(&why, || {
            let seen = linkedin.counts().renewals.get(who).copied();
            seen.unwrap_or_default() == day.renewals && gateway.credentials.flights_under_way() == 0
        })
        .await;

        let reply = gateway.get("/v2/userinfo", who).await;

        assert_eq!(reply.status, day.status, "{why}: {}", reply.text());
        if day.status == 401 {
            assert_eq!(reply.code(), "sign_in_needed", "{why}");
        }
        said(gateway, who, day, &why).await;
    }
}

/// What `members list` and `members forecast` say.
async fn said(gateway: &Gateway, who: &str, day: &Day, why: &str) {
    let shown = gateway.credentials.show(&member(who)).unwrap();
    assert_eq!(shown.state, day.state, "{why}: {shown:?}");
    assert_eq!(shown.access_days_left, Some(day.access_days_left), "{why}");
    assert_eq!(shown.refresh_days_left, day.refresh_days_left, "{why}");
    let is_renewable = day.refresh_days_left.is_some() && day.status == 200;
    assert_eq!(shown.renewable, is_renewable, "{why}");
    assert_eq!(shown.last_outcome.is_some(), day.renewals > 0, "{why}");
    assert!(shown.last_used.is_some(), "{why}");
    let forecast = gateway.credentials.forecast(None);
    assert_eq!(forecast.len(), 1, "{why}");
    assert_eq!(forecast[0].name, name(who).as_str(), "{why}");
    assert_eq!(forecast[0].window, day.window, "{why}: {forecast:?}");
    // A count serves again for a multiple of the time that it took: on a busy machine into the next day.
    let counted = || gateway.credentials.counts_by_window()[&day.window] == 1;
    until(why, counted).await;
}
