//! What every store must do. Each home runs all of it.

use std::sync::Mutex;

use super::*;
use crate::{
    callers::{Callers, Covers, Terms},
    keyring::LiveSecrets,
    operators::{Operators, Role},
};

mod marks;
mod outbox;

pub(super) fn member(name: &str) -> Member {
    Member {
        application: "default".parse().unwrap(),
        name: match name {
            "" => None,
            name => Some(name.parse().unwrap()),
        },
    }
}

pub(super) fn row(version: i64) -> Row {
    Row {
        version,
        access: vec![1, 2, 3],
        refresh: Some(vec![4, 0, 255]),
        state: "live".into(),
        ended_at: None,
        acquired_at: 1_800_000_000,
        issued_at: Some(1_800_000_000),
        access_expires_at: Some(1_805_184_000),
        refresh_expires_at: None,
        scopes: "r_a w_b".to_owned(),
        urn: Some("urn:li:person:x".to_owned()),
        renewals: 3,
        renewed_at: Some(5),
        used_at: None,
        profile: Some(vec![0, 7]),
        verdict: None,
        access_tag: Some(Tag::from_stored(-7)),
        refresh_tag: Some(Tag::from_stored(i64::MAX)),
    }
}

/// Saves a member's first row, with the data key that it needs.
pub(super) async fn fill(store: &dyn Store, who: &Member) {
    store.keep_data_key(who, vec![1]).await.unwrap();
    store.save(who, row(1), None).await.unwrap();
}

const LASTING: Duration = Duration::from_secs(30);

async fn lease(store: &dyn Store, who: &Member, owner: &str) -> Option<Lease> {
    let owner = Arc::from(owner);
    store.take_lease(who, &owner, LASTING).await.unwrap()
}

/// Runs the whole suite; `clock` is the store's own.
pub(super) async fn run(store: &dyn Store, clock: &Clock) {
    rows_are_saved_by_compare_and_set(store).await;
    uses_are_noted_beside_the_version(store).await;
    fingerprints_are_noted_where_there_are_none(store).await;
    a_lease_is_held_by_one_and_its_fence_only_grows(store, clock).await;
    a_late_writer_is_fenced_off(store, clock).await;
    the_journal_holds_an_answer_until_the_save(store).await;
    forgetting_leaves_nothing(store).await;
    the_first_data_key_wins(store).await;
    keys_come_back_as_they_were_kept(store).await;
    operators_come_back_as_they_were_kept(store).await;
    changes_are_told(store).await;
    outbox::run(store).await;
    marks::run(store).await;
    store.probe().await.unwrap();
}

async fn rows_are_saved_by_compare_and_set(store: &dyn Store) {
    let ada = member("ada");
    assert_eq!(store.grant(&ada).await.unwrap(), None);
    let early = store.save(&ada, row(2), None).await;
    assert!(matches!(early, Err(StoreError::Moved)));

    // Nobody could open it.
    let keyless = store.save(&ada, row(1), None).await;
    assert!(matches!(keyless, Err(StoreError::Moved)));
    assert_eq!(store.grant(&ada).await.unwrap(), None);
    fill(store, &ada).await;
    assert_eq!(store.grant(&ada).await.unwrap(), Some(row(1)));
    let twice = store.save(&ada, row(1), None).await;
    assert!(matches!(twice, Err(StoreError::Moved)));

    let changed = Row {
        refresh: None,
        urn: None,
        state: "refresh_refused".into(),
        profile: None,
        verdict: Some(r#"{"kind":"unknown"}"#.to_owned()),
        ended_at: Some(9),
        refresh_tag: None,
        ..row(2)
    };
    store.save(&ada, changed.clone(), None).await.unwrap();
    assert_eq!(store.grant(&ada).await.unwrap(), Some(changed.clone()));
    let own = member("");
    fill(store, &own).await;
    assert_eq!(all(store).await, [(own, row(1)), (ada, changed)]);
}

/// All grants, in order of their members.
async fn all(store: &dyn Store) -> Vec<(Member, Row)> {
    let all: Arc<Mutex<Vec<(Member, Row)>>> = Arc::default();
    let seen = Arc::clone(&all);
    let show = move |member, row| seen.lock().unwrap().push((member, row));
    store.read_grants(Arc::new(show)).await.unwrap();
    let mut all = std::mem::take(&mut *all.lock().unwrap());
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

async fn fingerprints_are_noted_where_there_are_none(store: &dyn Store) {
    let who = member("untagged");
    let untagged = |version| Row {
        access_tag: None,
        refresh_tag: None,
        ..row(version)
    };
    store.keep_data_key(&who, vec![1]).await.unwrap();
    store.save(&who, untagged(1), None).await.unwrap();
    let tagged = |version, number| Tagged {
        member: who.clone(),
        version,
        access: Tag::from_stored(number),
        refresh: Some(Tag::from_stored(i64::MAX)),
    };

    store.note_tags(vec![tagged(2, 5)]).await.unwrap();
    assert_eq!(
        store.grant(&who).await.unwrap(),
        Some(untagged(1)),
        "another version's"
    );
    store.note_tags(vec![tagged(1, -7)]).await.unwrap();
    assert_eq!(store.grant(&who).await.unwrap(), Some(row(1)));
    store.note_tags(vec![tagged(1, 5)]).await.unwrap();
    assert_eq!(
        store.grant(&who).await.unwrap(),
        Some(row(1)),
        "it had some"
    );

    store.forget(&who).await.unwrap();
}

async fn uses_are_noted_beside_the_version(store: &dyn Store) {
    let (used, idle) = (member("used"), member("idle"));
    fill(store, &used).await;
    fill(store, &idle).await;

    let uses = vec![(used.clone(), 70), (member("nobody"), 70)];
    store.note_used(uses).await.unwrap();
    store.note_used(vec![(used.clone(), 60)]).await.unwrap();

    let noted = |version| Row {
        used_at: Some(70),
        ..row(version)
    };
    assert_eq!(store.grant(&used).await.unwrap(), Some(noted(1)));
    assert_eq!(store.grant(&idle).await.unwrap(), Some(row(1)));
    assert_eq!(store.grant(&member("nobody")).await.unwrap(), None);
    store.save(&used, row(2), None).await.unwrap();
    assert_eq!(store.grant(&used).await.unwrap(), Some(noted(2)));
    for gone in [used, idle] {
        store.forget(&gone).await.unwrap();
    }
}

async fn a_lease_is_held_by_one_and_its_fence_only_grows(store: &dyn Store, clock: &Clock) {
    let who = member("leased");
    let first = lease(store, &who, "a").await.unwrap();
    assert_eq!(lease(store, &who, "b").await, None);

    store.renew_lease(&who, &first, LASTING).await.unwrap();
    store.release_lease(&who, &first).await.unwrap();
    let second = lease(store, &who, "b").await.unwrap();
    assert!(second.fence > first.fence);

    store.release_lease(&who, &first).await.unwrap();
    assert_eq!(lease(store, &who, "a").await, None);
    let lost = store.renew_lease(&who, &first, LASTING).await;
    assert!(matches!(lost, Err(StoreError::Fenced)));

    clock.advance(LASTING);
    let third = lease(store, &who, "a").await.unwrap();
    assert!(third.fence > second.fence);
    let own_again = lease(store, &who, "a").await.unwrap();
    assert!(own_again.fence > third.fence);
}

async fn a_late_writer_is_fenced_off(store: &dyn Store, clock: &Clock) {
    let who = member("fenced");
    let late = lease(store, &who, "a").await.unwrap();
    clock.advance(LASTING);
    let current = lease(store, &who, "b").await.unwrap();

    let saved = store.save(&who, row(1), Some(&late)).await;
    assert!(matches!(saved, Err(StoreError::Fenced)));
    let begun = store.begin(&who, &late, pending(None)).await;
    assert!(matches!(begun, Err(StoreError::Fenced)));
    assert_eq!(store.grant(&who).await.unwrap(), None);

    store.keep_data_key(&who, vec![1]).await.unwrap();
    store.save(&who, row(1), Some(&current)).await.unwrap();
}

fn pending(answer: Option<Vec<u8>>) -> Pending {
    Pending {
        number: 4,
        base: 1,
        begun_at: 77,
        answer,
    }
}

async fn the_journal_holds_an_answer_until_the_save(store: &dyn Store) {
    let who = member("journalled");
    let lease = lease(store, &who, "a").await.unwrap();
    let unbegun = store.answered(&who, &lease, vec![1]).await;
    assert!(matches!(unbegun, Err(StoreError::Moved)));

    assert_eq!(store.pending(&who).await.unwrap(), None);
    store.begin(&who, &lease, pending(None)).await.unwrap();
    assert_eq!(store.pending(&who).await.unwrap(), Some(pending(None)));
    let entry = |answer| vec![(who.clone(), pending(answer))];
    assert_eq!(store.journal().await.unwrap(), entry(None));
    store.answered(&who, &lease, vec![9, 9]).await.unwrap();
    assert_eq!(store.journal().await.unwrap(), entry(Some(vec![9, 9])));

    let moved = store.save(&who, row(5), Some(&lease)).await;
    assert!(matches!(moved, Err(StoreError::Moved)));
    assert_eq!(store.journal().await.unwrap(), entry(Some(vec![9, 9])));
    store.keep_data_key(&who, vec![1]).await.unwrap();
    store.save(&who, row(1), Some(&lease)).await.unwrap();
    assert_eq!(store.journal().await.unwrap(), []);

    store.begin(&who, &lease, pending(None)).await.unwrap();
    let late = Lease {
        fence: lease.fence - 1,
        ..lease.clone()
    };
    let fenced = store.clear(&who, &late).await;
    assert!(matches!(fenced, Err(StoreError::Fenced)));
    store.clear(&who, &lease).await.unwrap();
    assert_eq!(store.journal().await.unwrap(), []);
}

async fn forgetting_leaves_nothing(store: &dyn Store) {
    let who = member("forgotten");
    let lease = lease(store, &who, "a").await.unwrap();
    fill(store, &who).await;
    store.begin(&who, &lease, pending(None)).await.unwrap();

    assert!(store.forget(&who).await.unwrap());

    assert!(!store.forget(&who).await.unwrap());
    assert_eq!(store.grant(&who).await.unwrap(), None);
    assert_eq!(store.journal().await.unwrap(), []);
    let keys = store.data_keys().await.unwrap();
    assert!(keys.iter().all(|(member, _)| *member != who));

    // The member signs in again: the version is the same as before, the lease is not.
    let too_late = store.save(&who, row(1), None).await;
    assert!(matches!(too_late, Err(StoreError::Moved)));
    fill(store, &who).await;
    let late = store.save(&who, row(2), Some(&lease)).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
}

async fn the_first_data_key_wins(store: &dyn Store) {
    let who = member("keyed");

    let first = store.keep_data_key(&who, vec![1, 2]).await.unwrap();
    let second = store.keep_data_key(&who, vec![3]).await.unwrap();

    assert_eq!((first, second), (vec![1, 2], vec![1, 2]));
    let keys = store.data_keys().await.unwrap();
    assert!(keys.contains(&(who, vec![1, 2])));
}

async fn keys_come_back_as_they_were_kept(store: &dyn Store) {
    let callers = Callers::new(Clock::system(), LiveSecrets::new(KeyRing::random()));
    let members = vec![member("ada"), member("")];
    let mut kept = Vec::new();
    for covers in [
        Covers::AnyMember,
        Covers::Members(members),
        Covers::Members(Vec::new()),
    ] {
        let (_, key) = callers.create(Terms {
            caller: "crm".parse().unwrap(),
            covers,
            allow: vec!["GET /rest/**".parse().unwrap()],
            expires_at: Some(99),
        });
        store.keep_key(key.clone()).await.unwrap();
        kept.push(key);
    }
    let twice = store.keep_key(kept[0].clone()).await;
    assert!(matches!(twice, Err(StoreError::Moved)));

    assert!(store.revoke_key(&kept[1].id, 7).await.unwrap());
    assert!(store.revoke_key(&kept[1].id, 8).await.unwrap());
    assert!(!store.revoke_key("nobody", 7).await.unwrap());

    kept[1].revoked_at = Some(7);
    let mut found = store.keys().await.unwrap();
    let by_id = |a: &Key, b: &Key| a.id.cmp(&b.id);
    found.sort_by(by_id);
    kept.sort_by(by_id);
    assert_eq!(found, kept);
}

async fn operators_come_back_as_they_were_kept(store: &dyn Store) {
    let operators = Operators::new(Clock::system(), LiveSecrets::new(KeyRing::random()));
    let mut kept = Vec::new();
    for (role, expires_at) in [(Role::Operator, None), (Role::Support, Some(99))] {
        let (_, operator) = operators.create("olga".parse().unwrap(), role, expires_at);
        store.keep_operator(operator.clone()).await.unwrap();
        kept.push(operator);
    }
    let twice = store.keep_operator(kept[0].clone()).await;
    assert!(matches!(twice, Err(StoreError::Moved)));

    assert!(store.revoke_operator(&kept[1].id, 7).await.unwrap());
    assert!(store.revoke_operator(&kept[1].id, 8).await.unwrap());
    assert!(!store.revoke_operator("nobody", 7).await.unwrap());

    kept[1].revoked_at = Some(7);
    let mut found = store.operators().await.unwrap();
    let by_id = |a: &Operator, b: &Operator| a.id.cmp(&b.id);
    found.sort_by(by_id);
    kept.sort_by(by_id);
    assert_eq!(found, kept);
}

async fn changes_are_told(store: &dyn Store) {
    let who = member("watched");
    let mut changes = store.changes();

    fill(store, &who).await;
    store.forget(&who).await.unwrap();
    store.revoke_key("nobody", 1).await.unwrap();
    store.revoke_operator("nobody", 1).await.unwrap();

    assert_eq!(changes.recv().await.unwrap(), Change::Grant(who.clone()));
    assert_eq!(changes.recv().await.unwrap(), Change::Grant(who));
    assert_eq!(changes.recv().await.unwrap(), Change::Keys);
    assert_eq!(changes.recv().await.unwrap(), Change::Operators);
}
