//! What operators do with grants.

use super::*;

#[tokio::test]
async fn a_summary_tells_all_but_the_secrets() {
    let world = World::start().await;
    let json = RENEWABLE.replace('{', r#"{"sub":"782bbtaQ","#);
    world.import(&ada(), &json).await;

    let summary = world.credentials.show(&ada()).unwrap();

    assert_eq!(summary.name.as_deref(), Some("ada"));
    assert_eq!(summary.urn.as_deref(), Some("urn:li:person:782bbtaQ"));
    assert_eq!(summary.state, GrantState::Fresh);
    assert_eq!(summary.scopes, ["r_basic", "w_social"]);
    assert!(summary.renewable);
    let json = serde_json::to_string(&world.credentials.list()).unwrap();
    assert!(json.contains(r#""state":"fresh""#));
    assert!(!json.contains("token-0") && !json.contains("refresh-0"));
    assert_eq!(
        world.credentials.urn(&ada()).as_deref(),
        Some("urn:li:person:782bbtaQ")
    );
}

#[tokio::test]
async fn every_state_is_counted_even_at_zero() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.import(&member("grace"), FINAL).await;
    world.pass(3600);

    let counts = world.credentials.counts_by_state();

    assert_eq!(counts.len(), GrantState::ALL.len());
    assert_eq!(counts[&GrantState::Expired], 1);
    assert_eq!(counts[&GrantState::SignInNeeded], 1);
    assert_eq!(counts[&GrantState::Fresh], 0);
}

#[tokio::test]
async fn a_disconnected_member_leaves_no_token_and_no_data_key() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    assert!(world.credentials.data_key(&ada()).is_some());

    world.credentials.disconnect(&ada()).await.unwrap();

    assert!(world.credentials.data_key(&ada()).is_none());
    assert!(world.credentials.token(&ada()).is_err());
    let store = &world.credentials.0.store;
    assert_eq!(store.grant(&ada()).await.unwrap(), None);
    assert!(
        store
            .data_keys()
            .await
            .unwrap()
            .iter()
            .all(|(m, _)| *m != ada())
    );
    let again = world.credentials.disconnect(&ada()).await;
    assert!(matches!(again, Err(ManageError::UnknownMember(_))));
    world.import(&ada(), RENEWABLE).await;
    assert_eq!(text(&world.token(&ada())), "token-0");
}

#[tokio::test]
async fn a_disconnect_is_done_though_whoever_asked_left() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.faults.holds_forget.store(true, Ordering::SeqCst);
    let leaving = world.credentials.clone();
    let disconnect = tokio::spawn(async move { leaving.disconnect(&ada()).await });
    world.faults.forgotten.notified().await;

    disconnect.abort();
    assert!(disconnect.await.unwrap_err().is_cancelled());
    world.faults.forget_gate.notify_one();
    world.credentials.drain().await;

    assert!(!world.credentials.knows(&ada()));
    assert!(world.credentials.data_key(&ada()).is_none());
}

#[tokio::test]
async fn a_row_that_was_read_before_a_disconnect_is_not_served_after_it() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let read = world.credentials.0.cache.grant(&ada()).unwrap();
    world.credentials.disconnect(&ada()).await.unwrap();

    world.credentials.0.serve(&ada(), (*read).clone());

    assert!(!world.credentials.knows(&ada()));
}

#[tokio::test]
async fn a_sign_in_that_meets_a_disconnect_comes_after_it() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.faults.holds_forget.store(true, Ordering::SeqCst);
    let leaving = world.credentials.clone();
    let disconnect = tokio::spawn(async move { leaving.disconnect(&ada()).await });
    world.faults.forgotten.notified().await;
    let coming = world.credentials.clone();
    let mut sign_in = tokio::spawn(async move { coming.import(&ada(), FINAL).await });

    let early = tokio::time::timeout(Duration::from_millis(200), &mut sign_in).await;
    assert!(early.is_err(), "it slipped in between: {early:?}");
    world.faults.forget_gate.notify_one();
    disconnect.await.unwrap().unwrap();
    sign_in.await.unwrap().unwrap();

    assert_eq!(text(&world.token(&ada())), "token-0");
    let world = world.restart().await;
    assert_eq!(text(&world.token(&ada())), "token-0");
    assert!(!world.credentials.show(&ada()).unwrap().renewable);
}

#[tokio::test]
async fn a_store_that_does_not_forget_keeps_nobody_in_memory() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.faults.forget.store(true, Ordering::SeqCst);

    let failed = world.credentials.disconnect(&ada()).await;

    assert!(matches!(failed, Err(ManageError::Store(_))), "{failed:?}");
    assert!(!world.credentials.knows(&ada()));
    world.faults.forget.store(false, Ordering::SeqCst);
    world.credentials.disconnect(&ada()).await.unwrap();
    let world = world.restart().await;
    assert!(!world.credentials.knows(&ada()));
}

#[tokio::test]
async fn a_sign_in_after_another_process_disconnected_makes_a_new_data_key() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let url = format!("sqlite:{}/linkgate.db", world.folder.path().display());
    let (other, _) = crate::store::open(&url, &world.folder.path().join("linkgate.key"))
        .await
        .unwrap();
    other.forget(&ada()).await.unwrap();

    world.import(&ada(), FINAL).await;

    let world = world.restart().await;
    assert_eq!(text(&world.token(&ada())), "token-0");
}

#[tokio::test]
async fn a_disconnected_members_tokens_are_given_up_where_the_operator_says() {
    for (status, expected) in [
        (200, Revocation::Taken),
        (503, Revocation::Failed("it answered 503".to_owned())),
    ] {
        let linkedin = TokenServer::start().await;
        let mut settings = settings(&linkedin);
        let url = format!("{}/oauth/v2/revoke", linkedin.base());
        settings.revocation_url = Some(url.parse().unwrap());
        let world = World::before_with(linkedin, settings).await;
        world.linkedin.page("/oauth/v2/revoke", status, "");
        world.import(&ada(), RENEWABLE).await;

        let revocation = world.credentials.disconnect(&ada()).await.unwrap();

        assert_eq!(revocation, expected);
        let times = if status == 200 { 2 } else { 1 };
        assert_eq!(
            world.linkedin.asked().len(),
            times,
            "refresh token, then access token"
        );
        assert!(world.credentials.token(&ada()).is_err());
    }
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let revocation = world.credentials.disconnect(&ada()).await.unwrap();
    assert_eq!(revocation, Revocation::NotAsked);
    assert_eq!(world.linkedin.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn an_operator_renews_at_once_whatever_cools_down() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.linkedin.next(Play::Say(503, "", Vec::new()));
    world.credentials.renew_now(&ada()).await.unwrap_err();

    let summary = world.credentials.renew_now(&ada()).await.unwrap();

    assert!(summary.last_renewal.is_some());
    assert_eq!(text(&world.newest(&ada())), "token-2");
    let nobody = world.credentials.renew_now(&member("nobody")).await;
    assert!(matches!(nobody, Err(ManageError::UnknownMember(_))));
    world.import(&member("grace"), FINAL).await;
    let without = world.credentials.renew_now(&member("grace")).await;
    assert!(
        without
            .unwrap_err()
            .to_string()
            .contains("no refresh token")
    );
}

#[tokio::test]
async fn what_is_no_token_answer_or_no_member_is_not_taken_in() {
    let world = World::start().await;
    let own = Member {
        name: None,
        ..ada()
    };
    let elsewhere = Member {
        application: "nowhere".parse().unwrap(),
        ..ada()
    };
    for (why, member, json) in [
        ("not json", ada(), "token"),
        ("no token", ada(), r#"{"expires_in":1}"#),
        ("an empty token", ada(), r#"{"access_token":""}"#),
        ("a line break", ada(), r#"{"access_token":"a\r\nb"}"#),
        ("an application", own, RENEWABLE),
        ("an unknown application", elsewhere, RENEWABLE),
    ] {
        let refused = world.credentials.import(&member, json).await;

        assert!(refused.is_err(), "{why}");
        assert!(world.credentials.list().is_empty(), "{why}");
    }
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let linkedin = TokenServer::start().await;
    let good = settings(&linkedin);
    assert_eq!(good.check(), Ok(()));

    let short = Settings {
        lease: good.post_time,
        ..good.clone()
    };
    assert!(matches!(
        short.check(),
        Err(BadSettings::LeaseTooShort { .. })
    ));
    let twice = Settings {
        applications: vec![good.applications[0].clone(), good.applications[0].clone()],
        ..good.clone()
    };
    assert!(matches!(
        twice.check(),
        Err(BadSettings::ApplicationTwice(_))
    ));
    let share = Settings {
        ahead_share: f64::NAN,
        ..good.clone()
    };
    assert_eq!(share.check(), Err(BadSettings::AheadShare));
    let none = Settings {
        applications: Vec::new(),
        ..good
    };
    assert_eq!(none.check(), Err(BadSettings::NoApplication));
}

#[tokio::test]
async fn applications_are_known_by_name_and_the_first_is_the_default() {
    let world = World::start().await;

    assert_eq!(world.credentials.default_application().as_str(), "default");
    let ads = "ads".parse().unwrap();
    assert_eq!(world.credentials.client_id(&ads).as_deref(), Some("ads-id"));
    assert_eq!(world.credentials.client_id(&"x".parse().unwrap()), None);
    assert!(world.live.find(b"s3cret+/&").is_some());
}

#[tokio::test]
async fn who_is_gone_in_the_store_is_gone_when_notices_were_missed() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let shared = &world.credentials.0;
    let grant = shared.cache.grant(&ada()).unwrap();
    // Another process logged grace out, and its notice is one of those that are lost below.
    shared.cache.publish(&member("grace"), (*grant).clone());
    let (changes, missed) = tokio::sync::broadcast::channel(1);
    for _ in 0..3 {
        changes.send(crate::store::Change::Keys).unwrap();
    }
    drop(changes);

    recovery::follow(Arc::downgrade(shared), missed).await;

    assert!(!world.credentials.knows(&member("grace")));
    assert_eq!(text(&world.token(&ada())), "token-0");
}
