//! A rotation of the master key that is cut short at every step, and what the next start makes of it.

use super::*;
use crate::store;

/// More than one batch of data keys.
const MANY: usize = 70;

async fn many() -> World {
    let world = World::start().await;
    for n in 0..MANY {
        world
            .import(&member(&format!("member{n}")), RENEWABLE)
            .await;
    }
    world
}

fn ring(world: &World) -> KeyRing {
    KeyRing::load_file(&world.folder.path().join("linkgate.key")).unwrap()
}

/// Everything opens, nothing is left of the rotation, and every data key is under the one key.
async fn is_complete(world: &World) -> bool {
    for n in 0..MANY {
        let token = world.token(&member(&format!("member{n}")));
        assert_eq!(text(&token), "token-0");
    }
    let store = &world.credentials.0.store;
    let ring = ring(world);
    let keys = store.data_keys().await.unwrap();
    let is_by_one = keys.iter().all(|(_, wrapped)| ring.is_by_first(wrapped));
    assert_eq!(store.rotation().await.unwrap(), None);
    assert!(ring.is_by_first(&store.check_value().await.unwrap()));
    is_by_one && ring.ids().len() == 1
}

#[tokio::test]
async fn a_rotation_that_dies_at_any_step_is_whole_after_the_next_start() {
    let mut steps = 0;
    loop {
        let world = many().await;
        let before = ring(&world).first_id();
        world.faults.let_turn(steps);

        let rotated = world.credentials.rotate_key(false).await;

        let world = world.restart().await;
        assert!(is_complete(&world).await, "after {steps} steps");
        let has_begun = ring(&world).first_id() != before;
        assert_eq!(has_begun, steps > 0, "after {steps} steps");
        if let Ok(rotated) = rotated {
            assert!(rotated.rewrapped > MANY);
            break;
        }
        steps += 1;
    }
    assert_eq!(steps, 5, "mark, check value, two batches, mark away");
}

#[tokio::test]
async fn a_mark_whose_key_never_reached_the_file_is_taken_away() {
    let world = many().await;
    let before = ring(&world).first_id();
    let store = &world.credentials.0.store;
    store
        .mark_rotation(Some("retire 0123abcd".to_owned()))
        .await
        .unwrap();

    let world = world.restart().await;

    assert!(is_complete(&world).await);
    assert_eq!(ring(&world).first_id(), before);
}

#[tokio::test]
async fn from_the_check_value_on_the_key_file_from_before_opens_nothing() {
    for steps in [2, 3, 4, 5] {
        let world = many().await;
        let path = world.folder.path().join("linkgate.key");
        let before = std::fs::read(&path).unwrap();
        world.faults.let_turn(steps);
        drop(world.credentials.rotate_key(false).await);
        let after = std::fs::read(&path).unwrap();
        std::fs::write(&path, before).unwrap();

        let url = format!("sqlite:{}/linkgate.db", world.folder.path().display());
        let refused = store::open(&url, &path).await;

        assert!(
            matches!(refused, Err(StoreError::WrongKey { .. })),
            "after {steps} steps"
        );
        std::fs::write(&path, after).unwrap();
        let world = world.restart().await;
        assert!(is_complete(&world).await, "after {steps} steps");
    }
}

#[tokio::test]
async fn fingerprints_outlive_a_rotation() {
    let world = many().await;
    let before = world.live.fingerprint(b"AQX");

    world.credentials.rotate_key(false).await.unwrap();

    assert_eq!(world.live.fingerprint(b"AQX"), before);
    let world = world.restart().await;
    assert_eq!(world.live.fingerprint(b"AQX"), before);
    assert!(world.live.find(b"token-0").is_some());
}

#[tokio::test]
async fn a_data_key_that_does_not_open_keeps_the_key_that_it_names() {
    let world = many().await;
    let store = Arc::clone(&world.credentials.0.store);
    let all = store.data_keys().await.unwrap();
    let (who, old) = all.into_iter().find(|(who, _)| who.name.is_some()).unwrap();
    let mut damaged = old.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let batch = vec![store::Rewrapped {
        member: who,
        old,
        new: damaged,
    }];
    assert_eq!(store.rewrap(batch).await.unwrap(), 1);

    let rotated = world.credentials.rotate_key(false).await.unwrap();

    assert_eq!((rotated.unopened, rotated.kept.len()), (1, 1));
    assert_eq!(ring(&world).ids().len(), 2);
}
