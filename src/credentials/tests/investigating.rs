//! Why tokens do not work: what LinkedIn says, what it means, how rarely it is asked.

use super::*;

const INTROSPECT: &str = "/oauth/v2/introspectToken";
const ACTIVE: &str = r#"{"active":true,"status":"active","client_id":"default-id","created_at":1}"#;
const EXPIRED: &str =
    r#"{"active":false,"status":"expired","client_id":"default-id","expires_at":86400}"#;
const REVOKED: &str = r#"{"active":false,"status":"revoked","client_id":"default-id"}"#;
const FOREIGN: &str = r#"{"active":false}"#;
const BAD_SECRET: &str =
    r#"{"error":"invalid_client_id","error_description":"Client authentication failed"}"#;
const DEAD: &str = r#"{"error":"invalid_request",
    "error_description":"The provided authorization grant or refresh token is invalid, expired or revoked"}"#;

/// A token that was issued now and that LinkedIn's introspection already calls revoked.
fn young(clock: &Clock) -> String {
    REVOKED.replace('}', &format!(r#","created_at":{}}}"#, clock.seconds()))
}

/// The word for why ada's grant ended.
fn kind_of(world: &World) -> Option<&'static str> {
    let verdict = world.credentials.show(&ada()).unwrap().verdict;
    verdict.as_ref().map(Verdict::kind)
}

#[tokio::test]
async fn every_verdict_has_its_own_reason() {
    let (yes, no) = (true, false);
    #[rustfmt::skip]
    let rows = [
        // why, what introspection answers, what the call was answered, the verdict, is it asked
        ("expired", 200, EXPIRED, 401, Some(65602), "expired", "the token expired on 1970-01-02", yes),
        ("revoked by the member", 200, REVOKED, 401, Some(65601), "revoked", "the member revoked", yes),
        ("scope missing", 200, ACTIVE, 403, Some(100), "scope_missing", "it has r_basic w_social", no),
        ("another application's", 200, FOREIGN, 401, Some(65600), "other_application", "another LinkedIn application", yes),
        ("restricted member", 200, REVOKED, 401, Some(65608), "restricted_member", "has restricted", no),
        ("wrong client secret", 401, BAD_SECRET, 401, Some(65600), "misconfigured_secret", "no member is at fault", yes),
        ("refused though active", 200, ACTIVE, 401, Some(65601), "refused_though_issued", "the fault is LinkedIn's", yes),
        ("refused though just issued", 200, "young", 401, Some(65601), "refused_though_issued", "the fault is LinkedIn's", yes),
        ("500 by a dead token", 200, REVOKED, 500, None, "token_verification", "which it calls revoked", yes),
        ("500, and the token is good", 200, ACTIVE, 500, None, "unknown", "no reason", yes),
        ("LinkedIn is silent", 503, "", 401, Some(65601), "unknown", "no reason", yes),
        ("LinkedIn knows no such token", 400, "{}", 401, Some(65600), "not_known", "does not know", yes),
        ("we sent no token", 200, REVOKED, 401, Some(65604), "unknown", "no reason", no),
        ("another status", 200, REVOKED, 404, None, "unknown", "no reason", no),
    ];
    for (why, status, body, answered, code, kind, says, is_asked) in rows {
        let world = World::start().await;
        world.import(&ada(), RENEWABLE).await;
        let body = match body {
            "young" => young(&world.clock),
            body => body.to_owned(),
        };
        world.linkedin.page(INTROSPECT, status, body);

        let token = world.token(&ada());
        let verdict = world
            .credentials
            .investigate(&ada(), &token, answered, code)
            .await;

        assert_eq!(verdict.kind(), kind, "{why}");
        assert!(verdict.to_string().contains(says), "{why}: {verdict}");
        assert_eq!(!world.linkedin.asked().is_empty(), is_asked, "{why}");
        assert_eq!(
            Verdict::from_json(&verdict.to_json()),
            Some(verdict),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_hundred_askers_cost_one_introspection_a_minute() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.linkedin.page(INTROSPECT, 200, REVOKED);
    let token = world.token(&ada());
    let member = ada();

    let ask = || world.credentials.investigate(&member, &token, 401, None);
    let verdicts = futures_util::future::join_all((0..100).map(|_| ask())).await;

    assert!(verdicts.iter().all(|verdict| verdict.kind() == "revoked"));
    assert_eq!(world.linkedin.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_is_good_for_a_minute_and_for_its_token_alone() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.linkedin.page(INTROSPECT, 200, REVOKED);
    let token = world.token(&ada());
    let ask = |token: Token| {
        let credentials = world.credentials.clone();
        async move { credentials.investigate(&ada(), &token, 401, None).await }
    };
    assert_eq!(ask(token.clone()).await.kind(), "revoked");
    world
        .import(&ada(), &RENEWABLE.replace("token-0", "token-x"))
        .await;
    assert_eq!(ask(world.token(&ada())).await.kind(), "unknown");

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();

    assert_eq!(ask(world.token(&ada())).await.kind(), "revoked");
    assert_eq!(world.linkedin.asked().len(), 2);
}

#[tokio::test]
async fn a_refused_renewal_is_explained_once_and_the_reason_is_kept() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.linkedin.page(INTROSPECT, 200, REVOKED);
    world.linkedin.next(Play::Say(400, DEAD, Vec::new()));
    let token = world.token(&ada());

    world
        .credentials
        .renew(&ada(), Some(&token))
        .await
        .unwrap_err();

    let kind = || kind_of(&world);
    eventually("the end is explained", || kind() == Some("revoked")).await;
    world.credentials.drain().await;
    let world = world.restart().await;
    let refused = world.credentials.token(&ada()).unwrap_err();
    let Refused::SignInNeeded { reason, .. } = refused else {
        panic!("{refused:?}")
    };
    assert!(
        reason.contains("the member revoked the permission"),
        "{reason}"
    );
    assert_eq!(world.linkedin.asked(), [INTROSPECT]);
    let json = serde_json::to_value(world.credentials.show(&ada()).unwrap()).unwrap();
    assert!(
        json["verdict"]
            .as_str()
            .unwrap()
            .starts_with("the member revoked")
    );

    world.import(&ada(), RENEWABLE).await;
    assert_eq!(world.credentials.show(&ada()).unwrap().verdict, None);
}

#[tokio::test]
async fn a_refused_token_without_a_refresh_token_is_explained_too() {
    let world = World::start().await;
    world.import(&ada(), FINAL).await;
    world.linkedin.page(INTROSPECT, 200, FOREIGN);
    let token = world.token(&ada());

    world
        .credentials
        .renew(&ada(), Some(&token))
        .await
        .unwrap_err();

    let kind = || kind_of(&world);
    eventually("the end is explained", || {
        kind() == Some("other_application")
    })
    .await;
}

#[tokio::test]
async fn a_verdict_that_comes_after_a_new_sign_in_is_dropped() {
    let world = World::start().await;
    world.import(&ada(), FINAL).await;
    world.linkedin.page(INTROSPECT, 200, REVOKED);
    let token = world.token(&ada());
    world
        .credentials
        .renew(&ada(), Some(&token))
        .await
        .unwrap_err();
    world.import(&ada(), RENEWABLE).await;

    world.credentials.drain().await;

    assert_eq!(world.credentials.show(&ada()).unwrap().verdict, None);
    assert_eq!(text(&world.token(&ada())), "token-0");
}

#[tokio::test]
async fn a_wrong_secret_of_an_applications_own_token_is_told_and_touches_no_member() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let own = Member {
        name: None,
        ..ada()
    };
    world.linkedin.next(Play::Say(401, BAD_SECRET, Vec::new()));

    let refused = world.credentials.renew(&own, None).await.unwrap_err();

    assert!(
        refused.to_string().contains("Client authentication failed"),
        "{refused}"
    );
    assert_eq!(
        world.credentials.show(&ada()).unwrap().state,
        GrantState::Fresh
    );
    assert_eq!(world.linkedin.asked(), Vec::<String>::new());
}
