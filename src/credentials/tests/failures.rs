//! Renewal when LinkedIn refuses, stumbles or talks nonsense.

use super::*;

const DEAD: &str = r#"{"error":"invalid_request","error_description":
    "The provided authorization grant or refresh token is invalid, expired or revoked"}"#;

fn say(status: u16, text: &'static str) -> Play {
    Play::Say(status, text, Vec::new())
}

/// Ada with an expired token, and a token endpoint that does this once.
async fn expired_before(play: Play) -> World {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    world.linkedin.next(play);
    world
}

#[tokio::test]
async fn a_dead_refresh_token_ends_the_grant_and_is_answered_locally_from_then_on() {
    let world = expired_before(say(400, DEAD)).await;

    let refused = world.credentials.renew(&ada(), None).await.unwrap_err();

    assert_eq!(sign_in_code(&refused), Some(65602));
    for _ in 0..1000 {
        assert_eq!(world.credentials.token(&ada()).unwrap_err(), refused);
        assert!(world.credentials.renew(&ada(), None).await.is_err());
    }
    assert_eq!(world.linkedin.posts(), 1);
    world.credentials.drain().await;
    let world = world.restart().await;
    assert_eq!(world.credentials.token(&ada()).unwrap_err(), refused);
    world.import(&ada(), RENEWABLE).await;
    assert_eq!(text(&world.token(&ada())), "token-0");
}

#[tokio::test]
async fn an_access_token_is_used_to_its_end_though_its_refresh_token_is_dead() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3250);
    world.linkedin.next(say(400, DEAD));
    world.token(&ada());
    world.credentials.drain().await;

    let token = world.token(&ada());

    assert!(!token.is_renewable);
    world.credentials.drain().await;
    assert_eq!(world.linkedin.posts(), 1);
    let refused = world.credentials.renew(&ada(), Some(&token)).await;
    assert_eq!(sign_in_code(&refused.unwrap_err()), Some(65601));
    assert!(world.credentials.token(&ada()).is_err());
}

#[tokio::test]
async fn a_refused_token_without_a_refresh_token_ends_the_grant_for_good() {
    let world = World::start().await;
    world.import(&ada(), FINAL).await;
    let token = world.token(&ada());
    assert!(!token.is_renewable);

    let refused = world.credentials.renew(&ada(), Some(&token)).await;

    assert_eq!(sign_in_code(&refused.unwrap_err()), Some(65601));
    world.credentials.drain().await;
    let world = world.restart().await;
    let told = world.credentials.token(&ada()).unwrap_err();
    assert_eq!(sign_in_code(&told), Some(65601));
    assert!(told.to_string().contains("LinkedIn refused the token on 2"));
    assert_eq!(world.linkedin.posts(), 0);
}

#[tokio::test]
async fn an_expired_token_without_a_refresh_token_needs_the_member() {
    let world = World::start().await;
    world.import(&ada(), FINAL).await;
    world.pass(3600);

    let told = world.credentials.token(&ada()).unwrap_err();

    assert_eq!(sign_in_code(&told), Some(65602));
    let renewed = world.credentials.renew(&ada(), None).await;
    assert_eq!(renewed.unwrap_err(), told);
}

#[tokio::test]
async fn a_refresh_token_past_its_year_is_not_spent() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(31_536_000);

    let told = world.credentials.token(&ada()).unwrap_err();

    assert_eq!(sign_in_code(&told), Some(65602));
    assert!(told.to_string().contains("the refresh token expired on 2"));
    assert_eq!(world.linkedin.posts(), 0);
}

#[tokio::test]
async fn an_unknown_member_never_signed_in() {
    let world = World::start().await;

    let told = world.credentials.token(&ada()).unwrap_err();

    assert!(told.to_string().contains("never signed in"));
    let renewed = world.credentials.renew(&ada(), None).await;
    assert_eq!(renewed.unwrap_err(), told);
    assert!(!world.credentials.knows(&ada()));
}

#[tokio::test]
async fn whatever_time_may_heal_keeps_the_grant_and_costs_one_post() {
    let soon = vec![("retry-after", "7".to_owned())];
    for (why, play) in [
        ("throttled", Play::Say(429, "{}", soon)),
        ("a 503", say(503, r#"{"error":"temporarily_unavailable"}"#)),
        ("a 500", say(500, "")),
        ("HTML", say(200, "<html>maintenance</html>")),
        ("HTML with 400", say(400, "<html>Bad Request</html>")),
        ("a 401 in HTML", say(401, "<html>Sign in</html>")),
        ("half a body", Play::Half),
        ("a reset", Play::Hang(Duration::ZERO)),
        ("no token in it", say(200, r#"{"expires_in":60}"#)),
        ("unseen words", say(400, r#"{"error":"brand_new_error"}"#)),
        ("a redirect", say(302, "")),
    ] {
        let world = expired_before(play).await;

        let refused = world.credentials.renew(&ada(), None).await.unwrap_err();

        assert_eq!(sign_in_code(&refused), None, "{why}: {refused}");
        assert!(world.credentials.token(&ada()).is_err(), "{why}");
        for _ in 0..20 {
            assert!(
                world.credentials.renew(&ada(), None).await.is_err(),
                "{why}"
            );
        }
        assert_eq!(world.linkedin.posts(), 1, "{why}");
        world.credentials.0.cooling.forgive(&ada());
        let token = world.credentials.renew(&ada(), None).await.unwrap();
        assert_eq!(text(&token), "token-2", "{why}");
        assert!(world.linkedin.forms()[1].contains("refresh-0"), "{why}");
    }
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_given_up_after_its_time() {
    let world = expired_before(Play::Hang(Duration::from_secs(60))).await;

    let refused = world.credentials.renew(&ada(), None).await.unwrap_err();

    assert!(
        refused.to_string().contains("no answer within"),
        "{refused}"
    );
    assert_eq!(world.credentials.flights_under_way(), 0);
}

#[tokio::test]
async fn an_unexpired_token_is_served_while_its_renewal_cools_down() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3250);
    world.linkedin.next(say(503, ""));
    world.token(&ada());
    world.credentials.drain().await;

    for _ in 0..50 {
        assert_eq!(text(&world.token(&ada())), "token-0");
    }

    world.credentials.drain().await;
    assert_eq!(world.linkedin.posts(), 1);
    let state = world.credentials.show(&ada()).unwrap().state;
    assert_eq!(state, GrantState::RetryLater);
}

#[tokio::test]
async fn a_wrong_client_secret_touches_no_member_and_cools_the_application() {
    let wrong = r#"{"error":"invalid_client","error_description":"Client authentication failed"}"#;
    let world = expired_before(say(401, wrong)).await;
    world.import(&member("grace"), RENEWABLE).await;
    world.pass(3600);

    let refused = world.credentials.renew(&ada(), None).await.unwrap_err();

    assert!(refused.to_string().contains("Client authentication failed"));
    let grace = world.credentials.renew(&member("grace"), None).await;
    assert!(matches!(grace, Err(Refused::TryLater { .. })));
    assert_eq!(world.linkedin.posts(), 1);
    let states = world.credentials.counts_by_state();
    assert_eq!(states[&GrantState::SignInNeeded], 0);
    assert_eq!(states[&GrantState::RetryLater], 2);
}

#[tokio::test]
async fn a_new_token_that_is_over_already_is_saved_but_causes_no_storm() {
    let over = Play::Token {
        life_secs: 0,
        is_rotated: true,
    };
    let world = expired_before(over).await;

    for _ in 0..20 {
        assert!(world.credentials.renew(&ada(), None).await.is_err());
    }

    assert_eq!(world.linkedin.posts(), 1);
    world.credentials.0.cooling.forgive(&ada());
    world.credentials.renew(&ada(), None).await.unwrap();
    assert!(world.linkedin.forms()[1].contains("refresh_token=refresh-1&"));
}

#[tokio::test]
async fn a_refusal_that_arrives_after_a_new_sign_in_ends_nothing() {
    let world = expired_before(say(400, DEAD)).await;
    let gate = world.linkedin.hold();
    let credentials = world.credentials.clone();
    let renewal = tokio::spawn(async move { credentials.renew(&ada(), None).await });
    world.linkedin.received(1).await;

    let signed_in = RENEWABLE.replace("-0", "-new");
    world.import(&ada(), &signed_in).await;
    gate.notify_one();

    assert_eq!(text(&renewal.await.unwrap().unwrap()), "token-new");
    assert_eq!(text(&world.token(&ada())), "token-new");
}

#[tokio::test]
async fn an_answer_that_arrives_after_a_disconnect_brings_nobody_back() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    let gate = world.linkedin.hold();
    let credentials = world.credentials.clone();
    let renewal = tokio::spawn(async move { credentials.renew(&ada(), None).await });
    world.linkedin.received(1).await;

    world.credentials.disconnect(&ada()).await.unwrap();
    gate.notify_one();

    let told = renewal.await.unwrap().unwrap_err();
    assert!(told.to_string().contains("never signed in"), "{told}");
    world.credentials.drain().await;
    let world = world.restart().await;
    assert!(!world.credentials.knows(&ada()));
}

#[tokio::test]
async fn no_failure_shows_a_secret() {
    let world = expired_before(say(400, r#"{"error":"x","error_description":"y"}"#)).await;

    let refused = world.credentials.renew(&ada(), None).await.unwrap_err();

    let shown = format!("{refused} {refused:?} {:?}", world.credentials.list());
    for secret in ["token-0", "refresh-0", "s3cret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
