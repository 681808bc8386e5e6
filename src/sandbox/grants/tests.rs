//! Lifetimes, rotation and lag, as linkedin.md §1.3 and §1.5 tell them.

use std::time::Duration;

use super::*;

const DAY: u64 = 86_400 * SECOND;
const APP: &str = "78sandboxapp01";

fn granted(options: &Options) -> (Grants, TokenAnswer) {
    let mut grants = Grants::default();
    let answer = grants.grant(options, DAY, APP, "ada", vec![String::from("openid")]);
    (grants, answer)
}

fn renewed(grants: &mut Grants, options: &Options, day: u64, token: &str) -> TokenAnswer {
    grants
        .renew(options, (1 + day) * DAY, APP, token)
        .unwrap()
        .1
}

#[test]
fn a_renewal_on_day_59_leaves_306_days_of_refresh_token() {
    let options = Options::default();
    let (mut grants, first) = granted(&options);
    let token = first.refresh_token.unwrap();
    let second = renewed(&mut grants, &options, 59, &token);
    assert_eq!(second.refresh_token_expires_in, Some(306 * 86_400));
    assert_eq!(second.expires_in, 5_184_000);
    assert_eq!(
        second.refresh_token.as_deref(),
        Some(token.as_str()),
        "not rotated"
    );
}

#[test]
fn a_renewal_on_day_360_gives_an_access_token_of_five_days() {
    let options = Options::default();
    let (mut grants, first) = granted(&options);
    let second = renewed(&mut grants, &options, 360, &first.refresh_token.unwrap());
    assert_eq!(second.expires_in, 5 * 86_400);
    assert_eq!(second.refresh_token_expires_in, Some(5 * 86_400));
}

#[test]
fn a_refresh_token_is_dead_after_a_year_even_when_rotated() {
    let options = Options {
        rotate_refresh_tokens: true,
        ..Options::default()
    };
    let (mut grants, first) = granted(&options);
    let second = renewed(&mut grants, &options, 300, &first.refresh_token.unwrap());
    let refused = grants.renew(&options, 366 * DAY, APP, &second.refresh_token.unwrap());
    assert_eq!(refused.unwrap_err(), RefreshRefused::Dead);
}

#[test]
fn a_rotated_refresh_token_spent_again_is_a_replay() {
    let options = Options {
        rotate_refresh_tokens: true,
        ..Options::default()
    };
    let (mut grants, first) = granted(&options);
    let old = first.refresh_token.unwrap();
    let second = renewed(&mut grants, &options, 1, &old);
    assert_ne!(second.refresh_token.as_deref(), Some(old.as_str()));
    assert_eq!(
        grants.renew(&options, 2 * DAY, APP, &old),
        Err(RefreshRefused::Replayed)
    );
    assert_eq!(grants.last_refresh_token(APP, "ada"), second.refresh_token);
}

#[test]
fn a_fresh_token_looks_revoked_until_the_lag_has_passed() {
    let options = Options {
        fresh_token_lag: Duration::from_secs(5),
        ..Options::default()
    };
    let (mut grants, first) = granted(&options);
    let token = first.access_token;
    let standing = |grants: &Grants, at: u64| grants.access(at, &token).unwrap().1;
    assert_eq!(standing(&grants, DAY + 4 * SECOND), Standing::Revoked);
    assert_eq!(standing(&grants, DAY + 5 * SECOND), Standing::Good);
    assert_eq!(standing(&grants, 61 * DAY), Standing::Expired);
    grants.usable_now(&token);
    assert_eq!(standing(&grants, DAY), Standing::Good);
}

#[test]
fn other_scopes_end_the_earlier_access_tokens() {
    let options = Options::default();
    let (mut grants, first) = granted(&options);
    grants.grant(&options, DAY, APP, "ada", vec![String::from("openid")]);
    assert_eq!(grants.live_access_tokens(DAY, "ada").len(), 2);
    grants.grant(&options, DAY, APP, "ada", vec![String::from("email")]);
    assert_eq!(grants.live_access_tokens(DAY, "ada").len(), 1);
    assert_eq!(
        grants.access(DAY, &first.access_token).unwrap().1,
        Standing::Revoked
    );
}

#[test]
fn a_dead_or_foreign_refresh_token_is_refused() {
    let options = Options::default();
    let (mut grants, first) = granted(&options);
    let token = first.refresh_token.unwrap();
    assert_eq!(
        grants.renew(&options, DAY, "other", &token),
        Err(RefreshRefused::Dead)
    );
    grants.kill_refresh("ada");
    assert_eq!(
        grants.renew(&options, DAY, APP, &token),
        Err(RefreshRefused::Dead)
    );
}

#[test]
fn expires_in_can_be_a_string() {
    let options = Options {
        expires_in_as_string: true,
        ..Options::default()
    };
    let (_, answer) = granted(&options);
    let json: Value = serde_json::from_str(&answer.json()).unwrap();
    assert_eq!(json["expires_in"], "5184000");
    assert_eq!(json["refresh_token_expires_in"], 31_536_000);
}

#[test]
fn a_renewal_ends_the_old_token_only_if_told_to() {
    for ends in [false, true] {
        let options = Options {
            renewal_ends_old_tokens: ends,
            ..Options::default()
        };
        let (mut grants, first) = granted(&options);
        let second = renewed(&mut grants, &options, 1, &first.refresh_token.unwrap());
        let live = grants.live_access_tokens(2 * DAY, "ada");
        let both = vec![first.access_token, second.access_token];
        assert_eq!(live, if ends { both[1..].to_vec() } else { both });
    }
}
