//! Keys from their making to their end, and what a restricted one may ask for.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::keyring::KeyRing;

fn callers() -> Callers {
    let live = LiveSecrets::new(KeyRing::random());
    Callers::new(Clock::system(), live)
}

fn terms() -> Terms {
    Terms {
        caller: "crm".parse().unwrap(),
        covers: Covers::AnyMember,
        allow: Vec::new(),
        expires_at: None,
    }
}

fn member(name: &str, application: &str) -> Member {
    Member {
        application: application.parse().unwrap(),
        name: Some(name.parse().unwrap()),
    }
}

#[test]
fn a_key_is_known_from_insertion_to_revocation() {
    let callers = callers();
    let (text, key) = callers.create(terms());
    assert_eq!(callers.check(text.as_bytes()).err(), Some(UnknownKey));

    callers.insert(key.clone());

    assert_eq!(callers.check(text.as_bytes()).unwrap().id, key.id);
    let seen = callers.0.live.find(text.as_bytes());
    assert_eq!(seen, Some(key.fingerprint.clone()));
    assert!(callers.revoke(&key.id).unwrap().revoked_at.is_some());
    assert_eq!(callers.check(text.as_bytes()).err(), Some(UnknownKey));
    assert_eq!(callers.list().len(), 1);
    assert!(callers.revoke("nobody").is_none());
}

#[test]
fn an_expired_key_is_unknown() {
    let callers = callers();
    let expires_at = Some(callers.0.clock.seconds() + 60);
    let (text, key) = callers.create(Terms {
        expires_at,
        ..terms()
    });
    callers.replace(vec![key]);
    assert!(callers.check(text.as_bytes()).is_ok());

    callers.0.clock.advance(Duration::from_secs(60));

    assert_eq!(callers.check(text.as_bytes()).err(), Some(UnknownKey));
}

#[test]
fn a_proof_is_worth_nothing_once_the_table_changed_or_the_key_expired() {
    let callers = callers();
    let ends = Terms {
        expires_at: Some(callers.0.clock.seconds() + 60),
        ..terms()
    };
    let ((text, key), (other, _)) = (callers.create(ends), callers.create(terms()));
    callers.insert(key.clone());
    let mut proof = None;
    let mut check = |text: &str| callers.check_again(&mut proof, text.as_bytes());
    let first = check(&text).unwrap();

    assert!(Arc::ptr_eq(&check(&text).unwrap(), &first), "proven before");
    assert_eq!(check(&other).err(), Some(UnknownKey), "another text");
    assert!(check(&text).is_ok(), "the first text again");
    callers.insert(Key {
        covers: Covers::Members(Vec::new()),
        ..key.clone()
    });
    assert_eq!(check(&text).unwrap().covers, Covers::Members(Vec::new()));
    callers.0.clock.advance(Duration::from_secs(60));
    assert_eq!(check(&text).err(), Some(UnknownKey), "expired");
    callers.insert(Key {
        expires_at: None,
        ..key.clone()
    });
    assert!(check(&text).is_ok(), "it may stay longer");
    callers.revoke(&key.id).unwrap();
    assert_eq!(check(&text).err(), Some(UnknownKey), "revoked");
}

#[test]
fn a_key_with_another_keys_secret_is_unknown() {
    let callers = callers();
    let (first, key) = callers.create(terms());
    let (second, other) = callers.create(terms());
    callers.replace(vec![key.clone(), other.clone()]);
    let secret = second.split('_').nth(2).unwrap();

    let forged = forge(&key.id, &secret[..secret.len() - 6]);

    assert!(bearer::KEY.is_well_formed(forged.as_bytes()));
    assert_eq!(callers.check(forged.as_bytes()).err(), Some(UnknownKey));
    assert!(callers.check(first.as_bytes()).is_ok());
}

/// A well-formed text of these parts: the check is no secret.
fn forge(id: &str, secret: &str) -> String {
    let checked = format!("lgk_{id}_{secret}");
    let mut rest = crc32fast::hash(checked.as_bytes());
    let alphabet: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
    let mut text = checked;
    for _ in 0..6 {
        text.push(alphabet[usize::try_from(rest % 62).unwrap()]);
        rest /= 62;
    }
    text
}

#[test]
fn a_mistyped_key_is_told_apart_offline() {
    let callers = callers();
    let (text, _) = callers.create(terms());
    assert!(bearer::KEY.is_well_formed(text.as_bytes()));

    for at in 0..text.len() {
        let mut typo = text.as_bytes().to_vec();
        typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };

        assert!(!bearer::KEY.is_well_formed(&typo), "typo at {at}");
    }
}

#[test]
fn keys_cover_the_members_they_name() {
    let callers = callers();
    let members = vec![member("ada", "default"), member("grace", "ads")];
    let (_, key) = callers.create(Terms {
        covers: Covers::Members(members),
        ..terms()
    });
    let (_, nobody) = callers.create(Terms {
        covers: Covers::Members(Vec::new()),
        ..terms()
    });
    let (_, anybody) = callers.create(terms());

    assert!(key.covers(&member("ada", "default")));
    assert!(!key.covers(&member("ada", "ads")));
    assert!(!nobody.covers(&member("ada", "default")));
    assert!(anybody.covers(&member("whoever", "ads")));
}

#[test]
fn a_restricted_key_is_allowed_what_its_rules_say() {
    for (why, rule, method, path, expected) in [
        ("the path itself", "GET /v2/me", "GET", "/v2/me", true),
        ("with a query", "GET /v2/me", "GET", "/v2/me?a=../..", true),
        ("another method", "GET /v2/me", "POST", "/v2/me", false),
        ("any method", "* /v2/me", "DELETE", "/v2/me", true),
        ("deeper", "GET /v2/me", "GET", "/v2/me/x", false),
        ("trailing slash", "GET /v2/me", "GET", "/v2/me/", false),
        ("everything", "* /**", "GET", "/", true),
        ("everything, deep", "* /**", "GET", "/rest/posts/1", true),
        ("below", "GET /rest/**", "GET", "/rest/posts/1", true),
        ("itself", "GET /rest/posts/**", "GET", "/rest/posts", true),
        ("prefix only", "GET /rest/**", "GET", "/restless", false),
        ("segment", "GET /a/*/c", "GET", "/a/b/c", true),
        ("two segments", "GET /a/*/c", "GET", "/a/b/b/c", false),
        ("empty segment", "GET /a/*", "GET", "/a/", false),
        ("escape as is", "GET /a/b%3Ac", "GET", "/a/b%3Ac", true),
        ("other spelling", "GET /a/b%3Ac", "GET", "/a/b:c", false),
        ("dots", "GET /rest/**", "GET", "/rest/../v2/me", false),
        ("dot", "GET /rest/**", "GET", "/rest/./me", false),
        ("slashes", "GET /rest/**", "GET", "/rest//me", false),
        ("%2e", "GET /rest/**", "GET", "/rest/%2e%2E/me", false),
        ("%2F", "GET /rest/**", "GET", "/rest/a%2Fb", false),
        ("%5c", "GET /rest/**", "GET", "/rest/a%5cb", false),
        ("backslash", "GET /rest/**", "GET", "/rest\\x", false),
        ("no slash", "* /**", "OPTIONS", "*", false),
    ] {
        let (_, key) = callers().create(Terms {
            allow: vec![rule.parse().unwrap()],
            ..terms()
        });

        let allowed = key.allows(&method.parse().unwrap(), path);

        assert_eq!(allowed, expected, "{why}: {rule} for {method} {path}");
    }
}

#[test]
fn an_unrestricted_key_may_ask_for_any_path() {
    let (_, key) = callers().create(terms());

    assert!(key.allows(&Method::GET, "/rest/..//%2f"));
}

#[test]
fn rules_that_would_mislead_are_refused() {
    for (text, expected) in [
        ("GET", BadRule::Shape),
        ("get /v2", BadRule::Method),
        ("GET v2", BadRule::Path),
        ("GET /v2?x", BadRule::Path),
        ("GET /v2/a*", BadRule::Star),
        ("GET /v2/**/x", BadRule::Star),
        ("GET /v2/**x", BadRule::Star),
        ("GET /v2/../x", BadRule::Ambiguous),
    ] {
        assert_eq!(text.parse::<Rule>(), Err(expected), "{text}");
    }
}

#[test]
fn a_rule_prints_as_it_was_written() {
    for text in ["GET /v2/me", "* /**", "POST /rest/*/x/**", "GET /", "* /a/"] {
        assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
    }
}

proptest! {
    #[test]
    fn whatever_is_presented_is_unknown_and_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let callers = callers();
        let (_, key) = callers.create(terms());
        callers.insert(key);

        prop_assert_eq!(callers.check(&bytes).err(), Some(UnknownKey));
    }

    #[test]
    fn a_rule_survives_print_and_parse(text in r"(GET|POST|\*) (/([a-z]{1,4}|\*)){1,4}(/\*\*)?") {
        let rule: Rule = text.parse().unwrap();

        prop_assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
    }
}
