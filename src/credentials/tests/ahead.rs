//! Renewal though nobody calls, and the days on which it happens.

use super::*;

const DAY: u64 = 86_400;

/// The same grant as [`RENEWABLE`] in days: sixty and three hundred and sixty-five.
const YEAR: &str = r#"{"access_token":"token-0","expires_in":5184000,
    "refresh_token":"refresh-0","refresh_token_expires_in":31536000}"#;

impl World {
    /// Waits until the scheduler has nothing under way.
    async fn settled(&self) {
        let idle = || self.credentials.flights_under_way() == 0;
        eventually("nothing is under way", idle).await;
    }
}

async fn kept_fresh() -> World {
    let world = World::start().await;
    world.credentials.keep_fresh();
    world
}

#[tokio::test]
async fn a_grant_is_renewed_though_nobody_calls() {
    let world = kept_fresh().await;
    world.import(&ada(), YEAR).await;
    world.pass(52 * DAY);
    tokio::time::sleep(Duration::from_millis(50)).await; // would show a renewal that comes too early
    assert_eq!(world.linkedin.posts(), 0);

    world.pass(2 * DAY);

    world.linkedin.received(1).await;
    world.settled().await;
    assert_eq!(text(&world.newest(&ada())), "token-1");
    assert_eq!(text(&world.token(&ada())), "token-0", "not proven yet");
    world.pass(60);
    assert_eq!(text(&world.token(&ada())), "token-1");
    assert_eq!(world.linkedin.posts(), 1);
}

#[tokio::test]
async fn what_the_store_holds_at_the_start_is_renewed_too() {
    let world = World::start().await;
    world.import(&ada(), YEAR).await;
    world.import(&member("grace"), FINAL).await;
    let world = world.restart().await;
    world.pass(55 * DAY);

    world.credentials.keep_fresh();

    world.linkedin.received(1).await;
    world.settled().await;
    assert_eq!(text(&world.newest(&ada())), "token-1");
    assert_eq!(world.linkedin.posts(), 1, "nothing renews grace");
}

#[tokio::test]
async fn a_failure_is_tried_again_when_it_has_cooled_down() {
    let world = kept_fresh().await;
    world.linkedin.next(Play::Say(503, "", Vec::new()));
    world.import(&ada(), YEAR).await;
    world.pass(55 * DAY);
    world.linkedin.received(1).await;
    world.settled().await;
    assert_eq!(text(&world.token(&ada())), "token-0");

    world.credentials.0.cooling.forgive_member(&ada());
    world.pass(31);

    world.linkedin.received(2).await;
    world.settled().await;
    assert_eq!(text(&world.newest(&ada())), "token-2");
}

#[tokio::test]
async fn many_that_are_due_at_once_begin_at_the_rate_and_under_the_cap() {
    let world = kept_fresh().await;
    for n in 0..40 {
        world.import(&member(&format!("m{n}")), YEAR).await;
    }
    let gate = world.linkedin.hold();
    world.pass(55 * DAY);

    world.linkedin.received(3).await;
    tokio::time::sleep(Duration::from_millis(50)).await; // would show a fourth
    assert_eq!(
        world.linkedin.posts(),
        3,
        "a permit of four is kept for callers"
    );
    let waits = world.credentials.clone();
    let caller = tokio::spawn(async move {
        let expired = waits.0.cache.grant(&member("m39")).unwrap();
        waits.renew(&member("m39"), Some(&expired.access)).await
    });
    world.linkedin.received(4).await;

    for _ in 0..45 {
        gate.notify_one();
        tokio::time::sleep(Duration::from_millis(2)).await; // a pace, not relied on: all are waited for below
    }
    eventually("all are renewed", || {
        gate.notify_one();
        world.linkedin.posts() == 40
    })
    .await;
    caller.await.unwrap().unwrap();
}

#[tokio::test]
async fn after_a_drain_nothing_begins_any_more() {
    let world = kept_fresh().await;
    world.import(&ada(), YEAR).await;
    world.credentials.drain().await;

    world.pass(55 * DAY);

    tokio::time::sleep(Duration::from_millis(50)).await; // would show a renewal
    assert_eq!(world.linkedin.posts(), 0);
    let shared = Arc::downgrade(&world.credentials.0);
    drop(world);
    eventually("nothing holds the credentials", || {
        shared.strong_count() == 0
    })
    .await;
}

#[tokio::test]
async fn a_scheduler_ends_with_its_owner() {
    let world = kept_fresh().await;
    world.import(&ada(), YEAR).await;
    let shared = Arc::downgrade(&world.credentials.0);

    drop(world);

    eventually("nothing holds the credentials", || {
        shared.strong_count() == 0
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_goes_back_neither_storms_nor_forgets() {
    let world = kept_fresh().await;
    for n in 0..20 {
        world.import(&member(&format!("m{n}")), YEAR).await;
    }
    world.pass(55 * DAY);
    world.linkedin.received(20).await;
    world.settled().await;

    world.clock.set_back(Duration::from_secs(54 * DAY));

    for n in 0..20 {
        assert!(text(&world.token(&member(&format!("m{n}")))).starts_with("token-"));
    }
    tokio::time::sleep(Duration::from_millis(50)).await; // would show a storm
    assert_eq!(world.linkedin.posts(), 20);
    world.pass(54 * DAY + 54 * DAY);
    world.linkedin.received(40).await;
    world.settled().await;
    assert_eq!(world.linkedin.posts(), 40);
}

#[tokio::test]
async fn the_last_token_of_the_year_is_not_renewed_again_and_again() {
    let world = kept_fresh().await;
    world.import(&ada(), YEAR).await;
    world.linkedin.next(Play::Ends {
        life_secs: 5 * DAY,
        refresh_secs: 5 * DAY,
    });
    world.pass(360 * DAY);
    world.linkedin.received(1).await;
    world.settled().await;

    for _ in 0..10 {
        world.pass(DAY / 2 - 1);
        tokio::time::sleep(Duration::from_millis(5)).await; // would show a renewal
        assert_eq!(text(&world.token(&ada())), "token-1");
    }
    assert_eq!(world.linkedin.posts(), 1);

    world.pass(DAY);
    let told = world.credentials.token(&ada()).unwrap_err();
    assert_eq!(sign_in_code(&told), Some(65602));
    assert!(
        told.to_string().contains("the refresh token expired on 2"),
        "{told}"
    );
    assert_eq!(world.linkedin.posts(), 1);
}

#[tokio::test]
async fn tokens_that_shrink_to_an_untold_end_are_not_renewed_in_a_loop() {
    let world = kept_fresh().await;
    let untold = r#"{"access_token":"token-0","expires_in":864000,"refresh_token":"refresh-0"}"#;
    world.import(&ada(), untold).await;
    // Whatever is asked for: the same end, a day from when the first renewal is due.
    for left in [DAY, DAY / 10, 600, 60] {
        let life_secs = i64::try_from(left).unwrap();
        world.linkedin.next(Play::Token {
            life_secs,
            is_rotated: false,
        });
    }
    world.pass(9 * DAY);
    world.linkedin.received(1).await;
    world.settled().await;

    for _ in 0..20 {
        world.pass(DAY / 24);
        tokio::time::sleep(Duration::from_millis(5)).await; // would show a renewal
    }
    assert_eq!(world.linkedin.posts(), 1, "its end was not to be moved");

    world.pass(DAY / 4);
    world.linkedin.received(2).await;
}

#[tokio::test]
async fn an_end_that_nobody_told_is_not_over() {
    let world = kept_fresh().await;
    world
        .import(
            &ada(),
            r#"{"access_token":"token-0","refresh_token":"refresh-0"}"#,
        )
        .await;
    world
        .import(&member("grace"), r#"{"access_token":"token-0"}"#)
        .await;

    world.pass(400 * DAY);

    tokio::time::sleep(Duration::from_millis(50)).await; // would show a renewal
    assert_eq!(text(&world.token(&ada())), "token-0");
    assert_eq!(text(&world.token(&member("grace"))), "token-0");
    assert_eq!(world.linkedin.posts(), 0);
}

#[tokio::test]
async fn an_applications_own_token_is_kept_fresh_once_it_was_used() {
    let world = kept_fresh().await;
    let own = Member {
        name: None,
        ..ada()
    };
    world.credentials.renew(&own, None).await.unwrap();
    world.settled().await;

    world.pass(3400);

    world.linkedin.received(2).await;
    world.settled().await;
    assert_eq!(text(&world.newest(&own)), "token-2");
}

#[tokio::test]
async fn a_disconnected_member_is_not_renewed() {
    let world = kept_fresh().await;
    world.import(&ada(), YEAR).await;
    world.credentials.disconnect(&ada()).await.unwrap();

    world.pass(55 * DAY);

    tokio::time::sleep(Duration::from_millis(50)).await; // would show a renewal
    assert_eq!(world.linkedin.posts(), 0);
}

#[test]
fn a_runtime_that_ends_in_mid_wait_leaves_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (shared, world) = runtime.block_on(async {
        let world = kept_fresh().await;
        world.import(&ada(), YEAR).await;
        // A renewal under way, and one planned.
        world.import(&member("grace"), YEAR).await;
        world.linkedin.hold();
        world.pass(55 * DAY);
        world.linkedin.received(2).await;
        (Arc::downgrade(&world.credentials.0), world)
    });

    runtime.shutdown_timeout(Duration::from_secs(5));

    drop(world);
    assert_eq!(shared.strong_count(), 0);
}

#[tokio::test]
async fn last_uses_are_kept_in_batches_and_outlive_a_restart() {
    let world = World::start().await;
    for name in ["ada", "grace", "idle"] {
        world.import(&member(name), YEAR).await;
    }
    let used_at = |world: &World, name: &str| {
        let summary = world.credentials.show(&member(name)).unwrap();
        summary.last_used
    };
    world.token(&ada());
    world.token(&member("grace"));
    let first = used_at(&world, "ada");
    assert!(first.is_some());

    world.credentials.drain().await;
    let world = world.restart().await;

    assert_eq!(used_at(&world, "ada"), first);
    assert!(used_at(&world, "grace").is_some());
    assert_eq!(used_at(&world, "idle"), None);
    let row = world.credentials.0.store.grant(&ada()).await.unwrap();
    assert_eq!(row.unwrap().version, 1, "a use is no change");
    assert_eq!(world.credentials.0.cache.new_uses(), []);
    world.pass(55 * DAY);
    world.token(&ada());
    world.credentials.drain().await;
    let world = world.restart().await;
    assert!(used_at(&world, "ada") > first);
}

#[tokio::test]
async fn a_use_is_not_forgotten_by_the_save_of_a_renewal_or_an_end() {
    let world = World::start().await;
    world.import(&ada(), YEAR).await;
    world.token(&ada());
    world.credentials.drain().await;
    let used = world.credentials.show(&ada()).unwrap().last_used;

    world.import(&ada(), YEAR).await;

    let world = world.restart().await;
    assert_eq!(world.credentials.show(&ada()).unwrap().last_used, used);
}
