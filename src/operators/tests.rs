//! Operators' tokens from their making to their end.

use std::time::Duration;

use super::*;
use crate::keyring::KeyRing;

fn operators() -> Operators {
    Operators::new(Clock::system(), LiveSecrets::new(KeyRing::random()))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn a_token_is_known_from_insertion_to_revocation() {
    let operators = operators();
    let (text, token) = operators.create(name("olga"), Role::Support, None);
    assert_eq!(operators.check(text.as_bytes()), Err(UnknownToken));

    operators.insert(token.clone());

    assert_eq!(
        operators.check(text.as_bytes()).unwrap().role,
        Role::Support
    );
    assert_eq!(operators.alive(&token.id).unwrap().name, name("olga"));
    assert!(operators.0.live.find(text.as_bytes()).is_some());
    assert!(operators.revoke(&token.id).unwrap().revoked_at.is_some());
    assert_eq!(operators.check(text.as_bytes()), Err(UnknownToken));
    assert_eq!(operators.alive(&token.id), None);
    assert_eq!(operators.list().len(), 1);
    assert!(operators.revoke("nobody").is_none());
}

#[test]
fn an_expired_token_is_nobodys() {
    let operators = operators();
    let end = operators.0.clock.seconds() + 60;
    let (text, token) = operators.create(name("olga"), Role::Operator, Some(end));
    operators.replace(vec![token.clone()]);
    assert!(operators.check(text.as_bytes()).is_ok());

    operators.0.clock.advance(Duration::from_secs(60));

    assert_eq!(operators.check(text.as_bytes()), Err(UnknownToken));
    assert_eq!(operators.alive(&token.id), None);
}

#[test]
fn a_caller_is_no_operator() {
    let operators = operators();
    let key = bearer::KEY.mint();

    assert_eq!(operators.check(key.text.as_bytes()), Err(UnknownToken));
}

#[test]
fn a_role_is_one_of_two_words() {
    for role in Role::ALL {
        assert_eq!(role.as_str().parse(), Ok(role));
    }
    assert_eq!("admin".parse::<Role>(), Err(NotARole));
    assert!(Role::Operator.may_change() && !Role::Support.may_change());
}
