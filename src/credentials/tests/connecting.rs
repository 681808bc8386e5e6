//! Members sign in: the code, who it was, and whose a name is.

use super::*;

const USERINFO: &str = "/v2/userinfo";

fn code() -> AuthorizationCode {
    AuthorizationCode {
        code: "AQT-code".into(),
        redirect_uri: "http://127.0.0.1:8082/connect/callback".to_owned(),
        verifier: None,
    }
}

fn who(world: &World, sub: &str) -> String {
    let picture = format!("{}/portrait", world.linkedin.base());
    format!(
        r#"{{"sub":"{sub}","name":"Ada Lovelace","given_name":"Ada","family_name":"Lovelace",
            "picture":"{picture}","locale":{{"country":"GB","language":"en"}}}}"#
    )
}

/// Says who everybody is from now on.
fn everybody_is(world: &World, sub: &str) {
    world.linkedin.page(USERINFO, 200, who(world, sub));
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\npixels";

#[tokio::test]
async fn a_code_becomes_a_grant_with_name_and_portrait_that_a_restart_keeps() {
    let world = World::start().await;
    everybody_is(&world, "ada1");
    world.linkedin.page("/portrait", 200, PNG);

    let summary = world.credentials.connect(&ada(), code()).await.unwrap();

    assert_eq!(summary.full_name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(summary.urn.as_deref(), Some("urn:li:person:ada1"));
    assert_eq!(summary.remarks, Vec::<String>::new());
    assert_eq!(summary.scopes, ["openid", "profile"]);
    assert!(summary.renewable);
    assert_eq!(world.linkedin.asked(), [USERINFO, "/portrait"]);
    let form = &world.linkedin.forms()[0];
    assert_eq!(
        form,
        "grant_type=authorization_code&code=AQT-code&client_id=default-id\
         &redirect_uri=http%3A%2F%2F127.0.0.1%3A8082%2Fconnect%2Fcallback\
         &client_secret=s3cret%2B%2F%26"
    );
    let world = world.restart().await;
    let profile = world.credentials.profile(&ada()).unwrap();
    assert_eq!(profile.given_name.as_deref(), Some("Ada"));
    assert_eq!(profile.locale.as_deref(), Some("en_GB"));
    let portrait = profile.portrait.as_ref().unwrap();
    assert_eq!(
        (portrait.media_type(), &portrait.bytes()[..]),
        ("image/png", PNG)
    );
    assert_eq!(text(&world.token(&ada())), "token-1");
}

#[tokio::test]
async fn a_verifier_takes_the_secrets_place() {
    let world = World::start().await;
    everybody_is(&world, "ada1");
    let code = AuthorizationCode {
        verifier: Some("v3rifier".into()),
        ..code()
    };

    world.credentials.connect(&ada(), code).await.unwrap();

    let form = &world.linkedin.forms()[0];
    assert!(
        form.ends_with("&code_verifier=v3rifier") && !form.contains("secret"),
        "{form}"
    );
}

#[tokio::test]
async fn whatever_goes_wrong_is_told_apart_and_changes_nothing() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let say = |status, text| Play::Say(status, text, Vec::new());
    let used = r#"{"error":"invalid_request","error_description":"Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code. Or authorization code expired."}"#;
    let secret =
        r#"{"error":"invalid_client_id","error_description":"Client authentication failed"}"#;
    for (why, play, expected) in [
        (
            "a code used twice",
            say(400, used),
            "LinkedIn does not take the code",
        ),
        (
            "a wrong secret",
            say(401, secret),
            "LinkedIn refuses the application",
        ),
        ("down", say(503, ""), "LinkedIn is not available"),
        (
            "no answer",
            Play::Hang(Duration::ZERO),
            "LinkedIn is not available",
        ),
        ("half an answer", Play::Half, "LinkedIn is not available"),
        ("no token", say(200, "{}"), "LinkedIn is not available"),
    ] {
        world.linkedin.next(play);

        let refused = world.credentials.connect(&ada(), code()).await.unwrap_err();

        assert!(
            refused.to_string().starts_with(expected),
            "{why}: {refused}"
        );
        assert_eq!(text(&world.token(&ada())), "token-0", "{why}");
    }
    let own = Member {
        name: None,
        ..ada()
    };
    let own = world.credentials.connect(&own, code()).await;
    assert!(matches!(own, Err(ConnectError::ApplicationsOwn)));
    let nowhere = Member {
        application: "nowhere".parse().unwrap(),
        ..ada()
    };
    let nowhere = world.credentials.connect(&nowhere, code()).await;
    assert!(matches!(nowhere, Err(ConnectError::UnknownApplication(_))));
}

#[tokio::test]
async fn what_a_code_meets_at_the_application_is_held_against_it() {
    let secret = r#"{"error":"invalid_client","error_description":"Client authentication failed"}"#;
    let used =
        r#"{"error":"invalid_request","error_description":"Unable to retrieve access token"}"#;
    for (why, status, body, is_cooling, is_refusal) in [
        ("a wrong secret", 401, secret, true, true),
        ("throttled", 429, "", true, false),
        ("a bad code", 400, used, false, false),
        ("down", 503, "", false, false),
    ] {
        let world = World::start().await;
        world.import(&member("grace"), RENEWABLE).await;
        let mut notices = world.credentials.notices();
        world.linkedin.next(Play::Say(status, body, Vec::new()));

        world.credentials.connect(&ada(), code()).await.unwrap_err();

        let default = "default".parse().unwrap();
        let cooling = world.credentials.0.cooling.of_application(&default);
        assert_eq!(cooling.is_some(), is_cooling, "{why}: {cooling:?}");
        let failing = world.credentials.application_failing(&default);
        let told = failing.is_some_and(|failing| failing.is_refusal);
        assert_eq!(told, is_refusal, "{why}");
        let mut told = std::iter::from_fn(|| notices.try_recv().ok());
        let is_told = told.any(|notice| notice == Notice::Application(default.clone()));
        assert_eq!(is_told, is_cooling, "{why}");
    }
}

#[tokio::test]
async fn a_name_keeps_its_linkedin_member_until_it_is_disconnected() {
    let world = World::start().await;
    everybody_is(&world, "ada1");
    world.credentials.connect(&ada(), code()).await.unwrap();
    everybody_is(&world, "eve2");

    let other = world.credentials.connect(&ada(), code()).await;

    assert!(
        matches!(other, Err(ConnectError::AnotherMember)),
        "{other:?}"
    );
    assert_eq!(
        world.credentials.urn(&ada()).as_deref(),
        Some("urn:li:person:ada1")
    );
    world.credentials.disconnect(&ada()).await.unwrap();
    world.credentials.connect(&ada(), code()).await.unwrap();
    assert_eq!(
        world.credentials.urn(&ada()).as_deref(),
        Some("urn:li:person:eve2")
    );
}

#[tokio::test]
async fn a_linkedin_member_has_one_name_in_an_application() {
    let world = World::start().await;
    everybody_is(&world, "ada1");
    world.credentials.connect(&ada(), code()).await.unwrap();

    let twice = world.credentials.connect(&member("countess"), code()).await;

    assert!(matches!(twice, Err(ConnectError::AlreadyNamed(name)) if name == ada()));
    assert!(world.credentials.show(&member("countess")).is_err());
    let elsewhere = Member {
        application: "ads".parse().unwrap(),
        ..member("countess")
    };
    world.credentials.connect(&elsewhere, code()).await.unwrap();
}

#[tokio::test]
async fn one_member_under_two_names_at_once_gets_one_of_them() {
    let world = World::start().await;
    everybody_is(&world, "ada1");
    let (one, two) = (ada(), member("countess"));

    let (first, second) = tokio::join!(
        world.credentials.connect(&one, code()),
        world.credentials.connect(&two, code()),
    );

    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert_eq!(world.credentials.list().len(), 1);
}

#[tokio::test]
async fn an_application_that_may_not_know_its_members_signs_them_in_nameless() {
    let world = World::start().await;
    world
        .linkedin
        .page(USERINFO, 403, r#"{"serviceErrorCode":100}"#);

    let summary = world.credentials.connect(&ada(), code()).await.unwrap();

    assert!(
        summary.remarks[0].contains("no openid"),
        "{:?}",
        summary.remarks
    );
    assert_eq!(world.credentials.profile(&ada()), None);
    world.credentials.connect(&ada(), code()).await.unwrap();

    let known = RENEWABLE.replace('{', r#"{"sub":"known","#);
    world.import(&member("grace"), &known).await;
    let unknown = world.credentials.connect(&member("grace"), code()).await;
    assert!(matches!(unknown, Err(ConnectError::Unverified { .. })));
    assert_eq!(text(&world.token(&member("grace"))), "token-0");
}

#[tokio::test]
async fn linkedins_lag_behind_its_own_new_token_is_waited_out() {
    let world = World::start().await;
    let lag = r#"{"serviceErrorCode":65601,"status":401}"#;
    everybody_is(&world, "ada1");
    world.linkedin.page_once(USERINFO, 401, lag);

    let summary = world.credentials.connect(&ada(), code()).await.unwrap();

    assert_eq!(summary.full_name.as_deref(), Some("Ada Lovelace"));
}

#[tokio::test]
async fn a_browser_that_leaves_does_not_lose_the_grant() {
    let world = World::start().await;
    everybody_is(&world, "ada1");
    let gate = world.linkedin.hold();
    {
        let (member, code) = (ada(), code());
        let connecting = world.credentials.connect(&member, code);
        tokio::select! {
            _ = connecting => panic!("LinkedIn did not answer yet"),
            () = world.linkedin.received(1) => {}
        }
    }
    gate.notify_one();

    eventually("the grant is there", || {
        world.credentials.show(&ada()).is_ok()
    })
    .await;
    world.credentials.drain().await;
    assert_eq!(text(&world.token(&ada())), "token-1");
}

#[tokio::test]
async fn a_sign_in_during_a_renewal_is_what_stays() {
    let world = World::start().await;
    everybody_is(&world, "ada1");
    world.import(&ada(), RENEWABLE).await;
    let gate = world.linkedin.hold();
    let renewing = world.credentials.clone();
    let renewal = tokio::spawn(async move { renewing.renew_now(&ada()).await });
    world.linkedin.received(1).await;
    let connecting = world.credentials.clone();
    let sign_in = tokio::spawn(async move { connecting.connect(&ada(), code()).await });
    world.linkedin.received(2).await;

    gate.notify_waiters();
    sign_in.await.unwrap().unwrap();
    renewal.await.unwrap().unwrap();
    world.credentials.drain().await;

    // Whichever saved last, one of the two new tokens is served, and the store has the same.
    let served = text(&world.token(&ada())).to_owned();
    assert!(["token-1", "token-2"].contains(&&*served), "{served}");
    let world = world.restart().await;
    assert_eq!(text(&world.token(&ada())), served);
    assert!(
        world
            .credentials
            .show(&ada())
            .unwrap()
            .unconfirmed_since
            .is_none()
    );
}

#[tokio::test]
async fn other_scopes_than_before_are_warned_of() {
    let world = World::start().await;
    assert_eq!(world.credentials.would_end_earlier(&ada()), None);
    let scoped = |scope: &str| {
        format!(r#"{{"access_token":"token-0","expires_in":3600,"scope":"{scope}"}}"#)
    };
    for (why, scope, is_warned) in [
        ("the same, in another order", "profile,openid", false),
        ("fewer before", "openid", true),
        ("more before", "openid,profile,r_ads", true),
        ("unknown", "", true),
    ] {
        world.import(&ada(), &scoped(scope)).await;
        let warned = world.credentials.would_end_earlier(&ada());
        assert_eq!(warned.is_some(), is_warned, "{why}: {warned:?}");
    }
    world.pass(3600);
    assert_eq!(world.credentials.would_end_earlier(&ada()), None);
}

#[tokio::test]
async fn who_may_not_sign_anybody_in_has_no_consent_page() {
    let linkedin = TokenServer::start().await;
    let mut settings = settings(&linkedin);
    settings.applications[1].scopes = Vec::new();
    let world = World::before_with(linkedin, settings).await;
    let url = |application: &str| {
        let application = application.parse().unwrap();
        let credentials = &world.credentials;
        credentials.authorization_url(&application, "http://127.0.0.1/", "s", None)
    };

    assert!(url("default").is_some());
    assert_eq!(url("ads"), None);
    assert_eq!(url("nowhere"), None);
}
