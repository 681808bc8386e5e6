//! What LinkedIn's answers say, and expiry sums.

use proptest::prelude::*;

use super::*;
use crate::keyring::KeyRing;

fn live() -> LiveSecrets {
    LiveSecrets::new(KeyRing::random())
}

fn terms(live: &LiveSecrets) -> Terms<'_> {
    Terms {
        now: 1_800_000_000,
        live,
        is_issued_now: true,
        is_applications_own: false,
    }
}

#[test]
fn lifetimes_are_read_as_number_or_text_and_absent_is_unknown() {
    for (why, value, expected) in [
        ("a number", "5184000", Some(5_184_000)),
        ("text", r#""1800""#, Some(1800)),
        ("zero", "0", Some(0)),
        ("null", "null", None),
        ("negative", "-5", None),
        ("a fraction", "1.5", None),
        ("words", r#""soon""#, None),
        ("a thousand years", "31536000000", None),
        ("an object", "{}", None),
    ] {
        let json = format!(r#"{{"access_token":"AQX","expires_in":{value}}}"#);

        let answer = TokenAnswer::parse(json.as_bytes()).unwrap();

        assert_eq!(answer.expires_in, expected, "{why}");
        let live = live();
        let grant = answer.grant(None, &terms(&live));
        let end = expected.map(|life| 1_800_000_000 + life);
        assert_eq!(grant.access.expires_at, end, "{why}");
        assert_eq!(
            grant.facts().is_expired(1_900_000_000),
            end.is_some(),
            "{why}"
        );
    }
}

#[test]
fn scopes_are_split_however_linkedin_joins_them() {
    for text in ["r_a w_b", "r_a,w_b", "r_a+w_b", "r_a%20w_b", " r_a , w_b "] {
        let json = serde_json::json!({"access_token": "AQX", "scope": text}).to_string();

        let answer = TokenAnswer::parse(json.as_bytes()).unwrap();

        assert_eq!(answer.scopes().unwrap(), ["r_a", "w_b"], "{text}");
    }
}

#[test]
fn an_empty_list_of_scopes_says_nothing() {
    let live = live();
    let known = br#"{"access_token":"a0","scope":"r_a"}"#;
    let known = TokenAnswer::parse(known).unwrap();
    let old = known.grant(None, &terms(&live));
    for scope in ["", " ", ",", "%20"] {
        let json = serde_json::json!({"access_token": "a1", "scope": scope}).to_string();

        let answer = TokenAnswer::parse(json.as_bytes()).unwrap();

        assert_eq!(answer.scopes(), None, "{scope:?}");
        let renewed = answer.grant(Some(&old), &terms(&live));
        assert_eq!(renewed.scopes, ["r_a"], "{scope:?}");
    }
}

#[test]
fn what_an_answer_leaves_out_is_kept_from_the_old_grant() {
    let first = br#"{"access_token":"a0","expires_in":60,"refresh_token":"r0",
        "refresh_token_expires_in":1000,"scope":"x","sub":"me"}"#;
    let live = live();
    let old = TokenAnswer::parse(first)
        .unwrap()
        .grant(None, &terms(&live));
    for absent in ["", r#","refresh_token":"""#, r#","refresh_token":null"#] {
        let json = format!(r#"{{"access_token":"a1"{absent}}}"#);

        let answer = TokenAnswer::parse(json.as_bytes()).unwrap();
        let new = answer.grant(Some(&old), &terms(&live));

        assert_eq!(new.refresh.as_ref().unwrap().expose(), "r0", "{absent}");
        assert_eq!(new.refresh_expires_at, old.refresh_expires_at);
        assert_eq!(new.scopes, ["x"]);
        assert_eq!(new.urn.as_deref(), Some("urn:li:person:me"));
        assert_eq!(new.version, 2);
        assert_eq!(new.access.expires_at, None);
    }
}

#[test]
fn tokens_of_a_thousand_characters_and_more_are_taken() {
    let long = format!("AQ{}", "x".repeat(4000));
    let json = serde_json::json!({"access_token": long, "refresh_token": long}).to_string();
    let live = live();

    let grant = TokenAnswer::parse(json.as_bytes())
        .unwrap()
        .grant(None, &terms(&live));

    assert_eq!(text_of(&grant.access), long.as_bytes());
    assert!(grant.access.header.is_sensitive());
}

#[test]
fn tokens_that_could_break_out_of_a_header_are_refused() {
    for text in [
        "",
        "a b",
        "a\r\nX: y",
        "a\u{e9}",
        "a\u{7f}",
        &"x".repeat(20_000),
    ] {
        let json = serde_json::json!({"access_token": text}).to_string();
        let bad = TokenAnswer::parse(json.as_bytes());
        assert_eq!(bad.err(), Some(BadAnswer::Token), "{text:.20}");
    }
}

#[test]
fn an_answer_prints_no_secret() {
    let json = br#"{"access_token":"AQcanary","refresh_token":"AQcanary"}"#;
    let answer = TokenAnswer::parse(json).unwrap();
    let live = live();

    let shown = format!("{answer:?} {:?}", answer.grant(None, &terms(&live)));

    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn the_last_token_of_the_year_is_not_to_be_renewed() {
    for (why, access, refresh, expected) in [
        ("sixty days of a year", 5_184_000, Some(31_536_000), true),
        ("ends with the refresh token", 432_000, Some(432_000), false),
        ("outlives it", 432_000, Some(431_000), false),
        ("a minute would be gained", 432_000, Some(432_060), true),
        ("nobody told", 432_000, None, true),
    ] {
        let json = serde_json::json!({
            "access_token": "a", "expires_in": access,
            "refresh_token": "r", "refresh_token_expires_in": refresh,
        });
        let live = live();
        let answer = TokenAnswer::parse(json.to_string().as_bytes()).unwrap();

        let grant = answer.grant(None, &terms(&live));

        assert_eq!(grant.renew_at(0.1, 0.0).is_some(), expected, "{why}");
    }
}

#[test]
fn a_grant_ends_when_nobody_can_renew_it_any_more() {
    let (live, day) = (live(), 86_400);
    let now = terms(&live).now;
    let with = r#"{"access_token":"a","expires_in":5184000,"refresh_token":"r","refresh_token_expires_in":31536000}"#;
    let without = r#"{"access_token":"a","expires_in":5184000}"#;
    let untold = r#"{"access_token":"a","expires_in":5184000,"refresh_token":"r"}"#;
    let of = |json: &str| {
        TokenAnswer::parse(json.as_bytes())
            .unwrap()
            .grant(None, &terms(&live))
    };
    let refused = of(with).ended(State::RefreshRefused, now + day);
    let over = of(with).ended(State::AccessRefused, now + day);
    for (why, grant, days, because) in [
        ("a year", of(with), Some(365), EndsBecause::RefreshTokenEnds),
        (
            "no refresh token",
            of(without),
            Some(60),
            EndsBecause::NoRefreshToken,
        ),
        (
            "nobody told",
            of(untold),
            None,
            EndsBecause::RefreshTokenEnds,
        ),
        (
            "used to its end",
            refused,
            Some(60),
            EndsBecause::RefreshRefused,
        ),
        ("over", over, Some(1), EndsBecause::Refused),
    ] {
        let expected = (days.map(|days| now + days * day), because);
        assert_eq!(grant.end(), expected, "{why}");
    }
}

proptest! {
    #[test]
    fn renewal_ahead_begins_in_the_life_and_before_its_last_share(
        life in 0..LONGEST_LIFE_SECS,
        share in 0.0..=0.5_f64,
        spread in 0.0..=1.0_f64,
    ) {
        let live = live();
        let json = format!(r#"{{"access_token":"AQX","expires_in":{life}}}"#);
        let grant = TokenAnswer::parse(json.as_bytes()).unwrap().grant(None, &terms(&live));
        let end = grant.access.expires_at.unwrap();

        let at = grant.renew_at(share, spread).unwrap();

        prop_assert!(at >= grant.acquired_at && at <= end);
        let ahead = (end - at) as f64;
        prop_assert!(ahead + 1.0 >= life as f64 * share, "the last share began before {at}");
    }

    #[test]
    fn any_bytes_are_an_answer_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(TokenAnswer::parse(&bytes).is_err());
    }

    #[test]
    fn what_is_sealed_as_json_reads_back_the_same(
        access in "[!-~]{1,80}",
        refresh in proptest::option::of("[!-~]{1,80}"),
        life in proptest::option::of(0..LONGEST_LIFE_SECS),
    ) {
        let json = serde_json::json!({
            "access_token": access, "refresh_token": refresh, "expires_in": life,
        });
        let answer = TokenAnswer::parse(json.to_string().as_bytes()).unwrap();

        let again = TokenAnswer::parse(&answer.to_json()).unwrap();

        prop_assert_eq!(again.access_token.0.expose(), &access);
        prop_assert_eq!(again.refresh_token.map(|t| t.0.expose().clone()), refresh);
        prop_assert_eq!(again.expires_in, life);
    }
}
