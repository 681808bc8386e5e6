//! Tokens from elsewhere: LinkedIn is asked what they are before they are kept.

use super::*;

const INTROSPECT: &str = "/oauth/v2/introspectToken";
const USERINFO: &str = "/v2/userinfo";

fn active(world: &World, more: &str) -> String {
    let now = world.clock.seconds();
    format!(
        r#"{{"active":true,"status":"active","client_id":"default-id","created_at":{},
            "expires_at":{},"scope":"openid,r_ads","auth_type":"3L"{more}}}"#,
        now - 1000,
        now + 2000
    )
}

#[tokio::test]
async fn a_bare_token_is_completed_by_what_linkedin_knows() {
    let world = World::start().await;
    world.linkedin.page(INTROSPECT, 200, active(&world, ""));
    world
        .linkedin
        .page(USERINFO, 200, r#"{"sub":"ada1","name":"Ada Lovelace"}"#);

    let summary = world
        .credentials
        .take_over(&ada(), r#"{"access_token":"token-0"}"#)
        .await
        .unwrap();

    assert_eq!(
        summary.access_expires_at,
        Some(world.clock.seconds() + 2000)
    );
    assert_eq!(summary.scopes, ["openid", "r_ads"]);
    assert_eq!(summary.full_name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(summary.urn.as_deref(), Some("urn:li:person:ada1"));
    assert!(!summary.renewable);
    assert_eq!(summary.remarks, Vec::<String>::new());
}

#[tokio::test]
async fn what_the_answer_says_counts_from_the_day_it_was_given() {
    let world = World::start().await;
    world.linkedin.page(INTROSPECT, 200, active(&world, ""));
    let now = world.clock.seconds();

    let summary = world
        .credentials
        .take_over(&ada(), RENEWABLE)
        .await
        .unwrap();

    // 3600 seconds from the issue 1000 seconds ago would be 2600: LinkedIn says 2000.
    assert_eq!(summary.access_expires_at, Some(now + 2000));
    assert_eq!(summary.refresh_expires_at, Some(now - 1000 + 31_536_000));
    assert_eq!(summary.scopes, ["r_basic", "w_social"]);
}

#[tokio::test]
async fn what_linkedin_calls_worthless_is_not_taken_in() {
    for (why, status, body, json, says) in [
        (
            "another application's",
            200,
            r#"{"active":false}"#,
            RENEWABLE,
            "another LinkedIn application",
        ),
        (
            "its client id says so",
            200,
            r#"{"active":true,"client_id":"ads-id"}"#,
            RENEWABLE,
            "another LinkedIn application",
        ),
        (
            "revoked",
            200,
            r#"{"active":false,"status":"revoked","client_id":"default-id"}"#,
            RENEWABLE,
            "the member revoked",
        ),
        (
            "expired",
            200,
            r#"{"active":false,"status":"expired","client_id":"default-id"}"#,
            FINAL,
            "the token expired",
        ),
        ("unknown", 400, "{}", RENEWABLE, "does not know this token"),
    ] {
        let world = World::start().await;
        world.linkedin.page(INTROSPECT, status, body);

        let refused = world.credentials.take_over(&ada(), json).await.unwrap_err();

        assert!(refused.to_string().contains(says), "{why}: {refused}");
        assert!(world.credentials.list().is_empty(), "{why}");
    }
}

#[tokio::test]
async fn an_expired_token_with_a_refresh_token_is_worth_keeping() {
    let world = World::start().await;
    let body = r#"{"active":false,"status":"expired","client_id":"default-id","expires_at":5}"#;
    world.linkedin.page(INTROSPECT, 200, body);

    let summary = world
        .credentials
        .take_over(&ada(), RENEWABLE)
        .await
        .unwrap();

    assert_eq!(summary.state, GrantState::Expired);
    let renewed = world.credentials.renew(&ada(), None).await.unwrap();
    assert_eq!(text(&renewed), "token-1");
}

#[tokio::test]
async fn a_token_is_taken_as_given_where_linkedin_cannot_be_asked() {
    for (why, status, body) in [
        ("down", 503, ""),
        (
            "our secret is wrong",
            401,
            r#"{"error":"invalid_client_id"}"#,
        ),
    ] {
        let world = World::start().await;
        world.linkedin.page(INTROSPECT, status, body);
        world.linkedin.page(USERINFO, 503, "");

        let summary = world
            .credentials
            .take_over(&ada(), RENEWABLE)
            .await
            .unwrap();

        assert!(
            summary.remarks[0].starts_with("taken as given"),
            "{why}: {summary:?}"
        );
        assert!(
            summary.remarks[1].starts_with("without name"),
            "{why}: {summary:?}"
        );
        assert_eq!(text(&world.token(&ada())), "token-0", "{why}");
    }
}

#[tokio::test]
async fn what_linkedin_does_not_say_again_of_a_known_member_is_kept() {
    let world = World::start().await;
    world.linkedin.page(INTROSPECT, 200, active(&world, ""));
    let told = r#"{"sub":"ada1","name":"Ada Lovelace","locale":"en-GB"}"#;
    world.linkedin.page(USERINFO, 200, told);
    world.credentials.take_over(&ada(), FINAL).await.unwrap();
    let before = world.credentials.profile(&ada()).unwrap();
    world.linkedin.page(INTROSPECT, 503, "");
    world.linkedin.page(USERINFO, 503, "");
    let named = FINAL.replace('{', r#"{"sub":"ada1","#);
    let scoped = FINAL.replace('{', r#"{"scope":"r_new","#);
    let nothing: &[&str] = &["openid", "r_ads"];
    for (why, json, scopes) in [
        ("nobody said who", FINAL, nothing),
        ("the answer names the same", &named, nothing),
        ("scopes came", &scoped, &["r_new"]),
    ] {
        let summary = world.credentials.take_over(&ada(), json).await.unwrap();

        assert_eq!(summary.full_name.as_deref(), Some("Ada Lovelace"), "{why}");
        assert_eq!(summary.urn.as_deref(), Some("urn:li:person:ada1"), "{why}");
        assert_eq!(summary.scopes, scopes, "{why}");
        assert_eq!(
            world.credentials.profile(&ada()),
            Some(before.clone()),
            "{why}"
        );
    }
    let world = world.restart().await;
    assert_eq!(world.credentials.profile(&ada()), Some(before));
}

#[tokio::test]
async fn a_token_of_somebody_else_does_not_get_a_known_name() {
    let world = World::start().await;
    world.linkedin.page(INTROSPECT, 200, active(&world, ""));
    world.linkedin.page(USERINFO, 200, r#"{"sub":"ada1"}"#);
    world.credentials.take_over(&ada(), FINAL).await.unwrap();

    let twice = world
        .credentials
        .take_over(&member("countess"), FINAL)
        .await;
    assert!(matches!(twice, Err(ManageError::AlreadyNamed(name)) if name == ada()));
    world.linkedin.page(USERINFO, 200, r#"{"sub":"eve2"}"#);
    let other = world.credentials.take_over(&ada(), FINAL).await;
    assert!(matches!(other, Err(ManageError::AnotherMember(_))));
    let named = FINAL.replace('{', r#"{"sub":"ada1","#);
    let liar = world.credentials.take_over(&member("eve"), &named).await;
    assert!(matches!(liar, Err(ManageError::AnotherMember(_))));
}

#[tokio::test]
async fn introspection_tells_what_linkedin_says_and_teaches_an_unknown_expiry() {
    let world = World::start().await;
    let nobody = world.credentials.introspect(&ada()).await;
    assert!(matches!(nobody, Err(ManageError::UnknownMember(_))));
    world.import(&ada(), r#"{"access_token":"token-0"}"#).await;
    world.linkedin.page(INTROSPECT, 200, active(&world, ""));

    let told = world.credentials.introspect(&ada()).await.unwrap();

    assert!(told.active);
    assert_eq!(told.auth_type.as_deref(), Some("3L"));
    let summary = world.credentials.show(&ada()).unwrap();
    assert_eq!(summary.access_expires_at, told.expires_at);
    assert_eq!(summary.scopes, ["openid", "r_ads"]);
    let world = world.restart().await;
    let kept = world.credentials.show(&ada()).unwrap();
    assert_eq!(kept.access_expires_at, told.expires_at);
    world.linkedin.page(INTROSPECT, 503, "");
    let silent = world.credentials.introspect(&ada()).await;
    assert!(matches!(silent, Err(ManageError::NotTold(_))));
}
