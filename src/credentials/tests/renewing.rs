//! Renewal when LinkedIn and the store behave.

use super::*;

#[tokio::test]
async fn an_imported_token_is_served_at_once_and_after_a_restart() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    assert_eq!(text(&world.token(&ada())), "token-0");
    assert!(world.token(&ada()).header.is_sensitive());

    let world = world.restart().await;

    let token = world.token(&ada());
    assert_eq!(token.header.as_bytes(), b"Bearer token-0");
    assert!(token.is_renewable);
    assert_eq!(world.live.find(b"token-0"), Some(token.fingerprint));
    assert!(world.live.find(b"refresh-0").is_some());
    assert_eq!(world.linkedin.posts(), 0);
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_the_new_one_survives_a_restart() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    assert!(world.credentials.token(&ada()).unwrap().is_none());

    let token = world.credentials.renew(&ada(), None).await.unwrap();

    assert_eq!(text(&token), "token-1");
    assert!(token.issued_at.is_some());
    let form = world.linkedin.forms().remove(0);
    assert_eq!(
        form,
        "grant_type=refresh_token&refresh_token=refresh-0&client_id=default-id\
         &client_secret=s3cret%2B%2F%26"
    );
    world.credentials.drain().await;
    let world = world.restart().await;
    assert_eq!(text(&world.token(&ada())), "token-1");
    world.pass(3600);
    world.credentials.renew(&ada(), None).await.unwrap();
    assert!(world.linkedin.forms()[1].contains("refresh_token=refresh-1&"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_callers_with_one_refused_token_cause_one_renewal() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let refused = world.token(&ada());

    let callers: Vec<_> = (0..200)
        .map(|_| {
            let (credentials, refused) = (world.credentials.clone(), refused.clone());
            tokio::spawn(async move { credentials.renew(&ada(), Some(&refused)).await })
        })
        .collect();

    for caller in callers {
        assert_eq!(text(&caller.await.unwrap().unwrap()), "token-1");
    }
    assert_eq!(world.linkedin.posts(), 1);
}

#[tokio::test]
async fn a_refused_token_that_was_replaced_already_is_not_renewed_again() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let refused = world.token(&ada());
    world
        .credentials
        .renew(&ada(), Some(&refused))
        .await
        .unwrap();

    let late = world.credentials.renew(&ada(), Some(&refused)).await;

    assert_eq!(text(&late.unwrap()), "token-1");
    assert_eq!(world.linkedin.posts(), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_the_renewal() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let refused = world.token(&ada());
    let gate = world.linkedin.hold();
    let credentials = world.credentials.clone();
    let caller = tokio::spawn(async move { credentials.renew(&ada(), Some(&refused)).await });
    world.linkedin.received(1).await;

    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.notify_one();
    world.credentials.drain().await;

    assert_eq!(text(&world.token(&ada())), "token-1");
    assert_eq!(world.credentials.flights_under_way(), 0);
    let world = world.restart().await;
    assert_eq!(text(&world.token(&ada())), "token-1");
}

#[tokio::test]
async fn a_token_near_its_end_is_served_and_renewed_once_behind_it() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3000);
    assert_eq!(text(&world.token(&ada())), "token-0");
    assert_eq!(world.credentials.flights_under_way(), 0);

    world.pass(250);

    let gate = world.linkedin.hold();
    for _ in 0..50 {
        assert_eq!(text(&world.token(&ada())), "token-0");
    }
    assert_eq!(world.credentials.flights_under_way(), 1);
    gate.notify_one();
    world.credentials.drain().await;
    assert_eq!(text(&world.newest(&ada())), "token-1");
    assert_eq!(world.linkedin.posts(), 1);
}

#[tokio::test]
async fn the_old_token_stays_in_use_until_the_new_one_is_proven() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let old = world.token(&ada());
    world.credentials.renew_now(&ada()).await.unwrap();
    let new = world.newest(&ada());
    assert_eq!(text(&new), "token-1");

    assert_eq!(world.token(&ada()).fingerprint, old.fingerprint);
    let previous = world.credentials.previous(&ada(), &new).unwrap();
    assert_eq!(previous.fingerprint, old.fingerprint);
    assert!(world.credentials.previous(&ada(), &old).is_none());

    world.credentials.proven(&ada(), &new);
    assert_eq!(text(&world.token(&ada())), "token-1");
    assert!(world.credentials.previous(&ada(), &new).is_none());
}

#[tokio::test]
async fn an_old_token_that_was_refused_or_outlived_the_lag_is_not_offered() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let old = world.token(&ada());
    let new = world.credentials.renew(&ada(), Some(&old)).await.unwrap();
    assert_eq!(text(&world.token(&ada())), "token-1");
    assert!(world.credentials.previous(&ada(), &new).is_none());

    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.credentials.renew_now(&ada()).await.unwrap();
    let new = world.newest(&ada());
    assert!(world.credentials.previous(&ada(), &new).is_some());
    world.pass(59);
    assert_eq!(text(&world.token(&ada())), "token-0");
    world.pass(1);
    assert_eq!(text(&world.token(&ada())), "token-1");
    assert!(world.credentials.previous(&ada(), &new).is_none());
}

#[tokio::test]
async fn an_old_token_that_is_refused_in_the_lag_gives_way_without_a_renewal() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.credentials.renew_now(&ada()).await.unwrap();
    let old = world.token(&ada());
    assert_eq!(text(&old), "token-0");

    let other = world.credentials.renew(&ada(), Some(&old)).await.unwrap();

    assert_eq!(text(&other), "token-1");
    assert_eq!(text(&world.token(&ada())), "token-1");
    assert_eq!(world.linkedin.posts(), 1);
}

#[tokio::test]
async fn an_old_token_is_served_no_longer_than_it_lives_nor_after_a_new_sign_in() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3580);
    world.credentials.renew_now(&ada()).await.unwrap();
    assert_eq!(text(&world.token(&ada())), "token-0");
    world.pass(20);
    assert_eq!(text(&world.token(&ada())), "token-1");

    let signed_in = RENEWABLE.replace("-0", "-new");
    world.import(&ada(), &signed_in).await;
    assert_eq!(text(&world.token(&ada())), "token-new");
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_no_token_young_for_ever() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let old = world.token(&ada());
    let new = world.credentials.renew(&ada(), Some(&old)).await.unwrap();
    world.clock.set_back(Duration::from_secs(86_400));

    let again = world.credentials.renew(&ada(), Some(&new)).await;

    assert_eq!(text(&again.unwrap()), "token-2");
    assert_eq!(world.linkedin.posts(), 2);
}

#[tokio::test]
async fn a_new_token_that_linkedin_does_not_know_yet_costs_no_second_renewal() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let old = world.token(&ada());
    let new = world.credentials.renew(&ada(), Some(&old)).await.unwrap();

    let lagging = world.credentials.renew(&ada(), Some(&new)).await;

    assert!(matches!(lagging, Err(Refused::TryLater { .. })));
    assert_eq!(world.linkedin.posts(), 1);
    world.credentials.proven(&ada(), &new);
    let third = world.credentials.renew(&ada(), Some(&new)).await.unwrap();
    assert_eq!(text(&third), "token-2");
}

#[tokio::test]
async fn an_applications_own_token_is_minted_on_first_use_and_kept() {
    let world = World::start().await;
    let own = Member {
        application: "ads".parse().unwrap(),
        name: None,
    };
    assert!(world.credentials.token(&own).unwrap().is_none());

    let minted = world.credentials.renew(&own, None).await.unwrap();

    assert_eq!(text(&minted), "token-1");
    let form = world.linkedin.forms().remove(0);
    assert!(form.starts_with("grant_type=client_credentials&client_id=ads-id&"));
    assert!(!form.contains("refresh"));
    world.credentials.drain().await;
    let world = world.restart().await;
    assert_eq!(text(&world.token(&own)), "token-1");
    world.pass(3600);
    assert!(world.credentials.token(&own).unwrap().is_none());
    world.credentials.renew(&own, None).await.unwrap();
    assert!(world.credentials.data_key(&own).is_some());
}

#[tokio::test]
async fn no_more_renewals_run_at_once_than_the_cap_allows() {
    let world = World::start().await;
    let members: Vec<_> = (0..12).map(|n| member(&format!("m{n}"))).collect();
    for each in &members {
        world.import(each, RENEWABLE).await;
    }
    world.pass(3600);
    let gate = world.linkedin.hold();

    let renewals: Vec<_> = members
        .iter()
        .map(|each| {
            let (credentials, each) = (world.credentials.clone(), each.clone());
            tokio::spawn(async move { credentials.renew(&each, None).await })
        })
        .collect();

    for done in 0..members.len() {
        let open = (members.len() - done).min(4);
        world.linkedin.received(done + open).await;
        assert_eq!(world.linkedin.posts(), done + open);
        gate.notify_one();
    }
    for renewal in renewals {
        renewal.await.unwrap().unwrap();
    }
    assert_eq!(world.linkedin.posts(), 12);
}

#[tokio::test]
async fn secrets_that_nobody_will_present_again_are_forgotten() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    for _ in 0..2 {
        world.credentials.renew_now(&ada()).await.unwrap();
    }
    world.credentials.drain().await;

    let is_live = |text: &[u8]| world.live.find(text).is_some();

    assert!(is_live(b"token-2") && is_live(b"token-1") && is_live(b"refresh-2"));
    assert!(!is_live(b"token-0") && !is_live(b"refresh-0") && !is_live(b"refresh-1"));
}

#[tokio::test]
async fn an_old_token_is_let_go_once_the_lag_is_over() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.credentials.renew_now(&ada()).await.unwrap();
    let cache = &world.credentials.0.cache;

    cache.let_go(world.clock.seconds());
    assert_eq!(text(&world.token(&ada())), "token-0", "still in use");
    world.pass(60);
    cache.let_go(world.clock.seconds());

    let new = world.token(&ada());
    assert_eq!(text(&new), "token-1");
    assert!(
        world.live.find(b"token-0").is_some(),
        "its name is still known"
    );
    world.credentials.renew_now(&ada()).await.unwrap();
    assert!(world.live.find(b"token-0").is_none());
}

#[tokio::test]
async fn a_token_that_another_process_renewed_twice_is_forgotten_here_too() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let shared = &world.credentials.0;
    let mut rows = vec![shared.store.grant(&ada()).await.unwrap().unwrap()];
    for _ in 0..2 {
        world.credentials.renew_now(&ada()).await.unwrap();
        rows.push(shared.store.grant(&ada()).await.unwrap().unwrap());
    }
    // As a process that has seen the first two versions, and is told of the third.
    shared.cache.forget(&ada());
    for row in &rows[..2] {
        let grant = shared.sealing.grant(&ada(), row).unwrap();
        shared.cache.publish(&ada(), grant);
    }
    assert!(world.live.find(b"token-0").is_some());

    recovery::reload(shared, &ada()).await;

    assert_eq!(text(&world.newest(&ada())), "token-2");
    assert!(world.live.find(b"token-0").is_none());
    assert!(world.live.find(b"token-1").is_some());
}
