//! Renewals that were cut short, seen by the flight that comes after them, and callers who come and
//! go while flights end.

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::timeout;

use super::*;
use crate::store::{Lease, Pending};

const DEAD: &str = r#"{"error":"invalid_request","error_description":
    "The provided authorization grant or refresh token is invalid, expired or revoked"}"#;

/// Ada's token is over; what a dead process left in the journal, with its answer or without.
async fn left_behind(answer: Option<&[u8]>) -> World {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    let shared = &world.credentials.0;
    let lease = others_lease(&world).await;
    let pending = Pending {
        number: 1,
        base: 1,
        begun_at: 77,
        answer: None,
    };
    shared.store.begin(&ada(), &lease, pending).await.unwrap();
    if let Some(answer) = answer {
        let answer = grant::TokenAnswer::parse(answer).unwrap();
        let came_at = world.clock.seconds();
        let sealed = shared.sealing.seal_answer(&ada(), 1, &answer, came_at);
        let kept = shared.store.answered(&ada(), &lease, sealed.unwrap()).await;
        kept.unwrap();
    }
    shared.store.release_lease(&ada(), &lease).await.unwrap();
    world
}

async fn others_lease(world: &World) -> Lease {
    let (store, owner) = (&world.credentials.0.store, "another".into());
    let taken = store
        .take_lease(&ada(), &owner, Duration::from_secs(30))
        .await;
    taken.unwrap().unwrap()
}

#[tokio::test]
async fn an_answer_that_another_left_in_the_journal_is_saved_and_not_asked_for_again() {
    let answer = br#"{"access_token":"theirs","expires_in":3600,"refresh_token":"refresh-theirs"}"#;
    let world = left_behind(Some(answer)).await;

    let token = world.credentials.renew(&ada(), None).await.unwrap();

    assert_eq!((text(&token), world.linkedin.posts()), ("theirs", 0));
    world.credentials.drain().await;
    let world = world.restart().await;
    assert_eq!(text(&world.token(&ada())), "theirs");
    world.pass(3600);
    world.credentials.renew(&ada(), None).await.unwrap();
    assert!(world.linkedin.forms()[0].contains("refresh_token=refresh-theirs&"));
}

#[tokio::test]
async fn an_open_intent_of_another_is_told_while_its_token_is_tried_once_more() {
    let world = left_behind(None).await;
    let gate = world.linkedin.hold();
    let credentials = world.credentials.clone();
    let renewal = tokio::spawn(async move { credentials.renew(&ada(), None).await });

    world.linkedin.received(1).await;

    let told = world.credentials.show(&ada()).unwrap().unconfirmed_since;
    assert_eq!(told, Some(77));
    let journal = world.credentials.0.store.pending(&ada()).await.unwrap();
    assert_eq!(journal.unwrap().number, 2, "uses without an answer count");
    gate.notify_one();
    assert_eq!(text(&renewal.await.unwrap().unwrap()), "token-1");
    assert!(world.linkedin.forms()[0].contains("refresh_token=refresh-0&"));
    world.credentials.drain().await;
    let told = world.credentials.show(&ada()).unwrap().unconfirmed_since;
    assert_eq!(told, None);
}

#[tokio::test]
async fn a_token_that_is_dead_after_its_answer_was_lost_is_told_so_and_not_tried_again() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    world.linkedin.next(Play::Hang(Duration::ZERO));
    world.credentials.renew(&ada(), None).await.unwrap_err();
    assert!(
        world
            .credentials
            .show(&ada())
            .unwrap()
            .unconfirmed_since
            .is_some()
    );
    world.credentials.0.cooling.forgive(&ada());
    world.linkedin.next(Play::Say(400, DEAD, Vec::new()));

    let told = world.credentials.renew(&ada(), None).await.unwrap_err();

    assert_eq!(sign_in_code(&told), Some(65602));
    assert!(
        told.to_string().contains("a renewal was cut short"),
        "{told}"
    );
    let summary = world.credentials.show(&ada()).unwrap();
    assert_eq!(summary.state, GrantState::SignInNeeded);
    assert!(summary.unconfirmed_since.is_some());
    world.credentials.0.cooling.forgive(&ada());
    let again = world.credentials.renew(&ada(), None).await.unwrap_err();
    assert_eq!((again, world.linkedin.posts()), (told.clone(), 2));
    world.credentials.drain().await;
    let world = world.restart().await;
    assert_eq!(world.credentials.token(&ada()).unwrap_err(), told);
    world.import(&ada(), RENEWABLE).await;
    let summary = world.credentials.show(&ada()).unwrap();
    assert_ne!(summary.state, GrantState::SignInNeeded);
    assert_eq!(summary.unconfirmed_since, None);
}

#[tokio::test]
async fn a_refusal_before_anything_was_spent_leaves_an_earlier_open_intent_open() {
    let world = left_behind(None).await;
    world.linkedin.next(Play::Say(429, "", Vec::new()));

    world.credentials.renew(&ada(), None).await.unwrap_err();

    world.credentials.drain().await;
    let journal = world.credentials.0.store.pending(&ada()).await.unwrap();
    assert_eq!(
        journal.map(|entry| (entry.number, entry.begun_at)),
        Some((1, 77))
    );
}

#[tokio::test]
async fn a_new_refresh_token_goes_over_a_row_that_another_ended_with_the_old_one() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    let gate = world.linkedin.hold();
    let credentials = world.credentials.clone();
    let renewal = tokio::spawn(async move { credentials.renew(&ada(), None).await });
    world.linkedin.received(1).await;

    // Another process, whose try came second, was told that the refresh token is dead.
    let shared = &world.credentials.0;
    let base = shared.cache.grant(&ada()).unwrap();
    let ended = base.ended(State::RenewalLost, world.clock.seconds());
    let row = shared.sealing.row(&ada(), &ended).unwrap();
    shared.store.save(&ada(), row, None).await.unwrap();
    gate.notify_one();

    assert_eq!(text(&renewal.await.unwrap().unwrap()), "token-1");
    world.credentials.drain().await;
    let world = world.restart().await;
    assert_eq!(text(&world.token(&ada())), "token-1");
    world.pass(3600);
    world.linkedin.hold().notify_one();
    world.credentials.renew(&ada(), None).await.unwrap();
    assert!(world.linkedin.forms()[1].contains("refresh_token=refresh-1&"));
}

#[tokio::test]
async fn an_entry_beside_a_row_that_does_not_open_is_left_alone() {
    let world = left_behind(Some(br#"{"access_token":"theirs"}"#)).await;
    let store = Arc::clone(&world.credentials.0.store);
    let lease = others_lease(&world).await;
    let mut row = store.grant(&ada()).await.unwrap().unwrap();
    row.version = 2;
    row.access = vec![0; 64];
    store.save(&ada(), row.clone(), None).await.unwrap();
    let entry = Pending {
        number: 1,
        base: 2,
        begun_at: 77,
        answer: Some(vec![0; 64]),
    };
    store.begin(&ada(), &lease, entry.clone()).await.unwrap();
    store.release_lease(&ada(), &lease).await.unwrap();

    let world = world.restart().await;

    let store = &world.credentials.0.store;
    assert_eq!(store.pending(&ada()).await.unwrap(), Some(entry));
    assert_eq!(store.grant(&ada()).await.unwrap(), Some(row));
}

#[tokio::test]
async fn nobody_waits_for_a_store_that_never_saves_a_token_that_is_over() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.pass(3600);
    world.faults.save.store(true, Ordering::SeqCst);
    world.linkedin.next(Play::Token {
        life_secs: 0,
        is_rotated: true,
    });

    let told = timeout(
        Duration::from_secs(10),
        world.credentials.renew(&ada(), None),
    )
    .await;

    assert!(
        matches!(told, Ok(Err(Refused::TryLater { .. }))),
        "{told:?}"
    );
    assert_eq!(
        world.credentials.flights_under_way(),
        1,
        "it is still being saved"
    );
}

const MEMBERS: usize = 6;
const ROUNDS: usize = 12;
const CALLERS: usize = 10;

/// Callers of many members come, wait, hang up and come back while flights begin and land, on several
/// threads; the seed that led to a failure stands in its message.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_comes_or_goes_while_flights_land_each_expiry_costs_one_post_and_nobody_hangs() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let world = World::start().await;
    for n in 0..MEMBERS {
        world
            .import(&member(&format!("member{n}")), RENEWABLE)
            .await;
    }
    for round in 0..ROUNDS {
        // A flight that is landing tells its own token, which an hour's jump would make an old one.
        world.credentials.drain().await;
        world.pass(3600);
        let mut callers = Vec::new();
        for n in 0..MEMBERS * CALLERS {
            let mut random = SmallRng::seed_from_u64(seed + (round * 1_000 + n) as u64);
            let (credentials, who) = (
                world.credentials.clone(),
                member(&format!("member{}", n % MEMBERS)),
            );
            callers.push(tokio::spawn(async move {
                // One of each member's callers stays, so that every member is renewed.
                if n >= MEMBERS {
                    for _ in 0..random.random_range(0..4) {
                        let patience = Duration::from_micros(random.random_range(0..3_000));
                        drop(timeout(patience, credentials.renew(&who, None)).await);
                    }
                }
                credentials
                    .renew(&who, None)
                    .await
                    .map(|token| token.fingerprint)
            }));
        }
        for caller in callers {
            let told = timeout(Duration::from_secs(30), caller).await;
            let told =
                told.unwrap_or_else(|_| panic!("seed {seed}, round {round}: a caller hangs"));
            told.unwrap()
                .unwrap_or_else(|refused| panic!("seed {seed}, round {round}: {refused}"));
        }
        let posts = world.linkedin.posts();
        assert_eq!(posts, MEMBERS * (round + 1), "seed {seed}, round {round}");
    }
    world.credentials.drain().await;
    assert!(!world.credentials.0.flights.is_under_way(&member("member0")));
}
