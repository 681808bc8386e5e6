//! Full disks and sudden ends: what was answered is never lost, what was spent is never spent again.

use super::*;

fn set(fault: &std::sync::atomic::AtomicBool, on: bool) {
    fault.store(on, Ordering::SeqCst);
}

#[tokio::test]
async fn an_answer_that_cannot_be_saved_is_served_and_saved_later() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    set(&world.faults.save, true);

    let token = world.credentials.renew(&ada(), None).await.unwrap();

    assert_eq!(text(&token), "token-1");
    assert_eq!(text(&world.token(&ada())), "token-1");
    assert!(!world.credentials.is_store_healthy());
    let saves = world.faults.saves.load(Ordering::SeqCst);
    eventually("saving was tried again", || {
        world.faults.saves.load(Ordering::SeqCst) > saves + 1
    })
    .await;
    let again = world.credentials.renew(&ada(), Some(&token)).await;
    assert!(matches!(again, Err(Refused::TryLater { .. })));
    assert_eq!(
        world.linkedin.posts(),
        1,
        "the old refresh token was spent again"
    );

    set(&world.faults.save, false);
    world.credentials.drain().await;

    assert!(world.credentials.is_store_healthy());
    let world = world.restart().await;
    assert_eq!(text(&world.token(&ada())), "token-1");
    world.pass(3600);
    world.credentials.renew(&ada(), None).await.unwrap();
    assert!(world.linkedin.forms()[1].contains("refresh_token=refresh-1&"));
}

#[tokio::test]
async fn a_journalled_answer_survives_a_crash_before_its_save() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    set(&world.faults.save, true);
    world.credentials.renew(&ada(), None).await.unwrap();

    // The first process never saves; the second one finds its journal.
    let world = world.restart().await;

    assert_eq!(text(&world.token(&ada())), "token-1");
    let journal = world.credentials.0.store.journal().await.unwrap();
    assert_eq!(journal, Vec::new());
    world.pass(3600);
    world.credentials.renew(&ada(), None).await.unwrap();
    assert!(world.linkedin.forms()[1].contains("refresh_token=refresh-1&"));
    assert_eq!(world.linkedin.posts(), 2);
}

#[tokio::test]
async fn nothing_is_spent_that_cannot_be_journalled() {
    for fault in ["begin", "lease"] {
        let world = World::start().await;
        world.import(&ada(), RENEWABLE).await;
        world.pass(3600);
        set(&world.faults.begin, fault == "begin");
        set(&world.faults.lease, fault == "lease");

        let refused = world.credentials.renew(&ada(), None).await;

        assert!(matches!(refused, Err(Refused::TryLater { .. })), "{fault}");
        assert_eq!(world.linkedin.posts(), 0, "{fault}");
        assert!(!world.credentials.is_store_healthy(), "{fault}");
    }
}

#[tokio::test]
async fn a_journal_that_fails_after_the_answer_does_not_stop_the_save() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    set(&world.faults.answered, true);

    world.credentials.renew(&ada(), None).await.unwrap();
    world.credentials.drain().await;

    let world = world.restart().await;
    assert_eq!(text(&world.token(&ada())), "token-1");
}

#[tokio::test]
async fn an_intent_without_an_answer_is_reported_and_tried_once_more() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    world.linkedin.next(Play::Hang(Duration::ZERO));
    world.credentials.renew(&ada(), None).await.unwrap_err();

    let world = world.restart().await;

    let summary = world.credentials.show(&ada()).unwrap();
    assert!(summary.unconfirmed_since.is_some());
    let token = world.credentials.renew(&ada(), None).await.unwrap();
    assert_eq!(text(&token), "token-2");
    assert!(world.linkedin.forms()[1].contains("refresh_token=refresh-0&"));
    world.credentials.drain().await;
    let summary = world.credentials.show(&ada()).unwrap();
    assert_eq!(summary.unconfirmed_since, None);
    let world = world.restart().await;
    let summary = world.credentials.show(&ada()).unwrap();
    assert_eq!(summary.unconfirmed_since, None);
}

#[tokio::test]
async fn a_failure_that_certainly_spent_nothing_leaves_no_intent() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    world.linkedin.next(Play::Say(429, "", Vec::new()));
    world.credentials.renew(&ada(), None).await.unwrap_err();

    let world = world.restart().await;

    let summary = world.credentials.show(&ada()).unwrap();
    assert_eq!(summary.unconfirmed_since, None);
}

#[tokio::test]
async fn another_process_that_renewed_first_is_followed_not_raced() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let store = Arc::clone(&world.credentials.0.store);
    let owner = "another".into();
    let lease = store
        .take_lease(&ada(), &owner, Duration::from_secs(30))
        .await;
    let lease = lease.unwrap().unwrap();
    let refused = world.token(&ada());
    let credentials = world.credentials.clone();
    let waiting = tokio::spawn(async move { credentials.renew(&ada(), Some(&refused)).await });
    eventually("the flight is under way", || {
        world.credentials.flights_under_way() == 1
    })
    .await;

    let answer = grant::TokenAnswer::parse(br#"{"access_token":"theirs"}"#).unwrap();
    let terms = grant::Terms {
        now: world.clock.seconds(),
        live: &world.live,
        is_issued_now: true,
        is_applications_own: false,
    };
    let base = world.credentials.0.cache.grant(&ada()).unwrap();
    let theirs = answer.grant(Some(&base), &terms);
    let row = world.credentials.0.sealing.row(&ada(), &theirs).unwrap();
    store.save(&ada(), row, Some(&lease)).await.unwrap();

    assert_eq!(text(&waiting.await.unwrap().unwrap()), "theirs");
    assert_eq!(world.linkedin.posts(), 0);
}

#[tokio::test]
async fn what_another_process_saved_is_served_without_a_renewal() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let elsewhere = world.credentials.0.cache.grant(&ada()).unwrap();
    let mut changed = Grant::clone(&elsewhere);
    changed.version += 1;
    changed.scopes = vec!["r_changed".to_owned()];
    let row = world.credentials.0.sealing.row(&ada(), &changed).unwrap();

    let store = &world.credentials.0.store;
    store.save(&ada(), row, None).await.unwrap();

    eventually("the change is served", || {
        world.credentials.show(&ada()).unwrap().scopes == ["r_changed"]
    })
    .await;
}

#[tokio::test]
async fn no_secret_rests_readable_on_disk() {
    let world = World::start().await;
    world
        .import(&ada(), &RENEWABLE.replace("-0", "-0-canary-7351"))
        .await;
    world.pass(3600);
    world.credentials.renew(&ada(), None).await.unwrap();
    world.credentials.drain().await;

    let mut read = 0;
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        read += bytes.len();
        for secret in ["canary-7351", "token-1", "refresh-1", "s3cret"] {
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none());
        }
    }
    assert!(read > 4096);
}
