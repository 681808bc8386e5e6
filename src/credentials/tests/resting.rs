//! Grants that a start found: sealed until somebody asks.

use rusqlite::Connection;

use super::*;

impl World {
    fn rests(&self, member: &Member) -> bool {
        self.credentials.0.cache.rests(member)
    }

    /// Changes the store beside everything else.
    fn sql(&self, statement: &str) {
        let file = self.folder.path().join("linkgate.db");
        let changed = Connection::open(file).unwrap().execute(statement, []);
        assert!(changed.unwrap() > 0, "{statement}");
    }
}

async fn restarted() -> World {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.restart().await
}

#[tokio::test]
async fn the_first_call_opens_what_the_start_left_sealed() {
    let world = restarted().await;
    assert!(world.rests(&ada()));

    let token = world.token(&ada());

    assert_eq!(text(&token), "token-0");
    assert!(token.is_renewable);
    assert!(!world.rests(&ada()));
    let renewed = world.credentials.renew_now(&ada()).await.unwrap();
    assert_eq!(renewed.last_outcome, Some(RenewalOutcome::Renewed));
}

#[tokio::test]
async fn whoever_only_looks_sees_the_same_and_opens_nothing() {
    let world = restarted().await;
    let credentials = &world.credentials;

    let (listed, forecast) = (credentials.list(), credentials.forecast(None));
    let shown = credentials.show(&ada()).unwrap();
    let states = credentials.counts_by_state();
    let page = credentials.page(&Wanted::default(), None, 10);
    assert!(world.rests(&ada()));

    let opened = credentials.0.cache.grant(&ada()).unwrap();
    assert_eq!(shown.fingerprint, opened.access.fingerprint.to_string());
    assert_eq!(credentials.show(&ada()).unwrap(), shown);
    assert_eq!(credentials.list(), listed);
    assert_eq!(credentials.forecast(None), forecast);
    assert_eq!(credentials.counts_by_state(), states);
    assert_eq!(page.grants, [(ada(), shown)]);
}

#[tokio::test]
async fn tokens_are_live_secrets_while_they_are_sealed() {
    let world = restarted().await;

    assert!(world.live.find(b"token-0").is_some());
    assert!(world.live.find(b"refresh-0").is_some());
    assert!(world.rests(&ada()));
}

#[tokio::test]
async fn a_row_without_fingerprints_is_opened_for_them_once() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    world.sql("UPDATE grants SET access_tag = NULL, refresh_tag = NULL");

    let world = world.restart().await;

    assert!(world.live.find(b"token-0").is_some());
    assert!(world.live.find(b"refresh-0").is_some());
    assert!(world.rests(&ada()));
    let file = world.folder.path().join("linkgate.db");
    let store = Connection::open(file).unwrap();
    eventually("the fingerprints are kept", || {
        let count = "SELECT count(*) FROM grants WHERE access_tag IS NULL OR refresh_tag IS NULL";
        let left: i64 = store.query_row(count, [], |row| row.get(0)).unwrap();
        left == 0
    })
    .await;
    assert_eq!(text(&world.token(&ada())), "token-0");
}

#[tokio::test]
async fn one_that_does_not_open_is_served_to_nobody_and_left_as_it_is() {
    let world = World::start().await;
    for name in ["ada", "grace", "mary"] {
        world.import(&member(name), RENEWABLE).await;
    }
    world.sql("UPDATE grants SET access = zeroblob(64) WHERE member = 'ada'");
    world.sql("UPDATE data_keys SET wrapped = zeroblob(80) WHERE member = 'grace'");
    let world = world.restart().await;
    let credentials = &world.credentials;

    for name in ["ada", "grace"] {
        let refused = credentials.token(&member(name)).unwrap_err();
        assert_eq!(sign_in_code(&refused), Some(65601), "{name}");
        assert!(!credentials.knows(&member(name)), "{name}");
        let row = credentials.0.store.grant(&member(name)).await.unwrap();
        assert!(row.is_some(), "{name}");
    }
    assert_eq!(text(&world.token(&member("mary"))), "token-0");
}

#[tokio::test]
async fn one_that_does_not_open_is_found_though_nobody_calls() {
    let world = World::start().await;
    for name in ["ada", "grace", "mary"] {
        world.import(&member(name), RENEWABLE).await;
    }
    world.sql("UPDATE grants SET refresh = zeroblob(64) WHERE member = 'ada'");
    world.sql("UPDATE data_keys SET wrapped = zeroblob(80) WHERE member = 'grace'");
    let world = world.restart().await;
    let knows = |name: &str| world.credentials.knows(&member(name));
    assert!(knows("ada") && knows("grace"));

    world.credentials.keep_fresh();

    eventually("they are gone", || !knows("ada") && !knows("grace")).await;
    assert!(world.rests(&member("mary")), "what opens goes on resting");
}

#[tokio::test]
async fn what_rests_outlives_the_master_key_that_it_rests_under() {
    let world = restarted().await;

    let rotated = world.credentials.rotate_key(false).await.unwrap();

    assert_eq!(rotated.retired.len(), 1);
    assert!(world.rests(&ada()));
    assert_eq!(text(&world.token(&ada())), "token-0");
}

#[tokio::test]
async fn a_real_name_that_rests_is_found() {
    let world = World::start().await;
    world.import(&ada(), RENEWABLE).await;
    let shared = &world.credentials.0;
    let mut grant = (*shared.cache.grant(&ada()).unwrap()).clone();
    grant.version += 1;
    grant.profile = Some(Arc::new(Profile {
        name: Some("Augusta King".to_owned()),
        ..Profile::default()
    }));
    recovery::save(shared, &ada(), &grant).await.unwrap();
    let world = world.restart().await;

    for (text, found) in [("augusta", 1), ("AUGUSTA", 1), ("grace", 0)] {
        let wanted = Wanted {
            text: Some(text.to_owned()),
            ..Wanted::default()
        };
        let page = world.credentials.page(&wanted, None, 10);
        assert_eq!(page.grants.len(), found, "{text}");
    }
    assert!(world.rests(&ada()));
    let shown = world.credentials.show(&ada()).unwrap();
    assert_eq!(shown.full_name.as_deref(), Some("Augusta King"));
}

#[tokio::test]
async fn a_newer_row_takes_the_place_of_one_that_rests() {
    let world = restarted().await;
    let shared = &world.credentials.0;
    let row = shared.store.grant(&ada()).await.unwrap().unwrap();
    let opened = shared.sealing.grant(&ada(), &row).unwrap();
    let mut newer = opened.clone();
    newer.version += 1;
    newer.scopes = vec!["w_other".to_owned()];
    assert!(world.rests(&ada()));

    recovery::save(shared, &ada(), &newer).await.unwrap();
    let stale = recovery::save(shared, &ada(), &newer).await;

    assert!(matches!(stale, Err(StoreError::Moved)));
    eventually("it is served", || {
        world.credentials.show(&ada()).unwrap().scopes == ["w_other"]
    })
    .await;
    assert_eq!(text(&world.token(&ada())), "token-0");
}
